/* How late the queue is, by what the feed sees of it in Postgres: the oldest reservation that
 * should have been released by now, leaving out those that Postgres refused and those that wait for
 * a row or counter that somebody else holds (Redis knows both).
 *
 * While Redis is out of reach, the passes over Postgres tell: one that came to its end has released
 * whatever was due when it began, but for those. */
#ifndef RS_OVERDUE_H
#define RS_OVERDUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct overdue;
struct pages;
struct sweep;

struct overdue_view {
    int64_t since_us; /* Postgres's time at which it expired; 0: none */
    const char *id;   /* "" when not known; ends with the next look */
    size_t failed;    /* of the PAGES_LATE_MAX oldest: refused by Postgres */
    size_t locked;    /* ... waiting for somebody's lock */
};

/* confirm: what a look finds counts when the next one finds something too, since it may have been
 * in somebody's hands just then. on_decided: see overdue_look. NULL: out of memory. */
struct overdue *overdue_new(struct sweep *sweep, bool confirm, void (*on_decided)(void *arg),
                            void *arg);
void overdue_free(struct overdue *o); /* NULL is legal */

/* Takes the late rows of the page at hand (pages_want_late); asks Redis about them when it is up.
 * on_decided(arg) fires once, perhaps inside this call. */
void overdue_look(struct overdue *o, const struct pages *pages);

/* Monotonic: when to look again, as there is something that may be overdue; INT64_MAX: no need to.
 */
int64_t overdue_again_us(const struct overdue *o);

/* Redis came up or went away. */
void overdue_redis_changed(struct overdue *o, bool up);

/* A pass that released everything due as of began_us (monotonic) has come to its end. */
void overdue_pass_done(struct overdue *o, int64_t began_us);

void overdue_read(const struct overdue *o, struct overdue_view *view);

#endif
