/* What the name of a column or a table sounds like, in whatever way its words are put together:
 * expires_at, expiresAt, "Expires At". */
#ifndef RS_INIT_WORDS_H
#define RS_INIT_WORDS_H

#include <stdbool.h>

struct pg_array;

enum init_sound {
    SOUNDS_EXPIRY,  /* when a hold is over */
    SOUNDS_STATUS,  /* what state it is in */
    SOUNDS_UNITS,   /* how many */
    SOUNDS_FREE,    /* of a counter: what can be sold */
    SOUNDS_HELD,    /* ... what is held */
    SOUNDS_TOTAL,   /* ... perhaps their sum */
    SOUNDS_UPDATED, /* when the row was changed */
    SOUNDS_ORDER,   /* what several holds may belong to */
    SOUNDS_HOLD,    /* a hold, of whatever */
    SOUNDS_ACTIVE,  /* of a status: it still holds */
    SOUNDS_OVER,    /* ... it holds no more, and nobody has bought it */
    SOUNDS_N
};

/* Whether one of the name's words begins as such words do. */
bool init_sounds(enum init_sound sound, const char *name);

/* Adds how the words of this sound begin, in lower case. */
void init_stems(enum init_sound sound, struct pg_array *out);

#endif
