/* The part of --check-config that looks at the database. */
#ifndef RS_CHECK_POSTGRES_H
#define RS_CHECK_POSTGRES_H

#include "app/check_ask.h"

/* The link of c, which has its context, config and report too, is up: begins, once. */
void check_postgres_begin(struct check_database *c);

/* Frees what the steps keep. */
void check_postgres_clear(struct check_database *c);

#endif
