/* Tells others that something was released. */
#include "release/announcer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/outage.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GAP_US (100 * MS_US)
#define AGAIN_US SECOND_US /* after a refusal */
#define DEADLINE_US (3 * SECOND_US)
#define FLUSH_US SECOND_US
#define BACKOFF_MAX_US (5 * SECOND_US)

/* The lock at its COMMIT is waited for within lock_timeout; a statement's own time ends before. */
static const char settings_sql[] =
    PG_SETTINGS_2(PG_SET("lock_timeout", "'1s'"), PG_SET("statement_timeout", "'1s'"));
const char announcer_sql[] = "SELECT pg_catalog.pg_notify($1, $2)";

struct announcer {
    const struct parts *parts;
    struct pg_link *link; /* NULL: nothing was released yet */
    struct timer *turn;   /* when the next may be sent */
    struct timer *limit;  /* of a flush */
    int64_t next_us;      /* ... monotonic */
    uint64_t untold;      /* released, and nobody knows */
    uint64_t sent;        /* of the one under way */
    struct outage refused;
    event_cb *done; /* of a flush; NULL: there is none */
    void *arg;
};

static void finish(void *arg)
{
    struct announcer *a = arg;
    event_cb *done = a->done;
    timer_clear(a->limit);
    a->done = NULL;
    done(a->arg);
}

static bool may_send(const struct announcer *a)
{
    return a->untold > 0 && a->link != NULL && pg_link_up(a->link) && !pg_link_busy(a->link);
}

static void note_refused(struct announcer *a, const struct pg_answer *answer)
{
    enum outage_say say = outage_on(&a->refused, answer->message, true, clock_mono_us());
    if (say == OUTAGE_WARN || say == OUTAGE_ERROR)
        log_event(LOG_WARN, "What was released cannot be announced", LOG_STR, "channel",
                  a->parts->config->queue->notify.text, LOG_STR, "sqlstate", answer->sqlstate,
                  LOG_STR, "error", answer->message, LOG_END);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct announcer *a = arg;
    if (answer->status == PG_DONE) {
        (void)outage_off(&a->refused, clock_mono_us());
    } else {
        a->untold += a->sent;
        a->next_us = clock_mono_us() + AGAIN_US;
    }
    if (answer->status == PG_REFUSED)
        note_refused(a, answer);
    if (a->untold > 0)
        timer_at_us(a->turn, a->next_us);
    else if (a->done != NULL)
        finish(a);
}

static void send(struct announcer *a)
{
    const struct queue *q = a->parts->config->queue;
    char payload[QUEUE_NAME_MAX + 64];
    const char *params[] = {q->notify.text, payload};
    const struct pg_query queries[] = {{.sql = settings_sql},
                                       {.sql = announcer_sql, .params = params, .nparams = 2}};
    /* A queue's name needs no escapes (queue_read.c). */
    snprintf(payload, sizeof(payload), "{\"queue\":\"%s\",\"released\":%" PRIu64 "}", q->name,
             a->untold);
    if (pg_link_send(a->link, queries, 2, DEADLINE_US, on_answer, a) != 0)
        return; /* it is told when there is a connection again */
    a->sent = a->untold;
    a->untold = 0;
    a->next_us = clock_mono_us() + GAP_US;
}

static void on_state(void *arg, bool up, const char *reason)
{
    struct announcer *a = arg;
    (void)reason; /* the outage of this server is said by others */
    if (up && a->untold > 0)
        timer_at_us(a->turn, a->next_us);
}

static void on_turn(void *arg)
{
    struct announcer *a = arg;
    const struct pg_link_options options = {
        .source = a->parts->postgres,
        .application_name = "reservation-sweeper notify",
        .backoff_max_us = BACKOFF_MAX_US,
        .on_state = on_state,
        .arg = a,
    };
    if (a->link == NULL) {
        a->link = pg_link_new(a->parts->loop, &options);
        if (a->link != NULL)
            pg_link_start(a->link);
    } else if (may_send(a)) {
        send(a);
    }
}

struct announcer *announcer_new(const struct parts *parts)
{
    struct announcer *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    assert(parts->config->queue->notify.text != NULL);
    a->parts = parts;
    a->turn = timer_new(parts->loop, on_turn, a);
    a->limit = timer_new(parts->loop, finish, a);
    if (a->turn != NULL && a->limit != NULL)
        return a;
    announcer_free(a);
    return NULL;
}

void announcer_free(struct announcer *a)
{
    if (a == NULL)
        return;
    a->untold = 0;
    a->done = NULL;
    pg_link_free(a->link); /* which may answer */
    timer_free(a->turn);
    timer_free(a->limit);
    free(a);
}

void announcer_released(struct announcer *a)
{
    if (a == NULL)
        return;
    if (a->untold++ == 0 && !timer_armed(a->turn) &&
        (a->link == NULL || !pg_link_busy(a->link))) /* else the answer arms it */
        timer_at_us(a->turn, a->next_us);
}

void announcer_flush(struct announcer *a, event_cb *done, void *arg)
{
    if (a == NULL || (a->untold == 0 && (a->link == NULL || !pg_link_busy(a->link)))) {
        done(arg);
        return;
    }
    a->done = done;
    a->arg = arg;
    timer_after_us(a->limit, FLUSH_US);
}
