/* The text exposition format: families, labels, numbers, histograms, this process. */
#include "base/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static void assert_text(struct metrics *m, const char *expected)
{
    size_t len = 0;
    char *text = metrics_finish(m, &len);

    assert_non_null(text);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    free(text);
}

static void nothing_is_an_empty_text(void **state)
{
    (void)state;
    assert_text(metrics_new(), "");
    metrics_free(NULL);
    metrics_free(metrics_new());
}

static void families_and_labels(void **state)
{
    struct metrics *m = metrics_new();

    (void)state;
    assert_non_null(m);
    metrics_family(m, "a_total", METRICS_COUNTER, "What it is.");
    metrics_label(m, "reason", "long enough to be cut where the next one is shorter");
    metrics_value(m, 3);
    metrics_label(m, "reason", "b");
    metrics_label(m, "other", "c");
    metrics_value(m, 0);
    metrics_family(m, "d", METRICS_GAUGE, "Without.");
    metrics_value(m, -1.5);
    assert_text(m, "# HELP a_total What it is.\n# TYPE a_total counter\n"
                   "a_total{reason=\"long enough to be cut where the next one is shorter\"} 3\n"
                   "a_total{reason=\"b\",other=\"c\"} 0\n"
                   "# HELP d Without.\n# TYPE d gauge\nd -1.5\n");
}

static void label_values_are_escaped(void **state)
{
    struct metrics *m = metrics_new();

    (void)state;
    assert_non_null(m);
    metrics_family(m, "a", METRICS_GAUGE, "x");
    metrics_label(m, "l", "quote \" backslash \\ line\nend");
    metrics_value(m, 1);
    assert_text(m, "# HELP a x\n# TYPE a gauge\n"
                   "a{l=\"quote \\\" backslash \\\\ line\\nend\"} 1\n");
}

static void numbers_are_short_and_exact(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {0.1, "0.1"},
        {1795463012.551904, "1795463012.551904"},
        {9007199254740991, "9007199254740991"},
        {1e300, "1e+300"},
        {1.0 / 3, "0.33333333333333331"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {NAN, "NaN"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct metrics *m = metrics_new();
        size_t len = 0;

        assert_non_null(m);
        metrics_family(m, "a", METRICS_GAUGE, "x");
        metrics_value(m, cases[i].value);

        char *text = metrics_finish(m, &len);

        assert_non_null(text);
        text[len - 1] = '\0';
        assert_string_equal(strrchr(text, ' ') + 1, cases[i].text);
        free(text);
    }
}

static void histograms_are_cumulative(void **state)
{
    static const double bounds[] = {0.0005, 1};
    static const uint64_t counts[] = {2, 0, 3};
    struct metrics *m = metrics_new();

    (void)state;
    assert_non_null(m);
    metrics_family(m, "h", METRICS_HISTOGRAM, "x");
    metrics_histogram(m, bounds, 2, counts, 7.25);
    assert_text(m, "# HELP h x\n# TYPE h histogram\n"
                   "h_bucket{le=\"0.0005\"} 2\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 5\n"
                   "h_sum 7.25\nh_count 5\n");
}

static double value_of(const char *text, const char *name)
{
    char line[64];
    size_t len = strlen(name);

    line[0] = '\n';
    memcpy(line + 1, name, len);
    line[len + 1] = ' ';
    line[len + 2] = '\0';

    const char *found = strstr(text, line);

    assert_non_null(found);
    return strtod(found + len + 2, NULL);
}

static void this_process(void **state)
{
    struct metrics *m = metrics_new();
    size_t len = 0;

    (void)state;
    assert_non_null(m);
    metrics_process(m);

    char *text = metrics_finish(m, &len);

    assert_non_null(text);
    assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
    assert_true(value_of(text, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(text, "process_virtual_memory_bytes") > 100000);
    assert_true(value_of(text, "process_start_time_seconds") > 1.6e9);
    assert_true(value_of(text, "process_open_fds") >= 3);
    assert_true(value_of(text, "process_max_fds") > 3);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_an_empty_text),  cmocka_unit_test(families_and_labels),
        cmocka_unit_test(label_values_are_escaped),  cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(histograms_are_cumulative), cmocka_unit_test(this_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
