/* --status on a terminal. */
#ifndef RS_STATUS_TABLE_H
#define RS_STATUS_TABLE_H

#include <stdio.h>

struct health_report;

void status_table_print(const struct health_report *report, FILE *out);

#endif
