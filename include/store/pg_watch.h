/* Postgres as all links of the daemon see it: one outage, however many of them, of however many
 * queues, meet it. It is said by server_watch.h, of no queue. */
#ifndef RS_PG_WATCH_H
#define RS_PG_WATCH_H

#include "base/callback.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct pg_outage;
struct pg_watch;

/* Of one server. address: shown in the records; borrowed, and may become another. NULL: out of
 * memory. */
struct pg_outage *pg_outage_new(struct loop *loop, char *const *address);
void pg_outage_free(struct pg_outage *o); /* after its watches; NULL is legal */

/* A watch has been freed: what was down only for it is so no more. */
void pg_outage_judge(struct pg_outage *o);

/* The links of one queue. */

#define PG_WATCH_FEED 0 /* the feed's link; those of workers are 1, 2, ... */

/* The outage must outlive it. NULL: out of memory. */
struct pg_watch *pg_watch_new(struct pg_outage *outage, int nlinks);
void pg_watch_free(struct pg_watch *w); /* NULL is legal */

/* slept(arg) fires from inside pg_watch_link when another link is back that was lost while the
 * feed's stayed up. Postgres may have crashed meanwhile, or be another server by now, and the
 * feed's has nothing to send from which it would learn that it is dead. moved(arg): from inside
 * pg_watch_moved. NULL: nobody wants to know; w may be NULL. */
void pg_watch_on_loss(struct pg_watch *w, event_cb *slept, event_cb *moved, void *arg);

/* A connection has met another server than before, without having been lost: a pooler has moved.
 * server_us: when that was started, so that one move is told once, whoever meets it. w may be NULL.
 */
void pg_watch_moved(struct pg_watch *w, int64_t server_us);

/* What a link's on_state says. w may be NULL: nobody watches. */
void pg_watch_link(struct pg_watch *w, int link, bool up, const char *reason);

#endif
