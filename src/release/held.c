/* Tells others that the first-run limit holds this queue, and asks who does. */
#include "release/held.h"

#include "base/time_units.h"
#include "link/loop.h"
#include "queue/due_queue.h"
#include "release/first_run.h"
#include "release/first_run_judge.h"
#include "release/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROLE "held"
#define LOOK_US (2 * SECOND_US)
#define ROLE_MS (10 * SECOND_MS) /* a few looks may fail */

struct held {
    struct parts *parts;
    struct timer *look;
    char holder[DUE_HOLDER_SIZE];
    char told[FIRST_RUN_HELD_SIZE]; /* "": nothing */
};

/* ---- telling ---- */

static void on_told(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    (void)arg;
    (void)ours; /* else another holds it too, and has told */
    (void)remaining_ms;
    (void)owner;
    (void)error; /* the next look tells it again */
}

static void take_back(struct held *h)
{
    /* Where that fails it ends by itself. */
    if (h->told[0] != '\0' && parts_redis_usable(h->parts))
        (void)!due_queue_role_release(h->parts->queue, ROLE, h->told, NULL, NULL);
    h->told[0] = '\0';
}

static void on_look(void *arg)
{
    struct held *h = arg;
    const struct first_run *f = h->parts->first_run;
    char text[FIRST_RUN_HELD_SIZE] = "";
    if (first_run_stopped(f))
        first_run_held_text(first_run_own_mapping(f), h->holder, first_run_reason(f), text);
    if (strcmp(text, h->told) != 0)
        take_back(h);
    if (text[0] != '\0' && parts_redis_usable(h->parts) &&
        due_queue_role(h->parts->queue, ROLE, text, ROLE_MS, on_told, NULL) == 0)
        memcpy(h->told, text, sizeof(text));
    timer_after_us(h->look, LOOK_US);
}

struct held *held_new(struct parts *parts)
{
    struct held *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->parts = parts;
    due_holder_name(h->holder);
    h->look = timer_new(parts->loop, on_look, h);
    if (h->look != NULL)
        return h;
    free(h);
    return NULL;
}

void held_start(struct held *h)
{
    timer_after_us(h->look, LOOK_US);
}

void held_stop(struct held *h)
{
    if (h == NULL)
        return;
    timer_clear(h->look);
    take_back(h);
}

void held_free(struct held *h)
{
    if (h == NULL)
        return;
    timer_free(h->look);
    free(h);
}

/* ---- asking ---- */

struct question {
    struct due_queue *queue;
    struct first_run_held held;
    held_cb *cb;
    void *arg;
};

static void answer(struct question *q, const char *reason, const char *error)
{
    q->cb(q->arg, reason, error);
    free(q);
}

/* Whoever releases has accepted it, with --yes say, while the one that holds it runs on. */
static void on_accepted(void *arg, const char *text, const char *error)
{
    struct question *q = arg;
    bool accepted =
        error == NULL && first_run_remembered(text, q->held.mapping) == FIRST_RUN_ACCEPTED;
    char reason[PG_REASON_SIZE];
    snprintf(reason, sizeof(reason), "%.400s (so says the sweeper %.150s)", q->held.reason,
             q->held.holder);
    answer(q, error == NULL && !accepted ? reason : "", error);
}

static void on_owner(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                     const char *error)
{
    struct question *q = arg;
    (void)ours;
    (void)remaining_ms;
    if (error != NULL || first_run_held_read(owner, &q->held) != 0)
        answer(q, "", error);
    else if (due_queue_accepted(q->queue, on_accepted, q) != 0)
        answer(q, "", "the connection was lost");
}

int held_ask(struct due_queue *queue, held_cb *cb, void *arg)
{
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return -1;
    q->queue = queue;
    q->cb = cb;
    q->arg = arg;
    int rc = due_queue_role_owner(queue, ROLE, on_owner, q);
    if (rc != 0)
        free(q);
    return rc;
}
