/* --init: what names sound like. */
#include "app/init_words.h"

#include "link/pg_array.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define STEMS_MAX 16

/* How words of each sound begin. */
static const char *const stems[SOUNDS_N][STEMS_MAX] = {
    [SOUNDS_EXPIRY] = {"expir", "until", "deadline", "lapses", "holdend"},
    [SOUNDS_STATUS] = {"status", "state"},
    [SOUNDS_UNITS] = {"quantity", "qty", "units"},
    [SOUNDS_FREE] = {"avail", "free", "remain", "left", "balance"},
    [SOUNDS_HELD] = {"reserv", "held", "hold", "taken", "allocat"},
    [SOUNDS_TOTAL] = {"total", "stock", "quantity", "capacity", "qty", "hand"},
    [SOUNDS_UPDATED] = {"updated", "modified", "changed"},
    [SOUNDS_ORDER] = {"order", "cart", "basket", "checkout", "session"},
    [SOUNDS_HOLD] = {"hold", "held", "reserv", "booking", "ticket", "seat", "allocat"},
    [SOUNDS_ACTIVE] = {"active", "held", "hold", "reserved", "pending", "open"},
    [SOUNDS_OVER] = {"released", "expired", "lapsed", "available", "free"},
};

/* A word begins behind what is no letter, and where capitals begin. */
static bool word_begins(const char *name, const char *at)
{
    if (at == name || !isalnum((unsigned char)at[-1]))
        return true;
    return isupper((unsigned char)*at) && !isupper((unsigned char)at[-1]);
}

/* "expired" is what has happened, not when it will. */
static bool is_past(const char *word)
{
    return strncasecmp(word, "expired", 7) == 0;
}

static bool word_sounds(enum init_sound sound, const char *word)
{
    if (sound == SOUNDS_EXPIRY && is_past(word))
        return false;
    for (int i = 0; i < STEMS_MAX && stems[sound][i] != NULL; i++)
        if (strncasecmp(word, stems[sound][i], strlen(stems[sound][i])) == 0)
            return true;
    return false;
}

bool init_sounds(enum init_sound sound, const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (word_begins(name, at) && word_sounds(sound, at))
            return true;
    return false;
}

void init_stems(enum init_sound sound, struct pg_array *out)
{
    for (int i = 0; i < STEMS_MAX && stems[sound][i] != NULL; i++)
        pg_array_add(out, stems[sound][i], strlen(stems[sound][i]));
}
