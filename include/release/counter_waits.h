/* For how long each product's counter has been passed by because a checkout holds it.
 *
 * A small table that forgets: a product not passed by for a second is as good as new, and when the
 * table is full the oldest gives way. Losing an entry only delays a waiting release. */
#ifndef RS_COUNTER_WAITS_H
#define RS_COUNTER_WAITS_H

#include <stddef.h>
#include <stdint.h>

struct item;
struct counter_waits;

struct counter_waits *counter_waits_new(void); /* NULL: out of memory */
void counter_waits_free(struct counter_waits *s);

/* Notes which products' counters kept items back just now (OUTCOME_LOCKED), and brings the items of
 * one that has been passed by for 250 ms to the front of items[0..n): it is to be waited for, and
 * its time starts anew. One product at a time, so that while it waits the transaction holds nothing
 * else (only a reservation of several products may). Returns how many; 0: none. */
size_t counter_waits_gather(struct counter_waits *s, struct item **items, size_t n,
                            int64_t mono_us);

#endif
