/* --check-config: connects to both servers, checks tables, columns and grants, gives advice,
 * changes nothing. One line for each thing looked at: ok, note (advice) or FAIL. */
#include "config.h"
#include "context.h"
#include "log.h"
#include "loop.h"
#include "modes.h"
#include "pg_link.h"
#include "sql_texts.h"
#include "statements.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_US (5 * 1000000)

struct check {
    struct context context;
    const struct config *config;
    struct pg_link *link;
    struct timer *limit; /* 5 s for both servers, then the same for the questions */
    struct timer *end;
    bool asked, redis_done, postgres_done;
    char failure[512]; /* the last FAIL; "": none */
};

static void say(const char *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const char *verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%-4s  ", verdict);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

static void fail(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct check *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->failure, sizeof(c->failure), format, args);
    va_end(args);
    say("FAIL", "%s", c->failure);
}

static void maybe_end(struct check *c)
{
    if (c->redis_done && c->postgres_done)
        timer_after_us(c->end, 0);
}

static void on_end(void *arg)
{
    struct check *c = arg;
    loop_stop(c->context.sweep.loop);
}

static void check_redis(struct check *c)
{
    const struct redis_server_info *info = redis_link_info(c->context.sweep.redis);
    const char *unusable = context_redis_unusable(&c->context);
    c->redis_done = true;
    if (unusable != NULL) {
        fail(c, "%s", unusable);
    } else {
        say("ok", "Redis %s at %s", info->version, c->context.redis);
    }
    if (info->maxmemory_policy[0] != '\0' && strcmp(info->maxmemory_policy, "noeviction") != 0)
        say("note",
            "Redis evicts keys (maxmemory-policy %s): entries that go missing are only "
            "found by the overdue scan; set noeviction",
            info->maxmemory_policy);
    maybe_end(c);
}

/* What the indexes of an existing database make cheap or dear. */
struct indexes {
    bool by_id, by_product, due, status, expires;
};

static void read_indexes(struct indexes *x, const struct pg_result *r)
{
    for (int row = 0; row < pg_result_rows(r); row++) {
        bool reservations = pg_result_int(r, row, 0) == 1;
        const char *column = pg_result_text(r, row, 2);
        bool partial = !pg_result_null(r, row, 3);
        const char *predicate = pg_result_text(r, row, 3);
        if (!reservations) {
            if (!partial && strcmp(column, mapping_name_text(NAME_STOCK_PRODUCT_ID)) == 0)
                x->by_product = true;
        } else if (strcmp(column, mapping_name_text(NAME_ID)) == 0 && !partial) {
            x->by_id = true;
        } else if (strcmp(column, mapping_name_text(NAME_EXPIRES_AT)) == 0) {
            if (partial && strstr(predicate, mapping_name_text(NAME_ACTIVE)) != NULL)
                x->due = true;
            else
                x->expires = true;
        } else if (strcmp(column, mapping_name_text(NAME_STATUS)) == 0) {
            x->status = true;
        }
    }
}

static void advise(const struct indexes *x)
{
    const char *table = mapping_name_text(NAME_RESERVATIONS);
    const char *stock = mapping_name_text(NAME_INVENTORY);
    if (!x->by_id)
        say("note", "no index of %s begins with %s: each release reads the whole table", table,
            mapping_name_text(NAME_ID));
    if (!x->by_product)
        say("note", "no index of %s begins with %s: each release reads the whole table", stock,
            mapping_name_text(NAME_STOCK_PRODUCT_ID));
    if (!x->due)
        say("note",
            "an index for what is due makes the feed and the scans cheap: CREATE INDEX "
            "CONCURRENTLY ON %s (%s) WHERE %s = '%s'",
            table, mapping_name_text(NAME_EXPIRES_AT), mapping_name_text(NAME_STATUS),
            mapping_name_text(NAME_ACTIVE));
    if (x->status || x->expires)
        say("note",
            "an index on %s%s%s of %s has to be maintained by each release; with the one "
            "for what is due the sweeper needs neither",
            x->status ? mapping_name_text(NAME_STATUS) : "", x->status && x->expires ? " and " : "",
            x->expires ? mapping_name_text(NAME_EXPIRES_AT) : "", table);
    if (x->by_id && x->by_product && x->due && !x->status && !x->expires)
        say("ok", "indexes: nothing to gain");
}

static void on_indexes(void *arg, const struct pg_answer *answer)
{
    struct check *c = arg;
    c->postgres_done = true;
    if (answer->status != PG_DONE) {
        say("note", "the indexes could not be read: %s", answer->message);
    } else {
        struct indexes found = {false, false, false, false, false};
        read_indexes(&found, answer->results[0]);
        advise(&found);
    }
    maybe_end(c);
}

static void on_statements(void *arg, const char *error)
{
    struct check *c = arg;
    if (error != NULL) {
        c->postgres_done = true;
        fail(c, "%s", error);
        maybe_end(c);
        return;
    }
    say("ok", "tables, columns and grants");
    double offset_s = (double)server_clock_host_offset_us(&c->context.sweep.pg_clock) / 1e6;
    if (offset_s > 1 || offset_s < -1)
        say("note", "Postgres's clock is %+.3f s from this host's; Postgres's decides", offset_s);
    char tables[256];
    snprintf(tables, sizeof(tables), "{%s,%s}", mapping_name_text(NAME_RESERVATIONS),
             mapping_name_text(NAME_INVENTORY));
    const char *params[] = {tables};
    const struct pg_query query = {.sql = sql_indexes, .nparams = 1, .params = params};
    if (pg_link_send(c->link, &query, 1, CONNECT_US, on_indexes, c) != 0) {
        c->postgres_done = true;
        maybe_end(c);
    }
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    if (!up || c->asked)
        return;
    c->asked = true;
    int version = pg_link_server_version(c->link);
    say("ok", "Postgres %d.%d at %s", version / 10000, version % 10000, c->context.postgres);
    if (statements_load(c->context.sweep.statements, c->link, &c->context.sweep.pg_clock,
                        on_statements, c) != 0)
        on_statements(c, "the connection to Postgres was lost");
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    if (state == REDIS_LINK_UP && !c->redis_done)
        check_redis(c);
}

/* A server that accepts the connection and says nothing leaves no error. */
static const char *why(const char *last_error)
{
    return last_error[0] != '\0' ? last_error : "no answer within 5 s";
}

static void on_limit(void *arg)
{
    struct check *c = arg;
    if (!c->redis_done)
        fail(c, "Redis at %s is out of reach: %s", c->context.redis,
             why(redis_link_last_error(c->context.sweep.redis)));
    if (!c->postgres_done)
        fail(c, "Postgres at %s %s: %s", c->context.postgres,
             c->asked ? "does not answer" : "is out of reach", why(pg_link_last_error(c->link)));
    loop_stop(c->context.sweep.loop);
}

static int set_up(struct check *c)
{
    struct loop *loop = c->context.sweep.loop;
    const struct pg_link_options options = {
        .conninfo = c->config->conninfo,
        .application_name = "reservation-sweeper check",
        .connect_timeout_us = CONNECT_US,
        .backoff_min_us = 50 * 1000,
        .backoff_max_us = 1000 * 1000,
        .on_state = on_postgres,
        .arg = c,
    };
    c->link = pg_link_new(loop, &options);
    c->limit = timer_new(loop, on_limit, c);
    c->end = timer_new(loop, on_end, c);
    return c->link != NULL && c->limit != NULL && c->end != NULL ? 0 : -1;
}

int check_config_run(const struct config *config)
{
    struct check c;
    memset(&c, 0, sizeof(c));
    c.config = config;
    if (context_open(&c.context, config, on_redis, &c) != 0)
        return EXIT_FAILED;
    if (set_up(&c) != 0) {
        fail(&c, "out of memory or file descriptors");
    } else {
        say("ok", "settings");
        timer_after_us(c.limit, CONNECT_US);
        pg_link_start(c.link);
        redis_link_start(c.context.sweep.redis);
        if (loop_run(c.context.sweep.loop) != 0)
            fail(&c, "the event loop failed");
    }
    pg_link_free(c.link);
    timer_free(c.limit);
    timer_free(c.end);
    context_close(&c.context);
    if (c.failure[0] == '\0')
        return EXIT_DONE;
    log_event(LOG_ERROR, "The sweeper cannot work with this configuration", LOG_STR, "error",
              c.failure, LOG_END);
    return EXIT_FAILED;
}
