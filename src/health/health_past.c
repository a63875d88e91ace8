/* The last hour and the last reconciliation, as JSON. */
#include "health/health_past.h"

#include "base/iso_time.h"
#include "base/json_text.h"
#include "base/time_units.h"
#include "health/health.h"
#include "health/history.h"
#include "reconcile/reconcile.h"

#include <jansson.h>

json_t *health_time_json(int64_t us)
{
    char text[ISO_TIME_SIZE];
    if (us <= 0 || iso_time(us, text)[0] == '\0')
        return json_null();
    return json_string(text);
}

/* Whole microseconds: more digits would be invented. Null where nothing was released. */
static json_t *quantile_json(const struct history_minute *m, const struct stats_histogram *lateness,
                             double part)
{
    if (history_released(m) == 0)
        return json_null();
    int64_t us = (int64_t)(history_quantile_s(m, lateness, part) * 1e6 + 0.5);
    return json_real((double)us / 1e6);
}

static json_t *minutes_json(const struct history *h, const struct stats_histogram *lateness)
{
    json_t *released = json_array(), *p50 = json_array(), *p99 = json_array();
    json_t *overdue = json_array();
    for (int i = 0; i < history_minutes(h); i++) {
        const struct history_minute *m = history_at(h, i);
        (void)json_array_append_new(released, json_integer((json_int_t)history_released(m)));
        (void)json_array_append_new(p50, quantile_json(m, lateness, 0.5));
        (void)json_array_append_new(p99, quantile_json(m, lateness, 0.99));
        (void)json_array_append_new(overdue, json_real((double)m->overdue_us / 1e6));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "released", released, "p50Seconds", p50, "p99Seconds",
                     p99, "overdueSeconds", overdue);
}

json_t *health_hour_json(const struct health_report *reports, int n)
{
    const struct stats_histogram *lateness = reports[0].lateness;
    struct history sum = {.begun = false};
    json_t *bounds = json_array(), *counts = json_array();
    if (lateness == NULL) {
        json_decref(bounds);
        json_decref(counts);
        return json_null();
    }
    for (int i = 0; i < n; i++)
        history_add(&sum, reports[i].history);
    struct history_minute hour = history_hour(&sum);
    for (size_t i = 0; i < lateness->nbounds; i++)
        (void)json_array_append_new(bounds, json_real(lateness->bounds[i]));
    for (size_t i = 0; i <= lateness->nbounds; i++)
        (void)json_array_append_new(counts, json_integer((json_int_t)hour.counts[i]));
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "released",
                     (json_int_t)history_released(&hour), "p50Seconds",
                     quantile_json(&hour, lateness, 0.5), "p99Seconds",
                     quantile_json(&hour, lateness, 0.99), "boundsSeconds", bounds, "counts",
                     counts, "minutes", minutes_json(&sum, lateness));
}

json_t *health_reconciliation_json(const struct health_report *r)
{
    const struct reconcile_result *done = r->reconciled;
    if (done == NULL)
        return json_null();
    json_t *o = json_pack("{s:o, s:b, s:b, s:f}", "finishedAt", health_time_json(done->finished_us),
                          "ok", done->ok, "dryRun", done->dry_run, "durationSeconds",
                          (double)done->duration_ms / 1e3);
    if (!done->ok)
        (void)json_object_set_new(o, "error", json_text(done->error));
    for (int i = 0; i < COUNTS; i++)
        (void)json_object_set_new(o, reconcile_counters[i].field,
                                  reconcile_counted(done, (enum reconcile_count)i)
                                      ? json_integer(done->counts[i])
                                      : json_null());
    return o;
}
