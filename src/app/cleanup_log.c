/* The last record of --once and POST /sweep. */
#include "app/cleanup_log.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "release/drain.h"

void cleanup_take(struct cleanup *c, const struct drain_result *result)
{
    c->cleaned = result->released;
    c->units = result->units;
    c->failed = result->refused + result->deferred;
    c->skipped = result->locked;
}

void cleanup_completed(const struct cleanup *c)
{
    char units[UNITS_TEXT];
    units_text(&c->units, units);
    log_event(LOG_INFO, "Cleanup job completed", LOG_INT, "cleanedCount", (int64_t)c->cleaned,
              LOG_NUMBER, "releasedUnits", units, LOG_INT, "failedCount", (int64_t)c->failed,
              LOG_INT, "skippedCount", (int64_t)c->skipped, LOG_BOOL, "dryRun", c->dry_run, LOG_INT,
              "durationMs", (clock_mono_us() - c->began_us) / MS_US, LOG_END);
}

void cleanup_failed(const struct cleanup *c, const char *error)
{
    log_event(LOG_ERROR, "Cleanup job failed", LOG_STR, "error", error, LOG_INT, "cleanedCount",
              (int64_t)c->cleaned, LOG_END);
}
