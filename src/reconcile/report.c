/* What a reconciliation says. */
#include "reconcile/report.h"

#include "base/clock.h"
#include "base/int_text.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/terminal.h"
#include "base/time_units.h"
#include "reconcile/run.h"
#include "release/parts.h"
#include "release/refusal_log.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define RATE_AFTER_US (500 * MS_US) /* sooner a rate says little */

bool report_wanted(const struct reconcile *r)
{
    return r->options.report != NULL;
}

/* A line begins: what of, and of which queue. */
static json_t *begin_line(const char *kind)
{
    json_t *line = json_object();
    json_object_set_new(line, "kind", json_string(kind));
    if (log_queue() != NULL)
        json_object_set_new(line, "queue", json_text(log_queue()));
    return line;
}

static void write_line(struct reconcile *r, json_t *line, const char *done)
{
    json_object_set_new(line, "done", json_string(done));
    int rc = json_dumpf(line, r->options.report, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(line);
    if (rc != 0 || fputc('\n', r->options.report) == EOF)
        run_fail(r, "the report could not be written");
}

void report_finding(struct reconcile *r, enum finding finding, const char *id, size_t id_len,
                    json_t *expected, json_t *found, const char *done)
{
    const struct finding_row *row = &findings[finding];
    json_t *line = begin_line(row->kind);
    json_object_set_new(line, row->of_product ? "productId" : "reservationId",
                        json_bytes(id, id_len));
    json_object_set_new(line, "expected", expected != NULL ? expected : json_null());
    json_object_set_new(line, "found", found != NULL ? found : json_null());
    write_line(r, line, done);
}

void report_verify(struct reconcile *r, int query, json_t *row)
{
    const struct finding_row *finding = &findings[FINDING_VERIFY];
    json_t *line = begin_line(finding->kind);
    json_object_set_new(line, "query", json_integer(query));
    json_object_set_new(line, "expected", json_null());
    json_object_set_new(line, "found", row);
    write_line(r, line, finding->done);
}

void report_unchecked(struct reconcile *r)
{
    json_t *line = begin_line("notCheckable");
    json_object_set_new(line, "found", json_string(r->result.stock_unchecked));
    write_line(r, line, "nothing");
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

void report_progress(const struct reconcile *r, const char *phase)
{
    struct pace pace = pace_of(r);
    log_event(LOG_INFO, "Reconciliation progress", LOG_STR, "phase", phase, LOG_INT, "done",
              r->done, LOG_INT, "total", r->total, LOG_INT, "perSecond", (int64_t)pace.rate,
              LOG_INT, "secondsLeft", pace.left_s, LOG_END);
}

/* ---- the end ---- */

/* The counter that stands in this line of the table. */
static enum reconcile_count counter_of(int line)
{
    int count = 0;
    while (reconcile_counters[count].line != line)
        count++;
    assert(count < COUNTS);
    return (enum reconcile_count)count;
}

static void show_table(const struct reconcile *r)
{
    FILE *out = r->options.terminal;
    char figure[INT_TEXT_GROUPED];
    terminal_line_clear();
    for (int line = 1; line <= RECONCILE_LINES; line++) {
        enum reconcile_count count = counter_of(line);
        const struct reconcile_counter *c = &reconcile_counters[count];
        bool dry = r->result.dry_run && c->dry_words != NULL;
        if (reconcile_counted(&r->result, count))
            fprintf(out, "  %-36s %14s\n", dry ? c->dry_words : c->words,
                    int_text_grouped(figure, r->result.counts[count]));
        else
            fprintf(out, "  %-36s %14s\n", c->words, "not checked");
    }
    fflush(out);
}

void reconcile_log_completed(const struct reconcile_result *s)
{
    json_t *counts = json_object();
    for (int i = 0; i < COUNTS; i++)
        (void)json_object_set_new(counts, reconcile_counters[i].field,
                                  reconcile_counted(s, (enum reconcile_count)i)
                                      ? json_integer(s->counts[i])
                                      : json_null());
    log_event(LOG_INFO, "Reconciliation completed", LOG_EACH, "", counts, LOG_STR, "notCheckable",
              s->stock_unchecked, LOG_STR, "stockComparedWith", s->stock_elsewhere, LOG_BOOL,
              "dryRun", s->dry_run, LOG_INT, "durationMs", s->duration_ms, LOG_END);
    json_decref(counts);
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
        reconcile_log_completed(&r->result);
        return;
    }
    log_event(LOG_ERROR, "Reconciliation failed", LOG_STR, "error", r->error, LOG_BOOL, "dryRun",
              r->result.dry_run, LOG_INT, "durationMs", r->result.duration_ms, LOG_END);
}
