/* The parser of answers, and what it does not let a server do. */
#include "link/redis_link_private.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct redis_reader *reader;
static const char *why;

static int begin(void **state)
{
    (void)state;
    reader = redis_reader_new();
    return reader != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    redis_reader_free(reader);
    return 0;
}

static void feed(const char *bytes)
{
    assert_int_equal(redis_reader_feed(reader, bytes, strlen(bytes)), 0);
}

static void feed_times(const char *bytes, int n)
{
    for (int i = 0; i < n; i++)
        feed(bytes);
}

static void expect_whole(enum redis_type type, size_t len)
{
    struct redis_reply *reply = redis_reader_next(reader, &why);
    assert_non_null(reply);
    assert_null(why);
    assert_int_equal(redis_reply_type(reply), type);
    assert_int_equal(redis_reply_len(reply), len);
    redis_reply_free(reply);
}

static void expect_part(void)
{
    assert_null(redis_reader_next(reader, &why));
    assert_null(why);
}

static void expect_end(const char *reason)
{
    assert_null(redis_reader_next(reader, &why));
    assert_non_null(why);
    assert_string_equal(why, reason);
    assert_null(redis_reader_next(reader, &why)); /* and so it stays */
    assert_non_null(why);
}

static void test_byte_by_byte(void **state)
{
    const char answers[] = "*3\r\n$2\r\nab\r\n*1\r\n:5\r\n$-1\r\n+OK\r\n-ERR no\r\n";
    (void)state;
    for (size_t i = 0; i < sizeof(answers) - 1; i++) {
        char one[2] = {answers[i], '\0'};
        feed(one);
        if (i < 3)
            expect_part();
        else if (strncmp(answers + i - 3, "-1\r\n", 4) == 0)
            expect_whole(REDIS_LINK_ARRAY, 3);
        else if (strncmp(answers + i - 3, "OK\r\n", 4) == 0)
            expect_whole(REDIS_LINK_STATUS, 0);
        else if (strncmp(answers + i - 3, "no\r\n", 4) == 0)
            expect_whole(REDIS_LINK_ERROR, 0);
        else
            expect_part();
    }
}

static void test_what_is_no_answer(void **state)
{
    (void)state;
    feed("+OK\r\nHTTP/1.1 400 Bad Request\r\n");
    expect_whole(REDIS_LINK_STATUS, 0);
    expect_end("Protocol error, got \"H\" as reply type byte");
}

static void test_an_array_that_is_too_large(void **state)
{
    (void)state;
    feed("*65536\r\n");
    expect_part();
    feed_times(":1\r\n", 65536);
    expect_whole(REDIS_LINK_ARRAY, 65536); /* the next may have as many again */
    feed("*65537\r\n");
    expect_end("Redis's answer has too many parts");
}

/* None of the arrays is large. */
static void test_arrays_that_are_too_large_together(void **state)
{
    (void)state;
    feed("*60000\r\n*5535\r\n");
    expect_part();
    feed_times(":1\r\n", 5535);
    expect_part();
    feed("*1\r\n:1\r\n");
    expect_part();
    feed("*1\r\n");
    expect_end("Redis's answer has too many parts");
}

static void test_arrays_within_arrays(void **state)
{
    (void)state;
    feed_times("*1\r\n", 7);
    feed(":1\r\n");
    expect_whole(REDIS_LINK_ARRAY, 1);
    feed_times("*1\r\n", 7);
    expect_part();
    feed("*1\r\n");
    assert_null(redis_reader_next(reader, &why));
    assert_non_null(why); /* whose words depend on hiredis's version */
}

static void test_a_text_that_is_too_long(void **state)
{
    static char megabyte[1024 * 1024 + 1];
    (void)state;
    memset(megabyte, 'x', sizeof(megabyte) - 1);
    feed("$70000000\r\n");
    feed_times(megabyte, 63);
    expect_part();
    feed(megabyte);
    expect_end("Redis's answer is too long");
}

/* What the parser has taken already counts as well. */
static void test_texts_that_are_too_long_together(void **state)
{
    static char text[1000004 + 11];
    (void)state;
    snprintf(text, sizeof(text), "$1000000\r\n");
    memset(text + 10, 'x', 1000000);
    memcpy(text + 10 + 1000000, "\r\n", 3);
    feed("*30\r\n");
    feed_times(text, 30);
    expect_whole(REDIS_LINK_ARRAY, 30);
    feed("*100\r\n");
    for (int i = 0; i < 67; i++) {
        feed(text);
        expect_part();
    }
    feed(text);
    expect_end("Redis's answer is too long");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_byte_by_byte),
        TEST(test_what_is_no_answer),
        TEST(test_an_array_that_is_too_large),
        TEST(test_arrays_that_are_too_large_together),
        TEST(test_arrays_within_arrays),
        TEST(test_a_text_that_is_too_long),
        TEST(test_texts_that_are_too_long_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
