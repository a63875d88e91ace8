/* --reconcile: one full reconciliation sweep of each queue, one after the other, then the exit. */
#include "app/context.h"
#include "app/modes.h"
#include "app/progress.h"
#include "base/bar.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue_stock.h"
#include "config/queues.h"
#include "link/loop.h"
#include "reconcile/reconcile.h"
#include "release/announcer.h"
#include "release/pause.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_US (5 * SECOND_US)
#define MMAP_BYTES (128 * 1024)
#define TRIM_BYTES (8 * 1024 * 1024)

struct reconcile_mode {
    struct context context;
    struct reconcile *run;
    struct pause *pause;
    struct progress *progress; /* NULL: nobody looks */
    const char *queue;         /* NULL: there is only one */
    struct timer *connecting;  /* Redis's 5 s */
    struct reconcile_result result;
    bool signalled;
    bool ended; /* but for what is told of it */
    int status;
};

static void on_told(void *arg)
{
    const struct reconcile_mode *m = arg;
    loop_stop(m->context.parts.loop);
}

static void end(struct reconcile_mode *m, int status)
{
    m->status = status;
    m->ended = true;
    progress_free(m->progress);
    m->progress = NULL;
    announcer_flush(m->context.parts.announcer, on_told, m);
}

static void on_done(void *arg, const struct reconcile_result *result)
{
    struct reconcile_mode *m = arg;
    m->result = *result;
    m->result.error = "";
    if (!result->ok)
        end(m, EXIT_FAILED);
    else
        end(m, result->counts[COUNT_REMAINING] > 0 ? EXIT_INCONSISTENT : EXIT_DONE);
}

static void out_of_reach(struct reconcile_mode *m, const char *error)
{
    log_event(LOG_ERROR, "Redis is out of reach", LOG_STR, "redis", context_redis(&m->context),
              LOG_STR, "error", error, LOG_END);
    end(m, EXIT_FAILED);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct reconcile_mode *m = arg;
    const char *fault = context_redis_fault(&m->context);
    (void)reason;
    if (m->ended || reconcile_running(m->run))
        return;
    if (fault != NULL) {
        timer_clear(m->connecting);
        log_event(LOG_ERROR, "REDIS_URL names no Redis that can be used", LOG_STR, "error", fault,
                  LOG_STR, "redis", context_redis(&m->context), LOG_END);
        end(m, EXIT_USAGE);
    } else if (state == REDIS_LINK_UP) {
        timer_clear(m->connecting);
        pause_redis_changed(m->pause); /* known when what has expired has its turn */
        reconcile_run(m->run, NULL, on_done, m);
    }
}

static void on_connecting_over(void *arg)
{
    struct reconcile_mode *m = arg;
    const char *error = redis_link_last_error(m->context.parts.redis);
    out_of_reach(m, error[0] != '\0' ? error : "no answer within 5 s");
}

static void on_signal(void *arg)
{
    struct reconcile_mode *m = arg;
    m->signalled = true;
    if (m->ended)
        return; /* within a second */
    if (reconcile_running(m->run)) {
        reconcile_stop(m->run);
    } else {
        log_event(LOG_ERROR, "Stopped by a signal", LOG_END);
        end(m, EXIT_FAILED);
    }
}

static bool report_on_stdout(const struct config *config)
{
    return config->report != NULL && strcmp(config->report, "-") == 0;
}

/* Where the closing table goes: never among the report's lines. */
static FILE *terminal_for(const struct config *config)
{
    if (isatty(STDERR_FILENO))
        return stderr;
    return isatty(STDOUT_FILENO) && !report_on_stdout(config) ? stdout : NULL;
}

/* Nor does the progress. */
static bool shows_progress(const struct config *config)
{
    return progress_wanted() && !(report_on_stdout(config) && isatty(STDOUT_FILENO));
}

static void read_bar(void *arg, struct bar *bar)
{
    const struct reconcile_mode *m = arg;
    bar->queue = m->queue;
    reconcile_progress(m->run, bar);
}

/* The file of --report; false when it cannot be written. */
static bool open_report(const struct config *config, FILE **out)
{
    *out = NULL;
    if (config->report == NULL)
        return true;
    *out = strcmp(config->report, "-") == 0 ? stdout : fopen(config->report, "we");
    if (*out == NULL)
        fprintf(stderr, "reservation-sweeper: --report: \"%s\" cannot be written: %s\n",
                config->report, strerror(errno));
    return *out != NULL;
}

static int set_up(struct reconcile_mode *m, const struct config *config, FILE *report,
                  const char *stock_elsewhere)
{
    struct loop *loop = m->context.parts.loop;
    const struct reconcile_options options = {
        .dry_run = config->dry_run,
        .repair_stock = config->repair_stock,
        .max_repairs = config->max_repairs,
        .stock_elsewhere = stock_elsewhere,
        .report = report,
        .terminal = terminal_for(config),
        .shown = shows_progress(config),
    };
    m->pause = m->context.parts.pause = pause_new(&m->context.parts, NULL, NULL);
    m->run = reconcile_new(&m->context.parts, &options);
    if (m->run != NULL && options.shown)
        m->progress = progress_new(loop, read_bar, m);
    m->connecting = timer_new(loop, on_connecting_over, m);
    if (m->pause == NULL || m->run == NULL || m->connecting == NULL ||
        context_on_end(&m->context, on_signal, m) != 0) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        return -1;
    }
    return 0;
}

static void run_queue(struct reconcile_mode *m, const struct config *config, FILE *report,
                      const char *stock_elsewhere)
{
    m->status = EXIT_FAILED;
    if (context_open(&m->context, config, on_redis, m) != 0)
        return;
    if (set_up(m, config, report, stock_elsewhere) == 0) {
        timer_after_us(m->connecting, CONNECT_US);
        redis_link_start(m->context.parts.redis);
        if (loop_run(m->context.parts.loop) != 0)
            log_event(LOG_ERROR, "The event loop failed", LOG_END);
    }
    redis_link_stop(m->context.parts.redis);
    progress_free(m->progress);
    reconcile_free(m->run);
    timer_free(m->connecting);
    context_close_queue(&m->context);
    pause_free(m->pause);
    context_close(&m->context);
}

/* Of several queues the worst: a failure, then what is left. */
static int worse(int a, int b)
{
    if (a == EXIT_FAILED || b == EXIT_FAILED)
        return EXIT_FAILED;
    return a > b ? a : b;
}

/* The queue before this one with which its counters have been compared; NULL: none. */
static const char *compared_with(const struct config *config, int i, const bool done[])
{
    const struct queue *queue = config_queue(config, i)->queue;
    for (int j = 0; j < i; j++)
        if (done[j] && queue_compared_alike(config_queue(config, j)->queue, queue))
            return config_queue(config, j)->queue->name;
    return NULL;
}

static void add(struct reconcile_result *sum, const struct reconcile_result *result)
{
    sum->ok = sum->ok && result->ok;
    sum->duration_ms += result->duration_ms;
    for (int i = 0; i < COUNTS; i++)
        sum->counts[i] += result->counts[i];
    if (result->stock_unchecked != NULL)
        sum->stock_unchecked = result->stock_unchecked;
}

/* Each of the queues, one after the other; what becomes of one does not matter to the next. */
static int run_queues(const struct config *config, FILE *report)
{
    struct reconcile_result sum = {.ok = true, .error = "", .dry_run = config->dry_run};
    int n = config_queues(config), status = EXIT_DONE;
    bool compared[QUEUES_MAX] = {false}, any = false;
    bool stopped = false;
    for (int i = 0; i < n && !stopped; i++) {
        struct reconcile_mode m = {0};
        const struct config *own = config_queue(config, i);
        const char *queue = log_set_queue(own->queue->name);
        m.queue = n > 1 ? own->queue->name : NULL;
        if (n > 1 && terminal_for(config) != NULL)
            fprintf(terminal_for(config), "%s\n", own->queue->name);
        run_queue(&m, own, report, compared_with(config, i, compared));
        (void)log_set_queue(queue);
        status = worse(status, m.status);
        stopped = m.signalled;
        add(&sum, &m.result);
        compared[i] = m.result.ok && !m.result.stock_uncounted;
        any = any || (compared[i] && own->queue->stock.table.name != NULL);
    }
    sum.stock_uncounted = sum.stock_unchecked != NULL && !any;
    if (n > 1 && sum.ok)
        reconcile_log_completed(&sum);
    return status;
}

int reconcile_mode_run(const struct config *config)
{
    FILE *report;
    int status;
    /* Fixed, else the library raises it, and the pages' buffers tear holes into the heap. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    /* What one of Postgres's answers leaves, the next one takes again. */
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    if (!open_report(config, &report))
        return EXIT_USAGE;
    status = run_queues(config, report);
    if (report != NULL && report != stdout && fclose(report) != 0 && status != EXIT_FAILED) {
        log_event(LOG_ERROR, "The report could not be written", LOG_STR, "error", strerror(errno),
                  LOG_END);
        status = EXIT_FAILED;
    }
    return status;
}
