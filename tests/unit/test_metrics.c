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
    metrics_family(m, METRIC_DISCARDED);
    metrics_label(m, "queue", "q");
    metrics_label(m, "reason", "long enough to be cut where the next one is shorter");
    metrics_value(m, 3);
    metrics_label(m, "queue", "q");
    metrics_label(m, "reason", "b");
    metrics_value(m, 0);
    metrics_family(m, METRIC_BUILD_INFO);
    metrics_label(m, "version", "1");
    metrics_label(m, "hiredis", "2");
    metrics_label(m, "libpq", "3");
    metrics_label(m, "libevent", "4");
    metrics_value(m, 1);
    metrics_single(m, METRIC_REDIS_UP, -1.5);
    assert_text(
        m, "# HELP reservation_sweeper_discarded_total Reservations claimed with nothing to do.\n"
           "# TYPE reservation_sweeper_discarded_total counter\n"
           "reservation_sweeper_discarded_total{queue=\"q\",reason=\"long enough to be cut where "
           "the next "
           "one is shorter\"} 3\n"
           "reservation_sweeper_discarded_total{queue=\"q\",reason=\"b\"} 0\n"
           "# HELP reservation_sweeper_build_info 1; what this program is made of.\n"
           "# TYPE reservation_sweeper_build_info gauge\n"
           "reservation_sweeper_build_info{version=\"1\",hiredis=\"2\",libpq=\"3\","
           "libevent=\"4\"} 1\n"
           "# HELP reservation_sweeper_redis_up 1 while Redis is connected, for every queue.\n"
           "# TYPE reservation_sweeper_redis_up gauge\n"
           "reservation_sweeper_redis_up -1.5\n");
}

/* The last line, without its end. */
static void assert_last_line(struct metrics *m, const char *expected)
{
    size_t len = 0;
    char *text = metrics_finish(m, &len);
    assert_non_null(text);
    assert_true(len > 1 && text[len - 1] == '\n');
    text[len - 1] = '\0';
    assert_string_equal(strrchr(text, '\n') + 1, expected);
    free(text);
}

static void label_values_are_escaped(void **state)
{
    struct metrics *m = metrics_new();
    (void)state;
    assert_non_null(m);
    metrics_family(m, METRIC_RECONNECTS);
    metrics_label(m, "queue", "");
    metrics_label(m, "server", "quote \" backslash \\ line\nend");
    metrics_value(m, 1);
    assert_last_line(m, "reservation_sweeper_reconnects_total"
                        "{queue=\"\",server=\"quote \\\" backslash \\\\ line\\nend\"} 1");
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
        metrics_single(m, METRIC_REDIS_UP, cases[i].value);

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
    static const uint64_t counts[] = {2, 0, 3}, none[] = {0, 0, 0};
    struct metrics *m = metrics_new();
    (void)state;
    assert_non_null(m);
    metrics_family(m, METRIC_BATCH_SIZE);
    metrics_label(m, "queue", "a");
    metrics_histogram(m, bounds, 2, counts, 7.25);
    metrics_label(m, "queue", "longer");
    metrics_histogram(m, bounds, 2, none, 0);
    assert_text(m,
                "# HELP reservation_sweeper_batch_size Reservations in one release transaction.\n"
                "# TYPE reservation_sweeper_batch_size histogram\n"
                "reservation_sweeper_batch_size_bucket{queue=\"a\",le=\"0.0005\"} 2\n"
                "reservation_sweeper_batch_size_bucket{queue=\"a\",le=\"1\"} 2\n"
                "reservation_sweeper_batch_size_bucket{queue=\"a\",le=\"+Inf\"} 5\n"
                "reservation_sweeper_batch_size_sum{queue=\"a\"} 7.25\n"
                "reservation_sweeper_batch_size_count{queue=\"a\"} 5\n"
                "reservation_sweeper_batch_size_bucket{queue=\"longer\",le=\"0.0005\"} 0\n"
                "reservation_sweeper_batch_size_bucket{queue=\"longer\",le=\"1\"} 0\n"
                "reservation_sweeper_batch_size_bucket{queue=\"longer\",le=\"+Inf\"} 0\n"
                "reservation_sweeper_batch_size_sum{queue=\"longer\"} 0\n"
                "reservation_sweeper_batch_size_count{queue=\"longer\"} 0\n");
}

/* What Prometheus asks of names, and a page of the documents of a table's row. */
static void the_table_is_whole(void **state)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    (void)state;
    for (int i = 0; i < METRICS_N; i++) {
        const struct metric *row = &metric_table[i];
        assert_non_null(row->name);
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
        assert_true(row->help[strlen(row->help) - 1] == '.' || strchr(row->help, ';') != NULL);
        assert_null(strpbrk(row->help, "|\n\\"));
        assert_null(strpbrk(row->meaning, "|\n"));
        for (size_t j = 0; j < ARRAY_LEN(suffixes); j++)
            assert_null(strstr(row->name, suffixes[j]));
        assert_int_equal(row->type == METRICS_COUNTER, strstr(row->name, "_total") != NULL);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(metric_table[j].name, row->name);
    }
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
        cmocka_unit_test(the_table_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
