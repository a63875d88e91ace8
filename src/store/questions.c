/* The questions of --check-config, and those about locks. */
#include "store/questions.h"

#include "store/mapping.h"
#include "store/sql_texts.h"

#include <assert.h>
#include <stdbool.h>

static const char *const texts[QUESTIONS_N] = {
    [QUESTION_SERVER] = sql_check_server,
    [QUESTION_TABLES] = sql_check_tables,
    [QUESTION_GUARDS] = sql_check_guards,
    [QUESTION_STATES] = sql_check_states,
    [QUESTION_VALUES] = sql_check_values,
    [QUESTION_TABLE_BLOCKER] = sql_table_blocker,
    [QUESTION_INDEXES] = sql_indexes,
    [QUESTION_TABLE_LOCKS] = sql_table_locks,
    [QUESTION_WAITED_FOR] = sql_waited_for,
    [QUESTION_STANDBY_WAIT] = sql_standby_wait,
    [QUESTION_CUT_OFF] = sql_cut_off,
    [QUESTION_FEEDS] = sql_feeds,
    [QUESTION_CATALOG] = sql_catalog,
    [QUESTION_NAMES] = sql_show_names,
    [QUESTION_INIT_TABLES] = sql_init_tables,
    [QUESTION_SEEN] = sql_check_seen,
    [QUESTION_KEEP] = sql_check_keep,
    [QUESTION_ROWS] = sql_check_rows,
    [QUESTION_DOUBLED] = sql_check_doubled,
    [QUESTION_TOTALS] = sql_check_totals,
    [QUESTION_PLAN_ID] = sql_check_plan_id,
    [QUESTION_PLAN_DUE] = sql_check_plan_due,
    [QUESTION_PLAN_COUNTER] = sql_check_plan_counter,
    [QUESTION_REHEARSE_BEFORE] = sql_rehearse_before,
    [QUESTION_REHEARSE_AFTER] = sql_rehearse_after,
    [QUESTION_PROLONG] = sql_prolong,
};

static bool is_template(enum question_id which)
{
    return which >= QUESTION_SEEN;
}

const char *question_text(enum question_id which)
{
    assert(which < QUESTIONS_N && !is_template(which));
    return texts[which];
}

char *question_render(enum question_id which, const struct mapping_types *types,
                      struct pg_link *link)
{
    assert(which < QUESTIONS_N && is_template(which));
    return mapping_render(texts[which], types, 0, link);
}

const char *question_purpose(enum question_id which)
{
    assert(which < QUESTIONS_N);
    return question_head(texts[which]);
}

const char *question_head(const char *text)
{
    const struct sql_head *h = sql_heads;
    while (h->text != NULL && h->text != text)
        h++;
    return h->text != NULL ? h->head : "";
}
