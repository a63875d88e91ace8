/* The documents that are made from the program's own tables: `make docs` writes them. */
#include "base/metric_table.h"
#include "config/config.h"
#include "config/generated.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The text of a file, malloc'd. */
static char *content(const char *path)
{
    const size_t size = 1 << 18;
    char *text = calloc(1, size);
    FILE *file = fopen(path, "r");
    assert_non_null(text);
    if (file == NULL)
        fail_msg("%s cannot be read: the tests run in the repository's root", path);
    assert_true(fread(text, 1, size - 1, file) < size - 1);
    fclose(file);
    return text;
}

static void expect_same(const char *path, void (*print)(FILE *out))
{
    char *wanted = printed(print);
    char *found = content(path);
    if (strcmp(wanted, found) != 0)
        fail_msg("%s is not what the program says: run `make docs`", path);
    free(wanted);
    free(found);
}

static void test_metrics(void **state)
{
    (void)state;
    expect_same("docs/METRICS.md", metrics_print_document);
}

static void test_configuration(void **state)
{
    (void)state;
    expect_same("docs/CONFIGURATION.md", config_print_document);
}

/* The manual page with its parts from the tables, malloc'd. */
static char *manual(const char *path, char *error, size_t error_size)
{
    char *text = NULL;
    size_t size = 0;
    FILE *page = fopen(path, "r");
    FILE *out = open_memstream(&text, &size);
    assert_true(page != NULL && out != NULL);
    int rc = config_print_manual(out, page, error, error_size);
    fclose(page);
    assert_int_equal(fclose(out), 0);
    if (rc == 0)
        return text;
    free(text);
    return NULL;
}

static void test_manual(void **state)
{
    static const char path[] = "docs/reservation-sweeper.1";
    char error[160];
    (void)state;
    char *wanted = manual(path, error, sizeof(error));
    char *found = content(path);
    if (wanted == NULL)
        fail_msg("%s: %s", path, error);
    else if (strcmp(wanted, found) != 0)
        fail_msg("%s is not what the program says: run `make docs`", path);
    free(wanted);
    free(found);
}

/* What is in the tables must be in the page, once, and nothing else. */
static void test_manual_is_whole(void **state)
{
    static const struct {
        const char *page, *error;
    } rows[] = {
        {".\\\" {mode --once}\n.\\\" {}\n", "the page has no entry for --reconcile"},
        {".\\\" {mode --twice}\n.\\\" {}\n", "{mode --twice}: unknown, or there twice"},
        {".\\\" {mode --once}\n.\\\" {}\n.\\\" {mode --once}\n.\\\" {}\n",
         "{mode --once}: unknown, or there twice"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char error[160] = "";
        char path[] = "/tmp/manual-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, rows[i].page, strlen(rows[i].page)), strlen(rows[i].page));
        close(fd);
        assert_null(manual(path, error, sizeof(error)));
        unlink(path);
        assert_string_equal(error, rows[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_manual_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
