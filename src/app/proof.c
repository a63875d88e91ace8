/* The proof of a queue before it is served: connects, makes its statements, tries each. */
#include "app/proof.h"

#include "app/servers.h"
#include "app/statement_names.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/loop.h"
#include "link/pg_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_US (5 * SECOND_US)
/* Longer than the server allows itself: then the connection is dead. */
#define DEADLINE_US (7 * SECOND_US)

struct proof {
    struct servers *servers;
    struct database *database;
    const struct queue *queue;
    struct pg_link *link;
    struct statements *statements;
    struct server_clock clock; /* which nobody asks */
    int which;                 /* the statement that is tried */
    struct timer *turn;        /* the end: of the time to connect, then of all */
    bool begun, over;
    char error[PG_REASON_SIZE + 256]; /* "": none */
    void (*done)(void *arg, const char *error);
    void *arg;
};

/* Told on a turn of its own: whoever is told may free the link. */
static void finish(struct proof *p)
{
    p->over = true;
    timer_after_us(p->turn, 0);
}

/* what: "", or what was tried and ": ". A sentence of the catalog's has its place already. */
static void refuse(struct proof *p, int line, const char *what, const char *reason)
{
    queue_place(p->queue, line, p->error, sizeof(p->error));
    size_t len = strlen(p->error);
    snprintf(p->error + len, sizeof(p->error) - len, "%s%s", what, reason);
    finish(p);
}

static void try_next(struct proof *p);

static void on_tried(void *arg, const struct pg_answer *answer)
{
    struct proof *p = arg;
    int which = p->which++;
    if (answer->status == PG_DONE ||
        (answer->status == PG_REFUSED && !statement_is_needed(which))) {
        try_next(p);
        return;
    }
    char name[160];
    char what[sizeof(name) + 80];
    int line = statement_place(p->statements, which, name, sizeof(name));
    snprintf(what, sizeof(what), "queue \"%s\", %s: ", p->queue->name, name);
    refuse(p, line, what, answer->message);
}

static int try_one(struct proof *p, const char *text)
{
    static const char settings[] =
        PG_SETTINGS_3(PG_SET("transaction_read_only", "'on'"), PG_SET("lock_timeout", "'3s'"),
                      PG_SET("statement_timeout", "'5s'"));
    static const char *const nulls[STATEMENT_PARAMS_MAX];
    int nparams;
    char *sql = statement_explain(text, &nparams);
    const struct pg_query queries[] = {{.sql = settings},
                                       {.sql = sql, .nparams = nparams, .params = nulls}};
    int rc = sql != NULL ? pg_link_send(p->link, queries, 2, DEADLINE_US, on_tried, p) : -1;
    free(sql);
    return rc;
}

static void try_next(struct proof *p)
{
    const char *text = statement_next(p->statements, &p->which);
    if (text == NULL)
        finish(p);
    else if (try_one(p, text) != 0)
        refuse(p, p->queue->line, "", "the connection to Postgres was lost");
}

static void on_statements(void *arg, const char *error)
{
    struct proof *p = arg;
    if (error != NULL)
        refuse(p, 0, "", error);
    else
        try_next(p);
}

static void on_state(void *arg, bool up, const char *reason)
{
    struct proof *p = arg;
    if (p->over)
        return;
    if (!up) {
        snprintf(p->error, sizeof(p->error), "Postgres is out of reach: %s", reason);
        return;
    }
    p->error[0] = '\0';
    if (p->begun)
        return; /* a question was lost, which has said so */
    p->begun = true;
    timer_clear(p->turn);
    if (statements_load(p->statements, p->link, &p->clock, on_statements, p) != 0)
        refuse(p, p->queue->line, "", "the connection to Postgres was lost");
}

/* It is over, or there is no connection in time. */
static void on_turn(void *arg)
{
    struct proof *p = arg;
    char reason[sizeof(p->error)];
    if (!p->over) {
        p->over = true;
        snprintf(reason, sizeof(reason), "%s", p->error);
        refuse(p, p->queue->line, "", reason[0] != '\0' ? reason : "Postgres is out of reach");
        timer_clear(p->turn);
    }
    p->done(p->arg, p->error[0] != '\0' ? p->error : NULL);
}

struct proof *proof_new(struct servers *servers, const struct config *config,
                        void (*done)(void *arg, const char *error), void *arg)
{
    struct proof *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->servers = servers;
    p->queue = config->queue;
    p->done = done;
    p->arg = arg;
    p->database = servers_database(servers, config, true);
    p->statements = statements_new(config->queue);
    p->turn = timer_new(servers->loop, on_turn, p);
    if (p->database != NULL) {
        const struct pg_link_options options = {
            .source = database_source(p->database, p->queue),
            .prepare = PG_PREPARE_OFF,
            .application_name = "reservation-sweeper reload",
            .on_state = on_state,
            .arg = p,
        };
        p->link = pg_link_new(servers->loop, &options);
    }
    if (p->link == NULL || p->statements == NULL || p->turn == NULL) {
        proof_free(p);
        return NULL;
    }
    pg_link_start(p->link);
    timer_after_us(p->turn, CONNECT_US);
    return p;
}

void proof_free(struct proof *p)
{
    if (p == NULL)
        return;
    pg_link_free(p->link); /* which may answer: into the proof */
    timer_free(p->turn);
    statements_free(p->statements);
    if (p->database != NULL)
        servers_release(p->servers, p->database);
    free(p);
}
