/* The readings of the queues file after the start. */
#include "app/readings.h"

#include "app/queue_run.h"
#include "app/servers.h"
#include "config/config.h"
#include "config/queues.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A file as it was read once. */
struct reading {
    struct reading *next;
    struct config config;
};

static void reading_free(struct reading *reading)
{
    config_reload_clear(&reading->config);
    free(reading);
}

int readings_add(struct readings *r, const struct config *config, char *error, size_t size)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    if (reading == NULL) {
        snprintf(error, size, "out of memory");
        return -1;
    }
    if (config_reload(&reading->config, config, error, size) != 0) {
        reading_free(reading);
        return -1;
    }
    reading->next = r->latest;
    r->latest = reading;
    return 0;
}

const struct config *readings_latest(const struct readings *r)
{
    return &r->latest->config;
}

static bool is_of(const struct reading *reading, const struct config *config)
{
    for (int i = 0; i < config_queues(&reading->config); i++)
        if (config_queue(&reading->config, i) == config)
            return true;
    return false;
}

static bool is_used(const struct reading *reading, const struct queue_runs *queues,
                    const struct servers *servers)
{
    for (int i = 0; i < queues->n; i++)
        if (is_of(reading, queue_run_config(queues->all[i])))
            return true;
    for (const struct database *d = servers->databases; d != NULL; d = d->next)
        if (is_of(reading, d->config))
            return true;
    return false;
}

void readings_free_unused(struct readings *r, const struct queue_runs *queues,
                          const struct servers *servers)
{
    struct reading **at = &r->latest;
    while (*at != NULL) {
        struct reading *reading = *at;
        if (is_used(reading, queues, servers)) {
            at = &reading->next;
        } else {
            *at = reading->next;
            reading_free(reading);
        }
    }
}

void readings_clear(struct readings *r)
{
    for (struct reading *reading = r->latest, *next; reading != NULL; reading = next) {
        next = reading->next;
        reading_free(reading);
    }
    r->latest = NULL;
}
