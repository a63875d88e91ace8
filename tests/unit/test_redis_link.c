/* How requests to Redis leave: against a server that is part of this program, through send and
 * write of this program's own, which count, cut short and refuse. */
#include "link/redis_link.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "unit.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the kernel's part ---- */

static struct {
    int fd;         /* the link's */
    bool watched;   /* what the link writes counts from now on */
    int writes;     /* that brought something */
    int refused;    /* of which the socket took nothing */
    int waits;      /* the socket was waited for */
    size_t at_most; /* bytes that one write takes, every other time: in between none; 0: all */
    bool shut;      /* ... until then it takes nothing */
} kernel;

static ssize_t pass(int fd, const void *bytes, size_t n)
{
    return syscall(SYS_sendto, fd, bytes, n, MSG_NOSIGNAL, NULL, 0);
}

/* The server below writes by writev, libevent's way. */
static ssize_t link_writes(int fd, const void *bytes, size_t n)
{
    kernel.fd = fd;
    if (!kernel.watched)
        return pass(fd, bytes, n);
    if (kernel.at_most > 0) {
        kernel.shut = !kernel.shut;
        n = n < kernel.at_most ? n : kernel.at_most;
    }
    if (kernel.shut) {
        kernel.refused++;
        errno = EAGAIN;
        return -1;
    }
    kernel.writes++;
    return pass(fd, bytes, n);
}

/* hiredis 1 sends, hiredis 0.14 writes. */
ssize_t send(int fd, const void *bytes, size_t n, int flags);
ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    (void)flags;
    return link_writes(fd, bytes, n);
}

ssize_t write(int fd, const void *bytes, size_t n);
ssize_t write(int fd, const void *bytes, size_t n)
{
    int type;
    socklen_t size = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0
               ? link_writes(fd, bytes, n)
               : syscall(SYS_write, fd, bytes, n);
}

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    if (kernel.watched && fd == kernel.fd && event != NULL && (event->events & EPOLLOUT) != 0)
        kernel.waits++;
    return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

/* ---- the server ---- */

#define WORD "*2\r\n$4\r\nECHO\r\n$1\r\n" /* and a letter */
#define WORD_LEN (sizeof(WORD) + 2)

static struct fixture {
    struct loop *loop;
    struct evconnlistener *listener;
    struct bufferevent *peer;
    struct redis_url url;
    struct redis_link *link;
    struct timer *step, *end;
    event_cb *steps[4]; /* one after the other, the first when the link is up */
    int step_at;
    bool greeted;
    bool closes;      /* at what follows the first request */
    char answers[64]; /* what requests were told: a letter each; '!' for none */
    char asked[64];   /* what the server was asked */
    int downs;
} f;

static void append(char *text, char letter)
{
    size_t n = strlen(text);
    text[n] = letter;
    text[n + 1] = '\0';
}

static void on_bytes(struct bufferevent *peer, void *arg)
{
    struct evbuffer *input = bufferevent_get_input(peer);
    char text[4096];
    (void)arg;
    if (!f.greeted) {
        if (evbuffer_search(input, "INFO\r\n", 6, NULL).pos < 0)
            return;
        evbuffer_drain(input, evbuffer_get_length(input));
        f.greeted = true;
        bufferevent_write(peer, "+OK\r\n+OK\r\n", 10);
        return;
    }
    if (f.closes && f.asked[0] != '\0') {
        bufferevent_free(peer);
        f.peer = NULL;
        return;
    }
    while (evbuffer_get_length(input) >= WORD_LEN) {
        evbuffer_remove(input, text, WORD_LEN);
        assert_memory_equal(text, WORD, strlen(WORD));
        append(f.asked, text[strlen(WORD)]);
        evbuffer_add_printf(bufferevent_get_output(peer), "+%c\r\n", text[strlen(WORD)]);
    }
}

static void on_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                        int size, void *arg)
{
    (void)listener;
    (void)from;
    (void)size;
    (void)arg;
    f.peer = bufferevent_socket_new(loop_base(f.loop), fd, BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(f.peer);
    bufferevent_setcb(f.peer, on_bytes, NULL, NULL, NULL);
    bufferevent_enable(f.peer, EV_READ | EV_WRITE);
}

/* ---- the link ---- */

static void on_answer(void *arg, const struct redis_reply *reply, const char *error)
{
    const char *letter = arg;
    assert_int_equal(reply == NULL, error != NULL);
    if (reply != NULL)
        assert_int_equal(redis_reply_str(reply, NULL)[0], *letter);
    append(f.answers, reply != NULL ? *letter : '!');
    if (strlen(f.answers) == strlen("abcdef"))
        loop_stop(f.loop);
}

static void ask(const char *letter)
{
    const char *words[] = {"ECHO", letter};
    const size_t lengths[] = {4, 1};
    assert_int_equal(redis_link_command(f.link, on_answer, (void *)letter, 2, words, lengths), 0);
}

static void on_step(void *arg)
{
    (void)arg;
    f.steps[f.step_at++](NULL);
}

static void next_step_after_us(int64_t us)
{
    timer_after_us(f.step, us);
}

static void on_state(void *arg, enum redis_state state, const char *reason)
{
    (void)arg;
    (void)reason;
    if (state == REDIS_LINK_UP) {
        kernel.watched = true;
        next_step_after_us(0);
    } else {
        f.downs++;
        loop_stop(f.loop);
    }
}

static void on_end(void *arg)
{
    (void)arg;
    fail_msg("it did not end: '%s' asked, '%s' answered", f.asked, f.answers);
}

static const struct redis_address *same_address(void *arg)
{
    return arg;
}

static void begin(event_cb *first, event_cb *second, event_cb *third)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    char url[64];
    const char *why = NULL;
    memset(&kernel, 0, sizeof(kernel));
    memset(&f, 0, sizeof(f));
    f.steps[0] = first;
    f.steps[1] = second;
    f.steps[2] = third;
    f.loop = loop_new();
    assert_non_null(f.loop);
    f.listener =
        evconnlistener_new_bind(loop_base(f.loop), on_accepted, NULL, LEV_OPT_CLOSE_ON_FREE, 4,
                                (struct sockaddr *)&address, (int)sizeof(address));
    assert_non_null(f.listener);
    assert_int_equal(
        getsockname(evconnlistener_get_fd(f.listener), (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d/0", ntohs(address.sin_port));
    assert_int_equal(parse_redis_url(url, &f.url, &why), 0);
    static const struct redis_single single = {same_address, &f.url.server};
    const struct redis_link_options options = {
        .source = redis_source_single(&single),
        .connect_timeout_us = within_us(5 * SECOND_US),
        .command_timeout_us = within_us(5 * SECOND_US),
        .backoff_min_us = 60 * SECOND_US,
        .backoff_max_us = 60 * SECOND_US,
        .on_state = on_state,
    };
    f.link = redis_link_new(f.loop, &options);
    f.step = timer_new(f.loop, on_step, NULL);
    f.end = timer_new(f.loop, on_end, NULL);
    assert_true(f.link != NULL && f.step != NULL && f.end != NULL);
    timer_after_us(f.end, within_us(20 * SECOND_US));
    redis_link_start(f.link);
}

static void run(void)
{
    assert_int_equal(loop_run(f.loop), 0);
}

static void end(void)
{
    redis_link_free(f.link);
    timer_free(f.step);
    timer_free(f.end);
    if (f.peer != NULL)
        bufferevent_free(f.peer);
    evconnlistener_free(f.listener);
    loop_free(f.loop);
    redis_url_clear(&f.url);
}

/* ---- requests of one turn ---- */

static void ask_three(void *arg)
{
    (void)arg;
    ask("a");
    ask("b");
    ask("c");
    assert_int_equal(kernel.writes, 0); /* not yet: there may be more */
    next_step_after_us(0);
}

static void ask_the_rest(void *arg)
{
    (void)arg;
    assert_int_equal(kernel.writes, 1); /* before this, which is a later turn */
    ask("d");
    ask("e");
    ask("f");
}

static void test_requests_of_a_turn_leave_in_one_write(void **state)
{
    (void)state;
    begin(ask_three, ask_the_rest, NULL);
    run();
    assert_string_equal(f.answers, "abcdef");
    assert_string_equal(f.asked, "abcdef");
    assert_int_equal(kernel.writes, 2);
    assert_int_equal(kernel.waits, 0); /* nor was the kernel asked whether it may */
    end();
}

/* ---- a socket that takes little ---- */

static void ask_through_a_strait(void *arg)
{
    kernel.at_most = 7;
    kernel.shut = true; /* the first write brings something */
    ask_three(arg);
}

static void ask_and_hold_behind_the_others(void *arg)
{
    (void)arg;
    int tries = kernel.writes + kernel.refused;
    assert_true(tries > 0 && kernel.waits > 0);
    ask("d");
    ask("e");
    ask("f");
    redis_link_hold(f.link, clock_mono_us() + within_us(60 * SECOND_US)); /* nothing: it waits */
    assert_int_equal(kernel.writes + kernel.refused, tries);
}

static void test_a_socket_that_takes_little_at_a_time(void **state)
{
    (void)state;
    begin(ask_through_a_strait, ask_and_hold_behind_the_others, NULL);
    run();
    assert_string_equal(f.answers, "abcdef");
    assert_string_equal(f.asked, "abcdef");
    assert_int_equal(kernel.writes, (6 * WORD_LEN + 6) / 7);
    assert_true(kernel.refused > 0);
    assert_true(kernel.refused <= kernel.writes); /* each was waited for */
    end();
}

static void ask_a_peer_that_closes(void *arg)
{
    f.closes = true;
    ask_through_a_strait(arg);
}

static void ask_one_more(void *arg)
{
    (void)arg;
    if (redis_link_state(f.link) == REDIS_LINK_UP)
        ask("d");
}

static void test_a_peer_that_closes_amid_a_write(void **state)
{
    (void)state;
    begin(ask_a_peer_that_closes, ask_one_more, NULL);
    run();
    assert_int_equal(f.downs, 1);
    assert_string_equal(f.asked, "a"); /* whose answer may have been lost as well */
    assert_true(f.answers[0] == 'a' || f.answers[0] == '!');
    assert_true(strcmp(f.answers + 1, "!!") == 0 || strcmp(f.answers + 1, "!!!") == 0);
    end();
}

/* ---- what is held ---- */

#define LONG_US (within_us(60 * SECOND_US))

static void ask_and_hold(void *arg)
{
    (void)arg;
    redis_link_hold(f.link, clock_mono_us() + LONG_US); /* there is nothing to hold */
    ask("a");
    ask("b");
    redis_link_hold(f.link, clock_mono_us() + LONG_US);
    next_step_after_us(5 * MS_US);
}

static void ask_what_does_not_wait(void *arg)
{
    (void)arg;
    assert_int_equal(kernel.writes, 0);
    ask("c");
    assert_int_equal(kernel.writes, 0);
    next_step_after_us(0);
}

static void test_what_is_held_leaves_with_the_next(void **state)
{
    (void)state;
    begin(ask_and_hold, ask_what_does_not_wait, ask_the_rest);
    run();
    assert_string_equal(f.answers, "abcdef");
    assert_int_equal(kernel.writes, 2);
    end();
}

static int64_t until_us;

static void ask_and_hold_for_a_while(void *arg)
{
    (void)arg;
    static const char *const letters[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < ARRAY_LEN(letters); i++)
        ask(letters[i]);
    until_us = clock_mono_us() + 20 * MS_US;
    redis_link_hold(f.link, until_us);
}

static void test_what_is_held_is_not_forgotten(void **state)
{
    (void)state;
    begin(ask_and_hold_for_a_while, NULL, NULL);
    run();
    assert_true(clock_mono_us() >= until_us);
    assert_string_equal(f.answers, "abcdef");
    assert_int_equal(kernel.writes, 1);
    end();
}

static void hold_and_close(void *arg)
{
    (void)arg;
    ask("a");
    redis_link_hold(f.link, clock_mono_us() + 5 * MS_US);
    redis_link_reset(f.link, "a test");
    redis_link_hold(f.link, clock_mono_us() + 5 * MS_US);
}

static void hold_and_leave(void *arg)
{
    (void)arg;
    ask("a");
    redis_link_hold(f.link, clock_mono_us() + LONG_US);
    loop_stop(f.loop);
}

static void test_a_link_that_ends_while_it_holds(void **state)
{
    (void)state;
    begin(hold_and_close, NULL, NULL);
    run();
    assert_string_equal(f.answers, "!");
    assert_int_equal(f.downs, 1);
    end();
    begin(hold_and_leave, NULL, NULL);
    run();
    assert_string_equal(f.answers, "");
    end();
    assert_string_equal(f.answers, "!"); /* by its end */
    assert_int_equal(kernel.writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_of_a_turn_leave_in_one_write),
        cmocka_unit_test(test_a_socket_that_takes_little_at_a_time),
        cmocka_unit_test(test_a_peer_that_closes_amid_a_write),
        cmocka_unit_test(test_what_is_held_leaves_with_the_next),
        cmocka_unit_test(test_what_is_held_is_not_forgotten),
        cmocka_unit_test(test_a_link_that_ends_while_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
