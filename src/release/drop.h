/* Tells Redis what was found to be active no more, without a claim. */
#ifndef RS_DROP_H
#define RS_DROP_H

#include <stdbool.h>
#include <stddef.h>

struct item;
struct parts;

/* Drops the entries of those of the n decided items that have been released, or were inactive. What
 * is locked or refused keeps its entry: it is looked at again at its time. True: done(arg, error)
 * fires once, never from inside this call, when Redis has answered or cannot (error: why), and the
 * ids must stay in place until then. False: there is nothing to tell, or nobody to be told. */
bool drop_inactive(struct parts *parts, const struct item *items, size_t n,
                   void (*done)(void *arg, const char *error), void *arg);

#endif
