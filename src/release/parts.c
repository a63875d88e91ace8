/* What the parts of one sweeper share: accounting of outcomes, the records of :failed. */
#include "release/parts.h"

#include "base/json_text.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/redis_link.h"
#include "queue/redis_use.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "store/statements.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ODD_BYTES 64 /* of an id that is no text */
#define STATEMENT_TIMEOUT_MAX_US (5 * SECOND_US)

bool parts_redis_usable(const struct parts *s)
{
    if (s->redis_use != NULL)
        return redis_use_ok(s->redis_use);
    return s->redis != NULL && redis_link_state(s->redis) == REDIS_LINK_UP;
}

bool parts_degraded(const struct parts *s)
{
    return s->redis_use != NULL && redis_use_degraded(s->redis_use);
}

int64_t parts_statement_timeout_us(const struct config *config)
{
    int64_t us = config->lease_us * 2 / 5;
    return us < STATEMENT_TIMEOUT_MAX_US ? us : STATEMENT_TIMEOUT_MAX_US;
}

struct batch *parts_batch_new(struct parts *s, struct pg_link *link)
{
    const struct config *c = s->config;
    const struct batch_options options = {
        .loop = s->loop,
        .link = link,
        .statements = s->statements,
        .clock = &s->pg_clock,
        .counter_waits = s->counter_waits,
        .breakers = s->breakers,
        .locked = s->locked,
        .blockers = s->blockers,
        .fault = &s->fault,
        .stats = &s->stats,
        .running = &s->batches,
        .lock_timeout_us = c->lock_timeout_us,
        /* Who has asked for more than one worker has asked for speed. */
        .bulk_lock_timeout_us = c->workers > 1 ? c->lock_timeout_us : c->lock_timeout_us / 10,
        .statement_timeout_us = parts_statement_timeout_us(c),
    };
    return batch_new(&options);
}

void parts_note_catalog(struct parts *s)
{
    const char *problem = statements_problem(s->statements);
    int64_t now_us = clock_mono_us();
    enum outage_say say = problem[0] != '\0' ? outage_on(&s->unusable, problem, true, now_us)
                                             : outage_off(&s->unusable, now_us);
    if (say == OUTAGE_WARN || say == OUTAGE_ERROR)
        log_event(say == OUTAGE_WARN ? LOG_WARN : LOG_ERROR, "The database cannot be used as it is",
                  LOG_STR, "error", problem, LOG_INT, "awaySeconds",
                  s->unusable.lasted_us / SECOND_US, LOG_END);
    else if (say == OUTAGE_OVER)
        log_event(LOG_INFO, "The database can be used again", LOG_INT, "awaySeconds",
                  s->unusable.lasted_us / SECOND_US, LOG_END);
}

/* Named as the bytes that it is: no record could show it otherwise. */
static void name_odd_id(struct parts *s, const struct item *item)
{
    char bytes[2 * ODD_BYTES + 1] = "";
    if (item->id_len > ID_MAX_LEN || parse_id_valid(ID_TEXT, item->id, item->id_len) ||
        !few_may(&s->odd_said, clock_mono_us()))
        return;
    for (size_t i = 0; i < item->id_len && i < ODD_BYTES; i++)
        snprintf(bytes + 2 * i, 3, "%02x", (unsigned char)item->id[i]);
    log_event(LOG_WARN, "Released a reservation whose id is not UTF-8", LOG_STR, "reservationId",
              item->id, LOG_STR, "bytes", bytes, LOG_INT, "othersNotNamed",
              (int64_t)s->odd_said.more, LOG_END);
    s->odd_said.more = 0;
}

static void account_released(struct parts *s, const struct item *item, int64_t commit_us)
{
    s->stats.released++;
    units_add(&s->stats.released_units, &item->units);
    if (item->expires_us != INT64_MAX)
        stats_observe(&s->stats.lateness_s, (double)(commit_us - item->expires_us) / 1e6);
    name_odd_id(s, item);
    if (item->uncounted > 0) {
        s->stats.uncounted += item->uncounted;
        refusal_log_uncounted(s->refusal_log, item);
    }
}

static void account_invalid(struct parts *s, const struct item *item)
{
    s->stats.discarded[DISCARD_INVALID]++;
    if (!few_may(&s->invalid_said, clock_mono_us()))
        return;
    log_event(LOG_WARN, "An entry of Redis cannot be an id of this table: it was discarded",
              LOG_STR, "reservationId", item->id, LOG_INT, "othersNotNamed",
              (int64_t)s->invalid_said.more, LOG_END);
    s->invalid_said.more = 0;
}

void account_item(struct parts *s, const struct item *item, int64_t commit_us)
{
    switch (item->outcome) {
    case OUTCOME_RELEASED:
        account_released(s, item, commit_us);
        break;
    case OUTCOME_INACTIVE:
        s->stats.discarded[DISCARD_INACTIVE]++;
        break;
    case OUTCOME_MISSING:
        s->stats.discarded[DISCARD_MISSING]++;
        break;
    case OUTCOME_INVALID:
        account_invalid(s, item);
        break;
    case OUTCOME_FAILED:
        stats_failed(&s->stats, item->sqlstate);
        refusal_log_failed(s->refusal_log, item);
        break;
    case OUTCOME_NONE:
    case OUTCOME_NOT_DUE:
    case OUTCOME_LOCKED:
    case OUTCOME_UNTRIED:
    case OUTCOME_DEFERRED:
    case OUTCOME_UNKNOWN:
    case OUTCOME_FAULT:
        break;
    }
}

void account_batch(struct parts *s, const struct item *items, size_t n)
{
    bool fault = false;
    for (size_t i = 0; i < n; i++) {
        enum outcome outcome = items[i].outcome;
        if (outcome == OUTCOME_RELEASED || outcome == OUTCOME_INACTIVE ||
            outcome == OUTCOME_MISSING || outcome == OUTCOME_NOT_DUE || outcome == OUTCOME_FAILED) {
            s->fault_since_us = 0;
            return;
        }
        fault = fault || outcome == OUTCOME_FAULT;
    }
    if (fault && s->fault_since_us == 0)
        s->fault_since_us = clock_mono_us();
}

char *failed_record_make(const struct item *item, int64_t now_ms, int64_t retry_ms)
{
    json_t *error = json_text(item->error != NULL ? item->error : "");
    int64_t first_ms = item->first_failed_ms > 0 ? item->first_failed_ms : now_ms;
    json_t *o =
        json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}", "error", error, "sqlstate", item->sqlstate,
                  "attempts", (json_int_t)item->attempts, "firstFailedAt", (json_int_t)first_ms,
                  "lastFailedAt", (json_int_t)now_ms, "retryAt", (json_int_t)retry_ms);
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
