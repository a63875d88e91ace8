/* Products that Postgres refuses: see breakers.h. */
#include "release/breakers.h"

#include "base/backoff.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time_units.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "store/mapping.h"

#include <argz.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 256
#define COUNTER_POINTS 3
#define EITHER_POINTS 1
#define BLAMED_POINTS 30            /* ten of the counter's */
#define SUSPECT_US (10 * SECOND_US) /* between two refusals that count as in a row */
#define BLAMED_US (600 * SECOND_US) /* past its probe's time: nobody came to be tried */
#define PROBE_US SECOND_US          /* for a probe's answer, before there is another */
#define GAP_US MS_US /* between those that were held, so that they do not all come back at once */

struct slot {
    uint64_t product; /* a hash; 0: free */
    unsigned points;  /* refusals in a row, weighed */
    bool blamed;
    bool alone;        /* it was refused for reservations of this product alone */
    bool probing;      /* one is being tried */
    uint32_t attempts; /* blamed: how often a probe was refused, the first blame included */
    int64_t last_us;   /* the last refusal */
    int64_t retry_us;  /* blamed: when the next probe is due */
    int64_t back_us;   /* when the last one that was held comes back */
    char sqlstate[6];
    char message[200];
};

struct breakers {
    struct refusal_log *log;
    struct slot slots[SLOTS];
};

struct breakers *breakers_new(struct refusal_log *log)
{
    struct breakers *b = calloc(1, sizeof(*b));
    if (b != NULL)
        b->log = log;
    return b;
}

void breakers_free(struct breakers *b)
{
    free(b);
}

void breakers_forget(struct breakers *b)
{
    memset(b->slots, 0, sizeof(b->slots));
}

static bool in_use(const struct slot *s, int64_t mono_us)
{
    if (s->product == 0)
        return false;
    return s->blamed ? mono_us - s->retry_us <= BLAMED_US : mono_us - s->last_us <= SUSPECT_US;
}

bool breakers_any(const struct breakers *b, int64_t mono_us)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (in_use(&b->slots[i], mono_us))
            return true;
    return false;
}

static struct slot *find(struct breakers *b, const char *product)
{
    uint64_t h = hash_text(product);
    for (size_t i = 0; i < SLOTS; i++)
        if (b->slots[i].product == h)
            return &b->slots[i];
    return NULL;
}

/* The product's slot, or the one that was used longest ago, empty. */
static struct slot *take(struct breakers *b, const char *product, int64_t mono_us)
{
    struct slot *s = find(b, product);
    if (s != NULL && in_use(s, mono_us))
        return s;
    for (size_t i = 0; s == NULL && i < SLOTS; i++)
        if (b->slots[i].product == 0)
            s = &b->slots[i];
    if (s == NULL) {
        s = &b->slots[0];
        for (size_t i = 1; i < SLOTS; i++)
            if (b->slots[i].last_us < s->last_us)
                s = &b->slots[i];
    }
    *s = (struct slot){.product = hash_text(product)};
    return s;
}

enum refusal_cause breakers_cause(const struct release_result *result)
{
    if (strcmp(result->sqlstate, RELEASE_WRONG_COUNTER) == 0)
        return CAUSE_COUNTER;
    if (strcmp(result->sqlstate, RELEASE_WRONG_ROW) == 0)
        return CAUSE_ROW;
    if (strncmp(result->sqlstate, "23", 2) != 0)
        return CAUSE_UNCLEAR;
    if (strcmp(result->table, mapping_name_text(NAME_INVENTORY)) == 0)
        return CAUSE_COUNTER;
    return strcmp(result->table, mapping_name_text(NAME_RESERVATIONS)) == 0 ? CAUSE_ROW
                                                                            : CAUSE_UNCLEAR;
}

static bool has_several(const struct item *item)
{
    return argz_count(item->products, item->products_len) > 1;
}

static void hold(struct item *item, struct slot *s, int64_t mono_us)
{
    s->back_us = s->back_us + GAP_US > s->retry_us ? s->back_us + GAP_US : s->retry_us;
    item->outcome = OUTCOME_DEFERRED;
    item->wait_us = s->back_us - mono_us;
    memcpy(item->sqlstate, s->sqlstate, sizeof(item->sqlstate));
    free(item->error);
    item->error = strdup(s->message);
}

enum verdict { TRY, PROBE, HOLD };

/* A product that was refused only together with others may not be at fault: then reservations of
 * it alone are tried as ever. */
static enum verdict judge(struct breakers *b, struct item *item, int64_t mono_us)
{
    bool several = has_several(item);
    struct slot *held = NULL;
    struct slot *probed[16] = {NULL};
    size_t n = 0;
    for (char *p = NULL; (p = argz_next(item->products, item->products_len, p)) != NULL;) {
        struct slot *s = find(b, p);
        if (s == NULL || !s->blamed || !in_use(s, mono_us) || !(s->alone || several))
            continue;
        if (mono_us < s->retry_us) {
            held = held == NULL || s->retry_us > held->retry_us ? s : held;
        } else if (n < sizeof(probed) / sizeof(probed[0])) {
            probed[n++] = s;
        }
    }
    if (held != NULL) {
        hold(item, held, mono_us);
        return HOLD;
    }
    for (size_t i = 0; i < n; i++) {
        probed[i]->probing = true;
        probed[i]->retry_us = mono_us + PROBE_US;
    }
    return n > 0 ? PROBE : TRY;
}

size_t breakers_sift(struct breakers *b, struct item **items, size_t n, int64_t mono_us,
                     size_t *left)
{
    size_t ready = 0;
    *left = 0;
    for (size_t i = 0; i < n; i++) {
        struct item *item = items[i];
        enum verdict verdict = item->outcome == OUTCOME_NONE ? judge(b, item, mono_us) : HOLD;
        if (verdict == HOLD)
            continue;
        size_t to = verdict == PROBE ? 0 : ready++;
        items[i] = items[to];
        items[to] = item;
        if (verdict == PROBE) {
            *left = n - 1;
            return 1;
        }
    }
    return ready;
}

/* Returns whether it is blamed from now on. */
static bool accuse(struct slot *s, const struct item *item, enum refusal_cause cause,
                   int64_t mono_us)
{
    s->points += cause == CAUSE_COUNTER ? COUNTER_POINTS : EITHER_POINTS;
    s->alone = s->alone || !has_several(item);
    s->last_us = mono_us;
    if (s->blamed && !s->probing) /* another batch was at it when it was blamed */
        return false;
    bool known = s->blamed;
    memcpy(s->sqlstate, item->sqlstate, sizeof(s->sqlstate));
    strncpy(s->message, item->error != NULL ? item->error : "", sizeof(s->message) - 1);
    s->blamed = known || s->points >= BLAMED_POINTS;
    if (!s->blamed)
        return false;
    s->probing = false;
    s->attempts++;
    s->retry_us = mono_us + backoff_refused_us(s->attempts);
    return !known;
}

void breakers_refused(struct breakers *b, const struct item *item, enum refusal_cause cause,
                      int64_t mono_us)
{
    if (cause == CAUSE_ROW)
        return;
    for (char *p = NULL; (p = argz_next(item->products, item->products_len, p)) != NULL;) {
        struct slot *s = take(b, p, mono_us);
        if (accuse(s, item, cause, mono_us))
            refusal_log_product(b->log, p, s->sqlstate, s->message);
    }
}

void breakers_released(struct breakers *b, const struct item *item)
{
    for (char *p = NULL; (p = argz_next(item->products, item->products_len, p)) != NULL;) {
        struct slot *s = find(b, p);
        if (s == NULL)
            continue;
        if (s->blamed)
            log_event(LOG_INFO, "A product that was refused is released again", LOG_STR,
                      "productId", p, LOG_END);
        memset(s, 0, sizeof(*s));
    }
}
