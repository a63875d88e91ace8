/* What others hold locked: a hash table, and a list with the oldest first. */
#include "release/locked.h"

#include "base/log.h"
#include "base/text_table.h"
#include "base/time_units.h"
#include "release/release.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define ASK_US (25 * SECOND_US)     /* held for so long: who holds it is worth a question */
#define PAUSE_US (2 * SECOND_US)    /* between two questions */
#define AGAIN_US (30 * SECOND_US)   /* the holder of one may have changed */
#define STALE_US (10 * SECOND_US)   /* not met for so long, though it is tried each 5 s */
#define UNKNOWN_US (40 * SECOND_US) /* said without its holder */
#define SAID_MOST 100               /* in a minute; the others follow in the next */

struct held {
    struct text_entry by_id;
    TAILQ_ENTRY(held) by_age;
    struct locked_entry entry;
    int64_t asked_us; /* 0: never */
    bool said;
    char *product;
    char id[];
};

TAILQ_HEAD(helds, held);

struct locked {
    struct text_table by_id;
    struct helds by_age;
    size_t said;      /* of these, named in the log */
    size_t ever_said; /* since none was */
    int64_t asked_us; /* 0: never */
    int64_t minute_us;
    int in_minute; /* said since then */
};

struct locked *locked_new(void)
{
    struct locked *l = calloc(1, sizeof(*l));
    if (l != NULL)
        TAILQ_INIT(&l->by_age);
    return l;
}

static struct held *find(const struct locked *l, const char *id)
{
    return (struct held *)text_table_find(&l->by_id, id);
}

/* It is held no longer, or was never to be released; NULL: it was not known. One record when
 * that is the last of those that the log has named. */
static void end(struct locked *l, struct held *gone)
{
    if (gone == NULL)
        return;
    text_table_remove(&l->by_id, &gone->by_id);
    TAILQ_REMOVE(&l->by_age, gone, by_age);
    if (gone->said && --l->said == 0) {
        log_event(LOG_INFO, "What others held locked is free again", LOG_INT, "reservations",
                  (int64_t)l->ever_said, LOG_END);
        l->ever_said = 0;
    }
    free(gone->product);
    free(gone);
}

void locked_free(struct locked *l)
{
    if (l == NULL)
        return;
    while (!TAILQ_EMPTY(&l->by_age)) {
        struct held *gone = TAILQ_FIRST(&l->by_age);
        TAILQ_REMOVE(&l->by_age, gone, by_age);
        free(gone->product);
        free(gone);
    }
    free(l);
}

static struct held *add(struct locked *l, const char *id, int64_t mono_us)
{
    size_t size = strlen(id) + 1;
    struct held *fresh = l->by_id.n < LOCKED_MOST ? malloc(sizeof(*fresh) + size) : NULL;
    if (fresh == NULL)
        return NULL;
    memset(fresh, 0, sizeof(*fresh));
    memcpy(fresh->id, id, size);
    fresh->entry.id = fresh->id;
    fresh->entry.product = "";
    fresh->entry.since_us = mono_us;
    TAILQ_INSERT_TAIL(&l->by_age, fresh, by_age);
    fresh->by_id.key = fresh->id;
    text_table_add(&l->by_id, &fresh->by_id);
    return fresh;
}

static void met(struct locked *l, struct item *item, int64_t now_us, int64_t mono_us)
{
    bool told = item->expires_us != 0 && item->expires_us != INT64_MAX;
    struct held *lock = find(l, item->id);
    item->due_us = told ? item->expires_us : 0;
    if (lock == NULL && item->lock != LOCK_AMONG) {
        lock = add(l, item->id, mono_us);
        if (lock != NULL) /* it was due when it was claimed: all that there is */
            lock->entry.due_us = item->claimed_ms > 0 && item->claimed_ms < now_us / MS_US
                                     ? item->claimed_ms * MS_US
                                     : now_us;
    }
    if (lock == NULL)
        return;
    lock->entry.last_us = mono_us;
    if (told)
        lock->entry.due_us = item->expires_us;
    if (item->lock != LOCK_AMONG)
        lock->entry.inside = item->lock == LOCK_INSIDE;
    lock->entry.counter = item->lock == LOCK_HELD && item->counter != NULL;
    item->due_us = lock->entry.due_us;
}

void locked_note(struct locked *l, struct item *item, int64_t now_us, int64_t mono_us)
{
    switch (item->outcome) {
    case OUTCOME_LOCKED:
        met(l, item, now_us, mono_us);
        break;
    case OUTCOME_RELEASED:
    case OUTCOME_INACTIVE:
    case OUTCOME_MISSING:
    case OUTCOME_INVALID:
    case OUTCOME_NOT_DUE:
    case OUTCOME_KEPT:
    case OUTCOME_FAILED:
        end(l, find(l, item->id));
        break;
    case OUTCOME_NONE:
    case OUTCOME_UNTRIED:
    case OUTCOME_DEFERRED:
    case OUTCOME_UNKNOWN:
    case OUTCOME_FAULT:
        break;
    }
}

bool locked_has(const struct locked *l, const char *id)
{
    return find(l, id) != NULL;
}

bool locked_inside(const struct locked *l, const char *id)
{
    const struct held *lock = l->by_id.n > 0 ? find(l, id) : NULL;
    return lock != NULL && lock->entry.inside;
}

size_t locked_count(const struct locked *l)
{
    return l->by_id.n;
}

int64_t locked_since_us(const struct locked *l)
{
    return l->by_id.n > 0 ? TAILQ_FIRST(&l->by_age)->entry.since_us : INT64_MAX;
}

size_t locked_oldest(const struct locked *l, struct locked_entry *entries, size_t n)
{
    const struct held *lock;
    size_t count = 0;
    TAILQ_FOREACH(lock, &l->by_age, by_age)
    {
        if (count == n)
            break;
        entries[count++] = lock->entry;
    }
    return count;
}

int64_t locked_ask_at_us(const struct locked *l)
{
    if (l->by_id.n == 0)
        return INT64_MAX;
    int64_t old_us = locked_since_us(l) + ASK_US;
    int64_t stale_us = l->asked_us + STALE_US;
    int64_t at_us = old_us < stale_us ? old_us : stale_us;
    return at_us > l->asked_us + PAUSE_US ? at_us : l->asked_us + PAUSE_US;
}

/* Worth a question now. */
static bool wants(const struct held *lock, int64_t mono_us)
{
    const struct locked_entry *e = &lock->entry;
    if (mono_us - e->last_us >= STALE_US)
        return true;
    if (mono_us - e->since_us < ASK_US)
        return false;
    bool unknown = !e->holder.known && !lock->said;
    return lock->asked_us == 0 || unknown || mono_us - lock->asked_us >= AGAIN_US;
}

size_t locked_ask(struct locked *l, const char **ids, size_t n, int64_t mono_us)
{
    size_t count = 0;
    l->asked_us = mono_us;
    for (int asked_before = 0; asked_before <= 1; asked_before++) {
        struct held *lock;
        TAILQ_FOREACH(lock, &l->by_age, by_age)
        {
            if (count == n)
                return count;
            if ((lock->asked_us != 0) == asked_before && wants(lock, mono_us))
                ids[count++] = lock->id;
        }
    }
    return count;
}

static void set_product(struct held *lock, const char *product)
{
    char *copy = strdup(product);
    if (copy == NULL)
        return;
    free(lock->product);
    lock->product = copy;
    lock->entry.product = copy;
}

void locked_answer(struct locked *l, const char *id, bool active, const char *product,
                   const struct locked_holder *holder, int64_t mono_us)
{
    struct held *lock = find(l, id);
    if (lock == NULL)
        return;
    bool stale = mono_us - lock->entry.last_us >= STALE_US;
    if (!active || (stale && !holder->known)) { /* released by another sweeper, say */
        end(l, lock);
        return;
    }
    lock->asked_us = mono_us;
    if (product[0] != '\0')
        set_product(lock, product);
    if (holder->known || !lock->entry.inside) /* of those the rows say nothing */
        lock->entry.holder = *holder;
}

static void say(const struct locked *l, const struct held *lock, int64_t mono_us)
{
    static const char message[] = "A reservation is held locked by another transaction";
    const struct locked_entry *e = &lock->entry;
    const struct locked_holder *h = &e->holder;
    int64_t seconds = (mono_us - e->since_us) / SECOND_US;
    const char *product = log_told(e->product);
    if (!h->known)
        log_event(LOG_WARN, message, LOG_STR, "reservationId", e->id, LOG_STR, "productId", product,
                  LOG_STR, "blocker", "unknown", LOG_INT, "lockedSeconds", seconds, LOG_INT,
                  "lockedReservations", (int64_t)l->by_id.n, LOG_END);
    else if (h->gid[0] != '\0')
        log_event(LOG_WARN, message, LOG_STR, "reservationId", e->id, LOG_STR, "productId", product,
                  LOG_STR, "blocker", "a prepared transaction", LOG_STR, "blockerGid", h->gid,
                  LOG_STR, "blockerUser", h->user, LOG_STR, "lockOn", h->what, LOG_INT,
                  "lockedSeconds", seconds, LOG_INT, "lockedReservations", (int64_t)l->by_id.n,
                  LOG_END);
    else
        log_event(LOG_WARN, message, LOG_STR, "reservationId", e->id, LOG_STR, "productId", product,
                  LOG_INT, "blockerPid", (int64_t)h->pid, LOG_STR, "blockerUser", h->user, LOG_STR,
                  "blockerApplication", h->application, LOG_STR, "lockOn", h->what, LOG_INT,
                  "lockedSeconds", seconds, LOG_INT, "lockedReservations", (int64_t)l->by_id.n,
                  LOG_END);
}

static void say_old(struct locked *l, int64_t mono_us)
{
    struct held *lock;
    if (mono_us - l->minute_us >= MINUTE_US) {
        l->minute_us = mono_us;
        l->in_minute = 0;
    }
    TAILQ_FOREACH(lock, &l->by_age, by_age)
    {
        int64_t age_us = mono_us - lock->entry.since_us;
        if (age_us < LOCKED_SAID_US || l->in_minute >= SAID_MOST)
            return;
        bool known = lock->entry.holder.known && lock->asked_us != 0; /* and its product */
        if (lock->said || (!known && age_us < UNKNOWN_US))
            continue;
        lock->said = true;
        l->said++;
        l->ever_said++;
        l->in_minute++;
        say(l, lock, mono_us);
    }
}

void locked_seen(struct locked *l, const char *id, const struct locked_holder *holder)
{
    struct held *lock = find(l, id);
    if (lock != NULL)
        lock->entry.holder = *holder;
}

bool locked_holds(const struct locked *l, const char *id, const char *what)
{
    const struct held *lock = find(l, id);
    return lock != NULL && !lock->entry.inside &&
           strcmp(what, lock->entry.counter ? "counter" : "reservation") == 0;
}

bool locked_wants_watch(const struct locked *l, const char *id, int64_t mono_us)
{
    const struct held *lock = l->by_id.n > 0 ? find(l, id) : NULL;
    return lock != NULL && lock->entry.inside && !lock->entry.holder.known && !lock->said &&
           mono_us - lock->entry.since_us >= ASK_US;
}

void locked_tick(struct locked *l, int64_t mono_us)
{
    for (struct held *next, *lock = TAILQ_FIRST(&l->by_age); lock != NULL; lock = next) {
        next = TAILQ_NEXT(lock, by_age);
        if (mono_us - lock->entry.last_us >= MINUTE_US)
            end(l, lock);
    }
    say_old(l, mono_us);
}
