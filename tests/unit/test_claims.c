/* Claim, release, settle: what is handed to lanes, what Redis is told, and when it is asked again.
 * Redis, the engine and the accounts are stood in for. */
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "release/account.h"
#include "release/breakers.h"
#include "release/engine.h"
#include "release/keeps.h"
#include "release/parts.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "store/statements.h"
#include "sweep/claims.h"
#include "unit.h"

#include <string.h>

#define NOW_US (INT64_C(1763942400) * SECOND_US)
#define NOW_MS (NOW_US / MS_US)
#define LEASE_MS (30 * SECOND_MS)
#define WITHIN_MS (within_us(5 * SECOND_US) / MS_US) /* that this test may take */
#define SETTLEMENTS 4

struct engine {
    struct source *source;
    int pokes, rested_lane;
};

/* A settlement that Redis was sent: its leases, and what becomes of the first reservation. */
struct sent {
    int64_t lease_ms, at_ms;
    size_t n_leases, n;
    enum due_verdict verdict;
    bool recorded;
};

static struct engine engine;
static struct {
    due_claimed_cb *on_claimed;
    due_settled_cb *on_settled;
    void *arg;
    struct sent sent[SETTLEMENTS];
    size_t nsent;
    bool away; /* nothing can be sent */
} redis;
static int accounted, nothing_left, texts_freed, breakers_closed;
static int64_t put_back_ms; /* before the last settlement was answered */
static struct config config;
static const struct queue queue;
static struct parts parts;
static struct claims *claims;

void engine_add(struct engine *e, struct source *source)
{
    e->source = source;
}

void engine_remove(struct engine *e, struct source *source)
{
    assert_ptr_equal(e->source, source);
    e->source = NULL;
}

void engine_poke(struct engine *e)
{
    e->pokes++;
}

void engine_rest(struct engine *e, int lane, int64_t us)
{
    assert_true(us >= SECOND_US);
    e->rested_lane = lane;
}

int due_queue_claim(struct due_queue *q, int64_t now_ms, int64_t lease_ms, int limit,
                    due_claimed_cb *cb, void *arg)
{
    (void)q;
    assert_int_equal(lease_ms - now_ms, LEASE_MS);
    assert_int_equal(limit, config.batch_size);
    redis.on_claimed = cb;
    redis.arg = arg;
    return 0;
}

int due_queue_settle(struct due_queue *q, const struct due_lease *leases, size_t n_leases,
                     const struct due_settlement *items, due_settled_cb *cb, void *arg)
{
    (void)q;
    if (redis.away)
        return -1;
    assert_true(redis.nsent < SETTLEMENTS);
    redis.on_settled = cb;
    redis.arg = arg;
    redis.sent[redis.nsent++] =
        (struct sent){leases[0].lease_ms, items[0].at_ms,   n_leases,
                      leases[0].n,        items[0].verdict, items[0].recorded};
    return 0;
}

void due_texts_free(struct due_texts *texts)
{
    texts_freed += texts != NULL;
}

void account_decided(struct parts *p, struct item *items, size_t n, int64_t now_us)
{
    (void)p;
    (void)items;
    (void)now_us;
    accounted += (int)n;
}

void account_nothing_left(struct parts *p)
{
    (void)p;
    nothing_left++;
}

void parts_note_sizes(struct parts *p, const struct due_sizes *sizes, int64_t sent_us,
                      int64_t received_us)
{
    (void)sent_us;
    (void)received_us;
    p->sizes = *sizes;
}

void refusal_log_deferred(struct refusal_log *l, const struct item *item)
{
    (void)l;
    (void)item;
}

void breakers_forget(struct breakers *b)
{
    (void)b;
    breakers_closed++;
}

static size_t due_left; /* of the last claim */

static void on_claimed(void *arg, const struct claim_result *result)
{
    (void)arg;
    due_left = result->due_left;
}

static void on_settled(void *arg)
{
    (void)arg;
}

static int set_up(void **state)
{
    const struct claims_events events = {on_claimed, on_settled, NULL};
    int64_t now_us = clock_mono_us();
    (void)state;
    memset(&redis, 0, sizeof(redis));
    engine = (struct engine){.rested_lane = -1};
    accounted = nothing_left = texts_freed = breakers_closed = 0;
    put_back_ms = 0;
    config = (struct config){.lease_us = LEASE_MS * MS_US, .batch_size = 10, .queue = &queue};
    parts = (struct parts){
        .config = &config, .statements = statements_new(NULL), .keeps = keeps_new(&queue.keep)};
    server_clock_sample(&parts.pg_clock, NOW_US, now_us, now_us);
    claims = claims_new(&parts, &engine, &events);
    return claims != NULL && parts.statements != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    claims_free(claims);
    statements_free(parts.statements);
    keeps_free(parts.keeps);
    return engine.source == NULL ? 0 : -1;
}

static int texts; /* of every claim */

/* Claims a reservation with this record, under a lease that ends at lease_ms. */
static void claim_recorded(int64_t lease_ms, const char *record)
{
    const struct due_claim one = {.id = "a",
                                  .id_len = 1,
                                  .failed = record,
                                  .failed_len = record != NULL ? strlen(record) : 0};
    struct due_claimed claimed = {.claims = &one,
                                  .n = 1,
                                  .leases = {{lease_ms, 1}},
                                  .n_leases = 1,
                                  .asked = 10,
                                  .texts = (struct due_texts *)(void *)&texts,
                                  .sizes = {.inflight = 1, .next_ms = INT64_MAX}};
    assert_int_equal(claims_ask(claims), 0);
    redis.on_claimed(redis.arg, &claimed, NULL);
    assert_null(claimed.texts);
}

static void claim(int64_t lease_ms)
{
    claim_recorded(lease_ms, NULL);
}

/* A lane takes a work. */
static bool take(struct work *work)
{
    *work = (struct work){.lane = 3};
    return engine.source->take(engine.source->arg, work);
}

/* A lane takes a work, which has this outcome. */
static void release(enum outcome outcome)
{
    struct work work;
    assert_true(take(&work));
    work.items[0].outcome = outcome;
    engine.source->done(engine.source->arg, &work);
}

static void settled(void)
{
    put_back_ms = claims_put_back_ms(claims);
    redis.on_settled(redis.arg, 1, 0, NULL);
}

/* With the first of two answers and with the second one, and then no more: Redis would be asked
 * again and again for what is not there. */
static void test_the_earliest_put_back_is_said_until_all_are_settled(void **state)
{
    (void)state;
    claim(NOW_MS + LEASE_MS);
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_FAULT);
    release(OUTCOME_UNKNOWN);
    settled();
    assert_in_range(put_back_ms, NOW_MS, NOW_MS + WITHIN_MS); /* what is not known: at once */
    assert_false(claims_idle(claims));
    settled();
    assert_in_range(put_back_ms, NOW_MS, NOW_MS + WITHIN_MS);
    assert_true(claims_put_back_ms(claims) == INT64_MAX);
    assert_true(claims_idle(claims));
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_RELEASED);
    settled();
    assert_true(put_back_ms == INT64_MAX);
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_FAULT);
    settled();
    assert_in_range(put_back_ms, NOW_MS + SECOND_MS, NOW_MS + SECOND_MS + WITHIN_MS);
}

/* It is to be looked at again in an hour. */
static void release_extended(void)
{
    struct work work;
    assert_true(take(&work));
    work.items[0].outcome = OUTCOME_NOT_DUE;
    work.items[0].expires_us = NOW_US + 60 * MINUTE_US;
    engine.source->done(engine.source->arg, &work);
}

static void test_the_earliest_of_what_is_put_back_counts(void **state)
{
    (void)state;
    for (int extended_first = 0; extended_first < 2; extended_first++) {
        claim(NOW_MS + LEASE_MS);
        claim(NOW_MS + LEASE_MS);
        if (extended_first)
            release_extended();
        release(OUTCOME_UNKNOWN);
        if (!extended_first)
            release_extended();
        assert_in_range(claims_put_back_ms(claims), NOW_MS, NOW_MS + WITHIN_MS);
        settled();
        settled();
    }
}

/* What could not be sent puts nothing back, whatever comes to be sent afterwards. */
static void test_what_could_not_be_sent_is_not_put_back(void **state)
{
    (void)state;
    redis.away = true;
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_UNKNOWN);
    assert_true(claims_put_back_ms(claims) == INT64_MAX);
    assert_true(claims_idle(claims));
    redis.away = false;
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_FAULT);
    redis.away = true;
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_RELEASED);
    assert_in_range(claims_put_back_ms(claims), NOW_MS + SECOND_MS, NOW_MS + SECOND_MS + WITHIN_MS);
    settled();
    assert_true(claims_put_back_ms(claims) == INT64_MAX);
}

/* What met a fault is put back a second ahead: as long as anything may have been, nobody knows. */
static void test_when_a_fault_is_over(void **state)
{
    static const struct due_claim one = {.id = "a", .id_len = 1};
    const struct {
        size_t n;
        int64_t inflight, next_ms;
        int over;
    } rows[] = {
        {0, 0, INT64_MAX, 1},
        {0, 0, NOW_MS + 3 * SECOND_MS + WITHIN_MS, 1},
        {0, 0, NOW_MS + 2 * SECOND_MS, 0}, /* it may be what was put back */
        {0, 0, NOW_MS, 0},
        {0, 1, INT64_MAX, 0}, /* another lane has it */
        {0, DUE_NOT_COUNTED, INT64_MAX, 0},
        {1, 0, INT64_MAX, 0},
        {1, 1, INT64_MAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct due_claimed claimed = {
            .claims = &one,
            .n = rows[i].n,
            .leases = {{NOW_MS + LEASE_MS, rows[i].n}},
            .n_leases = rows[i].n,
            .asked = 10,
            .sizes = {.inflight = rows[i].inflight, .next_ms = rows[i].next_ms}};
        nothing_left = 0;
        assert_int_equal(claims_ask(claims), 0);
        redis.on_claimed(redis.arg, &claimed, NULL);
        assert_int_equal(nothing_left, rows[i].over);
        assert_int_equal(parts.sizes.next_ms, rows[i].next_ms);
    }
}

static void test_a_fault_rests_the_lane(void **state)
{
    (void)state;
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_RELEASED);
    assert_int_equal(engine.rested_lane, -1);
    claim(NOW_MS + LEASE_MS);
    release(OUTCOME_FAULT);
    assert_int_equal(engine.rested_lane, 3);
    assert_int_equal(accounted, 2);
}

/* It is settled under the lease that it was claimed with. */
static void test_settled_with_its_lease(void **state)
{
    (void)state;
    claim(NOW_MS + LEASE_MS);
    claim(NOW_MS + LEASE_MS + 1);
    assert_int_equal(claims_waiting(claims), 2);
    release(OUTCOME_RELEASED);
    release(OUTCOME_NONE);
    assert_int_equal(redis.nsent, 2);
    assert_int_equal(redis.sent[0].lease_ms, NOW_MS + LEASE_MS);
    assert_int_equal(redis.sent[0].verdict, DUE_FORGET);
    assert_int_equal(redis.sent[1].lease_ms, NOW_MS + LEASE_MS + 1);
    assert_int_equal(redis.sent[1].verdict, DUE_PUT_BACK);
    assert_int_equal(texts_freed, 2);
}

/* A refused one that is claimed before it was to be tried again was asked for: lua/retry.lua. */
static void test_one_that_was_asked_for_closes_breakers(void **state)
{
    char record[64];
    (void)state;
    claim(NOW_MS + LEASE_MS);
    claim_recorded(NOW_MS + LEASE_MS, "{}");
    snprintf(record, sizeof(record), "{\"retryAt\":%lld}", (long long)NOW_MS);
    claim_recorded(NOW_MS + LEASE_MS, record);
    assert_int_equal(breakers_closed, 0);
    snprintf(record, sizeof(record), "{\"retryAt\":%lld}", (long long)NOW_MS + 10 * SECOND_MS);
    claim_recorded(NOW_MS + LEASE_MS, record);
    assert_int_equal(breakers_closed, 1);
}

/* Of several scripts: each settlement knows all of their leases; the earliest counts. */
static void test_several_leases(void **state)
{
    static const struct due_claim many[] = {
        {.id = "a", .id_len = 1, .failed = "{}", .failed_len = 2},
        {.id = "b", .id_len = 1, .taken_over = true},
        {.id = "c", .id_len = 1}};
    struct work work;
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct due_claimed claimed = {
            .claims = many,
            .n = 3,
            .leases = {{NOW_MS + LEASE_MS, 2},
                       {NOW_MS + (late ? LEASE_MS / 2 - SECOND_MS : LEASE_MS + 1), 1}},
            .n_leases = 2,
            .asked = 3,
            .due_left = 9,
            .odd = 2,
            .sizes = {.inflight = DUE_NOT_COUNTED, .next_ms = NOW_MS}};
        assert_int_equal(claims_ask(claims), 0);
        redis.on_claimed(redis.arg, &claimed, NULL);
        assert_int_equal(due_left, 9);
        assert_int_equal(take(&work), !late);
        if (!late) {
            int64_t claimed_ms = work.items[1].claimed_ms;
            assert_in_range(claimed_ms, NOW_MS, NOW_MS + WITHIN_MS);
            assert_true(work.bulk && work.items[0].recorded && !work.items[1].recorded);
            engine.source->done(engine.source->arg, &work);
        }
    }
    assert_int_equal(redis.nsent, 2);
    assert_int_equal(redis.sent[0].n_leases, 2);
    assert_int_equal(redis.sent[0].n, 2);
    assert_true(redis.sent[0].recorded);
    assert_int_equal(parts.stats.discarded[DISCARD_INVALID], 4);
    assert_int_equal(parts.stats.rescheduled[RESCHEDULE_LEASE_EXPIRED], 2);
}

static void test_half_of_the_lease_must_be_left(void **state)
{
    struct work work;
    (void)state;
    claim(NOW_MS + LEASE_MS / 2 - SECOND_MS);
    claim(NOW_MS + LEASE_MS / 2 + WITHIN_MS);
    assert_true(take(&work));
    assert_int_equal(redis.nsent, 1); /* the first went back */
    assert_int_equal(redis.sent[0].verdict, DUE_PUT_BACK);
    assert_in_range(redis.sent[0].at_ms, NOW_MS, NOW_MS + WITHIN_MS);
    assert_int_equal(claims_waiting(claims), 0);
    assert_false(take(&work));
    claims_abandon(claims); /* with it, this test has nothing to end */
}

/* What was put back while a lane had it is not settled, nor counted, when it is decided. */
static void test_abandoned(void **state)
{
    struct work work;
    (void)state;
    claim(NOW_MS + LEASE_MS);
    assert_true(take(&work));
    claims_abandon(claims);
    claims_abandon(claims);
    assert_int_equal(redis.nsent, 1);
    assert_int_equal(redis.sent[0].verdict, DUE_PUT_BACK);
    assert_false(claims_idle(claims));
    settled();
    assert_true(claims_idle(claims));
    work.items[0].outcome = OUTCOME_RELEASED;
    engine.source->done(engine.source->arg, &work);
    assert_int_equal(redis.nsent, 1);
    assert_int_equal(accounted, 0);
}

static void test_handed_back(void **state)
{
    (void)state;
    claim(NOW_MS + LEASE_MS);
    claim(NOW_MS + LEASE_MS);
    assert_false(claims_idle(claims));
    claims_hand_back(claims);
    assert_int_equal(redis.nsent, 2);
    assert_int_equal(claims_waiting(claims), 0);
    settled();
    settled();
    assert_in_range(put_back_ms, NOW_MS, NOW_MS + WITHIN_MS);
    assert_true(claims_idle(claims));
}

/* The lease covers what may have been claimed; lanes are looked at all the same. */
static void test_no_answer(void **state)
{
    struct work work;
    (void)state;
    assert_int_equal(claims_ask(claims), 0);
    assert_false(claims_idle(claims));
    redis.on_claimed(redis.arg, NULL, "the connection was lost");
    assert_true(claims_idle(claims));
    assert_int_equal(engine.pokes, 1);
    assert_int_equal(nothing_left, 0);
    assert_false(take(&work));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_earliest_put_back_is_said_until_all_are_settled),
        TEST(test_the_earliest_of_what_is_put_back_counts),
        TEST(test_what_could_not_be_sent_is_not_put_back),
        TEST(test_when_a_fault_is_over),
        TEST(test_a_fault_rests_the_lane),
        TEST(test_settled_with_its_lease),
        TEST(test_one_that_was_asked_for_closes_breakers),
        TEST(test_several_leases),
        TEST(test_half_of_the_lease_must_be_left),
        TEST(test_abandoned),
        TEST(test_handed_back),
        TEST(test_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
