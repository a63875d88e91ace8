/* Products that Postgres refuses. A counter that has drifted is refused for every reservation of
 * its product, so after ten refusals in a row the others are not tried: they wait, and one probe
 * for each back-off decides. A reservation of the product that is released ends it.
 *
 * The error rarely says whose fault it was. A violated constraint of the counters' table is the
 * product's, one of the reservations' table is the row's own; what names no table (a trigger, a
 * value out of range) is either, and counts a third: up to 30 in a row are isolated one by one.
 *
 * A small table that forgets; when it is full the oldest gives way, which costs ten refusals. */
#ifndef RS_BREAKERS_H
#define RS_BREAKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct breakers;
struct item;
struct refusal_log;
struct release_result;

/* log names the products that are blamed, and must outlive it. NULL: out of memory. */
struct breakers *breakers_new(struct refusal_log *log);
void breakers_free(struct breakers *b);

/* Somebody asks for another attempt now: nothing is known any more. */
void breakers_forget(struct breakers *b);

/* Some product is blamed or about to be: products are worth asking for (products.h). */
bool breakers_any(const struct breakers *b, int64_t mono_us);

/* Brings to the front of items[0..n) what may be tried now, in one transaction, and returns how
 * many; a probe is alone. *left: how many of the others are to be judged after that. Undecided ones
 * whose product is blamed get OUTCOME_DEFERRED; decided ones are passed by. */
size_t breakers_sift(struct breakers *b, struct item **items, size_t n, int64_t mono_us,
                     size_t *left);

/* Why an item was refused, standing alone. */
enum refusal_cause { CAUSE_ROW, CAUSE_UNCLEAR, CAUSE_COUNTER };
enum refusal_cause breakers_cause(const struct release_result *result);

/* An item that had never been refused before was (sqlstate and error are set), or one was released.
 * Without its products neither does anything. */
void breakers_refused(struct breakers *b, const struct item *item, enum refusal_cause cause,
                      int64_t mono_us);
void breakers_released(struct breakers *b, const struct item *item);

#endif
