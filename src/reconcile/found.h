/* Findings about entries of Redis, counted and reported. */
#ifndef RS_RECONCILE_FOUND_H
#define RS_RECONCILE_FOUND_H

#include "reconcile/judge.h"

struct due_entry;
struct due_found;
struct reconcile;

/* Counts and reports what was found of an id, which was repaired unless this is a dry run. Each id
 * counts once for each suspicion, however often a scan meets it. */
void found_note(struct reconcile *r, const char *id, size_t id_len, const struct judgement *j);

/* The same for a reservation that is missing, with what it has in at_ms. */
void found_missing(struct reconcile *r, const struct due_entry *entry);

/* A member of leases that is no batch, by its beginning; it is gone unless this is a dry run. */
void found_odd(struct reconcile *r, const struct due_found *odd);

/* The judges' times, now. */
struct judge_times found_times(const struct reconcile *r);

#endif
