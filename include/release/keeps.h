/* What this process knows to be kept (keep_while), by id: for as long as Redis is away, or has lost
 * its record, and so that passes leave alone what has just been looked at. Bounded: past KEEPS_MOST
 * a new one is not remembered. */
#ifndef RS_KEEPS_H
#define RS_KEEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct item;
struct keeps;
struct queue_keep;

#define KEEPS_MOST 10000

/* of: the queue's, which must outlive it. NULL: out of memory. */
struct keeps *keeps_new(const struct queue_keep *of);
void keeps_free(struct keeps *k); /* NULL is legal */

/* Notes what has become of an item that was decided: it is kept, or kept no more. A WARN when it
 * was claimed without the record that Redis had of it. now_us: Postgres's time; mono_us: the
 * monotonic one. */
void keeps_note(struct keeps *k, const struct item *item, int64_t now_us, int64_t mono_us);

/* Before an item is tried: tells it since when it is kept, by its record in Redis (json, len bytes;
 * NULL: there is none), or by what is known here, whichever is later. */
void keeps_tell(const struct keeps *k, struct item *item, const char *json, size_t len);

/* Whether it was looked at a moment ago: it is to be left alone. */
bool keeps_wait(const struct keeps *k, const char *id, int64_t mono_us);

/* How many are known here; *attention: how many of them are beyond keep.at_most, and wait for
 * somebody to look. */
size_t keeps_count(const struct keeps *k, size_t *attention);

#endif
