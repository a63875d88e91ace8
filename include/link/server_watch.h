/* The records of a server that is out of reach, or refuses: when they are written is outage.h's
 * affair. Each names the server, and how long it has been so. */
#ifndef RS_SERVER_WATCH_H
#define RS_SERVER_WATCH_H

#include <stdbool.h>

struct loop;
struct server_watch;

/* All of it is borrowed for the object's life. */
struct server_watch_words {
    const char *server;   /* the field that has its address: "postgres", "redis" */
    char *const *address; /* without secrets; may become another */
    const char *back;     /* the message when it is over */
    const char *often;    /* ... when connections are lost often and made anew at once */
    bool degraded;        /* the field `degraded` says whether releases go on without it */
};

/* NULL: out of memory. */
struct server_watch *server_watch_new(struct loop *loop, const struct server_watch_words *words);
void server_watch_free(struct server_watch *w); /* NULL is legal */

/* It is out of reach, or refuses: message (a literal) says which, reason why. lasting: what was
 * tried since has failed too; else it may be a blip. To be called again whenever something is
 * known anew; repeats are cheap. The records are about the log's queue as it is now (log.h). */
void server_watch_down(struct server_watch *w, const char *message, const char *reason,
                       bool lasting);

/* It works. */
void server_watch_up(struct server_watch *w);

/* A record has said that it does not, and none yet that it does again. */
bool server_watch_said(const struct server_watch *w);

#endif
