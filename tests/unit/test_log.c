/* Records as they arrive on the two streams, with values that were not meant for them. */
#include "base/log.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Standard output and standard error, sent to files while a test logs. */
struct capture {
    int saved[2];
    FILE *files[2];
    char out[65536];
    char err[65536];
};

static void capture_begin(struct capture *c)
{
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        c->saved[i] = dup(i + 1);
        c->files[i] = tmpfile();
        assert_non_null(c->files[i]);
        assert_true(dup2(fileno(c->files[i]), i + 1) >= 0);
    }
}

static void capture_end(struct capture *c)
{
    char *texts[2] = {c->out, c->err};
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        assert_true(dup2(c->saved[i], i + 1) >= 0);
        close(c->saved[i]);
        rewind(c->files[i]);
        texts[i][fread(texts[i], 1, sizeof(c->out) - 1, c->files[i])] = '\0';
        fclose(c->files[i]);
    }
}

static void setup(enum log_format format, enum log_level level, bool all_to_stderr)
{
    struct log_options options = {level, format, "shop", all_to_stderr};
    assert_int_equal(log_setup(&options), 0);
}

static void test_json_record(void **state)
{
    (void)state;
    static struct capture c;
    setup(LOG_FORMAT_JSON, LOG_INFO, false);
    capture_begin(&c);
    log_event(LOG_INFO, "Cleanup job completed", LOG_INT, "cleanedCount", INT64_C(3), LOG_STR,
              "text", "a \"b\"\n", LOG_STR, "nothing", NULL, LOG_BOOL, "dryRun", 7, LOG_REAL,
              "seconds", 0.1, LOG_REAL, "bad", (double)NAN, LOG_REAL, "infinite", HUGE_VAL, LOG_INT,
              "least", INT64_MIN, LOG_END);
    capture_end(&c);
    assert_string_equal(c.err, "");
    assert_int_equal(strncmp(c.out, "{\"timestamp\":\"20", 16), 0);
    assert_string_equal(c.out + strlen("{\"timestamp\":\"2025-11-14T01:00:00.000Z"),
                        "\",\"level\":\"INFO\",\"service\":\"shop\",\"message\":\"Cleanup job "
                        "completed\",\"cleanedCount\":3,\"text\":\"a \\\"b\\\"\\n\",\"nothing\":"
                        "null,\"dryRun\":true,\"seconds\":0.1,\"bad\":null,\"infinite\":null,"
                        "\"least\":-9223372036854775808}\n");
}

static void test_levels_and_streams(void **state)
{
    (void)state;
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
    for (size_t most = 0; most < ARRAY_LEN(levels); most++) {
        for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
            for (int redirect = 0; redirect < 2; redirect++) {
                static struct capture c;
                setup(LOG_FORMAT_JSON, levels[most], redirect != 0);
                capture_begin(&c);
                log_event(levels[i], "m", LOG_END);
                capture_end(&c);

                bool enabled = i <= most;
                bool err = redirect != 0 || levels[i] <= LOG_WARN;
                assert_int_equal(log_enabled(levels[i]), enabled);
                assert_int_equal(*c.err != '\0', enabled && err);
                assert_int_equal(*c.out != '\0', enabled && !err);
            }
        }
    }
}

static void test_invalid_utf8_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"\xff", "\xEF\xBF\xBD"},
        {"a\xC3", "a\xEF\xBF\xBD"},
        {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80!", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD!"},
        {"gr\xC3\xBC\xC3\x9F\x65 \xE2\x82\xAC \xF0\x9F\x9B\x92",
         "gr\xC3\xBC\xC3\x9F\x65 \xE2\x82\xAC \xF0\x9F\x9B\x92"},
        {"\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"", ""},
    };
    setup(LOG_FORMAT_JSON, LOG_INFO, false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static struct capture c;
        capture_begin(&c);
        log_event(LOG_INFO, rows[i].in, LOG_STR, "value", rows[i].in, LOG_END);
        capture_end(&c);

        json_t *json = json_loads(c.out, 0, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "message")), rows[i].out);
        assert_string_equal(json_string_value(json_object_get(json, "value")), rows[i].out);
        json_decref(json);
    }
}

static void test_any_byte_is_one_line(void **state)
{
    (void)state;
    static const enum log_format formats[] = {LOG_FORMAT_JSON, LOG_FORMAT_TEXT};
    char all[256];
    for (int i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    all[255] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        static struct capture c;
        setup(formats[i], LOG_INFO, false);
        capture_begin(&c);
        log_event(LOG_INFO, all, LOG_STR, "value", all, LOG_END);
        capture_end(&c);
        assert_ptr_equal(strchr(c.out, '\n'), c.out + strlen(c.out) - 1);
        assert_null(strchr(c.out, '\x1b'));
    }
}

static void test_text_record(void **state)
{
    (void)state;
    static struct capture c;
    setup(LOG_FORMAT_TEXT, LOG_INFO, false);
    capture_begin(&c);
    log_event(LOG_INFO, "up\x1b[2J", LOG_STR, "plain", "h:1", LOG_STR, "blank", "a b", LOG_STR,
              "quote", "a\"b\\", LOG_STR, "empty", "", LOG_STR, "none", NULL, LOG_INT, "n",
              INT64_C(-5), LOG_BOOL, "yes", 1, LOG_STR, "c1", "\xC2\x9B", LOG_STR, "line", "a\nb",
              LOG_STR, "equals", "a=b", LOG_END);
    log_event(LOG_ERROR, "down", LOG_END);
    capture_end(&c);
    assert_string_equal(c.out + strlen("2025-11-14T01:00:00.000Z"),
                        " INFO  up\\x1b[2J plain=h:1 blank=\"a b\" quote=\"a\\\"b\\\\\" empty=\"\" "
                        "none=null n=-5 yes=true c1=\"\\x9b\" line=\"a\\x0ab\" equals=\"a=b\"\n");
    assert_string_equal(c.err + strlen("2025-11-14T01:00:00.000Z"), " ERROR down\n");
}

static void test_long_record_is_whole(void **state)
{
    (void)state;
    static struct capture c;
    static char text[40001];
    memset(text, 'x', sizeof(text) - 1);
    setup(LOG_FORMAT_JSON, LOG_INFO, false);
    capture_begin(&c);
    log_event(LOG_INFO, "m", LOG_STR, "value", text, LOG_END);
    capture_end(&c);
    assert_true(strlen(c.out) > sizeof(text));
    assert_string_equal(c.out + strlen(c.out) - 4, "x\"}\n");
}

static void test_order_with_printed_text(void **state)
{
    (void)state;
    static struct capture c;
    setup(LOG_FORMAT_JSON, LOG_INFO, false);
    capture_begin(&c);
    printf("before\n");
    log_event(LOG_INFO, "m", LOG_END);
    printf("after\n");
    capture_end(&c);
    assert_int_equal(strncmp(c.out, "before\n{", 8), 0);
    assert_string_equal(c.out + strlen(c.out) - 8, "}\nafter\n");
}

static void test_closed_stream_is_no_failure(void **state)
{
    (void)state;
    static struct capture c;
    setup(LOG_FORMAT_JSON, LOG_INFO, false);
    capture_begin(&c);
    close(STDOUT_FILENO);
    errno = 4242;
    log_event(LOG_INFO, "m", LOG_END);

    int after = errno;
    capture_end(&c);
    assert_int_equal(after, 4242);
}

/* AUTO: JSON into a file, text on a terminal; here a pseudo-terminal. */
static void test_auto_format(void **state)
{
    (void)state;
    static struct capture c;
    char text[4096] = "";
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    capture_begin(&c);
    setup(LOG_FORMAT_AUTO, LOG_INFO, false); /* where the stream leads is looked at here */
    log_event(LOG_INFO, "to a file", LOG_END);
    capture_end(&c);
    assert_int_equal(c.out[0], '{');

    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
        close(terminal);
        skip();
    }

    int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    capture_begin(&c);
    dup2(slave, STDOUT_FILENO);
    setup(LOG_FORMAT_AUTO, LOG_INFO, false);
    log_event(LOG_INFO, "to a terminal", LOG_END);
    capture_end(&c);

    struct pollfd p = {.fd = terminal, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(read(terminal, text, sizeof(text) - 1) > 0);
    close(slave);
    close(terminal);
    assert_non_null(strstr(text, "Z INFO  to a terminal"));
}

static void test_level_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int level;
    } rows[] = {{"ERROR", LOG_ERROR},
                {"warn", LOG_WARN},
                {"Info", LOG_INFO},
                {"debug", LOG_DEBUG},
                {"", -1},
                {"WARNING", -1},
                {"INF", -1},
                {"INFO ", -1},
                {"trace", -1},
                {"0", -1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(log_level_parse(rows[i].name), rows[i].level);
}

/* The queue that is set comes first among a record's own fields, until it is set otherwise. */
static void test_queue(void **state)
{
    (void)state;
    static struct capture c;
    static const char as_json[] = "\"message\":\"a\",\"queue\":\"shop-1\",\"n\":1}\n";
    static const char as_text[] = " a queue=shop-1 n=1\n";
    static const char without[] = " b n=2\n";
    capture_begin(&c);
    assert_null(log_set_queue("shop-1"));
    setup(LOG_FORMAT_JSON, LOG_INFO, false);
    log_event(LOG_INFO, "a", LOG_INT, "n", INT64_C(1), LOG_END);
    setup(LOG_FORMAT_TEXT, LOG_INFO, true);
    log_event(LOG_INFO, "a", LOG_INT, "n", INT64_C(1), LOG_END);
    assert_string_equal(log_queue(), "shop-1");
    assert_string_equal(log_set_queue(NULL), "shop-1");
    log_event(LOG_INFO, "b", LOG_INT, "n", INT64_C(2), LOG_END);
    capture_end(&c);
    assert_non_null(strstr(c.out, as_json));
    assert_non_null(strstr(c.err, as_text));
    assert_non_null(strstr(c.err, without));
    assert_null(log_queue());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_record),
        cmocka_unit_test(test_levels_and_streams),
        cmocka_unit_test(test_invalid_utf8_is_replaced),
        cmocka_unit_test(test_any_byte_is_one_line),
        cmocka_unit_test(test_text_record),
        cmocka_unit_test(test_long_record_is_whole),
        cmocka_unit_test(test_order_with_printed_text),
        cmocka_unit_test(test_closed_stream_is_no_failure),
        cmocka_unit_test(test_auto_format),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
