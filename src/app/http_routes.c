/* What the daemon answers over HTTP. Probes are answered from what is known already. */
#include "app/http_routes.h"

#include "app/desk_routes.h"
#include "app/http_asked.h"
#include "app/http_pause.h"
#include "app/page.h"
#include "app/queue_run.h"
#include "app/reconcile_all.h"
#include "app/reloaded.h"
#include "app/sweep_all.h"
#include "base/callback.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/secrets.h"
#include "health/health.h"
#include "link/http.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "release/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define DRY_RUN "dryRun"
#define REPAIR_STOCK "repairStock"

#define LAST_WORD_US (50 * MS_US) /* for an answer to leave before the loop ends */

struct http_routes {
    struct http_routes_options options;
    struct http *http;
    struct timer *reap; /* frees what has ended, outside its callback */
    struct desk_routes *desk;
    struct sweep_all *sweep;
    struct http_request *sweep_request;
    bool sweep_over;
    struct reconcile_all *reconcile;
    struct http_request *reconcile_request; /* until it has begun, or cannot */
    struct reconcile_options reconcile_options;
    bool reconcile_over;
    bool stopping;
    event_cb *done;
    void *done_arg;
};

/* As http_asked_for, for what changes something: not while the queues are being changed. */
static bool asked_to_change(const struct http_routes *r, struct http_request *request,
                            struct http_asked *asked)
{
    if (!http_asked_for(r->options.queues, request, asked))
        return false;
    if (r->stopping)
        http_reply_error(request, 503, QUEUE_STOPPING);
    return !r->stopping;
}

static void get_healthz(void *arg, struct http_request *request)
{
    static const char body[] = "{\"ok\":true}\n";
    (void)arg;
    http_reply(request, 200, NULL, body, sizeof(body) - 1);
}

/* Answers with what is known of the queues that were asked for. */
static void reply_health(const struct http_routes *r, struct http_request *request, bool verdict)
{
    struct http_asked asked;
    if (!http_asked_for(r->options.queues, request, &asked))
        return;
    struct health_report *reports = calloc((size_t)asked.n, sizeof(*reports));
    if (reports == NULL) {
        http_reply_error(request, 503, "out of memory");
        return;
    }
    bool ready = true;
    for (int i = 0; i < asked.n; i++) {
        health_read(queue_run_health(asked.queues[i]), &reports[i]);
        ready = ready && reports[i].ready;
    }
    reports[0].reload = reloaded_last(r->options.reloaded);
    http_reply_json(request, verdict && !ready ? 503 : 200,
                    verdict ? health_ready_json(reports, asked.n)
                            : health_status_json(reports, asked.n));
    free(reports);
}

static void get_readyz(void *arg, struct http_request *request)
{
    reply_health(arg, request, true);
}

static void get_status(void *arg, struct http_request *request)
{
    reply_health(arg, request, false);
}

static void get_metrics(void *arg, struct http_request *request)
{
    const struct http_routes *r = arg;
    const struct queue_runs *queues = r->options.queues;
    struct health **healths = calloc((size_t)queues->n, sizeof(struct health *));
    size_t len = 0;
    char *text = NULL;
    for (int i = 0; healths != NULL && i < queues->n; i++)
        healths[i] = queue_run_health(queues->all[i]);
    if (healths != NULL)
        text = health_metrics(healths, queues->n, &len);
    free(healths);
    http_reply_text(request, 200, METRICS_TYPE, text, len);
}

static void on_swept(void *arg, const struct sweep_outcome *outcomes, int n)
{
    struct http_routes *r = arg;
    struct http_request *request = r->sweep_request;
    int status;
    char *text = sweep_outcomes_json(outcomes, n, &status);
    r->sweep_request = NULL;
    r->sweep_over = true;
    timer_after_us(r->reap, 0);
    http_reply_json(request, status, text);
}

static void post_sweep(void *arg, struct http_request *request)
{
    struct http_routes *r = arg;
    struct http_asked asked;
    if (!asked_to_change(r, request, &asked))
        return;
    if (r->sweep != NULL) {
        http_reply_error(request, 409, "a sweep is running");
    } else {
        r->sweep = sweep_all_new(asked.queues, asked.n, on_swept, r);
        if (r->sweep == NULL)
            http_reply_error(request, 503, "out of memory");
        else
            r->sweep_request = request;
    }
}

static void post_pause(void *arg, struct http_request *request)
{
    struct http_asked asked;
    if (asked_to_change(arg, request, &asked))
        http_pause(request, asked.queues, asked.n);
}

static void post_resume(void *arg, struct http_request *request)
{
    struct http_asked asked;
    if (asked_to_change(arg, request, &asked))
        http_resume(request, asked.queues, asked.n);
}

static void on_reconcile_begun(void *arg)
{
    struct http_routes *r = arg;
    const struct reconcile_options *options = &r->reconcile_options;
    struct http_request *request = r->reconcile_request;
    char body[96];
    r->reconcile_request = NULL;
    int n = snprintf(body, sizeof(body), "{\"started\":true,\"dryRun\":%s,\"repairStock\":%s}\n",
                     options->dry_run ? "true" : "false", options->repair_stock ? "true" : "false");
    http_reply(request, 202, NULL, body, (size_t)n);
}

static void on_reconciled(void *arg, const struct reconcile_result *first)
{
    struct http_routes *r = arg;
    if (r->reconcile_request != NULL) {
        http_reply_error(r->reconcile_request, first->taken ? 409 : 503, first->error);
        r->reconcile_request = NULL;
    }
    r->reconcile_over = true;
    timer_after_us(r->reap, 0);
}

static void start_reconcile(struct http_routes *r, struct http_request *request,
                            const struct http_asked *asked)
{
    r->reconcile_options = (struct reconcile_options){
        .dry_run = http_switch_on(request, DRY_RUN),
        .repair_stock = http_switch_on(request, REPAIR_STOCK),
        .max_repairs = r->options.config->max_repairs,
    };
    const struct reconcile_all_options options = {
        .loop = r->options.loop,
        .queues = asked->queues,
        .n = asked->n,
        .each = r->reconcile_options,
        .begun = on_reconcile_begun,
        .done = on_reconciled,
        .arg = r,
    };
    r->reconcile = reconcile_all_new(&options);
    if (r->reconcile == NULL)
        http_reply_error(request, 503, "out of memory or file descriptors");
    else
        r->reconcile_request = request;
}

static bool any_degraded(const struct http_asked *asked)
{
    for (int i = 0; i < asked->n; i++)
        if (parts_degraded(queue_run_parts(asked->queues[i])))
            return true;
    return false;
}

static void post_reconcile(void *arg, struct http_request *request)
{
    struct http_routes *r = arg;
    struct http_asked asked;
    if (!asked_to_change(r, request, &asked))
        return;
    if (r->reconcile != NULL)
        http_reply_error(request, 409, "a reconciliation is running");
    else if (redis_link_state(queue_run_parts(asked.queues[0])->redis) != REDIS_LINK_UP)
        http_reply_error(request, 503, "Redis is out of reach: there is nothing to compare with");
    else if (any_degraded(&asked))
        http_reply_error(request, 503,
                         "Redis refuses what the sweeper asks of it: nothing can be compared");
    else
        start_reconcile(r, request, &asked);
}

static void check_stopped(struct http_routes *r)
{
    if (r->stopping && r->sweep == NULL && r->reconcile == NULL && r->done != NULL) {
        event_cb *done = r->done;
        r->done = NULL;
        done(r->done_arg);
    }
}

static void on_reap(void *arg)
{
    struct http_routes *r = arg;
    bool over = r->reconcile_over || r->sweep_over;
    if (r->reconcile_over) {
        reconcile_all_free(r->reconcile);
        r->reconcile = NULL;
        r->reconcile_over = false;
    }
    if (r->sweep_over) {
        sweep_all_free(r->sweep);
        r->sweep = NULL;
        r->sweep_over = false;
    }
    if (over && r->stopping)
        timer_after_us(r->reap, LAST_WORD_US);
    else
        check_stopped(r);
}

static void get_failures(void *arg, struct http_request *request)
{
    desk_routes_failures(((struct http_routes *)arg)->desk, request);
}

static void get_explain(void *arg, struct http_request *request)
{
    desk_routes_explain(((struct http_routes *)arg)->desk, request);
}

static void post_retry(void *arg, struct http_request *request)
{
    desk_routes_act(((struct http_routes *)arg)->desk, request, DESK_RETRY);
}

static void post_forget(void *arg, struct http_request *request)
{
    desk_routes_act(((struct http_routes *)arg)->desk, request, DESK_FORGET);
}

static const struct http_param of_a_queue[] = {{HTTP_QUEUE, true}, {NULL, false}};
static const struct http_param of_reconcile[] = {
    {HTTP_QUEUE, true}, {DRY_RUN, false}, {REPAIR_STOCK, false}, {NULL, false}};

static const struct http_route routes[] = {
    {"/", HTTP_OPEN, NULL, page_html},
    {"/page.css", HTTP_OPEN, NULL, page_css},
    {"/page.js", HTTP_OPEN, NULL, page_js},
    {"/healthz", HTTP_OPEN, NULL, get_healthz},
    {"/readyz", HTTP_OPEN, of_a_queue, get_readyz},
    {"/metrics", HTTP_READS, NULL, get_metrics},
    {"/status", HTTP_READS, of_a_queue, get_status},
    {"/sweep", HTTP_CHANGES, of_a_queue, post_sweep},
    {"/reconcile", HTTP_CHANGES, of_reconcile, post_reconcile},
    {"/pause", HTTP_CHANGES, http_pause_params, post_pause},
    {"/resume", HTTP_CHANGES, of_a_queue, post_resume},
    {"/failures", HTTP_READS, desk_of_failures, get_failures},
    {"/explain", HTTP_READS, desk_of_explain, get_explain},
    {"/retry", HTTP_CHANGES, desk_of_act, post_retry},
    {"/forget", HTTP_CHANGES, desk_of_act, post_forget},
};

static const char *admin_token(void *arg)
{
    return secrets_admin_token(((const struct http_routes *)arg)->options.secrets);
}

static const char *read_token(void *arg)
{
    return secrets_read_token(((const struct http_routes *)arg)->options.secrets);
}

struct http_routes *http_routes_new(const struct http_routes_options *options, char *error,
                                    size_t error_size)
{
    struct http_routes *r = calloc(1, sizeof(*r));
    const struct http_options http = {
        .host = options->config->http_host,
        .port = options->config->http_port,
        .token = admin_token,
        .read_token = read_token,
        .routes = routes,
        .nroutes = sizeof(routes) / sizeof(routes[0]),
        .arg = r,
    };
    snprintf(error, error_size, "out of memory");
    if (r == NULL)
        return NULL;
    r->options = *options;
    r->reap = timer_new(options->loop, on_reap, r);
    r->desk = desk_routes_new(options->queues);
    if (r->reap != NULL && r->desk != NULL)
        r->http = http_new(options->loop, &http, error, error_size);
    if (r->http == NULL) {
        http_routes_free(r);
        return NULL;
    }
    return r;
}

bool http_routes_only_here(const struct http_routes *r)
{
    return http_only_here(r->http);
}

void http_routes_stop(struct http_routes *r, event_cb *done, void *arg)
{
    r->stopping = true;
    r->done = done;
    r->done_arg = arg;
    desk_routes_stop(r->desk);
    if (r->sweep != NULL)
        sweep_all_stop(r->sweep);
    if (r->reconcile != NULL)
        reconcile_all_stop(r->reconcile);
    timer_after_us(r->reap, 0);
}

void http_routes_resume(struct http_routes *r)
{
    r->stopping = false;
    desk_routes_resume(r->desk);
}

void http_routes_free(struct http_routes *r)
{
    if (r == NULL)
        return;
    reconcile_all_free(r->reconcile);
    sweep_all_free(r->sweep);
    desk_routes_free(r->desk);
    if (r->sweep_request != NULL)
        http_reply_error(r->sweep_request, 503, QUEUE_STOPPING);
    if (r->reconcile_request != NULL)
        http_reply_error(r->reconcile_request, 503, QUEUE_STOPPING);
    http_free(r->http);
    timer_free(r->reap);
    free(r);
}
