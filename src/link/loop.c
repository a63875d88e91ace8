/* The event loop: a libevent base with precise timers.
 *
 * How it works. One thread, one base. Timers are one-shot events; signals arrive through libevent's
 * own pipe, as events like others. There are three priorities: what nobody else's time depends on
 * (HTTP) is the low one, and of its callbacks at most LOW_AT_ONCE run before the loop looks for
 * what is more urgent.
 *
 * What must hold:
 * - A timer counts from the moment at which it is armed. event_add counts from the time that was
 *   cached when the loop woke, so that is brought up to date first.
 * - A timer never fires inside the call that arms it, with a delay of 0 neither: on this rest all
 *   promises of a callback "on a later turn".
 * - A callback may free its own timer: nothing is done with the timer after it.
 * - What a callback logs is about the queue that its timer was made for (log_set_queue).
 * - Some libraries block the loop (a name server that is slow). Nobody was heard meanwhile, so a
 *   deadline of somebody else's answer is put off by as long as the loop was blocked since it was
 *   armed; other timers are not.
 * - SIGPIPE, which writing to a closed peer raises, is for main to ignore: it belongs to the
 *   process, not to one loop. A handled signal never falls back to its default. */
#include "link/loop.h"

#include "base/callback.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/outage.h"
#include "base/time_units.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>

#define LOW_AT_ONCE 4 /* callbacks of low priority between two looks for what is more urgent */

/* Longer delays are cut: nothing waits for a century, and timeval arithmetic stays in range. */
#define DELAY_MAX_US (100 * 365 * DAY_US)

struct signal_handler {
    struct event *event;
    event_cb *cb;
    void *arg;
    SLIST_ENTRY(signal_handler) next;
};

struct loop {
    struct event_base *base;
    SLIST_HEAD(signal_list, signal_handler) signals;
    int64_t blocked_us; /* in all */
};

struct timer {
    struct loop *loop;
    struct event *event;
    event_cb *cb;
    void *arg;
    const char *queue; /* of the log, when it was made */
    bool deadline;
    int64_t blocked_us; /* of the loop, when it was armed */
};

/* libevent would write to stderr by itself, between the records. */
static void on_library_message(int severity, const char *message)
{
    static struct outage problems; /* each in turn, and seldom again */
    enum log_level level = LOG_DEBUG;
    if (severity == EVENT_LOG_WARN)
        level = LOG_WARN;
    else if (severity == EVENT_LOG_ERR)
        level = LOG_ERROR;
    if (level != LOG_DEBUG && outage_on(&problems, message, true, clock_mono_us()) == OUTAGE_SILENT)
        return;
    log_event(level, "libevent reported a problem", LOG_STR, "error", message, LOG_END);
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config == NULL)
        return NULL;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0 &&
        event_config_set_max_dispatch_interval(config, NULL, LOW_AT_ONCE, LOOP_PRIORITY_LOW) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    /* By default an event has the middle one of the priorities. */
    if (base != NULL && event_base_priority_init(base, LOOP_PRIORITY_LOW + 1) != 0) {
        event_base_free(base);
        base = NULL;
    }
    return base;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return NULL;
    event_set_log_callback(on_library_message);
    SLIST_INIT(&loop->signals);
    loop->base = new_base();
    if (loop->base == NULL) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    struct signal_handler *handler;
    if (loop == NULL)
        return;
    while ((handler = SLIST_FIRST(&loop->signals)) != NULL) {
        SLIST_REMOVE_HEAD(&loop->signals, next);
        event_free(handler->event);
        free(handler);
    }
    if (loop->base != NULL)
        event_base_free(loop->base);
    free(loop);
}

int loop_run(struct loop *loop)
{
    return event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0 ? -1 : 0;
}

void loop_stop(struct loop *loop)
{
    /* loopexit lets the callbacks of this turn finish but needs memory; loopbreak does not. */
    if (event_base_loopexit(loop->base, NULL) != 0)
        (void)event_base_loopbreak(loop->base);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    struct signal_handler *handler = arg;
    (void)signo;
    (void)what;
    handler->cb(handler->arg);
}

static void on_signal_without_loop(int signo)
{
    (void)signo;
}

/* libevent puts back what it found when the event is freed. That must not be the default, by which
 * a second signal would kill a process that is on its way out with a status of its own. Blocked
 * meanwhile, so that none goes to the handler that does nothing before the loop's is there. */
static int add_signal(struct event *event, int signo)
{
    const struct sigaction nothing = {.sa_handler = on_signal_without_loop, .sa_flags = SA_RESTART};
    sigset_t blocked, before;
    int status;
    sigemptyset(&blocked);
    sigaddset(&blocked, signo);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    sigaction(signo, &nothing, NULL);
    status = event_add(event, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

int loop_on_signal(struct loop *loop, int signo, event_cb *cb, void *arg)
{
    struct signal_handler *handler = calloc(1, sizeof(*handler));
    if (handler == NULL)
        return -1;
    handler->cb = cb;
    handler->arg = arg;
    handler->event = evsignal_new(loop->base, signo, on_signal, handler);
    if (handler->event == NULL || add_signal(handler->event, signo) != 0) {
        if (handler->event != NULL)
            event_free(handler->event);
        free(handler);
        return -1;
    }
    SLIST_INSERT_HEAD(&loop->signals, handler, next);
    return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct timer *t = arg;
    int64_t blocked_us = t->loop->blocked_us - t->blocked_us;
    (void)fd;
    (void)what;
    if (t->deadline && blocked_us > 0) {
        timer_after_us(t, blocked_us);
        return;
    }
    const char *queue = log_set_queue(t->queue);
    t->cb(t->arg); /* may have freed t: nothing may be done with it */
    (void)log_set_queue(queue);
}

struct timer *timer_new(struct loop *loop, event_cb *cb, void *arg)
{
    struct timer *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->loop = loop;
    t->queue = log_queue();
    t->cb = cb;
    t->arg = arg;
    t->event = evtimer_new(loop->base, on_timer, t);
    if (t->event == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

struct timer *timer_new_deadline(struct loop *loop, event_cb *cb, void *arg)
{
    struct timer *t = timer_new(loop, cb, arg);
    if (t != NULL)
        t->deadline = true;
    return t;
}

void loop_blocked(struct loop *loop, int64_t us)
{
    loop->blocked_us += us;
}

void timer_free(struct timer *t)
{
    if (t == NULL)
        return;
    event_free(t->event);
    free(t);
}

void timer_after_us(struct timer *t, int64_t delay_us)
{
    struct timeval tv;
    if (delay_us < 0)
        delay_us = 0;
    if (delay_us > DELAY_MAX_US)
        delay_us = DELAY_MAX_US;
    t->blocked_us = t->loop->blocked_us;
    tv.tv_sec = (time_t)(delay_us / SECOND_US);
    tv.tv_usec = (suseconds_t)(delay_us % SECOND_US);
    /* event_add counts from the time that was cached when the loop woke. */
    (void)event_base_update_cache_time(t->loop->base);
    if (event_add(t->event, &tv) != 0)
        log_event(LOG_ERROR, "A timer could not be armed", LOG_STR, "error", "out of memory",
                  LOG_END);
}

void timer_soon(struct timer *t)
{
    t->blocked_us = t->loop->blocked_us;
    event_active(t->event, EV_TIMEOUT, 0);
}

void timer_at_us(struct timer *t, int64_t mono_us)
{
    int64_t now_us = clock_mono_us();
    timer_after_us(t, mono_us > now_us ? mono_us - now_us : 0);
}

void timer_clear(struct timer *t)
{
    (void)event_del(t->event);
}

bool timer_armed(const struct timer *t)
{
    return event_pending(t->event, EV_TIMEOUT, NULL) != 0;
}
