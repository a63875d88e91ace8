/* One release transaction: reservations in, an outcome for each out. */
#ifndef RS_RELEASE_H
#define RS_RELEASE_H

#include "base/units.h"
#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/statements.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server_clock;

enum outcome {
    OUTCOME_NONE, /* not yet decided */
    OUTCOME_RELEASED,
    OUTCOME_INACTIVE, /* committed or released already: no active row */
    OUTCOME_MISSING,  /* no such row */
    OUTCOME_INVALID,  /* cannot be an id of this table */
    OUTCOME_NOT_DUE,  /* active, its latest expires_at lies ahead */
    OUTCOME_KEPT,     /* due, and kept by its queue's keep_while: kept */
    OUTCOME_LOCKED,   /* a row or counter is held by somebody else */
    OUTCOME_FAILED,   /* Postgres refuses this one: sqlstate, error */
    OUTCOME_UNTRIED,  /* failed before, and there was no time to try it again */
    OUTCOME_DEFERRED, /* not tried: Postgres refuses its product (breakers.h): wait_us, sqlstate,
                         error */
    OUTCOME_UNKNOWN,  /* COMMIT had no answer, or it was never sent: ask again */
    OUTCOME_FAULT,    /* the statement or the server is at fault, not this reservation */
};

/* How a lock was met. */
enum lock {
    LOCK_HELD,   /* a row or counter that was seen to be held, and passed by */
    LOCK_INSIDE, /* its release alone failed on one: a trigger's, a table's */
    LOCK_AMONG,  /* that of some together did, and whose it was is not known yet */
};

/* Since when a reservation is kept. Times are Postgres's, in milliseconds since the epoch; 0: not
 * known. Before a release: what a record says (kept_record.h), or what this process knows. */
struct kept {
    int64_t since_ms; /* when it was first due */
    int64_t due_ms;   /* when it is due as it was left: extended, or as it was */
    bool attention;   /* it has been kept for as long as it may be */
};

/* A reservation on its way through a batch. Owned by whoever owns the batch's items. */
struct item {
    const char *id; /* id_len bytes and a terminator; may be any bytes */
    size_t id_len;
    char *copy;              /* owned; the id, unless that belongs to whoever has the items */
    const uint64_t *places;  /* where its rows lay when they were read (pages.h); belongs to whoever
                                has the items. NULL: not known */
    uint32_t n_places;       /* ... so many rows */
    int64_t claimed_ms;      /* when it was claimed; 0: it was not */
    int64_t first_failed_ms; /* 0: never refused */
    uint32_t attempts;       /* refusals before this batch */
    uint32_t uncounted;      /* RELEASED: rows whose product has no counter */
    enum outcome outcome;
    enum lock lock;     /* LOCKED */
    bool recorded;      /* claimed with a record in :failed or :kept */
    bool from_postgres; /* read from the table: an id, however long */
    char sqlstate[6];   /* FAILED, DEFERRED */
    struct kept kept;   /* KEPT; else what is known of it */
    int64_t expires_us; /* RELEASED, NOT_DUE, KEPT, LOCKED: latest expires_at; INT64_MAX: never;
                           else what was known before: 0, nothing */
    int64_t due_us;     /* LOCKED: when it was due, by what is known (locked.h); 0: nothing */
    struct units units; /* RELEASED; of a backlog's release the first one has those of all */
    char *counter;      /* owned, or NULL; LOCKED: the product whose counter was held; RELEASED: one
                           that has none */
    char *error;        /* FAILED, DEFERRED: owned */
    int64_t wait_us;    /* DEFERRED: how long */
    char *record;       /* FAILED, DEFERRED, KEPT: owned; what goes into :failed, or :kept */
    char *products;     /* owned; an argz vector (argz.h), empty until somebody asks (products.h) */
    size_t products_len;
};

/* Makes an item of an id, copying it. Returns 0, or -1 when memory ran out. */
int item_init(struct item *item, const char *id, size_t id_len) __attribute__((warn_unused_result));
/* The same without a copy: the id must outlive the item. */
void item_borrow(struct item *item, const char *id, size_t id_len);
/* Frees what it owns; it is all zero then. */
void item_clear(struct item *item);

/* How often it has been refused, this time included. */
uint32_t item_attempts(const struct item *item);

/* The places of n items, as an array of ctids in text form; malloc'd. NULL: out of memory. */
char *item_places(struct item *const *items, size_t n);

/* What an error of Postgres means for a batch. */
enum release_fault {
    RELEASE_OK,
    RELEASE_ROW,     /* a row is refused: split until it stands alone */
    RELEASE_RETRY,   /* serialization, deadlock, lock timeout: the same again */
    RELEASE_SLOW,    /* statement timeout: try fewer */
    RELEASE_GONE,    /* the server is of no use at present; nothing was applied */
    RELEASE_SERVER,  /* disk, memory, limits: not the rows' fault */
    RELEASE_EITHER,  /* the statement is wrong or not permitted, or so says a trigger of one row */
    RELEASE_UNKNOWN, /* no answer to the COMMIT */
    RELEASE_STALE,   /* the statement was out of date; there is a new one (ask.h) */
};
/* inside: it was met in a function, a trigger's for one, which may raise any code: it does not
 * speak for the server, nor for the connection. */
enum release_fault release_classify(const char *sqlstate, bool inside);

/* What the statement itself refuses has SQLSTATEs of this program's own, and a sentence for a
 * message: the release would not have done what it should. */
#define RELEASE_WRONG_COUNTER "RS001" /* a product's counter */
#define RELEASE_WRONG_ROW "RS002"     /* a reservation's row */
#define RELEASE_WRONG_TABLES "RS003"  /* neither: the catalog is to be read anew */

struct release_result {
    enum release_fault fault;
    const char *sqlstate;         /* "" when none */
    const char *message;          /* "" when none */
    const char *table;            /* whose constraint was violated; "" when none */
    int64_t sent_us, received_us; /* monotonic */
};

/* What an answer to a release says, but for its outcomes. sentence: room for what the statement
 * itself says in it; *result refers to both. */
#define RELEASE_SENTENCE 1024
struct pg_answer;
void release_judge(struct release_result *result, const struct pg_answer *answer,
                   char sentence[RELEASE_SENTENCE]);

/* Where the release stands among the queries of its transaction, from 0: behind the settings, and
 * behind what locks the rows where they may be kept. The statements of `also` follow, each behind a
 * query that says what time it has. */
int release_place(const struct queue *queue);

/* ... and the call of a function, in their place. */
int release_call_place(const struct queue *queue);

/* Afterwards: if it was one of the queue's statements of `also` that was refused, which begin at
 * place `first`, the sentence says which, and where that stands. When they ran out of their time
 * the fault is that of a lock. */
void release_judge_also(struct release_result *result, const struct pg_answer *answer, int first,
                        const struct queue *queue, char sentence[RELEASE_SENTENCE]);

/* How it treats what somebody else holds. */
enum release_way {
    RELEASE_CAREFUL, /* counters first, passing by what is locked */
    RELEASE_WAITING, /* counters first, waiting for each up to lock_timeout */
    RELEASE_BULK,    /* for a backlog: rows first, waiting for all; decides only what it
                           releases */
    RELEASE_BACKLOG, /* for a backlog that was read from Postgres: rows by their places, passing by
                        what is locked; decides only what it releases */
    RELEASE_WAYS,
};

/* What a rehearsal asks before and after the release (rehearsal.h): SQL whose one parameter is the
 * ids. Good until it is answered. */
struct release_rehearsal {
    const char *before, *after;
};
#define RELEASE_REHEARSAL_MORE 5 /* so many queries more than a release has */

struct release_options {
    struct statements *statements; /* ready */
    struct server_clock *clock;    /* Postgres's; takes a sample from each answer */
    int64_t lock_timeout_us;
    int64_t longest_lock_us; /* the setting: ten of it are what all statements of `also` have, 200
                                ms at least, and statement_timeout_us at most */
    int64_t statement_timeout_us;
    enum release_way way;
    bool no_wait; /* its COMMIT is answered before it is on the disk (commit_wait.h) */
    const struct release_rehearsal *rehearsal; /* it is rolled back; NULL: it is meant */
};

/* Sends the release of n items (1 to 5,000; 50,000 of a backlog's), which must be valid ids for
 * statements_types() and stay in place until done. RELEASE_BACKLOG, where mapping_allows_backlog:
 * each has an id of its own, its expires_us, and the places of all its rows that were read. On
 * RELEASE_OK every item's outcome is set, but that those which a bulk or a backlog's release leaves
 * have OUTCOME_NONE: try them the careful way. Else none is touched. done fires once, never from
 * inside this call; it may send again. Returns 0, or -1 when nothing was sent (link down or busy,
 * out of memory). */
int release_send(struct pg_link *link, const struct release_options *options, struct item **items,
                 size_t n, void (*done)(void *arg, const struct release_result *result), void *arg)
    __attribute__((warn_unused_result));

/* What is set before a release: of one that has counters locked first (alone), or last. */
const char *release_settings(bool alone);

/* Sends a statement whose parameter is the ids of n items, maybe 0 (what changes counters last
 * also takes the lock timeouts, and a backlog's release the places), as the second of a transaction
 * with a release's settings. cb as pg_link_send's; returns as release_send. */
int release_ask(struct pg_link *link, const struct release_options *options, enum statement which,
                struct item *const *items, size_t n, pg_answer_cb *cb, void *arg)
    __attribute__((warn_unused_result));

#endif
