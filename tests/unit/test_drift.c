/* Stock counters that drifted: what they should be, what keeps them from a repair, and what the
 * answer to a repair means. */
#include "reconcile/drift.h"

#include "unit.h"

#include <string.h>

static struct amount amount(const char *text)
{
    return (struct amount){text != NULL, units_parse(text != NULL ? text : "")};
}

static struct drift drift(const char *total, const char *available, const char *reserved,
                          const char *sum)
{
    return (struct drift){.total = amount(total),
                          .available = amount(available),
                          .reserved = amount(reserved),
                          .sum = amount(sum),
                          .counters = 1,
                          .summed = true};
}

static void expect_json(json_t *json, const char *text)
{
    char *got = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (text == NULL)
        assert_null(got);
    else
        assert_string_equal(got, text);
    free(got);
    json_decref(json);
}

static void test_what_it_should_be(void **state)
{
    (void)state;
    const struct {
        const char *total, *available, *reserved, *sum, *expected, *found;
    } rows[] = {
        {"10", "5", "5", "3", "{\"totalStock\":10,\"availableStock\":7,\"reservedStock\":3}",
         "{\"totalStock\":10,\"availableStock\":5,\"reservedStock\":5}"},
        /* Without a total nothing is invented: what there was is divided anew. */
        {NULL, "4", "5", "2", "{\"availableStock\":7,\"reservedStock\":2}",
         "{\"availableStock\":4,\"reservedStock\":5}"},
        {"2.5", "2", "0", "1.25",
         "{\"totalStock\":2.5,\"availableStock\":1.25,\"reservedStock\":1.25}",
         "{\"totalStock\":2.5,\"availableStock\":2,\"reservedStock\":0}"},
        /* Below zero: said, and refused when it is repaired. */
        {"1", "1", "0", "3", "{\"totalStock\":1,\"availableStock\":-2,\"reservedStock\":3}",
         "{\"totalStock\":1,\"availableStock\":1,\"reservedStock\":0}"},
        {NULL, NULL, "5", "2", "{\"availableStock\":null,\"reservedStock\":2}",
         "{\"availableStock\":null,\"reservedStock\":5}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct drift d =
            drift(rows[i].total, rows[i].available, rows[i].reserved, rows[i].sum);
        expect_json(drift_expected(&d, NULL), rows[i].expected);
        expect_json(drift_found(&d, NULL), rows[i].found);
    }
}

static void test_why_not(void **state)
{
    (void)state;
    struct drift d = drift("10", "5", "5", "3");
    assert_null(drift_why_not(&d, false));
    assert_non_null(strstr(drift_why_not(&d, true), "row security"));
    d.summed = false;
    const char *reason = drift_why_not(&d, false);
    assert_non_null(strstr(reason, "quantity"));
    assert_false(drift_available(&d).known);
    expect_json(drift_expected(&d, reason), NULL);
    expect_json(drift_found(&d, "why"), "{\"totalStock\":10,\"availableStock\":5,"
                                        "\"reservedStock\":5,\"notRepairable\":\"why\"}");
    d.counters = 2;
    assert_non_null(strstr(drift_why_not(&d, false), "more than one row"));
    expect_json(drift_found(&d, NULL), "{\"totalStock\":10,\"availableStock\":5,"
                                       "\"reservedStock\":5,\"counterRows\":2}");
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *sqlstate;
        enum drift_answer answer;
        bool done;
    } rows[] = {
        {"", DRIFT_DONE, true},          {"55P03", DRIFT_LOCKED, false},
        {"40001", DRIFT_LOCKED, false},  {"40P01", DRIFT_LOCKED, false},
        {"22003", DRIFT_REFUSED, false}, {"23514", DRIFT_REFUSED, false},
        {"57014", DRIFT_FAULT, false},   {"42501", DRIFT_FAULT, false},
        {"55000", DRIFT_FAULT, false},   {"", DRIFT_FAULT, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(drift_answer(rows[i].done, rows[i].sqlstate), rows[i].answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_should_be),
        cmocka_unit_test(test_why_not),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
