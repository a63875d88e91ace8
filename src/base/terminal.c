/* What is written to a terminal. */
#include "base/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80

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

bool terminal_moves(FILE *out)
{
    const char *term = getenv("TERM");
    int fd = fileno(out); /* -1: a buffer in memory */
    return fd >= 0 && isatty(fd) && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

bool terminal_colours(FILE *out)
{
    const char *none = getenv("NO_COLOR");
    return terminal_moves(out) && (none == NULL || *none == '\0');
}

int terminal_columns(FILE *out)
{
    struct winsize size = {0};
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}
