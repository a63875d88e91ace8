/* The lines of --check-config, and when it is done. */
#include "app/check_report.h"

#include "base/terminal.h"
#include "link/loop.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static void say(const char *verdict, const char *colour, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void say(const char *verdict, const char *colour, const char *format, va_list args)
{
    char text[1024];
    bool coloured = terminal_colours(stdout);
    vsnprintf(text, sizeof(text), format, args);
    terminal_disarm(text);
    printf("%s%-4s%s  %s\n", coloured ? colour : "", verdict, coloured ? TERMINAL_PLAIN : "", text);
}

void check_ok(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("ok", TERMINAL_GREEN, format, args);
    va_end(args);
}

void check_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("note", TERMINAL_YELLOW, format, args);
    va_end(args);
}

void check_fail(struct check_report *r, const char *format, ...)
{
    va_list args;
    if (r->failures++ == 0) {
        va_start(args, format);
        vsnprintf(r->failure, sizeof(r->failure), format, args);
        va_end(args);
    }
    va_start(args, format);
    say("FAIL", TERMINAL_RED, format, args);
    va_end(args);
}

int check_report_init(struct check_report *r, struct loop *loop, event_cb *go_on, void *arg)
{
    r->turn = timer_new(loop, go_on, arg);
    return r->turn != NULL ? 0 : -1;
}

void check_report_clear(struct check_report *r)
{
    timer_free(r->turn);
    r->turn = NULL;
}

void check_report_add(struct check_report *all, const struct check_report *r)
{
    if (all->failures == 0)
        snprintf(all->failure, sizeof(all->failure), "%s", r->failure);
    all->failures += r->failures;
    all->misused = all->misused || r->misused;
}

void check_done(struct check_report *r, enum check_part part)
{
    assert(part < CHECK_PARTS && !r->done[part]);
    r->done[part] = true;
    timer_after_us(r->turn, 0);
}

enum check_part check_report_part(const struct check_report *r)
{
    enum check_part part = 0;
    while (part < CHECK_PARTS && r->done[part])
        part++;
    return part;
}
