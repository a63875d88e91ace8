/* The breaker of one product, a state machine:
 *
 *   state      what happens                              then
 *   ---------  ----------------------------------------  ------------------------------------------
 *   CLOSED     refused, and not the last of its run      CLOSED, one more counted
 *              refused, the tenth in a row (or, when     OPEN for the first back-off, 1 s
 *               the error may be the row's, the 30th)
 *              no refusal for 10 s                       as if there had been none
 *   OPEN       one comes before until_us                 OPEN; it is deferred
 *              one comes after until_us                  HALF_OPEN; it is the trial
 *              refused                                   OPEN; its batch was under way before
 *              nobody comes for 10 min after until_us    as if there had been none
 *   HALF_OPEN  one comes within 1 s                      HALF_OPEN; it is deferred
 *              one comes later: the trial has been lost  HALF_OPEN; it is the trial
 *              refused                                   OPEN for the next back-off: 2 s ... 5 min
 *   any        released                                  CLOSED, nothing counted
 *
 * A counter that has drifted is refused for every reservation of its product, so ten in a row are
 * enough, where the error names the counter. Two dozen rows that a trigger refuses are isolated one
 * by one beside others of their product, which are not to wait for a trial: hence the thirty. */
#include "release/breaker.h"

#include "base/backoff.h"
#include "base/time_units.h"

#include <assert.h>

#define CERTAIN_IN_A_ROW 10
#define UNCERTAIN_IN_A_ROW 30
#define ROW_US (10 * SECOND_US)       /* between two refusals that count as in a row */
#define FORGOTTEN_US (10 * MINUTE_US) /* past until_us */
#define TRIAL_US SECOND_US            /* for its answer */
#define GAP_US MS_US                  /* between those that come back */

bool breaker_speaks(const struct breaker *b, int64_t mono_us)
{
    if (b->state != BREAKER_CLOSED)
        return mono_us - b->until_us <= FORGOTTEN_US;
    return b->refusals > 0 && mono_us - b->last_us <= ROW_US;
}

enum breaker_verdict breaker_verdict(const struct breaker *b, int64_t mono_us)
{
    assert((b->state == BREAKER_CLOSED) == (b->openings == 0));
    if (b->state == BREAKER_CLOSED || !breaker_speaks(b, mono_us))
        return BREAKER_TRY;
    return mono_us < b->until_us ? BREAKER_DEFER : BREAKER_TRIAL;
}

void breaker_begin_trial(struct breaker *b, int64_t mono_us)
{
    assert(breaker_verdict(b, mono_us) == BREAKER_TRIAL);
    b->state = BREAKER_HALF_OPEN;
    b->until_us = mono_us + TRIAL_US;
}

int64_t breaker_defer(struct breaker *b)
{
    int64_t next_us = b->back_us + GAP_US;
    assert(b->state != BREAKER_CLOSED);
    b->back_us = next_us > b->until_us ? next_us : b->until_us;
    return b->back_us;
}

static void open_for_the_next_back_off(struct breaker *b, int64_t mono_us)
{
    b->state = BREAKER_OPEN;
    b->openings++;
    b->until_us = mono_us + backoff_refused_us(b->openings);
}

enum breaker_news breaker_refused(struct breaker *b, bool certain, int64_t mono_us)
{
    if (!breaker_speaks(b, mono_us))
        *b = (struct breaker){.state = BREAKER_CLOSED};
    b->last_us = mono_us;
    switch (b->state) {
    case BREAKER_CLOSED:
        b->refusals++;
        if (b->refusals < (certain ? CERTAIN_IN_A_ROW : UNCERTAIN_IN_A_ROW))
            return BREAKER_NO_NEWS;
        open_for_the_next_back_off(b, mono_us);
        return BREAKER_OPENED;
    case BREAKER_OPEN:
        return BREAKER_NO_NEWS;
    case BREAKER_HALF_OPEN:
        open_for_the_next_back_off(b, mono_us);
        return BREAKER_REOPENED;
    }
    assert(false && "a state that there is not");
    return BREAKER_NO_NEWS;
}

void breaker_released(struct breaker *b)
{
    *b = (struct breaker){.state = BREAKER_CLOSED};
}
