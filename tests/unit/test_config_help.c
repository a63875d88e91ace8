/* --help: what it names, and how it looks. */
#include "config/config.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text that a function prints, malloc'd. */
static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    print(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_help(void **state)
{
    (void)state;
    static const char *const words[] = {
        "--once",
        "--reconcile",
        "-h, --help",
        "--max-repairs N",
        "--database-url URL",
        "DATABASE_URL or DATABASE_URL_FILE",
        "SWEEPER_ADMIN_TOKEN",
        "else LOG_LEVEL",
        "(1 to 5000); default: 500",
        "(ERROR, WARN, INFO or DEBUG);",
        "--scan-interval TIME",
        "SWEEPER_SCAN_INTERVAL, else SWEEPER_RECONCILE_INTERVAL",
        "24h, or off)",
        "--reconcile-interval",
        "its former name",
        "  3  --reconcile: inconsistencies remain",
        "Exit status",
        "man reservation-sweeper",
    };
    char *text = printed(config_print_help);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strstr(text, words[i]) == NULL)
            fail_msg("--help lacks %s", words[i]);
    assert_null(strchr(text, '`'));
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        size_t columns = 0;
        for (char *p = line; *p != '\0'; p++)
            columns += ((unsigned char)*p & 0xC0) != 0x80;
        if (columns > 100 || line[strlen(line) - 1] == ' ')
            fail_msg("%zu columns: \"%s\"", columns, line);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
