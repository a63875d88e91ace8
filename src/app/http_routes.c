/* What the daemon answers over HTTP. Probes are answered from what is known already. */
#include "app/http_routes.h"

#include "app/sweep_job.h"
#include "base/callback.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/secrets.h"
#include "health/health.h"
#include "link/http.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "reconcile/reconcile.h"
#include "release/parts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define DRY_RUN "dryRun"
#define REPAIR_STOCK "repairStock"
#define LAST_WORD_US (50 * MS_US) /* for an answer to leave before the loop ends */

struct http_routes {
    struct parts *parts;
    struct health *health;
    struct secrets *secrets;
    struct http *http;
    struct timer *reap; /* frees what has ended, outside its callback */

    struct sweep_job *job;
    struct http_request *job_request;
    bool job_over;
    struct reconcile *reconcile;
    struct http_request *reconcile_request; /* until it has begun, or cannot */
    struct reconcile_options reconcile_options;
    bool reconcile_over;

    bool stopping;
    event_cb *done;
    void *done_arg;
};

/* Takes text over; NULL: out of memory. */
static void reply_text(struct http_request *request, int status, const char *type, char *text,
                       size_t len)
{
    if (text == NULL)
        http_reply_error(request, 503, "out of memory");
    else
        http_reply(request, status, type, text, len);
    free(text);
}

/* As a line: so that it ends well on a terminal. The newline takes the place of the terminator. */
static void reply_json(struct http_request *request, int status, char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (text != NULL)
        text[len++] = '\n';
    reply_text(request, status, NULL, text, len);
}

static void get_healthz(void *arg, struct http_request *request)
{
    static const char body[] = "{\"ok\":true}\n";
    (void)arg;
    http_reply(request, 200, NULL, body, sizeof(body) - 1);
}

static void get_readyz(void *arg, struct http_request *request)
{
    struct http_routes *r = arg;
    struct health_report report;
    health_read(r->health, &report);
    reply_json(request, report.ready ? 200 : 503, health_ready_json(&report));
}

static void get_status(void *arg, struct http_request *request)
{
    struct http_routes *r = arg;
    struct health_report report;
    health_read(r->health, &report);
    reply_json(request, 200, health_status_json(&report));
}

static void get_metrics(void *arg, struct http_request *request)
{
    struct http_routes *r = arg;
    size_t len = 0;
    char *text = health_metrics(r->health, &len);
    reply_text(request, 200, METRICS_TYPE, text, len);
}

/* With what was released all the same. */
static char *swept_json(const struct sweep_job_result *result)
{
    json_t *o = json_object();
    const char *error = result->error;
    if (error == NULL && result->failed > 0)
        error = "Postgres refused some reservations; see the log";
    if (error != NULL)
        (void)json_object_set_new(o, "error", json_text(error));
    (void)json_object_set_new(o, "cleanedCount", json_integer((json_int_t)result->cleaned));
    if (error != NULL)
        (void)json_object_set_new(o, "failedCount", json_integer((json_int_t)result->failed));
    if (error != NULL || result->skipped > 0)
        (void)json_object_set_new(o, "skippedCount", json_integer((json_int_t)result->skipped));
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static void on_swept(void *arg, const struct sweep_job_result *result)
{
    struct http_routes *r = arg;
    struct http_request *request = r->job_request;
    r->job_request = NULL;
    r->job_over = true;
    timer_after_us(r->reap, 0);
    if (result->error != NULL && result->out_of_reach)
        http_reply_error(request, 503, result->error);
    else
        reply_json(request, result->error == NULL && result->failed == 0 ? 200 : 500,
                   swept_json(result));
}

static void post_sweep(void *arg, struct http_request *request)
{
    struct http_routes *r = arg;
    if (r->stopping) {
        http_reply_error(request, 503, "the sweeper is stopping");
    } else if (r->job != NULL) {
        http_reply_error(request, 409, "a sweep is running");
    } else {
        r->job = sweep_job_new(r->parts, on_swept, r);
        if (r->job == NULL)
            http_reply_error(request, 503, "out of memory");
        else
            r->job_request = request;
    }
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

static void on_reconciled(void *arg, const struct reconcile_result *result)
{
    struct http_routes *r = arg;
    if (!result->taken) /* else it is another process's */
        health_reconciled(r->health, result);
    if (r->reconcile_request != NULL) {
        http_reply_error(r->reconcile_request, result->taken ? 409 : 503, result->error);
        r->reconcile_request = NULL;
    }
    r->reconcile_over = true;
    timer_after_us(r->reap, 0);
}

static void start_reconcile(struct http_routes *r, struct http_request *request)
{
    r->reconcile_options = (struct reconcile_options){
        .dry_run = http_switch_on(request, DRY_RUN),
        .repair_stock = http_switch_on(request, REPAIR_STOCK),
        .max_repairs = r->parts->config->max_repairs,
    };
    r->reconcile = reconcile_new(r->parts, &r->reconcile_options);
    if (r->reconcile == NULL) {
        http_reply_error(request, 503, "out of memory or file descriptors");
        return;
    }
    r->reconcile_request = request;
    reconcile_run(r->reconcile, on_reconcile_begun, on_reconciled, r);
}

static void post_reconcile(void *arg, struct http_request *request)
{
    struct http_routes *r = arg;
    if (r->stopping)
        http_reply_error(request, 503, "the sweeper is stopping");
    else if (r->reconcile != NULL)
        http_reply_error(request, 409, "a reconciliation is running");
    else if (redis_link_state(r->parts->redis) != REDIS_LINK_UP)
        http_reply_error(request, 503, "Redis is out of reach: there is nothing to compare with");
    else if (parts_degraded(r->parts))
        http_reply_error(request, 503,
                         "Redis refuses what the sweeper asks of it: nothing can be compared");
    else
        start_reconcile(r, request);
}

static void check_stopped(struct http_routes *r)
{
    if (r->stopping && r->job == NULL && r->reconcile == NULL && r->done != NULL) {
        event_cb *done = r->done;
        r->done = NULL;
        done(r->done_arg);
    }
}

static void on_reap(void *arg)
{
    struct http_routes *r = arg;
    bool over = r->reconcile_over || r->job_over;
    if (r->reconcile_over) {
        reconcile_free(r->reconcile);
        r->reconcile = NULL;
        r->reconcile_over = false;
    }
    if (r->job_over) {
        sweep_job_free(r->job);
        r->job = NULL;
        r->job_over = false;
    }
    if (over && r->stopping)
        timer_after_us(r->reap, LAST_WORD_US);
    else
        check_stopped(r);
}

static const char *const reconcile_switches[] = {DRY_RUN, REPAIR_STOCK, NULL};

static const struct http_route routes[] = {
    {"/healthz", false, NULL, get_healthz},
    {"/readyz", false, NULL, get_readyz},
    {"/metrics", false, NULL, get_metrics},
    {"/status", false, NULL, get_status},
    {"/sweep", true, NULL, post_sweep},
    {"/reconcile", true, reconcile_switches, post_reconcile},
};

static const char *admin_token(void *arg)
{
    const struct http_routes *r = arg;
    return secrets_admin_token(r->secrets);
}

struct http_routes *http_routes_new(struct parts *parts, struct health *health,
                                    struct secrets *secrets, char *error, size_t error_size)
{
    struct http_routes *r = calloc(1, sizeof(*r));
    const struct http_options options = {
        .host = parts->config->http_host,
        .port = parts->config->http_port,
        .token = admin_token,
        .routes = routes,
        .nroutes = sizeof(routes) / sizeof(routes[0]),
        .arg = r,
    };
    snprintf(error, error_size, "out of memory");
    if (r == NULL)
        return NULL;
    r->parts = parts;
    r->health = health;
    r->secrets = secrets;
    r->reap = timer_new(parts->loop, on_reap, r);
    if (r->reap != NULL)
        r->http = http_new(parts->loop, &options, error, error_size);
    if (r->http == NULL) {
        http_routes_free(r);
        return NULL;
    }
    return r;
}

void http_routes_stop(struct http_routes *r, event_cb *done, void *arg)
{
    r->stopping = true;
    r->done = done;
    r->done_arg = arg;
    if (r->job != NULL)
        sweep_job_stop(r->job);
    if (r->reconcile != NULL && reconcile_running(r->reconcile))
        reconcile_stop(r->reconcile);
    timer_after_us(r->reap, 0);
}

void http_routes_free(struct http_routes *r)
{
    if (r == NULL)
        return;
    reconcile_free(r->reconcile);
    sweep_job_free(r->job);
    if (r->job_request != NULL)
        http_reply_error(r->job_request, 503, "the sweeper is stopping");
    if (r->reconcile_request != NULL)
        http_reply_error(r->reconcile_request, 503, "the sweeper is stopping");
    http_free(r->http);
    timer_free(r->reap);
    free(r);
}
