/* Settings that were given by a former name: what an operator is told of them. */
#include "config_line.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define NAME "SWEEPER_SCAN_INTERVAL"
#define FORMER "SWEEPER_RECONCILE_INTERVAL"

/* Each name that is noted, as "former>name=counts", separated by blanks. */
static const char *noted(void)
{
    static char text[512];
    text[0] = '\0';
    for (const struct config_former *f = config.former; f->former != NULL; f++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s%s>%s=%s", len == 0 ? "" : " ", f->former,
                 f->name, f->counts);
    }
    return text;
}

static void test_former_names(void **state)
{
    static const struct {
        const char *variable, *former, *words, *noted;
    } rows[] = {
        {NULL, NULL, "", ""},
        {"1m", NULL, "--scan-interval 2m", ""},
        {NULL, "1m", "", FORMER ">" NAME "=" FORMER},
        {"2m", "1m", "", FORMER ">" NAME "=" NAME},
        {NULL, "", "", ""}, /* empty: unset */
        {NULL, "1m", "--scan-interval 2m", FORMER ">" NAME "=--scan-interval"},
        {NULL, NULL, "--reconcile-interval 1m",
         "--reconcile-interval>--scan-interval=--reconcile-interval"},
        {NULL, NULL, "--reconcile-interval 1m --reconcile-interval 2m",
         "--reconcile-interval>--scan-interval=--reconcile-interval"},
        {NULL, NULL, "--scan-interval 2m --reconcile-interval 1m",
         "--reconcile-interval>--scan-interval=--scan-interval"},
        {NULL, NULL, "--reconcile-interval 1m --scan-interval 2m",
         "--reconcile-interval>--scan-interval=--scan-interval"},
        {"2m", NULL, "--reconcile-interval 1m",
         "--reconcile-interval>--scan-interval=--reconcile-interval"},
        {"2m", "3m", "--reconcile-interval 1m",
         "--reconcile-interval>--scan-interval=--reconcile-interval " FORMER ">" NAME
         "=--reconcile-interval"},
        {NULL, "1m", "--once", FORMER ">" NAME "=" FORMER},
        {NULL, "1m", "--help", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsetenv(NAME);
        unsetenv(FORMER);
        if (rows[i].variable != NULL)
            setenv(NAME, rows[i].variable, 1);
        if (rows[i].former != NULL)
            setenv(FORMER, rows[i].former, 1);
        expect_taken(rows[i].words);
        if (strcmp(noted(), rows[i].noted) != 0)
            fail_msg("row %zu: %s", i, noted());
    }
}

/* LOG_LEVEL is shared with others, SWEEPER_QUEUES is another way: nothing has to be renamed. */
static void test_other_names_that_are_not_former(void **state)
{
    (void)state;
    setenv("LOG_LEVEL", "WARN", 1);
    setenv("SWEEPER_QUEUES", "holds:\n  table: holds\n  active: a\n  released: delete\n", 1);
    expect_taken("");
    assert_string_equal(noted(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_former_names, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_other_names_that_are_not_former, config_setup,
                                        config_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
