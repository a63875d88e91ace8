/* POST /pause and POST /resume. */
#include "app/http_pause.h"

#include "app/queue_run.h"
#include "base/iso_time.h"
#include "base/log.h"
#include "base/parse.h"
#include "link/redis_link.h"
#include "release/parts.h"
#include "release/pause_give.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct http_param http_pause_params[] = {
    {"queue", true}, {"for", true}, {"reason", true}, {NULL, false}};

/* What all queues have come to. */
struct order {
    struct http_request *request;
    bool resumes, lasted;
    int64_t until_us;
    int waiting_for;
    char error[300]; /* the first one; "" without */
};

static void note_error(struct order *o, const char *queue, const char *error)
{
    if (o->error[0] == '\0')
        snprintf(o->error, sizeof(o->error), "queue %s: %s", queue, error);
}

/* As a line, so that it ends well on a terminal. */
static char *answer(const struct order *o)
{
    char until[ISO_TIME_SIZE];
    char *text = NULL;
    int n =
        o->resumes
            ? asprintf(&text, "{\"resumed\":true,\"wasPaused\":%s}\n", o->lasted ? "true" : "false")
            : asprintf(&text, "{\"paused\":true,\"until\":\"%s\"}\n", iso_time(o->until_us, until));
    return n >= 0 ? text : NULL;
}

static void finish_one(struct order *o)
{
    if (--o->waiting_for > 0)
        return;
    char *text = answer(o);
    if (o->error[0] != '\0' || text == NULL)
        http_reply_error(o->request, 503, text != NULL ? o->error : "out of memory");
    else
        http_reply(o->request, 200, NULL, text, strlen(text));
    free(text);
    free(o);
}

static void on_given(void *arg, const struct pause_given *given)
{
    struct order *o = arg;
    if (given->error != NULL)
        note_error(o, log_queue() != NULL ? log_queue() : "", given->error);
    o->lasted = o->lasted || given->lasted;
    o->until_us = given->until_us > o->until_us ? given->until_us : o->until_us;
    finish_one(o);
}

static void give(struct order *o, struct queue_run *q, const struct pause_wish *wish)
{
    struct parts *parts = queue_run_parts(q);
    const char *queue = log_set_queue(queue_run_name(q));
    const char *error = NULL;
    if (redis_link_state(parts->redis) != REDIS_LINK_UP)
        error = "Redis is out of reach";
    else if (!parts->pg_clock.known)
        error = "Postgres's time is not known yet";
    if (error == NULL) {
        pause_give(parts, wish, on_given, o);
    } else {
        note_error(o, queue_run_name(q), error);
        o->waiting_for--; /* never the last: order() waits, too */
    }
    (void)log_set_queue(queue);
}

/* for_us: 0 to resume. */
static void order(struct http_request *request, struct queue_run *const *queues, int n,
                  int64_t for_us, const char *reason)
{
    struct order *o = calloc(1, sizeof(*o));
    char by[PAUSE_BY_MAX + 1];
    if (o == NULL) {
        http_reply_error(request, 503, "out of memory");
        return;
    }
    *o = (struct order){.request = request, .resumes = for_us == 0, .waiting_for = n + 1};
    snprintf(by, sizeof(by), "HTTP from %s", http_peer(request));
    const struct pause_wish wish = {.for_us = for_us, .reason = reason, .by = by};
    for (int i = 0; i < n; i++)
        give(o, queues[i], &wish);
    finish_one(o); /* what has kept it from being over while this gives orders */
}

void http_pause(struct http_request *request, struct queue_run *const *queues, int n)
{
    const char *time = http_text(request, "for"), *reason = http_text(request, "reason");
    char error[128];
    int64_t for_us;
    if (parse_duration_us(time != NULL ? time : PAUSE_PRESET, &for_us) != 0 ||
        !pause_time_fits(for_us)) {
        snprintf(error, sizeof(error), "for: %sit must be " PAUSE_TIMES,
                 time != NULL && parse_lacks_unit(time) ? UNIT_MISSING : "");
        http_reply_error(request, 400, error);
    } else if (reason != NULL && pause_reason_fault(reason) != NULL) {
        snprintf(error, sizeof(error), "reason: it must be %s", pause_reason_fault(reason));
        http_reply_error(request, 400, error);
    } else {
        order(request, queues, n, for_us, reason != NULL ? reason : "");
    }
}

void http_resume(struct http_request *request, struct queue_run *const *queues, int n)
{
    order(request, queues, n, 0, "");
}
