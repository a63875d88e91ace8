/* How many records of one kind a minute may have, each about one reservation: a hundred. The rest
 * is counted, by SQLSTATE and by product. Pure: the clock is passed in (monotonic, above 0), and
 * the caller writes the records. */
#ifndef RS_TALLY_H
#define RS_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_SQLSTATES 16
#define TALLY_PRODUCTS 64
#define TALLY_PRODUCT_MAX 128 /* longer ones are cut */

/* Zeroed, it has seen nothing. Readable: count, and what it consists of. */
struct tally {
    int64_t minute_us; /* when the minute began; 0: none has */
    unsigned said;     /* of it */

    uint64_t count; /* beyond the hundred, and not yet taken */
    struct {
        char name[6]; /* "": free */
        uint64_t count;
    } sqlstates[TALLY_SQLSTATES]; /* the last one: all others as well */
    struct {
        char *name; /* owned; NULL: free */
        uint64_t count;
    } products[TALLY_PRODUCTS];
    uint64_t other_products; /* for which there was no room */
};

/* One more, for the products of an argz vector (argz.h; empty: not known). Returns whether it is to
 * be written; otherwise it has been counted, once under its SQLSTATE ("": none) and once under each
 * product. */
bool tally_add(struct tally *t, const char *sqlstate, const char *products, size_t products_len,
               int64_t mono_us);

/* When what was counted is to be told, if something was: at the end of the minute; INT64_MAX:
 * nothing was. */
int64_t tally_due_us(const struct tally *t);

/* Puts the products with the highest counts first. */
void tally_sort(struct tally *t);

/* It has been told: counts from nothing, in the same minute. */
void tally_clear(struct tally *t);

#endif
