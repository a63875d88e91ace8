/* What the feed does next, as its state and the world have it. */
#include "feed/feed_plan.h"
#include "release/pages.h"

#include "unit.h"

#define T0 (INT64_C(1000) * SECOND_US) /* "now", monotonic */
#define INTERVAL_US (15 * SECOND_US)
#define SCAN_US (300 * SECOND_US)
#define POSTGRES_US INT64_C(1763082000000000)

static struct feed_plan plan;
static struct feed_sight sight;
static int64_t wake_us;

/* One that has polled all there is, has the role, and waits for its next regular poll. */
static void at_rest(void)
{
    feed_plan_init(&plan, INTERVAL_US, SCAN_US, true);
    plan.wakeup_us[WAKEUP_CATALOG] = T0 + 1000 * SECOND_US;
    plan.wakeup_us[WAKEUP_OVERDUE] = T0 + 500 * SECOND_US;
    plan.wakeup_us[WAKEUP_FIRST] = FEED_NEVER;
    plan.wakeup_us[WAKEUP_REGULAR] = T0 + INTERVAL_US;
    plan.wakeup_us[WAKEUP_SCAN] = T0 + SCAN_US;
    plan.polled_us = POSTGRES_US;
    plan.feeder = true;
    plan.redis_was_used = true;
    sight = (struct feed_sight){
        .now_us = T0, .link_free = true, .ready = true, .redis = FEED_REDIS_USABLE};
}

static enum feed_step next(void)
{
    return feed_plan_next(&plan, &sight, &wake_us);
}

static enum feed_step next_at(int64_t now_us)
{
    sight.now_us = now_us;
    return next();
}

/* The step that is due is begun. */
static void begin(enum feed_step expected)
{
    assert_int_equal(next(), expected);
    feed_plan_begin(&plan, expected, sight.now_us);
    assert_int_equal(next(), STEP_WAIT); /* one thing at a time */
    assert_int_equal(wake_us, FEED_NEVER);
}

static void poll_full_ends(void)
{
    begin(STEP_POLL_FULL);
    feed_plan_polled(&plan, POSTGRES_US, sight.now_us);
}

/* ---- which wake-up is next ---- */

static void at_rest_it_waits_for_the_first_wakeup(void **state)
{
    (void)state;
    static const enum wakeup waited_for[] = {WAKEUP_CATALOG, WAKEUP_REGULAR, WAKEUP_SCAN,
                                             WAKEUP_OVERDUE};
    at_rest();
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + INTERVAL_US);
    for (size_t i = 0; i < ARRAY_LEN(waited_for); i++) {
        at_rest();
        plan.wakeup_us[waited_for[i]] = T0 + 1;
        assert_int_equal(next(), STEP_WAIT);
        assert_int_equal(wake_us, T0 + 1);
    }
    at_rest(); /* direct mode's time is nothing to wake up for while Redis is used */
    plan.wakeup_us[WAKEUP_DIRECT] = T0 + 1;
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + INTERVAL_US);
}

static void each_wakeup_leads_to_its_step(void **state)
{
    (void)state;
    static const struct {
        enum wakeup why;
        enum feed_step usable, degraded, unheard, unready;
    } rows[] = {
        {WAKEUP_CATALOG, STEP_CATALOG, STEP_CATALOG, STEP_CATALOG, STEP_CATALOG},
        {WAKEUP_FIRST, STEP_FIRST, STEP_FIRST, STEP_WAIT, STEP_WAIT},
        {WAKEUP_DIRECT, STEP_WAIT, STEP_PASS, STEP_WAIT, STEP_WAIT},
        {WAKEUP_FULL, STEP_POLL_FULL, STEP_WAIT, STEP_WAIT, STEP_WAIT},
        {WAKEUP_CLAIMS, STEP_CLAIMS, STEP_WAIT, STEP_WAIT, STEP_WAIT},
        {WAKEUP_REGULAR, STEP_ROLE, STEP_WAIT, STEP_WAIT, STEP_WAIT},
        {WAKEUP_SCAN, STEP_ROLE, STEP_WAIT, STEP_WAIT, STEP_WAIT},
        {WAKEUP_OVERDUE, STEP_POLL_AGAIN, STEP_WAIT, STEP_WAIT, STEP_WAIT},
        {WAKEUP_MOVED, STEP_POLL_AGAIN, STEP_WAIT, STEP_WAIT, STEP_WAIT},
    };
    assert_int_equal(ARRAY_LEN(rows), NUM_WAKEUPS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        at_rest();
        plan.wakeup_us[WAKEUP_DIRECT] = T0 + 1;
        plan.wakeup_us[rows[i].why] = T0;
        assert_true(feed_plan_due(&plan, rows[i].why, T0));
        assert_false(feed_plan_due(&plan, rows[i].why, T0 - 1));
        assert_int_equal(next(), rows[i].usable);
        sight.redis = FEED_REDIS_DEGRADED;
        assert_int_equal(next(), rows[i].degraded);
        sight.redis = FEED_REDIS_UNHEARD;
        assert_int_equal(next(), rows[i].unheard);
        sight.ready = false;
        sight.redis = FEED_REDIS_USABLE;
        assert_int_equal(next(), rows[i].unready);
        sight.redis = FEED_REDIS_DEGRADED;
        assert_int_equal(next(), rows[i].unready);
        sight.ready = true;
        sight.link_free = false;
        assert_int_equal(next(), STEP_WAIT);
        assert_int_equal(wake_us, FEED_NEVER);
    }
}

/* All due at once: the order in which they are met. */
static void precedence(void **state)
{
    (void)state;
    static const struct {
        enum wakeup why;
        enum feed_step step;
    } order[] = {
        {WAKEUP_CATALOG, STEP_CATALOG},    {WAKEUP_FIRST, STEP_FIRST},
        {WAKEUP_FULL, STEP_POLL_FULL},     {WAKEUP_CLAIMS, STEP_CLAIMS},
        {WAKEUP_REGULAR, STEP_ROLE},       {WAKEUP_SCAN, STEP_ROLE},
        {WAKEUP_OVERDUE, STEP_POLL_AGAIN},
    };
    at_rest();
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        plan.wakeup_us[order[i].why] = T0;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_int_equal(next(), order[i].step);
        plan.wakeup_us[order[i].why] = FEED_NEVER;
    }
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, FEED_NEVER);
}

static void without_statements_it_looks_for_them_soon(void **state)
{
    (void)state;
    at_rest();
    sight.ready = false;
    plan.wakeup_us[WAKEUP_CATALOG] = FEED_NEVER; /* it is being read */
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_UNREADY_US);
    plan.wakeup_us[WAKEUP_CATALOG] = T0 + 1;
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + 1);
}

static void what_it_does_is_one_thing(void **state)
{
    (void)state;
    static const struct {
        enum feed_step step;
        enum feed_doing doing;
    } rows[] = {
        {STEP_CATALOG, FEED_CATALOG}, {STEP_FIRST, FEED_FIRST}, {STEP_PASS, FEED_PASS},
        {STEP_CLAIMS, FEED_PASS},     {STEP_ROLE, FEED_ROLE},   {STEP_POLL_FULL, FEED_POLL},
        {STEP_POLL_AGAIN, FEED_POLL}, {STEP_RESIGN, FEED_ROLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        at_rest();
        feed_plan_begin(&plan, rows[i].step, T0);
        assert_int_equal(plan.doing, rows[i].doing);
        for (int w = 0; w < NUM_WAKEUPS; w++)
            plan.wakeup_us[w] = 0;
        assert_int_equal(next(), STEP_WAIT);
        assert_int_equal(wake_us, FEED_NEVER);
    }
    feed_plan_idle(&plan);
    assert_int_equal(plan.doing, FEED_IDLE);
}

/* ---- what is due at the start ---- */

static void all_due(void)
{
    at_rest();
    for (int w = 0; w < NUM_WAKEUPS; w++)
        plan.wakeup_us[w] = T0;
}

static void nothing_is_begun_before_it_is_known(void **state)
{
    (void)state;
    all_due();
    plan.wakeup_us[WAKEUP_CATALOG] = FEED_NEVER;
    begin(STEP_FIRST);
    feed_plan_first(&plan, true, true, T0);
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_RETRY_US);
    assert_int_equal(next_at(T0 + FEED_RETRY_US), STEP_FIRST);
    begin(STEP_FIRST);
    feed_plan_first(&plan, false, false, T0);
    assert_int_equal(next(), STEP_POLL_FULL);
}

static void while_it_is_held_only_the_catalog_is_read(void **state)
{
    (void)state;
    all_due();
    plan.wakeup_us[WAKEUP_CATALOG] = T0 + HOUR_US;
    begin(STEP_FIRST);
    feed_plan_first(&plan, false, true, T0);
    for (int redis = FEED_REDIS_UNHEARD; redis <= FEED_REDIS_DEGRADED; redis++) {
        sight.redis = (enum feed_redis)redis;
        assert_int_equal(next(), STEP_WAIT);
        assert_int_equal(wake_us, T0 + HOUR_US);
    }
    assert_int_equal(next_at(T0 + HOUR_US), STEP_CATALOG);
    plan.wakeup_us[WAKEUP_CATALOG] = FEED_NEVER;
    sight.redis = FEED_REDIS_USABLE;
    feed_plan_redis_usable(&plan, true, false, sight.now_us); /* it may have been accepted before */
    begin(STEP_FIRST);
    feed_plan_first(&plan, false, false, sight.now_us);
    assert_int_not_equal(next_at(sight.now_us + FEED_CLAIM_FIRST_US), STEP_WAIT);
}

/* ---- full polls ---- */

/* It begins idle: the first connect, and the moment from which Redis can be used, bring the poll.
 */
static void a_new_one(void **state)
{
    (void)state;
    at_rest();
    feed_plan_init(&plan, INTERVAL_US, SCAN_US, true);
    plan.wakeup_us[WAKEUP_CATALOG] = plan.wakeup_us[WAKEUP_OVERDUE] = FEED_NEVER;
    plan.wakeup_us[WAKEUP_FIRST] = FEED_NEVER;
    feed_plan_postgres(&plan, true, T0);
    sight.redis = FEED_REDIS_UNHEARD;
    assert_int_equal(next_at(T0 + HOUR_US), STEP_WAIT);
    feed_plan_redis_usable(&plan, false, false, T0);
    sight.redis = FEED_REDIS_USABLE;
    assert_int_equal(next_at(T0), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_CLAIM_FIRST_US);
    sight.now_us = T0 + FEED_CLAIM_FIRST_US;
    poll_full_ends();
    /* Nothing of ours can have been claimed before: no pass. Nor is there a scan before its time.
     */
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, sight.now_us + INTERVAL_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], sight.now_us + SCAN_US);
    assert_int_equal(plan.polled_us, POSTGRES_US);
    feed_plan_redis_usable(&plan, false, false, sight.now_us); /* the second time there may be */
    sight.now_us += FEED_CLAIM_FIRST_US;
    poll_full_ends();
    begin(STEP_CLAIMS);
}

static void after_postgres_is_back(void **state)
{
    (void)state;
    at_rest();
    feed_plan_postgres(&plan, false, T0);
    feed_plan_postgres(&plan, true, T0);
    assert_int_equal(next_at(T0 + FEED_CLAIM_FIRST_US - 1), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_CLAIM_FIRST_US);
    assert_int_equal(next_at(T0 + FEED_CLAIM_FIRST_US), STEP_POLL_FULL);
}

/* A pass over Postgres follows, once: answers to claims may have been lost with the connection. */
static void after_redis_is_back(void **state)
{
    (void)state;
    at_rest();
    feed_plan_redis_usable(&plan, false, false, T0);
    assert_int_equal(next_at(T0), STEP_WAIT); /* the pass does not come first */
    sight.now_us = T0 + FEED_CLAIM_FIRST_US;
    poll_full_ends();
    begin(STEP_CLAIMS);
    feed_plan_passed(&plan, true, sight.now_us);
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, sight.now_us + INTERVAL_US);
}

/* What an API enters at the former master is looked for every second, for a while. */
static void after_redis_is_another_server(void **state)
{
    (void)state;
    at_rest();
    plan.wakeup_us[WAKEUP_REGULAR] = plan.wakeup_us[WAKEUP_SCAN] = FEED_NEVER;
    feed_plan_redis_usable(&plan, false, true, T0);
    plan.wakeup_us[WAKEUP_FULL] = plan.wakeup_us[WAKEUP_CLAIMS] = FEED_NEVER;
    for (int64_t at_us = T0; at_us < T0 + FEED_MOVED_US; at_us += FEED_MOVED_POLL_US) {
        assert_int_equal(next_at(at_us), STEP_WAIT);
        assert_int_equal(wake_us, at_us + FEED_MOVED_POLL_US);
        sight.now_us = wake_us;
        begin(STEP_POLL_AGAIN);
        feed_plan_polled(&plan, POSTGRES_US, sight.now_us);
    }
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(plan.wakeup_us[WAKEUP_MOVED], FEED_NEVER);
}

static void after_redis_has_lost_its_data(void **state)
{
    (void)state;
    at_rest();
    plan.redis_was_used = false;
    feed_plan_data_lost(&plan, T0);
    poll_full_ends();
    begin(STEP_CLAIMS);
    feed_plan_passed(&plan, true, T0);
    assert_int_equal(next(), STEP_WAIT);
}

/* Direct mode releases what claims may have left, too. */
static void a_pass_of_direct_mode_is_one_for_claims(void **state)
{
    (void)state;
    at_rest();
    feed_plan_data_lost(&plan, T0);
    sight.redis = FEED_REDIS_DEGRADED;
    begin(STEP_PASS);
    assert_int_equal(plan.wakeup_us[WAKEUP_CLAIMS], FEED_NEVER);
}

static void after_a_full_poll_that_failed(void **state)
{
    (void)state;
    at_rest();
    feed_plan_data_lost(&plan, T0);
    begin(STEP_POLL_FULL);
    feed_plan_poll_failed(&plan, T0);
    assert_int_equal(next_at(T0 + FEED_RETRY_US - 1), STEP_WAIT); /* the pass waits for it */
    assert_int_equal(wake_us, T0 + FEED_RETRY_US);
    assert_int_equal(next_at(T0 + FEED_RETRY_US), STEP_POLL_FULL);
    assert_int_equal(plan.polled_us, POSTGRES_US);
}

/* One that is wanted while another is under way is made all the same, and soon. */
static void wanted_during_a_poll(void **state)
{
    (void)state;
    static const enum feed_step steps[] = {STEP_ROLE, STEP_POLL_AGAIN, STEP_POLL_FULL};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        at_rest();
        feed_plan_begin(&plan, steps[i], T0);
        feed_plan_data_lost(&plan, T0);
        if (steps[i] == STEP_ROLE) {
            assert_true(feed_plan_role(&plan, true, T0));
            assert_int_equal(plan.kind, POLL_REGULAR);
        }
        feed_plan_polled(&plan, POSTGRES_US, T0 + 1);
        assert_int_equal(next_at(T0 + 1), STEP_POLL_FULL);
    }
}

/* What Redis knows of is released first: in a backlog it waits, but not for ever. */
static void beside_a_backlog(void **state)
{
    (void)state;
    at_rest();
    sight.backlog = true;
    feed_plan_data_lost(&plan, T0);
    assert_int_equal(next_at(T0), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_CLAIM_FIRST_US);
    assert_int_equal(next_at(T0 + SECOND_US), STEP_WAIT);
    assert_int_equal(wake_us, T0 + SECOND_US + FEED_CLAIM_FIRST_US);
    feed_plan_data_lost(&plan, T0 + SECOND_US); /* wanted already, since then */
    assert_int_equal(next_at(T0 + FEED_GIVE_WAY_US - 1), STEP_WAIT);
    assert_int_equal(next_at(T0 + FEED_GIVE_WAY_US), STEP_POLL_FULL);
    /* The backlog ends earlier. */
    sight.backlog = false;
    assert_int_equal(next_at(T0 + SECOND_US), STEP_POLL_FULL);
    /* A later time of its own is kept. */
    at_rest();
    sight.backlog = true;
    feed_plan_begin(&plan, STEP_POLL_FULL, T0);
    feed_plan_poll_failed(&plan, T0);
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_RETRY_US);
    /* None is wanted: the backlog is nothing to it. */
    at_rest();
    sight.backlog = true;
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + INTERVAL_US);
}

/* ---- the role, and which poll it leads to ---- */

static enum poll_kind poll_after(bool ours, int64_t now_us)
{
    sight.now_us = now_us;
    feed_plan_begin(&plan, STEP_ROLE, now_us);
    assert_true(feed_plan_role(&plan, ours, now_us));
    assert_int_equal(plan.doing, FEED_POLL);
    assert_int_equal(plan.feeder, ours);
    return plan.kind;
}

static void kinds(void **state)
{
    (void)state;
    at_rest();
    assert_int_equal(poll_after(true, T0), POLL_REGULAR);
    assert_int_equal(feed_plan_from_us(&plan), POSTGRES_US - FEED_LATE_COMMIT_US);
    at_rest(); /* without a look-ahead nothing but full polls reads rows */
    plan.mirrors = false;
    assert_int_equal(poll_after(true, T0), POLL_CLOCK);
    assert_int_equal(feed_plan_from_us(&plan), PAGES_NOWHERE);
    at_rest(); /* another's */
    assert_int_equal(poll_after(false, T0), POLL_CLOCK);
    at_rest(); /* taken over: its holder may have died in the middle of a poll */
    plan.feeder = false;
    assert_int_equal(poll_after(true, T0), POLL_FULL);
    assert_int_equal(feed_plan_from_us(&plan), PAGES_FROM_START);
    at_rest(); /* the scan's time has come */
    assert_int_equal(poll_after(true, T0 + SCAN_US), POLL_FULL);
    at_rest();
    assert_int_equal(poll_after(true, T0 + SCAN_US - 1), POLL_REGULAR);
    at_rest(); /* nothing has been polled yet */
    plan.polled_us = 0;
    assert_int_equal(poll_after(true, T0), POLL_FULL);
    at_rest();
    plan.polled_us = 0;
    assert_int_equal(poll_after(false, T0), POLL_CLOCK);
    at_rest(); /* a full one that is wanted is this one */
    plan.wakeup_us[WAKEUP_FULL] = T0 + 1;
    plan.feeder = false;
    assert_int_equal(poll_after(true, T0), POLL_FULL);
    assert_int_equal(plan.wakeup_us[WAKEUP_FULL], FEED_NEVER);
    at_rest(); /* ... and a regular one is not */
    plan.wakeup_us[WAKEUP_FULL] = T0 + 1;
    assert_int_equal(poll_after(true, T0), POLL_REGULAR);
    assert_int_equal(plan.wakeup_us[WAKEUP_FULL], T0 + 1);
    at_rest();
    feed_plan_begin(&plan, STEP_POLL_AGAIN, T0);
    assert_int_equal(plan.kind, POLL_AGAIN);
    assert_int_equal(feed_plan_from_us(&plan), PAGES_NOWHERE);
}

/* Who has not the role puts the scan off: it would wake up for it again and again, at once. */
static void a_scan_of_somebody_elses(void **state)
{
    (void)state;
    at_rest();
    assert_int_equal(poll_after(false, T0 + SCAN_US), POLL_CLOCK);
    feed_plan_polled(&plan, POSTGRES_US, sight.now_us);
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, sight.now_us + INTERVAL_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], sight.now_us + SCAN_US);
    at_rest(); /* one that is not due keeps its time */
    assert_int_equal(poll_after(false, T0 + 1), POLL_CLOCK);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], T0 + SCAN_US);
}

static void the_role_is_not_known(void **state)
{
    (void)state;
    at_rest();
    feed_plan_begin(&plan, STEP_ROLE, T0);
    feed_plan_role_failed(&plan, T0);
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_RETRY_US);
    assert_true(plan.feeder);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], T0 + SCAN_US);
    plan.wakeup_us[WAKEUP_SCAN] = T0;
    begin(STEP_ROLE);
    feed_plan_role_failed(&plan, T0);
    assert_int_equal(next(), STEP_WAIT); /* no loop that never rests */
    assert_int_equal(wake_us, T0 + FEED_RETRY_US);
}

/* ---- how polls and passes end ---- */

static void ends(enum feed_step step, bool ours, int64_t polled_us)
{
    feed_plan_begin(&plan, step, T0);
    if (step == STEP_ROLE)
        assert_true(feed_plan_role(&plan, ours, T0));
    feed_plan_polled(&plan, POSTGRES_US + 7, T0 + 3);
    assert_int_equal(plan.doing, FEED_IDLE);
    assert_int_equal(plan.polled_us, polled_us);
}

static void when_the_next_regular_poll_is(void **state)
{
    (void)state;
    at_rest(); /* regular: it mirrored; the scan's time is its own */
    ends(STEP_ROLE, true, POSTGRES_US + 7);
    assert_int_equal(plan.wakeup_us[WAKEUP_REGULAR], T0 + 3 + INTERVAL_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], T0 + SCAN_US);
    at_rest(); /* only the clock */
    ends(STEP_ROLE, false, POSTGRES_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_REGULAR], T0 + 3 + INTERVAL_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], T0 + SCAN_US);
    at_rest(); /* again: between regular ones */
    ends(STEP_POLL_AGAIN, false, POSTGRES_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_REGULAR], T0 + INTERVAL_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], T0 + SCAN_US);
    at_rest();
    ends(STEP_POLL_FULL, false, POSTGRES_US + 7);
    assert_int_equal(plan.wakeup_us[WAKEUP_REGULAR], T0 + 3 + INTERVAL_US);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], T0 + 3 + SCAN_US);
    at_rest(); /* scans are off */
    plan.scan_us = 0;
    plan.wakeup_us[WAKEUP_SCAN] = FEED_NEVER;
    ends(STEP_POLL_FULL, false, POSTGRES_US + 7);
    assert_int_equal(plan.wakeup_us[WAKEUP_SCAN], FEED_NEVER);
}

static void polls_that_fail(void **state)
{
    (void)state;
    static const enum poll_kind others[] = {POLL_CLOCK, POLL_AGAIN, POLL_REGULAR};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        at_rest();
        plan.doing = FEED_POLL;
        plan.kind = others[i];
        feed_plan_poll_failed(&plan, T0);
        assert_int_equal(next(), STEP_WAIT);
        assert_int_equal(wake_us, T0 + FEED_RETRY_US);
        assert_int_equal(plan.wakeup_us[WAKEUP_REGULAR], T0 + FEED_RETRY_US);
        assert_int_equal(plan.wakeup_us[WAKEUP_FULL], FEED_NEVER);
        assert_int_equal(plan.polled_us, POSTGRES_US);
    }
}

static void passes(void **state)
{
    (void)state;
    at_rest();
    sight.redis = FEED_REDIS_DEGRADED;
    begin(STEP_PASS);
    feed_plan_passed(&plan, true, T0 + 5);
    assert_int_equal(next_at(T0 + 5), STEP_WAIT);
    assert_int_equal(wake_us, T0 + FEED_DIRECT_US);
    sight.now_us = T0 + FEED_DIRECT_US;
    begin(STEP_PASS);
    feed_plan_passed(&plan, false, sight.now_us);
    assert_int_equal(next(), STEP_WAIT);
    assert_int_equal(wake_us, sight.now_us + FEED_RETRY_US);
}

/* Nothing is released, polls go on; what is wanted meanwhile is done after it. */
static void a_pause(void **state)
{
    (void)state;
    at_rest();
    sight.redis = FEED_REDIS_DEGRADED;
    begin(STEP_PASS);
    feed_plan_paused(&plan, T0 + 5);
    sight.paused = true;
    assert_int_equal(next_at(T0 + FEED_DIRECT_US), STEP_WAIT);
    sight.redis = FEED_REDIS_USABLE;
    assert_int_equal(next_at(T0 + INTERVAL_US), STEP_ROLE);
    sight.paused = false; /* what was overdue when it was ended comes before that */
    assert_int_equal(next_at(T0 + INTERVAL_US), STEP_CLAIMS);
    sight.redis = FEED_REDIS_DEGRADED;
    assert_int_equal(next_at(T0 + INTERVAL_US), STEP_PASS);
}

/* ---- what is lost; being away; the stop ---- */

static void many_that_are_lost(void **state)
{
    (void)state;
    at_rest();
    assert_false(feed_plan_lost(&plan, FEED_LOST_MANY - 1, T0));
    assert_int_equal(next(), STEP_WAIT);
    assert_true(feed_plan_lost(&plan, FEED_LOST_MANY, T0));
    assert_int_equal(next(), STEP_POLL_FULL);
}

static void ids_that_redis_cannot_hold(void **state)
{
    (void)state;
    at_rest();
    feed_plan_long_ids(&plan, T0);
    begin(STEP_CLAIMS);
    feed_plan_passed(&plan, true, T0);
    feed_plan_long_ids(&plan, T0 + FEED_LONG_IDS_US); /* not yet again */
    assert_int_equal(plan.wakeup_us[WAKEUP_CLAIMS], FEED_NEVER);
    feed_plan_long_ids(&plan, T0 + FEED_LONG_IDS_US + 1);
    assert_int_equal(next_at(T0 + FEED_LONG_IDS_US + 1), STEP_CLAIMS);
    at_rest(); /* a machine that has just been started */
    feed_plan_long_ids(&plan, 1);
    assert_int_equal(next(), STEP_CLAIMS);
}

static void how_long_postgres_is_away(void **state)
{
    (void)state;
    at_rest();
    assert_false(feed_plan_out_of_reach(&plan, T0 + HOUR_US));
    feed_plan_postgres(&plan, false, T0);
    feed_plan_postgres(&plan, false, T0 + 5 * SECOND_US); /* another attempt failed */
    assert_false(feed_plan_out_of_reach(&plan, T0 + FEED_OUT_OF_REACH_US));
    assert_true(feed_plan_out_of_reach(&plan, T0 + FEED_OUT_OF_REACH_US + 1));
    feed_plan_postgres(&plan, true, T0 + FEED_OUT_OF_REACH_US + 1);
    assert_false(feed_plan_out_of_reach(&plan, T0 + HOUR_US));
    assert_int_equal(plan.wakeup_us[WAKEUP_FULL], T0 + FEED_OUT_OF_REACH_US + 1 + 20 * MS_US);
    at_rest(); /* a loss alone is no reason for a poll */
    feed_plan_postgres(&plan, false, T0);
    assert_int_equal(plan.wakeup_us[WAKEUP_FULL], FEED_NEVER);
}

static void stopping(void **state)
{
    (void)state;
    at_rest();
    for (int i = 0; i < NUM_WAKEUPS; i++)
        plan.wakeup_us[i] = T0;
    plan.stopping = true;
    begin(STEP_RESIGN);
    feed_plan_idle(&plan);
    assert_int_equal(next(), STEP_STOPPED);
    plan.feeder = true; /* nobody to give it back to */
    sight.redis = FEED_REDIS_DEGRADED;
    assert_int_equal(next(), STEP_STOPPED);
    sight.redis = FEED_REDIS_UNHEARD;
    assert_int_equal(next(), STEP_STOPPED);
    sight.link_free = false; /* Postgres is nothing to it */
    assert_int_equal(next(), STEP_STOPPED);
    /* The role that was asked for comes, and is given back: no poll begins. */
    at_rest();
    plan.feeder = false;
    sight.now_us = T0 + INTERVAL_US;
    begin(STEP_ROLE);
    plan.stopping = true;
    assert_false(feed_plan_role(&plan, true, sight.now_us));
    assert_int_equal(next(), STEP_RESIGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_rest_it_waits_for_the_first_wakeup),
        cmocka_unit_test(each_wakeup_leads_to_its_step),
        cmocka_unit_test(precedence),
        cmocka_unit_test(without_statements_it_looks_for_them_soon),
        cmocka_unit_test(what_it_does_is_one_thing),
        cmocka_unit_test(nothing_is_begun_before_it_is_known),
        cmocka_unit_test(while_it_is_held_only_the_catalog_is_read),
        cmocka_unit_test(a_new_one),
        cmocka_unit_test(after_postgres_is_back),
        cmocka_unit_test(after_redis_is_back),
        cmocka_unit_test(after_redis_is_another_server),
        cmocka_unit_test(after_redis_has_lost_its_data),
        cmocka_unit_test(a_pass_of_direct_mode_is_one_for_claims),
        cmocka_unit_test(after_a_full_poll_that_failed),
        cmocka_unit_test(wanted_during_a_poll),
        cmocka_unit_test(beside_a_backlog),
        cmocka_unit_test(kinds),
        cmocka_unit_test(a_scan_of_somebody_elses),
        cmocka_unit_test(the_role_is_not_known),
        cmocka_unit_test(when_the_next_regular_poll_is),
        cmocka_unit_test(polls_that_fail),
        cmocka_unit_test(passes),
        cmocka_unit_test(a_pause),
        cmocka_unit_test(many_that_are_lost),
        cmocka_unit_test(ids_that_redis_cannot_hold),
        cmocka_unit_test(how_long_postgres_is_away),
        cmocka_unit_test(stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
