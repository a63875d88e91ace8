/* What this process knows to be kept: a hash table, and a list with what was met longest ago first.
 */
#include "release/keeps.h"

#include "base/few.h"
#include "base/log.h"
#include "base/text_table.h"
#include "base/time_units.h"
#include "config/queue.h"
#include "release/kept_record.h"
#include "release/release.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define STALE_US MINUTE_US /* beyond the time at which it should have been met again */

struct known {
    struct text_entry by_id;
    TAILQ_ENTRY(known) by_age;
    struct kept kept;
    bool recorded; /* Redis has been told */
    int64_t wait_us;
    int64_t stale_us;
    char id[];
};

TAILQ_HEAD(knowns, known);

struct keeps {
    const struct queue_keep *of;
    struct text_table by_id;
    struct knowns by_age;
    size_t attention;
    struct few said;
};

struct keeps *keeps_new(const struct queue_keep *of)
{
    struct keeps *k = calloc(1, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->of = of;
    TAILQ_INIT(&k->by_age);
    return k;
}

static struct known *find(const struct keeps *k, const char *id)
{
    return k->by_id.n > 0 ? (struct known *)text_table_find(&k->by_id, id) : NULL;
}

static void forget(struct keeps *k, struct known *gone)
{
    if (gone == NULL)
        return;
    text_table_remove(&k->by_id, &gone->by_id);
    TAILQ_REMOVE(&k->by_age, gone, by_age);
    k->attention -= gone->kept.attention ? 1 : 0;
    free(gone);
}

void keeps_free(struct keeps *k)
{
    if (k == NULL)
        return;
    while (!TAILQ_EMPTY(&k->by_age))
        forget(k, TAILQ_FIRST(&k->by_age));
    free(k);
}

/* What another sweeper has released, say. */
static void forget_stale(struct keeps *k, int64_t mono_us)
{
    struct known *oldest;
    while ((oldest = TAILQ_FIRST(&k->by_age)) != NULL && oldest->stale_us < mono_us)
        forget(k, oldest);
}

static struct known *add(struct keeps *k, const char *id)
{
    size_t size = strlen(id) + 1;
    struct known *fresh = k->by_id.n < KEEPS_MOST ? malloc(sizeof(*fresh) + size) : NULL;
    if (fresh == NULL)
        return NULL;
    memset(fresh, 0, sizeof(*fresh));
    memcpy(fresh->id, id, size);
    fresh->by_id.key = fresh->id;
    text_table_add(&k->by_id, &fresh->by_id);
    TAILQ_INSERT_TAIL(&k->by_age, fresh, by_age);
    return fresh;
}

static void say_lost(struct keeps *k, const struct item *item, int64_t mono_us)
{
    if (!few_may(&k->said, mono_us))
        return;
    log_event(LOG_WARN, "Redis has lost the record of a kept reservation", LOG_STR, "reservationId",
              item->id, LOG_INT, "othersNotNamed", (int64_t)k->said.more, LOG_END);
    k->said.more = 0;
}

static void met(struct keeps *k, const struct item *item, int64_t now_us, int64_t mono_us)
{
    struct known *known = find(k, item->id);
    if (known == NULL)
        known = add(k, item->id);
    if (known == NULL)
        return;
    /* The same hold: of another one of that id there was no record. */
    if (known->recorded && item->claimed_ms > 0 && !item->recorded &&
        known->kept.since_ms == item->kept.since_ms)
        say_lost(k, item, mono_us);
    k->attention -= known->kept.attention ? 1 : 0;
    k->attention += item->kept.attention ? 1 : 0;
    known->kept = item->kept;
    known->recorded = item->claimed_ms > 0;
    bool extended = k->of->extend_us > 0 && !item->kept.attention;
    int64_t now_ms = now_us / MS_US;
    int64_t wait_ms = extended ? 0 : kept_again_ms(&item->kept, now_ms, k->of) - now_ms;
    known->wait_us = mono_us + wait_ms * MS_US;
    known->stale_us = mono_us + k->of->look_again_us + k->of->extend_us + STALE_US;
    TAILQ_REMOVE(&k->by_age, known, by_age);
    TAILQ_INSERT_TAIL(&k->by_age, known, by_age);
}

void keeps_note(struct keeps *k, const struct item *item, int64_t now_us, int64_t mono_us)
{
    forget_stale(k, mono_us);
    switch (item->outcome) {
    case OUTCOME_KEPT:
        met(k, item, now_us, mono_us);
        break;
    case OUTCOME_RELEASED:
    case OUTCOME_INACTIVE:
    case OUTCOME_MISSING:
    case OUTCOME_INVALID:
        forget(k, find(k, item->id));
        break;
    case OUTCOME_NONE:
    case OUTCOME_NOT_DUE: /* it may have been extended by us */
    case OUTCOME_LOCKED:
    case OUTCOME_FAILED:
    case OUTCOME_UNTRIED:
    case OUTCOME_DEFERRED:
    case OUTCOME_UNKNOWN:
    case OUTCOME_FAULT:
        break;
    }
}

void keeps_tell(const struct keeps *k, struct item *item, const char *json, size_t len)
{
    if (json != NULL)
        kept_record_read(&item->kept, json, len);
    const struct known *known = find(k, item->id);
    if (known != NULL && known->kept.due_ms > item->kept.due_ms)
        item->kept = known->kept;
}

bool keeps_wait(const struct keeps *k, const char *id, int64_t mono_us)
{
    const struct known *known = find(k, id);
    return known != NULL && mono_us < known->wait_us;
}

size_t keeps_count(const struct keeps *k, size_t *attention)
{
    *attention = k->attention;
    return k->by_id.n;
}
