/* A check of UTF-8, byte by byte: RFC 3629, section 4. */
#include "base/utf8.h"

static bool within(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

size_t utf8_char_len(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t need;
    if (len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (within(p[0], 0xC2, 0xDF))
        need = 2;
    else if (within(p[0], 0xE0, 0xEF))
        need = 3;
    else if (within(p[0], 0xF0, 0xF4))
        need = 4;
    else
        return 0;

    /* Only the second byte's range depends on the first. */
    if (p[0] == 0xE0)
        low = 0xA0; /* below: overlong */
    else if (p[0] == 0xED)
        high = 0x9F; /* above: surrogates */
    else if (p[0] == 0xF0)
        low = 0x90; /* below: overlong */
    else if (p[0] == 0xF4)
        high = 0x8F; /* above: past U+10FFFF */

    if (len < need || !within(p[1], low, high))
        return 0;
    for (size_t i = 2; i < need; i++)
        if (!within(p[i], 0x80, 0xBF))
            return 0;
    return need;
}

bool utf8_valid(const char *text, size_t len)
{
    while (len > 0) {
        size_t n = (unsigned char)*text < 0x80 ? 1 : utf8_char_len(text, len); /* most are */
        if (n == 0)
            return false;
        text += n;
        len -= n;
    }
    return true;
}
