/* One record for each time that a clock leaves, however it moves meanwhile. */
#include "health/clock_watch.h"

#include "unit.h"

#define MS INT64_C(1000)

static void says_once_and_again_when_it_is_over(void **state)
{
    (void)state;
    static const struct {
        int64_t offset_us;
        bool apart;
    } moments[] = {
        {0, false},          {999 * MS, false},  {-1000 * MS, false}, {1001 * MS, true},
        {600000 * MS, true}, {-5000 * MS, true}, {900 * MS, true},    {-501 * MS, true},
        {499 * MS, false},   {999 * MS, false},  {-1001 * MS, true},  {0, false},
    };
    struct clock_watch w = {.server = "postgres"};
    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        clock_watch_note(&w, moments[i].offset_us);
        assert_int_equal(w.apart, moments[i].apart);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_once_and_again_when_it_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
