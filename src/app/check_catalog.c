/* --check-config: what the catalog says of the role, the server and the two tables. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"

#include "config/config.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "release/commit_wait.h"
#include "store/mapping.h"
#include "store/questions.h"
#include "store/statements.h"

#include <stdio.h>
#include <string.h>

/* The columns of sql/check_server.sql. */
enum {
    ROLE,
    DATABASE,
    ENCODING,
    STANDBY,
    READ_ONLY,
    ROLE_LIMIT,
    DATABASE_LIMIT,
    ROOM,
    TIME_ZONE,
    PID,
    COMMIT,
    NOTIFIES,
    SERVER_COLUMNS
};

/* Of a schema, in sql/check_tables.sql. */
#define NO_USAGE "lacks USAGE"

/* The columns of sql/check_tables.sql, and of sql/check_guards.sql. */
enum { KIND, ELSEWHERE, FOREIGN_PART, TABLE_COLUMNS };
enum { SEES, MOVES, POLICIES, TRIGGERS, RULES, FILLED, KEYS, GUARD_COLUMNS };

static bool is_true(const struct pg_result *r, int row, int column)
{
    return pg_result_text(r, row, column)[0] == 't';
}

/* How many the queue has: that of the counters need not be there. */
static int tables(const struct check_database *c)
{
    return c->tables[1] != NULL ? 2 : 1;
}

/* Connections: one for each worker and one, and that over which others are told. */
static int64_t needed_of(const struct check_database *c)
{
    return c->config->workers + 1 + (c->queue->notify.text != NULL ? 1 : 0);
}

static void check_limit(struct check_database *c, const char *kind, const char *sql,
                        const char *name, int64_t limit)
{
    int64_t needed = needed_of(c);
    if (limit >= 0 && limit < needed)
        check_fail(
            c->report,
            "%s %s has a CONNECTION LIMIT of %lld, and the sweeper needs %lld (SWEEPER_WORKERS "
            "and one): ALTER %s %s CONNECTION LIMIT %lld",
            kind, name, (long long)limit, (long long)needed, sql, name, (long long)needed);
}

static void check_connections(struct check_database *c, const struct pg_result *r)
{
    int64_t needed = needed_of(c);
    check_limit(c, "role", "ROLE", pg_result_text(r, 0, ROLE), pg_result_int(r, 0, ROLE_LIMIT));
    check_limit(c, "database", "DATABASE", pg_result_text(r, 0, DATABASE),
                pg_result_int(r, 0, DATABASE_LIMIT));
    if (pg_result_int(r, 0, ROOM) < needed)
        check_note(
            "there is room for %lld connections now (max_connections, or a CONNECTION LIMIT), "
            "and the sweeper needs %lld",
            (long long)pg_result_int(r, 0, ROOM), (long long)needed);
}

static void on_server(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    if (answer->status == PG_REFUSED && answer->refused < 0) {
        check_wrong(c, c->queue->settings.line, "%s", answer->message);
        check_end(c);
        return;
    }
    if (r == NULL || pg_result_rows(r) != 1 || pg_result_columns(r) != SERVER_COLUMNS) {
        check_unknown("what the server allows", answer);
        check_next(c);
        return;
    }
    snprintf(c->role, sizeof(c->role), "%s", pg_result_text(r, 0, ROLE));
    snprintf(c->time_zone, sizeof(c->time_zone), "%s", pg_result_text(r, 0, TIME_ZONE));
    snprintf(c->commit, sizeof(c->commit), "%s", pg_result_text(r, 0, COMMIT));
    c->session = pg_result_int(r, 0, PID) == pg_link_backend_pid(c->link) ? PG_SESSION_OURS
                                                                          : PG_SESSION_POOLED;
    if (is_true(r, 0, STANDBY)) {
        check_fail(
            c->report,
            "Postgres at %s is a hot standby and read-only: name the primary, or all servers",
            context_postgres(c->context));
        check_end(c);
        return;
    }
    if (is_true(r, 0, READ_ONLY))
        check_fail(
            c->report,
            "the server is read-only for role %s (default_transaction_read_only is on). If it is a "
            "former primary, leave it so: the connection string has to lead to the new one. Only "
            "if this is the right server: ALTER ROLE %s SET default_transaction_read_only = off",
            c->role, c->role);
    if (strcmp(pg_result_text(r, 0, ENCODING), "SQL_ASCII") == 0)
        check_note("database %s has the encoding SQL_ASCII, which lets any bytes in: an id that is "
                   "not UTF-8 is released as others are, and cannot be read where it is shown",
                   pg_result_text(r, 0, DATABASE));
    check_connections(c, r);
    if (c->queue->notify.text != NULL && !is_true(r, 0, NOTIFIES))
        check_note("role %s may not notify, and nobody is told of releases: GRANT EXECUTE ON "
                   "FUNCTION pg_catalog.pg_notify TO %s",
                   c->role, c->role);
    check_next(c);
}

void check_server(struct check_database *c)
{
    check_ask(c, question_text(QUESTION_SERVER), 0, NULL, on_server);
}

/* Which table number i is, for what is wrong with it. */
static const struct queue_table *table_of(const struct check_database *c, int i)
{
    return i == 0 ? &c->queue->table : &c->queue->stock.table;
}

/* The table is not where the queue says that it is. */
static void say_missing(struct check_database *c, int i, const char *elsewhere)
{
    const struct queue_table *table = table_of(c, i);
    const char *where = table->schema != NULL ? "" : " in the search path";
    if (strstr(elsewhere, NO_USAGE) != NULL)
        check_wrong(c, table->line,
                    "there is no table %s%s that role %s may use; there is one in the schema %s: "
                    "GRANT USAGE ON that SCHEMA TO %s",
                    table->written, where, c->role, elsewhere, c->role);
    else if (*elsewhere != '\0' && table->schema != NULL)
        check_wrong(c, table->line,
                    "there is no table %s; there is one in the schema %s: write it so",
                    table->written, elsewhere);
    else if (*elsewhere != '\0')
        check_wrong(c, table->line,
                    "there is no table %s in the search path; there is one in the schema %s: write "
                    "it before the name, or put options='-c search_path=THAT' in the connection "
                    "string, or ALTER ROLE %s SET search_path",
                    table->written, elsewhere, c->role);
    else
        check_wrong(c, table->line,
                    "there is no table %s%s, nor in another schema: write it as the catalog has "
                    "it, or is this another database?",
                    table->written, where);
}

/* Whether a release can be made on this kind of relation at all. */
static bool check_kind(struct check_database *c, const struct pg_result *r, int i)
{
    static const struct {
        char kind;
        const char *name;
    } kinds[] = {{'v', "a view"},
                 {'m', "a materialized view"},
                 {'f', "a foreign table"},
                 {'S', "a sequence"}};
    char kind = pg_result_text(r, i, KIND)[0];
    const char *foreign = pg_result_text(r, i, FOREIGN_PART);
    const char *table = check_table(c, i);
    const char *name = "no table";
    if (kind == 'v' && i == 1) {
        check_note("%s is a view: what it makes of an UPDATE is its own, so that each release is "
                   "looked at again",
                   table);
        c->stock_is_view = true;
        return true;
    }
    if ((kind == 'r' || kind == 'p') && *foreign == '\0')
        return true;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        if (kinds[k].kind == kind)
            name = kinds[k].name;
    if (*foreign != '\0')
        check_wrong(c, table_of(c, i)->line,
                    "%s, a part of table %s, is a foreign table: a release locks rows by their "
                    "place, which another server's have not: detach it",
                    foreign, table);
    else if (kind != '\0')
        check_wrong(c, table_of(c, i)->line,
                    "%s is %s: a release locks rows by their place, which only a table has: %s",
                    table, name,
                    c->queue->file != NULL
                        ? "name the table itself"
                        : "let the search path find the table itself under this name");
    else
        say_missing(c, i, pg_result_text(r, i, ELSEWHERE));
    return false;
}

static void on_tables(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    bool usable = false;
    if (r == NULL || pg_result_rows(r) != tables(c) || pg_result_columns(r) != TABLE_COLUMNS) {
        check_refused(c, "the question for the tables", answer);
    } else {
        usable = true;
        for (int i = 0; i < tables(c); i++)
            usable = check_kind(c, r, i) && usable;
    }
    if (usable)
        check_next(c);
    else
        check_end(c);
}

void check_tables(struct check_database *c)
{
    const char *params[] = {c->tables[0], c->queue->table.name, c->tables[1],
                            c->queue->stock.table.name};
    check_ask(c, question_text(QUESTION_TABLES), 4, params, on_tables);
}

static void check_policies(struct check_database *c, const struct pg_result *r, int i)
{
    const char *table = check_table(c, i), *role = c->role;
    char sql_table[256];
    bool sees = is_true(r, i, SEES);
    const char *change = i == 0 && c->queue->deletes ? "DELETE" : "UPDATE";
    if (!sees || !is_true(r, i, MOVES))
        check_wrong(
            c, table_of(c, i)->line,
            "row security of table %s is in force for role %s, and no policy lets it %s rows: "
            "CREATE POLICY sweeper ON %s TO %s USING (true), or ALTER ROLE %s BYPASSRLS",
            table, role, sees ? change : "see", check_sql_table(c, i, sql_table, sizeof(sql_table)),
            role, role);
    else
        check_note("row security of table %s is in force for role %s (policies: %s): %s", table,
                   role, pg_result_text(r, i, POLICIES),
                   i == 0 ? "what it hides is never released"
                          : "a reservation whose counter it hides is refused");
}

/* What of the shop's own acts with a release. */
static void say_guards(struct check_database *c, const struct pg_result *r, int i)
{
    const char *table = check_table(c, i);
    if (!pg_result_null(r, i, TRIGGERS))
        check_note("triggers of table %s run with each release: %s", table,
                   pg_result_text(r, i, TRIGGERS));
    if (!pg_result_null(r, i, RULES))
        check_note("rules of table %s change what a release does: %s", table,
                   pg_result_text(r, i, RULES));
    if (!pg_result_null(r, i, KEYS))
        check_note("foreign keys point at the rows of table %s that a release deletes: %s", table,
                   pg_result_text(r, i, KEYS));
}

static void on_guards(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    const struct mapping_types *types = statements_types(c->context->parts.statements);
    const bool hidden[] = {types->rows_hidden, types->counters_hidden};
    if (r == NULL || pg_result_rows(r) != tables(c) || pg_result_columns(r) != GUARD_COLUMNS) {
        check_unknown("what policies and triggers there are", answer);
        check_next(c);
        return;
    }
    for (int i = 0; i < tables(c); i++) {
        if (hidden[i])
            check_policies(c, r, i);
        c->filled[i] = is_true(r, i, FILLED) && is_true(r, i, SEES);
        say_guards(c, r, i);
    }
    const char *commits = commit_wait_notice(
        commit_wait_judge(c->config->synchronous_commit, c->session, types), c->commit);
    if (commits != NULL)
        check_note("%s", commits);
    check_next(c);
}

void check_guards(struct check_database *c)
{
    const char *params[] = {c->tables[0], c->tables[1], c->queue->deletes ? "t" : "f"};
    check_ask(c, question_text(QUESTION_GUARDS), 3, params, on_guards);
}

static void on_seen(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    const struct mapping_types *types = statements_types(c->context->parts.statements);
    const bool hidden[] = {types->rows_hidden, types->counters_hidden};
    char table[256];
    if (r == NULL)
        check_refused(c, "the question for rows that can be seen", answer);
    for (int i = 0; i < tables(c) && r != NULL; i++)
        if (hidden[i] && c->filled[i] && !is_true(r, 0, i))
            check_wrong(
                c, table_of(c, i)->line,
                "role %s sees no row of table %s, which is not empty: its row security hides "
                "them; CREATE POLICY sweeper ON %s TO %s USING (true), or ALTER ROLE %s BYPASSRLS",
                c->role, check_table(c, i), check_sql_table(c, i, table, sizeof(table)), c->role,
                c->role);
    check_next(c);
}

void check_seen(struct check_database *c)
{
    const struct mapping_types *types = statements_types(c->context->parts.statements);
    if (types->rows_hidden || types->counters_hidden)
        check_ask_template(c, QUESTION_SEEN, on_seen);
    else
        check_next(c);
}
