/* What libpq says of a connection that failed, as one line. */
#include "link/pg_link_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REFUSED(where) "connection to server at " where ", port 5432 failed: Connection refused"
#define HINT "Is the server running on that host and accepting TCP/IP connections?"
#define V6 REFUSED("\"localhost\" (::1)")
#define V4 REFUSED("\"localhost\" (127.0.0.1)")
#define WRONG "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  password wrong"

static void each_sentence_once(void **state)
{
    static const struct {
        const char *text, *line;
    } rows[] = {
        {"", ""},
        {"\n", ""},
        {"the connection was lost", "the connection was lost"},
        {V4 "\n\t" HINT "\n", V4 ". " HINT},
        /* A name with two addresses: the hint belongs to both. */
        {V6 "\n\t" HINT "\n" V4 "\n\t" HINT "\n", V6 "; " V4 ". " HINT},
        /* Two hosts, each with its own end of a line. */
        {V6 "\n\t" HINT "\n\n" V4 "\n\t" HINT "\n\nout of memory",
         V6 "; " V4 ". " HINT " out of memory"},
        /* With encryption and without. */
        {WRONG "\n" WRONG "\n",
         "connection to server at \"127.0.0.1\", port 5432 failed: FATAL: password wrong"},
        {"no entry, SSL encryption\nno entry, no encryption\n",
         "no entry, SSL encryption; no entry, no encryption"},
        /* One is the beginning of the other. */
        {"refused\nrefused again\nrefuse\n", "refused; refused again; refuse"},
        /* A hint of two lines. */
        {"server closed the connection unexpectedly\n"
         "\tThis probably means the server terminated abnormally\n"
         "\tbefore or while processing the request.\n"
         "server closed the connection unexpectedly\n"
         "\tThis probably means the server terminated abnormally\n"
         "\tbefore or while processing the request.\n",
         "server closed the connection unexpectedly. This probably means the server terminated "
         "abnormally before or while processing the request."},
        /* Two that end alike: each stays whole. */
        {"one failed\n\tIs A running\n\ton that port?\ntwo failed\n\tIs B running\n\ton that "
         "port?\n",
         "one failed. Is A running on that port? two failed. Is B running on that port?"},
        {"failed\n\tand so on\n", "failed and so on"},
        {"a\r\n\x01\x02\nb", "a; b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[PG_MESSAGE_SIZE];
        pg_reason_line(line, sizeof(line), rows[i].text);
        assert_string_equal(line, rows[i].line);
    }
}

/* What is too long is cut, and never written beyond its end. */
static void too_long(void **state)
{
    static const char text[] = V6 "\n\t" HINT "\n" V4 "\n\t" HINT "\n";
    static const char whole[] = V6 "; " V4 ". " HINT;
    char line[sizeof(whole) + 1];
    (void)state;
    for (size_t size = 1; size <= sizeof(whole); size++) {
        memset(line, '#', sizeof(line));
        pg_reason_line(line, size, text);
        assert_int_equal(strlen(line), size - 1);
        assert_memory_equal(line, whole, size - 1);
        assert_int_equal(line[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sentence_once),
        cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
