/* --help: what it names, and how it looks. */
#include "config/config_table.h"

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

/* Its words with one blank between them, malloc'd. */
static char *without_breaks(const char *text)
{
    char *out = calloc(1, strlen(text) + 1);
    size_t n = 0;
    assert_non_null(out);
    for (; *text != '\0'; text++)
        if (strchr(" \n", *text) == NULL)
            out[n++] = *text;
        else if (n > 0 && out[n - 1] != ' ')
            out[n++] = ' ';
    return out;
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
        " 3 --reconcile: inconsistencies remain",
        "Exit status",
        "man reservation-sweeper",
    };
    char *text = printed(config_print_help);
    char *flowing = without_breaks(text);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strstr(flowing, words[i]) == NULL)
            fail_msg("--help lacks %s", words[i]);
    free(flowing);
    assert_null(strchr(text, '`'));
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        size_t columns = 0;
        for (char *p = line; *p != '\0'; p++)
            columns += ((unsigned char)*p & 0xC0) != 0x80;
        if (columns > 80 || line[strlen(line) - 1] == ' ')
            fail_msg("%zu columns: \"%s\"", columns, line);
    }
    free(text);
}

/* The five that are used most, then examples, each of which the command line takes. */
static void test_most_used_first(void **state)
{
    (void)state;
    char *text = printed(config_print_help);
    char *used = strstr(text, "\nMost used:\n");
    char *shown = strstr(text, "\nExamples:\n");
    char *modes_at = strstr(text, "\nModes, one at most:\n");
    int lines = 0, commands = 0;
    assert_true(used != NULL && used < shown && shown < modes_at);
    for (const char *p = used; p < shown; p++)
        lines += strncmp(p, "\n  ", 3) == 0 && p[3] != ' ';
    assert_int_equal(lines, 5);
    *modes_at = '\0';
    for (char *line = strtok(shown, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strncmp(line, "  reservation-sweeper ", 22) == 0) {
            char *argv[16] = {NULL};
            char words[128], *rest = NULL, error[256] = "";
            const struct config_error where = {error, sizeof(error)};
            struct command_line read = {0};
            int argc = 0;
            snprintf(words, sizeof(words), "%s", line);
            for (char *w = strtok_r(words, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
                argv[argc++] = w;
            if (command_line_read(&read, argc, argv, &where) != 0)
                fail_msg("%s: %s", line, error);
            command_line_clear(&read);
            commands++;
        }
    assert_true(commands >= 4);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_most_used_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
