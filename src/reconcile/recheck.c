/* The second look: what looked wrong is looked at again, a while later, and repaired only if it is
 * wrong still.
 *
 * Suspects wait in two lists, each in the order of its times: `soon` after the shortest wait,
 * `later` where the feed may still mirror a row. During a drain those whose time has come fill
 * batches of a thousand, and each batch takes these steps: idle → redis: what has Redis of them
 * now?  → wait: for the connection → postgres: what are the rows?  → repair: each only as it was
 * seen (not in a dry run)  → idle After each of the looks judge.c drops what stands as it should.
 * There are several batches, so that one is with Redis while another is with Postgres.
 *
 * What must hold: Redis is asked before Postgres (judge.h says why); between the last look and the
 * repair anything may happen, so the repair names what was seen, and lua/repair.lua changes nothing
 * else; a finding counts when it was repaired, or in a dry run. */
#include "reconcile/recheck.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "reconcile/found.h"
#include "reconcile/lookup.h"
#include "reconcile/run.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define FULL_BYTES ((size_t)5 << 20)
#define BATCH DUE_QUEUE_SCRIPT_MAX
#define BATCHES 3 /* while one waits for Redis, another is looked up in Postgres */

struct suspect {
    STAILQ_ENTRY(suspect) entry;
    int64_t first, ripe_us; /* first: as of judge_redis; ripe: monotonic, when to look again */
    uint32_t id_len;
    uint8_t what; /* enum suspicion */
    char id[];    /* terminated; may hold any byte */
};

STAILQ_HEAD(suspects, suspect);

enum step { STEP_IDLE, STEP_REDIS, STEP_WAIT, STEP_POSTGRES, STEP_REPAIR };

struct batch {
    struct reconcile *r;
    enum step step;
    size_t n;
    struct suspect *suspects[BATCH];
    struct due_entry entries[BATCH];
    struct judgement judgements[BATCH];
    char *texts[BATCH]; /* behind judgements[i].seen */
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
    struct recheck *c = r->recheck;
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
    if (delay_us <= JUDGE_AGAIN_US)
        STAILQ_INSERT_TAIL(&c->soon, s, entry);
    else
        STAILQ_INSERT_TAIL(&c->later, s, entry);
    c->bytes += size_of(s);
}

bool recheck_full(const struct reconcile *r)
{
    return r->recheck->bytes >= FULL_BYTES;
}

static void suspect_free(struct recheck *c, struct suspect *s)
{
    c->bytes -= size_of(s);
    free(s);
}

/* The one whose time comes first. */
static struct suspects *next_list(struct recheck *c)
{
    const struct suspect *soon = STAILQ_FIRST(&c->soon);
    const struct suspect *later = STAILQ_FIRST(&c->later);
    if (soon == NULL)
        return &c->later;
    return later == NULL || soon->ripe_us <= later->ripe_us ? &c->soon : &c->later;
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
        b->judgements[n] = b->judgements[i];
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

/* Counts and reports a finding. */
static void note(const struct batch *b, size_t i)
{
    found_note(b->r, b->suspects[i]->id, b->suspects[i]->id_len, &b->judgements[i]);
}

static void on_repaired(void *arg, const bool *repaired, size_t n, const char *error)
{
    struct batch *b = arg;
    struct reconcile *r = b->r;
    if (!run_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++)
        if (repaired[i])
            note(b, i);
    rest(b);
    poke(r);
}

/* Each of the batch's findings, only while it stands as it was seen. False: out of memory. */
static bool send_repairs(struct batch *b)
{
    struct due_repair *repairs = calloc(b->n, sizeof(*repairs));
    if (repairs == NULL)
        return false;
    for (size_t i = 0; i < b->n; i++) {
        const struct judgement *j = &b->judgements[i];
        assert(findings[j->finding].repair != NULL);
        repairs[i] = (struct due_repair){.what = findings[j->finding].repair,
                                         .id = b->suspects[i]->id,
                                         .id_len = b->suspects[i]->id_len,
                                         .seen = j->seen,
                                         .at_ms = j->at_ms};
    }
    b->step = STEP_REPAIR;
    run_sent(b->r, due_queue_repair(b->r->parts->queue, repairs, b->n, on_repaired, b));
    free(repairs);
    return true;
}

static void on_rows(struct reconcile *r, void *arg, const struct lookup *rows)
{
    struct batch *b = arg;
    const struct judge_times times = found_times(r);
    for (size_t i = 0; i < b->n; i++) {
        const struct suspect *s = b->suspects[i];
        if (!judge_postgres(&times, (enum suspicion)s->what, s->first, &rows[i], &b->judgements[i]))
            drop(b, i);
    }
    compact(b);
    if (b->n > 0 && !r->options.dry_run) {
        if (!send_repairs(b))
            run_fail(r, "out of memory");
    } else {
        for (size_t i = 0; i < b->n; i++)
            note(b, i);
        rest(b);
    }
    poke(r);
}

/* Keeps what Redis said beyond its reply. False: out of memory. */
static bool keep_seen(struct batch *b, size_t i)
{
    struct due_text *seen = &b->judgements[i].seen;
    if (seen->text == NULL)
        return true;
    b->texts[i] = malloc(seen->len + 1);
    if (b->texts[i] == NULL)
        return false;
    memcpy(b->texts[i], seen->text, seen->len + 1);
    seen->text = b->texts[i];
    return true;
}

static void on_found(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct batch *b = arg;
    struct reconcile *r = b->r;
    if (!run_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++) {
        const struct suspect *s = b->suspects[i];
        if (!judge_redis((enum suspicion)s->what, s->first, &states[i], &b->judgements[i])) {
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
    struct recheck *c = b->r->recheck;
    int64_t now_us = clock_mono_us();
    while (b->n < BATCH) {
        struct suspects *list = next_list(c);
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
    struct recheck *c = r->recheck;
    bool busy = false;
    bool enough = !c->all && c->bytes < FULL_BYTES / 2;
    for (int i = 0; i < BATCHES && !run_ending(r); i++) {
        struct batch *b = &c->batches[i];
        if (b->step == STEP_IDLE && c->draining && !enough)
            fill(b);
        if (b->step == STEP_WAIT && lookup_possible(r)) {
            b->step = STEP_POSTGRES;
            lookup_ask(r, b->entries, b->n, false, on_rows, b);
        }
        busy = busy || b->step != STEP_IDLE;
    }
    if (busy || !c->draining || run_ending(r))
        return;
    const struct suspect *next = STAILQ_FIRST(next_list(c));
    if (next == NULL || enough)
        drained(r);
    else
        timer_at_us(c->ripe, next->ripe_us);
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
    struct recheck *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -1;
    r->recheck = c;
    STAILQ_INIT(&c->soon);
    STAILQ_INIT(&c->later);
    for (int i = 0; i < BATCHES; i++)
        c->batches[i].r = r;
    c->ripe = timer_new(r->parts->loop, on_ripe, r);
    return c->ripe != NULL ? 0 : -1;
}

void recheck_free(struct recheck *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < BATCHES; i++)
        rest(&c->batches[i]);
    while (!STAILQ_EMPTY(&c->soon) || !STAILQ_EMPTY(&c->later)) {
        struct suspects *list = STAILQ_EMPTY(&c->soon) ? &c->later : &c->soon;
        struct suspect *s = STAILQ_FIRST(list);
        STAILQ_REMOVE_HEAD(list, entry);
        free(s);
    }
    timer_free(c->ripe);
    free(c);
}
