/* What others hold locked: which reservations, for how long, and who holds them.
 *
 * Batches and passes note what they met and what they no longer meet; who holds a reservation is
 * asked of Postgres (blockers.h) once it has been held for 30 s, and then said in the log, once.
 * In memory, bounded: 10,000 reservations; past that they are neither named nor counted, but tried
 * as before. Nothing here sends or reads a clock: monotonic times are given. */
#ifndef RS_LOCKED_H
#define RS_LOCKED_H

#include "base/time_units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCKED_MOST 10000
#define LOCKED_SAID_US (30 * SECOND_US) /* held for longer: said in the log */

struct item;
struct locked;

/* Who holds it. Text is Postgres's, cut to fit. */
struct locked_holder {
    bool known;
    int32_t pid;          /* 0: a prepared transaction */
    char user[64];        /* its role; a prepared transaction's owner */
    char application[64]; /* "" for none */
    char gid[201];        /* of a prepared transaction; else "" */
    char what[16];        /* what is held: "reservation", "counter", "table", "inside" */
};

struct locked_entry {
    const char *id;
    const char *product; /* "" while not known */
    int64_t since_us;    /* monotonic: first met locked */
    int64_t last_us;     /* monotonic: last met locked */
    int64_t due_us;      /* Postgres's time: when it was due, as far as is known */
    bool inside;         /* met inside a release: by a trigger, or a table's lock */
    bool counter;        /* its counter is held, not itself */
    struct locked_holder holder;
};

struct locked *locked_new(void); /* NULL: out of memory */
void locked_free(struct locked *l);

/* Takes what a decided item says. OUTCOME_LOCKED: it is held, still or from now on; an item whose
 * lock was met among others only if it is known already. Any other outcome that says something of
 * its locks ends it. item->due_us is filled in for a locked one. now_us: Postgres's time. */
void locked_note(struct locked *l, struct item *item, int64_t now_us, int64_t mono_us);

/* Its release alone met a lock inside, when last tried. */
bool locked_inside(const struct locked *l, const char *id);

/* It is locked, as far as this process knows. */
bool locked_has(const struct locked *l, const char *id);

/* How many reservations are known to be locked. */
size_t locked_count(const struct locked *l);

/* Monotonic: since when the oldest is held; INT64_MAX: none is. */
int64_t locked_since_us(const struct locked *l);

/* The oldest n at most, oldest first, good until the next change; returns how many. */
size_t locked_oldest(const struct locked *l, struct locked_entry *entries, size_t n);

/* ---- who holds them ---- */

/* Monotonic: when locked_ask would have something to ask; INT64_MAX: nothing to. */
int64_t locked_ask_at_us(const struct locked *l);

/* The ids that are to be asked for now, n at most; returns how many. Those that were never asked
 * for come first, then those longest ago. They are good until the next change. */
size_t locked_ask(struct locked *l, const char **ids, size_t n, int64_t mono_us);

/* The answer for one of them. active: it has a row that is still to be released. holder: known or
 * not; product: "" when it is not known. */
void locked_answer(struct locked *l, const char *id, bool active, const char *product,
                   const struct locked_holder *holder, int64_t mono_us);

/* Whom its release was seen to wait for. */
void locked_seen(struct locked *l, const char *id, const struct locked_holder *holder);

/* That this is held ("reservation", "counter") is why it is locked. */
bool locked_holds(const struct locked *l, const char *id, const char *what);

/* It has been locked inside for long, and whom its release waits for is not known. */
bool locked_wants_watch(const struct locked *l, const char *id, int64_t mono_us);

/* Now and then: says in the log, once for each, what has been held for longer than 30 s and has
 * been asked for, or could not be for 10 s more; and forgets what has not been met for a minute. */
void locked_tick(struct locked *l, int64_t mono_us);

#endif
