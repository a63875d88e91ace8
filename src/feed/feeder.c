/* The feeder's role, asked for and given back. */
#include "feed/feeder.h"

#include "base/log.h"
#include "base/time_units.h"
#include "queue/due_queue.h"
#include "release/parts.h"

#include <stdlib.h>

#define ROLE "feeder"
#define AWAY "Redis went away"

struct feeder {
    struct parts *parts;
    struct feeder_options options;
    char holder[DUE_HOLDER_SIZE]; /* who we are */
};

struct feeder *feeder_new(struct parts *parts, const struct feeder_options *options)
{
    struct feeder *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->parts = parts;
    r->options = *options;
    due_holder_name(r->holder);
    return r;
}

void feeder_free(struct feeder *r)
{
    free(r);
}

static void on_role(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    struct feeder *r = arg;
    (void)remaining_ms;
    (void)owner;
    r->options.on_role(r->options.arg, ours && error == NULL, error);
}

void feeder_ask(struct feeder *r)
{
    int64_t ttl_ms = r->options.interval_us * 5 / 4 / MS_US + SECOND_MS;
    if (due_queue_role(r->parts->queue, ROLE, r->holder, ttl_ms, on_role, r) != 0)
        r->options.on_role(r->options.arg, false, AWAY);
}

static void on_resigned(void *arg, const char *error)
{
    struct feeder *r = arg;
    if (error != NULL)
        log_event(LOG_DEBUG, "The feeder's role is left to its lease", LOG_STR, "error", error,
                  LOG_END);
    r->options.on_resigned(r->options.arg);
}

void feeder_resign(struct feeder *r)
{
    if (due_queue_role_release(r->parts->queue, ROLE, r->holder, on_resigned, r) != 0)
        on_resigned(r, AWAY);
}
