/* What Redis is asked and told of what a pass reads, where reservations may be kept. */
#ifndef RS_KEPT_PAGE_H
#define RS_KEPT_PAGE_H

#include "base/callback.h"

#include <stdbool.h>
#include <stddef.h>

struct item;
struct parts;

/* Has items know since when they are kept: by what this process knows, and, where they are
 * extended, by Redis's records. They must stay in place until done(arg), which fires once, whatever
 * Redis answers. False: Redis was not asked, and done will not fire. */
bool kept_page_ask(struct parts *parts, struct item *items, size_t n, event_cb *done, void *arg);

/* Tells Redis which of n items are kept, if any. They must stay in place until done(arg, error) has
 * fired. False: nothing was told. */
bool kept_page_tell(struct parts *parts, struct item *items, size_t n,
                    void (*done)(void *arg, const char *error), void *arg);

#endif
