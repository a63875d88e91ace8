/* A client that goes away while its request is under way. Over a socket of this host's. */
#include "base/time_units.h"
#include "link/http_private.h"
#include "link/loop.h"
#include "unit.h"

#include <arpa/inet.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIMIT_US within_us(10 * SECOND_US)
#define STEP_US (2 * MS_US)

static struct loop *loop;
static struct http *http;
static struct timer *step;
static int64_t steps_left;
static bool (*met)(void);
static struct http_request *asked[2]; /* requests that wait for their answer */
static size_t nasked;

static void keep(void *arg, struct http_request *r)
{
    (void)arg;
    assert_true(nasked < ARRAY_LEN(asked));
    asked[nasked++] = r;
}

static const char *token(void *arg)
{
    (void)arg;
    return NULL;
}

static const char *read_token(void *arg)
{
    (void)arg;
    return "read-only-battery-staple";
}

static const struct http_route routes[] = {{.path = "/slow", .handle = keep, .access = HTTP_OPEN},
                                           {.path = "/secret", .handle = keep}};

static void on_step(void *arg)
{
    (void)arg;
    if (met() || --steps_left == 0)
        loop_stop(loop);
    else
        timer_after_us(step, STEP_US);
}

static void until(bool (*condition)(void), const char *what)
{
    met = condition;
    steps_left = LIMIT_US / STEP_US;
    timer_after_us(step, 0);
    assert_int_equal(loop_run(loop), 0);
    if (!condition())
        fail_msg("%s", what);
}

static int set_up(void **state)
{
    const struct http_options options = {.host = "127.0.0.1",
                                         .token = token,
                                         .read_token = read_token,
                                         .routes = routes,
                                         .nroutes = ARRAY_LEN(routes)};
    char error[256];
    (void)state;
    nasked = 0;
    loop = loop_new();
    step = timer_new(loop, on_step, NULL);
    http = http_new(loop, &options, error, sizeof(error));
    return http != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    http_free(http);
    timer_free(step);
    loop_free(loop);
    return 0;
}

/* A client that has sent a request. */
static int client_of(const char *path)
{
    char request[64];
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    assert_int_equal(getsockname(evconnlistener_get_fd(http->listeners[0]),
                                 (struct sockaddr *)(void *)&address, &len),
                     0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, len), 0);
    assert_int_equal(write(fd, request, (size_t)n), n);
    return fd;
}

static int client(void)
{
    return client_of("/slow");
}

static bool one_asked(void)
{
    return nasked == 1;
}

static bool two_asked(void)
{
    return nasked == 2;
}

static bool no_slots(void)
{
    return http->nslots == 0;
}

/* evhttp learns of it with the answer only, for which there is nobody then; the others have theirs.
 */
static void test_a_client_that_goes_away(void **state)
{
    const struct http_slot *slot;
    char answer[512] = "";
    (void)state;
    int first = client();
    until(one_asked, "one asked");
    int second = client();
    until(two_asked, "two asked");
    assert_ptr_not_equal(asked[0]->slot, asked[1]->slot);
    close(first);
    http_reply(asked[0], 200, NULL, "{}", 2);
    http_reply(asked[1], 200, NULL, "{}", 2);
    TAILQ_FOREACH(slot, &http->slots, entry)
    {
        assert_null(slot->request);
    }
    shutdown(second, SHUT_WR);
    until(no_slots, "no connections are left");
    assert_true(read(second, answer, sizeof(answer) - 1) > 0);
    assert_non_null(strstr(answer, " 200 "));
    close(second);
}

/* The server ends before the answer is known: nobody is left to tell it to. */
static void test_freed_before_the_answer(void **state)
{
    (void)state;
    int fd = client();
    until(one_asked, "it has asked");
    http_free(http);
    http = NULL;
    assert_null(asked[0]->evreq);
    http_reply_error(asked[0], 503, "the sweeper is stopping");
    close(fd);
}

static bool one_refused_since(void)
{
    return http->nrefused == 1;
}

static bool none_refused_since(void)
{
    return http->nrefused == 0;
}

static bool timer_fired(void)
{
    return !timer_armed(http->refused);
}

/* The first is said at once, the others when the minute is over, and so on until nobody asks. */
static void test_refusals_are_counted(void **state)
{
    (void)state;
    int first = client_of("/secret");
    until(no_slots, "it has its answer");
    assert_int_equal(http->nrefused, 0);
    assert_true(timer_armed(http->refused));
    int second = client_of("/secret");
    until(one_refused_since, "counted, not said");
    timer_after_us(http->refused, 0);
    until(none_refused_since, "said");
    assert_true(timer_armed(http->refused));
    timer_after_us(http->refused, 0);
    until(timer_fired, "nobody has asked for a minute");
    assert_int_equal(nasked, 0);
    close(first);
    close(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_client_that_goes_away),
        TEST(test_freed_before_the_answer),
        TEST(test_refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
