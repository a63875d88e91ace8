/* What is written to a terminal. */
#include "base/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define TO_ITS_BEGINNING "\r\033[J" /* and nothing behind: a line that was wider may be wrapped */

static bool line_stands;

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

/* Where a line can be written without waiting, since somebody may have stopped the terminal
 * (Ctrl-S): an open file that is nobody else's, and so may be non-blocking; where that cannot be
 * had, the shared one, unless it is stopped already. -1: nowhere at present. */
static int willing_terminal(void)
{
    static int own = -1;
    static bool tried;
    struct pollfd shared = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (!tried)
        own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    tried = true;
    if (own >= 0)
        return own;
    return poll(&shared, 1, 0) == 1 && (shared.revents & POLLOUT) != 0 ? STDERR_FILENO : -1;
}

/* False: nothing is written. */
static bool put_line(const char *text, const char *end)
{
    const struct iovec pieces[] = {
        {(char *)TO_ITS_BEGINNING, sizeof(TO_ITS_BEGINNING) - 1},
        {(char *)text, strlen(text)},
        {(char *)end, strlen(end)},
    };
    int fd = willing_terminal();
    return fd >= 0 && writev(fd, pieces, 3) > 0;
}

void terminal_line_show(const char *text)
{
    if (put_line(text, "\r"))
        line_stands = true;
}

void terminal_line_clear(void)
{
    if (line_stands && put_line("", ""))
        line_stands = false;
}
