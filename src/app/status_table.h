/* --status on a terminal. */
#ifndef RS_STATUS_TABLE_H
#define RS_STATUS_TABLE_H

#include <stdio.h>

struct health_report;

/* Writes it, a line for each thing, with the control characters of foreign texts as "?". */
void status_table_print(const struct health_report *report, FILE *out);

#endif
