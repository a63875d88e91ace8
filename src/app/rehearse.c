/* --rehearse N: releases what is due, queue by queue, rolls back, and says what it would have been.
 * A batch that is refused is rehearsed again, one reservation at a time, to find which of them it
 * is. */
#include "app/modes.h"
#include "app/progress.h"
#include "app/queue_session.h"
#include "app/rehearse_report.h"

#include "base/bar.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/rehearsal.h"
#include "store/ask.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A rehearsal may wait for locks, and for triggers, as long as it likes to be looked at. */
#define TIMEOUT_US (30 * SECOND_US)
#define AGAIN_US (20 * MS_US) /* between two looks whether the link is up again */
#define ALSO_MOST 100         /* at a time, where statements of `also` follow */
#define LOST "the connection to Postgres was lost"
#define NOTHING "nothing is due: nothing was proved"

struct rehearse {
    struct queue_session *session;
    const struct config *config;
    struct rehearse_report report;
    struct item *items;
    struct item **list;
    size_t n, at; /* so many; the first of those that are rehearsed now */
    size_t step;  /* ... so many at a time */
    bool refused; /* the last ones were */
    bool json;
    struct timer *next;
    struct progress *progress; /* NULL: nobody looks */
    int64_t began_us;
};

static void finish(struct rehearse *h, const char *error)
{
    bool failed = error != NULL || h->report.refused > 0;
    progress_free(h->progress);
    h->progress = NULL;
    const char *reason = error != NULL ? error : h->report.error;
    if (failed)
        log_event(LOG_ERROR, "The rehearsal proved that nothing, or not all, would be released",
                  LOG_STR, "queue", h->config->queue->name, LOG_STR, "error", reason, LOG_END);
    rehearse_report_end(&h->report, error);
    queue_session_end(h->session, failed ? EXIT_FAILED : EXIT_DONE);
}

static void on_rehearsed(void *arg, const struct rehearsal_result *result);

static size_t how_many(const struct rehearse *h)
{
    return h->n - h->at < h->step ? h->n - h->at : h->step;
}

static void go_on(void *arg)
{
    struct rehearse *h = arg;
    struct parts *parts = &h->session->context.parts;
    struct pg_link *link = h->session->link;
    const struct release_options options = {.statements = parts->statements,
                                            .clock = &parts->pg_clock,
                                            .lock_timeout_us = h->config->lock_timeout_us,
                                            .longest_lock_us = h->config->lock_timeout_us,
                                            .statement_timeout_us = TIMEOUT_US,
                                            .way = RELEASE_CAREFUL};
    if (h->at == h->n) {
        finish(h, NULL);
        return;
    }
    if (h->refused && pg_link_up(link)) /* its transaction is still open: the session must end */
        pg_link_renew(link, "a rehearsal was refused");
    h->refused = false;
    if (!pg_link_up(link))
        timer_after_us(h->next, AGAIN_US);
    else if (!statements_ready(parts->statements))
        finish(h, statements_problem(parts->statements));
    else if (rehearsal_send(link, &options, h->list + h->at, how_many(h), h->config->queue->nalso,
                            on_rehearsed, h) != 0)
        finish(h, LOST);
}

static void on_rehearsed(void *arg, const struct rehearsal_result *result)
{
    struct rehearse *h = arg;
    size_t n = how_many(h);
    h->refused = result->release->fault != RELEASE_OK;
    if (result->release->fault == RELEASE_UNKNOWN) {
        finish(h, result->release->message);
        return;
    }
    if (h->refused && n > 1) {
        h->step = 1; /* one of them is: which? */
    } else {
        rehearse_report_add(&h->report, h->list + h->at, n, result);
        h->at += n;
    }
    timer_after_us(h->next, 0);
}

/* -1: out of memory. */
static int take_ids(struct rehearse *h, const struct pg_result *ids)
{
    size_t n = (size_t)pg_result_rows(ids);
    h->items = calloc(n, sizeof(*h->items));
    h->list = calloc(n, sizeof(struct item *));
    if (h->items == NULL || h->list == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int row = (int)i;
        if (item_init(&h->items[i], pg_result_text(ids, row, 0), pg_result_len(ids, row, 0)) != 0)
            return -1;
        h->list[h->n++] = &h->items[i];
    }
    h->step = h->config->queue->nalso > 0 && n > ALSO_MOST ? ALSO_MOST : n;
    return 0;
}

static void on_due(void *arg, const struct pg_answer *answer)
{
    struct rehearse *h = arg;
    if (answer->status != PG_DONE)
        finish(h, answer->message);
    else if (pg_result_rows(answer->results[0]) == 0)
        finish(h, NOTHING);
    else if (take_ids(h, answer->results[0]) != 0)
        finish(h, "out of memory");
    else
        timer_after_us(h->next, 0);
}

/* In one go, or one at a time. */
static void read_bar(void *arg, struct bar *bar)
{
    const struct rehearse *h = arg;
    bar->queue = config_queues(h->config) > 1 ? h->config->queue->name : NULL;
    bar->phase = h->n > 0 ? "rehearsing" : "looking for what is due";
    bar->done = (int64_t)h->at;
    bar->total = h->step < h->n ? (int64_t)h->n : 0;
    bar->to = 1;
    bar->phase_began_us = h->began_us;
}

static void begin(struct queue_session *session, const char *error)
{
    struct rehearse *h = session->arg;
    char most[16];
    const char *params[] = {"0", most};
    const struct ask_query query = {
        .statement = STATEMENT_LATE_ROWS, .nparams = 2, .params = params};
    const struct ask_options options = {.statements = session->context.parts.statements,
                                        .clock = &session->context.parts.pg_clock,
                                        .link = session->link,
                                        .deadline_us = TIMEOUT_US,
                                        .reads = true};
    h->session = session;
    snprintf(most, sizeof(most), "%lld", (long long)h->config->rehearse);
    h->next = timer_new(session->context.parts.loop, go_on, h);
    h->began_us = clock_mono_us();
    h->progress = progress_new(session->context.parts.loop, read_bar, h);
    if (error != NULL)
        finish(h, error);
    else if (h->next == NULL || rehearse_report_begin(&h->report, h->config->queue, h->json) != 0)
        finish(h, "out of memory");
    else if (ask_send(&options, &query, 1, on_due, h) != 0)
        finish(h, LOST);
}

/* Before the loop that its timer is of goes. */
static void end(struct queue_session *session)
{
    struct rehearse *h = session->arg;
    timer_free(h->next);
    progress_free(h->progress);
    for (size_t i = 0; i < h->n; i++)
        item_clear(&h->items[i]);
    free(h->items);
    free(h->list);
}

int rehearse_run(const struct config *config)
{
    int status = EXIT_DONE;
    for (int i = 0; i < config_queues(config); i++) {
        const struct config *queue = config_queue(config, i);
        struct rehearse h = {.config = queue, .json = config->json || !isatty(STDOUT_FILENO)};
        const struct queue_session_work work = {"reservation-sweeper rehearsal", begin, end, &h};
        status = queue_session_worse(status, queue_session_run(queue, &work));
    }
    return status;
}
