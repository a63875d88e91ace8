/* What is printed of the settings: --help, and the rows that docs/CONFIGURATION.md must have. */
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

/* True when the text has this line. */
static bool has_line(const char *text, const char *line)
{
    size_t len = strlen(line);

    for (const char *p = strstr(text, line); p != NULL; p = strstr(p + 1, line))
        if ((p == text || p[-1] == '\n') && (p[len] == '\n' || p[len] == '\0'))
            return true;
    return false;
}

/* Each row of one text must stand in the other too. */
static void expect_rows(const char *rows, const char *begin, const char *text, const char *place)
{
    char *copy = strdup(rows);

    assert_non_null(copy);
    for (char *row = strtok(copy, "\n"); row != NULL; row = strtok(NULL, "\n"))
        if (strncmp(row, begin, strlen(begin)) == 0 && !has_line(text, row))
            fail_msg("%s lacks: %s", place, row);
    free(copy);
}

static void test_the_document_has_the_settings(void **state)
{
    (void)state;
    char *rows = printed(config_print_markdown);
    char *document = calloc(1, 1 << 20);
    FILE *file = fopen("docs/CONFIGURATION.md", "r");

    assert_non_null(document);
    if (file == NULL)
        fail_msg("docs/CONFIGURATION.md cannot be read: run the tests in the repository's root");
    assert_true(fread(document, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    expect_rows(rows, "| ", document, "docs/CONFIGURATION.md");
    expect_rows(document, "| `SWEEPER_", rows, "the table of settings");
    free(document);
    free(rows);
}

static void test_rows(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "| `DATABASE_URL` | `--database-url` | libpq's own (`PG*`) | any libpq URI or conninfo "
        "string |",
        "| `SWEEPER_BATCH_SIZE` | `--batch-size` | `500` | most reservations in one transaction "
        "(1 to 5000) |",
        "| `SWEEPER_LOG_LEVEL` (else `LOG_LEVEL`) | `--log-level` | `INFO` | `ERROR`, `WARN`, "
        "`INFO`, `DEBUG` |",
    };
    char *text = printed(config_print_markdown);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(has_line(text, rows[i]));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_the_document_has_the_settings),
        cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
