/* The verdict, on time or not, and what else health decides.
 *
 * It is not ready while it cannot release (Postgres, its tables, a synchronous standby that is
 * gone), or may not (the first-run limit), while it begins or ends, while
 * what is overdue is not known, and when something has been overdue for longer than 30 s; the first
 * of these that holds is the reason that is given. Redis is none: releases go on without it. Nor is
 * a pause, in which nothing is overdue. */
#include "health/health_verdict.h"

#include "feed/overdue.h"
#include "health/health.h"
#include "release/pause_record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int64_t health_overdue_us(const struct health_report *r)
{
    bool any = r->overdue_known && r->overdue_since_us > 0;
    int64_t since_us =
        r->overdue_since_us > r->pause_ended_us ? r->overdue_since_us : r->pause_ended_us;
    return any && r->now_us > since_us ? r->now_us - since_us : 0;
}

void health_paused(struct health_report *r, const struct pause_record *pause)
{
    r->pause = pause;
    if (pause == NULL)
        return;
    r->overdue_known = true; /* whether anybody was asked or not */
    r->overdue_since_us = 0;
    r->overdue_id = r->overdue_product = "";
    r->locked = 0;
    r->locked_us = 0;
    r->lockeds = NULL;
}

static void say_unknown(struct health_report *r)
{
    char silent[48] = "is not known";
    if (r->silent_us > 0)
        snprintf(silent, sizeof(silent), "has not been known for %lld s",
                 (long long)(r->silent_us / SECOND_US));
    snprintf(r->reason, sizeof(r->reason), "whether anything is overdue %s%s%s", silent,
             r->overdue_unknown[0] != '\0' ? ": " : "", r->overdue_unknown);
}

void health_judge(struct health_report *r, const char *unusable)
{
    int64_t overdue_us = health_overdue_us(r);
    assert(overdue_us >= 0);
    /* A first attempt that has not failed is no outage. */
    bool connecting = r->starting && !r->postgres.up && r->postgres.error[0] == '\0';
    r->ready = false;
    if (!r->postgres.up && !connecting)
        snprintf(r->reason, sizeof(r->reason), "Postgres is out of reach%s%s",
                 r->postgres.error[0] != '\0' ? ": " : "", r->postgres.error);
    else if (unusable[0] != '\0')
        snprintf(r->reason, sizeof(r->reason), "the database cannot be used as it is: %s",
                 unusable);
    else if (r->held != NULL && r->held[0] != '\0' && !r->stopping)
        snprintf(r->reason, sizeof(r->reason), "%s", r->held);
    else if (r->stopping || r->starting)
        snprintf(r->reason, sizeof(r->reason), "%s", r->stopping ? "stopping" : "starting");
    else if (r->standby_wait_us > HEALTH_OVERDUE_MAX_US)
        snprintf(r->reason, sizeof(r->reason),
                 "a release has waited at its COMMIT for a synchronous standby for %lld s",
                 (long long)(r->standby_wait_us / SECOND_US));
    else if (!r->overdue_known)
        say_unknown(r);
    else if (overdue_us > HEALTH_OVERDUE_MAX_US)
        snprintf(r->reason, sizeof(r->reason), "a reservation has been overdue for %lld s%s%s",
                 (long long)(overdue_us / SECOND_US), r->overdue_id[0] != '\0' ? ": " : "",
                 r->overdue_id);
    else
        r->ready = true;
}

/* Which of them is not ready, and why; as far as there is room. */
static void add_reason(struct health_report *sum, const struct health_report *r)
{
    size_t len = strlen(sum->reason);
    snprintf(sum->reason + len, sizeof(sum->reason) - len, "%squeue %s: %s", len > 0 ? "; " : "",
             r->queue, r->reason);
}

void health_sum(const struct health_report *reports, int n, struct health_report *sum)
{
    assert(n > 0);
    *sum = reports[0];
    if (n == 1)
        return;
    sum->reason[0] = '\0';
    for (int i = 0; i < n; i++) {
        const struct health_report *r = &reports[i];
        if (!r->ready)
            add_reason(sum, r);
        sum->ready = sum->ready && r->ready;
        if (r->pause != NULL && (sum->pause == NULL || r->pause->until_ms > sum->pause->until_ms))
            sum->pause = r->pause;
        if (!sum->degraded && r->degraded)
            sum->degraded_reason = r->degraded_reason;
        sum->degraded = sum->degraded || r->degraded;
        if (sum->redis.up && !r->redis.up) /* each has its own connection */
            sum->redis = r->redis;
        sum->overdue_known = sum->overdue_known && r->overdue_known;
        if (health_overdue_us(r) > health_overdue_us(sum)) {
            sum->overdue_since_us = r->overdue_since_us;
            sum->pause_ended_us = r->pause_ended_us;
            sum->now_us = r->now_us;
        }
        sum->sizes_known = sum->sizes_known && r->sizes_known;
        sum->kept_known = sum->kept_known && r->kept_known;
        sum->locked_known = sum->locked_known && r->locked_known;
        if (i > 0) {
            sum->failed += r->failed;
            sum->kept += r->kept;
            sum->attention += r->attention;
            sum->locked += r->locked;
        }
    }
}

bool health_wants_sizes(int64_t age_us, int64_t next_due_us, int64_t now_us)
{
    bool late = next_due_us > 0 && next_due_us + HEALTH_TICK_US < now_us;
    return age_us >= (late ? HEALTH_TICK_US : SIZES_US);
}

bool health_wants_records(int64_t known_of, int64_t age_us, int64_t n)
{
    return n > 0 && (known_of != n || age_us >= RECORDS_US);
}

bool health_has_started(bool overdue_known, bool sizes_heard, bool degraded)
{
    return overdue_known && (sizes_heard || degraded);
}

bool health_is_starting(bool started, int64_t age_us)
{
    return !started && age_us <= OVERDUE_KNOWN_US;
}

void health_postgres(struct health_server *postgres, bool workers_up, const char *workers_error,
                     const char *feed_error)
{
    postgres->up = workers_up && feed_error == NULL;
    postgres->error = workers_up && feed_error != NULL ? feed_error : workers_error;
}
