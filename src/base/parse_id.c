/* Ids of reservations as they stand in Redis, checked as Postgres will read them. */
#include "base/parse.h"

#include "base/utf8.h"

#include <ctype.h>
#include <string.h>

#define UUID_BYTES 16

/* As uuid_in does it (src/backend/utils/adt/uuid.c). */
static bool uuid_valid(const char *text, size_t len)
{
    const char *p = text;
    const char *end = text + len;
    bool braces = len > 0 && *p == '{';
    if (braces)
        p++;
    for (int i = 0; i < UUID_BYTES; i++) {
        if (end - p < 2 || !isxdigit((unsigned char)p[0]) || !isxdigit((unsigned char)p[1]))
            return false;
        p += 2;
        if (p < end && *p == '-' && i % 2 == 1 && i < UUID_BYTES - 1)
            p++;
    }
    if (braces) {
        if (p == end || *p != '}')
            return false;
        p++;
    }
    return p == end;
}

static bool int_valid(const char *text, size_t len, int64_t min, int64_t max)
{
    char copy[ID_MAX_LEN + 1];
    int64_t value;
    /* A NUL inside would hide the rest of the text from parse_int. */
    if (memchr(text, '\0', len) != NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return parse_int(copy, min, max, &value) == 0;
}

bool parse_id_valid(enum id_kind kind, const char *text, size_t len)
{
    if (len > ID_MAX_LEN)
        return false;
    switch (kind) {
    case ID_TEXT:
        return memchr(text, '\0', len) == NULL && utf8_valid(text, len);
    case ID_BYTES:
        return memchr(text, '\0', len) == NULL;
    case ID_UUID:
        return uuid_valid(text, len);
    case ID_INT2:
        return int_valid(text, len, INT16_MIN, INT16_MAX);
    case ID_INT4:
        return int_valid(text, len, INT32_MIN, INT32_MAX);
    case ID_INT8:
        return int_valid(text, len, INT64_MIN, INT64_MAX);
    }
    return false;
}
