/* --list, --retry and --forget, without the daemon: one queue after the other, each with
 * connections and a loop of its own. */
#include "app/context.h"
#include "app/desk_json.h"
#include "app/desk_list.h"
#include "app/desk_report.h"
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

#define LIMIT_PRESET 100

struct desk_mode {
    const struct config *config;
    struct desk_wish wish;
    struct loop *loop; /* of the queue that is asked */
    struct desk_found **found;
    int n; /* queues that were asked */
};

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    (void)arg;
    (void)state;
    (void)reason; /* who asks looks */
}

/* Takes over what was found. */
static void on_found(void *arg, struct desk_found *found)
{
    struct desk_mode *m = arg;
    struct desk_found *own = malloc(sizeof(*own));
    if (own != NULL) {
        *own = *found;
        found->lines = (struct desk_lines){0};
        m->found[m->n++] = own;
    }
    loop_stop(m->loop);
}

/* -1: it could not be asked at all, which has been said. */
static int ask_queue(struct desk_mode *m, const struct config *config)
{
    struct context context;
    int before = m->n;
    const char *queue = log_set_queue(config->queue->name);
    if (context_open(&context, config, on_redis, m) == 0) {
        struct desk_list *list = desk_list_new(&context.parts, &m->wish, on_found, m);
        m->loop = context.parts.loop;
        redis_link_start(context.parts.redis);
        if (list == NULL || loop_run(context.parts.loop) != 0 || m->n == before)
            log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        desk_list_free(list);
        context_close(&context);
    }
    (void)log_set_queue(queue);
    return m->n > before ? 0 : -1;
}

static int ask_queues(struct desk_mode *m)
{
    int n = config_queues(m->config);
    m->found = calloc((size_t)n, sizeof(struct desk_found *));
    if (m->found == NULL)
        return -1;
    for (int i = 0; i < n; i++)
        if (ask_queue(m, config_queue(m->config, i)) != 0)
            return -1;
    return 0;
}

static void clear(struct desk_mode *m)
{
    for (int i = 0; i < m->n; i++) {
        desk_lines_clear(&m->found[i]->lines);
        free(m->found[i]);
    }
    free(m->found);
    m->found = NULL;
    m->n = 0;
}

/* ---- --list ---- */

static void print_line(const struct desk_mode *m, const struct desk_line *line, const char *queue)
{
    json_t *o = desk_line_json(line, queue, m->wish.what);
    if (m->config->json || !isatty(STDOUT_FILENO)) {
        char *text = desk_dump(o);
        puts(text != NULL ? text : "{}");
        free(text);
        return;
    }
    if (o != NULL)
        desk_line_print(o, m->wish.what, m->n > 1, stdout);
    json_decref(o);
}

/* What of a queue could not be listed, or is not known of its lines. */
static bool say_errors(const struct desk_found *found)
{
    const char *queue = log_set_queue(found->config->queue->name);
    if (found->error[0] != '\0')
        log_event(LOG_ERROR, "Reservations could not be listed", LOG_STR, "error", found->error,
                  LOG_END);
    else if (found->unknown[0] != '\0')
        log_event(LOG_WARN, "Not all is known of what is listed", LOG_STR, "error", found->unknown,
                  LOG_END);
    (void)log_set_queue(queue);
    return found->error[0] == '\0';
}

static int print_list(const struct desk_mode *m)
{
    struct desk_page page;
    const struct desk_found *const *found = (const struct desk_found *const *)m->found;
    int status = EXIT_DONE;
    if (desk_page_make(&page, found, m->n, m->wish.limit) != 0)
        return EXIT_FAILED;
    for (size_t i = 0; i < page.n; i++)
        print_line(m, page.lines[i].line, page.lines[i].queue);
    if (page.more && isatty(STDOUT_FILENO))
        printf("... and more: --limit N shows up to N of them\n");
    for (int i = 0; i < m->n; i++)
        if (!say_errors(found[i]))
            status = EXIT_FAILED;
    if (page.n == 0 && status == EXIT_DONE && isatty(STDOUT_FILENO) && !m->config->json)
        puts("none");
    desk_page_free(&page);
    return status;
}

int list_run(const struct config *config)
{
    struct desk_mode m = {
        .config = config,
        .wish = {.act = DESK_SHOW,
                 .what = config->list,
                 .product = config->product,
                 .sqlstate = config->sqlstate,
                 .limit = config->list_limit > 0 ? (size_t)config->list_limit : LIMIT_PRESET}};
    int status = ask_queues(&m) == 0 ? print_list(&m) : EXIT_FAILED;
    clear(&m);
    return status;
}

/* ---- --retry, --forget ---- */

/* Of several queues that have a record of the id, one has to be named: true, and it has been said.
 */
static bool refuse_several(const struct desk_mode *m)
{
    char sentence[1024];
    if (!desk_several((const struct desk_found *const *)m->found, m->n, m->wish.id, "--queue",
                      sentence, sizeof(sentence)))
        return false;
    terminal_disarm(sentence);
    fprintf(stderr, "reservation-sweeper: --%s: %s\n",
            m->wish.act == DESK_RETRY ? "retry" : "forget", sentence);
    return true;
}

/* Looks first, where an id could be that of several queues. */
static int ask_for_act(struct desk_mode *m)
{
    m->wish.look = m->wish.id != NULL && config_queues(m->config) > 1;
    if (ask_queues(m) != 0)
        return EXIT_FAILED;
    if (!m->wish.look || !desk_well((const struct desk_found *const *)m->found, m->n))
        return EXIT_DONE;
    if (refuse_several(m))
        return EXIT_USAGE;
    clear(m);
    m->wish.look = false;
    return ask_queues(m) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int act(const struct config *config, enum desk_act act)
{
    struct desk_mode m = {.config = config,
                          .wish = {.act = act,
                                   .id = config->reservation,
                                   .product = config->product,
                                   .sqlstate = config->sqlstate,
                                   .limit = (size_t)config->list_limit}};
    int status = ask_for_act(&m);
    if (status == EXIT_DONE &&
        !desk_done_log((const struct desk_found *const *)m.found, m.n, act, m.wish.id))
        status = EXIT_FAILED;
    clear(&m);
    return status;
}

int retry_run(const struct config *config)
{
    return act(config, DESK_RETRY);
}

int forget_run(const struct config *config)
{
    return act(config, DESK_FORGET);
}
