/* Ten thousand connections to a server that cuts each: nothing is left of them, for both links. */
#include "base/parse.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "link/redis_link.h"
#include "unit.h"

#include <dirent.h>
#include <event2/listener.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 10000
#define WARM_UP 100     /* until caches and buffers are as large as they get */
#define MOST_BYTES 4096 /* of difference: errors have messages of different lengths */

struct fixture {
    struct loop *loop;
    struct evconnlistener *listener;
    int port;
    int lost, accepted;
    size_t bytes;
    int files;
};

static int open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void on_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                        int size, void *arg)
{
    struct fixture *f = arg;
    const struct linger reset = {1, 0}; /* no TIME_WAIT: there are not ports enough */
    (void)listener;
    (void)from;
    (void)size;
    f->accepted++;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
}

static void count_lost(struct fixture *f)
{
    f->lost++;
    if (f->lost == WARM_UP) {
        f->bytes = mallinfo2().uordblks;
        f->files = open_files();
    }
    if (f->lost == CONNECTIONS)
        loop_stop(f->loop);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    assert_false(up);
    assert_true(reason[0] != '\0');
    count_lost(arg);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    assert_int_equal(state, REDIS_LINK_DOWN);
    assert_true(reason[0] != '\0');
    count_lost(arg);
}

static void listen_on_loopback(struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    f->loop = loop_new();
    assert_non_null(f->loop);
    f->listener = evconnlistener_new_bind(loop_base(f->loop), on_accepted, f, LEV_OPT_CLOSE_ON_FREE,
                                          64, (struct sockaddr *)&address, (int)sizeof(address));
    assert_non_null(f->listener);
    assert_int_equal(
        getsockname(evconnlistener_get_fd(f->listener), (struct sockaddr *)&address, &size), 0);
    f->port = ntohs(address.sin_port);
}

static void check(struct fixture *f)
{
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->lost, CONNECTIONS);
    assert_true(f->accepted >= CONNECTIONS - 1);
    assert_int_equal(open_files(), f->files);
    assert_true(mallinfo2().uordblks <= f->bytes + MOST_BYTES);
    evconnlistener_free(f->listener);
}

static const char *same_conninfo(void *arg)
{
    return *(const char *const *)arg;
}

static void postgres_cuts(void **state)
{
    struct fixture f = {0};
    char text[128];
    const char *conninfo = text;
    (void)state;
    listen_on_loopback(&f);
    snprintf(text, sizeof(text),
             "hostaddr=127.0.0.1 port=%d user=x dbname=x sslmode=disable gssencmode=disable",
             f.port);
    const struct pg_link_options options = {
        .source = {.conninfo = same_conninfo, .arg = &conninfo},
        .application_name = "test",
        .connect_timeout_us = 5 * 1000000,
        .backoff_min_us = 1,
        .backoff_max_us = 1,
        .on_state = on_postgres,
        .arg = &f,
    };
    struct pg_link *link = pg_link_new(f.loop, &options);
    assert_non_null(link);
    pg_link_start(link);
    check(&f);
    pg_link_free(link);
    loop_free(f.loop);
}

static const struct redis_address *same_address(void *arg)
{
    return arg;
}

static void redis_cuts(void **state)
{
    struct fixture f = {0};
    struct redis_url address;
    char url[64];
    const char *why = NULL;
    (void)state;
    listen_on_loopback(&f);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d/0", f.port);
    assert_int_equal(parse_redis_url(url, &address, &why), 0);
    const struct redis_single single = {same_address, &address.server};
    const struct redis_link_options options = {
        .source = redis_source_single(&single),
        .connect_timeout_us = 5 * 1000000,
        .command_timeout_us = 1000000,
        .backoff_min_us = 1,
        .backoff_max_us = 1,
        .on_state = on_redis,
        .arg = &f,
    };
    struct redis_link *link = redis_link_new(f.loop, &options);
    assert_non_null(link);
    redis_link_start(link);
    check(&f);
    redis_link_free(link);
    loop_free(f.loop);
    redis_url_clear(&address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postgres_cuts),
        cmocka_unit_test(redis_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
