/* The record of a pause, as it stands in Redis: JSON with `until` (Postgres's time, milliseconds),
 * `reason` and `by`. */
#ifndef RS_PAUSE_RECORD_H
#define RS_PAUSE_RECORD_H

#include "config/pause_limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAUSE_BY_MAX 200 /* bytes */

struct pause_record {
    int64_t until_ms;
    char reason[PAUSE_REASON_MAX + 1]; /* "" for none */
    char by[PAUSE_BY_MAX + 1];
};

/* Malloc'd; NULL: out of memory. */
char *pause_record_make(const struct pause_record *record);

/* Reads what stands in Redis, which may be anything. False: it is no pause, or one whose end is
 * further off than any pause's may be; longer texts are cut. now_ms: Postgres's time; 0: not
 * known. */
bool pause_record_read(struct pause_record *record, const char *text, size_t len, int64_t now_ms);

#define PAUSE_SAID_SIZE (PAUSE_REASON_MAX + PAUSE_BY_MAX + 100)

/* "paused until 2026-11-29T12:00:00.000Z by ops@host: the shop is down". */
void pause_record_say(const struct pause_record *record, char *out, size_t size);

#endif
