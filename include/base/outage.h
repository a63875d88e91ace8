/* When a fault that lasts is said, so that the log has it from its first second to its end and is
 * never flooded: WARN when it begins, ERROR after 30 s, ERROR again every five minutes, at once
 * when the reason becomes another, and once when it is over. For servers out of reach and for
 * whatever else fails again and again. Pure: the clock is passed in, and the caller writes the
 * record.
 *
 * What is over before it was worth a record (a connection that the server ends and takes again at
 * once) is counted, and logged every five minutes if there is much of it. A fault that comes back
 * within a minute is said later and later. A reason that has been said before is said again only
 * when it has stood alone for a while: two that alternate are no storm. */
#ifndef RS_OUTAGE_H
#define RS_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#define OUTAGE_REASONS 8
#define OUTAGE_REASON_MAX 256

enum outage_say {
    OUTAGE_SILENT,
    OUTAGE_WARN,  /* it has begun, or has another reason now */
    OUTAGE_ERROR, /* it has lasted 30 s; from then on all of its records are this */
    OUTAGE_OVER,  /* it has ended: after a WARN or ERROR, or when nobody looked meanwhile */
    OUTAGE_OFTEN, /* many short ones, each over before it was said: `brief` in `brief_us` */
};

/* Zeroed, it is a server that is well. Readable for the record: reason, lasted_us, brief,
 * brief_us. */
struct outage {
    int64_t since_us;               /* 0: there is none */
    int64_t said_us;                /* the last record of it; 0: none yet */
    bool raised;                    /* that was an ERROR */
    bool lasting;                   /* more than a blip, by what the caller knows */
    char reason[OUTAGE_REASON_MAX]; /* the last one */
    int64_t changed_us;             /* since when it is this one */
    uint64_t said_reason;
    int64_t lasted_us; /* up to the last look */

    struct {
        uint64_t hash; /* the reason, its digits left out */
        int64_t said_us;
    } reasons[OUTAGE_REASONS]; /* that have been said */
    int nreasons;

    int64_t ended_us;
    unsigned relapses; /* records of an end, each within a minute of the next beginning */

    unsigned counted; /* short ones that have not been said */
    int64_t counted_since_us;
    int64_t often_us; /* when they were said last; 0: never */
    unsigned brief;   /* with OUTAGE_OFTEN: how many, within how long */
    int64_t brief_us;
};

/* It is so: begins the outage or goes on with it. lasting: something was tried and failed, which is
 * more than a loss that may be over at once. now_us is monotonic and above 0, here and below. */
enum outage_say outage_on(struct outage *o, const char *reason, bool lasting, int64_t now_us);

/* Time has gone by: to be called about every half second while it lasts. */
enum outage_say outage_check(struct outage *o, int64_t now_us);

/* It is over; harmless when there was none. */
enum outage_say outage_off(struct outage *o, int64_t now_us);

#endif
