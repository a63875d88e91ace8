/* The records of :kept. */
#include "release/kept_record.h"

#include "base/time_units.h"
#include "config/queue.h"
#include "release/release.h"

#include <jansson.h>

/* Whatever stands in Redis: no time beyond the year 9999. */
#define TIME_MAX_MS INT64_C(253402300799999)
#define SOON_MS 100

char *kept_record_make(const struct kept *kept, int64_t again_ms)
{
    json_t *o = json_pack("{s:I, s:I, s:I, s:b}", "since", (json_int_t)kept->since_ms, "dueAt",
                          (json_int_t)kept->due_ms, "lookAgainAt", (json_int_t)again_ms,
                          "attention", (int)kept->attention);
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static int64_t read_time(const json_t *o, const char *key)
{
    json_int_t ms = json_integer_value(json_object_get(o, key));
    return ms > 0 && ms <= TIME_MAX_MS ? ms : 0;
}

void kept_record_read(struct kept *kept, const char *json, size_t len)
{
    json_t *o = json_loadb(json, len, 0, NULL);
    *kept = (struct kept){
        .since_ms = read_time(o, "since"),
        .due_ms = read_time(o, "dueAt"),
        .attention = json_is_true(json_object_get(o, "attention")),
    };
    json_decref(o);
}

int64_t kept_record_again_ms(const char *json, size_t len)
{
    json_t *o = json_loadb(json, len, 0, NULL);
    int64_t ms = read_time(o, "lookAgainAt");
    json_decref(o);
    return ms;
}

int64_t kept_again_ms(const struct kept *kept, int64_t now_ms, const struct queue_keep *keep)
{
    int64_t again_ms = now_ms + keep->look_again_us / MS_US;
    int64_t ends_ms = kept->since_ms + 1 + keep->at_most_us / MS_US; /* since_ms is rounded down */
    if (kept->due_ms > now_ms)
        return kept->due_ms;
    /* It was not over by Postgres's clock, whatever is thought of that here. */
    if (ends_ms < now_ms + SOON_MS)
        ends_ms = now_ms + SOON_MS;
    return kept->attention || again_ms < ends_ms ? again_ms : ends_ms;
}
