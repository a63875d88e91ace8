/* The Host header of a server that listens on loopback. */
#include "link/http_private.h"
#include "unit.h"

static void hosts(void **state)
{
    static const struct {
        const char *header;
        bool here;
    } rows[] = {
        {"localhost", true},
        {"LocalHost:9464", true},
        {"localhost:8080", true}, /* the near end of a tunnel */
        {"127.0.0.1:9464", true},
        {"[::1]:9464", true},
        {"[::1]", true},
        {"127.0.0.2:9464", true}, /* what it was told to listen on */
        {"127.0.0.3:9464", false},
        {"evil.example:9464", false},
        {"evil.example", false},
        {"localhost.evil.example", false},
        {"localhost:9464.evil.example", false},
        {"127.0.0.1.evil.example:9464", false},
        {"localhos", false},
        {"::1", false},
        {"[::1", false},
        {"[::1]x", false},
        {"[::2]:9464", false},
        {"", false},
        {":9464", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (http_host_is_here(rows[i].header, "127.0.0.2") != rows[i].here)
            fail_msg("%s", rows[i].header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
