/* Prometheus's text exposition format (version 0.0.4), as text under construction.
 *
 *   metrics_family(m, METRIC_DISCARDED);
 *   metrics_label(m, "reason", "missing");
 *   metrics_value(m, 3);
 *
 * A failure (out of memory) is kept until metrics_finish. */
#ifndef RS_METRICS_H
#define RS_METRICS_H

#include "base/metric_table.h"

#include <stddef.h>
#include <stdint.h>

struct metrics;

struct metrics *metrics_new(void);    /* NULL: out of memory */
void metrics_free(struct metrics *m); /* NULL is legal */

/* Begins a family of the table (metric_table.h). */
void metrics_family(struct metrics *m, enum metric_id id);

/* A label of the next value: name is the family's next one, by the table; value is any bytes. */
void metrics_label(struct metrics *m, const char *name, const char *value);

/* A sample of the family, with all of its labels given before. */
void metrics_value(struct metrics *m, double value);

/* A family of one value without labels. */
void metrics_single(struct metrics *m, enum metric_id id, double value);

/* All samples of a histogram, each with the labels given before: counts[i] are the observations of
 * bucket i alone, the one after the last bound being those beyond it. */
void metrics_histogram(struct metrics *m, const double *bounds, size_t nbounds,
                       const uint64_t *counts, double sum);

/* The conventional process_* of this process, from /proc; what cannot be read is left out. */
void metrics_process(struct metrics *m);

/* The text, malloc'd, with its length; frees m. NULL: out of memory. */
char *metrics_finish(struct metrics *m, size_t *len);

#endif
