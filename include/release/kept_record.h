/* The records of :kept (docs/INTEGRATION.md): JSON, written and read here alone. */
#ifndef RS_KEPT_RECORD_H
#define RS_KEPT_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct kept;
struct queue_keep;

/* The record of a kept reservation that is looked at again at again_ms: malloc'd; NULL when memory
 * ran out. */
char *kept_record_make(const struct kept *kept, int64_t again_ms);

/* When a kept one is looked at again: when it is due again, if it was extended; else as `keep`
 * says, and when it has been kept for as long as that says. now_ms: Postgres's time. */
int64_t kept_again_ms(const struct kept *kept, int64_t now_ms, const struct queue_keep *keep);

/* When a record says that it is looked at again; 0: it does not. */
int64_t kept_record_again_ms(const char *json, size_t len);

/* What a record says; what cannot be read is as if there were none. */
void kept_record_read(struct kept *kept, const char *json, size_t len);

#endif
