/* Prometheus's text exposition format (version 0.0.4), as text under construction.
 *
 *   metrics_family(m, "shop_released_total", METRICS_COUNTER, "Reservations released.");
 *   metrics_label(m, "reason", "expired");
 *   metrics_value(m, 3);
 *
 * A failure (out of memory) is kept until metrics_finish. */
#ifndef RS_METRICS_H
#define RS_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct metrics;

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics *metrics_new(void);    /* NULL: out of memory */
void metrics_free(struct metrics *m); /* NULL is legal */

/* Begins a family; help is one line. The name is to be kept until the next one. */
void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help);

/* A label of the next value; any bytes. */
void metrics_label(struct metrics *m, const char *name, const char *value);
void metrics_value(struct metrics *m, double value);

/* All of a histogram, in a family of its own: counts[i] are the observations of bucket i alone, the
 * one after the last bound being those beyond it. */
void metrics_histogram(struct metrics *m, const double *bounds, size_t nbounds,
                       const uint64_t *counts, double sum);

/* The conventional process_* of this process, from /proc; what cannot be read is left out. */
void metrics_process(struct metrics *m);

/* The text, malloc'd, with its length; frees m. NULL: out of memory. */
char *metrics_finish(struct metrics *m, size_t *len);

#endif
