/* What a reconciliation says: a line for each finding, its progress, its end. */
#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "reconcile/reconcile_private.h"
#include "release/parts.h"
#include "release/refusal_log.h"

#include <inttypes.h>
#include <string.h>

#define LOG_INTERVAL_US (10 * SECOND_US)
#define RATE_AFTER_US (500 * MS_US) /* sooner a rate says little */

bool report_wanted(const struct reconcile *r)
{
    return r->options.report != NULL;
}

void report_finding(struct reconcile *r, const char *kind, bool product, const char *id,
                    size_t id_len, json_t *expected, json_t *found, const char *done)
{
    json_t *line = json_object();
    json_object_set_new(line, "kind", json_string(kind));
    json_object_set_new(line, product ? "productId" : "reservationId", json_bytes(id, id_len));
    json_object_set_new(line, "expected", expected != NULL ? expected : json_null());
    json_object_set_new(line, "found", found != NULL ? found : json_null());
    json_object_set_new(line, "done", json_string(done));
    int rc = json_dumpf(line, r->options.report, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(line);
    if (rc != 0 || fputc('\n', r->options.report) == EOF)
        run_fail(r, "the report could not be written");
}

/* ---- progress ---- */

struct pace {
    double rate;    /* a second; 0: not known */
    int64_t left_s; /* -1: not known */
};

static struct pace pace_of(const struct reconcile *r)
{
    struct pace pace = {0, -1};
    int64_t us = clock_mono_us() - r->phase_began_us;
    if (us < RATE_AFTER_US || r->done == 0)
        return pace;
    pace.rate = (double)r->done * 1e6 / (double)us;
    if (r->total > r->done)
        pace.left_s = (int64_t)((double)(r->total - r->done) / pace.rate) + 1;
    return pace;
}

static void log_progress(struct reconcile *r, const char *phase)
{
    struct pace pace = pace_of(r);
    log_event(LOG_INFO, "Reconciliation progress", LOG_STR, "phase", phase, LOG_INT, "done",
              r->done, LOG_INT, "total", r->total, LOG_INT, "perSecond", (int64_t)pace.rate,
              LOG_INT, "secondsLeft", pace.left_s, LOG_END);
}

static void show_progress(const struct reconcile *r, const char *phase)
{
    FILE *out = r->options.terminal;
    struct pace pace = pace_of(r);
    fprintf(out, "\r\033[K%s: %" PRId64, phase, r->done);
    if (r->total > 0)
        fprintf(out, " of %" PRId64, r->total);
    if (pace.rate > 0)
        fprintf(out, ", %.0f a second", pace.rate);
    if (pace.left_s >= 0)
        fprintf(out, ", %" PRId64 " s left", pace.left_s);
    fputc('\r', out); /* a record that comes now is written over it */
    fflush(out);
}

void report_progress(struct reconcile *r, const char *phase)
{
    int64_t now_us = clock_mono_us();
    if (r->options.terminal != NULL) {
        show_progress(r, phase);
    } else if (now_us - r->logged_us >= LOG_INTERVAL_US) {
        r->logged_us = now_us;
        log_progress(r, phase);
    }
}

/* ---- the end ---- */

static void show_table(const struct reconcile *r)
{
    const struct reconcile_result *s = &r->result;
    bool dry = s->dry_run;
    const struct {
        const char *words, *dry_words;
        int64_t n;
    } rows[] = {
        {"expired, released", "expired, still active", s->released},
        {"missing in Redis, added", "missing in Redis", s->missing},
        {"too late in Redis, moved", "too late in Redis", s->misplaced},
        {"in Redis for nothing, removed", "in Redis for nothing", s->orphaned},
        {"leases that ended, returned", "leases that ended", s->leases_expired},
        {"stock counters that drifted", "stock counters that drifted", s->stock_drifted},
        {"  of these repaired", "  of these repaired", s->stock_repaired},
        {"stock counters checked", "stock counters checked", s->stock_checked},
        {"spent entries, left to the sweeper", "spent entries, left to the sweeper", s->spent},
        {"inconsistencies that remain", "inconsistencies that remain", s->remaining},
    };
    FILE *out = r->options.terminal;
    fprintf(out, "\r\033[K");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fprintf(out, "  %-36s %12" PRId64 "\n", dry ? rows[i].dry_words : rows[i].words, rows[i].n);
    fflush(out);
}

static void log_completed(const struct reconcile_result *s)
{
    log_event(LOG_INFO, "Reconciliation completed", LOG_INT, "releasedCount", s->released, LOG_INT,
              "failedCount", s->refused, LOG_INT, "skippedCount", s->skipped, LOG_INT,
              "mirrorMissing", s->missing, LOG_INT, "mirrorMisplaced", s->misplaced, LOG_INT,
              "mirrorOrphaned", s->orphaned, LOG_INT, "mirrorSpent", s->spent, LOG_INT,
              "leasesExpired", s->leases_expired, LOG_INT, "stockChecked", s->stock_checked,
              LOG_INT, "stockDrifted", s->stock_drifted, LOG_INT, "stockRepaired",
              s->stock_repaired, LOG_INT, "remainingCount", s->remaining, LOG_BOOL, "dryRun",
              s->dry_run, LOG_INT, "durationMs", s->duration_ms, LOG_END);
}

void report_end(struct reconcile *r)
{
    if (r->options.report != NULL && fflush(r->options.report) != 0)
        run_fail(r, "the report could not be written");
    refusal_log_flush(r->parts->refusal_log);
    r->result.ok = r->error[0] == '\0';
    r->result.error = r->error;
    if (r->result.ok) {
        if (r->options.terminal != NULL)
            show_table(r);
        log_completed(&r->result);
        return;
    }
    if (r->options.terminal != NULL)
        fprintf(r->options.terminal, "\r\033[K");
    log_event(LOG_ERROR, "Reconciliation failed", LOG_STR, "error", r->error, LOG_BOOL, "dryRun",
              r->result.dry_run, LOG_INT, "durationMs", r->result.duration_ms, LOG_END);
}
