/* When a fault that lasts is said. */
#include "base/outage.h"

#include "base/hash.h"
#include "base/time_units.h"

#include <stdio.h>
#include <string.h>

#define BLIP_US (500 * MS_US)
#define ERROR_US (30 * SECOND_US)
#define AGAIN_US (300 * SECOND_US)
#define QUIET_US MINUTE_US        /* well for so long: the next one is a new one */
#define RELAPSE_US SECOND_US      /* doubled with each relapse, up to ERROR_US */
#define ALONE_US (10 * SECOND_US) /* a reason said before has stood alone for so long */
#define SAME_AGAIN_US (30 * SECOND_US)
#define OFTEN 5 /* short ones within AGAIN_US */

/* Where the reason stands among those that were said; nreasons: nowhere. */
static int find_reason(const struct outage *o, uint64_t hash)
{
    int i = 0;
    while (i < o->nreasons && o->reasons[i].hash != hash)
        i++;
    return i;
}

static int64_t first_wait_us(const struct outage *o)
{
    int64_t wait_us = RELAPSE_US;
    if (find_reason(o, hash_without_digits(o->reason)) == o->nreasons &&
        o->nreasons < OUTAGE_REASONS)
        return o->lasting ? 0 : BLIP_US;
    for (unsigned i = 0; i < o->relapses && wait_us < ERROR_US; i++)
        wait_us *= 2;
    return wait_us < ERROR_US ? wait_us : ERROR_US;
}

static bool reason_is_due(const struct outage *o, int64_t now_us)
{
    uint64_t hash = hash_without_digits(o->reason);
    int i = find_reason(o, hash);
    if (hash == o->said_reason)
        return false;
    if (i == o->nreasons && o->nreasons < OUTAGE_REASONS)
        return true;
    return now_us - o->changed_us >= ALONE_US &&
           (i == o->nreasons || now_us - o->reasons[i].said_us >= SAME_AGAIN_US);
}

static bool is_due(const struct outage *o, int64_t now_us)
{
    if (o->said_us == 0)
        return o->lasted_us >= first_wait_us(o);
    return (o->lasted_us >= ERROR_US && !o->raised) || now_us - o->said_us >= AGAIN_US ||
           reason_is_due(o, now_us);
}

static enum outage_say say(struct outage *o, int64_t now_us)
{
    uint64_t hash = hash_without_digits(o->reason);
    int i = find_reason(o, hash);
    if (i < OUTAGE_REASONS) {
        o->reasons[i].hash = hash;
        o->reasons[i].said_us = now_us;
        if (i == o->nreasons)
            o->nreasons++;
    }
    o->said_reason = hash;
    o->said_us = now_us;
    o->raised = o->lasted_us >= ERROR_US;
    return o->raised ? OUTAGE_ERROR : OUTAGE_WARN;
}

enum outage_say outage_check(struct outage *o, int64_t now_us)
{
    if (o->since_us == 0)
        return OUTAGE_SILENT;
    o->lasted_us = now_us - o->since_us;
    return is_due(o, now_us) ? say(o, now_us) : OUTAGE_SILENT;
}

enum outage_say outage_on(struct outage *o, const char *reason, bool lasting, int64_t now_us)
{
    uint64_t before = hash_without_digits(o->reason);
    if (o->since_us == 0) {
        if (o->ended_us == 0 || now_us - o->ended_us >= QUIET_US) {
            o->nreasons = 0;
            o->relapses = 0;
        }
        o->since_us = now_us;
        o->said_us = 0;
        o->raised = false;
        o->lasting = false;
        o->changed_us = now_us;
    }
    o->lasting = o->lasting || lasting;
    snprintf(o->reason, sizeof(o->reason), "%s", reason);
    if (hash_without_digits(o->reason) != before)
        o->changed_us = now_us;
    return outage_check(o, now_us);
}

/* It was not worth a record: whether there are many of them is. */
static enum outage_say count_brief(struct outage *o, int64_t now_us)
{
    if (o->counted == 0 || (o->counted < OFTEN && now_us - o->counted_since_us > AGAIN_US)) {
        o->counted = 0;
        o->counted_since_us = now_us;
    }
    o->counted++;
    if (o->counted < OFTEN || (o->often_us != 0 && now_us - o->often_us < AGAIN_US))
        return OUTAGE_SILENT;
    o->brief = o->counted;
    o->brief_us = now_us - o->counted_since_us;
    o->counted = 0;
    o->often_us = now_us;
    return OUTAGE_OFTEN;
}

enum outage_say outage_off(struct outage *o, int64_t now_us)
{
    bool brief;
    if (o->since_us == 0)
        return OUTAGE_SILENT;
    o->lasted_us = now_us - o->since_us;
    brief = o->said_us == 0 && o->lasted_us < first_wait_us(o);
    o->since_us = 0;
    o->ended_us = now_us;
    if (brief)
        return count_brief(o, now_us);
    o->relapses++;
    return OUTAGE_OVER;
}
