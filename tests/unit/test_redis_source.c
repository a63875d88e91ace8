/* What a link asks of its source, and tells it: against a server that is part of this program. */
#include "link/redis_source.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "unit.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* What happens is written down, a word each: "asked", "+OK" ... */
static struct fixture {
    struct loop *loop;
    struct evconnlistener *listener;
    struct bufferevent *peer;
    const char *role; /* what the server says to ROLE */
    struct redis_url url;
    struct redis_target target;
    struct redis_link *link;
    struct timer *later, *end;
    const char *until; /* the loop is stopped when all of this has happened */
    char seen[512];

    redis_target_cb *cb; /* of the question that waits */
    void *cb_arg;
    bool waits;                    /* the source answers nothing by itself */
    bool knows_none;               /* it says that there is none */
    enum redis_course at_greeting; /* the first time */
    enum redis_course at_loss;
    enum redis_course at_error;
} f;

static void see(const char *what)
{
    size_t n = strlen(f.seen);
    assert_true(n + strlen(what) + 2 < sizeof(f.seen));
    (void)snprintf(f.seen + n, sizeof(f.seen) - n, "%s%s", n > 0 ? " " : "", what);
    if (strcmp(f.seen, f.until) == 0)
        loop_stop(f.loop);
}

/* ---- the server ---- */

static void on_bytes(struct bufferevent *peer, void *arg)
{
    struct evbuffer *input = bufferevent_get_input(peer);
    struct evbuffer *output = bufferevent_get_output(peer);
    char text[1024] = "";
    (void)arg;
    evbuffer_remove(input, text, sizeof(text) - 1); /* what is sent together arrives so */
    if (strstr(text, "SETNAME") != NULL)
        evbuffer_add_printf(output, "+OK\r\n");
    if (strstr(text, "ROLE\r\n") != NULL)
        evbuffer_add_printf(output, "%s\r\n", f.role);
    if (strstr(text, "INFO\r\n") != NULL)
        evbuffer_add_printf(output, "$17\r\nrun_id:the-server\r\n");
    if (strstr(text, "ECHO\r\n") != NULL)
        evbuffer_add_printf(output, "-ASK 7 10.0.0.1:6379\r\n");
}

static void on_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                        int size, void *arg)
{
    (void)listener;
    (void)from;
    (void)size;
    (void)arg;
    if (f.peer != NULL)
        bufferevent_free(f.peer);
    f.peer = bufferevent_socket_new(loop_base(f.loop), fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(f.peer, on_bytes, NULL, NULL, NULL);
    bufferevent_enable(f.peer, EV_READ | EV_WRITE);
}

/* ---- the source ---- */

static void next(void *arg, redis_target_cb *cb, void *cb_arg)
{
    (void)arg;
    f.cb = cb;
    f.cb_arg = cb_arg;
    see("asked");
    if (f.knows_none)
        cb(cb_arg, NULL, "no Sentinel answers");
    else if (!f.waits)
        cb(cb_arg, &f.target, NULL);
}

static void cancel(void *arg)
{
    (void)arg;
    see("cancelled");
}

static void attach(void *arg, struct redis_link *link)
{
    (void)arg;
    see(link != NULL ? "attached" : "detached");
}

static enum redis_course greeted(void *arg, const struct redis_server_info *info, const char **why)
{
    enum redis_course course = f.at_greeting;
    (void)arg;
    assert_string_equal(info->run_id, "the-server");
    assert_true(redis_link_state(f.link) == REDIS_LINK_CONNECTING);
    see("greeted");
    f.at_greeting = REDIS_STAY;
    if (course != REDIS_STAY)
        *why = "another node's";
    return course;
}

static enum redis_course refused(void *arg, const struct redis_reply *error, const char **why)
{
    (void)arg;
    assert_int_equal(redis_reply_type(error), REDIS_LINK_ERROR);
    see("refused");
    *why = "the slot has moved";
    return f.at_error;
}

static enum redis_course lost(void *arg, const char *reason)
{
    (void)arg;
    (void)reason;
    see("lost");
    enum redis_course course = f.at_loss;
    f.at_loss = REDIS_LEAVE; /* once */
    return course;
}

/* ---- the link ---- */

static void on_state(void *arg, enum redis_state state, const char *reason)
{
    (void)arg;
    see(state == REDIS_LINK_UP ? "up" : reason);
}

static void on_answer(void *arg, const struct redis_reply *reply, const char *error)
{
    (void)arg;
    (void)error;
    see(redis_reply_type(reply) == REDIS_LINK_ERROR ? "error" : "none");
}

static void ask(void)
{
    const char *words[] = {"ECHO", "a"};
    const size_t lengths[] = {4, 1};
    assert_int_equal(redis_link_command(f.link, on_answer, NULL, 2, words, lengths), 0);
}

static void on_later(void *arg)
{
    (void)arg;
    f.cb(f.cb_arg, &f.target, NULL);
}

static void on_end(void *arg)
{
    (void)arg;
    fail_msg("saw '%s', not '%s'", f.seen, f.until);
}

static int begin(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    char url[64];
    const char *why;
    (void)state;
    memset(&f, 0, sizeof(f));
    f.until = "";
    f.role = "*1\r\n$6\r\nmaster";
    f.loop = loop_new();
    f.listener =
        evconnlistener_new_bind(loop_base(f.loop), on_accepted, NULL, LEV_OPT_CLOSE_ON_FREE, 4,
                                (struct sockaddr *)&address, (int)sizeof(address));
    assert_non_null(f.listener);
    assert_int_equal(
        getsockname(evconnlistener_get_fd(f.listener), (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(parse_redis_url(url, &f.url, &why), 0);
    f.target.address = &f.url.server;
    f.later = timer_new(f.loop, on_later, NULL);
    f.end = timer_new(f.loop, on_end, NULL);
    timer_after_us(f.end, within_us(20 * SECOND_US));
    return 0;
}

/* backoff_us: between two attempts, but for those that follow at once. */
static void start(int64_t connect_timeout_us, int64_t backoff_us)
{
    const struct redis_link_options options = {
        .source = {.next = next,
                   .cancel = cancel,
                   .attach = attach,
                   .greeted = greeted,
                   .refused = refused,
                   .lost = lost},
        .connect_timeout_us = connect_timeout_us,
        .command_timeout_us = within_us(5 * SECOND_US),
        .backoff_min_us = backoff_us,
        .backoff_max_us = backoff_us,
        .on_state = on_state,
    };
    f.link = redis_link_new(f.loop, &options);
    assert_non_null(f.link);
    redis_link_start(f.link);
}

static void run_until(const char *seen)
{
    f.until = seen;
    if (strcmp(f.seen, seen) != 0)
        assert_int_equal(loop_run(f.loop), 0);
    assert_string_equal(f.seen, seen);
    f.seen[0] = '\0';
}

static int end(void **state)
{
    (void)state;
    redis_link_free(f.link);
    timer_free(f.later);
    timer_free(f.end);
    if (f.peer != NULL)
        bufferevent_free(f.peer);
    evconnlistener_free(f.listener);
    loop_free(f.loop);
    redis_url_clear(&f.url);
    return 0;
}

#define LONG_US within_us(60 * SECOND_US)
#define SOON_US within_us(5 * SECOND_US)

static void test_an_answer_at_once(void **state)
{
    (void)state;
    start(SOON_US, 1);
    run_until("attached asked greeted up");
    redis_link_reset(f.link, "a reset");
    run_until("lost a reset asked greeted up"); /* anew for each connection */
    redis_link_free(f.link);
    f.link = NULL;
    assert_string_equal(f.seen, "detached");
}

static void test_an_answer_that_comes_later(void **state)
{
    (void)state;
    f.waits = true;
    start(SOON_US, 1);
    run_until("attached asked");
    timer_after_us(f.later, 0);
    run_until("greeted up");
}

static void test_no_answer(void **state)
{
    (void)state;
    f.waits = true;
    start(20 * MS_US, 1);
    run_until("attached asked cancelled nobody has said where Redis is within 20 ms asked");
    redis_link_free(f.link);
    f.link = NULL;
    assert_string_equal(f.seen, "cancelled detached");
}

static void test_a_link_that_is_left_while_the_source_is_asked(void **state)
{
    (void)state;
    f.waits = true;
    start(SOON_US, LONG_US);
    run_until("attached asked");
    redis_link_reset(f.link, "a reset");
    f.cb(f.cb_arg, &f.target, NULL); /* too late, and not cancelled yet */
    run_until("a reset");
}

static void test_a_source_that_knows_none(void **state)
{
    (void)state;
    f.knows_none = true;
    start(SOON_US, 1);
    run_until("attached asked no Sentinel answers asked");
}

static void test_a_greeting_that_names_another(void **state)
{
    (void)state;
    f.at_greeting = REDIS_FOLLOW;
    start(SOON_US, LONG_US);
    run_until("attached asked greeted lost asked greeted up"); /* it was never there */
    assert_int_equal(redis_link_reconnects(f.link), 0);
}

/* A replica of a Cluster, say: it is refused, and has said where to ask. */
static void test_an_attempt_that_names_another(void **state)
{
    (void)state;
    f.at_greeting = REDIS_LEAVE;
    f.at_loss = REDIS_FOLLOW;
    start(SOON_US, LONG_US);
    run_until("attached asked greeted lost asked greeted up");
}

static void test_a_greeting_that_is_not_wanted(void **state)
{
    (void)state;
    f.at_greeting = REDIS_LEAVE;
    start(SOON_US, 1);
    run_until("attached asked greeted lost another node's asked greeted up");
}

static void test_an_error_that_is_followed(void **state)
{
    (void)state;
    f.at_error = REDIS_FOLLOW;
    start(SOON_US, LONG_US);
    run_until("attached asked greeted up");
    ask();
    run_until("error refused lost the slot has moved asked greeted up");
}

static void test_an_error_that_means_nothing(void **state)
{
    (void)state;
    start(SOON_US, LONG_US);
    run_until("attached asked greeted up");
    ask();
    run_until("error refused");
    assert_true(redis_link_state(f.link) == REDIS_LINK_UP);
}

static void test_news_of_another_server(void **state)
{
    (void)state;
    start(SOON_US, LONG_US);
    run_until("attached asked greeted up");
    redis_link_follow(f.link, "a new master");
    run_until("lost a new master asked greeted up");
    redis_link_reset(f.link, "a reset");
    run_until("lost a reset");
    for (int i = 0; i < 3; i++)
        event_base_loop(loop_base(f.loop), EVLOOP_NONBLOCK);
    assert_string_equal(f.seen, ""); /* there is a long delay */
    redis_link_follow(f.link, "a new master");
    run_until("asked greeted up");
    redis_link_stop(f.link);
    redis_link_follow(f.link, "a new master"); /* too late */
    run_until("lost the link was stopped");
    redis_link_follow(f.link, "a new master");
    assert_string_equal(f.seen, "");
}

static void test_roles(void **state)
{
    (void)state;
    f.target.ask_role = true;
    start(SOON_US, 1);
    run_until("attached asked greeted up");
    f.role = "*1\r\n$5\r\nslave";
    redis_link_reset(f.link, "a reset");
    run_until("lost a reset asked lost ROLE does not say that it is a master asked");
    f.role = "-NOPERM no";
    run_until("lost ROLE: NOPERM no asked");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_at_once),
        TEST(test_an_answer_that_comes_later),
        TEST(test_no_answer),
        TEST(test_a_link_that_is_left_while_the_source_is_asked),
        TEST(test_a_source_that_knows_none),
        TEST(test_a_greeting_that_names_another),
        TEST(test_an_attempt_that_names_another),
        TEST(test_a_greeting_that_is_not_wanted),
        TEST(test_an_error_that_is_followed),
        TEST(test_an_error_that_means_nothing),
        TEST(test_news_of_another_server),
        TEST(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
