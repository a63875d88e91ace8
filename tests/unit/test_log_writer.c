/* Records on their way to readers that are slow, absent, or gone. */
#include "base/log.h"

#include "base/clock.h"
#include "unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_BYTES 4096
#define LONG_US (10 * 1000000) /* for what takes no time */

/* Pipes in the place of standard output and standard error, and what was read from them. */
static struct {
    int saved[2];
    int ends[2]; /* to read from; -1: closed, or the same as the other */
    char *text[2];
    size_t size[2];
} pipes;

static void make_pipe(int i)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    pipes.ends[i] = ends[0];
    assert_true(dup2(ends[1], i + 1) >= 0);
    close(ends[1]);
}

static void begin(bool one)
{
    const struct log_options options = {LOG_DEBUG, LOG_FORMAT_JSON, "shop", false};
    fflush(NULL);
    memset(&pipes, 0, sizeof(pipes));
    for (int i = 0; i < 2; i++)
        pipes.saved[i] = dup(i + 1);
    make_pipe(0);
    pipes.ends[1] = -1;
    if (one)
        assert_true(dup2(STDOUT_FILENO, STDERR_FILENO) >= 0);
    else
        make_pipe(1);
    assert_int_equal(log_setup(&options), 0);
}

/* Reads what is there within the time; false: nothing. At the end of the pipe it is closed. */
static bool read_some(int i, int timeout_ms)
{
    struct pollfd p = {.fd = pipes.ends[i], .events = POLLIN};
    if (p.fd < 0 || poll(&p, 1, timeout_ms) <= 0)
        return false;
    pipes.text[i] = realloc(pipes.text[i], pipes.size[i] + 65537);
    assert_non_null(pipes.text[i]);

    ssize_t n = read(p.fd, pipes.text[i] + pipes.size[i], 65536);
    assert_true(n >= 0);
    pipes.size[i] += (size_t)n;
    pipes.text[i][pipes.size[i]] = '\0';
    if (n == 0) {
        close(p.fd);
        pipes.ends[i] = -1;
    }
    return n > 0;
}

/* Reads both until the text has been seen on the one. */
static void read_until(int i, const char *text)
{
    int64_t until_us = clock_mono_us() + LONG_US;
    while (pipes.text[i] == NULL || strstr(pipes.text[i], text) == NULL) {
        assert_true(clock_mono_us() < until_us);
        (void)read_some(1 - i, 0);
        (void)read_some(i, 10);
    }
}

/* Ends the threads, gives the streams back, and reads what is left. */
static void end(void)
{
    log_queue_stop();
    for (int i = 0; i < 2; i++) {
        assert_true(dup2(pipes.saved[i], i + 1) >= 0);
        close(pipes.saved[i]);
    }
    for (int i = 0; i < 2; i++)
        while (read_some(i, -1))
            continue;
}

static void forget(void)
{
    free(pipes.text[0]);
    free(pipes.text[1]);
}

/* The next line as an object, which must be one; NULL at the end. Release it. */
static json_t *next_record(const char **at)
{
    const char *line_end = *at != NULL ? strchr(*at, '\n') : NULL;
    if (line_end == NULL) {
        assert_true(*at == NULL || **at == '\0');
        return NULL;
    }

    json_t *record = json_loadb(*at, (size_t)(line_end - *at), 0, NULL);
    assert_non_null(record);
    *at = line_end + 1;
    return record;
}

static json_int_t integer(const json_t *record, const char *name)
{
    return json_integer_value(json_object_get(record, name));
}

/* Records number 0 to n-1, of about `size` bytes each. */
static void log_many(enum log_level level, int n, size_t size)
{
    char *padding = calloc(1, size + 1);
    assert_non_null(padding);
    memset(padding, 'x', size);
    for (int i = 0; i < n; i++)
        log_event(level, "m", LOG_INT, "n", (int64_t)i, LOG_STR, "padding", padding, LOG_END);
    free(padding);
}

static void test_nobody_reads(void **state)
{
    (void)state;
    uint64_t before = log_dropped();
    begin(true);

    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    assert_int_equal(log_queue_start(), 0);
    log_many(LOG_DEBUG, 20000, 100); /* 3 MB, into 4 KiB and a queue of 128 KiB */

    uint64_t dropped = log_dropped() - before;
    assert_true(dropped > 18000 && dropped < 19900);
    assert_int_equal(fcntl(STDOUT_FILENO, F_GETFL), flags);
    read_until(0, "records were dropped");
    log_event(LOG_INFO, "after", LOG_END);
    end();

    const char *at = pipes.text[0];
    json_int_t expected = 0;
    json_t *record = NULL;
    for (; (record = next_record(&at)) != NULL; json_decref(record), expected++) {
        if (json_object_get(record, "n") == NULL)
            break;
        assert_int_equal(integer(record, "n"), expected);
    }
    assert_int_equal(expected, 20000 - dropped);
    assert_int_equal(integer(record, "droppedCount"), dropped);
    assert_string_equal(json_string_value(json_object_get(record, "level")), "WARN");
    assert_string_equal(json_string_value(json_object_get(record, "stream")), "both");
    assert_true(strlen(json_string_value(json_object_get(record, "since"))) == 24);
    json_decref(record);
    record = next_record(&at);
    assert_string_equal(json_string_value(json_object_get(record, "message")), "after");
    json_decref(record);
    assert_null(next_record(&at));
    forget();
}

static void test_one_stream_does_not_wait_for_the_other(void **state)
{
    (void)state;
    uint64_t before = log_dropped();
    begin(false);
    assert_int_equal(log_queue_start(), 0);
    log_many(LOG_INFO, 20000, 100);
    log_event(LOG_ERROR, "heard", LOG_END);
    while (pipes.text[1] == NULL || strstr(pipes.text[1], "heard") == NULL)
        assert_true(read_some(1, LONG_US / 1000));
    assert_null(strstr(pipes.text[1], "dropped"));
    read_until(1, "\"stream\":\"stdout\"");
    log_event(LOG_INFO, "the end", LOG_END);
    read_until(0, "the end");
    end();
    assert_true(log_dropped() > before);
    assert_null(strstr(pipes.text[0], "dropped"));
    forget();
}

static void test_records_larger_than_the_pipe_are_whole(void **state)
{
    (void)state;
    uint64_t before = log_dropped();
    begin(true);
    assert_int_equal(log_queue_start(), 0);
    log_many(LOG_INFO, 5, 20000);
    log_many(LOG_WARN, 5, 100);
    log_many(LOG_INFO, 1, 300000); /* more than the queue: dropped, since it is not alone */
    read_until(0, "records were dropped");
    end();

    const char *at = pipes.text[0];
    json_t *record = NULL;
    for (int i = 0; i < 10; i++) {
        record = next_record(&at);
        assert_int_equal(integer(record, "n"), i % 5);
        json_decref(record);
    }
    assert_int_equal(log_dropped(), before + 1);
    forget();
}

/* The reader comes while the process waits for its last words. */
static void *read_later(void *arg)
{
    (void)arg;
    usleep(200 * 1000);
    while (pipes.text[0] == NULL || strstr(pipes.text[0], "reason") == NULL)
        (void)read_some(0, 10);
    return NULL;
}

static void test_the_last_error_is_waited_for(void **state)
{
    (void)state;
    pthread_t reader;
    begin(true);
    assert_int_equal(log_queue_start(), 0);
    log_many(LOG_DEBUG, 20000, 100);
    log_event(LOG_ERROR, "an earlier one", LOG_END);
    log_event(LOG_ERROR, "the reason", LOG_END);
    log_event(LOG_INFO, "Stopped", LOG_END);
    assert_int_equal(pthread_create(&reader, NULL, read_later, NULL), 0);
    log_queue_stop();
    assert_int_equal(pthread_join(reader, NULL), 0);
    end();
    assert_null(strstr(pipes.text[0], "an earlier one"));

    const char *notice = strstr(pipes.text[0], "records were dropped");
    assert_true(notice != NULL && strstr(notice, "the reason") != NULL);
    forget();
}

/* In a process of its own, since the thread stays where it is. */
static void test_nobody_is_waited_for_any_longer(void **state)
{
    (void)state;
    int64_t began_us = clock_mono_us();
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        begin(true);
        if (log_queue_start() != 0)
            _exit(9);
        log_many(LOG_DEBUG, 20000, 100);
        log_queue_stop();
        log_event(LOG_ERROR, "too late", LOG_END); /* dropped: the other is not complete */
        _exit(read_some(0, 0) && strstr(pipes.text[0], "too late") == NULL ? 7 : 8);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_in_range(clock_mono_us() - began_us, 900 * 1000, LONG_US);
}

static void test_a_reader_that_is_gone(void **state)
{
    (void)state;
    uint64_t before = log_dropped();
    begin(false);
    close(pipes.ends[0]);
    pipes.ends[0] = -1;
    assert_int_equal(log_queue_start(), 0);
    log_many(LOG_INFO, 10, 100);
    log_event(LOG_WARN, "heard", LOG_END);
    end();
    assert_int_equal(log_dropped(), before + 10);
    assert_non_null(strstr(pipes.text[1], "heard"));
    assert_null(strstr(pipes.text[1], "dropped")); /* it is not over */
    forget();
}

static void *read_slowly(void *arg)
{
    (void)arg;
    while (pipes.text[0] == NULL || strstr(pipes.text[0], "the end") == NULL) {
        usleep(500);
        (void)read_some(0, 10);
    }
    return NULL;
}

/* Whoever logs waits: nothing is lost, also on a descriptor that somebody else made non-blocking.
 */
static void test_without_a_queue_nothing_is_dropped(void **state)
{
    (void)state;

    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        uint64_t before = log_dropped();
        pthread_t reader;
        begin(true);
        if (nonblocking)
            assert_int_equal(fcntl(STDOUT_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK), 0);
        assert_int_equal(pthread_create(&reader, NULL, read_slowly, NULL), 0);
        log_many(LOG_INFO, 200, 5000);
        log_event(LOG_ERROR, "the end", LOG_END);
        assert_int_equal(pthread_join(reader, NULL), 0);
        end();

        const char *at = pipes.text[0];
        for (int i = 0; i < 200; i++) {
            json_t *record = next_record(&at);
            assert_int_equal(integer(record, "n"), i);
            json_decref(record);
        }
        assert_int_equal(log_dropped(), before);
        forget();
    }
}

static void test_non_blocking_with_a_queue(void **state)
{
    (void)state;
    uint64_t before = log_dropped();
    begin(true);
    assert_int_equal(fcntl(STDOUT_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK), 0);
    assert_int_equal(log_queue_start(), 0);
    log_many(LOG_INFO, 10, 10000);
    log_event(LOG_INFO, "the end", LOG_END);
    read_until(0, "the end");
    end();

    const char *at = pipes.text[0];
    for (int i = 0; i < 10; i++) {
        json_t *record = next_record(&at);
        assert_int_equal(integer(record, "n"), i);
        json_decref(record);
    }
    assert_int_equal(log_dropped(), before);
    forget();
}

static void test_plain_text_keeps_its_place(void **state)
{
    (void)state;

    begin(true);
    assert_int_equal(log_queue_start(), 0);
    log_event(LOG_ERROR, "before", LOG_END);
    log_plain("said");
    log_event(LOG_INFO, "after", LOG_END);
    end();

    const char *said = strstr(pipes.text[0], "}\nreservation-sweeper: said\n{");
    assert_true(said != NULL && strstr(said, "after") != NULL);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_one_stream_does_not_wait_for_the_other),
        cmocka_unit_test(test_records_larger_than_the_pipe_are_whole),
        cmocka_unit_test(test_the_last_error_is_waited_for),
        cmocka_unit_test(test_nobody_is_waited_for_any_longer),
        cmocka_unit_test(test_a_reader_that_is_gone),
        cmocka_unit_test(test_without_a_queue_nothing_is_dropped),
        cmocka_unit_test(test_non_blocking_with_a_queue),
        cmocka_unit_test(test_plain_text_keeps_its_place),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
