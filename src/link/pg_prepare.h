/* Which statements of a session have names: what is decided, without a connection. For pg_request.c
 * and its link alone.
 *
 * A named statement saves the server parsing and planning. It belongs to a session, which behind a
 * transaction pooler is another one with each transaction: so it has to be known whether a session
 * is ours, and a name that fails must never fail a request. */
#ifndef RS_PG_PREPARE_H
#define RS_PG_PREPARE_H

#include "link/pg_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_NAMES_MAX 32 /* a session has no more of them at a time */
#define PG_NAME_SIZE 48

struct pg_named {
    const char *sql; /* where the text stands: there it stays as long as its version */
    uint64_t hash;   /* of the text */
    bool queued;     /* its Parse is on its way, or was answered */
    bool ready;      /* the server has it */
    /* How long requests that end with it take: lately, and as a rule. 0: none yet. */
    int64_t lately_us;
    int64_t usual_us;
};

struct pg_names {
    enum pg_prepare mode;
    enum pg_session session;
    char commit[16];  /* the session's own synchronous_commit; "": not known */
    bool dirty;       /* the session may have statements that are not in the list */
    uint64_t version; /* what the texts stand for: struct pg_query */
    unsigned round;   /* part of the names: those of a list that was forgotten are not used again */
    int n;
    struct pg_named list[PG_NAMES_MAX];
    int64_t since_us;   /* the list's first was added; monotonic, as all of these */
    int64_t anew_us;    /* the list was begun anew for its slowness; 0: never */
    int64_t resumes_us; /* unnamed until then; 0: no refusal yet */
    int64_t pause_us;   /* how long the last refusal kept it so */
};

/* There is a new session, of which nothing is known. */
void pg_names_connected(struct pg_names *names);

/* Whether a request with such statements asks whose session it is, and how it commits. */
bool pg_names_asks(const struct pg_names *names);

/* The answer to that: the pid of the connection's begin, that of the server's process, and the
 * session's synchronous_commit. */
void pg_names_told(struct pg_names *names, int64_t connected_pid, int64_t server_pid,
                   const char *commit);

/* Whether names are used now, for queries of this version. Begins the list anew when that is due,
 * and when the version is another than before. */
bool pg_names_usable(struct pg_names *names, uint64_t version, int64_t now_us);

/* Whether DEALLOCATE ALL has to come first; pg_names_emptied when the server has done it. */
bool pg_names_empties(const struct pg_names *names);
void pg_names_emptied(struct pg_names *names);

/* The place of a text in the list, where it is put if it is missing; -1: there is no room. Of a
 * text that it has met at this address, in this version, it reads nothing. */
int pg_names_place(struct pg_names *names, const char *sql, int64_t now_us);

/* Its name there, into out. */
void pg_names_write(const struct pg_names *names, int place, char out[PG_NAME_SIZE]);

/* A request with names is over: what was not answered was not prepared. */
void pg_names_settle(struct pg_names *names);

/* ... it succeeded, and ended with this statement. */
void pg_names_took(struct pg_names *names, int place, int64_t took_us, int64_t now_us);

/* ... the server refused it, inside a function or not. True: the names may be the reason, so the
 * same request is to be sent without. The list is forgotten then. */
bool pg_names_refused(struct pg_names *names, const char *sqlstate, bool inside, int64_t now_us);

#endif
