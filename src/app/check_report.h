/* What --check-config says: one line on stdout for each thing looked at, the parts that have come
 * to their end, and the first failure, which becomes the ERROR record. */
#ifndef RS_CHECK_REPORT_H
#define RS_CHECK_REPORT_H

#include "base/callback.h"

#include <stdbool.h>

struct loop;
struct timer;

/* The parts, one after the other; each reports its own end. The first two are of all queues. */
enum check_part {
    CHECK_HTTP,
    CHECK_REDIS,
    CHECK_KEYS, /* those of the queue in Redis */
    CHECK_POSTGRES,
    CHECK_PARTS,
};

struct check_report {
    bool done[CHECK_PARTS];
    int failures;
    bool misused;      /* one of them is a setting that cannot be meant so */
    char failure[512]; /* the first one; "": none */
    struct timer *turn;
};

/* go_on(arg) fires on a later turn when parts are done. Returns 0, or -1: out of memory or
 * descriptors. To be cleared in both cases. */
int check_report_init(struct check_report *r, struct loop *loop, event_cb *go_on, void *arg)
    __attribute__((warn_unused_result));
/* NULL parts are legal: also after a failure of check_report_init. */
void check_report_clear(struct check_report *r);

/* A thing that is as it should be; advice; what keeps the sweeper from its work, with what to do.
 */
void check_ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_fail(struct check_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds what another report has of failures. */
void check_report_add(struct check_report *all, const struct check_report *r);

/* Nothing more comes from this part. */
void check_done(struct check_report *r, enum check_part part);

/* The first part that is not done; CHECK_PARTS: all are. */
enum check_part check_report_part(const struct check_report *r);

#endif
