/* When backlog mode is entered and left. */
#include "sweep/backlog_plan.h"
#include "unit.h"

#define NOW (100 * SECOND_US)
#define MANY (BACKLOG_MIN + 1)

static struct backlog_plan plan;

static int set_up(void **state)
{
    (void)state;
    plan = (struct backlog_plan){.state = BACKLOG_OFF};
    return 0;
}

static bool claims(int64_t now_us)
{
    int64_t wake_us;
    bool may = backlog_plan_may_claim(&plan, now_us, &wake_us);
    assert_true(may || plan.state != BACKLOG_OFF);
    assert_int_equal(wake_us, plan.state == BACKLOG_RESTING ? plan.rest_end_us : INT64_MAX);
    return may;
}

static void enter(void)
{
    assert_true(backlog_plan_claimed(&plan, true, MANY, NOW));
    assert_false(claims(NOW));
    assert_true(backlog_plan_role(&plan, true, true, 0, NOW));
    assert_false(claims(NOW));
}

static void test_when_it_is_entered(void **state)
{
    (void)state;
    assert_true(claims(NOW));
    assert_false(backlog_plan_claimed(&plan, true, BACKLOG_MIN, NOW));
    assert_false(backlog_plan_claimed(&plan, false, MANY, NOW));
    assert_true(claims(NOW));
    enter();
    assert_false(backlog_plan_claimed(&plan, true, MANY, NOW)); /* it is already */
}

static void test_its_end(void **state)
{
    (void)state;
    enter();
    backlog_plan_passed(&plan, true, BACKLOG_WORTH, BACKLOG_WORTH, NOW);
    assert_false(claims(NOW));
    backlog_plan_over(&plan);
    assert_true(claims(NOW));
    enter(); /* there is another one at once */
}

/* What is locked or refused is due in Postgres still; what was released before is due in Redis. */
static void test_in_vain(void **state)
{
    static const struct {
        bool ok;
        uint64_t released, left;
    } passes[] = {{true, BACKLOG_WORTH, BACKLOG_WORTH + 1},
                  {true, 0, 1},
                  {true, 0, 0},
                  {true, BACKLOG_WORTH - 1, 0},
                  {false, BACKLOG_WORTH, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(passes); i++) {
        set_up(NULL);
        enter();
        backlog_plan_passed(&plan, passes[i].ok, passes[i].released, passes[i].left, NOW);
        backlog_plan_over(&plan);
        assert_false(backlog_plan_claimed(&plan, true, MANY, NOW + BACKLOG_AGAIN_US - 1));
        assert_true(backlog_plan_claimed(&plan, true, MANY, NOW + BACKLOG_AGAIN_US));
    }
}

static void test_another_has_the_role(void **state)
{
    static const int64_t remaining_us[] = {4 * SECOND_US, 20 * MS_US};
    static const int64_t rests_us[] = {BACKLOG_REST_US, 20 * MS_US};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rests_us); i++) {
        set_up(NULL);
        assert_true(backlog_plan_claimed(&plan, true, MANY, NOW));
        assert_false(backlog_plan_role(&plan, true, false, remaining_us[i], NOW));
        assert_false(claims(NOW + rests_us[i] - 1));
        assert_true(claims(NOW + rests_us[i]));
        assert_true(backlog_plan_claimed(&plan, true, MANY, NOW + rests_us[i]));
    }
}

static void test_no_answer(void **state)
{
    (void)state;
    assert_true(backlog_plan_claimed(&plan, true, MANY, NOW));
    assert_false(backlog_plan_role(&plan, false, true, 0, NOW));
    assert_true(claims(NOW));
}

/* By a holder that gets on. */
static void test_the_role_is_renewed(void **state)
{
    const int64_t later_us = NOW + BACKLOG_RENEW_US;
    (void)state;
    assert_false(backlog_plan_renews(&plan, NOW, later_us));
    enter();
    assert_false(backlog_plan_renews(&plan, NOW + 1, later_us - 1));
    assert_false(backlog_plan_renews(&plan, NOW - 1, later_us)); /* nothing has come of it since */
    assert_true(backlog_plan_renews(&plan, NOW + 1, later_us));
    assert_false(backlog_plan_renews(&plan, later_us, later_us));
    assert_true(backlog_plan_role(&plan, true, true, 0, later_us));
    assert_false(backlog_plan_role(&plan, true, false, SECOND_US, later_us)); /* taken over */
    assert_false(backlog_plan_role(&plan, false, true, 0, later_us));
    assert_int_equal(plan.state, BACKLOG_ON); /* until the pass is over */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_when_it_is_entered, set_up),
        cmocka_unit_test_setup(test_its_end, set_up),
        cmocka_unit_test_setup(test_in_vain, set_up),
        cmocka_unit_test_setup(test_another_has_the_role, set_up),
        cmocka_unit_test_setup(test_no_answer, set_up),
        cmocka_unit_test_setup(test_the_role_is_renewed, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
