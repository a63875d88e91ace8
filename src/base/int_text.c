/* Whole numbers as decimal text. */
#include "base/int_text.h"

#include <stdbool.h>
#include <string.h>

size_t int_text(char out[INT_TEXT], int64_t number)
{
    char digits[INT_TEXT]; /* from its end */
    char *at = digits + sizeof(digits);
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size_t len;
    *--at = '\0';
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0)
        *--at = '-';
    len = (size_t)(digits + sizeof(digits) - 1 - at);
    memcpy(out, at, len + 1);
    return len;
}

const char *int_text_grouped(char out[INT_TEXT_GROUPED], int64_t number)
{
    char digits[INT_TEXT];
    size_t len = int_text(digits, number), n = 0;
    for (size_t i = 0; i < len; i++) {
        bool first = i == 0 || digits[i - 1] == '-';
        if ((len - i) % 3 == 0 && !first)
            out[n++] = ',';
        out[n++] = digits[i];
    }
    out[n] = '\0';
    return out;
}
