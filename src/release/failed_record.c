/* The records of :failed. */
#include "release/failed_record.h"

#include "base/json_text.h"
#include "release/release.h"

#include <jansson.h>

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

void failed_record_read(struct item *item, const char *json, size_t len)
{
    item->attempts = 1;
    json_t *o = json_loadb(json, len, 0, NULL);
    json_int_t attempts = json_integer_value(json_object_get(o, "attempts"));
    json_int_t first_ms = json_integer_value(json_object_get(o, "firstFailedAt"));
    if (json_is_integer(json_object_get(o, "attempts")) && attempts >= 0 && attempts < UINT32_MAX)
        item->attempts = (uint32_t)attempts;
    if (first_ms > 0)
        item->first_failed_ms = first_ms;
    json_decref(o);
}
