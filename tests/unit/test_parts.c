/* Statements out of parts: which part is taken, and what becomes of it. */
#include "store/parts.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

static int values_left; /* before memory runs out */

/* <token> */
static int put_value(void *arg, FILE *out, const char *token, size_t len)
{
    assert_ptr_equal(arg, &values_left);
    if (values_left-- <= 0)
        return -1;
    return fprintf(out, "<%.*s>", (int)len, token) < 0 ? -1 : 0;
}

static char *rendered(const char *text, const char *shared, bool a, bool b)
{
    const struct parts_fact facts[] = {{"a", a}, {"b", b}};
    const struct parts parts = {.shared = shared,
                                .facts = facts,
                                .n_facts = 2,
                                .put_value = put_value,
                                .arg = &values_left};
    return parts_render(text, &parts);
}

static void expect(const char *text, const char *shared, bool a, bool b, const char *wanted)
{
    values_left = 100;
    char *sql = rendered(text, shared, a, b);
    assert_non_null(sql);
    if (strcmp(sql, wanted) != 0)
        fail_msg("%s\n  became %s\n  wanted %s", text, sql, wanted);
    free(sql);
}

static void test_values(void **state)
{
    (void)state;
    expect("", "", false, false, "");
    expect("SELECT 1 - 1", "", false, false, "SELECT 1 - 1");
    expect("{x} r.{y}{z}", "", false, false, "<x> r.<y><z>");
}

static void test_comments_stay_at_home(void **state)
{
    (void)state;
    expect("a -- {nonsense} of it\nb", "", false, false, "a \nb");
    expect("a -- b", "", false, false, "a ");
    expect("a\n  -- b\n\n  c\n", "", false, false, "a\n  c");
    expect("{p}|\n--@ p\na\n\n-- of what follows\n\n--@ q\nb", "", false, false, "a|");
    expect("{p}\n--@ p\n-- why\nb - c", "", false, false, "b - c");
    expect("--a\n--b\nc-d", "", false, false, "c-d");
}

static void test_parts(void **state)
{
    (void)state;
    static const char text[] = "x {one} {two}\n\n--@ one\n 1\n + {three}\n--@ two\n2\n";
    expect(text, "--@ three\n3", false, false, "x 1\n + 3 2");
    expect("{one}\n", "--@ one\n1 {v}\n--@ two\n2", false, false, "1 <v>");
    expect("{one}|\n--@ one", "--@ one\nanother", false, false, "|");
    expect("{on}{onee}", "--@ one\n1", false, false, "<on><onee>");
}

static void test_facts(void **state)
{
    (void)state;
    static const char text[] =
        "{p}\n--@ p if a b\nboth\n--@ p if a\nonly a\n--@ p if !b\nnone\n--@ p\nonly b";
    expect(text, "", true, true, "both");
    expect(text, "", true, false, "only a");
    expect(text, "", false, true, "only b");
    expect(text, "", false, false, "none");
    /* Where none of its own is meant, that of all. */
    static const char own[] = "{p}\n--@ p if a\nown";
    expect(own, "--@ p\nshared", true, false, "own");
    expect(own, "--@ p\nshared", false, false, "shared");
    /* The parts of a shared part are looked for among the statement's own first. */
    expect("{p}\n--@ q\nown", "--@ p\n{q}\n--@ q\nshared", false, false, "own");
}

/* At each value: no statement, never half of one. */
static void test_failures(void **state)
{
    (void)state;
    for (int n = 0; n < 3; n++) {
        values_left = n;
        assert_null(rendered("{x} {p} {z}", "--@ p\n{y}", false, false));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),   cmocka_unit_test(test_comments_stay_at_home),
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_facts),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
