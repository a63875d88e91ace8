/* Work at the operator's desk: connections and steps (desk.h).
 *
 * What must hold: work->free is called once, when no answer is owed to it any more. Redis's calls
 * cannot be taken back; the queue, when it is closed, ends them with an error. */
#include "app/desk.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "queue/redis_use.h"
#include "release/parts.h"
#include "store/statements.h"
#include "store/table_blocker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_US (5 * SECOND_US)
#define LOOK_US (10 * MS_US) /* between looks whether the servers are there */
#define DEADLINE_US (10 * SECOND_US)
#define QUERIES_MAX 3
#define NO_ANSWER "no answer within 5 s"

/* ---- the servers ---- */

static void say(char *to, size_t size, const char *why)
{
    snprintf(to, size, "%s", why[0] != '\0' ? why : NO_ANSWER);
}

/* Who asks the daemon is told at once that a server is away. A mode tries to connect to one that it
 * cannot do without until its time is over. */
static bool in_daemon(const struct desk *d)
{
    return d->parts->redis_use != NULL;
}

/* Whether it is known if Redis can be asked. */
static bool redis_decided(struct desk *d)
{
    struct parts *p = d->parts;
    bool daemon = in_daemon(d);
    enum redis_state state = redis_link_state(p->redis);
    const char *why = daemon ? redis_use_reason(p->redis_use) : redis_link_last_error(p->redis);
    bool up = daemon ? redis_use_ok(p->redis_use) : state == REDIS_LINK_UP;
    bool late = clock_mono_us() >= d->limit_us;
    d->redis_error[0] = '\0';
    if (!up)
        say(d->redis_error, sizeof(d->redis_error), why);
    if (up || late || daemon)
        return up || late || redis_use_degraded(p->redis_use);
    return why[0] != '\0' && !d->work->needs_redis;
}

static void on_statements(void *arg, const char *error)
{
    struct desk *d = arg;
    if (!desk_answered(d))
        return;
    if (error != NULL) {
        d->locked = pg_link_up(d->link) && statements_locked(d->parts->statements);
        d->unusable = pg_link_up(d->link) && !d->locked;
        say(d->postgres_error, sizeof(d->postgres_error), error);
    }
    desk_go_on(d);
}

/* Whether it is known if Postgres can be asked. */
static bool postgres_decided(struct desk *d)
{
    const char *why = d->link != NULL ? pg_link_last_error(d->link) : "";
    if (d->work->without_postgres || d->postgres_error[0] != '\0')
        return true;
    if (pg_link_up(d->link)) {
        if (statements_ready(d->parts->statements))
            return true;
        (void)desk_asked(d, statements_load(d->parts->statements, d->link, &d->parts->pg_clock,
                                            on_statements, d));
        return false;
    }
    if (clock_mono_us() < d->limit_us && (why[0] == '\0' || !in_daemon(d)))
        return false;
    say(d->postgres_error, sizeof(d->postgres_error), why);
    return true;
}

/* ---- steps ---- */

static void on_turn(void *arg)
{
    struct desk *d = arg;
    if (d->step < 0) {
        bool redis = redis_decided(d);
        if (!postgres_decided(d) || !redis) {
            if (!d->waiting)
                timer_after_us(d->turn, LOOK_US);
            return;
        }
        d->step = 0;
    }
    while (d->step < d->work->nsteps)
        if (d->work->steps[d->step++](d))
            return;
    d->work->done(d);
}

void desk_go_on(struct desk *d)
{
    timer_after_us(d->turn, 0);
}

bool desk_asked(struct desk *d, int rc)
{
    d->waiting = rc == 0;
    return d->waiting;
}

bool desk_answered(struct desk *d)
{
    bool closed = d->closed, freed = d->closed && d->link == NULL;
    assert(d->waiting);
    d->waiting = false;
    if (freed)
        d->work->free(d);
    return !closed;
}

bool desk_has_redis(const struct desk *d)
{
    return d->redis_error[0] == '\0' && parts_redis_usable(d->parts);
}

bool desk_has_postgres(const struct desk *d)
{
    return d->postgres_error[0] == '\0' && !d->work->without_postgres && pg_link_up(d->link) &&
           statements_ready(d->parts->statements);
}

void desk_lost_postgres(struct desk *d, const char *why)
{
    say(d->postgres_error, sizeof(d->postgres_error), why);
}

static void on_blocker(void *arg, const char *sentence, bool locked)
{
    struct desk *d = arg;
    (void)locked;
    if (!desk_answered(d))
        return;
    d->said(d, sentence);
    desk_go_on(d);
}

void desk_refused(struct desk *d, const struct pg_answer *answer,
                  void (*said)(struct desk *d, const char *why))
{
    d->said = said;
    if (desk_asked(d, table_blocker_find(d->parts->config->queue, d->link, answer, on_blocker, d)))
        return;
    said(d, answer->message);
    desk_go_on(d);
}

bool desk_ask(struct desk *d, const struct ask_query *queries, int n, pg_answer_cb *cb)
{
    static const char settings[] =
        PG_SETTINGS_3(PG_SET("statement_timeout", "'5s'"), PG_SET("lock_timeout", "'2s'"),
                      PG_SET("TimeZone", "'UTC'"));
    struct ask_query all[1 + QUERIES_MAX] = {{.sql = settings}};
    const struct ask_options options = {.statements = d->parts->statements,
                                        .clock = &d->parts->pg_clock,
                                        .link = d->link,
                                        .deadline_us = DEADLINE_US,
                                        .again = true};
    assert(n <= QUERIES_MAX);
    memcpy(all + 1, queries, (size_t)n * sizeof(*queries));
    return desk_asked(d, ask_send(&options, all, 1 + n, cb, d));
}

/* ---- the whole ---- */

int desk_open(struct desk *d, struct parts *parts, const struct desk_work *work)
{
    const struct pg_link_options options = {.source = parts->postgres,
                                            .application_name = work->application,
                                            .read_only_ok = true,
                                            .arg = d};
    d->parts = parts;
    d->work = work;
    d->step = -1;
    d->limit_us = clock_mono_us() + CONNECT_US;
    d->turn = timer_new(parts->loop, on_turn, d);
    if (!work->without_postgres)
        d->link = pg_link_new(parts->loop, &options);
    if (d->turn == NULL || (d->link == NULL && !work->without_postgres))
        return -1;
    if (d->link != NULL)
        pg_link_start(d->link);
    desk_go_on(d);
    return 0;
}

void desk_close(struct desk *d)
{
    if (d->closed)
        return;
    d->closed = true;
    timer_free(d->turn);
    d->turn = NULL;
    pg_link_free(d->link); /* which answers */
    d->link = NULL;
    if (!d->waiting)
        d->work->free(d);
}
