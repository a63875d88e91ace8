/* What Postgres says of reservations by id, all rows of one together (sql/lookup.sql). */
#ifndef RS_RECONCILE_LOOKUP_H
#define RS_RECONCILE_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due_entry;
struct lookup_question;
struct reconcile;

struct lookup {
    bool found;         /* there is a row */
    bool active;        /* there is an active one */
    int64_t expires_us; /* the latest of the active ones; INT64_MAX: never */
    bool kept;          /* it is due, and kept by its queue's keep_while */
};

/* rows[i] is of the i-th id that was asked for; it ends with the call. */
typedef void lookup_cb(struct reconcile *r, void *arg, const struct lookup *rows);

/* Asks about n ids (1 to 5,000), in a new snapshot; only while lookup_possible. What cannot be an
 * id of the table has no row; from_postgres: all are ids, however long. cb fires once, on a later
 * turn, unless the run fails. The ids are copied. */
void lookup_ask(struct reconcile *r, const struct due_entry *entries, size_t n, bool from_postgres,
                lookup_cb *cb, void *arg);

/* The connection is up, and nothing is being asked over it. */
bool lookup_possible(const struct reconcile *r);

/* What is being asked; NULL is legal. The link must be gone. */
void lookup_free(struct lookup_question *q);

#endif
