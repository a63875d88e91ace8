/* For how long each product's counter has been skipped because a checkout held it.
 *
 * A small table that forgets: a product not skipped for a second is as good as new, and when the
 * table is full the oldest gives way. Losing an entry only delays a patient attempt. */
#ifndef RS_SKIPS_H
#define RS_SKIPS_H

#include <stdbool.h>
#include <stdint.h>

struct skips;

struct skips *skips_new(void); /* NULL: out of memory */
void skips_free(struct skips *s);

/* Notes that the product was skipped now. True when it has been skipped for 250 ms: it is time to
 * wait for it. */
bool skips_note(struct skips *s, const char *product, int64_t mono_us);

/* The product was waited for: its time starts anew. */
void skips_clear(struct skips *s, const char *product);

#endif
