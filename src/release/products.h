/* Which products reservations are of: asked only when Postgres refuses some of them. */
#ifndef RS_PRODUCTS_H
#define RS_PRODUCTS_H

#include "base/callback.h"

#include <stddef.h>

struct item;
struct pg_link;
struct release_options;

/* Fills in items[0..n)->products, as release_send in all that concerns them, the link and the
 * options. done(arg) fires once, never from inside this call; what could not be learned is left
 * empty. Returns 0, or -1 when nothing was sent. */
int products_ask(struct pg_link *link, const struct release_options *options, struct item **items,
                 size_t n, event_cb *done, void *arg) __attribute__((warn_unused_result));

/* What is known of an item's products, for people: with commas between them, as many as there is
 * room for. Returns text, or NULL when nothing is known. */
const char *products_text(const struct item *item, char *text, size_t size);

#endif
