/* What a service manager hears: ready, status when it changes, the watchdog only when all is well.
 */
#include "unit.h"

#include "app/notify.h"
#include "link/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
    struct loop *loop;
    struct notify *notify;
    struct timer *end;
    int manager;
    bool well;
    const char *status;
    int looks;
};

static bool look(void *arg, char *status, size_t size)
{
    struct fixture *f = arg;
    f->looks++;
    snprintf(status, size, "%s", f->status);
    return f->well;
}

static void on_end(void *arg)
{
    struct fixture *f = arg;
    loop_stop(f->loop);
}

/* A manager that listens in the abstract namespace, at a name that the kernel chooses. */
static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address);
    assert_non_null(f);
    f->well = true;
    f->status = "On time";
    f->loop = loop_new();
    f->end = timer_new(f->loop, on_end, f);
    f->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->manager, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(f->manager, (struct sockaddr *)&address, &size), 0);
    address.sun_path[0] = '@';
    address.sun_path[size - offsetof(struct sockaddr_un, sun_path)] = '\0';
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    notify_free(f->notify);
    timer_free(f->end);
    loop_free(f->loop);
    close(f->manager);
    free(f);
    return 0;
}

static void run_for(struct fixture *f, int64_t us)
{
    timer_after_us(f->end, us);
    assert_int_equal(loop_run(f->loop), 0);
}

/* The next message; "" when there is none. */
static const char *heard(struct fixture *f)
{
    static char text[1024];
    ssize_t n = recv(f->manager, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static int count(struct fixture *f, const char *message)
{
    int n = 0;
    for (const char *text = heard(f); text[0] != '\0'; text = heard(f))
        n += strcmp(text, message) == 0;
    return n;
}

static void says_ready_once_and_then_that_it_stops(void **state)
{
    struct fixture *f = *state;
    f->notify = notify_new(f->loop, look, f);
    assert_non_null(f->notify);
    assert_string_equal(heard(f), "");
    run_for(f, 20000);
    assert_string_equal(heard(f), "READY=1\nSTATUS=On time");
    assert_string_equal(heard(f), "");
    notify_stopping(f->notify);
    assert_string_equal(heard(f), "STOPPING=1\nSTATUS=Stopping");
}

static void says_that_it_reloads_and_is_ready_again(void **state)
{
    struct fixture *f = *state;
    f->notify = notify_new(f->loop, look, f);
    run_for(f, 20000);
    assert_int_equal(count(f, "READY=1\nSTATUS=On time"), 1);
    notify_reloaded(f->notify);
    assert_int_equal(strncmp(heard(f), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    run_for(f, 20000);
    assert_string_equal(heard(f), "READY=1\nSTATUS=On time");
    notify_stopping(f->notify);
    notify_reloaded(f->notify);
    run_for(f, 20000);
    assert_string_equal(heard(f), "STOPPING=1\nSTATUS=Stopping");
    assert_string_equal(heard(f), "");
}

static void feeds_the_watchdog_only_while_all_is_well(void **state)
{
    struct fixture *f = *state;
    setenv("WATCHDOG_USEC", "40000", 1);
    f->notify = notify_new(f->loop, look, f);
    run_for(f, 200000);
    assert_in_range(count(f, "WATCHDOG=1"), 5, 30);
    f->well = false;
    run_for(f, 100000);
    assert_int_equal(count(f, "WATCHDOG=1"), 0);
    f->well = true;
    notify_stopping(f->notify);
    run_for(f, 100000);
    assert_in_range(count(f, "WATCHDOG=1"), 2, 15);
}

static void status_is_one_line_and_said_when_it_changes(void **state)
{
    struct fixture *f = *state;
    setenv("WATCHDOG_USEC", "40000", 1);
    f->notify = notify_new(f->loop, look, f);
    f->status = "no\nWATCHDOG=trigger\x01";
    run_for(f, 100000);
    assert_string_equal(heard(f), "READY=1\nSTATUS=no WATCHDOG=trigger ");
    assert_true(f->looks > 3);
    assert_int_equal(count(f, "STATUS=no WATCHDOG=trigger "), 0);
    f->status = "yes";
    run_for(f, 50000);
    assert_int_equal(count(f, "STATUS=yes"), 1);
}

static void another_process_s_watchdog_is_left_alone(void **state)
{
    struct fixture *f = *state;
    setenv("WATCHDOG_USEC", "40000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    f->notify = notify_new(f->loop, look, f);
    run_for(f, 100000);
    assert_int_equal(count(f, "WATCHDOG=1"), 0);
    assert_int_equal(f->looks, 1);
}

static void nobody_to_tell(void **state)
{
    struct fixture *f = *state;
    char too_long[200];
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[0] = '/';
    too_long[sizeof(too_long) - 1] = '\0';
    const char *const names[] = {"", "relative", "vsock:2:1234", too_long};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_null(notify_new(f->loop, look, f));
    }
    unsetenv("NOTIFY_SOCKET");
    assert_null(notify_new(f->loop, look, f));
    notify_stopping(NULL);
    notify_reloaded(NULL);
    notify_free(NULL);
}

static void a_manager_that_is_away_is_told_later(void **state)
{
    struct fixture *f = *state;
    setenv("WATCHDOG_USEC", "40000", 1);
    char path[64];
    snprintf(path, sizeof(path), "/tmp/reservation-sweeper-%ld.sock", (long)getpid());
    setenv("NOTIFY_SOCKET", path, 1);
    f->notify = notify_new(f->loop, look, f);
    run_for(f, 50000);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    close(f->manager);
    f->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->manager, (const struct sockaddr *)&address, sizeof(address)), 0);
    run_for(f, 50000);
    unlink(path);
    assert_string_equal(heard(f), "READY=1\nSTATUS=On time");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(says_ready_once_and_then_that_it_stops),
        TEST(says_that_it_reloads_and_is_ready_again),
        TEST(feeds_the_watchdog_only_while_all_is_well),
        TEST(status_is_one_line_and_said_when_it_changes),
        TEST(another_process_s_watchdog_is_left_alone),
        TEST(nobody_to_tell),
        TEST(a_manager_that_is_away_is_told_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
