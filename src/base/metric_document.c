/* docs/METRICS.md, from the table. */
#include "base/metric_table.h"

static void put_row(FILE *out, const struct metric *metric)
{
    fprintf(out, "| `%s", metric->name);
    for (int i = 0; metric->labels[i] != NULL; i++)
        fprintf(out, "%s%s%s", i == 0 ? "{" : ",", metric->labels[i],
                metric->labels[i + 1] == NULL ? "}" : "");
    fprintf(out, "` | %s | %s | %s |\n", metrics_type_name(metric->type), metric->help,
            metric->meaning);
}

void metrics_print_document(FILE *out)
{
    fputs("# Metrics\n"
          "\n"
          "`GET /metrics` answers in Prometheus's text format. `make docs` writes this page from "
          "the table\n"
          "that the program itself uses (`src/base/metric_table.c`); a test compares both. Times "
          "are in\n"
          "seconds. What is not known yet has its family and no value.\n"
          "\n"
          "Alerts that use them are in [deploy/prometheus](../deploy/prometheus/), a dashboard is "
          "in\n"
          "[deploy/grafana](../deploy/grafana/).\n"
          "\n"
          "| metric | type | help | meaning |\n"
          "| --- | --- | --- | --- |\n",
          out);
    for (int i = 0; i < METRICS_N; i++)
        put_row(out, &metric_table[i]);
}
