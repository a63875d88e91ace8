/* Query strings. */
#include "link/http_private.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static const struct http_param params[] = {
    {"dryRun", false}, {"repairStock", false}, {"queue", true}, {NULL, false}};

static void test_what_is_read(void **state)
{
    static const struct {
        const char *query;
        unsigned seen, on;
    } rows[] = {
        {NULL, 0, 0},
        {"", 0, 0},
        {"dryRun=true", 1, 1},
        {"dryRun=false", 1, 0},
        {"repairStock=true", 2, 2},
        {"dryRun=true&repairStock=false", 3, 1},
        {"repairStock=true&dryRun=true", 3, 3},
        {"dry%52un=tr%75e", 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_given given;
        char *error = NULL;
        assert_int_equal(http_query_read(rows[i].query, params, &given, &error), 0);
        assert_int_equal(given.seen, rows[i].seen);
        assert_int_equal(given.on, rows[i].on);
        assert_null(error);
        http_given_clear(&given);
    }
}

static void test_a_text(void **state)
{
    struct http_given given;
    char *error = NULL;
    (void)state;
    assert_int_equal(http_query_read("dryRun=true&queue=b%2Bc+d", params, &given, &error), 0);
    assert_string_equal(given.texts[2], "b+c d");
    assert_int_equal(given.on, 1);
    assert_null(given.texts[0]);
    http_given_clear(&given);
    assert_null(given.texts[2]);
    assert_int_equal(given.seen, 0);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *query;
        const char *named; /* in the sentence */
    } rows[] = {
        {"dryrun=true", "\"dryrun\""},
        {"dryRun", "dryRun"},
        {"dryRun=", "dryRun"},
        {"dryRun=TRUE", "dryRun"},
        {"dryRun=1", "dryRun"},
        {"dryRun=true ", "dryRun"},
        {"dryRun=true&dryRun=true", "dryRun is given twice"},
        {"dryRun=true&dry%52un=false", "dryRun is given twice"},
        {"repairStock=true&x=1", "\"x\""},
        {"dryRu=true", "\"dryRu\""},
        {"dryRunn=true", "\"dryRunn\""},
        {"queue", "queue is \"\": it must not be empty"},
        {"queue=", "queue is \"\": it must not be empty"},
        {"queue=a&queue=b", "queue is given twice"},
        {"queue=a&dryRun=b", "dryRun is \"b\": true and false are allowed"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_given given;
        char *error = NULL;
        assert_int_equal(http_query_read(rows[i].query, params, &given, &error), -1);
        assert_non_null(error);
        assert_non_null(strstr(error, rows[i].named));
        free(error);
        http_given_clear(&given);
    }
}

static void test_a_path_without_parameters(void **state)
{
    struct http_given given;
    char *error = NULL;
    (void)state;
    assert_int_equal(http_query_read(NULL, NULL, &given, &error), 0);
    assert_int_equal(http_query_read("", NULL, &given, &error), 0);
    assert_int_equal(http_query_read("a=b", NULL, &given, &error), -1);
    assert_non_null(strstr(error, "\"a\""));
    free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_a_text),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_a_path_without_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
