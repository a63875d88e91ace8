/* Whether a queue that is served for the first time may release, and what is remembered of it. */
#include "release/first_run_judge.h"

#include "config/queue.h"
#include "unit.h"

#include <string.h>

#define TEXT(t) ((struct queue_text){.text = (char *)(t)})

static struct queue shop(void)
{
    struct queue q = {.name = (char *)"shop",
                      .table = {.name = (char *)"holds"},
                      .id = TEXT("id"),
                      .expires_at = TEXT("expires_at"),
                      .time_zone = TEXT("UTC"),
                      .active = TEXT("status = 'active'"),
                      .released = TEXT("status = 'released'")};
    return q;
}

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        int64_t limit, due;
        bool yes;
        enum first_run_memory memory;
        enum first_run_verdict verdict;
    } rows[] = {
        {-1, 1000000, false, FIRST_RUN_NEW, FIRST_RUN_GO}, /* there is no limit */
        {-1, 1000000, true, FIRST_RUN_NEW, FIRST_RUN_GO},
        {100, 100, false, FIRST_RUN_NEW, FIRST_RUN_ACCEPT},
        {100, 101, false, FIRST_RUN_NEW, FIRST_RUN_STOP},
        {100, 101, true, FIRST_RUN_NEW, FIRST_RUN_ACCEPT},
        {100, 101, false, FIRST_RUN_ACCEPTED, FIRST_RUN_GO},  /* it was looked at before */
        {100, 101, false, FIRST_RUN_UNKNOWN, FIRST_RUN_STOP}, /* nothing is remembered */
        {100, 100, false, FIRST_RUN_UNKNOWN, FIRST_RUN_ACCEPT},
        {0, 1, false, FIRST_RUN_NEW, FIRST_RUN_STOP},
        {0, 0, false, FIRST_RUN_NEW, FIRST_RUN_ACCEPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(first_run_judge(rows[i].limit, rows[i].due, rows[i].yes, rows[i].memory),
                         rows[i].verdict);
}

static void mapping_of(const struct queue *q, char *out)
{
    assert_int_equal(first_run_mapping(q, out), 0);
    assert_int_equal(strlen(out), FIRST_RUN_MAPPING_SIZE - 1);
}

static void another_mapping(void **state)
{
    (void)state;
    char before[FIRST_RUN_MAPPING_SIZE], now[FIRST_RUN_MAPPING_SIZE];
    struct queue q = shop();
    mapping_of(&q, before);
    for (int i = 0; i < 8; i++) {
        q = shop();
        switch (i) {
        case 0:
            q.table.schema = (char *)"other";
            break;
        case 1:
            q.table.name = (char *)"others";
            break;
        case 2:
            q.expires_at = TEXT("created_at");
            break;
        case 3:
            q.expires_unit = QUEUE_EXPIRES_MS;
            break;
        case 4:
            q.time_zone = TEXT("Europe/Berlin");
            break;
        case 5:
            q.database = TEXT("OTHER");
            break;
        case 6:
            q.after_us = 1;
            break;
        default:
            q.active = TEXT("status <> 'active'");
        }
        mapping_of(&q, now);
        assert_string_not_equal(before, now);
        assert_int_equal(first_run_remembered(before, now), FIRST_RUN_NEW);
    }
}

static void told_that_it_is_held(void **state)
{
    static const char *const odd[] = {"",
                                      "nonsense",
                                      "0123456789abcdef",
                                      "0123456789abcdef h:1",
                                      "0123456789abcdef h:1 ",
                                      "0123456789abcdef  why",
                                      "0123456789abcdefg h:1 why"};
    (void)state;
    char text[FIRST_RUN_HELD_SIZE];
    struct first_run_held held;
    first_run_held_text("0123456789abcdef", "db1:7:8", "more is due", text);
    assert_int_equal(first_run_held_read(text, &held), 0);
    assert_string_equal(held.mapping, "0123456789abcdef");
    assert_string_equal(held.holder, "db1:7:8");
    assert_string_equal(held.reason, "more is due");
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(first_run_held_read(odd[i], &held), -1);
}

/* What a release sets, and what counters there are, decides nothing about what is due. */
static void the_same_mapping(void **state)
{
    (void)state;
    char before[FIRST_RUN_MAPPING_SIZE], now[FIRST_RUN_MAPPING_SIZE], text[64];
    struct queue q = shop();
    mapping_of(&q, before);
    first_run_text(before, 7, true, text, sizeof(text));
    assert_int_equal(strlen(text), FIRST_RUN_MAPPING_SIZE - 1 + strlen(" 7 due, --yes"));
    q.released = TEXT("status = 'expired'");
    q.stock.table.name = (char *)"counters";
    q.name = (char *)"renamed";
    mapping_of(&q, now);
    assert_string_equal(before, now);
    assert_int_equal(first_run_remembered(text, now), FIRST_RUN_ACCEPTED);
    assert_int_equal(first_run_remembered("", now), FIRST_RUN_NEW);
    assert_int_equal(first_run_remembered("nonsense", now), FIRST_RUN_NEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(another_mapping),
        cmocka_unit_test(told_that_it_is_held),
        cmocka_unit_test(the_same_mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
