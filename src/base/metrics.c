/* Prometheus's text exposition format. */
#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metrics {
    FILE *out;
    char *text;
    size_t len;
    const struct metric *family;
    FILE *label_out; /* the labels of the next value */
    char *labels;
    size_t labels_len;
    int nlabels;
    bool failed; /* out of memory */
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    m->out = open_memstream(&m->text, &m->len);
    m->label_out = open_memstream(&m->labels, &m->labels_len);
    if (m->out == NULL || m->label_out == NULL) {
        metrics_free(m);
        return NULL;
    }
    return m;
}

void metrics_free(struct metrics *m)
{
    if (m == NULL)
        return;
    if (m->out != NULL)
        fclose(m->out);
    if (m->label_out != NULL)
        fclose(m->label_out);
    free(m->text);
    free(m->labels);
    free(m);
}

void metrics_family(struct metrics *m, enum metric_id id)
{
    assert(id < METRICS_N && m->nlabels == 0);
    m->family = &metric_table[id];
    fprintf(m->out, "# HELP %s %s\n# TYPE %s %s\n", m->family->name, m->family->help,
            m->family->name, metrics_type_name(m->family->type));
}

static void put_label(struct metrics *m, const char *name, const char *value)
{
    fprintf(m->label_out, "%s%s=\"", m->nlabels++ == 0 ? "{" : ",", name);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            fputs("\\n", m->label_out);
        else if (*value == '"' || *value == '\\')
            fprintf(m->label_out, "\\%c", *value);
        else
            fputc(*value, m->label_out);
    }
    fputc('"', m->label_out);
}

void metrics_label(struct metrics *m, const char *name, const char *value)
{
    assert(m->nlabels < METRIC_LABELS_MAX);
    assert(m->family->labels[m->nlabels] != NULL &&
           strcmp(m->family->labels[m->nlabels], name) == 0);
    put_label(m, name, value);
}

/* As short as it can be without losing anything. */
static void put_number(FILE *out, double value)
{
    char text[40];
    if (isnan(value)) {
        fputs("NaN", out);
        return;
    }
    if (isinf(value)) {
        fputs(value > 0 ? "+Inf" : "-Inf", out);
        return;
    }
    snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof(text), "%.17g", value);
    fputs(text, out);
}

static void put_sample(struct metrics *m, const char *suffix, double value)
{
    fprintf(m->out, "%s%s", m->family->name, suffix);
    if (m->nlabels > 0) {
        fflush(m->label_out);
        fprintf(m->out, "%.*s}", (int)m->labels_len, m->labels);
        rewind(m->label_out);
        m->nlabels = 0;
    }
    fputc(' ', m->out);
    put_number(m->out, value);
    fputc('\n', m->out);
}

void metrics_value(struct metrics *m, double value)
{
    assert(m->family->type != METRICS_HISTOGRAM && m->family->labels[m->nlabels] == NULL);
    put_sample(m, "", value);
}

void metrics_single(struct metrics *m, enum metric_id id, double value)
{
    metrics_family(m, id);
    metrics_value(m, value);
}

/* The labels that were given, for each of the samples. */
static void put_labels_again(struct metrics *m, const char *labels, int nlabels)
{
    fputs(labels, m->label_out);
    m->nlabels = nlabels;
}

void metrics_histogram(struct metrics *m, const double *bounds, size_t nbounds,
                       const uint64_t *counts, double sum)
{
    uint64_t n = 0;
    int nlabels = m->nlabels;
    assert(m->family->type == METRICS_HISTOGRAM && m->family->labels[nlabels] == NULL);
    bool whole = fflush(m->label_out) == 0 && m->labels != NULL;
    char *labels = whole ? strndup(m->labels, nlabels > 0 ? m->labels_len : 0) : NULL;
    rewind(m->label_out);
    if (labels == NULL) {
        m->failed = true;
        m->nlabels = 0;
        return;
    }
    for (size_t i = 0; i <= nbounds; i++) {
        char bound[40];
        n += counts[i];
        snprintf(bound, sizeof(bound), "%.15g", i < nbounds ? bounds[i] : 0);
        put_labels_again(m, labels, nlabels);
        put_label(m, "le", i < nbounds ? bound : "+Inf");
        put_sample(m, "_bucket", (double)n);
    }
    put_labels_again(m, labels, nlabels);
    put_sample(m, "_sum", sum);
    put_labels_again(m, labels, nlabels);
    put_sample(m, "_count", (double)n);
    free(labels);
}

char *metrics_finish(struct metrics *m, size_t *len)
{
    int failed = (m->failed ? 1 : 0) | ferror(m->out) | ferror(m->label_out);
    failed |= fclose(m->out);
    m->out = NULL;
    char *text = m->text;
    *len = m->len;
    m->text = NULL;
    metrics_free(m);
    if (failed == 0)
        return text;
    free(text);
    return NULL;
}
