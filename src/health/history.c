/* The last hour, minute by minute: a ring. */
#include "health/history.h"

#include "base/time_units.h"

#include <assert.h>
#include <string.h>

static struct history_minute *of_minute(struct history *h, int64_t minute)
{
    return &h->minutes[minute % HISTORY_MINUTES];
}

/* Makes room for all minutes up to this one. */
static void go_to(struct history *h, int64_t minute)
{
    int64_t fresh =
        h->begun && minute - h->last < HISTORY_MINUTES ? h->last + 1 : minute - HISTORY_MINUTES + 1;
    if (!h->begun)
        h->first = minute;
    for (int64_t m = fresh > 0 ? fresh : 0; m <= minute; m++)
        *of_minute(h, m) = (struct history_minute){.overdue_us = 0};
    h->begun = true;
    h->last = minute;
    if (h->first <= minute - HISTORY_MINUTES)
        h->first = minute - HISTORY_MINUTES + 1;
}

void history_note(struct history *h, const struct stats_histogram *lateness, int64_t overdue_us,
                  int64_t mono_us)
{
    int64_t minute = mono_us / MINUTE_US;
    assert(!h->begun || minute >= h->last);
    if (!h->begun || minute > h->last)
        go_to(h, minute);
    struct history_minute *now = of_minute(h, minute);
    for (size_t i = 0; i <= lateness->nbounds; i++)
        now->counts[i] += lateness->counts[i] - h->seen[i];
    memcpy(h->seen, lateness->counts, sizeof(h->seen));
    if (overdue_us > now->overdue_us)
        now->overdue_us = overdue_us;
}

static void add(struct history_minute *sum, const struct history_minute *m)
{
    for (size_t i = 0; i <= STATS_BUCKETS; i++)
        sum->counts[i] += m->counts[i];
    if (m->overdue_us > sum->overdue_us)
        sum->overdue_us = m->overdue_us;
}

void history_add(struct history *sum, const struct history *h)
{
    if (!h->begun)
        return;
    if (!sum->begun || h->last > sum->last)
        go_to(sum, h->last);
    int64_t oldest = sum->last - HISTORY_MINUTES + 1;
    int64_t from = h->first > oldest ? h->first : oldest;
    for (int64_t m = from; m <= h->last; m++)
        add(of_minute(sum, m), &h->minutes[m % HISTORY_MINUTES]);
    if (from < sum->first)
        sum->first = from;
}

int history_minutes(const struct history *h)
{
    return h->begun ? (int)(h->last - h->first) + 1 : 0;
}

const struct history_minute *history_at(const struct history *h, int i)
{
    assert(i >= 0 && i < history_minutes(h));
    return &h->minutes[(h->first + i) % HISTORY_MINUTES];
}

struct history_minute history_hour(const struct history *h)
{
    struct history_minute sum = {.overdue_us = 0};
    for (int i = 0; i < history_minutes(h); i++)
        add(&sum, history_at(h, i));
    return sum;
}

uint64_t history_released(const struct history_minute *m)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= STATS_BUCKETS; i++)
        n += m->counts[i];
    return n;
}

double history_quantile_s(const struct history_minute *m, const struct stats_histogram *lateness,
                          double part)
{
    double rank = part * (double)history_released(m), below = 0;
    for (size_t i = 0; i < lateness->nbounds; i++) {
        double lower = i > 0 ? lateness->bounds[i - 1] : 0, here = (double)m->counts[i];
        if (here > 0 && below + here >= rank)
            return lower + (lateness->bounds[i] - lower) * (rank - below) / here;
        below += here;
    }
    return below < rank ? lateness->bounds[lateness->nbounds - 1] : 0;
}
