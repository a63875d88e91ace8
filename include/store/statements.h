/* The statements as they are sent to this database: made once from the mapping and the catalog. */
#ifndef RS_STATEMENTS_H
#define RS_STATEMENTS_H

#include "store/mapping.h"

#include <stdbool.h>
#include <stdint.h>

struct queue;
struct server_clock;
struct statements;

/* Those of a queue, which must outlive them. Empty: statements_ready is false until the first load
 * has succeeded. NULL: out of memory. */
struct statements *statements_new(const struct queue *queue);
void statements_free(struct statements *s); /* NULL is legal */

/* False before the first load, and while the database cannot be used as it is. */
bool statements_ready(const struct statements *s);

/* Reads the catalog through a link that is up and not busy, and makes the statements anew if it
 * says anything else than before; each difference is logged. Several may be under way at a time.
 * done(arg, error): error is NULL, or one sentence that says which table or column is missing, has
 * an unusable type or lacks a grant, or why the question failed (then what was ready stays so).
 * Fires once, never from inside this call. The answer is a sample for clock.
 * s and clock must outlive the request. Returns 0, or -1 when nothing was sent. */
int statements_load(struct statements *s, struct pg_link *link, struct server_clock *clock,
                    void (*done)(void *arg, const char *error), void *arg)
    __attribute__((warn_unused_result));

/* The catalog may say something else by now: a connection was made anew, a statement failed. It is
 * due to be read again, though no oftener than once a second. */
void statements_doubt(struct statements *s);

/* When the catalog is to be read next, monotonic: now and then also unasked. INT64_MAX: it is being
 * read. */
int64_t statements_due_us(const struct statements *s);

/* Why the database cannot be used as it is: one sentence, "" when it can or nobody knows. */
const char *statements_problem(const struct statements *s);

/* Whether that is a table that somebody holds locked: the sentence names it, and nothing is wrong.
 */
bool statements_locked(const struct statements *s);

/* Another number whenever the statements are others, or there are none any more. */
uint64_t statements_generation(const struct statements *s);

/* Whether an error of this SQLSTATE may mean that a statement was made for other tables than there
 * are now. */
bool statements_suspect(const char *sqlstate);

/* A text of the database has no form in UTF-8: from now on all of them travel as the bytes that
 * they are there. Says so in the log. For statements_generation that is a change. */
void statements_use_bytes(struct statements *s);

/* Whether an error of this SQLSTATE says that a text has no form in the other side's encoding. */
bool statements_unspeakable(const char *sqlstate);

/* The texts; require statements_ready. "" is one that this queue has no use for. */
enum statement {
    STATEMENT_KEEP_LOCK,       /* before a release, where reservations may be kept */
    STATEMENT_RELEASE_LEAN,    /* careful, in its lean form: where mapping_allows_lean */
    STATEMENT_RELEASE_CAREFUL, /* see enum release_way in release.h: in the explaining form */
    STATEMENT_RELEASE_WAITING,
    STATEMENT_RELEASE_BULK,    /* where mapping_allows_bulk */
    STATEMENT_RELEASE_BACKLOG, /* where mapping_allows_backlog */
    STATEMENT_CALL, /* behind the careful and the waiting one: where a function makes the release */
    STATEMENT_RELEASE_CHECK, /* after the other two, where types->meddled */
    STATEMENT_PRODUCTS,
    STATEMENT_DUE_ROWS,
    STATEMENT_DUE_ROWS_NEXT, /* ... of a page whose beginning is known */
    STATEMENT_DUE_COUNT,
    STATEMENT_DUE_FIRST, /* what is due at the start */
    STATEMENT_ODD_ROWS,  /* where an id may be NULL, or times are numbers */
    STATEMENT_LATE_ROWS,
    STATEMENT_BEGIN,
    STATEMENT_ACTIVE_ROWS,
    STATEMENT_TIED_ROWS,
    STATEMENT_LOOKUP,
    STATEMENT_STOCK,
    STATEMENT_STOCK_LOCK,
    STATEMENT_STOCK_REPAIR,
    STATEMENT_BLOCKERS,
    STATEMENT_EXPLAIN_HOLDS,
    STATEMENT_EXPLAIN_COUNTERS, /* where there are counters */
    STATEMENT_EXPLAIN_SUMS,     /* ... that can be compared with the holds */
    STATEMENT_COUNT
};

/* A statement for this database, and the types it was made for: while they are ready, and good
 * until they are made anew. */
const char *statements_text(const struct statements *s, enum statement which);

/* The operator's own statement number i, from 0, of the queue's `also`; as statements_text. */
const char *statements_also(const struct statements *s, int i);

/* ... and query number i, from 0, of its `verify`, which begins as verify_render says
 * (src/store/verify.h). */
const char *statements_verify(const struct statements *s, int i);

/* The types of the mapped columns, as this database has them; as statements_text. */
const struct mapping_types *statements_types(const struct statements *s);

/* The text of sql/ that a statement is made from; static storage. */
const char *statements_source(enum statement which);

#endif
