/* The second look: what looked wrong is looked at again, a while later, and repaired only if it is
 * wrong still.
 *
 * Suspects wait in two lists, each in the order of its times: `soon` after the shortest wait,
 * `later` where the feed may still mirror a row. During a drain those whose time has come fill
 * groups of a thousand, and each group takes these steps: idle → redis: what has Redis of them
 * now?  → wait: for the connection → postgres: what are the rows?  → repair: each only as it was
 * seen (not in a dry run)  → idle. After each of the looks judge.c drops what stands as it should.
 * There are several groups, so that one is with Redis while another is with Postgres.
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
#define GROUP_SIZE DUE_QUEUE_FOURS_MAX
#define GROUPS 3 /* while one waits for Redis, another is looked up in Postgres */

struct suspect {
    STAILQ_ENTRY(suspect) entry;
    int64_t first, ripe_us; /* first: as of judge_redis; ripe: monotonic, when to look again */
    uint32_t id_len;
    uint8_t what; /* enum suspicion */
    char id[];    /* terminated; may be any bytes */
};

STAILQ_HEAD(suspects, suspect);

enum step { STEP_IDLE, STEP_REDIS, STEP_WAIT, STEP_POSTGRES, STEP_REPAIR };

struct group {
    struct reconcile *r;
    enum step step;
    size_t n;
    struct suspect *suspects[GROUP_SIZE];
    struct due_entry entries[GROUP_SIZE];
    struct judgement judgements[GROUP_SIZE];
    char *texts[GROUP_SIZE]; /* behind judgements[i].seen */
};

struct recheck {
    struct suspects soon, later; /* each in the order of their times */
    size_t bytes;
    struct group groups[GROUPS];
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

/* ---- one group ---- */

static void drop(struct group *g, size_t i)
{
    suspect_free(g->r->recheck, g->suspects[i]);
    free(g->texts[i]);
    g->suspects[i] = NULL;
    g->texts[i] = NULL;
}

/* Closes the gaps that dropped ones left. */
static void compact(struct group *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (g->suspects[i] == NULL)
            continue;
        g->suspects[n] = g->suspects[i];
        g->entries[n] = g->entries[i];
        g->judgements[n] = g->judgements[i];
        g->texts[n] = g->texts[i];
        n++;
    }
    g->n = n;
}

static void rest(struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        drop(g, i);
    g->n = 0;
    g->step = STEP_IDLE;
}

/* ---- the steps of a group ---- */

/* Counts and reports a finding. */
static void note(const struct group *g, size_t i)
{
    found_note(g->r, g->suspects[i]->id, g->suspects[i]->id_len, &g->judgements[i]);
}

static void on_repaired(void *arg, const bool *repaired, size_t n, const char *error)
{
    struct group *g = arg;
    struct reconcile *r = g->r;
    if (!run_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++)
        if (repaired[i])
            note(g, i);
    rest(g);
    poke(r);
}

/* Each of the group's findings, only while it stands as it was seen. False: out of memory. */
static bool send_repairs(struct group *g)
{
    struct due_repair *repairs = calloc(g->n, sizeof(*repairs));
    if (repairs == NULL)
        return false;
    for (size_t i = 0; i < g->n; i++) {
        const struct judgement *j = &g->judgements[i];
        assert(findings[j->finding].repair != NULL);
        repairs[i] = (struct due_repair){.what = findings[j->finding].repair,
                                         .id = g->suspects[i]->id,
                                         .id_len = g->suspects[i]->id_len,
                                         .seen = j->seen,
                                         .at_ms = j->at_ms};
    }
    g->step = STEP_REPAIR;
    run_sent(g->r, due_queue_repair(g->r->parts->queue, repairs, g->n, on_repaired, g));
    free(repairs);
    return true;
}

static void on_rows(struct reconcile *r, void *arg, const struct lookup *rows)
{
    struct group *g = arg;
    const struct judge_times times = found_times(r);
    for (size_t i = 0; i < g->n; i++) {
        const struct suspect *s = g->suspects[i];
        if (!judge_postgres(&times, (enum suspicion)s->what, s->first, &rows[i], &g->judgements[i]))
            drop(g, i);
    }
    compact(g);
    if (g->n > 0 && !r->options.dry_run) {
        if (!send_repairs(g))
            run_fail(r, "out of memory");
    } else {
        for (size_t i = 0; i < g->n; i++)
            note(g, i);
        rest(g);
    }
    poke(r);
}

/* Keeps what Redis said beyond its reply. False: out of memory. */
static bool keep_seen(struct group *g, size_t i)
{
    struct due_text *seen = &g->judgements[i].seen;
    if (seen->text == NULL)
        return true;
    g->texts[i] = malloc(seen->len + 1);
    if (g->texts[i] == NULL)
        return false;
    memcpy(g->texts[i], seen->text, seen->len + 1);
    seen->text = g->texts[i];
    return true;
}

static void on_found(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct group *g = arg;
    struct reconcile *r = g->r;
    if (!run_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++) {
        const struct suspect *s = g->suspects[i];
        if (!judge_redis((enum suspicion)s->what, s->first, &states[i], &g->judgements[i])) {
            drop(g, i);
        } else if (!keep_seen(g, i)) {
            run_fail(r, "out of memory");
            return;
        }
    }
    compact(g);
    g->step = g->n > 0 ? STEP_WAIT : STEP_IDLE;
    poke(r);
}

/* Takes those whose time has come. */
static void fill(struct group *g)
{
    struct recheck *c = g->r->recheck;
    int64_t now_us = clock_mono_us();
    while (g->n < GROUP_SIZE) {
        struct suspects *list = next_list(c);
        struct suspect *s = STAILQ_FIRST(list);
        if (s == NULL || s->ripe_us > now_us)
            break;
        STAILQ_REMOVE_HEAD(list, entry);
        g->suspects[g->n] = s;
        g->texts[g->n] = NULL;
        g->entries[g->n] = (struct due_entry){.id = s->id, .id_len = s->id_len};
        g->n++;
    }
    if (g->n == 0)
        return;
    g->step = STEP_REDIS;
    run_sent(g->r, due_queue_lookup(g->r->parts->queue, g->entries, g->n, on_found, g));
}

static void drained(struct reconcile *r)
{
    void (*cb)(struct reconcile *) = r->recheck->cb;
    r->recheck->draining = false;
    r->recheck->cb = NULL;
    cb(r);
}

/* Gives each group its next step, where it can take one. */
static void poke(struct reconcile *r)
{
    struct recheck *c = r->recheck;
    bool busy = false;
    bool enough = !c->all && c->bytes < FULL_BYTES / 2;
    for (int i = 0; i < GROUPS && !run_ending(r); i++) {
        struct group *g = &c->groups[i];
        if (g->step == STEP_IDLE && c->draining && !enough)
            fill(g);
        if (g->step == STEP_WAIT && lookup_possible(r)) {
            g->step = STEP_POSTGRES;
            lookup_ask(r, g->entries, g->n, false, on_rows, g);
        }
        busy = busy || g->step != STEP_IDLE;
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
    for (int i = 0; i < GROUPS; i++)
        c->groups[i].r = r;
    c->ripe = timer_new(r->parts->loop, on_ripe, r);
    return c->ripe != NULL ? 0 : -1;
}

void recheck_free(struct recheck *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < GROUPS; i++)
        rest(&c->groups[i]);
    while (!STAILQ_EMPTY(&c->soon) || !STAILQ_EMPTY(&c->later)) {
        struct suspects *list = STAILQ_EMPTY(&c->soon) ? &c->later : &c->soon;
        struct suspect *s = STAILQ_FIRST(list);
        STAILQ_REMOVE_HEAD(list, entry);
        free(s);
    }
    timer_free(c->ripe);
    free(c);
}
