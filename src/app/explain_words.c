/* Sentences of --explain, piece by piece. */
#include "app/explain_words.h"

#include "base/iso_time.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void words_add(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

void words_add_duration(char *text, size_t size, int64_t us)
{
    int64_t s = us / SECOND_US;
    if (s >= DAY_US / SECOND_US)
        words_add(text, size, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        words_add(text, size, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        words_add(text, size, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s >= 10)
        words_add(text, size, "%" PRId64 " s", s);
    else if (us >= SECOND_US)
        words_add(text, size, "%.1f s", (double)us / SECOND_US);
    else
        words_add(text, size, "%" PRId64 " ms", us / MS_US);
}

void words_add_time(char *text, size_t size, int64_t us, int64_t now_us)
{
    char time[ISO_TIME_SIZE];
    words_add(text, size, "%s", iso_time_seconds(us, time));
    if (now_us == 0)
        return;
    words_add(text, size, us > now_us ? " (in " : " (");
    words_add_duration(text, size, us > now_us ? us - now_us : now_us - us);
    words_add(text, size, us > now_us ? ")" : " ago)");
}

void words_add_blocker(char *text, size_t size, const struct explain_blocker *b, int64_t now_us)
{
    const struct locked_holder *h = &b->holder;
    if (h->pid != 0)
        words_add(text, size, "pid %" PRId32 " (user %s, application %s)", h->pid,
                  h->user[0] != '\0' ? h->user : "not known",
                  h->application[0] != '\0' ? h->application : "not known");
    else
        words_add(text, size, "the prepared transaction \"%s\" of user %s", h->gid, h->user);
    if (b->since_us == 0)
        return;
    words_add(text, size, ", in a transaction that began at ");
    /* It may have begun after Postgres was asked for its time. */
    words_add_time(text, size, b->since_us < now_us ? b->since_us : now_us, now_us);
}

void words_add_remedy(char *text, size_t size, const struct explain_blocker *b)
{
    if (b->holder.pid != 0)
        words_add(text, size,
                  "Have that transaction ended: by its application, or by SELECT "
                  "pg_terminate_backend(%" PRId32 ")",
                  b->holder.pid);
    else
        words_add(text, size, "End it: COMMIT PREPARED or ROLLBACK PREPARED '%s'", b->holder.gid);
}

void explain_why_time(struct explanation *e, const struct explain_facts *f, int64_t us)
{
    words_add_time(e->why, sizeof(e->why), us, f->now_us);
}

void explain_next_time(struct explanation *e, const struct explain_facts *f, int64_t us)
{
    words_add_time(e->next, sizeof(e->next), us, f->now_us);
}

void explain_todo_queue(struct explanation *e, const struct explain_facts *f)
{
    const struct queue *queue = f->config->queue;
    if (queue->file != NULL)
        ADVISE(e, " --queue %s", queue->name);
}

void explain_next_end(struct explanation *e, const struct explain_facts *f)
{
    NEXT(e, f->sweeper == EXPLAIN_NO
                ? " - by a sweeper, and none seems to run: start one, or run --once."
                : ".");
}
