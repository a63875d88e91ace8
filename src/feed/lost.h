/* Tells Redis of reservations that are late and that no entry leads to: earlier than a regular poll
 * would, and whatever the look-ahead. */
#ifndef RS_LOST_H
#define RS_LOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct late_row;
struct lost;
struct parts;

/* on_mirrored(arg, earliest_ms): entries were added or became earlier; of these the earliest. NULL:
 * out of memory. */
struct lost *lost_new(struct parts *parts, void (*on_mirrored)(void *arg, int64_t earliest_ms),
                      void *arg);
void lost_free(struct lost *l); /* its queue must have been closed before; NULL is legal */

/* It has been told of some, and has not answered yet. */
bool lost_busy(const struct lost *l);

/* Tells it of the n rows (n > 0), but for ids that it cannot hold: *too_long. The rows are copied.
 * on_mirrored may fire once, never from inside this call. False: it could not be told. Requires
 * that it is not busy. */
bool lost_tell(struct lost *l, const struct late_row *const *rows, size_t n, bool *too_long);

#endif
