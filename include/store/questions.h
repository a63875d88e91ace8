/* What is asked of Postgres beside the statements of the work: what --check-config wants to know,
 * and who has locked what. Parameters and answers are described at the head of each file of sql/.
 */
#ifndef RS_QUESTIONS_H
#define RS_QUESTIONS_H

struct mapping_types;
struct pg_link;

enum question_id {
    /* The same for every database: names of tables are parameters. */
    QUESTION_SERVER,        /* sql/check_server.sql */
    QUESTION_TABLES,        /* sql/check_tables.sql */
    QUESTION_GUARDS,        /* sql/check_guards.sql */
    QUESTION_STATES,        /* sql/check_states.sql */
    QUESTION_VALUES,        /* sql/check_values.sql */
    QUESTION_TABLE_BLOCKER, /* sql/table_blocker.sql */
    QUESTION_INDEXES,       /* sql/indexes.sql */
    QUESTION_TABLE_LOCKS,   /* sql/table_locks.sql */
    QUESTION_WAITED_FOR,    /* sql/waited_for.sql */
    QUESTION_STANDBY_WAIT,  /* sql/standby_wait.sql */
    QUESTION_CUT_OFF,       /* sql/cut_off.sql */
    QUESTION_FEEDS,         /* sql/feeds.sql */
    QUESTION_CATALOG,       /* sql/catalog.sql */
    QUESTION_NAMES,         /* sql/show_names.sql */
    QUESTION_INIT_TABLES,   /* sql/init_tables.sql */

    /* Templates: made for this database. */
    QUESTION_SEEN,            /* sql/check_seen.sql */
    QUESTION_KEEP,            /* sql/check_keep.sql */
    QUESTION_ROWS,            /* sql/check_rows.sql */
    QUESTION_DOUBLED,         /* sql/check_doubled.sql */
    QUESTION_TOTALS,          /* sql/check_totals.sql */
    QUESTION_PLAN_ID,         /* sql/check_plan_id.sql */
    QUESTION_PLAN_DUE,        /* sql/check_plan_due.sql */
    QUESTION_PLAN_COUNTER,    /* sql/check_plan_counter.sql */
    QUESTION_REHEARSE_BEFORE, /* sql/rehearse_before.sql */
    QUESTION_REHEARSE_AFTER,  /* sql/rehearse_after.sql */
    QUESTION_PROLONG,         /* sql/prolong.sql */
    QUESTIONS_N
};

/* The text of one that is the same for every database (asserted); static storage. */
const char *question_text(enum question_id which);

/* The text of one that is a template (asserted), for the tables as types says they are. malloc'd;
 * NULL when the link is down or memory ran out. */
char *question_render(enum question_id which, const struct mapping_types *types,
                      struct pg_link *link);

/* What a text of sql/ is for, and its parameters, as comments of SQL; "" when it says nothing.
 * text: as question_text or statements_source has it. */
const char *question_head(const char *text);

/* The same of a question. */
const char *question_purpose(enum question_id which);

#endif
