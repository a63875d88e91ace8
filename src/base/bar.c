/* How far long work has come, as one line. */
#include "base/bar.h"

#include "base/int_text.h"
#include "base/time_units.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_S 5.0 /* after this, half of a phase whose end is not known */
#define WIDEST 30
#define NARROWEST 5
#define RATE_AFTER_US (500 * MS_US) /* sooner a rate says little */
#define LEFT_FROM 0.05              /* with less behind it, what is left is a guess */
#define PIECE 64

static double seconds(int64_t us)
{
    return (double)us / (double)SECOND_US;
}

double bar_share(const struct bar *bar, int64_t now_us)
{
    double s = seconds(now_us - bar->phase_began_us);
    double part = s / (s + PATIENCE_S);
    if (bar->total > 0)
        part = bar->done < bar->total ? (double)bar->done / (double)bar->total : 1;
    return bar->from + (bar->to - bar->from) * part;
}

static void duration_write(double s, const char *what, char out[PIECE])
{
    long long whole = (long long)(s + 0.5);
    if (whole < 60)
        (void)snprintf(out, PIECE, "  %lld s%s", whole, what);
    else if (whole < 3600)
        (void)snprintf(out, PIECE, "  %lld min %lld s%s", whole / 60, whole % 60, what);
    else
        (void)snprintf(out, PIECE, "  %lld h %lld min%s", whole / 3600, whole / 60 % 60, what);
}

static void amount_write(const struct bar *bar, char out[PIECE])
{
    char done[INT_TEXT_GROUPED], total[INT_TEXT_GROUPED];
    *out = '\0';
    if (bar->total > 0)
        (void)snprintf(out, PIECE, "  %s of %s", int_text_grouped(done, bar->done),
                       int_text_grouped(total, bar->total));
    else if (bar->done > 0)
        (void)snprintf(out, PIECE, "  %s", int_text_grouped(done, bar->done));
}

static void rate_write(const struct bar *bar, int64_t now_us, char out[PIECE])
{
    int64_t us = now_us - bar->phase_began_us;
    char rate[INT_TEXT_GROUPED];
    *out = '\0';
    if (us >= RATE_AFTER_US && bar->done > 0)
        (void)snprintf(out, PIECE, "  %s a second",
                       int_text_grouped(rate, (int64_t)((double)bar->done / seconds(us))));
}

static void time_write(const struct bar *bar, double share, int64_t now_us, char out[PIECE])
{
    double s = seconds(now_us - bar->began_us);
    bool known = bar->total > 0 ? share >= LEFT_FROM : bar->from >= LEFT_FROM;
    if (known && now_us - bar->began_us >= RATE_AFTER_US)
        duration_write(s / share * (1 - share), " left", out);
    else
        duration_write(s, "", out);
}

void bar_line(const struct bar *bar, double share, int64_t now_us, int columns, char out[BAR_LINE])
{
    enum { PERCENT, TIME, AMOUNT, RATE, PIECES };
    static const int shown[PIECES] = {PERCENT, AMOUNT, RATE, TIME}; /* from left to right */
    char pieces[PIECES][PIECE], named[PIECE];
    int room = columns - 1, name = 0, n;
    (void)snprintf(named, sizeof(named), "%.40s%s%.20s", bar->queue != NULL ? bar->queue : "",
                   bar->queue != NULL ? ": " : "", bar->phase);
    (void)snprintf(pieces[PERCENT], PIECE, "%3d%%", (int)(share * 100));
    time_write(bar, share, now_us, pieces[TIME]);
    amount_write(bar, pieces[AMOUNT]);
    rate_write(bar, now_us, pieces[RATE]);
    for (int i = 0; i < PIECES; i++) { /* the most important first */
        if (i == AMOUNT && (int)strlen(named) + 1 <= room) {
            name = (int)strlen(named);
            room -= name + 1;
        }
        if ((int)strlen(pieces[i]) > room)
            pieces[i][0] = '\0';
        room -= (int)strlen(pieces[i]);
    }
    room -= 3; /* the brackets, and a blank */
    int width = room > WIDEST ? WIDEST : room;
    int filled = (int)(share * width);
    n = name > 0 ? snprintf(out, BAR_LINE, "%s ", named) : 0;
    if (width >= NARROWEST) {
        out[n++] = '[';
        memset(out + n, '#', (size_t)filled);
        memset(out + n + filled, '.', (size_t)(width - filled));
        n += width;
        n += snprintf(out + n, BAR_LINE - (size_t)n, "] ");
    }
    out[n] = '\0';
    for (int i = 0; i < PIECES; i++)
        n += snprintf(out + n, BAR_LINE - (size_t)n, "%s", pieces[shown[i]]);
}
