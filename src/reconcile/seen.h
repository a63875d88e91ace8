/* Ids that were seen: a set of fingerprints. */
#ifndef RS_RECONCILE_SEEN_H
#define RS_RECONCILE_SEEN_H

#include "reconcile/findings.h"

#include <stdbool.h>
#include <stddef.h>

struct seen;

/* As what an id was seen, each a set of its own: a suspicion, or one of these. What is active and
 * has an entry is as good as missing and added: it needs no question later. */
enum seen_as { SEEN_ACTIVE = SUSPECT_MISSING, SEEN_SPENT = SUSPICIONS, SEEN_ODD };

/* Bounded: past its capacity nothing is added. NULL: out of memory. */
struct seen *seen_new(void);
void seen_free(struct seen *s); /* NULL is legal */

/* What its tables take at present. */
size_t seen_bytes(const struct seen *s);

/* True when it was not there yet (or there was no room to note it). id may be any bytes. */
bool seen_add(struct seen *s, unsigned as, const char *id, size_t id_len);
/* True when it was noted, or may have been. */
bool seen_has(const struct seen *s, unsigned as, const char *id, size_t id_len);

#endif
