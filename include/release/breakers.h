/* The breakers of all products (breaker.h): which reservations are tried while Postgres refuses
 * those of some product.
 *
 * The error rarely says whose fault a refusal was. A violated constraint of the counters' table is
 * the product's, one of the reservations' table is the row's own; what names no table (a trigger, a
 * value out of range) may be either. A reservation of several products is refused for each of them:
 * so a product that is in many carts with a drifted one may have to wait for a trial too, which
 * closes its breaker.
 *
 * A small table that forgets; when it is full the oldest gives way, which costs ten refusals. */
#ifndef RS_BREAKERS_H
#define RS_BREAKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct breakers;
struct item;
struct queue;
struct refusal_log;
struct release_result;

/* log names the products whose breaker opens, and must outlive it. NULL: out of memory. */
struct breakers *breakers_new(const struct queue *queue, struct refusal_log *log);
void breakers_free(struct breakers *b); /* NULL is legal */

/* Somebody asks for another attempt now: all are closed, and nothing is counted any more. */
void breakers_forget(struct breakers *b);

/* Some product was refused lately: whose products they are is worth asking (products.h). */
bool breakers_any(const struct breakers *b, int64_t mono_us);

/* Brings to the front of items[0..n) what may be tried now, in one transaction, and returns how
 * many; a trial is alone. *left: how many of the others are to be sifted after that. Undecided ones
 * of a product whose breaker is open get OUTCOME_DEFERRED, with wait_us, sqlstate and error;
 * decided ones are passed by. */
size_t breakers_sift(struct breakers *b, struct item **items, size_t n, int64_t mono_us,
                     size_t *left);

enum refusal_cause {
    CAUSE_ROW,     /* its own */
    CAUSE_UNCLEAR, /* either */
    CAUSE_COUNTER, /* its product's */
};
/* Whose fault it is that an item was refused, standing alone: by the SQLSTATE of what the statement
 * itself refuses, else by the table whose constraint was violated. */
enum refusal_cause breakers_cause(const struct breakers *b, const struct release_result *result);

/* An item that had never been refused before was (sqlstate and error are set), or one was released.
 * Without its products neither does anything. */
void breakers_refused(struct breakers *b, const struct item *item, enum refusal_cause cause,
                      int64_t mono_us);
void breakers_released(struct breakers *b, const struct item *item);

#endif
