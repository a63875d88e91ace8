/* Sessions of sweepers that are cut off in the middle of a transaction. */
#include "release/cut_off.h"

#include "base/log.h"
#include "link/pg_link.h"

#include <stdbool.h>
#include <stdio.h>

enum { PID, USER, APPLICATION, SECONDS, ENDED, COLUMNS };

/* It may be at work: of many each has the lock for a moment. */
static void note_other(struct cut_off *c, const struct pg_result *r, int row, int64_t now_us)
{
    int32_t pid = (int32_t)pg_result_int(r, row, PID);
    if (c->pid != pid) {
        c->pid = pid;
        c->since_us = now_us;
    }
    if (now_us - c->since_us < CUT_OFF_US)
        return;
    char who[OUTAGE_REASON_MAX];
    (void)snprintf(who, sizeof(who), "pid %d, user \"%s\", application \"%s\"", (int)pid,
                   pg_result_text(r, row, USER), pg_result_text(r, row, APPLICATION));
    enum outage_say say = outage_on(&c->outage, who, true, now_us);
    if (say == OUTAGE_WARN || say == OUTAGE_ERROR)
        log_event(say == OUTAGE_ERROR ? LOG_ERROR : LOG_WARN,
                  "A session that this role may not end has the lock of releases", LOG_INT,
                  "blockerPid", (int64_t)pid, LOG_STR, "blockerUser", pg_result_text(r, row, USER),
                  LOG_STR, "blockerApplication", pg_result_text(r, row, APPLICATION), LOG_INT,
                  "awaySeconds", (now_us - c->since_us) / SECOND_US, LOG_END);
}

static void note_nobody(struct cut_off *c, int64_t now_us)
{
    if (outage_off(&c->outage, now_us) == OUTAGE_OVER)
        log_event(LOG_INFO,
                  "No session that this role may not end has the lock of releases any more",
                  LOG_INT, "awaySeconds", (now_us - c->since_us) / SECOND_US, LOG_END);
    c->pid = 0;
}

void cut_off_note(struct cut_off *c, const struct pg_result *r, int64_t now_us)
{
    bool other = false;
    if (pg_result_columns(r) != COLUMNS)
        return;
    for (int row = 0; row < pg_result_rows(r); row++) {
        if (pg_result_null(r, row, ENDED)) {
            note_other(c, r, row, now_us);
            other = true;
        } else if (pg_result_text(r, row, ENDED)[0] == 't') {
            log_event(LOG_WARN,
                      "A sweeper did not go on with a transaction that it had begun to send: its "
                      "session was ended",
                      LOG_INT, "blockerPid", pg_result_int(r, row, PID), LOG_STR,
                      "blockerApplication", pg_result_text(r, row, APPLICATION), LOG_INT,
                      "transactionSeconds", pg_result_int(r, row, SECONDS), LOG_END);
        }
    }
    if (!other)
        note_nobody(c, now_us);
}

bool cut_off_unknown(const struct cut_off *c)
{
    return c->pid != 0;
}
