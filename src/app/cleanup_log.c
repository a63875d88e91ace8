/* The last record of --once and POST /sweep. */
#include "app/cleanup_log.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "release/drain.h"

#include <jansson.h>

void cleanup_take(struct cleanup *c, const struct drain_result *result)
{
    c->cleaned = result->released;
    c->units = result->units;
    c->failed = result->refused + result->deferred;
    c->skipped = result->locked;
    c->kept = result->kept;
}

void cleanup_add(struct cleanup *sum, const struct cleanup *more)
{
    sum->queue = NULL;
    sum->began_us = more->began_us < sum->began_us ? more->began_us : sum->began_us;
    sum->cleaned += more->cleaned;
    sum->failed += more->failed;
    sum->skipped += more->skipped;
    sum->kept += more->kept;
    units_add(&sum->units, &more->units);
}

void cleanup_completed(const struct cleanup *list, int n)
{
    struct cleanup sum = list[0];
    json_t *more = json_object();
    json_t *queues = json_object();
    char units[UNITS_TEXT];
    for (int i = 0; i < n; i++) {
        if (i > 0)
            cleanup_add(&sum, &list[i]);
        (void)json_object_set_new(queues, list[i].queue, json_integer((json_int_t)list[i].cleaned));
    }
    units_text(&sum.units, units);
    if (n > 1)
        (void)json_object_set(more, "queues", queues);
    const char *queue = log_set_queue(sum.queue);
    log_event(LOG_INFO, "Cleanup job completed", LOG_INT, "cleanedCount", (int64_t)sum.cleaned,
              LOG_NUMBER, "releasedUnits", units, LOG_INT, "failedCount", (int64_t)sum.failed,
              LOG_INT, "skippedCount", (int64_t)sum.skipped, LOG_INT, "keptCount",
              (int64_t)sum.kept, LOG_BOOL, "dryRun", sum.dry_run, LOG_INT, "durationMs",
              (clock_mono_us() - sum.began_us) / MS_US, LOG_EACH, "", more, LOG_END);
    (void)log_set_queue(queue);
    json_decref(queues);
    json_decref(more);
}

void cleanup_failed(const struct cleanup *c, const char *error)
{
    const char *queue = log_set_queue(c->queue);
    log_event(LOG_ERROR, "Cleanup job failed", LOG_STR, "error", error, LOG_INT, "cleanedCount",
              (int64_t)c->cleaned, LOG_END);
    (void)log_set_queue(queue);
}
