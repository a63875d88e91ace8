/* Foreign text on a terminal. */
#include "base/terminal.h"

#include <stdbool.h>

void terminal_disarm(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        bool c1 = p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F;
        if (*p < 0x20 || *p == 0x7F || c1)
            *p = '?';
        if (c1)
            *++p = '?';
    }
}
