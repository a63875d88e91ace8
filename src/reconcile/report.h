/* What a reconciliation says: a line for each finding, its progress, its end. */
#ifndef RS_RECONCILE_REPORT_H
#define RS_RECONCILE_REPORT_H

#include "reconcile/findings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct reconcile;

/* There is a --report: before what a line costs is spent. */
bool report_wanted(const struct reconcile *r);

/* One line of the report, of a reservation's id or a product's key, which may be any bytes. Takes
 * expected and found over (NULL: null). done: what was done about it. Only when report_wanted; the
 * run fails when it cannot be written. */
void report_finding(struct reconcile *r, enum finding finding, const char *id, size_t id_len,
                    json_t *expected, json_t *found, const char *done);

/* The line of a row that query number `query`, from 1, of `verify` found. Takes row over. Only when
 * report_wanted. */
void report_verify(struct reconcile *r, int query, json_t *row);

/* The line that says why counters are not compared. Only when report_wanted. */
void report_unchecked(struct reconcile *r);

/* The record of how far this phase has come. */
void report_progress(const struct reconcile *r, const char *phase);

/* The closing record and table, with which the result is complete: ok and error. */
void report_end(struct reconcile *r);

#endif
