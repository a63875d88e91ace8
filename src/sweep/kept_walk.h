/* Goes through :kept, a step at a time, for what no entry leads to: its shop has bought it, and
 * removed the entry, so that nobody would look at it again, and its record would stay. */
#ifndef RS_KEPT_WALK_H
#define RS_KEPT_WALK_H

struct kept_walk;
struct parts;

/* parts must outlive it. NULL: out of memory. */
struct kept_walk *kept_walk_new(struct parts *parts);
void kept_walk_free(struct kept_walk *w); /* NULL is legal */

#endif
