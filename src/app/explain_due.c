/* What keeps a reservation that is due from being released, what to do, and what happens next
 * (docs/design/desk.md). Texts of the servers are repeated as they are: who prints them disarms
 * them. */
#include "app/explain_judgements.h"
#include "app/explain_read.h"

#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One put back for a lock waits no longer (backoff.h), and a moment for the clocks. */
#define PUT_BACK_MOST_MS (6 * SECOND_MS)
/* A release that lasts longer waits for something. */
#define RELEASE_MOST_US (10 * SECOND_US)
#define DIRECT "A sweeper that runs releases it straight from Postgres, within half a second"

static const struct queue *queue_of(const struct explain_facts *f)
{
    return f->config->queue;
}

static int64_t now_ms(const struct explain_facts *f)
{
    return f->now_us / MS_US;
}

static void next_duration(struct explanation *e, int64_t us)
{
    words_add_duration(e->next, sizeof(e->next), us);
}

static void why_due(const struct explain_facts *f, struct explanation *e)
{
    WHY(e, "It has been due since ");
    explain_why_time(e, f, f->due_us);
}

bool explain_judge_table(const struct explain_facts *f, struct explanation *e)
{
    if (!f->table_blocker.holder.known ||
        (f->looked && (f->active_rows == 0 || f->due_us > f->now_us)))
        return false;
    e->cause = CAUSE_TABLE_LOCKED;
    WHY(e, "A whole table is locked, %s, by ", f->table_blocker.product);
    words_add_blocker(e->why, sizeof(e->why), &f->table_blocker, f->now_us);
    WHY(e, ".");
    words_add_remedy(e->todo, sizeof(e->todo), &f->table_blocker);
    ADVISE(e, ".");
    NEXT(e, "Nothing of this queue is released before that transaction has ended, and what is due "
            "then within seconds of it");
    explain_next_end(e, f);
    return true;
}

/* ---- nobody releases ---- */

static bool paused(const struct explain_facts *f, struct explanation *e)
{
    int64_t until_us = f->pause.until_ms * MS_US;
    if (until_us <= f->now_us)
        return false;
    e->cause = CAUSE_PAUSED;
    WHY(e, "It is due, and the queue is paused until ");
    explain_why_time(e, f, until_us);
    if (f->pause.by[0] != '\0')
        WHY(e, ", by %s", f->pause.by);
    if (f->pause.reason[0] != '\0')
        WHY(e, ": %s", f->pause.reason);
    WHY(e, ".");
    ADVISE(e, "--resume");
    explain_todo_queue(e, f);
    ADVISE(e, " ends the pause at once.");
    NEXT(e, "It is released when the pause has ended, at ");
    explain_next_time(e, f, until_us);
    explain_next_end(e, f);
    return true;
}

static bool first_run(const struct explain_facts *f, struct explanation *e)
{
    if (f->first_run[0] == '\0')
        return false;
    e->cause = CAUSE_FIRST_RUN;
    WHY(e, "It is due, and this queue is held: %s.", f->first_run);
    ADVISE(e,
           "Look at what is due (--list due); if all of it may be released, start with --yes or a "
           "higher SWEEPER_FIRST_RUN_LIMIT.");
    NEXT(e, "Nothing of this queue is released until then.");
    return true;
}

/* ---- something stands in its way ---- */

/* Its own, or another one, which keeps all others from being made. */
static bool standby_awaited(const struct explain_facts *f, struct explanation *e)
{
    const struct explain_blocker *b = &f->blocker;
    if (f->standby.pid == 0)
        return false;
    bool own = b->holder.known && b->holder.pid == f->standby.pid &&
               strcmp(b->holder.what, "reservation") == 0;
    e->cause = CAUSE_STANDBY;
    why_due(f, e);
    WHY(e,
        ", and %s release, of pid %" PRId32
        ", has waited at its COMMIT for a synchronous standby for ",
        own ? "its" : "another", f->standby.pid);
    words_add_duration(e->why, sizeof(e->why), f->standby.lasts_us);
    WHY(e, " (synchronous_standby_names is %s)%s.", f->standby.names,
        own ? "" : "; no other is made meanwhile");
    ADVISE(e, "Bring the standby back, or name one that answers, or none, in "
              "synchronous_standby_names: docs/OPERATIONS.md, \"A synchronous standby is gone\".");
    NEXT(e,
         own ? "It is released as soon as a standby has answered; that wait has no end of its own"
             : "It is released soon after a standby has answered; that wait has no end of its own");
    explain_next_end(e, f);
    return true;
}

/* For how long a sweeper has had it in hand, or another one of its product; -1: none has. */
static int64_t in_hand_us(const struct explain_facts *f)
{
    const struct explain_blocker *b = &f->blocker;
    if (!b->holder.known || !explain_is_sweeper(b))
        return -1;
    return b->since_us > 0 && b->since_us < f->now_us ? f->now_us - b->since_us : 0;
}

static void why_in_hand(const struct explain_facts *f, struct explanation *e)
{
    const struct explain_blocker *b = &f->blocker;
    e->cause = CAUSE_CLAIMED;
    why_due(f, e);
    WHY(e, ", and a sweeper, pid %" PRId32 ", is releasing %s just now.", b->holder.pid,
        strcmp(b->holder.what, "counter") == 0 ? "others of its product" : "it");
}

static bool release_lasts(const struct explain_facts *f, struct explanation *e)
{
    int64_t lasts_us = in_hand_us(f);
    if (lasts_us < RELEASE_MOST_US)
        return false;
    why_in_hand(f, e);
    NEXT(e, "It is released after the end of that sweeper's transaction, which has lasted for ");
    next_duration(e, lasts_us);
    NEXT(e, ": the sweeper's log and its /readyz say what it waits for.");
    return true;
}

/* What is kept or refused is tried again and again: this says nothing of it. */
static bool being_released(const struct explain_facts *f, struct explanation *e)
{
    if (in_hand_us(f) < 0)
        return false;
    why_in_hand(f, e);
    NEXT(e, "It is released in a moment. Where this stays so, the sweeper's log says what it "
            "waits for.");
    return true;
}

static bool locked(const struct explain_facts *f, struct explanation *e)
{
    const struct explain_blocker *b = &f->blocker;
    if (!b->holder.known || explain_is_sweeper(b))
        return false;
    e->cause = CAUSE_LOCKED;
    if (strcmp(b->holder.what, "counter") == 0)
        WHY(e, "It is due, and the counter of product %s is locked by ", b->product);
    else
        WHY(e, "It is due, and a row of it is locked by ");
    words_add_blocker(e->why, sizeof(e->why), b, f->now_us);
    WHY(e, ".");
    words_add_remedy(e->todo, sizeof(e->todo), b);
    ADVISE(e, ".");
    NEXT(e, "It is tried again every few seconds, and released within 5 s of that transaction's "
            "end");
    explain_next_end(e, f);
    return true;
}

void explain_why_kept(const struct explain_facts *f, struct explanation *e)
{
    const struct queue_keep *keep = &queue_of(f)->keep;
    int64_t since_us = f->keep.since_ms > 0 ? f->keep.since_ms * MS_US : f->due_us;
    bool attention = f->now_us - since_us >= keep->at_most_us;
    e->cause = attention ? CAUSE_ATTENTION : CAUSE_KEPT;
    WHY(e, "It is kept, since keep_while holds (%s)", keep->condition.text);
    if (since_us < f->now_us) {
        WHY(e, "; it was due at ");
        explain_why_time(e, f, since_us);
    }
    if (attention) {
        WHY(e, ", longer ago than keep.at_most, ");
        words_add_duration(e->why, sizeof(e->why), keep->at_most_us);
        WHY(e, ": somebody has to look");
    }
    WHY(e, ".");
    ADVISE(e, "Settle what keeps it, so that keep_while holds no more");
    if (f->due_us > f->now_us)
        explain_todo_extended(f, e);
    else
        ADVISE(e, "; --retry looks at it at once.");
}

void explain_todo_extended(const struct explain_facts *f, struct explanation *e)
{
    ADVISE(e, e->todo[0] != '\0' ? "; it is released " : "It is released ");
    ADVISE(e, "when its new expiry has come, at ");
    words_add_time(e->todo, sizeof(e->todo), f->due_us, f->now_us);
    ADVISE(e, ". To have it released sooner, set the expiry of its active rows to the present "
              "time: --retry does not, since it is not due.");
}

static bool kept(const struct explain_facts *f, struct explanation *e)
{
    int64_t again_us = f->keep.again_ms * MS_US;
    if (!f->kept)
        return false;
    explain_why_kept(f, e);
    if (queue_of(f)->keep.extend_us > 0 && e->cause == CAUSE_KEPT) {
        NEXT(e, "Its next look, if keep_while still holds, gives it a later expiry (keep.extend), "
                "and --retry does not look at it again before that");
        explain_next_end(e, f);
        return true;
    }
    NEXT(e, "It is looked at again ");
    if (f->kept_record && again_us > f->now_us) {
        NEXT(e, "at ");
        explain_next_time(e, f, again_us);
    } else {
        NEXT(e, "every ");
        next_duration(e, queue_of(f)->keep.look_again_us);
    }
    NEXT(e, ", and released when keep_while does not hold");
    explain_next_end(e, f);
    return true;
}

/* ---- nothing does ---- */

static bool claimed(const struct explain_facts *f, struct explanation *e)
{
    if (f->lease_ms == 0)
        return false;
    e->cause = CAUSE_CLAIMED;
    why_due(f, e);
    WHY(e, ", and a sweeper has claimed it.");
    NEXT(e, f->lease_ms > now_ms(f)
                ? "It is released in a moment; if that sweeper is gone, another claims it when the "
                  "lease has ended, at "
                : "Its lease has ended, so the next claim takes it over; it ended at ");
    explain_next_time(e, f, f->lease_ms * MS_US);
    explain_next_end(e, f);
    return true;
}

static bool no_sweeper(const struct explain_facts *f, struct explanation *e)
{
    if (f->sweeper != EXPLAIN_NO)
        return false;
    e->cause = CAUSE_NO_SWEEPER;
    why_due(f, e);
    WHY(e, ", nothing stands in its way, and no sweeper seems to run.");
    ADVISE(e, "Start the sweeper, or run --once.");
    NEXT(e, "It is released as soon as a sweeper runs.");
    return true;
}

static bool direct(const struct explain_facts *f, struct explanation *e)
{
    if (f->redis)
        return false;
    e->cause = CAUSE_DIRECT;
    why_due(f, e);
    WHY(e, ", and nothing stands in its way that Postgres knows of; Redis could not be asked: %s.",
        f->redis_error);
    ADVISE(e, "See to Redis; meanwhile sweepers work without it, and --once does.");
    NEXT(e, DIRECT ".");
    return true;
}

static bool waiting(const struct explain_facts *f, struct explanation *e)
{
    int64_t ahead_ms = f->entry_ms - now_ms(f);
    if (f->entry_ms == 0 || (ahead_ms > PUT_BACK_MOST_MS && !f->kept_record))
        return false;
    e->cause = CAUSE_WAITING;
    why_due(f, e);
    WHY(e, ahead_ms <= 0 ? ", and nothing stands in its way."
           : !f->kept_record
               ? ", and was put back for a moment, since somebody had locked it."
               : ", was kept until a while ago, and keep_while does not hold any more.");
    if (ahead_ms > 0)
        ADVISE(e, "Wait, or have it looked at at once: --retry.");
    NEXT(e, "It is released ");
    if (ahead_ms > 0) {
        NEXT(e, "when it is looked at again, at ");
        explain_next_time(e, f, f->entry_ms * MS_US);
    } else {
        NEXT(e, "with the next claim, within ");
        next_duration(e, f->config->max_sleep_us);
    }
    explain_next_end(e, f);
    return true;
}

static bool lost(const struct explain_facts *f, struct explanation *e)
{
    const struct config *c = f->config;
    int64_t look_us = c->lookahead_us > 0 ? c->feed_interval_us : c->scan_interval_us;
    e->cause = CAUSE_LOST;
    why_due(f, e);
    WHY(e, f->entry_ms == 0 ? ", nothing stands in its way, and nothing in Redis leads to it yet."
                            : ", nothing stands in its way, and Redis has it at a later time.");
    if (look_us > 0) {
        NEXT(e, "The sweeper finds it with its next look at Postgres, within ");
        next_duration(e, look_us);
        explain_next_end(e, f);
        return true;
    }
    ADVISE(e, "--once releases it, --reconcile enters it in Redis.");
    NEXT(e, "Nothing leads to it: the look-ahead and the scan are off, and its API has not entered "
            "it.");
    return true;
}

bool explain_judge_due(const struct explain_facts *f, struct explanation *e)
{
    static explain_judgement *const judgements[] = {paused,
                                                    first_run,
                                                    standby_awaited,
                                                    release_lasts,
                                                    locked,
                                                    kept,
                                                    explain_judge_refused,
                                                    explain_judge_would_be_refused,
                                                    explain_judge_fails,
                                                    being_released,
                                                    claimed,
                                                    no_sweeper,
                                                    direct,
                                                    waiting,
                                                    lost};
    for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++)
        if (judgements[i](f, e))
            break;
    return true;
}
