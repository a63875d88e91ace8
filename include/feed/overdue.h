/* How late the queue is, and whether that is known: the oldest reservation that should have been
 * released by now, leaving out those that Postgres refused, those that are kept, and those that
 * wait for a row or counter that somebody else has locked (Redis knows all three).
 *
 * The feed's polls tell, and, while one runs or Redis is out of reach, passes: one that came to its
 * end has released whatever was due when it began, but for those. What neither has told
 * for 30 s is not known, and is said not to be. */
#ifndef RS_OVERDUE_H
#define RS_OVERDUE_H

#include "base/callback.h"
#include "base/time_units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct late_row;
struct overdue;
struct pages;
struct parts;

#define OVERDUE_KNOWN_US (30 * SECOND_US) /* for so long what was told counts */

struct overdue_view {
    bool known;
    int64_t silent_us; /* since a poll or pass last told, or since overdue_new */
    const char *why;   /* the last error of those that followed; "" for none */

    int64_t since_us; /* Postgres's time at which it expired; 0: none, or not known */
    const char *id;   /* "" for none; ends with the next poll */
    const char *product;
    size_t locked; /* how many wait for somebody's lock */
};

struct overdue_options {
    /* What a poll finds counts when the next one finds something too, since it may have been
     * claimed just then. */
    bool confirm;
    event_cb *on_decided; /* see overdue_take */
    /* These, oldest first, are late, and nothing in Redis leads to them in time. The same one is
     * told again after 30 s only. True: Redis was told. NULL: nobody wants to know. */
    bool (*on_lost)(void *arg, const struct late_row *const *rows, size_t n);
    void *arg;
};

/* NULL: out of memory. */
struct overdue *overdue_new(struct parts *parts, const struct overdue_options *options);
void overdue_free(struct overdue *o); /* NULL is legal */

/* The next page is to bring what is late (pages_want_late). */
void overdue_want(const struct overdue *o, struct pages *pages);

/* Takes the late rows of the page in hand; asks Redis about them when it is up. on_decided(arg)
 * fires once, perhaps inside this call. */
void overdue_take(struct overdue *o, const struct pages *pages);

/* Whether none of all that a page brings was late: others may stand behind them, which the next
 * page that is wanted would bring too. */
bool overdue_hidden(const struct overdue *o);

/* A poll or a pass did not come to its end; what was known before ages. */
void overdue_failed(struct overdue *o, const char *why);

/* A pass tells: as of then (monotonic) this was the oldest; since_us is 0 when there was none. */
void overdue_note(struct overdue *o, int64_t since_us, const char *id, int64_t then_us);

/* Monotonic: when to poll again; INT64_MAX while one is being decided. */
int64_t overdue_again_us(const struct overdue *o);

/* Redis can be used again, or no longer: what the last polls found is no measure for the next. */
void overdue_redis_changed(struct overdue *o);

/* What is known at present. The strings of *view are good until the loop turns. */
void overdue_read(const struct overdue *o, struct overdue_view *view);

#endif
