/* The records of :failed (docs/INTEGRATION.md): JSON, written and read here alone. */
#ifndef RS_FAILED_RECORD_H
#define RS_FAILED_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct item;

/* The record for a refused item, or one that is deferred with its product: malloc'd; NULL when
 * memory ran out. now_ms and retry_ms are Postgres's time. Its attempts are item_attempts(), 0 for
 * one that was never tried. */
char *failed_record_make(const struct item *item, int64_t now_ms, int64_t retry_ms);

/* What a record says; times in milliseconds, 0 where it says none. */
struct failed_record {
    char sqlstate[6];
    char error[1024]; /* cut to fit */
    uint32_t attempts;
    int64_t first_ms, last_ms, retry_ms;
};

/* What cannot be read counts as one attempt of which nothing is known. */
void failed_record_tell(struct failed_record *record, const char *json, size_t len);

/* Takes attempts and first_failed_ms from a record. Returns when it was to be tried again, 0 where
 * it does not say. */
int64_t failed_record_read(struct item *item, const char *json, size_t len);

#endif
