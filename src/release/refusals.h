/* Reservations that Postgres refused while Redis could not be told (:failed is there): how often,
 * and when to try again. In memory, bounded: past 10,000 a refused one is simply tried again with
 * the next pass. Times are monotonic. A second one holds those that wait with their product, so
 * that the log names each of them once. */
#ifndef RS_REFUSALS_H
#define RS_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

struct refusals;

struct refusals *refusals_new(void); /* NULL: out of memory */
void refusals_free(struct refusals *r);

/* Notes one more refusal; returns how many there have been, this one included. */
uint32_t refusals_note(struct refusals *r, const char *id, int64_t mono_us);

/* Notes that it is not to be tried here at all, whatever refused it. Returns false when there is no
 * room to remember it. */
bool refusals_bar(struct refusals *r, const char *id);

/* Forgets all of them. */
void refusals_clear(struct refusals *r);

/* How often it was refused so far; 0: never. *too_early: its time has not come. */
uint32_t refusals_find(const struct refusals *r, const char *id, int64_t mono_us, bool *too_early);

/* Notes that it is here, without a refusal. Returns whether that is news; false as well when there
 * is no room to remember it. */
bool refusals_meet(struct refusals *r, const char *id);

/* It was released, or is gone. */
void refusals_forget(struct refusals *r, const char *id);

#endif
