/* --show-sql: every statement as it would be sent to this database, queue by queue, and the grants
 * that they need. Each ends with a semicolon and has its purpose and its parameters before it, so
 * that it can be given to PREPARE and EXPLAIN. */
#include "app/modes.h"
#include "app/plan_grants.h"
#include "app/queue_session.h"
#include "app/show_grants.h"
#include "app/statement_names.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/pg_link.h"
#include "release/announcer.h"
#include "release/release.h"
#include "store/fragment.h"
#include "store/mapping.h"
#include "store/questions.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_US (10 * SECOND_US)

struct show {
    const struct queue *queue;
    const char *error; /* why there are no statements; NULL */
    char text[PG_MESSAGE_SIZE];
    char role[132];
    int which;                 /* the statement of `also` or query of `verify` that is looked at */
    char *tables[2];           /* quoted as in SQL: holds, counters (NULL: there are none) */
    struct plan_grants grants; /* for keep_while and the operator's own statements */
};

static void print_sql(const char *sql)
{
    size_t len = strlen(sql);
    while (len > 0 && (sql[len - 1] == '\n' || sql[len - 1] == ' '))
        len--;
    printf("%.*s\n;\n", (int)len, sql);
}

static void print_question(const char *what, enum question_id which)
{
    printf("\n-- %s\n--\n%s", what, question_head(question_text(which)));
    print_sql(question_text(which));
}

/* As the link sends it, with its parameters written out. */
static void print_own_settings(const struct queue_settings *settings, struct pg_link *link)
{
    if (settings->n > 0)
        printf("\n-- the queue's settings, first in each transaction\n");
    for (int i = 0; i < settings->n; i++) {
        char *name = pg_link_quote_literal(link, settings->all[2 * i]);
        char *value = pg_link_quote_literal(link, settings->all[2 * i + 1]);
        if (name != NULL && value != NULL)
            printf("%spg_catalog.set_config(%s, %s, true)%s", i == 0 ? "SELECT " : "       ", name,
                   value, i + 1 < settings->n ? ",\n" : "\n;\n");
        free(name);
        free(value);
    }
}

static void print_statements(const struct statements *s)
{
    const struct mapping_types *types = statements_types(s);
    printf(
        "\n-- the settings of a release, before it in its transaction\n"
        "-- $1 lock_timeout, $2 statement_timeout, $3 transaction_timeout, $4 lock_timeout while "
        "it waits for another release\n");
    print_sql(release_settings(true));
    printf("\n-- the settings of the release of a backlog\n-- $1 lock_timeout, $2 "
           "statement_timeout, $3 transaction_timeout\n");
    print_sql(release_settings(false));
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        enum statement which = (enum statement)i;
        const char *text = statements_text(s, which);
        if (!statement_is_used(which, types, text))
            continue;
        printf("\n-- %s\n--\n%s", statement_name(which), question_head(statements_source(which)));
        print_sql(text);
    }
    for (int i = 0; i < types->queue->nalso; i++) {
        printf("\n-- also, statement %d: in the transaction of a release, after it\n", i + 1);
        print_sql(statements_also(s, i));
    }
    for (int i = 0; i < types->queue->nverify; i++) {
        printf("\n-- verify, query %d: at the end of --reconcile, read only\n", i + 1);
        print_sql(statements_verify(s, i));
    }
    if (types->queue->notify.text != NULL) {
        printf("\n-- after a release, in a transaction of its own\n-- $1 %s, $2 how many\n",
               types->queue->notify.text);
        print_sql(announcer_sql);
    }
    print_question("what the catalog says of the tables, each minute", QUESTION_CATALOG);
    print_question("who holds a table locked", QUESTION_TABLE_LOCKS);
    print_question("what a blocker waits for itself", QUESTION_WAITED_FOR);
    print_question("whether a release waits for a synchronous standby", QUESTION_STANDBY_WAIT);
    print_question("ends what sweepers have begun and do not go on with", QUESTION_CUT_OFF);
    print_question("whether a sweeper runs, for --explain", QUESTION_FEEDS);
}

/* For the operator to send. */
static void print_prolong(const struct queue_session *s)
{
    char *sql =
        question_render(QUESTION_PROLONG, statements_types(s->context.parts.statements), s->link);
    if (sql == NULL)
        return; /* the link is down: what follows says so */
    printf("\n-- more time for all holds\n--\n%s", question_purpose(QUESTION_PROLONG));
    print_sql(sql);
    free(sql);
}

#define KEEP_WHILE (-1) /* in place of such a statement's number */

static void ask_own(struct queue_session *s);

static void on_own(void *arg, const struct pg_answer *answer)
{
    struct queue_session *s = arg;
    struct show *show = s->arg;
    char what[160] = "`keep_while`";
    if (show->which != KEEP_WHILE)
        (void)statement_place(s->context.parts.statements, show->which, what, sizeof(what));
    if (answer->status == PG_DONE && plan_grants_add(&show->grants, answer->results[1]) != 0) {
        queue_session_failed(s, "memory ran out");
        return;
    }
    if (answer->status != PG_DONE)
        printf("-- what %s needs: %s\n", what, answer->message);
    show->which = show->which == KEEP_WHILE ? STATEMENT_COUNT : show->which + 1;
    ask_own(s);
}

/* Such a statement, or one with keep_while, to be explained; malloc'd. *last: there is none. NULL
 * else: out of memory. */
static char *explained(const struct queue_session *s, struct show *show, bool *last)
{
    const struct statements *statements = s->context.parts.statements;
    const struct fragment keep = {
        .queue = show->queue, .wrap = FRAGMENT_CONDITION, .text = &show->queue->keep.condition};
    char *sql = NULL, *condition = NULL;
    const char *text;
    if (show->which == KEEP_WHILE)
        text = condition = fragment_proof(&keep, statements_types(statements), s->link);
    else
        text = statement_next(statements, &show->which);
    *last = text == NULL && show->which != KEEP_WHILE;
    if (text == NULL || asprintf(&sql, "EXPLAIN (VERBOSE, COSTS OFF) %s", text) < 0)
        sql = NULL;
    free(condition);
    return sql;
}

/* What keep_while and each statement of the operator's own read and change their plans say. */
static void ask_own(struct queue_session *s)
{
    static const char settings[] = PG_SETTINGS_2(PG_SET("transaction_read_only", "'on'"),
                                                 PG_SET("reservation_sweeper.holds", "'{}'"));
    struct show *show = s->arg;
    bool last;
    if (show->error != NULL) {
        queue_session_failed(s, show->error);
        return;
    }
    char *sql = explained(s, show, &last);
    if (last) {
        plan_grants_print(&show->grants, show->role, stdout);
        queue_session_end(s, EXIT_DONE);
        return;
    }
    const struct pg_query queries[] = {{.sql = settings}, {.sql = sql}};
    if (sql == NULL || pg_link_send(s->link, queries, 2, DEADLINE_US, on_own, s) != 0)
        queue_session_failed(s, "the connection to Postgres was lost");
    free(sql);
}

static void on_names(void *arg, const struct pg_answer *answer)
{
    struct queue_session *s = arg;
    struct show *show = s->arg;
    if (answer->status != PG_DONE) {
        queue_session_failed(s, answer->message);
        return;
    }
    printf("\n-- the grants that these need\n");
    snprintf(show->role, sizeof(show->role), "%s", pg_result_text(answer->results[0], 0, 0));
    if (show_grants(show->queue, show->tables, answer->results[0], s->link, &show->grants) != 0) {
        queue_session_failed(s, "memory ran out");
        return;
    }
    show->which = show->queue->keep.condition.text != NULL ? KEEP_WHILE : STATEMENT_COUNT;
    ask_own(s);
}

static void begin(struct queue_session *s, const char *error)
{
    struct show *show = s->arg;
    show->tables[0] = mapping_table(&show->queue->table, s->link);
    if (show->queue->stock.table.name != NULL)
        show->tables[1] = mapping_table(&show->queue->stock.table, s->link);
    const char *params[] = {show->tables[0], show->tables[1]};
    const struct pg_query query = {
        .sql = question_text(QUESTION_NAMES), .nparams = 2, .params = params};
    printf("-- queue %s, table %s, at %s\n", show->queue->name, show->queue->table.written,
           context_postgres(&s->context));
    if (error != NULL)
        snprintf(show->text, sizeof(show->text), "%s", error);
    show->error = error != NULL ? show->text : NULL;
    print_own_settings(&show->queue->settings, s->link);
    if (error == NULL) {
        print_statements(s->context.parts.statements);
        print_prolong(s);
    }
    if (pg_link_send(s->link, &query, 1, DEADLINE_US, on_names, s) != 0)
        queue_session_failed(s, error != NULL ? error : "the connection to Postgres was lost");
}

static void end(struct queue_session *s)
{
    struct show *show = s->arg;
    free(show->tables[0]);
    free(show->tables[1]);
    plan_grants_clear(&show->grants);
}

int show_sql_run(const struct config *config)
{
    int status = EXIT_DONE;
    for (int i = 0; i < config_queues(config); i++) {
        const struct config *queue = config_queue(config, i);
        struct show show = {.queue = queue->queue};
        const struct queue_session_work work = {"reservation-sweeper show-sql", begin, end, &show};
        if (i > 0)
            printf("\n");
        status = queue_session_worse(status, queue_session_run(queue, &work));
    }
    return status;
}
