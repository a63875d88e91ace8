/* Notices that Redis has lost its data while the connection held (FLUSHALL, say): a mark of ours is
 * gone. Asked for twice a second; a lost connection needs no mark, since everything is mirrored
 * anew after it anyway. */
#ifndef RS_MARKER_H
#define RS_MARKER_H

struct marker;
struct parts;

/* on_lost(arg): the mark was there, and is gone; it has been set again. NULL: out of memory. */
struct marker *marker_new(struct parts *parts, void (*on_lost)(void *arg), void *arg);
void marker_free(struct marker *m); /* NULL is legal */

/* Redis came up or went away. */
void marker_redis_changed(struct marker *m);

#endif
