/* --check-config: asks the database one question after the other, and walks the steps. */
#include "app/check_ask.h"

#include "app/context.h"
#include "base/time_units.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/pg_link.h"
#include "store/statements.h"
#include "store/table_blocker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than the server allows itself: then the connection is dead. */
#define DEADLINE_US (7 * SECOND_US)
#define NAME_MAX_BYTES 64 /* with its end */

#define SETTINGS                                                                                   \
    PG_SETTINGS_3(PG_SET("transaction_read_only", "'on'"), PG_SET("lock_timeout", "'3s'"),         \
                  PG_SET("statement_timeout", "'5s'"))                                             \
    ", " CHECK_NOTHING_RELEASED
static const char settings_sql[] = SETTINGS;
static const char plan_settings_sql[] =
    SETTINGS ", " PG_SET("enable_seqscan", "'off'") ", " PG_SET("enable_sort", "'off'");

void check_next(struct check_database *c)
{
    c->which = 0;
    if (c->steps[c->step] != NULL)
        c->steps[c->step++](c);
    else
        check_end(c);
}

void check_end(struct check_database *c)
{
    check_done(c->report, CHECK_POSTGRES);
}

void check_lost(struct check_database *c, const char *reason)
{
    check_fail(c->report, "Postgres at %s does not answer: %s", context_postgres(c->context),
               reason);
    check_end(c);
}

static void on_blocker(void *arg, const char *sentence, bool locked)
{
    struct check_database *c = arg;
    (void)locked;
    check_fail(c->report, "%s", sentence);
    check_end(c);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct check_database *c = arg;
    if (answer->status == PG_UNKNOWN)
        check_lost(c, answer->message);
    else if (strcmp(answer->sqlstate, TABLE_BLOCKER_LOCK_WAIT) != 0)
        c->answered(c, answer->status == PG_DONE ? answer->results[1] : NULL, answer);
    else if (table_blocker_find(c->queue, c->link, answer, on_blocker, c) != 0)
        check_lost(c, "the connection was lost");
}

static void ask(struct check_database *c, const char *settings, const struct pg_query *query,
                check_answer_cb *answered)
{
    const struct pg_query queries[] = {{.sql = settings}, *query};
    c->answered = answered;
    if (query->sql == NULL || pg_link_send(c->link, queries, 2, DEADLINE_US, on_answer, c) != 0)
        check_lost(c, "the connection was lost");
}

void check_ask(struct check_database *c, const char *sql, int nparams, const char *const *params,
               check_answer_cb *answered)
{
    const struct pg_query query = {.sql = sql, .nparams = nparams, .params = params};
    ask(c, settings_sql, &query, answered);
}

static void ask_template(struct check_database *c, const char *settings, enum question_id which,
                         check_answer_cb *answered)
{
    char *sql = question_render(which, statements_types(c->context->parts.statements), c->link);
    const struct pg_query query = {.sql = sql};
    ask(c, settings, &query, answered);
    free(sql);
}

void check_ask_template(struct check_database *c, enum question_id which, check_answer_cb *answered)
{
    ask_template(c, settings_sql, which, answered);
}

void check_ask_plan(struct check_database *c, enum question_id which, check_answer_cb *answered)
{
    ask_template(c, plan_settings_sql, which, answered);
}

const char *check_table(const struct check_database *c, int i)
{
    return i == 0 ? c->queue->table.written : c->queue->stock.table.written;
}

const char *check_key(const struct check_database *c, char *out, size_t size)
{
    const struct queue_stock *stock = &c->queue->stock;
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < stock->nkeys && used < size; i++) {
        int n = snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "",
                         stock->keys[i].counter.text);
        used += n > 0 ? (size_t)n : 0;
    }
    return out;
}

/* Whether SQL takes this name without quotes, as itself: neither folded nor a reserved word
 * (PostgreSQL manual, appendix C). */
static bool is_plain(const char *name)
{
    static const char reserved[] =
        " all analyse analyze and any array as asc asymmetric authorization binary both case cast "
        "check collate collation column concurrently constraint create cross current_catalog "
        "current_date current_role current_schema current_time current_timestamp current_user "
        "default deferrable desc distinct do else end except false fetch for foreign freeze from "
        "full grant group having ilike in initially inner intersect into is isnull join lateral "
        "leading left like limit localtime localtimestamp natural not notnull null offset on only "
        "or order outer overlaps placing primary references returning right select session_user "
        "similar some symmetric system_user table tablesample then to trailing true union unique "
        "user using variadic verbose when where window with ";
    char word[NAME_MAX_BYTES + 2];
    size_t len = strlen(name);
    snprintf(word, sizeof(word), " %s ", name);
    return strspn(name, "0123456789") == 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == len &&
           strstr(reserved, word) == NULL;
}

/* Adds a name as SQL takes it, and what stands before it; as far as there is room. */
static void add_name(const struct check_database *c, const char *before, const char *name,
                     char *out, size_t size)
{
    size_t used = strlen(out);
    char *quoted = is_plain(name) ? NULL : pg_link_quote_ident(c->link, name);
    snprintf(out + used, size - used, "%s%s", before, quoted != NULL ? quoted : name);
    free(quoted);
}

const char *check_sql_table(const struct check_database *c, int i, char *out, size_t size)
{
    const struct queue_table *table = i == 0 ? &c->queue->table : &c->queue->stock.table;
    out[0] = '\0';
    if (table->schema != NULL)
        add_name(c, "", table->schema, out, size);
    add_name(c, table->schema != NULL ? "." : "", table->name, out, size);
    return out;
}

const char *check_sql_name(const struct check_database *c, const char *name, char *out, size_t size)
{
    out[0] = '\0';
    add_name(c, "", name, out, size);
    return out;
}

const char *check_sql_key(const struct check_database *c, char *out, size_t size)
{
    const struct queue_stock *stock = &c->queue->stock;
    out[0] = '\0';
    for (int i = 0; i < stock->nkeys; i++)
        add_name(c, i > 0 ? ", " : "", stock->keys[i].counter.text, out, size);
    return out;
}

const char *check_sql(const char *sql, char *out, size_t size)
{
    snprintf(out, size, "%s", sql);
    for (char *p = out; *p != '\0'; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    for (size_t len = strlen(out); len > 0 && out[len - 1] == ' '; len--)
        out[len - 1] = '\0';
    return out;
}

void check_wrong(struct check_database *c, int line, const char *format, ...)
{
    char place[256], text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    queue_place(c->queue, line, place, sizeof(place));
    check_fail(c->report, "%s%s", place, text);
}
