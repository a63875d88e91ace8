/* The breaker of one product: while Postgres refuses its reservations they are not tried, but for
 * one from time to time, the trial. Pure: nothing here logs or reads a clock; times are monotonic.
 */
#ifndef RS_BREAKER_H
#define RS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state {
    BREAKER_CLOSED,    /* all are tried; refusals in a row are counted */
    BREAKER_OPEN,      /* none is tried before until_us */
    BREAKER_HALF_OPEN, /* the trial is under way; there is another at until_us, if no answer came */
};

/* Zeroed, it is closed and has seen nothing. */
struct breaker {
    enum breaker_state state;
    unsigned refusals; /* in a row, none released between; CLOSED */
    uint32_t openings; /* in a row: how long it stays open. 0 when CLOSED, and only then */
    int64_t last_us;   /* the last refusal */
    int64_t until_us;  /* OPEN, HALF_OPEN */
    int64_t back_us;   /* OPEN, HALF_OPEN: when the last of those that were deferred comes back */
};

/* Whether it says anything: closed, one that has seen no refusal for long does not; nor does one
 * that was not tried again for very long. Then it is as good as a zeroed one. */
bool breaker_speaks(const struct breaker *b, int64_t mono_us);

/* What may be done with a reservation of the product. */
enum breaker_verdict { BREAKER_TRY, BREAKER_TRIAL, BREAKER_DEFER };
enum breaker_verdict breaker_verdict(const struct breaker *b, int64_t mono_us);

/* After BREAKER_TRIAL: one is tried. */
void breaker_begin_trial(struct breaker *b, int64_t mono_us);

/* After BREAKER_DEFER: one more is deferred. Returns until when: none before until_us, and one
 * after the other, so that not all come back at once. */
int64_t breaker_defer(struct breaker *b);

/* A reservation was refused, alone and for the first time. certain: the error says that the product
 * is at fault; otherwise it may be the reservation's own. */
enum breaker_news {
    BREAKER_NO_NEWS, /* counted, or of a batch that was under way when it opened */
    BREAKER_OPENED,  /* just now */
    BREAKER_REOPENED /* the trial was refused */
};
enum breaker_news breaker_refused(struct breaker *b, bool certain, int64_t mono_us);

/* A reservation was released: closes it, whatever it was. */
void breaker_released(struct breaker *b);

#endif
