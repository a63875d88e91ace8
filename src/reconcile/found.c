/* Findings about entries of Redis, counted and reported. */
#include "reconcile/found.h"

#include "base/parse.h"
#include "config/config.h"
#include "queue/repair.h"
#include "reconcile/report.h"
#include "reconcile/run.h"
#include "reconcile/seen.h"
#include "release/parts.h"

#include <assert.h>

/* A score as a number, or null. */
static json_t *score_json(const struct due_text *text)
{
    int64_t ms = 0;
    if (text->text == NULL || parse_score_ms(text->text, text->len, &ms) != 0)
        return json_null();
    return json_integer(ms);
}

static void report(struct reconcile *r, const char *id, size_t id_len, const struct judgement *j)
{
    const struct finding_row *row = &findings[j->finding];
    json_t *found;
    if (!report_wanted(r))
        return;
    if (row->suspicion == SUSPECT_RECORD)
        found = json_loadb(j->seen.text, j->seen.len, JSON_DECODE_ANY, NULL);
    else
        found = score_json(&j->seen);
    report_finding(r, j->finding, id, id_len, row->has_time ? json_integer(j->at_ms) : NULL, found,
                   r->options.dry_run ? "nothing" : row->done);
}

static void count(struct reconcile *r, const char *id, size_t id_len, const struct judgement *j)
{
    r->result.counts[findings[j->finding].count]++;
    if (r->options.dry_run)
        r->result.counts[COUNT_REMAINING]++;
    report(r, id, id_len, j);
}

void found_note(struct reconcile *r, const char *id, size_t id_len, const struct judgement *j)
{
    assert(j->finding < FINDINGS && findings[j->finding].suspicion < SUSPICIONS);
    if (!seen_add(r->seen, findings[j->finding].suspicion, id, id_len))
        return;
    count(r, id, id_len, j);
}

void found_odd(struct reconcile *r, const struct due_found *odd)
{
    const struct judgement j = {.finding = FINDING_LEASE_ODD, .seen = odd->value};
    if (seen_add(r->seen, SEEN_ODD, odd->id.text, odd->id.len))
        count(r, odd->id.text, odd->id.len, &j);
}

void found_missing(struct reconcile *r, const struct due_entry *entry)
{
    const struct judgement j = {.finding = FINDING_MISSING, .at_ms = entry->at_ms};
    found_note(r, entry->id, entry->id_len, &j);
}

struct judge_times found_times(const struct reconcile *r)
{
    const struct config *c = r->parts->config;
    return (struct judge_times){
        .now_us = run_now_us(r),
        .lease_us = c->lease_us,
        .lookahead_us = c->lookahead_us,
        .feed_interval_us = c->feed_interval_us,
    };
}
