/* The breakers of all products: a table by product, see breakers.h. */
#include "release/breakers.h"

#include "base/hash.h"
#include "base/log.h"
#include "config/queue.h"
#include "release/breaker.h"
#include "release/refusal_log.h"
#include "release/release.h"

#include <argz.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 256

struct slot {
    uint64_t product; /* a hash */
    struct breaker breaker;
    char sqlstate[6]; /* why the last of them was refused that counts */
    char message[200];
};

struct breakers {
    const struct queue *queue;
    struct refusal_log *log;
    size_t n; /* slots that are taken: the first ones */
    struct slot slots[SLOTS];
};

struct breakers *breakers_new(const struct queue *queue, struct refusal_log *log)
{
    struct breakers *b = calloc(1, sizeof(*b));
    if (b != NULL) {
        b->queue = queue;
        b->log = log;
    }
    return b;
}

void breakers_free(struct breakers *b)
{
    free(b);
}

void breakers_forget(struct breakers *b)
{
    memset(b->slots, 0, sizeof(b->slots));
    b->n = 0;
}

bool breakers_any(const struct breakers *b, int64_t mono_us)
{
    for (size_t i = 0; i < b->n; i++)
        if (breaker_speaks(&b->slots[i].breaker, mono_us))
            return true;
    return false;
}

static struct slot *find(struct breakers *b, const char *product)
{
    uint64_t h = hash_text(product);
    for (size_t i = 0; i < b->n; i++)
        if (b->slots[i].product == h)
            return &b->slots[i];
    return NULL;
}

/* One that is not taken yet, or the one that was used longest ago. */
static struct slot *spare(struct breakers *b)
{
    if (b->n < SLOTS)
        return &b->slots[b->n++];
    struct slot *oldest = &b->slots[0];
    for (size_t i = 1; i < SLOTS; i++)
        if (b->slots[i].breaker.last_us < oldest->breaker.last_us)
            oldest = &b->slots[i];
    return oldest;
}

/* The product's slot, or a spare one, made the product's. */
static struct slot *take(struct breakers *b, const char *product)
{
    struct slot *s = find(b, product);
    if (s != NULL)
        return s;
    s = spare(b);
    *s = (struct slot){.product = hash_text(product)};
    return s;
}

enum refusal_cause breakers_cause(const struct breakers *b, const struct release_result *result)
{
    const char *counters = b->queue->stock.table.name;
    if (strcmp(result->sqlstate, RELEASE_WRONG_COUNTER) == 0)
        return CAUSE_COUNTER;
    if (strcmp(result->sqlstate, RELEASE_WRONG_ROW) == 0)
        return CAUSE_ROW;
    if (strncmp(result->sqlstate, "23", 2) != 0)
        return CAUSE_UNCLEAR;
    if (counters != NULL && strcmp(result->table, counters) == 0)
        return CAUSE_COUNTER;
    return strcmp(result->table, b->queue->table.name) == 0 ? CAUSE_ROW : CAUSE_UNCLEAR;
}

static void defer(struct item *item, struct slot *s, int64_t mono_us)
{
    item->outcome = OUTCOME_DEFERRED;
    item->wait_us = breaker_defer(&s->breaker) - mono_us;
    memcpy(item->sqlstate, s->sqlstate, sizeof(item->sqlstate));
    free(item->error);
    item->error = strdup(s->message);
}

/* Of several products the one that is open longest decides; a trial is one for all that are due. */
static enum breaker_verdict judge(struct breakers *b, struct item *item, int64_t mono_us)
{
    struct slot *open = NULL;
    struct slot *trials[16] = {NULL};
    size_t n = 0;
    for (char *p = NULL; (p = argz_next(item->products, item->products_len, p)) != NULL;) {
        struct slot *s = find(b, p);
        enum breaker_verdict verdict =
            s != NULL ? breaker_verdict(&s->breaker, mono_us) : BREAKER_TRY;
        if (verdict == BREAKER_DEFER &&
            (open == NULL || s->breaker.until_us > open->breaker.until_us))
            open = s;
        else if (verdict == BREAKER_TRIAL && n < sizeof(trials) / sizeof(trials[0]))
            trials[n++] = s;
    }
    if (open != NULL) {
        defer(item, open, mono_us);
        return BREAKER_DEFER;
    }
    for (size_t i = 0; i < n; i++)
        breaker_begin_trial(&trials[i]->breaker, mono_us);
    return n > 0 ? BREAKER_TRIAL : BREAKER_TRY;
}

size_t breakers_sift(struct breakers *b, struct item **items, size_t n, int64_t mono_us,
                     size_t *left)
{
    size_t ready = 0;
    *left = 0;
    for (size_t i = 0; i < n; i++) {
        struct item *item = items[i];
        if (item->outcome != OUTCOME_NONE)
            continue;
        enum breaker_verdict verdict = judge(b, item, mono_us);
        if (verdict == BREAKER_DEFER)
            continue;
        size_t to = verdict == BREAKER_TRIAL ? 0 : ready++;
        items[i] = items[to];
        items[to] = item;
        if (verdict == BREAKER_TRIAL) {
            *left = n - 1;
            return 1;
        }
    }
    return ready;
}

void breakers_refused(struct breakers *b, const struct item *item, enum refusal_cause cause,
                      int64_t mono_us)
{
    if (cause == CAUSE_ROW)
        return;
    for (char *p = NULL; (p = argz_next(item->products, item->products_len, p)) != NULL;) {
        struct slot *s = take(b, p);
        enum breaker_news news = breaker_refused(&s->breaker, cause == CAUSE_COUNTER, mono_us);
        if (news == BREAKER_NO_NEWS)
            continue;
        memcpy(s->sqlstate, item->sqlstate, sizeof(s->sqlstate));
        strncpy(s->message, item->error != NULL ? item->error : "", sizeof(s->message) - 1);
        if (news == BREAKER_OPENED)
            refusal_log_product(b->log, p, s->sqlstate, s->message);
    }
}

void breakers_released(struct breakers *b, const struct item *item)
{
    for (char *p = NULL; (p = argz_next(item->products, item->products_len, p)) != NULL;) {
        struct slot *s = find(b, p);
        if (s == NULL)
            continue;
        if (s->breaker.state != BREAKER_CLOSED)
            log_event(LOG_INFO, "A product that was refused is released again", LOG_STR,
                      "productId", p, LOG_END);
        memset(s, 0, sizeof(*s)); /* its place is free */
    }
}
