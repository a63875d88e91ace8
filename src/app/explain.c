/* --explain ID: why a reservation is not released (yet), without the daemon. Queues are asked one
 * after the other; one that is named alone, and the others only where it does not have the id. */
#include "app/context.h"
#include "app/desk_json.h"
#include "app/explain_ask.h"
#include "app/explain_found.h"
#include "app/explain_report.h"
#include "app/modes.h"
#include "base/log.h"
#include "base/terminal.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/loop.h"
#include "link/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct explain {
    const struct config *config;
    struct loop *loop; /* of the queue that is asked */
    struct explain_facts **facts;
    int n; /* queues that were asked */
};

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    (void)arg;
    (void)state;
    (void)reason; /* who asks looks */
}

static void on_facts(void *arg, struct explain_facts *facts)
{
    struct explain *e = arg;
    struct explain_facts *copy = malloc(sizeof(*copy));
    if (copy != NULL) {
        *copy = *facts;
        copy->id = e->config->reservation;
        e->facts[e->n++] = copy;
    }
    loop_stop(e->loop);
}

/* -1: it could not be asked at all, which has been said. */
static int ask_queue(struct explain *e, const struct config *config)
{
    struct context context;
    int before = e->n;
    const char *queue = log_set_queue(config->queue->name);
    if (context_open(&context, config, on_redis, e) == 0) {
        const struct explain_ask_options options = {.parts = &context.parts,
                                                    .id = e->config->reservation,
                                                    .rehearse = true,
                                                    .done = on_facts,
                                                    .arg = e};
        struct explain_ask *ask = explain_ask_new(&options);
        e->loop = context.parts.loop;
        redis_link_start(context.parts.redis);
        if (ask == NULL || loop_run(context.parts.loop) != 0 || e->n == before)
            log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        explain_ask_free(ask);
        context_close(&context);
    }
    (void)log_set_queue(queue);
    return e->n > before ? 0 : -1;
}

static int ask_queues(struct explain *e, const char *name)
{
    for (int i = 0; i < config_queues(e->config); i++) {
        const struct config *queue = config_queue(e->config, i);
        bool named = name != NULL && strcmp(queue->queue->name, name) == 0;
        if (name != NULL && !named)
            continue;
        if (ask_queue(e, queue) != 0)
            return -1;
    }
    if (name == NULL || e->n == 0 || e->facts[0]->rows > 0)
        return 0;
    for (int i = 0; i < config_queues(e->config); i++)
        if (strcmp(config_queue(e->config, i)->queue->name, name) != 0 &&
            ask_queue(e, config_queue(e->config, i)) != 0)
            return -1;
    return 0;
}

/* -1: out of memory. */
static int print(const struct explain *e, const struct explain_facts *f)
{
    json_t *o = explain_json(f);
    char *text = NULL;
    if (o == NULL)
        return -1;
    if (!e->config->json && isatty(STDOUT_FILENO)) {
        explain_print(o, stdout);
        json_decref(o);
        return 0;
    }
    text = desk_dump(o);
    if (text != NULL)
        puts(text);
    free(text);
    return text != NULL ? 0 : -1;
}

/* It has been answered, but for what could not be asked. That a table is locked is an answer. */
static int conclude(const struct explain_facts *f)
{
    if (f->postgres_error[0] == '\0' || f->table_blocker.holder.known)
        return EXIT_DONE;
    log_event(LOG_ERROR, "A queue could not be looked at", LOG_STR, "queue", f->config->queue->name,
              LOG_STR, "error", f->postgres_error, LOG_END);
    return EXIT_FAILED;
}

static int refuse_several(const struct explain *e, const char *names)
{
    char sentence[1024];
    explain_several(e->config->reservation, names, "--queue", sentence, sizeof(sentence));
    terminal_disarm(sentence);
    fprintf(stderr, "reservation-sweeper: --explain: %s\n", sentence);
    return EXIT_USAGE;
}

static int report(const struct explain *e, const char *name)
{
    const struct explain_facts *const *facts = (const struct explain_facts *const *)e->facts;
    char names[EXPLAIN_NAMES];
    int one = 0, first = 0, last = e->n - 1, status = EXIT_DONE;
    int found = explain_found(facts, e->n, name, &one, names);
    if (e->n == 0)
        return EXIT_FAILED;
    if (name != NULL) {
        last = 0;
        if (found > 0)
            e->facts[0]->elsewhere = names;
    } else if (found > 1) {
        return refuse_several(e, names);
    } else if (found == 1) {
        first = last = one;
    }
    for (int i = first; i <= last; i++) {
        if (print(e, e->facts[i]) != 0 || conclude(e->facts[i]) != EXIT_DONE)
            status = EXIT_FAILED;
    }
    return status;
}

int explain_run(const struct config *config)
{
    struct explain e = {.config = config};
    int status = EXIT_FAILED;
    e.facts = calloc((size_t)config_queues(config), sizeof(struct explain_facts *));
    if (e.facts != NULL && ask_queues(&e, config->queue_name) == 0)
        status = report(&e, config->queue_name);
    for (int i = 0; i < e.n; i++)
        free(e.facts[i]);
    free(e.facts);
    return status;
}
