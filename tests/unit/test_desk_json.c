/* How lines of an explanation are broken. */
#include "app/desk_json.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WORDS                                                                                      \
    "It is due, and a row of it is locked by pid 18347 (user shop, application checkout), in a "   \
    "transaction that began at 2026-11-29T17:44:14Z (233 ms ago)."

/* The longest line of WORDS on a terminal so wide. */
static size_t longest(unsigned short columns)
{
    char text[1024] = "";
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        skip();
    FILE *out = fopen(ptsname(terminal), "w");
    assert_non_null(out);
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
    desk_print(out, "why", WORDS);
    assert_int_equal(fflush(out), 0);
    assert_true(read(terminal, text, sizeof(text) - 1) > 0);
    fclose(out);
    close(terminal);
    size_t most = 0;
    for (const char *p = text; *p != '\0'; p += strspn(p, "\r\n")) {
        size_t len = strcspn(p, "\r\n");
        most = len > most ? len : most;
        p += len;
    }
    return most;
}

static void test_lines_are_as_wide_as_the_terminal(void **state)
{
    (void)state;
    assert_in_range(longest(40), 30, 40);
    assert_in_range(longest(60), 50, 60);
}

static void test_lines_are_never_wider_than_eighty(void **state)
{
    (void)state;
    assert_in_range(longest(200), 70, 80);
    assert_in_range(longest(0), 70, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_as_wide_as_the_terminal),
        cmocka_unit_test(test_lines_are_never_wider_than_eighty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
