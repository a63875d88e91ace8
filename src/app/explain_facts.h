/* What the servers say of one reservation of one queue: what --explain shows, and judges. */
#ifndef RS_EXPLAIN_FACTS_H
#define RS_EXPLAIN_FACTS_H

#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "release/failed_record.h"
#include "release/locked.h"
#include "release/pause_record.h"

#include <stdbool.h>
#include <stdint.h>

struct config;

#define EXPLAIN_HOLDS_MAX 20   /* that are shown */
#define EXPLAIN_COUNTERS_MAX 8 /* likewise */
#define EXPLAIN_KEY 256
#define EXPLAIN_NUMBER 64
#define EXPLAIN_NEVER INT64_MAX /* when something is due */

enum explain_answer { EXPLAIN_UNKNOWN, EXPLAIN_NO, EXPLAIN_YES };

/* One row. Texts are Postgres's, cut to fit. */
struct explain_hold {
    bool active, ends; /* ends: it has an expiry, and that is one */
    int64_t due_us;    /* EXPLAIN_NEVER where it does not end */
    enum explain_answer keep;
    int64_t changed_us; /* its updated_at; 0: not known */
    char expires[EXPLAIN_NUMBER], quantity[EXPLAIN_NUMBER];
    char key[EXPLAIN_KEY];
    char values[512]; /* JSON: the columns that `active` reads */
};

struct explain_counter {
    char key[EXPLAIN_KEY];
    char free[EXPLAIN_NUMBER], held[EXPLAIN_NUMBER], total[EXPLAIN_NUMBER]; /* "": no such column */
    char sum[EXPLAIN_NUMBER]; /* of the holds that it counts; "": cannot be compared */
    enum explain_answer fits; /* it is as its holds say */
    bool lacks;               /* it holds less than this reservation */
    bool missing;             /* there is no counter of this key */
};

/* Who has something locked. */
struct explain_blocker {
    struct locked_holder holder; /* known: there is one */
    int64_t since_us;            /* its transaction's begin; 0: not known */
    char product[EXPLAIN_KEY];   /* whose counter it is */
};

/* A release that waits at its COMMIT for a synchronous standby: while it does, no other is made. */
struct explain_standby {
    int32_t pid; /* 0: none does */
    int64_t lasts_us;
    char names[200]; /* synchronous_standby_names */
};

/* What a rehearsal of its release came to. */
struct explain_rehearsal {
    enum {
        REHEARSED_NOT,
        REHEARSED_RELEASED,
        REHEARSED_REFUSED,
        REHEARSED_FAILED,
        REHEARSED_ELSE
    } outcome;
    char sqlstate[6];
    char error[PG_MESSAGE_SIZE];
};

struct explain_facts {
    const struct config *config; /* the queue's */
    const char *id;              /* any bytes */
    const char *elsewhere;       /* other queues that have this id; NULL: none, or not asked */

    /* Postgres; what is not known is zero. */
    const char *id_kind; /* what an id is; NULL: not known */
    int64_t now_us;      /* its clock */
    int64_t rows, active_rows;
    int64_t due_us;                       /* of the reservation; EXPLAIN_NEVER */
    struct explain_blocker blocker;       /* of a row or counter */
    struct explain_blocker table_blocker; /* of a whole table, which is its `product` */
    struct explain_hold holds[EXPLAIN_HOLDS_MAX];
    struct explain_standby standby;

    /* Redis */
    struct failed_record failure;
    int64_t entry_ms, lease_ms; /* 0: there is none */
    struct {
        int64_t since_ms, again_ms;
        bool attention;
    } keep;

    struct pause_record pause; /* until_ms 0: there is none */

    struct explain_rehearsal rehearsal;
    struct explain_counter counters[EXPLAIN_COUNTERS_MAX];
    int nholds, ncounters;
    enum explain_answer sweeper; /* one runs */
    bool unusable;               /* Postgres's tables cannot be used as they are: postgres_error */
    bool locked;                 /* they could not be read for a lock of a whole table */
    bool malformed;              /* this cannot be an id */
    bool looked;                 /* rows have been looked for */
    bool rows_hidden;            /* row security may hide some */
    bool kept;                   /* due, and keep_while holds */
    bool redis;                  /* it was asked */
    bool failed, kept_record;    /* there are records */

    char sqlstate[6];                     /* of that, where a statement was refused; "" */
    char postgres_error[PG_REASON_SIZE];  /* why it, or its tables, could not be asked; "" */
    char counters_error[PG_MESSAGE_SIZE]; /* why they could not be compared; "" */
    char redis_error[PG_REASON_SIZE];     /* why it was not asked; "" */
    char first_run[PG_REASON_SIZE]; /* why the first-run limit stops releases; "": it does not */
    char triggers[512];             /* of the shop's, by name, and rules; "": none */
    char feeder[DUE_HOLDER_SIZE];
};

#endif
