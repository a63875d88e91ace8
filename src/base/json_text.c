/* Foreign text as JSON. */
#include "base/json_text.h"

#include "base/utf8.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
#define REPLACEMENT_LEN (sizeof(replacement) - 1)

json_t *json_bytes(const char *bytes, size_t len)
{
    if (utf8_valid(bytes, len))
        return json_stringn_nocheck(bytes, len);

    char *shown = len <= SIZE_MAX / REPLACEMENT_LEN ? malloc(len * REPLACEMENT_LEN) : NULL;
    size_t used = 0;
    if (shown == NULL)
        return NULL;
    for (size_t i = 0; i < len;) {
        size_t n = utf8_char_len(bytes + i, len - i);
        memcpy(shown + used, n > 0 ? bytes + i : replacement, n > 0 ? n : REPLACEMENT_LEN);
        used += n > 0 ? n : REPLACEMENT_LEN;
        i += n > 0 ? n : 1;
    }

    json_t *json = json_stringn_nocheck(shown, used);
    free(shown);
    return json;
}

json_t *json_text(const char *text)
{
    return json_bytes(text, strlen(text));
}
