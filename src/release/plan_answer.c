/* What an answer of Postgres means for the range of a batch that was tried: outcomes, or what is to
 * be tried next of it. See plan.c. */
#include "release/plan_private.h"

#include "base/time_units.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* After two bulk releases that waited in vain, one after the other. Doubled each time. */
#define BULK_REST_MIN_US (250 * MS_US)
#define BULK_REST_MAX_US (4 * SECOND_US)

static void keep_error(struct item *item, const struct release_result *result)
{
    memcpy(item->sqlstate, result->sqlstate, strnlen(result->sqlstate, 5) + 1);
    item->sqlstate[5] = '\0';
    free(item->error);
    item->error = strdup(result->message);
}

/* An id that the server's encoding cannot express names no row there. If it can, that is something
 * of its row: with the next step all travel as bytes. Returns whether they shall. */
static bool unspeakable(struct item *item, const struct plan_table *table)
{
    bool plain = true;
    for (size_t i = 0; i < item->id_len; i++)
        plain = plain && (unsigned char)item->id[i] < 0x80;
    if ((plain || item->from_postgres) && table->ready && !table->bytes)
        return true;
    item->outcome = OUTCOME_INVALID;
    return false;
}

/* A row is refused: halved until it stands alone. Returns as plan_answer. */
static bool refused(struct plan *p, const struct release_result *result,
                    const struct plan_table *table, int64_t mono_us)
{
    struct range r = p->current;
    p->curious = true; /* for the breaker, and for the log */
    if (r.n > 1) {
        plan_halve(p, r.way, r.search);
        return false;
    }
    struct item *item = p->order[r.first];
    if (statements_unspeakable(result->sqlstate))
        return unspeakable(item, table);
    item->outcome = OUTCOME_FAILED;
    keep_error(item, result);
    if (item->attempts > 0) /* what was refused before says nothing new */
        return false;
    enum refusal_cause cause = breakers_cause(p->options.breakers, result);
    if (p->asked) {
        breakers_refused(p->options.breakers, item, cause, mono_us);
    } else {
        p->suspect = item;
        p->cause = cause;
    }
    return false;
}

/* What was released speaks for the statement, and for its products. */
static void acquit(struct plan *p)
{
    for (size_t i = 0; i < p->current.n; i++) {
        const struct item *item = p->order[p->current.first + i];
        if (item->outcome != OUTCOME_RELEASED)
            continue;
        p->works = true;
        if (p->asked)
            breakers_released(p->options.breakers, item);
    }
}

/* What a bulk release did not decide is left for a careful one. */
static void leave_to_care(struct plan *p)
{
    struct range r = p->current;
    size_t decided = 0;
    for (size_t i = 0; i < r.n; i++) {
        struct item *item = p->order[r.first + i];
        if (item->outcome == OUTCOME_NONE)
            continue;
        p->order[r.first + i] = p->order[r.first + decided];
        p->order[r.first + decided++] = item;
    }
    assert(plan_is_bulk(r.way) || decided == r.n);
    if (decided < r.n)
        plan_push(p, (struct range){r.first + decided, r.n - decided, RELEASE_CAREFUL, false});
}

static struct conflicts *conflicts_of(struct plan *p)
{
    return plan_at_known(p) ? &p->known_met : &p->met;
}

static void answered(struct plan *p)
{
    p->proved = true;
    if (plan_is_bulk(p->current.way))
        p->bulk_in_vain = 0;
    acquit(p);
    conflicts_passed(conflicts_of(p));
    leave_to_care(p);
}

static void give_up(struct plan *p, enum outcome outcome)
{
    plan_mark(p, p->current, outcome);
    plan_give_up(p, outcome);
}

static void server_fault(struct plan *p, const struct release_result *result)
{
    p->fault = p->order[p->current.first];
    keep_error(p->order[p->current.first], result);
    give_up(p, OUTCOME_FAULT);
}

/* Halved down to a single one, once; what stands beside that is tried as it is. So a fault of the
 * statement's costs some twenty attempts, not two for each reservation. */
static void doubt(struct plan *p, const struct release_result *result)
{
    struct range r = p->current;
    if (r.n > 1 && !p->doubted) {
        plan_halve(p, r.way, r.search);
        return;
    }
    plan_mark(p, r, OUTCOME_FAULT);
    keep_error(p->order[r.first], result);
    p->doubted = true;
}

/* The statement's fault, or a row's: a trigger of the API's may raise any error. It is a row's when
 * another was released by the same statement, or when it was refused before. */
static bool either_fault(struct plan *p, const struct release_result *result,
                         const struct plan_table *table, int64_t mono_us)
{
    if (!table->ready) /* whoever reads the catalog next says why */
        plan_give_up(p, OUTCOME_FAULT);
    else if (p->works || p->stage == STAGE_SINGLES)
        return refused(p, result, table, mono_us);
    else if (p->stage == STAGE_TOGETHER)
        doubt(p, result);
    else
        server_fault(p, result);
    return false;
}

/* A lock was met inside the release: whose it is is searched for. */
static void conflict(struct plan *p, int64_t mono_us)
{
    struct range r = p->current;
    if (p->stage == STAGE_COUNTERS) /* they are locked already, by a counter */
        return;
    switch (conflicts_met(conflicts_of(p), r.n, mono_us)) {
    case CONFLICT_REPEAT:
        plan_push(p, r);
        break;
    case CONFLICT_HALVE:
        plan_halve(p, RELEASE_CAREFUL, true);
        break;
    case CONFLICT_LEAVE:
        plan_mark(p, r, OUTCOME_LOCKED);
        for (size_t i = r.first; i < r.first + r.n; i++)
            p->order[i]->lock = r.n == 1 ? LOCK_INSIDE : LOCK_AMONG;
        break;
    }
}

/* Nothing was looked at, and each further attempt would wait as long. */
static void leave_to_the_other(struct plan *p)
{
    for (size_t i = 0; i < p->end[GROUP_INVALID]; i++)
        if (p->order[i]->outcome == OUTCOME_NONE)
            p->order[i]->lock = LOCK_AMONG;
    plan_give_up(p, OUTCOME_LOCKED);
}

static void rest_from_bulk(struct plan *p, int64_t mono_us)
{
    int64_t rest_us = p->bulk_in_vain < 1 ? 0 : BULK_REST_MIN_US << (p->bulk_in_vain - 1);
    p->bulk_rest_end_us = mono_us + rest_us;
    if (rest_us < BULK_REST_MAX_US)
        p->bulk_in_vain++;
}

/* What fails the bulk way says little: a lock, or a reservation that was flipped in part. True when
 * the careful way is to say more. */
static bool bulk_failed(struct plan *p, const struct release_result *result, int64_t mono_us)
{
    bool vain = result->fault == RELEASE_RETRY || result->fault == RELEASE_SLOW;
    if (!plan_is_bulk(p->current.way) ||
        !(vain || result->fault == RELEASE_ROW || result->fault == RELEASE_EITHER))
        return false;
    struct range careful = p->current;
    careful.way = RELEASE_CAREFUL;
    plan_push(p, careful);
    if (vain)
        rest_from_bulk(p, mono_us);
    return true;
}

bool plan_answer(struct plan *p, const struct release_result *result,
                 const struct plan_table *table, int64_t mono_us)
{
    assert(p->stage < STAGE_PROOF);
    if (bulk_failed(p, result, mono_us))
        return false;
    switch (result->fault) {
    case RELEASE_OK:
        answered(p);
        break;
    case RELEASE_ROW:
        return refused(p, result, table, mono_us);
    case RELEASE_RETRY:
        conflict(p, mono_us);
        break;
    case RELEASE_BUSY:
        leave_to_the_other(p);
        break;
    case RELEASE_SLOW: /* too much at once, or a trigger that takes its time: locks end sooner */
        if (p->stage != STAGE_COUNTERS)
            return refused(p, result, table, mono_us);
        break;
    case RELEASE_GONE:
    case RELEASE_UNKNOWN:
        give_up(p, OUTCOME_UNKNOWN);
        break;
    case RELEASE_STALE: /* the next step arranges all of them anew */
        plan_push(p, p->current);
        break;
    case RELEASE_EITHER:
        return either_fault(p, result, table, mono_us);
    case RELEASE_SERVER:
        server_fault(p, result);
        break;
    }
    return false;
}
