/* Looking again: what looked wrong is looked at a second time, a while later, in Redis and then in
 * Postgres, and repaired only if it is wrong still.
 *
 * The order matters. A row that is active after Redis had no entry for it was active all along: an
 * API that commits and then removes its entry is never taken for one that lost it. */
#include "base/clock.h"
#include "link/loop.h"
#include "reconcile/reconcile_private.h"
#include "release/parts.h"

#include <stdlib.h>
#include <string.h>

#define FULL_BYTES ((size_t)5 << 20)
#define BATCH DUE_QUEUE_SCRIPT_MAX
#define BATCHES 3 /* while one waits for Redis, another is looked up in Postgres */

STAILQ_HEAD(suspects, suspect);

enum step { STEP_IDLE, STEP_REDIS, STEP_WAIT, STEP_POSTGRES, STEP_MEND };

struct batch {
    struct reconcile *r;
    enum step step;
    size_t n;
    struct suspect *suspects[BATCH];
    struct due_entry entries[BATCH];
    struct due_repair repairs[BATCH];
    char *texts[BATCH]; /* behind repairs[i].seen */
};

struct recheck {
    struct suspects soon, later; /* each in the order of their times */
    size_t bytes;
    struct batch batches[BATCHES];
    struct timer *ripe;
    bool draining, all;
    void (*cb)(struct reconcile *r);
};

static void poke(struct reconcile *r);

/* ---- the queue of suspects ---- */

static size_t size_of(const struct suspect *s)
{
    return sizeof(*s) + s->id_len + 17; /* with what malloc adds */
}

void recheck_add(struct reconcile *r, enum suspicion what, const char *id, size_t id_len,
                 int64_t first, int64_t delay_us)
{
    struct recheck *a = r->recheck;
    struct suspect *s = malloc(sizeof(*s) + id_len + 1);
    if (s == NULL) {
        run_fail(r, "out of memory");
        return;
    }
    s->first = first;
    s->ripe_us = clock_mono_us() + delay_us;
    s->id_len = (uint32_t)id_len;
    s->what = (uint8_t)what;
    memcpy(s->id, id, id_len);
    s->id[id_len] = '\0';
    if (delay_us <= RECONCILE_AGAIN_US)
        STAILQ_INSERT_TAIL(&a->soon, s, entry);
    else
        STAILQ_INSERT_TAIL(&a->later, s, entry);
    a->bytes += size_of(s);
}

bool recheck_full(const struct reconcile *r)
{
    return r->recheck->bytes >= FULL_BYTES;
}

static void suspect_free(struct recheck *a, struct suspect *s)
{
    a->bytes -= size_of(s);
    free(s);
}

/* The one whose time comes first. */
static struct suspects *next_list(struct recheck *a)
{
    const struct suspect *soon = STAILQ_FIRST(&a->soon);
    const struct suspect *later = STAILQ_FIRST(&a->later);
    if (soon == NULL)
        return &a->later;
    return later == NULL || soon->ripe_us <= later->ripe_us ? &a->soon : &a->later;
}

/* ---- one batch ---- */

static void drop(struct batch *b, size_t i)
{
    suspect_free(b->r->recheck, b->suspects[i]);
    free(b->texts[i]);
    b->suspects[i] = NULL;
    b->texts[i] = NULL;
}

/* Closes the gaps that dropped ones left. */
static void compact(struct batch *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->suspects[i] == NULL)
            continue;
        b->suspects[n] = b->suspects[i];
        b->entries[n] = b->entries[i];
        b->repairs[n] = b->repairs[i];
        b->texts[n] = b->texts[i];
        n++;
    }
    b->n = n;
}

static void rest(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        drop(b, i);
    b->n = 0;
    b->step = STEP_IDLE;
}

/* ---- the steps of a batch ---- */

static void on_repaired(void *arg, const bool *repaired, size_t n, const char *error)
{
    struct batch *b = arg;
    struct reconcile *r = b->r;
    if (!run_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++)
        if (repaired[i])
            judge_count(r, b->suspects[i], &b->repairs[i]);
    rest(b);
    poke(r);
}

static void on_looks(struct reconcile *r, void *arg, const struct lookup *looks)
{
    struct batch *b = arg;
    for (size_t i = 0; i < b->n; i++)
        if (!judge_postgres(r, b->suspects[i], &looks[i], &b->repairs[i]))
            drop(b, i);
    compact(b);
    if (b->n > 0 && !r->options.dry_run) {
        b->step = STEP_MEND;
        run_sent(r, due_queue_repair(r->parts->queue, b->repairs, b->n, on_repaired, b));
    } else {
        for (size_t i = 0; i < b->n; i++)
            judge_count(r, b->suspects[i], &b->repairs[i]);
        rest(b);
    }
    poke(r);
}

/* Keeps what Redis said beyond its reply. False: out of memory. */
static bool keep_seen(struct batch *b, size_t i)
{
    struct due_repair *repair = &b->repairs[i];
    if (repair->seen.text == NULL)
        return true;
    b->texts[i] = malloc(repair->seen.len + 1);
    if (b->texts[i] == NULL)
        return false;
    memcpy(b->texts[i], repair->seen.text, repair->seen.len + 1);
    repair->seen.text = b->texts[i];
    return true;
}

static void on_found(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct batch *b = arg;
    struct reconcile *r = b->r;
    if (!run_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++) {
        struct due_repair *repair = &b->repairs[i];
        *repair = (struct due_repair){.id = b->suspects[i]->id, .id_len = b->suspects[i]->id_len};
        if (!judge_redis(b->suspects[i], &states[i], repair)) {
            drop(b, i);
        } else if (!keep_seen(b, i)) {
            run_fail(r, "out of memory");
            return;
        }
    }
    compact(b);
    b->step = b->n > 0 ? STEP_WAIT : STEP_IDLE;
    poke(r);
}

/* Takes those whose time has come. */
static void fill(struct batch *b)
{
    struct recheck *a = b->r->recheck;
    int64_t now_us = clock_mono_us();
    while (b->n < BATCH) {
        struct suspects *list = next_list(a);
        struct suspect *s = STAILQ_FIRST(list);
        if (s == NULL || s->ripe_us > now_us)
            break;
        STAILQ_REMOVE_HEAD(list, entry);
        b->suspects[b->n] = s;
        b->texts[b->n] = NULL;
        b->entries[b->n] = (struct due_entry){.id = s->id, .id_len = s->id_len};
        b->n++;
    }
    if (b->n == 0)
        return;
    b->step = STEP_REDIS;
    run_sent(b->r, due_queue_lookup(b->r->parts->queue, b->entries, b->n, on_found, b));
}

static void drained(struct reconcile *r)
{
    void (*cb)(struct reconcile *) = r->recheck->cb;
    r->recheck->draining = false;
    r->recheck->cb = NULL;
    cb(r);
}

/* Gives each batch its next step, where it can take one. */
static void poke(struct reconcile *r)
{
    struct recheck *a = r->recheck;
    bool busy = false;
    bool enough = !a->all && a->bytes < FULL_BYTES / 2;
    for (int i = 0; i < BATCHES && !run_ending(r); i++) {
        struct batch *b = &a->batches[i];
        if (b->step == STEP_IDLE && a->draining && !enough)
            fill(b);
        if (b->step == STEP_WAIT && lookup_possible(r)) {
            b->step = STEP_POSTGRES;
            lookup_ask(r, b->entries, b->n, false, on_looks, b);
        }
        busy = busy || b->step != STEP_IDLE;
    }
    if (busy || !a->draining || run_ending(r))
        return;
    const struct suspect *next = STAILQ_FIRST(next_list(a));
    if (next == NULL || enough)
        drained(r);
    else
        timer_at_us(a->ripe, next->ripe_us);
}

static void on_ripe(void *arg)
{
    poke(arg);
}

void recheck_drain(struct reconcile *r, bool all, void (*cb)(struct reconcile *r))
{
    r->recheck->draining = true;
    r->recheck->all = all;
    r->recheck->cb = cb;
    timer_after_us(r->recheck->ripe, 0);
}

int recheck_new(struct reconcile *r)
{
    struct recheck *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -1;
    r->recheck = a;
    STAILQ_INIT(&a->soon);
    STAILQ_INIT(&a->later);
    for (int i = 0; i < BATCHES; i++)
        a->batches[i].r = r;
    a->ripe = timer_new(r->parts->loop, on_ripe, r);
    return a->ripe != NULL ? 0 : -1;
}

void recheck_free(struct recheck *a)
{
    if (a == NULL)
        return;
    for (int i = 0; i < BATCHES; i++)
        rest(&a->batches[i]);
    while (!STAILQ_EMPTY(&a->soon) || !STAILQ_EMPTY(&a->later)) {
        struct suspects *list = STAILQ_EMPTY(&a->soon) ? &a->later : &a->soon;
        struct suspect *s = STAILQ_FIRST(list);
        STAILQ_REMOVE_HEAD(list, entry);
        free(s);
    }
    timer_free(a->ripe);
    free(a);
}
