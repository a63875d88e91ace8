/* Parsers against what they must take, what they must refuse, and every beginning of both. */
#include "base/parse.h"

#include "unit.h"
#include "variation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define REFUSED INT64_C(-4242)

/* Exactly len bytes without a terminator, so that reading past them is seen by ASan and valgrind.
 */
static char *bytes_new(const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static void test_int(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t min, max, value;
    } rows[] = {
        {"0", 0, 10, 0},
        {"10", 0, 10, 10},
        {"007", 0, 10, 7},
        {"-0", 0, 10, 0},
        {"-5", -5, 5, -5},
        {"9223372036854775807", 0, INT64_MAX, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, 0, INT64_MIN},
        {"00000000000000000000000000000000001", 0, 1, 1},
        {"11", 0, 10, REFUSED},
        {"-1", 0, 10, REFUSED},
        {"", 0, 10, REFUSED},
        {"-", -1, 10, REFUSED},
        {"--1", -1, 10, REFUSED},
        {"+1", 0, 10, REFUSED},
        {" 1", 0, 10, REFUSED},
        {"1 ", 0, 10, REFUSED},
        {"1\n", 0, 10, REFUSED},
        {"0x1", 0, 10, REFUSED},
        {"1e1", 0, 10, REFUSED},
        {"1.0", 0, 10, REFUSED},
        {"1_0", 0, 10, REFUSED},
        {"\xD9\xA1", 0, 10, REFUSED},
        {"9223372036854775808", INT64_MIN, INT64_MAX, REFUSED},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, REFUSED},
        {"18446744073709551617", INT64_MIN, INT64_MAX, REFUSED},
        {"99999999999999999999999999999999999999", INT64_MIN, INT64_MAX, REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = REFUSED;
        int rc = parse_int(rows[i].text, rows[i].min, rows[i].max, &value);
        if (value != rows[i].value || rc != (rows[i].value == REFUSED ? -1 : 0))
            fail_msg("\"%s\": %d, %" PRId64, rows[i].text, rc, value);
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"0", 0},
        {"0ms", 0},
        {"500us", 500},
        {"5ms", 5000},
        {"1.5s", 1500000},
        {"0.000001s", 1},
        {"0.5us", REFUSED},
        {"1.0us", 1},
        {"5m", INT64_C(300000000)},
        {"24h", INT64_C(86400000000)},
        {"0.25h", INT64_C(900000000)},
        {"0.333333333h", REFUSED},
        {"87672h", INT64_C(315619200000000)},
        {"87673h", REFUSED},
        {"87672.5h", REFUSED},
        {"", REFUSED},
        {"s", REFUSED},
        {"5", REFUSED},
        {"00", REFUSED},
        {"5 s", REFUSED},
        {" 5s", REFUSED},
        {"5s ", REFUSED},
        {"-5s", REFUSED},
        {"+5s", REFUSED},
        {".5s", REFUSED},
        {"5.s", REFUSED},
        {"1.2.3s", REFUSED},
        {"5S", REFUSED},
        {"5d", REFUSED},
        {"5sec", REFUSED},
        {"1h30m", REFUSED},
        {"1e3s", REFUSED},
        {"0x5s", REFUSED},
        {"inf", REFUSED},
        {"off", REFUSED},
        {"0.0000001s", REFUSED},
        {"0.0000000001h", REFUSED},
        {"0.00000000000000000000000000000000000000000001s", REFUSED},
        {"99999999999999999999999999999999us", REFUSED},
        {"9223372036854775807us", REFUSED},
        {"18446744073709551616us", REFUSED},
        {"315619200000001us", REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = REFUSED;
        int rc = parse_duration_us(rows[i].text, &us);
        if (us != rows[i].us || rc != (rows[i].us == REFUSED ? -1 : 0))
            fail_msg("\"%s\": %d, %" PRId64, rows[i].text, rc, us);
    }
    assert_true(parse_lacks_unit("30") && parse_lacks_unit("1.5"));
    assert_false(parse_lacks_unit("") || parse_lacks_unit("0") || parse_lacks_unit("30s"));
}

static void test_epoch(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } cases[] = {
        {"1763942400.123456", INT64_C(1763942400123456)},
        {"1763942400", INT64_C(1763942400000000)},
        {"1763942400.5", INT64_C(1763942400500000)},
        {"1763942400.1234567", INT64_C(1763942400123457)},
        {"99999999999.999999", INT64_C(99999999999999999)},
        {"100000000000.25", INT64_C(100000000000250000)},
        {"999999999999999999999999", INT64_C(253402300799000000)},
        {"0.000001", 1},
        {"0", 0},
        {"-12.5", 0},
        {"1e9", INT64_C(1000000000000000)},
        {"Infinity", INT64_C(253402300799000000)},
        {"-Infinity", 0},
        {"9e99", INT64_C(253402300799000000)},
        {"", -1},
        {"NaN", -1},
        {"inf", -1},
        {"12 ", -1},
        {"0x10", -1},
        {"1.2.3", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t us = -1;
        assert_int_equal(parse_epoch_us(cases[i].text, &us), cases[i].us < 0 ? -1 : 0);
        assert_int_equal(us, cases[i].us);
    }
}

static void test_score(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1763942400000", INT64_C(1763942400000)},
        {"1763942400000.25", INT64_C(1763942400001)},
        {"0.1", 1},
        {"1.5e3", 1500},
        {"4e12", INT64_C(4000000000000)},
        {"1.7639424000000001e+18", INT64_C(253402300799000)},
        {"253402300799000", INT64_C(253402300799000)},
        {"253402300798999.5", INT64_C(253402300799000)},
        {"inf", INT64_C(253402300799000)},
        {"1e999", INT64_C(253402300799000)},
        {"-inf", 0},
        {"-1e999", 0},
        {"-0", 0},
        {"-5", 0},
        {"1e-999", 0},
        {"4.9406564584124654e-324", 1},
        {"nan", REFUSED},
        {"-nan", REFUSED},
        {"", REFUSED},
        {" 1", REFUSED},
        {"1 ", REFUSED},
        {"0x10", REFUSED},
        {"infinity", REFUSED},
        {"INF", REFUSED},
        {"+inf", REFUSED},
        {"1.2.3", REFUSED},
        {"1e", REFUSED},
        {"e5", REFUSED},
        {"--1", REFUSED},
        {".", REFUSED},
        {"1,5", REFUSED},
        {"11111111111111111111111111111111111111111111111111111111111111111", REFUSED},
    };
    int64_t ms = REFUSED;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].text);
        char *bytes = bytes_new(rows[i].text, len);
        ms = REFUSED;
        int rc = parse_score_ms(bytes, len, &ms);
        free(bytes);
        if (ms != rows[i].ms || rc != (rows[i].ms == REFUSED ? -1 : 0))
            fail_msg("\"%s\": %d, %" PRId64, rows[i].text, rc, ms);
    }
    ms = REFUSED;
    assert_int_equal(parse_score_ms("1\0", 2, &ms), -1);
    assert_int_equal(parse_score_ms("\0001", 2, &ms), -1);
    assert_int_equal(parse_score_ms("inf\0", 4, &ms), -1);
    assert_int_equal(parse_score_ms("1", SIZE_MAX, &ms), -1);
}

static void test_listen(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        int port;
    } rows[] = {
        {"127.0.0.1:9464", "127.0.0.1", 9464},
        {":80", "", 80},
        {"[::1]:1", "::1", 1},
        {"[::]:65535", "::", 65535},
        {"my_host-1.example:9464", "my_host-1.example", 9464},
        {"", NULL, 0},
        {"9464", NULL, 0},
        {"host", NULL, 0},
        {"host:", NULL, 0},
        {"host:0", NULL, 0},
        {"host:65536", NULL, 0},
        {"host:-1", NULL, 0},
        {"host:+1", NULL, 0},
        {"host: 1", NULL, 0},
        {"host:1x", NULL, 0},
        {"host:99999999999999999999", NULL, 0},
        {"::1:9464", NULL, 0},
        {"[::1]", NULL, 0},
        {"[::1]9464", NULL, 0},
        {"[::1", NULL, 0},
        {"[]:1", NULL, 0},
        {"[127.0.0.1]:1", NULL, 0},
        {"[::g]:1", NULL, 0},
        {"a b:1", NULL, 0},
        {"a/b:1", NULL, 0},
        {"*:1", NULL, 0},
        {"h\xC3\xB6st:1", NULL, 0},
        {"a\nb:1", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *host = NULL;
        int port = 0;
        int rc = parse_listen(rows[i].text, &host, &port);
        if (rc != (rows[i].host == NULL ? -1 : 0) || port != rows[i].port)
            fail_msg("\"%s\": %d, port %d", rows[i].text, rc, port);
        if (rows[i].host != NULL)
            assert_string_equal(host, rows[i].host);
        else
            assert_null(host);
        free(host);
    }
}

static void visit_rest(const char *text)
{
    int64_t value = 0;
    char *host = NULL;
    int port = 0;
    if (parse_duration_us(text, &value) == 0)
        assert_true(value >= 0 && value <= INT64_C(315619200000000));
    if (parse_score_ms(text, strlen(text), &value) == 0)
        assert_true(value >= 0 && value <= INT64_C(253402300799000));
    if (parse_int(text, -3, 3, &value) == 0)
        assert_true(value >= -3 && value <= 3);
    if (parse_listen(text, &host, &port) == 0)
        assert_true(port >= 1 && port <= 65535);
    free(host);
    for (int kind = ID_TEXT; kind <= ID_INT8; kind++)
        (void)parse_id_valid((enum id_kind)kind, text, strlen(text));
}

static void test_variations(void **state)
{
    (void)state;
    static const char *const rest[] = {"[2001:db8::1]:9464",
                                       "host.example:80",
                                       "12345.678901s",
                                       "-1.7639424e+12",
                                       "-9223372036854775808",
                                       "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
                                       "gr\xC3\xBC\xE2\x82\xAC\xF0\x9F\x9B\x92"};
    for (size_t i = 0; i < ARRAY_LEN(rest); i++)
        each_variation(rest[i], visit_rest);
}

static void test_ids(void **state)
{
    (void)state;
#define ROW(kind, text, valid)                                                                     \
    {                                                                                              \
        text, sizeof(text) - 1, kind, valid                                                        \
    }
    static const struct {
        const char *text;
        size_t len;
        enum id_kind kind;
        bool valid;
    } rows[] = {
        ROW(ID_TEXT, "a", true),
        ROW(ID_TEXT, "a b'; --", true),
        ROW(ID_TEXT, "\n", true),
        ROW(ID_TEXT, "\xF0\x9F\x9B\x92", true),
        ROW(ID_TEXT, "", true),
        ROW(ID_TEXT, "a\0b", false),
        ROW(ID_TEXT, "\0", false),
        ROW(ID_TEXT, "\xC3", false),
        ROW(ID_TEXT, "\xC0\x80", false),
        ROW(ID_TEXT, "\xED\xA0\x80", false),
        ROW(ID_TEXT, "\xF4\x90\x80\x80", false),
        ROW(ID_TEXT, "\xF0\x8F\x80\x80", false),
        ROW(ID_TEXT, "\xE0\x9F\x80", false),
        ROW(ID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", true),
        ROW(ID_UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", true),
        ROW(ID_UUID, "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", true),
        ROW(ID_UUID, "a0eebc999c0b4ef8bb6d6bb9bd380a11", true),
        ROW(ID_UUID, "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", true),
        ROW(ID_UUID, "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", true),
        ROW(ID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", false),
        ROW(ID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", false),
        ROW(ID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", false),
        ROW(ID_UUID, "-a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", false),
        ROW(ID_UUID, "a0eebc9-99c0b-4ef8-bb6d-6bb9bd380a11", false),
        ROW(ID_UUID, "a0--eebc999c0b4ef8bb6d6bb9bd380a11", false),
        ROW(ID_UUID, "a0ee--bc999c0b4ef8bb6d6bb9bd380a11", false),
        ROW(ID_UUID, "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", false),
        ROW(ID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", false),
        ROW(ID_UUID, "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11)", false),
        ROW(ID_UUID, "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", false),
        ROW(ID_UUID, " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", false),
        ROW(ID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\0", false),
        ROW(ID_UUID, "{", false),
        ROW(ID_UUID, "{}", false),
        ROW(ID_INT2, "32767", true),
        ROW(ID_INT2, "-32768", true),
        ROW(ID_INT2, "32768", false),
        ROW(ID_INT4, "2147483647", true),
        ROW(ID_INT4, "2147483648", false),
        ROW(ID_INT4, "-2147483649", false),
        ROW(ID_INT8, "9223372036854775807", true),
        ROW(ID_INT8, "-9223372036854775808", true),
        ROW(ID_INT8, "9223372036854775808", false),
        ROW(ID_INT8, "1\0", false),
        ROW(ID_INT8, "1 ", false),
        ROW(ID_INT8, "1.0", false),
        ROW(ID_INT8, "", false),
        ROW(ID_INT8, "-", false),
    };
#undef ROW

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *bytes = bytes_new(rows[i].text, rows[i].len);
        bool valid = parse_id_valid(rows[i].kind, bytes, rows[i].len);
        free(bytes);
        if (valid != rows[i].valid)
            fail_msg("%d \"%s\": %d", rows[i].kind, rows[i].text, valid);
    }
}

static void test_id_lengths(void **state)
{
    (void)state;
    static const char uuid[] = "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}";
    char digits[300];
    memset(digits, '0', sizeof(digits));
    for (int kind = ID_TEXT; kind <= ID_INT8; kind++) {
        assert_int_equal(parse_id_valid((enum id_kind)kind, digits, 255), kind != ID_UUID);
        assert_false(parse_id_valid((enum id_kind)kind, digits, 256));
        assert_false(parse_id_valid((enum id_kind)kind, digits, SIZE_MAX));
    }
    for (size_t len = 0; len < sizeof(uuid) - 1; len++) {
        char *bytes = bytes_new(uuid, len);
        assert_false(parse_id_valid(ID_UUID, bytes, len));
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int),    cmocka_unit_test(test_duration),
        cmocka_unit_test(test_epoch),  cmocka_unit_test(test_score),
        cmocka_unit_test(test_listen), cmocka_unit_test(test_variations),
        cmocka_unit_test(test_ids),    cmocka_unit_test(test_id_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
