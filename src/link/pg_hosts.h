/* The hosts of a connection string, one by one. For pg_attempt.c alone.
 *
 * libpq tries them by itself, but the time that it has for each is kept by its blocking calls
 * alone: in a loop of one's own a first host that takes connections and says nothing would use up
 * every attempt. So each host is an attempt of libpq's own, in its own time. */
#ifndef RS_PG_HOSTS_H
#define RS_PG_HOSTS_H

#include "link/pg_link.h"

#include <stdbool.h>
#include <stddef.h>

#define PG_HOSTS_MAX 16

struct pg_host {
    const char *host;    /* NULL: there is an address */
    const char *address; /* NULL: the host is a name, or a socket's folder */
    const char *port;    /* NULL: libpq's own */
};

struct pg_hosts {
    size_t n; /* 0: the string is one attempt, as it is */
    struct pg_host list[PG_HOSTS_MAX];
    bool implied;  /* the one that can be written to is meant, though nobody says so */
    bool writable; /* likewise, whoever says so */
    char *texts[3];
};

/* Reads what a connection string, the environment and a service come to. There are none of: one
 * host; more than PG_HOSTS_MAX; lists of which an element is empty, or which do not fit together;
 * an order or a choice that is libpq's to make (prefer-standby, load_balance_hosts). Also when
 * memory has run out: libpq goes through them then. */
void pg_hosts_read(struct pg_hosts *hosts, const char *conninfo);
void pg_hosts_clear(struct pg_hosts *hosts);

/* The one to begin with: where the links are, so that they stay together; the one behind that when
 * it has not answered in time; the first when they are nowhere. home: NULL, nothing is known. */
size_t pg_hosts_first(const struct pg_hosts *hosts, const struct pg_home *home);

/* The functions on a home do nothing with NULL: the link is by itself. */
unsigned pg_home_moves(const struct pg_home *home);

/* This server has not answered in time: if the links are there, others are tried before it. NULL:
 * the one where they are. */
void pg_home_silent(struct pg_home *home, const char *server);

/* A link is connected to this server, "" when there is but one host. If the links were at another
 * they leave that, and it is said. */
void pg_home_arrive(struct pg_home *home, const char *server);

/* As logs show it: "host=a port=5432". */
void pg_host_name(const struct pg_host *host, char *out, size_t size);

#endif
