/* The records of :failed. */
#include "release/failed_record.h"

#include "base/json_text.h"
#include "release/release.h"

#include <jansson.h>
#include <stdio.h>

/* Whatever stands in Redis: no time beyond the year 9999. */
#define TIME_MAX_MS INT64_C(253402300799999)

char *failed_record_make(const struct item *item, int64_t now_ms, int64_t retry_ms)
{
    json_t *error = json_text(item->error != NULL ? item->error : "");
    int64_t first_ms = item->first_failed_ms > 0 ? item->first_failed_ms : now_ms;
    json_t *o = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}", "error", error, "sqlstate",
                          item->sqlstate, "attempts", (json_int_t)item_attempts(item),
                          "firstFailedAt", (json_int_t)first_ms, "lastFailedAt", (json_int_t)now_ms,
                          "retryAt", (json_int_t)retry_ms);
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static int64_t read_time(const json_t *o, const char *key)
{
    json_int_t ms = json_integer_value(json_object_get(o, key));
    return ms > 0 && ms <= TIME_MAX_MS ? ms : 0;
}

static void read_text(const json_t *o, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(o, key));
    snprintf(out, size, "%s", text != NULL ? text : "");
}

void failed_record_tell(struct failed_record *r, const char *json, size_t len)
{
    json_t *o = json_loadb(json, len, 0, NULL);
    const json_t *attempts = json_object_get(o, "attempts");
    json_int_t n = json_integer_value(attempts);
    *r = (struct failed_record){
        .attempts = json_is_integer(attempts) && n >= 0 && n < UINT32_MAX ? (uint32_t)n : 1,
        .first_ms = read_time(o, "firstFailedAt"),
        .last_ms = read_time(o, "lastFailedAt"),
        .retry_ms = read_time(o, "retryAt"),
    };
    read_text(o, "sqlstate", r->sqlstate, sizeof(r->sqlstate));
    read_text(o, "error", r->error, sizeof(r->error));
    json_decref(o);
}

int64_t failed_record_read(struct item *item, const char *json, size_t len)
{
    struct failed_record record;
    failed_record_tell(&record, json, len);
    item->attempts = record.attempts;
    if (record.first_ms > 0)
        item->first_failed_ms = record.first_ms;
    return record.retry_ms;
}
