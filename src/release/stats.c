/* Counters and histograms of this process. */
#include "release/stats.h"

#include <string.h>

static const double lateness_bounds[] = {0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02,
                                         0.05,   0.1,   0.25,  0.5,   1,     2.5,  5,
                                         10,     30,    60,    120,   300};
static const double batch_bounds[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                      0.1,    0.2,   0.5,   1,     2,    5,    10};
static const double request_bounds[] = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
                                        0.02,   0.05,   0.1,    0.2,   0.5,   1};
static const double size_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

_Static_assert(COUNT_OF(lateness_bounds) <= STATS_BUCKETS, "room for each bucket");

void stats_init(struct stats *s)
{
    memset(s, 0, sizeof(*s));
    /* A counter that has drifted, by far the most common refusal, is there from the beginning: so
     * that already the first one is an increase. */
    memcpy(s->failed[0].sqlstate, "23514", 6);
    s->lateness_s =
        (struct stats_histogram){.bounds = lateness_bounds, .nbounds = COUNT_OF(lateness_bounds)};
    s->batch_s =
        (struct stats_histogram){.bounds = batch_bounds, .nbounds = COUNT_OF(batch_bounds)};
    s->batch_size =
        (struct stats_histogram){.bounds = size_bounds, .nbounds = COUNT_OF(size_bounds)};
    s->redis_request_s =
        (struct stats_histogram){.bounds = request_bounds, .nbounds = COUNT_OF(request_bounds)};
}

void stats_observe(struct stats_histogram *h, double value)
{
    size_t i = 0;
    while (i < h->nbounds && value > h->bounds[i])
        i++;
    h->counts[i]++;
    h->n++;
    h->sum += value;
}

void stats_failed(struct stats *s, const char *sqlstate)
{
    for (size_t i = 0; i < STATS_SQLSTATES - 1; i++) {
        if (s->failed[i].sqlstate[0] == '\0')
            memcpy(s->failed[i].sqlstate, sqlstate, strnlen(sqlstate, 5) + 1);
        if (strcmp(s->failed[i].sqlstate, sqlstate) == 0) {
            s->failed[i].count++;
            return;
        }
    }
    memcpy(s->failed[STATS_SQLSTATES - 1].sqlstate, "other", 6);
    s->failed[STATS_SQLSTATES - 1].count++;
}

uint64_t stats_failed_total(const struct stats *s)
{
    uint64_t total = 0;
    for (size_t i = 0; i < STATS_SQLSTATES; i++)
        total += s->failed[i].count;
    return total;
}
