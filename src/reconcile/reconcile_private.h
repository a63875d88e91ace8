/* What the phases of a reconciliation share. reconcile.c runs them in order; each calls
 * run_next when it is through, or run_fail. */
#ifndef RS_RECONCILE_PRIVATE_H
#define RS_RECONCILE_PRIVATE_H

#include "base/callback.h"
#include "base/time_units.h"
#include "link/pg_link.h"
#include "queue/repair.h"
#include "reconcile/reconcile.h"
#include "store/statements.h"

#include <jansson.h>
#include <stddef.h>
#include <sys/queue.h>

struct recheck;
struct bulk;
struct entries;
struct expired;
struct lookup_question;
struct pg_answer;
struct pg_result;
struct rows;
struct seen;
struct stock;

#define RECONCILE_AGAIN_US SECOND_US /* after which a suspect is looked at again */

struct reconcile {
    struct parts *parts;
    struct reconcile_options options;
    struct reconcile_result result;
    struct pg_link *link;
    struct timer *turn, *renew, *waiting, *progress;
    char holder[160];
    char error[PG_REASON_SIZE];

    int phase;
    int64_t total, done; /* of this phase, for the progress display; total 0: not known */
    int64_t phase_began_us, logged_us;

    bool running, ending, freed;
    bool has_role, role_asked;
    int64_t role_remaining_ms; /* the other's lease, when we last looked */
    int outstanding;           /* calls of the due queue that have no answer */

    int64_t began_us;       /* monotonic */
    int64_t clock_us;       /* Postgres's time at the beginning */
    int64_t clock_began_us; /* monotonic: that moment */
    int64_t active_rows, products;
    bool any_expired;

    struct seen *seen;
    struct lookup_question *lookup; /* the question to Postgres under way, if it is about ids */
    struct recheck *recheck;
    struct rows *rows;
    struct bulk *bulk;
    struct entries *entries;
    struct expired *expired;
    struct stock *stock;

    void (*answered)(struct reconcile *r, const struct pg_result *rows); /* of run_ask */
    event_cb *begun_cb;                                                  /* or NULL */
    void (*done_cb)(void *arg, const struct reconcile_result *result);
    void *done_arg;
};

/* ---- reconcile.c ---- */

/* The role is ours: on with it, as soon as Postgres is there too. */
void reconcile_begin(struct reconcile *r);
void run_next(struct reconcile *r);
void run_fail(struct reconcile *r, const char *error);

/* Sends one statement, with this transaction's settings before it. cb gets the rows, which end with
 * the call; when there are none because of an error the run fails and cb is not called. */
void run_ask(struct reconcile *r, enum statement which, int nparams, const char *const *params,
             void (*cb)(struct reconcile *r, const struct pg_result *rows));

/* Around each call of the due queue: notes what sending returned, and whether there is an answer to
 * read (else the callback returns at once: r may be gone). */
void run_sent(struct reconcile *r, int rc);
bool run_answered(struct reconcile *r, const char *error);

/* True when the callback of a reply or timer has nothing more to do. */
bool run_ending(const struct reconcile *r);

/* Postgres's time now. */
int64_t run_now_us(const struct reconcile *r);

/* ---- the role (reconcile_role.c) ---- */

void role_start(struct reconcile *r); /* reconcile_begin follows, or the run fails */
void role_renew(struct reconcile *r); /* when its timer says so */
bool role_stop(struct reconcile *r);  /* false: the run has to wait for Redis's answer */

/* ---- the phases ---- */

int rows_new(struct reconcile *r);
void rows_start(struct reconcile *r);
void rows_free(struct rows *s);
void bulk_free(struct bulk *b);

int entries_new(struct reconcile *r);
void entries_start_pending(struct reconcile *r);
void entries_start_inflight(struct reconcile *r);
void entries_start_failed(struct reconcile *r);
void entries_free(struct entries *e);

int expired_new(struct reconcile *r);
void expired_start(struct reconcile *r);
void expired_stop(struct reconcile *r); /* the run is ending */
bool expired_busy(const struct reconcile *r);
void expired_free(struct expired *x);

int stock_new(struct reconcile *r);
void stock_start(struct reconcile *r);
void stock_free(struct stock *s);

/* ---- looking again (reconcile_again.c) ---- */

enum suspicion {
    SUSPECT_MISSING,   /* first: the row's expires_at in microseconds */
    SUSPECT_MISPLACED, /* the same */
    SUSPECT_ORPHANED,  /* first: not used */
    SUSPECT_LEASE,     /* first: when the lease ended, in milliseconds */
    SUSPECT_RECORD,    /* first: not used */
};

struct suspect {
    STAILQ_ENTRY(suspect) entry;
    int64_t first, ripe_us; /* ripe: monotonic, when to look again */
    uint32_t id_len;
    uint8_t what;
    char id[]; /* terminated; may hold any byte */
};

int recheck_new(struct reconcile *r);
void recheck_free(struct recheck *a);

/* Notes a suspect, which is looked at again after delay_us. */
void recheck_add(struct reconcile *r, enum suspicion what, const char *id, size_t id_len,
                 int64_t first, int64_t delay_us);

/* More of them than are to be kept in memory. */
bool recheck_full(const struct reconcile *r);

/* Looks again at the suspects, each when it is time, until few or none are left; then cb. */
void recheck_drain(struct reconcile *r, bool all, void (*cb)(struct reconcile *r));

/* ---- looking at reservations (reconcile_look.c) ---- */

struct lookup {
    bool found;         /* there is a row */
    bool active;        /* there is an active one */
    int64_t expires_us; /* the latest of the active ones; INT64_MAX: never */
};

/* Asks Postgres about n ids (1 to 5,000), in a new snapshot. What cannot be an id of the table has
 * no row; from_postgres: all are ids, however long. cb: looks[i] for entries[i]; ends with the
 * call.
 */
void lookup_ask(struct reconcile *r, const struct due_entry *entries, size_t n, bool from_postgres,
                void (*cb)(struct reconcile *r, void *arg, const struct lookup *looks), void *arg);
bool lookup_possible(const struct reconcile *r); /* nothing else is being asked */
void lookup_free(struct lookup_question *l);

/* ---- judging (reconcile_judge.c) ---- */

/* What would repair the suspect as it stands in Redis, with `seen` borrowed from the state; false:
 * it stands as it should. */
bool judge_redis(const struct suspect *s, const struct due_state *state, struct due_repair *repair);

/* The same with what Postgres says; false: no finding. */
bool judge_postgres(const struct reconcile *r, const struct suspect *s, const struct lookup *look,
                    struct due_repair *repair);

/* Counts and reports a finding, which was repaired unless this is a dry run. */
void judge_count(struct reconcile *r, const struct suspect *s, const struct due_repair *repair);

/* The same for a reservation that is missing, with what it has in at_ms. */
void judge_missing(struct reconcile *r, const struct due_entry *entry);

/* ---- ids that were seen (reconcile_seen.c) ---- */

/* A set of fingerprints, bounded: past its capacity nothing is added. */
struct seen *seen_new(void);
void seen_free(struct seen *s);
size_t seen_bytes(const struct seen *s);

enum seen_as { SEEN_ACTIVE, SEEN_MISPLACED, SEEN_SPENT, SEEN_ORPHANED, SEEN_LEASE, SEEN_RECORD };

/* True when it was not there yet (or there was no room to note it). */
bool seen_add(struct seen *s, enum seen_as as, const char *id, size_t id_len);
bool seen_has(const struct seen *s, enum seen_as as, const char *id, size_t id_len);

/* ---- words (reconcile_report.c) ---- */

bool report_wanted(const struct reconcile *r);

/* One line of --report; product: the id is a product's. Takes expected and found over. */
void report_finding(struct reconcile *r, const char *kind, bool product, const char *id,
                    size_t id_len, json_t *expected, json_t *found, const char *done);

/* Called every quarter of a second: the display, and a record now and then. */
void report_progress(struct reconcile *r, const char *phase);

/* The closing record and table. */
void report_end(struct reconcile *r);

#endif
