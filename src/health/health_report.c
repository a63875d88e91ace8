/* A health report as JSON. */
#include "health/health.h"

#include "base/json_text.h"
#include "base/time_units.h"
#include "health/health_past.h"
#include "queue/repair.h"
#include "release/locked.h"
#include "release/pause_record.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define ID_SHOWN 1024   /* bytes; what stands in Redis may be anything */
#define RECORD_MAX 8192 /* bytes of a record that is still shown */

/* An id of Redis's: foreign, and as long as it likes. */
static json_t *id_json(const struct due_text *id)
{
    return json_bytes(id->text, id->len < ID_SHOWN ? id->len : ID_SHOWN);
}

static json_t *seconds_json(int64_t us)
{
    return json_real((double)us / 1e6);
}

static json_t *count_json(bool known, int64_t n)
{
    return known ? json_integer(n) : json_null();
}

static json_t *server_json(const struct health_server *s)
{
    json_t *o = json_pack("{s:o, s:b, s:o}", "address", json_text(s->address), "up", s->up,
                          "clockOffsetSeconds",
                          s->clock_known ? seconds_json(s->clock_offset_us) : json_null());
    if (!s->up && s->error[0] != '\0')
        (void)json_object_set_new(o, "error", json_text(s->error));
    return o;
}

/* Null when it is not known. */
static json_t *name_json(const char *name)
{
    return name[0] != '\0' ? json_text(name) : json_null();
}

static json_t *overdue_json(const struct health_report *r)
{
    int64_t us = health_overdue_us(r);
    if (us == 0)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "reservationId", name_json(r->overdue_id), "productId",
                     name_json(r->overdue_product), "expiresAt",
                     health_time_json(r->overdue_since_us), "overdueSeconds", seconds_json(us));
}

/* Frees o. */
static char *dump(json_t *o)
{
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(o);
    return text;
}

static json_t *pause_json(const struct pause_record *pause)
{
    return json_pack("{s:o, s:o, s:o}", "until", health_time_json(pause->until_ms * MS_US),
                     "reason", name_json(pause->reason), "by", name_json(pause->by));
}

static void set_verdict(json_t *o, const struct health_report *r)
{
    int64_t overdue_us = health_overdue_us(r);
    (void)json_object_set_new(o, "ready", json_boolean(r->ready));
    if (!r->ready)
        (void)json_object_set_new(o, "reason", json_text(r->reason));
    (void)json_object_set_new(o, "degraded", json_boolean(r->degraded));
    if (r->degraded && r->degraded_reason != NULL && r->degraded_reason[0] != '\0')
        (void)json_object_set_new(o, "degradedReason", json_text(r->degraded_reason));
    if (r->pause != NULL)
        (void)json_object_set_new(o, "paused", pause_json(r->pause));
    (void)json_object_set_new(o, "overdueSeconds",
                              r->overdue_known ? seconds_json(overdue_us) : json_null());
    (void)json_object_set_new(o, "failed", count_json(r->sizes_known, r->failed));
    (void)json_object_set_new(o, "kept", count_json(r->kept_known, r->kept));
    (void)json_object_set_new(o, "keptAttention", count_json(r->kept_known, r->attention));
    (void)json_object_set_new(o, "locked", count_json(r->locked_known, (json_int_t)r->locked));
}

/* One object for each queue, filled in by `fill`. */
static json_t *queues_json(const struct health_report *reports, int n,
                           void (*fill)(json_t *o, const struct health_report *r))
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        json_t *o = json_pack("{s:o}", "queue", json_text(reports[i].queue));
        fill(o, &reports[i]);
        (void)json_array_append_new(list, o);
    }
    return list;
}

char *health_ready_json(const struct health_report *reports, int n)
{
    struct health_report sum;
    json_t *o = json_object();
    health_sum(reports, n, &sum);
    set_verdict(o, &sum);
    if (n > 1)
        (void)json_object_set_new(o, "queues", queues_json(reports, n, set_verdict));
    return dump(o);
}

static json_t *list_json(json_t *list)
{
    return list != NULL ? json_incref(list) : json_array();
}

/* All that is known of one queue. */
static void set_queue(json_t *o, const struct health_report *r)
{
    bool timed = r->locked_known && (r->locked == 0 || r->locked_us > 0);
    set_verdict(o, r);
    (void)json_object_set_new(o, "pending", count_json(r->sizes_known, r->pending));
    (void)json_object_set_new(o, "inflight", count_json(r->sizes_known, r->inflight));
    (void)json_object_set_new(o, "oldestOverdue", overdue_json(r));
    (void)json_object_set_new(o, "nextDueAt", health_time_json(r->next_due_us));
    (void)json_object_set_new(o, "lockedSeconds", timed ? seconds_json(r->locked_us) : json_null());
    (void)json_object_set_new(o, "lockedReservations", list_json(r->lockeds));
    (void)json_object_set_new(o, "failures", list_json(r->failures));
    (void)json_object_set_new(o, "keptReservations",
                              r->keeps == NULL && r->kept > 0 ? json_null() : list_json(r->keeps));
    (void)json_object_set_new(o, "postgres", server_json(&r->postgres));
    (void)json_object_set_new(o, "lastHour", health_hour_json(r, 1));
    (void)json_object_set_new(o, "lastReconciliation", health_reconciliation_json(r));
}

char *health_status_json(const struct health_report *reports, int n)
{
    struct health_report sum;
    json_t *o = json_object();
    (void)json_object_set_new(o, "version", json_string(RS_VERSION));
    health_sum(reports, n, &sum);
    (void)json_object_set_new(o, "now", health_time_json(sum.now_us));
    if (n == 1) {
        set_queue(o, &sum);
    } else {
        set_verdict(o, &sum);
        (void)json_object_set_new(o, "lastHour", health_hour_json(reports, n));
    }
    (void)json_object_set_new(o, "redis", server_json(&sum.redis));
    if (sum.reload != NULL)
        (void)json_object_set(o, "lastReload", sum.reload);
    (void)json_object_set_new(o, "queues", queues_json(reports, n, set_queue));
    return dump(o);
}

/* Names as in the log. */
static void set_holder(json_t *o, const struct locked_holder *h)
{
    if (!h->known)
        return;
    if (h->gid[0] != '\0')
        (void)json_object_set_new(o, "blockerGid", json_text(h->gid));
    else
        (void)json_object_set_new(o, "blockerPid", json_integer(h->pid));
    (void)json_object_set_new(o, "blockerUser", json_text(h->user));
    (void)json_object_set_new(o, "blockerApplication", json_text(h->application));
    (void)json_object_set_new(o, "lockOn", json_string(h->what));
}

json_t *health_lockeds(const struct locked *locked, int64_t mono_us, int64_t now_us)
{
    struct locked_entry entries[HEALTH_LOCKED_MAX];
    json_t *list = json_array();
    size_t n = locked_oldest(locked, entries, HEALTH_LOCKED_MAX);
    for (size_t i = 0; i < n && list != NULL; i++) {
        const struct locked_entry *e = &entries[i];
        int64_t locked_us = mono_us - e->since_us;
        json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "reservationId", json_text(e->id),
                              "productId", name_json(e->product), "lockedSince",
                              health_time_json(now_us > 0 ? now_us - locked_us : 0),
                              "lockedSeconds", seconds_json(locked_us));
        set_holder(o, &e->holder);
        (void)json_array_append_new(list, o);
    }
    return list;
}

/* A record has milliseconds; people are shown times in one form. */
static void show_times(json_t *record)
{
    static const char *const names[] = {"firstFailedAt", "lastFailedAt", "retryAt",
                                        "since",         "dueAt",        "lookAgainAt"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *value = json_object_get(record, names[i]);
        json_int_t ms = json_integer_value(value);
        if (value != NULL)
            (void)json_object_set_new(record, names[i],
                                      json_is_integer(value) && ms <= INT64_MAX / MS_US
                                          ? health_time_json(ms * MS_US)
                                          : json_null());
    }
}

/* What a record says, and of whom; of one that cannot be read, of whom. */
static json_t *record_json(const struct due_found *found)
{
    const struct due_text *record = &found->value;
    json_t *o = record->text != NULL && record->len <= RECORD_MAX
                    ? json_loadb(record->text, record->len, 0, NULL)
                    : NULL;
    json_t *shown = json_pack("{s:o}", "reservationId", id_json(&found->id));
    if (json_is_object(o)) {
        (void)json_object_update_missing(shown, o);
        show_times(shown);
    }
    json_decref(o);
    return shown;
}

json_t *health_failures(const struct due_found *found, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n && i < HEALTH_RECORDS_MAX && list != NULL; i++)
        (void)json_array_append_new(list, record_json(&found[i]));
    return list;
}

json_t *health_keeps(const struct due_found *found, size_t n)
{
    json_t *list = json_array(), *others = json_array(), *other;
    size_t at;
    for (size_t i = 0; i < n; i++) {
        json_t *o = record_json(&found[i]);
        json_t *to = json_is_true(json_object_get(o, "attention")) ? list : others;
        if (json_array_size(to) < HEALTH_RECORDS_MAX)
            (void)json_array_append(to, o);
        json_decref(o);
    }
    json_array_foreach(others, at, other)
    {
        if (json_array_size(list) < HEALTH_RECORDS_MAX)
            (void)json_array_append(list, other);
    }
    json_decref(others);
    return list;
}
