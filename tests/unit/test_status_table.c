/* --status for people: a report of each kind, line by line. */
#include "app/status_table.h"
#include "health/health.h"

#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_US INT64_C(1795000000000000) /* 2026-11-18T11:06:40Z */
#define S_US INT64_C(1000000)

static struct health_report calm(void)
{
    return (struct health_report){
        .ready = true,
        .degraded_reason = "",
        .postgres = {.address = "host=pg",
                     .error = "",
                     .up = true,
                     .clock_known = true,
                     .clock_offset_us = 1500000},
        .redis = {.address = "redis:6379/0", .error = "", .up = true},
        .sizes_known = true,
        .pending = 63,
        .inflight = 2,
        .failed = 1,
        .kept_known = true,
        .kept = 3,
        .locked_known = true,
        .locked = 4,
        .overdue_known = true,
        .overdue_unknown = "",
        .next_due_known = true,
        .now_us = NOW_US,
        .overdue_id = "",
        .overdue_product = "",
    };
}

/* The text, and with it the whole of the line that begins with this name; fails without one. */
static void expect_line(const struct health_report *r, const char *name, const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    status_table_print(r, out);
    assert_int_equal(fclose(out), 0);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strncmp(line, name, strlen(name)) == 0) {
            if (wanted == NULL || strcmp(line + strlen(name), wanted) != 0)
                fail_msg("\"%s\", wanted \"%s\"", line, wanted == NULL ? "no such line" : wanted);
            free(text);
            return;
        }
    free(text);
    if (wanted != NULL)
        fail_msg("no line \"%s\"", name);
}

static void test_counts(void **state)
{
    (void)state;
    struct health_report r = calm();
    expect_line(&r, "on time         ", "yes");
    expect_line(&r, "degraded", NULL);
    expect_line(&r, "pending         ", "63");
    expect_line(&r, "in flight       ", "2");
    expect_line(&r, "failed          ", "1");
    expect_line(&r, "locked          ", "4");
    expect_line(&r, "kept            ", "3");
    expect_line(&r, "failures", NULL);
    r.attention = 2;
    expect_line(&r, "kept            ", "3 (2 for too long)");
    r.kept_known = false;
    expect_line(&r, "kept            ", "not known");
    r.locked_known = false;
    expect_line(&r, "locked          ", "not known");
    expect_line(&r, "failed          ", "1");
    r = calm();
    r.sizes_known = false;
    expect_line(&r, "pending         ", "not known");
    expect_line(&r, "in flight       ", "not known");
    expect_line(&r, "failed          ", "not known");
    expect_line(&r, "locked          ", "4");
    expect_line(&r, "next due        ", "none");
    r.next_due_known = false;
    expect_line(&r, "next due        ", "not known");
}

static void test_verdict(void **state)
{
    (void)state;
    struct health_report r = calm();
    r.ready = false;
    snprintf(r.reason, sizeof(r.reason), "Postgres\x1b is away");
    expect_line(&r, "on time         ", "no: Postgres? is away");
    r.degraded = true;
    r.degraded_reason = "Redis is\x7f away";
    expect_line(&r, "degraded        ", "yes: Redis is? away");
}

static void test_overdue(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {1, "0.000 s"},
        {4250000, "4.250 s"},
        {59999000, "59.999 s"},
        {60 * S_US, "1 min 0 s"},
        {200 * S_US, "3 min 20 s"},
        {3599 * S_US, "59 min 59 s"},
        {3600 * S_US, "1 h 0 min"},
        {3900 * S_US, "1 h 5 min"},
        {100000 * S_US, "27 h 46 min"},
    };
    struct health_report r = calm();
    expect_line(&r, "oldest overdue  ", "none");
    r.overdue_id = "r\x01";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char wanted[80];
        r.now_us = NOW_US + rows[i].us;
        r.overdue_since_us = NOW_US;
        snprintf(wanted, sizeof(wanted), "r?, for %s (since 2026-11-18T11:06:40.000Z)",
                 rows[i].text);
        expect_line(&r, "oldest overdue  ", wanted);
    }
    r.overdue_product = "p\n";
    r.now_us = NOW_US + S_US;
    expect_line(&r, "oldest overdue  ",
                "r?, product p?, for 1.000 s (since 2026-11-18T11:06:40.000Z)");
    r.overdue_known = false;
    expect_line(&r, "oldest overdue  ", "not known");
}

static void test_next(void **state)
{
    (void)state;
    struct health_report r = calm();
    expect_line(&r, "next due        ", "none");
    r.next_due_us = NOW_US + 2651000;
    expect_line(&r, "next due        ", "2026-11-18T11:06:42.651Z, in 2.651 s");
    r.next_due_us = NOW_US;
    expect_line(&r, "next due        ", "2026-11-18T11:06:40.000Z");
    r.next_due_us = NOW_US + S_US;
    r.now_us = 0;
    expect_line(&r, "next due        ", "2026-11-18T11:06:41.000Z");
}

static void test_servers(void **state)
{
    (void)state;
    struct health_report r = calm();
    expect_line(&r, "Postgres        ", "host=pg, clock +1.500 s from this host's");
    r.postgres.host = "host=b port=5432"; /* of several */
    expect_line(&r, "Postgres        ",
                "host=pg, at host=b port=5432, clock +1.500 s from this host's");
    expect_line(&r, "Redis           ", "redis:6379/0");
    r.redis.up = false;
    expect_line(&r, "Redis           ", "redis:6379/0, out of reach");
    r.redis.error = "no\troute";
    r.redis.clock_known = true;
    expect_line(&r, "Redis           ", "redis:6379/0, out of reach: no?route");
}

static void test_failures(void **state)
{
    (void)state;
    struct health_report r = calm();
    r.failed = 7;
    r.failures = json_array();
    expect_line(&r, "failures", NULL);
    json_array_append_new(r.failures,
                          json_pack("{s:s,s:s,s:s,s:i,s:s}", "reservationId", "a\x1b", "sqlstate",
                                    "23514", "error", "no\nmore", "attempts", 3, "retryAt",
                                    "2026-11-18T11:06:40.000Z"));
    json_array_append_new(r.failures, json_pack("{s:s}", "reservationId", "b"));
    expect_line(&r, "failures", " (2 of 7)");
    expect_line(&r, "  a?  23514  no?more  ", "(attempts: 3, next at 2026-11-18T11:06:40.000Z)");
    expect_line(&r, "  b  ", "(attempts: 0)");
    json_decref(r.failures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),  cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_overdue), cmocka_unit_test(test_next),
        cmocka_unit_test(test_servers), cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
