/* The documents that are made from the program's own tables: `make docs` writes them. */
#include "base/metric_table.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
