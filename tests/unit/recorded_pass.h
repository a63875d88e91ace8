/* A pass that does nothing but note what is asked of it, in place of pass.c: for what runs passes.
 * To be included once, by the test. */
#ifndef RS_RECORDED_PASS_H
#define RS_RECORDED_PASS_H

#include "release/pass.h"

static struct {
    int runs;
    int64_t min_overdue_us; /* of the last run */
    bool running, stopped;
    void (*done)(void *arg, const struct pass_result *result);
    void *arg;
} pass;

struct pass *pass_new(const struct pass_options *options)
{
    (void)options;
    return (struct pass *)(void *)&pass;
}

void pass_free(struct pass *p)
{
    (void)p;
}

void pass_run(struct pass *p, int64_t min_overdue_us,
              void (*done)(void *arg, const struct pass_result *result), void *arg)
{
    (void)p;
    pass.runs++;
    pass.min_overdue_us = min_overdue_us;
    pass.running = true;
    pass.done = done;
    pass.arg = arg;
}

bool pass_running(const struct pass *p)
{
    (void)p;
    return pass.running;
}

void pass_stop(struct pass *p)
{
    (void)p;
    pass.stopped = true;
}

/* The run under way ends. */
static void pass_over(const struct pass_result *r)
{
    pass.running = false;
    pass.done(pass.arg, r);
}

#endif
