/* A transaction of our statements, over one link: what polls, releases and repairs all go through.
 *
 * A statement that was made for other tables than there are now fails (mapping.h). Then the catalog
 * is read anew at once, through the same link, and the asker learns, or need not even learn, that
 * nothing was done and that there are new statements. */
#ifndef RS_ASK_H
#define RS_ASK_H

#include "link/pg_link.h"
#include "store/statements.h"

#include <stdbool.h>
#include <stdint.h>

struct server_clock;

/* Settings, locks, a release, each statement of `also` with the time that it has, and what comes
 * after; a rehearsal has five more. */
#define ASK_QUERIES_MAX (11 + 2 * QUEUE_LIST_MAX)

/* The sqlstate of an answer (PG_REFUSED) to a transaction whose statements were out of date: there
 * are new ones, so it is to be made anew. No server has such a code. */
#define ASK_STALE "stale"

struct ask_query {
    const char *sql; /* a text of static storage; NULL: the statement */
    enum statement statement;
    int nparams;
    const char *const *params;
    bool isolates; /* as of struct pg_query */
    bool often;    /* worth a name, as of struct pg_query */
};

struct ask_options {
    struct statements *statements; /* ready */
    struct server_clock *clock;    /* Postgres's; a reading of the catalog is a sample for it */
    struct pg_link *link;
    int64_t deadline_us; /* as of pg_link_send, for each attempt */
    bool reads; /* no parameter is a text of others': an error of encoding is one of the answer, and
                   texts travel as bytes from then on (a change: as if a table were another) */
    bool again; /* the same parameters are right for new statements too: asked again, once, in place
                   of ASK_STALE */
};

/* cb as of pg_link_send: fires once, never from inside this call. All else must outlive the
 * request. Returns 0, or -1 when nothing was sent (link down or busy, out of memory). */
int ask_send(const struct ask_options *options, const struct ask_query *queries, int n,
             pg_answer_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Whether an answer is ASK_STALE. */
bool ask_is_stale(const struct pg_answer *answer);

#endif
