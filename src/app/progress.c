/* The line that says how far a mode has come. */
#include "app/progress.h"

#include "base/bar.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/terminal.h"
#include "base/time_units.h"
#include "link/loop.h"

#include <stdlib.h>
#include <unistd.h>

#define DRAWN_US (250 * MS_US)

struct progress {
    struct timer *timer;
    void (*read)(void *arg, struct bar *bar);
    void *arg;
    int64_t began_us;
    double reached; /* it never goes back */
};

static void on_draw(void *arg)
{
    struct progress *p = arg;
    int64_t now_us = clock_mono_us();
    struct bar bar = {0};
    char line[BAR_LINE];
    p->read(p->arg, &bar);
    bar.began_us = p->began_us;
    double share = bar_share(&bar, now_us);
    p->reached = share > p->reached ? share : p->reached;
    bar_line(&bar, p->reached, now_us, terminal_columns(stderr), line);
    terminal_line_show(line);
    timer_after_us(p->timer, DRAWN_US);
}

bool progress_wanted(void)
{
    return terminal_moves(stderr) && log_is_text(STDERR_FILENO);
}

struct progress *progress_new(struct loop *loop, void (*read)(void *arg, struct bar *bar),
                              void *arg)
{
    struct progress *p = progress_wanted() ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL)
        return NULL;
    p->read = read;
    p->arg = arg;
    p->began_us = clock_mono_us();
    p->timer = timer_new(loop, on_draw, p);
    if (p->timer == NULL) {
        free(p);
        return NULL;
    }
    timer_after_us(p->timer, DRAWN_US);
    return p;
}

void progress_free(struct progress *p)
{
    if (p == NULL)
        return;
    terminal_line_clear();
    timer_free(p->timer);
    free(p);
}
