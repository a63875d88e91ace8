/* Foreign text as JSON. */
#include "base/json_text.h"

#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text, size_t len)
{
    if (utf8_valid(text, len))
        return json_stringn_nocheck(text, len);
    char *shown = malloc(len);
    if (shown == NULL)
        return NULL;
    memcpy(shown, text, len);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_char_len(text + i, len - i);
        if (n == 0)
            shown[i] = '?';
        i += n > 0 ? n : 1;
    }
    json_t *json = json_stringn_nocheck(shown, len);
    free(shown);
    return json;
}
