/* What a start finds due, and the first-run limit. What is decided is first_run_judge.c's. */
#include "release/first_run.h"

#include "base/iso_time.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "release/first_run_judge.h"
#include "release/parts.h"
#include "store/ask.h"
#include "store/statements.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_US (30 * SECOND_US)
#define COUNT_MOST 10000 /* without a limit */

struct first_run {
    struct parts *parts;
    bool always;
    bool yes; /* it is allowed however much is due */
    enum { STATE_ASKING, STATE_AGAIN, STATE_STOPPED, STATE_OPEN } state;
    enum first_run_memory memory;
    bool said;
    int64_t due, since_us; /* 0: not known */
    char mapping[FIRST_RUN_MAPPING_SIZE];
    char reason[PG_REASON_SIZE];
    struct pg_link *link;
    event_cb *done;
    void *arg;
};

static int64_t limit_of(const struct first_run *f)
{
    return f->parts->config->first_run_limit;
}

struct first_run *first_run_new(struct parts *parts, bool always)
{
    struct first_run *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->parts = parts;
    f->always = always;
    f->yes = parts->config->yes;
    if (limit_of(f) < 0)
        f->state = STATE_OPEN;
    else
        snprintf(f->reason, sizeof(f->reason),
                 "how much is due has not been counted yet, for the first-run limit");
    if (first_run_mapping(parts->config->queue, f->mapping) == 0)
        return f;
    free(f);
    return NULL;
}

void first_run_free(struct first_run *f)
{
    free(f);
}

void first_run_take_over(struct first_run *f, const struct first_run *former)
{
    bool same = strcmp(f->mapping, former->mapping) == 0;
    f->yes = f->yes || (same && (former->yes || former->state == STATE_OPEN));
    if (same && former->state == STATE_OPEN)
        f->state = STATE_OPEN;
}

bool first_run_may_release(const struct first_run *f)
{
    return f == NULL || f->state == STATE_OPEN;
}

bool first_run_wants_again(const struct first_run *f)
{
    return f->state == STATE_AGAIN;
}

bool first_run_stopped(const struct first_run *f)
{
    return f != NULL && f->state == STATE_STOPPED;
}

const char *first_run_own_mapping(const struct first_run *f)
{
    return f->mapping;
}

bool first_run_wants_redis(const struct first_run *f)
{
    return f->state == STATE_STOPPED && f->memory == FIRST_RUN_UNKNOWN && !f->always;
}

const char *first_run_reason(const struct first_run *f)
{
    return first_run_may_release(f) ? "" : f->reason;
}

/* ---- what is said ---- */

static const char *since_text(const struct first_run *f, char text[ISO_TIME_SIZE])
{
    return f->since_us > 0 ? iso_time(f->since_us, text) : NULL;
}

static int64_t count_most(const struct first_run *f)
{
    return limit_of(f) >= 0 ? limit_of(f) + 1 : COUNT_MOST;
}

static void say_due(struct first_run *f)
{
    char since[ISO_TIME_SIZE];
    if (!f->said)
        log_event(LOG_INFO, "Reservations that are due at the start", LOG_INT, "dueCount", f->due,
                  LOG_BOOL, "orMore", f->due >= count_most(f), LOG_STR, "dueSince",
                  since_text(f, since), LOG_END);
    f->said = true;
}

static void stop(struct first_run *f)
{
    char since[ISO_TIME_SIZE];
    f->state = STATE_STOPPED;
    const char *are = limit_of(f) == 1 ? "reservation is" : "reservations are";
    snprintf(f->reason, sizeof(f->reason),
             "more than %" PRId64
             " %s due, the first-run limit: nothing is released until it is started anew with "
             "--yes or a higher SWEEPER_FIRST_RUN_LIMIT",
             limit_of(f), are);
    log_event(LOG_ERROR, "More is due than the first-run limit allows: nothing is released",
              LOG_INT, "dueCount", f->due, LOG_INT, "firstRunLimit", limit_of(f), LOG_STR,
              "dueSince", since_text(f, since), LOG_STR, "error", f->reason, LOG_END);
}

/* ---- Redis ---- */

static void finish(struct first_run *f)
{
    event_cb *done = f->done;
    f->done = NULL;
    done(f->arg);
}

static void on_remembered(void *arg, const char *error)
{
    (void)arg;
    if (error != NULL)
        log_event(LOG_WARN,
                  "Redis could not be told that this queue was accepted: the next start "
                  "asks again",
                  LOG_STR, "error", error, LOG_END);
}

static void remember(struct first_run *f)
{
    char text[FIRST_RUN_MAPPING_SIZE + 48];
    first_run_text(f->mapping, f->due, f->yes, text, sizeof(text));
    if (f->memory == FIRST_RUN_UNKNOWN ||
        due_queue_accept(f->parts->queue, text, on_remembered, NULL) != 0)
        log_event(LOG_DEBUG, "That this queue was accepted is not remembered", LOG_END);
}

static void decide(struct first_run *f)
{
    int64_t limit = limit_of(f);
    switch (first_run_judge(limit, f->due, f->yes, f->memory)) {
    case FIRST_RUN_STOP:
        stop(f);
        break;
    case FIRST_RUN_ACCEPT:
        if (!f->always)
            remember(f);
        f->state = STATE_OPEN;
        break;
    case FIRST_RUN_GO:
        f->state = STATE_OPEN;
        break;
    }
    finish(f);
}

static void on_memory(void *arg, const char *text, const char *error)
{
    struct first_run *f = arg;
    f->memory = error != NULL ? FIRST_RUN_UNKNOWN : first_run_remembered(text, f->mapping);
    decide(f);
}

static void ask_memory(struct first_run *f)
{
    f->memory = FIRST_RUN_UNKNOWN;
    if (limit_of(f) < 0 || f->always || !parts_redis_usable(f->parts) ||
        due_queue_accepted(f->parts->queue, on_memory, f) != 0)
        decide(f);
}

/* ---- Postgres ---- */

static int ask(struct first_run *f, enum statement which, int nparams, const char *const *params,
               const char *timeout, pg_answer_cb *cb)
{
    static const char settings[] =
        PG_SETTINGS_2(PG_SET("statement_timeout", "$1"), PG_SET("lock_timeout", "'5s'"));
    const char *const timeouts[] = {timeout};
    const struct ask_query queries[] = {
        {.sql = settings, .nparams = 1, .params = timeouts},
        {.statement = which, .nparams = nparams, .params = params},
    };
    const struct ask_options options = {.statements = f->parts->statements,
                                        .clock = &f->parts->pg_clock,
                                        .link = f->link,
                                        .deadline_us = DEADLINE_US,
                                        .reads = true,
                                        .again = true};
    return ask_send(&options, queries, 2, cb, f);
}

/* Of each kind one is named, once: nobody would ever know of them otherwise. */
static void name_odd(const struct pg_result *r)
{
    for (int row = 0; row < pg_result_rows(r); row++) {
        bool id = pg_result_text(r, row, 0)[0] == 'i';
        log_event(LOG_WARN,
                  id ? "A hold without an id is never due"
                     : "A hold whose expiry is before 2001 or after 9999 is never due",
                  LOG_STR, id ? "place" : "reservationId", pg_result_text(r, row, 1), LOG_STR,
                  "expiresAt", pg_result_text(r, row, 2), LOG_END);
    }
}

static void on_database(void *arg, const struct pg_answer *answer)
{
    struct first_run *f = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[0] : NULL;
    if (r != NULL && pg_result_rows(r) == 1 && pg_result_columns(r) == 2)
        snprintf(f->parts->database, sizeof(f->parts->database), "%s in cluster %s",
                 pg_result_text(r, 0, 0), pg_result_text(r, 0, 1));
    ask_memory(f);
}

/* For the mark in Redis. What cannot be found out is not compared. */
static void ask_database(struct first_run *f)
{
    static const struct pg_query query = {
        .sql = "SELECT pg_catalog.current_database(), s.system_identifier::pg_catalog.text"
               "  FROM pg_catalog.pg_control_system() s"};
    if (f->always || pg_link_send(f->link, &query, 1, DEADLINE_US, on_database, f) != 0)
        ask_memory(f);
}

static void on_odd(void *arg, const struct pg_answer *answer)
{
    struct first_run *f = arg;
    if (answer->status == PG_DONE && pg_result_columns(answer->results[1]) == 3)
        name_odd(answer->results[1]);
    ask_database(f);
}

static bool may_be_odd(const struct first_run *f)
{
    const struct statements *s = f->parts->statements;
    return statements_ready(s) && (statements_types(s)->id_nullable ||
                                   f->parts->config->queue->expires_unit != QUEUE_EXPIRES_TIME);
}

static void fail(struct first_run *f, const char *error)
{
    if (limit_of(f) >= 0) {
        f->state = STATE_AGAIN;
        snprintf(f->reason, sizeof(f->reason),
                 "how much is due could not be counted, for the first-run limit: %s", error);
    }
    log_event(limit_of(f) >= 0 ? LOG_WARN : LOG_INFO,
              "How much is due at the start could not be counted", LOG_STR, "error", error,
              LOG_END);
    finish(f);
}

static void on_count(void *arg, const struct pg_answer *answer)
{
    struct first_run *f = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[1] : NULL;
    if (r == NULL || pg_result_rows(r) != 1 || pg_result_columns(r) != 2) {
        fail(f, r == NULL ? answer->message : "an unexpected answer");
        return;
    }
    f->due = pg_result_int(r, 0, 0);
    f->since_us = pg_result_null(r, 0, 1) ? 0 : pg_result_int(r, 0, 1);
    bool first = !f->said;
    say_due(f);
    if (!first || !may_be_odd(f) || ask(f, STATEMENT_ODD_ROWS, 0, NULL, "5s", on_odd) != 0)
        ask_database(f);
}

void first_run_ask(struct first_run *f, struct pg_link *link, event_cb *done, void *arg)
{
    char most[24];
    const char *const params[] = {most};
    assert(f->done == NULL);
    f->link = link;
    f->done = done;
    f->arg = arg;
    snprintf(most, sizeof(most), "%" PRId64, count_most(f));
    if (ask(f, STATEMENT_DUE_FIRST, 1, params, limit_of(f) >= 0 ? "20s" : "5s", on_count) != 0)
        fail(f, "the connection to Postgres was lost");
}
