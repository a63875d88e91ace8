/* The lines of a list: their order, filters and pages. */
#include "app/desk_lines.h"

#include "app/desk_report.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"

#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct desk_lines lines;

static void add(const char *id, int64_t order_ms, const char *product, const char *sqlstate)
{
    char record[128];
    struct desk_line *line = desk_lines_add(&lines, id, strlen(id));
    assert_non_null(line);
    int len = snprintf(record, sizeof(record),
                       "{\"sqlstate\":\"%s\",\"firstFailedAt\":%lld,\"lastFailedAt\":%lld}",
                       sqlstate, (long long)order_ms, (long long)order_ms + 5);
    desk_line_record(line, record, (size_t)len, false);
    desk_line_product(line, product);
}

static void fill(void)
{
    add("c", 300, "lamp", "23514");
    add("a", 300, "lamp", "P0001");
    add("b", 100, "lampshade", "23514");
    add("a", 300, "lamp", "P0001"); /* as a walk may bring it */
    add("d", 400, "bed", "23514");
}

static char *ids(void)
{
    static char text[64];
    text[0] = '\0';
    for (size_t i = 0; i < lines.n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", lines.all[i].id);
    return text;
}

static int tear_down(void **state)
{
    (void)state;
    desk_lines_clear(&lines);
    return 0;
}

static void test_oldest_first_each_once(void **state)
{
    const struct desk_filter filter = {.queue = "q"};
    (void)state;
    fill();
    desk_lines_page(&lines, &filter, 0);
    assert_string_equal(ids(), "bacd");
    assert_false(lines.more);
    assert_int_equal(lines.all[0].past_ms, 105);
    assert_int_equal(lines.all[0].state, DESK_REFUSED);
}

static void test_filters(void **state)
{
    static const struct {
        struct desk_filter filter;
        const char *ids;
    } rows[] = {
        {{.product = "lamp"}, "ac"},
        {{.product = "lampshade"}, "b"},
        {{.product = "shade"}, ""},
        {{.sqlstate = "23514"}, "bcd"},
        {{.sqlstate = "23514", .product = "bed"}, "d"},
        {{.sqlstate = "42501"}, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fill();
        desk_lines_page(&lines, &rows[i].filter, 0);
        assert_string_equal(ids(), rows[i].ids);
        desk_lines_clear(&lines);
    }
}

/* Each page begins behind the last line of the one before, whatever has become of that. */
static void test_pages(void **state)
{
    static const struct {
        const char *after;
        size_t most;
        const char *ids;
        bool more;
    } rows[] = {
        {NULL, 2, "ba", true},        {"300:q:a", 2, "cd", false},  {"300:q:a", 1, "c", true},
        {"300:q:aa", 0, "cd", false}, {"300:p:z", 0, "acd", false}, {"300:r:", 0, "d", false},
        {"400:q:d", 2, "", false},    {NULL, 4, "bacd", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct desk_place place;
        const struct desk_filter filter = {.queue = "q",
                                           .after = rows[i].after != NULL ? &place : NULL};
        if (rows[i].after != NULL)
            assert_int_equal(desk_place_read(&place, rows[i].after), 0);
        fill();
        desk_lines_page(&lines, &filter, rows[i].most);
        if (strcmp(ids(), rows[i].ids) != 0 || lines.more != rows[i].more)
            fail_msg("row %zu: \"%s\", more %d", i, ids(), lines.more);
        desk_lines_clear(&lines);
    }
}

static void test_places(void **state)
{
    static const char *const wrong[] = {"",
                                        "5",
                                        "5:q",
                                        "x:q:a",
                                        "-1:q:a",
                                        ":q:a",
                                        "99999999999999999999:q:a",
                                        "5:a-name-that-is-longer-than-any-queue-has-one:a"};
    struct desk_place place;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(desk_place_read(&place, wrong[i]), -1);
    assert_int_equal(desk_place_read(&place, "5:seats:a:b"), 0);
    assert_int_equal(place.order_ms, 5);
    assert_string_equal(place.queue, "seats");
    assert_string_equal(place.id, "a:b");
    struct desk_line *line = desk_lines_add(&lines, "a:b", 3);
    line->order_ms = 5;
    char *text = desk_place_text("seats", line);
    assert_string_equal(text, "5:seats:a:b");
    free(text);
}

static void test_records_and_products(void **state)
{
    static const char kept[] = "{\"since\":700,\"lookAgainAt\":900,\"attention\":true}";
    (void)state;
    struct desk_line *line = desk_lines_add(&lines, "a", 1);
    desk_line_record(line, "no JSON", 7, false);
    assert_int_equal(line->past_ms, 0);
    assert_string_equal(line->sqlstate, "");
    desk_line_record(line, kept, sizeof(kept) - 1, true);
    assert_int_equal(line->state, DESK_KEPT);
    assert_int_equal(line->order_ms, 700);
    assert_int_equal(line->past_ms, 700);
    desk_line_product(line, "x,1");
    desk_line_product(line, "y,2");
    desk_line_product(line, "x,1");
    assert_string_equal(line->product, "x,1\ny,2");
    json_t *o = desk_line_json(line, "q", LIST_KEPT);
    assert_string_equal(json_string_value(json_object_get(o, "productId")), "x,1,y,2");
    assert_true(json_is_true(json_object_get(o, "attention")));
    assert_true(json_is_null(json_object_get(o, "sqlstate")));
    json_decref(o);
    desk_line_forget(line);
    assert_null(line->record);
}

/* Of several queues: one order, and where the next page begins. */
static void test_one_page_of_two_queues(void **state)
{
    struct queue seats = {.name = (char[]){"seats"}}, boxes = {.name = (char[]){"boxes"}};
    struct config of_seats = {.queue = &seats}, of_boxes = {.queue = &boxes};
    struct desk_found one = {.config = &of_seats}, other = {.config = &of_boxes};
    const struct desk_found *const found[] = {&one, &other};
    const struct desk_filter filter = {.queue = "q"};
    struct desk_page page;
    (void)state;
    fill();
    desk_lines_page(&lines, &filter, 0);
    one.lines = lines;
    lines = (struct desk_lines){0};
    add("x", 300, "lamp", "23514");
    other.lines = lines;
    assert_int_equal(desk_page_make(&page, found, 2, 2), 0);
    assert_int_equal(page.n, 2);
    assert_true(page.more);
    assert_string_equal(page.lines[0].line->id, "b");
    assert_string_equal(page.lines[1].line->id, "x");
    char *text = desk_page_json(&page, LIST_FAILED);
    assert_non_null(strstr(text, "\"next\":\"300:boxes:x\""));
    free(text);
    desk_page_free(&page);
    assert_int_equal(desk_page_make(&page, found, 2, 5), 0);
    assert_int_equal(page.n, 5);
    assert_false(page.more);
    text = desk_page_json(&page, LIST_FAILED);
    assert_non_null(strstr(text, "\"next\":null"));
    free(text);
    desk_page_free(&page);
    desk_lines_clear(&one.lines);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_oldest_first_each_once),
        TEST(test_filters),
        TEST(test_pages),
        TEST(test_places),
        TEST(test_records_and_products),
        TEST(test_one_page_of_two_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
