/* Thousands of sessions, one after the other, on a link of the program's own: each comes up, is
 * used, and is then ended by the server. Says ten times, in equal distances, what the process
 * holds.
 *
 *   sessions postgres CONNINFO HOW-MANY | sessions redis URL HOW-MANY */
#include "base/parse.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "link/redis_link.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_US (10 * 1000000)

struct run {
    struct loop *loop;
    struct pg_link *pg;
    struct redis_link *redis;
    int sessions, used, ended;
};

static int open_files(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        abort();
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* One whose answer came, and whose end was seen. Everything else is an attempt more. */
static void count_ended(struct run *run, const char *reason)
{
    if (run->used == run->ended) {
        (void)fprintf(stderr, "a session was lost before it was used: %s\n", reason);
        return;
    }
    run->ended++;
    if (run->ended % (run->sessions / 10) == 0) {
        printf("%d %d %zu\n", run->ended, open_files(), mallinfo2().uordblks);
        (void)fflush(stdout);
    }
    if (run->ended == run->sessions)
        loop_stop(run->loop);
}

/* ---- Postgres ---- */

static void on_terminated(void *arg, const struct pg_answer *answer)
{
    struct run *run = arg;
    if (answer->status == PG_UNKNOWN && strstr(answer->message, "terminating") != NULL)
        run->used++;
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    static const struct pg_query queries[] = {
        {.sql = "SELECT generate_series(1, 100)"},
        {.sql = "SELECT pg_terminate_backend(pg_backend_pid())"},
    };
    struct run *run = arg;
    if (!up)
        count_ended(run, reason);
    else if (pg_link_send(run->pg, queries, 2, TIMEOUT_US, on_terminated, run) != 0)
        abort();
}

static const char *same_conninfo(void *arg)
{
    return *(const char *const *)arg;
}

static void run_postgres(struct run *run, const char *conninfo)
{
    const struct pg_link_options options = {
        .source = {.conninfo = same_conninfo, .arg = &conninfo},
        .application_name = "sessions",
        .connect_timeout_us = TIMEOUT_US,
        .backoff_min_us = 1,
        .backoff_max_us = 1,
        .on_state = on_postgres,
        .arg = run,
    };
    run->pg = pg_link_new(run->loop, &options);
    if (run->pg == NULL)
        abort();
    pg_link_start(run->pg);
    if (loop_run(run->loop) != 0)
        abort();
    pg_link_free(run->pg);
}

/* ---- Redis ---- */

static void send_redis(struct run *run, redis_link_cb *cb, int argc, const char *const *argv)
{
    size_t lengths[4];
    for (int i = 0; i < argc; i++)
        lengths[i] = strlen(argv[i]);
    if (redis_link_command(run->redis, cb, run, argc, argv, lengths) != 0)
        abort();
}

static void on_quit(void *arg, const struct redis_reply *reply, const char *error)
{
    (void)arg;
    (void)reply;
    (void)error;
}

static void on_settings(void *arg, const struct redis_reply *reply, const char *error)
{
    struct run *run = arg;
    (void)error;
    if (reply == NULL || redis_reply_len(reply) < 100)
        return;
    run->used++;
    send_redis(run, on_quit, 1, (const char *const[]){"QUIT"});
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct run *run = arg;
    if (state == REDIS_LINK_UP) /* an answer of hundreds of values */
        send_redis(run, on_settings, 3, (const char *const[]){"CONFIG", "GET", "*"});
    else
        count_ended(run, reason);
}

static const struct redis_address *same_address(void *arg)
{
    return arg;
}

static void run_redis(struct run *run, const char *url)
{
    struct redis_url address;
    const char *why = NULL;
    if (parse_redis_url(url, &address, &why) != 0)
        abort();
    const struct redis_single single = {same_address, &address.server};
    const struct redis_link_options options = {
        .source = redis_source_single(&single),
        .connect_timeout_us = TIMEOUT_US,
        .command_timeout_us = TIMEOUT_US,
        .backoff_min_us = 1,
        .backoff_max_us = 1,
        .on_state = on_redis,
        .arg = run,
    };
    run->redis = redis_link_new(run->loop, &options);
    if (run->redis == NULL)
        abort();
    redis_link_start(run->redis);
    if (loop_run(run->loop) != 0)
        abort();
    redis_link_free(run->redis);
    redis_url_clear(&address);
}

int main(int argc, char **argv)
{
    struct run run = {.loop = loop_new()};
    if (argc != 4 || run.loop == NULL)
        return 2;
    run.sessions = (int)strtol(argv[3], NULL, 10); /* from 10 */
    if (run.sessions < 10)
        return 2;
    if (strcmp(argv[1], "redis") == 0)
        run_redis(&run, argv[2]);
    else
        run_postgres(&run, argv[2]);
    loop_free(run.loop);
    return run.ended == run.sessions ? 0 : 1;
}
