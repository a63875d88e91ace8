/* What the assignments of `released` may change of a hold. The ways to release that read what
 * RETURNING says, which is the row after them, are for queues where the columns that they read
 * stay as they were (mapping_allows_bulk). To say so too often only costs the fast way. */
#include "store/released.h"

#include <string.h>
#include <strings.h>

/* What a name goes on with; bytes of letters beyond ASCII too. */
static bool in_word(char c)
{
    unsigned char u = (unsigned char)c;
    return (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u == '_' ||
           u == '$' || u >= 0x80;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; *at != '\0'; at++) {
        bool begins = at == text || !in_word(at[-1]);
        if (begins && strncasecmp(at, word, len) == 0 && !in_word(at[len]))
            return true;
    }
    return false;
}

bool released_may_set(const char *released, const char *column)
{
    return strchr(column, '"') != NULL || strstr(released, "U&") != NULL ||
           strstr(released, "u&") != NULL || has_word(released, column);
}
