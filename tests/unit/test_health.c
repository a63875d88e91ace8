/* The verdict on a report, and its JSON. */
#include "feed/overdue.h"
#include "health/health.h"
#include "health/health_verdict.h"
#include "health/history.h"
#include "queue/repair.h"
#include "reconcile/reconcile.h"
#include "release/locked.h"
#include "release/parts.h"
#include "release/pause_record.h"
#include "release/release.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define NOW_US INT64_C(1763082000000000)

static struct health_report healthy(void)
{
    return (struct health_report){
        .queue = "reservations",
        .postgres = {.address = "host=pg", .error = "", .up = true, .clock_known = true},
        .redis = {.address = "redis:6379/0", .error = "", .up = true},
        .sizes_known = true,
        .pending = 5,
        .inflight = 2,
        .now_us = NOW_US,
        .overdue_known = true,
        .locked_known = true,
        .overdue_unknown = "",
        .overdue_id = "",
        .overdue_product = "",
    };
}

static void overdue_by(struct health_report *r, int64_t us)
{
    r->overdue_since_us = NOW_US - us;
    r->overdue_id = "the-oldest";
}

static void verdicts(void **state)
{
    (void)state;

    struct health_report r = healthy();
    health_judge(&r, "");
    assert_true(r.ready);

    overdue_by(&r, 30 * SECOND_US);
    health_judge(&r, "");
    assert_true(r.ready);
    assert_int_equal(health_overdue_us(&r), 30 * SECOND_US);

    overdue_by(&r, 31 * SECOND_US);
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(r.reason, "a reservation has been overdue for 31 s: the-oldest");

    r = healthy();
    r.held = "more than 5 reservations are due";
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(r.reason, r.held);
    r.stopping = true;
    health_judge(&r, "");
    assert_string_equal(r.reason, "stopping");

    r = healthy();
    r.standby_wait_us = 30 * SECOND_US;
    health_judge(&r, "");
    assert_true(r.ready);
    r.standby_wait_us += SECOND_US;
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(r.reason,
                        "a release has waited at its COMMIT for a synchronous standby for 31 s");

    r = healthy();
    health_judge(&r, "there is no table inventory");
    assert_false(r.ready);
    assert_non_null(strstr(r.reason, "there is no table inventory"));

    r.postgres.up = false;
    r.postgres.error = "refused";
    health_judge(&r, "there is no table inventory");
    assert_false(r.ready);
    assert_string_equal(r.reason, "Postgres is out of reach: refused");
}

/* What is not known is neither on time nor late; what keeps it from being known is said. */
static void not_known(void **state)
{
    struct health_report r = healthy();
    (void)state;
    overdue_by(&r, 100 * SECOND_US);
    r.overdue_known = r.locked_known = false;
    r.overdue_unknown = "permission denied";
    r.silent_us = 42 * SECOND_US + 500000;
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(
        r.reason, "whether anything is overdue has not been known for 42 s: permission denied");
    assert_int_equal(health_overdue_us(&r), 0);

    char *text = health_status_json(&r, 1);
    json_t *o = json_loads(text, 0, NULL);
    assert_true(json_is_null(json_object_get(o, "overdueSeconds")));
    assert_true(json_is_null(json_object_get(o, "oldestOverdue")));
    assert_true(json_is_null(json_object_get(o, "locked")));
    assert_true(json_is_null(json_object_get(o, "lockedSeconds")));
    json_decref(o);
    free(text);

    r.silent_us = 0; /* --status, which looks once */
    health_judge(&r, "");
    assert_string_equal(r.reason, "whether anything is overdue is not known: permission denied");
    r.overdue_unknown = "";
    health_judge(&r, "");
    assert_string_equal(r.reason, "whether anything is overdue is not known");

    r.starting = true;
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(r.reason, "starting");
    health_judge(&r, "no table");
    assert_non_null(strstr(r.reason, "no table"));
}

/* Of several the first is said: what cannot be released at all comes before what is late. */
static void reasons_in_order(void **state)
{
    struct health_report r = healthy();
    (void)state;
    overdue_by(&r, 100 * SECOND_US);
    r.overdue_id = "";
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(r.reason, "a reservation has been overdue for 100 s");
    r.overdue_known = false;
    health_judge(&r, "");
    assert_string_equal(r.reason, "whether anything is overdue is not known");
    r.starting = r.stopping = true;
    health_judge(&r, "");
    assert_string_equal(r.reason, "stopping");
    r.stopping = r.postgres.up = false; /* it has not failed yet */
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(r.reason, "starting");
    r.postgres.error = "refused";
    health_judge(&r, "");
    assert_string_equal(r.reason, "Postgres is out of reach: refused");
    r.postgres.error = "";
    r.starting = false;
    health_judge(&r, "");
    assert_string_equal(r.reason, "Postgres is out of reach");
    r = healthy(); /* to the second it is on time */
    overdue_by(&r, HEALTH_OVERDUE_MAX_US + 1);
    health_judge(&r, "");
    assert_false(r.ready);
}

/* A claim beside others' does not know how many ids those have: then the last count stands, until
 * its age has Redis asked for all. */
static void when_a_claim_has_not_counted(void **state)
{
    static struct parts parts;
    struct due_sizes sizes = {.pending = 5, .inflight = DUE_NOT_COUNTED, .next_ms = 9};
    (void)state;
    parts_note_sizes(&parts, &sizes, 1, 2);
    assert_int_equal(parts.sizes_us, 0);
    sizes.inflight = 3;
    parts_note_sizes(&parts, &sizes, 3, 4);
    assert_int_equal(parts.sizes_us, 4);
    sizes = (struct due_sizes){.pending = 6, .inflight = DUE_NOT_COUNTED, .next_ms = 10};
    parts_note_sizes(&parts, &sizes, 5, 6);
    assert_int_equal(parts.sizes_us, 4);
    assert_int_equal(parts.sizes.inflight, 3);
    assert_int_equal(parts.sizes.pending, 6);
    assert_int_equal(parts.sizes.next_ms, 10);
}

static void when_redis_is_asked_for_its_sizes(void **state)
{
    (void)state;
    /* Claims bring them, as a rule. */
    assert_false(health_wants_sizes(SIZES_US - 1, 0, NOW_US));
    assert_true(health_wants_sizes(SIZES_US, 0, NOW_US));
    assert_false(health_wants_sizes(SIZES_US - 1, NOW_US + SECOND_US, NOW_US));
    /* The earliest is late: somebody else may be releasing it. */
    assert_false(health_wants_sizes(SIZES_US - 1, NOW_US - HEALTH_TICK_US, NOW_US));
    assert_true(health_wants_sizes(HEALTH_TICK_US, NOW_US - HEALTH_TICK_US - 1, NOW_US));
    assert_false(health_wants_sizes(HEALTH_TICK_US - 1, NOW_US - HEALTH_TICK_US - 1, NOW_US));
    /* Postgres's clock is not known. */
    assert_false(health_wants_sizes(SIZES_US - 1, NOW_US, 0));
}

static void when_redis_is_asked_for_records(void **state)
{
    (void)state;
    assert_false(health_wants_records(0, HOUR_US, 0));
    assert_false(health_wants_records(3, HOUR_US, 0));
    assert_true(health_wants_records(3, 0, 4)); /* others */
    assert_true(health_wants_records(0, 0, 1));
    assert_false(health_wants_records(3, RECORDS_US - 1, 3));
    assert_true(health_wants_records(3, RECORDS_US, 3));
}

static void the_start(void **state)
{
    (void)state;
    assert_true(health_has_started(true, true, false));
    assert_true(health_has_started(true, false, true)); /* Redis is away from the beginning */
    assert_false(health_has_started(true, false, false));
    assert_false(health_has_started(false, true, true));
    assert_true(health_is_starting(false, 0));
    assert_true(health_is_starting(false, OVERDUE_KNOWN_US));
    assert_false(health_is_starting(false, OVERDUE_KNOWN_US + 1)); /* it should have by now */
    assert_false(health_is_starting(true, 0));
}

static void who_reaches_postgres(void **state)
{
    struct health_server s = {.up = true};
    (void)state;
    health_postgres(&s, true, "of long ago", NULL);
    assert_true(s.up);
    health_postgres(&s, true, "of long ago", "timed out");
    assert_false(s.up);
    assert_string_equal(s.error, "timed out");
    health_postgres(&s, false, "refused", NULL);
    assert_false(s.up);
    assert_string_equal(s.error, "refused");
    health_postgres(&s, false, "refused", "timed out");
    assert_false(s.up);
    assert_string_equal(s.error, "refused");
}

static void stopping(void **state)
{
    struct health_report r = healthy();
    (void)state;
    r.stopping = true;
    health_judge(&r, "");
    assert_false(r.ready);
    assert_string_equal(r.reason, "stopping");
}

static void without_redis_it_is_ready(void **state)
{
    struct health_report r = healthy();
    (void)state;
    r.redis.up = false;
    r.degraded = true;
    r.sizes_known = false;
    health_judge(&r, "");
    assert_true(r.ready);

    char *text = health_ready_json(&r, 1);
    assert_non_null(text);
    assert_string_equal(text, "{\"ready\":true,\"degraded\":true,\"overdueSeconds\":0.0,"
                              "\"failed\":null,\"kept\":null,\"keptAttention\":null,\"locked\":0}");
    free(text);
}

/* What expires in the future, or an unknown clock, is no lateness. */
static void never_negative(void **state)
{
    struct health_report r = healthy();
    (void)state;
    overdue_by(&r, -SECOND_US);
    assert_int_equal(health_overdue_us(&r), 0);
    overdue_by(&r, SECOND_US);
    r.now_us = 0;
    assert_int_equal(health_overdue_us(&r), 0);
}

static void status_json(void **state)
{
    struct health_report r = healthy();
    (void)state;
    overdue_by(&r, 1500000);
    r.overdue_product = "p-1";
    r.next_due_us = NOW_US + 250000;
    r.postgres.clock_offset_us = -1250;
    health_judge(&r, "");

    char *text = health_status_json(&r, 1);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    assert_int_equal(json_integer_value(json_object_get(o, "pending")), 5);
    assert_int_equal(json_integer_value(json_object_get(o, "inflight")), 2);
    assert_string_equal(json_string_value(json_object_get(o, "nextDueAt")),
                        "2025-11-14T01:00:00.250Z");
    json_t *oldest = json_object_get(o, "oldestOverdue");
    assert_string_equal(json_string_value(json_object_get(oldest, "reservationId")), "the-oldest");
    assert_string_equal(json_string_value(json_object_get(oldest, "productId")), "p-1");
    assert_string_equal(json_string_value(json_object_get(oldest, "expiresAt")),
                        "2025-11-14T00:59:58.500Z");
    assert_non_null(strstr(text, "\"clockOffsetSeconds\":-0.00125"));
    assert_true(json_is_null(json_object_get(json_object_get(o, "redis"), "clockOffsetSeconds")));
    json_decref(o);
    free(text);
}

static json_t *status_of(const struct health_report *r)
{
    char *text = health_status_json(r, 1);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    free(text);
    return o;
}

/* What is not ready says why; a server that is out of reach says its error, and one that is not
 * keeps the one of before to itself. */
static void reasons_in_json(void **state)
{
    struct health_report r = healthy();
    (void)state;
    r.postgres.error = "of long ago";
    r.redis.up = false;
    r.redis.error = "refused";
    r.degraded = true;
    r.degraded_reason = "READONLY";
    r.stopping = true;
    health_judge(&r, "");
    json_t *o = status_of(&r);
    assert_string_equal(json_string_value(json_object_get(o, "reason")), "stopping");
    assert_string_equal(json_string_value(json_object_get(o, "degradedReason")), "READONLY");
    assert_null(json_object_get(json_object_get(o, "postgres"), "error"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "redis"), "error")),
                        "refused");
    assert_int_equal(json_array_size(json_object_get(o, "failures")), 0);
    json_decref(o);

    r = healthy();
    r.degraded_reason = "of long ago";
    r.redis.up = false; /* and nobody knows why */
    health_judge(&r, "");
    o = status_of(&r);
    assert_null(json_object_get(o, "reason"));
    assert_null(json_object_get(o, "degradedReason"));
    assert_null(json_object_get(json_object_get(o, "redis"), "error"));
    assert_true(json_is_null(json_object_get(o, "nextDueAt")));
    json_decref(o);
    r.degraded = true;
    r.degraded_reason = "";
    o = status_of(&r);
    assert_null(json_object_get(o, "degradedReason"));
    json_decref(o);
}

static void meet_locked(struct locked *l, const char *id, int64_t mono_us)
{
    struct item item;
    assert_int_equal(item_init(&item, id, strlen(id)), 0);
    item.outcome = OUTCOME_LOCKED;
    item.lock = LOCK_HELD;
    locked_note(l, &item, NOW_US, mono_us);
    item_clear(&item);
}

static void locked_in_json(void **state)
{
    const struct locked_holder session = {
        .known = true, .pid = 4242, .user = "shop", .application = "api", .what = "counter"};
    const struct locked_holder prepared = {.known = true, .gid = "tx-1", .what = "reservation"};
    const struct locked_holder unknown = {.known = false, .pid = 1};
    struct locked *l = locked_new();
    (void)state;
    meet_locked(l, "a", 5 * SECOND_US);
    meet_locked(l, "b", 6 * SECOND_US);
    meet_locked(l, "c", 7 * SECOND_US);
    locked_answer(l, "a", true, "p-1", &session, 8 * SECOND_US);
    locked_answer(l, "b", true, "", &prepared, 8 * SECOND_US);
    locked_answer(l, "c", true, "", &unknown, 8 * SECOND_US);
    json_t *list = health_lockeds(l, 10 * SECOND_US, NOW_US);
    assert_int_equal(json_array_size(list), 3);
    json_t *a = json_array_get(list, 0), *b = json_array_get(list, 1), *c = json_array_get(list, 2);
    assert_string_equal(json_string_value(json_object_get(a, "reservationId")), "a");
    assert_string_equal(json_string_value(json_object_get(a, "productId")), "p-1");
    assert_string_equal(json_string_value(json_object_get(a, "lockedSince")),
                        "2025-11-14T00:59:55.000Z");
    assert_int_equal(json_real_value(json_object_get(a, "lockedSeconds")), 5);
    assert_int_equal(json_integer_value(json_object_get(a, "blockerPid")), 4242);
    assert_null(json_object_get(a, "blockerGid"));
    assert_string_equal(json_string_value(json_object_get(a, "blockerUser")), "shop");
    assert_string_equal(json_string_value(json_object_get(a, "lockOn")), "counter");
    assert_string_equal(json_string_value(json_object_get(b, "blockerGid")), "tx-1");
    assert_null(json_object_get(b, "blockerPid"));
    assert_true(json_is_null(json_object_get(b, "productId")));
    assert_null(json_object_get(c, "blockerPid"));
    assert_null(json_object_get(c, "blockerUser"));
    json_decref(list);

    list = health_lockeds(l, 10 * SECOND_US, 0); /* Postgres's clock is not known */
    assert_true(json_is_null(json_object_get(json_array_get(list, 0), "lockedSince")));
    json_decref(list);
    locked_free(l);
}

/* For how long: null while some are locked and since when is not known (--status). */
static void locked_seconds(void **state)
{
    struct health_report r = healthy();
    json_t *list = json_pack("[s]", "shown");
    (void)state;
    json_t *o = status_of(&r);
    assert_true(json_is_real(json_object_get(o, "lockedSeconds")));
    json_decref(o);
    r.locked = 2;
    o = status_of(&r);
    assert_true(json_is_null(json_object_get(o, "lockedSeconds")));
    json_decref(o);
    r.locked_us = 3 * SECOND_US;
    r.lockeds = list;
    o = status_of(&r);
    assert_int_equal(json_real_value(json_object_get(o, "lockedSeconds")), 3);
    assert_int_equal(json_array_size(json_object_get(o, "lockedReservations")), 1);
    json_decref(o);
    json_decref(list);
}

static void text_that_is_no_utf8(void **state)
{
    struct health_report r = healthy();
    (void)state;
    overdue_by(&r, SECOND_US);
    r.overdue_id = "a\xff\x1bz";

    char *text = health_status_json(&r, 1);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"reservationId\":\"a\xEF\xBF\xBD\\u001Bz\""));
    free(text);
}

/* Milliseconds in Redis; shown in the one form. */
static void times_of_failures(void **state)
{
    static const char record[] =
        "{\"error\":\"e\",\"firstFailedAt\":1763082000000,\"lastFailedAt\":1763082000250,"
        "\"retryAt\":9223372036854775807}";
    static const char foreign[] = "{\"firstFailedAt\":\"soon\",\"retryAt\":-5}";
    const struct due_found found[] = {
        {{"a", 1}, {record, sizeof(record) - 1}, false},
        {{"b", 1}, {foreign, sizeof(foreign) - 1}, false},
    };
    json_t *list = health_failures(found, ARRAY_LEN(found));
    json_t *first = json_array_get(list, 0), *second = json_array_get(list, 1);
    (void)state;
    assert_string_equal(json_string_value(json_object_get(first, "firstFailedAt")),
                        "2025-11-14T01:00:00.000Z");
    assert_string_equal(json_string_value(json_object_get(first, "lastFailedAt")),
                        "2025-11-14T01:00:00.250Z");
    assert_true(json_is_null(json_object_get(first, "retryAt")));
    assert_true(json_is_null(json_object_get(second, "firstFailedAt")));
    assert_true(json_is_null(json_object_get(second, "retryAt")));
    assert_null(json_object_get(second, "lastFailedAt"));
    json_decref(list);
}

static void foreign_failures(void **state)
{
    static const struct due_found found[] = {
        {{"good", 4}, {"{\"error\":\"e\",\"reservationId\":\"not this\"}", 40}, false},
        {{"\xff", 1}, {"{", 1}, false},
        {{"list", 4}, {"[1]", 3}, false},
        {{"none", 4}, {NULL, 0}, false},
    };
    json_t *list = health_failures(found, ARRAY_LEN(found));
    (void)state;
    assert_int_equal(json_array_size(list), 4);
    json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "reservationId")), "good");
    assert_string_equal(json_string_value(json_object_get(first, "error")), "e");
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(list, 1), "reservationId")),
        "\xEF\xBF\xBD");
    json_decref(list);

    struct due_found many[HEALTH_RECORDS_MAX + 5];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = found[0];
    list = health_failures(many, ARRAY_LEN(many));
    assert_int_equal(json_array_size(list), HEALTH_RECORDS_MAX);
    json_decref(list);
}

/* One that is late makes all of them late, and is named. */
static void several_queues(void **state)
{
    struct health_report r[3] = {healthy(), healthy(), healthy()};
    struct health_report sum;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        r[i].queue = i == 0 ? "a" : i == 1 ? "b" : "c";
        r[i].failed = (int64_t)i + 1;
        r[i].kept_known = true;
        r[i].kept = 4;
        r[i].attention = (int64_t)i;
        r[i].locked = 2;
        health_judge(&r[i], "");
    }
    health_sum(r, 3, &sum);
    assert_true(sum.ready && !sum.degraded);
    assert_string_equal(sum.reason, "");
    assert_int_equal(sum.failed, 6);
    assert_true(sum.kept_known);
    assert_int_equal(sum.kept, 12);
    assert_int_equal(sum.attention, 3);
    assert_int_equal(sum.locked, 6);

    overdue_by(&r[1], 31 * SECOND_US);
    health_judge(&r[1], "");
    r[2].stopping = true;
    health_judge(&r[2], "");
    r[2].degraded = true;
    r[2].degraded_reason = "refused";
    health_sum(r, 3, &sum);
    assert_false(sum.ready);
    assert_string_equal(sum.reason, "queue b: a reservation has been overdue for 31 s: the-oldest; "
                                    "queue c: stopping");
    assert_true(sum.degraded);
    assert_string_equal(sum.degraded_reason, "refused");
    assert_int_equal(health_overdue_us(&sum), 31 * SECOND_US);

    char *text = health_ready_json(r, 3);
    json_t *o = json_loads(text, 0, NULL);
    const json_t *b = json_array_get(json_object_get(o, "queues"), 1);
    assert_int_equal(json_array_size(json_object_get(o, "queues")), 3);
    assert_string_equal(json_string_value(json_object_get(b, "queue")), "b");
    assert_true(json_is_false(json_object_get(b, "ready")));
    json_decref(o);
    free(text);

    text = health_status_json(r, 3);
    o = json_loads(text, 0, NULL);
    assert_null(json_object_get(o, "pending")); /* each queue's own */
    b = json_array_get(json_object_get(o, "queues"), 1);
    assert_int_equal(json_integer_value(json_object_get(b, "pending")), 5);
    assert_non_null(json_object_get(b, "postgres"));
    assert_non_null(json_object_get(o, "redis"));
    json_decref(o);
    free(text);

    r[0].sizes_known = r[1].overdue_known = false;
    health_sum(r, 3, &sum);
    assert_false(sum.sizes_known || sum.overdue_known);
}

/* Those first that want attention; no more than there is room for. */
static void kept_records(void **state)
{
    static const char calm[] = "{\"since\":1763082000000,\"dueAt\":1763082000000,"
                               "\"lookAgainAt\":1763082030000,\"attention\":false}";
    static const char urgent[] = "{\"since\":1763082000000,\"attention\":true}";
    struct due_found found[HEALTH_RECORDS_MAX + 5];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(found); i++)
        found[i] = (struct due_found){.id = {"a", 1}, .value = {calm, sizeof(calm) - 1}};
    found[0].value = (struct due_text){"{", 1};
    found[ARRAY_LEN(found) - 1].id = (struct due_text){"z", 1};
    found[ARRAY_LEN(found) - 1].value = (struct due_text){urgent, sizeof(urgent) - 1};
    json_t *list = health_keeps(found, ARRAY_LEN(found));
    assert_int_equal(json_array_size(list), HEALTH_RECORDS_MAX);
    json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "reservationId")), "z");
    assert_string_equal(json_string_value(json_object_get(first, "since")),
                        "2025-11-14T01:00:00.000Z");
    assert_null(json_object_get(json_array_get(list, 1), "dueAt"));
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "lookAgainAt")),
                        "2025-11-14T01:00:30.000Z");
    json_decref(list);

    struct health_report r = healthy();
    r.kept_known = true;
    health_judge(&r, "");
    json_t *o = status_of(&r);
    assert_int_equal(json_array_size(json_object_get(o, "keptReservations")), 0);
    assert_true(json_is_array(json_object_get(o, "keptReservations")));
    json_decref(o);
    r.kept = 1; /* --status does not ask which */
    o = status_of(&r);
    assert_true(json_is_null(json_object_get(o, "keptReservations")));
    json_decref(o);
}

static double number(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

/* Each queue's own, and what they come to. */
static void the_last_hour(void **state)
{
    struct health_report r[2] = {healthy(), healthy()};
    struct stats stats[2];
    static struct history histories[2];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        stats_init(&stats[i]);
        histories[i] = (struct history){.begun = false};
        for (size_t n = 0; n < 10 * (i + 1); n++)
            stats_observe(&stats[i].lateness_s, 0.0012);
        history_note(&histories[i], &stats[i].lateness_s, 2500000, 3 * MINUTE_US);
        history_note(&histories[i], &stats[i].lateness_s, 0, 4 * MINUTE_US);
        r[i].lateness = &stats[i].lateness_s;
        r[i].history = &histories[i];
        health_judge(&r[i], "");
    }
    char *text = health_status_json(r, 2);
    json_t *o = json_loads(text, 0, NULL);
    const json_t *hour = json_object_get(o, "lastHour");
    const json_t *minutes = json_object_get(hour, "minutes");
    const json_t *own = json_array_get(json_object_get(o, "queues"), 1);
    assert_int_equal(number(hour, "released"), 30);
    assert_int_equal(number(json_object_get(own, "lastHour"), "released"), 20);
    assert_true(number(hour, "p50Seconds") == 0.0015);
    assert_true(number(hour, "p99Seconds") == 0.00199);
    assert_int_equal(json_array_size(json_object_get(hour, "boundsSeconds")) + 1,
                     json_array_size(json_object_get(hour, "counts")));
    assert_int_equal(json_integer_value(json_array_get(json_object_get(hour, "counts"), 2)), 30);
    static const char *const names[] = {"released", "p50Seconds", "p99Seconds", "overdueSeconds"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(json_array_size(json_object_get(minutes, names[i])), 2);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(minutes, names[0]), 0)), 30);
    assert_true(json_real_value(json_array_get(json_object_get(minutes, names[3]), 0)) == 2.5);
    assert_true(json_is_null(json_array_get(json_object_get(minutes, names[1]), 1)));
    json_decref(o);
    free(text);
}

/* Null without one; with figures that were not compared null too. */
static void the_last_reconciliation(void **state)
{
    struct health_report r = healthy();
    struct reconcile_result done = {
        .ok = true, .stock_uncounted = true, .finished_us = NOW_US, .duration_ms = 1500};
    (void)state;
    health_judge(&r, "");
    json_t *o = status_of(&r);
    assert_true(json_is_null(json_object_get(o, "lastReconciliation")));
    assert_true(json_is_null(json_object_get(o, "lastHour"))); /* --status */
    assert_string_equal(json_string_value(json_object_get(o, "now")), "2025-11-14T01:00:00.000Z");
    json_decref(o);

    done.counts[COUNT_MISSING] = 3;
    r.reconciled = &done;
    o = status_of(&r);
    const json_t *last = json_object_get(o, "lastReconciliation");
    assert_true(json_is_true(json_object_get(last, "ok")));
    assert_null(json_object_get(last, "error"));
    assert_int_equal(number(last, "mirrorMissing"), 3);
    assert_true(number(last, "durationSeconds") == 1.5);
    assert_true(json_is_null(json_object_get(last, "stockDrifted")));
    assert_string_equal(json_string_value(json_object_get(last, "finishedAt")),
                        "2025-11-14T01:00:00.000Z");
    json_decref(o);

    done.ok = false;
    done.error = "Redis is gone";
    o = status_of(&r);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(o, "lastReconciliation"), "error")),
        "Redis is gone");
    json_decref(o);
}

/* Nothing is overdue while it lasts; afterwards what it has left is so from its end on. */
static void a_pause(void **state)
{
    static const struct pause_record shorter = {NOW_US / MS_US + 1000, "a move", "ops@shop"},
                                     longer = {NOW_US / MS_US + 9000, "", ""};
    struct health_report r[3] = {healthy(), healthy(), healthy()}, sum;
    (void)state;
    overdue_by(&r[0], 900 * SECOND_US);
    r[0].overdue_known = false;
    r[0].locked = 3;
    r[0].locked_us = 500 * SECOND_US;
    r[0].locked_known = false;
    health_paused(&r[0], &shorter);
    health_judge(&r[0], "");
    assert_false(r[0].locked_known); /* who has not been asked */
    assert_true(r[0].ready && r[0].overdue_known);
    assert_int_equal(health_overdue_us(&r[0]), 0);
    assert_true(r[0].locked == 0 && r[0].locked_us == 0);
    health_paused(&r[1], &longer);
    health_judge(&r[1], "");
    overdue_by(&r[2], 900 * SECOND_US);
    r[2].pause_ended_us = NOW_US - 31 * SECOND_US;
    health_paused(&r[2], NULL);
    health_judge(&r[2], "");
    assert_string_equal(r[2].reason, "a reservation has been overdue for 31 s: the-oldest");
    assert_int_equal(health_overdue_us(&r[2]), 31 * SECOND_US);
    r[2].pause_ended_us = NOW_US - 901 * SECOND_US; /* long ago */
    assert_int_equal(health_overdue_us(&r[2]), 900 * SECOND_US);

    health_sum(r, 3, &sum);
    assert_ptr_equal(sum.pause, &longer);
    assert_int_equal(health_overdue_us(&sum), 900 * SECOND_US);
    char *text = health_ready_json(r, 3);
    assert_non_null(strstr(text, "\"reason\":\"a move\",\"by\":\"ops@shop\""));
    assert_non_null(strstr(text, "\"reason\":null,\"by\":null"));
    json_t *o = json_loads(text, 0, NULL);
    assert_null(json_object_get(json_array_get(json_object_get(o, "queues"), 2), "paused"));
    json_decref(o);
    free(text);
    /* Postgres away is no part of it. */
    r[0].postgres.up = false;
    health_judge(&r[0], "");
    assert_false(r[0].ready);
}

/* As it has always been; and in `queues` once more. */
static void one_queue(void **state)
{
    struct health_report r = healthy();
    (void)state;
    health_judge(&r, "");
    json_t *o = status_of(&r);
    const json_t *own = json_array_get(json_object_get(o, "queues"), 0);
    const char *name;
    json_t *value;
    assert_int_equal(json_array_size(json_object_get(o, "queues")), 1);
    assert_string_equal(json_string_value(json_object_get(own, "queue")), "reservations");
    json_object_foreach((json_t *)own, name, value)
    {
        if (strcmp(name, "queue") != 0)
            assert_true(json_equal(value, json_object_get(o, name)));
    }
    assert_int_equal(json_integer_value(json_object_get(o, "pending")), 5);
    json_decref(o);
    health_judge(&r, "broken");
    char *text = health_ready_json(&r, 1);
    assert_non_null(strstr(text, "\"reason\":\"the database cannot be used as it is: broken\""));
    assert_null(strstr(text, "queue"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(not_known),
        cmocka_unit_test(reasons_in_order),
        cmocka_unit_test(when_a_claim_has_not_counted),
        cmocka_unit_test(when_redis_is_asked_for_its_sizes),
        cmocka_unit_test(when_redis_is_asked_for_records),
        cmocka_unit_test(the_start),
        cmocka_unit_test(who_reaches_postgres),
        cmocka_unit_test(reasons_in_json),
        cmocka_unit_test(locked_in_json),
        cmocka_unit_test(locked_seconds),
        cmocka_unit_test(stopping),
        cmocka_unit_test(times_of_failures),
        cmocka_unit_test(without_redis_it_is_ready),
        cmocka_unit_test(never_negative),
        cmocka_unit_test(status_json),
        cmocka_unit_test(foreign_failures),
        cmocka_unit_test(text_that_is_no_utf8),
        cmocka_unit_test(several_queues),
        cmocka_unit_test(kept_records),
        cmocka_unit_test(the_last_hour),
        cmocka_unit_test(the_last_reconciliation),
        cmocka_unit_test(a_pause),
        cmocka_unit_test(one_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
