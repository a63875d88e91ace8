/* The operator's desk over HTTP. An errand is one request on its way through the queues. */
#include "app/desk_routes.h"

#include "app/desk_json.h"
#include "app/desk_report.h"
#include "app/explain_ask.h"
#include "app/explain_found.h"
#include "app/explain_report.h"
#include "app/http_asked.h"
#include "app/queue_run.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/parse.h"
#include "config/config.h"
#include "config/queue.h"
#include "release/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define ERRANDS_MOST 4
#define LIMIT_PRESET 100
#define LIMIT_MOST 10000

const struct http_param desk_of_explain[] = {{"id", true}, {HTTP_QUEUE, true}, {NULL, false}};
const struct http_param desk_of_failures[] = {{HTTP_QUEUE, true}, {"product", true},
                                              {"sqlstate", true}, {"after", true},
                                              {"limit", true},    {NULL, false}};
const struct http_param desk_of_act[] = {{"id", true},      {"all", false},     {HTTP_QUEUE, true},
                                         {"product", true}, {"sqlstate", true}, {NULL, false}};

struct errand {
    TAILQ_ENTRY(errand) others;
    struct desk_routes *routes;
    struct http_request *request;
    struct http_asked asked;
    int first; /* the queue that is named is asked first, and stands there; -1: none is */
    int n;     /* queues that have been asked */
    /* Of an explanation ... */
    const char *id; /* the request's; NULL: a list */
    struct explain_ask *ask;
    struct explain_facts **facts;
    /* ... and of a list */
    struct desk_wish wish;
    struct desk_place place;
    struct desk_list *list;
    struct desk_found **found;
};

struct desk_routes {
    const struct queue_runs *queues;
    TAILQ_HEAD(, errand) errands;
    int n;
    bool stopping;
};

struct desk_routes *desk_routes_new(const struct queue_runs *queues)
{
    struct desk_routes *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->queues = queues;
    TAILQ_INIT(&r->errands);
    return r;
}

/* ---- errands ---- */

static void drop_found(struct errand *e)
{
    for (int i = 0; i < e->n; i++) {
        desk_lines_clear(&e->found[i]->lines);
        free(e->found[i]);
    }
    e->n = 0;
}

/* Its request has been answered, or is about to be. */
static void errand_free(struct errand *e)
{
    TAILQ_REMOVE(&e->routes->errands, e, others);
    e->routes->n--;
    explain_ask_free(e->ask);
    desk_list_free(e->list);
    for (int i = 0; e->facts != NULL && i < e->n; i++)
        free(e->facts[i]);
    if (e->found != NULL)
        drop_found(e);
    free(e->facts);
    free(e->found);
    free(e);
}

static void reply_json(struct errand *e, int status, char *text)
{
    struct http_request *request = e->request;
    errand_free(e);
    http_reply_json(request, status, text);
}

static void reply_error(struct errand *e, int status, const char *error)
{
    char *copy = strdup(error); /* which may be the errand's */
    struct http_request *request = e->request;
    errand_free(e);
    http_reply_error(request, status, copy != NULL ? copy : "out of memory");
    free(copy);
}

/* NULL: it has been answered. */
static struct errand *errand_new(struct desk_routes *r, struct http_request *request)
{
    struct errand *e = NULL;
    if (r->stopping)
        http_reply_error(request, 503, QUEUE_STOPPING);
    else if (r->n >= ERRANDS_MOST)
        http_reply_error(request, 503, "too many such questions at once");
    else if ((e = calloc(1, sizeof(*e))) == NULL)
        http_reply_error(request, 503, "out of memory");
    if (e == NULL)
        return NULL;
    e->routes = r;
    e->request = request;
    e->first = -1;
    TAILQ_INSERT_TAIL(&r->errands, e, others);
    r->n++;
    return e;
}

/* ---- explanations ---- */

static void explain_next(struct errand *e);

static void on_facts(void *arg, struct explain_facts *facts)
{
    struct errand *e = arg;
    struct explain_facts *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        reply_error(e, 503, "out of memory");
        return;
    }
    *copy = *facts;
    copy->id = e->id;
    e->facts[e->n++] = copy;
    explain_ask_free(e->ask);
    e->ask = NULL;
    explain_next(e);
}

/* The queue that is asked as number n: one that is named first, then the others. */
static struct queue_run *queue_at(const struct errand *e, int n)
{
    if (e->first < 0)
        return e->asked.queues[n];
    if (n == 0)
        return e->asked.queues[e->first];
    return e->asked.queues[n <= e->first ? n - 1 : n];
}

static void explain_reply(struct errand *e)
{
    const struct explain_facts *const *facts = (const struct explain_facts *const *)e->facts;
    char names[EXPLAIN_NAMES], sentence[1024];
    int one = 0;
    bool named = e->first >= 0;
    int found =
        explain_found(facts, e->n, named ? facts[0]->config->queue->name : NULL, &one, names);
    if (!named && found > 1) {
        explain_several(e->id, names, "?queue=", sentence, sizeof(sentence));
        reply_error(e, 400, sentence);
        return;
    }
    if (named) {
        one = 0;
        if (found > 0)
            e->facts[0]->elsewhere = names;
    }
    const struct explain_facts *f = facts[one];
    bool failed = f->postgres_error[0] != '\0' && !f->table_blocker.holder.known;
    json_t *o = !named && found == 0 && e->n > 1 ? explain_json_none(facts, e->n) : explain_json(f);
    if (o != NULL && failed)
        (void)json_object_set_new(o, "error", json_text(f->postgres_error));
    reply_json(e, failed ? 503 : 200, desk_dump(o));
}

static void explain_next(struct errand *e)
{
    bool named = e->first >= 0;
    if (e->n == e->asked.n || (named && e->n == 1 && e->facts[0]->rows > 0)) {
        explain_reply(e);
        return;
    }
    struct queue_run *run = queue_at(e, e->n);
    const struct explain_ask_options options = {
        .parts = queue_run_parts(run), .id = e->id, .daemon = true, .done = on_facts, .arg = e};
    const char *queue = log_set_queue(queue_run_name(run));
    e->ask = explain_ask_new(&options);
    (void)log_set_queue(queue);
    if (e->ask == NULL)
        reply_error(e, 503, "out of memory or file descriptors");
}

void desk_routes_explain(struct desk_routes *r, struct http_request *request)
{
    struct http_asked asked;
    const char *id = http_text(request, "id"), *name = http_text(request, HTTP_QUEUE);
    if (!http_asked_for(r->queues, request, &asked))
        return;
    if (id == NULL) {
        http_reply_error(request, 400, "id is missing: ?id= names a reservation");
        return;
    }
    struct errand *e = errand_new(r, request);
    if (e == NULL)
        return;
    e->id = id;
    e->first = name != NULL ? queue_runs_find(r->queues, name) : -1;
    e->asked = (struct http_asked){r->queues->all, r->queues->n};
    e->facts = calloc((size_t)e->asked.n, sizeof(struct explain_facts *));
    if (e->facts == NULL)
        reply_error(e, 503, "out of memory");
    else
        explain_next(e);
}

/* ---- lists ---- */

static void list_next(struct errand *e);

static void on_found(void *arg, struct desk_found *found)
{
    struct errand *e = arg;
    struct desk_found *own = malloc(sizeof(*own));
    if (own == NULL) {
        reply_error(e, 503, "out of memory");
        return;
    }
    *own = *found;
    found->lines = (struct desk_lines){0};
    e->found[e->n++] = own;
    desk_list_free(e->list);
    e->list = NULL;
    list_next(e);
}

static void failures_reply(struct errand *e)
{
    struct desk_page page;
    for (int i = 0; i < e->n; i++)
        if (e->found[i]->error[0] != '\0') {
            reply_error(e, e->found[i]->away ? 503 : 500, e->found[i]->error);
            return;
        }
    if (desk_page_make(&page, (const struct desk_found *const *)e->found, e->n, e->wish.limit) !=
        0) {
        reply_error(e, 503, "out of memory");
        return;
    }
    char *text = desk_page_json(&page, e->wish.what);
    desk_page_free(&page);
    reply_json(e, 200, text);
}

/* Before an id is acted upon all are asked who has it. False: it has been answered. */
static bool look_is_over(struct errand *e)
{
    const struct desk_found *const *found = (const struct desk_found *const *)e->found;
    char sentence[1024];
    if (!desk_well(found, e->n))
        return true;
    if (desk_several(found, e->n, e->wish.id, "?queue=", sentence, sizeof(sentence))) {
        reply_error(e, 400, sentence);
        return false;
    }
    drop_found(e);
    e->wish.look = false;
    return true;
}

static void done_reply(struct errand *e)
{
    const struct desk_found *const *found = (const struct desk_found *const *)e->found;
    int status;
    char *text = desk_done_json(found, e->n, e->wish.act, &status);
    (void)desk_done_log(found, e->n, e->wish.act, e->wish.id);
    reply_json(e, status, text);
}

static void list_next(struct errand *e)
{
    if (e->wish.look && e->n == e->asked.n && !look_is_over(e))
        return;
    if (e->n < e->asked.n) {
        struct queue_run *run = e->asked.queues[e->n];
        const char *queue = log_set_queue(queue_run_name(run));
        e->list = desk_list_new(queue_run_parts(run), &e->wish, on_found, e);
        (void)log_set_queue(queue);
        if (e->list == NULL)
            reply_error(e, 503, "out of memory or file descriptors");
    } else if (e->wish.act == DESK_SHOW) {
        failures_reply(e);
    } else {
        done_reply(e);
    }
}

static void list_begin(struct desk_routes *r, struct http_request *request,
                       const struct http_asked *asked, const struct desk_wish *wish)
{
    struct errand *e = errand_new(r, request);
    if (e == NULL)
        return;
    e->asked = *asked;
    e->wish = *wish;
    if (wish->after != NULL) {
        e->place = *wish->after;
        e->wish.after = &e->place;
    }
    e->found = calloc((size_t)asked->n, sizeof(struct desk_found *));
    if (e->found == NULL)
        reply_error(e, 503, "out of memory");
    else
        list_next(e);
}

/* False: it has been answered. */
static bool read_filter(struct http_request *request, struct desk_wish *wish)
{
    wish->product = http_text(request, "product");
    wish->sqlstate = http_text(request, "sqlstate");
    if (wish->sqlstate == NULL || parse_is_sqlstate(wish->sqlstate))
        return true;
    http_reply_error(request, 400, "sqlstate is not allowed: five digits or capital letters");
    return false;
}

void desk_routes_failures(struct desk_routes *r, struct http_request *request)
{
    const char *after = http_text(request, "after"), *limit = http_text(request, "limit");
    struct desk_wish wish = {.act = DESK_SHOW, .what = LIST_FAILED};
    struct desk_place place;
    struct http_asked asked;
    int64_t n = LIMIT_PRESET;
    if (!http_asked_for(r->queues, request, &asked) || !read_filter(request, &wish))
        return;
    if (limit != NULL && parse_int(limit, 1, LIMIT_MOST, &n) != 0) {
        http_reply_error(request, 400, "limit is not allowed: a whole number from 1 to 10000");
        return;
    }
    if (after != NULL && desk_place_read(&place, after) != 0) {
        http_reply_error(request, 400, "after is not allowed: the `next` of an earlier answer");
        return;
    }
    wish.after = after != NULL ? &place : NULL;
    wish.limit = (size_t)n;
    list_begin(r, request, &asked, &wish);
}

void desk_routes_act(struct desk_routes *r, struct http_request *request, enum desk_act act)
{
    struct desk_wish wish = {.act = act, .id = http_text(request, "id")};
    bool all = http_switch_on(request, "all");
    struct http_asked asked;
    if (!http_asked_for(r->queues, request, &asked) || !read_filter(request, &wish))
        return;
    wish.look = wish.id != NULL && asked.n > 1;
    if ((wish.id != NULL) == all)
        http_reply_error(request, 400, "either ?id= or ?all=true is wanted");
    else if (!all && (wish.product != NULL || wish.sqlstate != NULL))
        http_reply_error(request, 400, "product and sqlstate are allowed only with ?all=true");
    else
        list_begin(r, request, &asked, &wish);
}

/* ---- the whole ---- */

void desk_routes_stop(struct desk_routes *r)
{
    struct errand *e = TAILQ_FIRST(&r->errands), *next;
    r->stopping = true;
    for (; e != NULL; e = next) {
        next = TAILQ_NEXT(e, others);
        reply_error(e, 503, QUEUE_STOPPING);
    }
}

void desk_routes_resume(struct desk_routes *r)
{
    r->stopping = false;
}

void desk_routes_free(struct desk_routes *r)
{
    if (r == NULL)
        return;
    desk_routes_stop(r);
    free(r);
}
