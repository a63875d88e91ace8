/* The record of a pause. */
#include "release/pause_record.h"

#include "base/iso_time.h"
#include "base/json_text.h"

#include <jansson.h>
#include <stdio.h>

#define RECORD_MAX 8192              /* bytes; what is longer was not written by a sweeper */
#define SLACK_MS (MINUTE_US / MS_US) /* Postgres's clock may have been set back a little */
#define TIME_MAX_MS INT64_C(253402300799999) /* the year 9999 */

char *pause_record_make(const struct pause_record *record)
{
    json_t *o = json_pack("{s:I, s:o, s:o}", "until", (json_int_t)record->until_ms, "reason",
                          json_text(record->reason), "by", json_text(record->by));
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static void read_text(char *out, size_t size, const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    snprintf(out, size, "%s", text != NULL ? text : "");
}

bool pause_record_read(struct pause_record *record, const char *text, size_t len, int64_t now_ms)
{
    json_t *o = len <= RECORD_MAX ? json_loadb(text, len, 0, NULL) : NULL;
    const json_t *until = json_object_get(o, "until");
    int64_t most_ms = now_ms > 0 ? now_ms + PAUSE_TIME_MAX_US / MS_US + SLACK_MS : TIME_MAX_MS;
    record->until_ms = json_integer_value(until);
    read_text(record->reason, sizeof(record->reason), o, "reason");
    read_text(record->by, sizeof(record->by), o, "by");
    json_decref(o);
    return record->until_ms > 0 && record->until_ms <= most_ms;
}

void pause_record_say(const struct pause_record *record, char *out, size_t size)
{
    char until[ISO_TIME_SIZE];
    snprintf(out, size, "paused until %s%s%s%s%s", iso_time(record->until_ms * MS_US, until),
             record->by[0] != '\0' ? " by " : "", record->by, record->reason[0] != '\0' ? ": " : "",
             record->reason);
}
