/* A health report as a table, for people. */
#include "app/status_table.h"

#include "base/iso_time.h"
#include "base/time_units.h"
#include "health/health.h"
#include "link/redis_finder.h"
#include "release/pause_record.h"

#include <jansson.h>
#include <string.h>

/* What Redis or a server sent must not move the cursor. */
static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7F ? '?' : *text, out);
}

/* "1 h 5 min", "3 min 20 s", "4.250 s" */
static void put_duration(FILE *out, int64_t us)
{
    long long seconds = (long long)(us / SECOND_US);
    if (seconds >= 3600)
        fprintf(out, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
    else if (seconds >= 60)
        fprintf(out, "%lld min %lld s", seconds / 60, seconds % 60);
    else
        fprintf(out, "%.3f s", (double)us / 1e6);
}

static void put_time(FILE *out, int64_t us)
{
    char text[ISO_TIME_SIZE];
    fputs(iso_time(us, text), out);
}

static void put_count(FILE *out, const char *name, bool known, int64_t n)
{
    if (known)
        fprintf(out, "%-16s%lld\n", name, (long long)n);
    else
        fprintf(out, "%-16snot known\n", name);
}

/* Where it is another than the address names. */
static void put_where(FILE *out, const struct redis_where *w)
{
    if (w == NULL || (w->slot < 0 && w->service[0] == '\0'))
        return;
    fprintf(out, ": the %s ", w->role);
    put_text(out, w->node);
    fputs(", found for ", out);
    put_text(out, w->found);
}

static void put_server(FILE *out, const char *name, const struct health_server *s)
{
    fprintf(out, "%-16s", name);
    put_text(out, s->address);
    if (s->up && s->host != NULL && s->host[0] != '\0') {
        fputs(", at ", out);
        put_text(out, s->host);
    }
    if (!s->up) {
        fputs(", out of reach", out);
        if (s->error[0] != '\0') {
            fputs(": ", out);
            put_text(out, s->error);
        }
        fputc('\n', out);
        return;
    }
    put_where(out, s->where);
    if (s->clock_known)
        fprintf(out, ", clock %+.3f s from this host's", (double)s->clock_offset_us / 1e6);
    fputc('\n', out);
}

static void put_overdue(FILE *out, const struct health_report *r)
{
    int64_t us = health_overdue_us(r);
    fprintf(out, "%-16s", "oldest overdue");
    if (!r->overdue_known) {
        fputs("not known\n", out);
        return;
    }
    if (us == 0) {
        fputs("none\n", out);
        return;
    }
    put_text(out, r->overdue_id);
    if (r->overdue_product[0] != '\0') {
        fputs(", product ", out);
        put_text(out, r->overdue_product);
    }
    fputs(", for ", out);
    put_duration(out, us);
    fputs(" (since ", out);
    put_time(out, r->overdue_since_us);
    fputs(")\n", out);
}

static void put_next(FILE *out, const struct health_report *r)
{
    fprintf(out, "%-16s", "next due");
    if (r->next_due_us == 0) {
        fputs(r->next_due_known ? "none\n" : "not known\n", out);
        return;
    }
    put_time(out, r->next_due_us);
    if (r->now_us > 0 && r->next_due_us > r->now_us) {
        fputs(", in ", out);
        put_duration(out, r->next_due_us - r->now_us);
    }
    fputc('\n', out);
}

static void put_failure(FILE *out, json_t *failure)
{
    static const char *const names[] = {"reservationId", "sqlstate", "error"};
    fputs("  ", out);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *text = json_string_value(json_object_get(failure, names[i]));
        if (text != NULL) {
            put_text(out, text);
            fputs("  ", out);
        }
    }
    const char *next = json_string_value(json_object_get(failure, "retryAt"));
    fprintf(out, "(attempts: %lld",
            (long long)json_integer_value(json_object_get(failure, "attempts")));
    if (next != NULL) {
        fputs(", next at ", out);
        put_text(out, next);
    }
    fputs(")\n", out);
}

static void put_kept(FILE *out, const struct health_report *r)
{
    if (r->kept_known && r->attention > 0)
        fprintf(out, "%-16s%lld (%lld for too long)\n", "kept", (long long)r->kept,
                (long long)r->attention);
    else
        put_count(out, "kept", r->kept_known, r->kept);
}

void status_table_print(const struct health_report *r, FILE *out)
{
    fprintf(out, "%-16s", "on time");
    fputs(r->ready ? "yes" : "no: ", out);
    put_text(out, r->reason);
    fputc('\n', out);
    if (r->degraded) {
        fprintf(out, "%-16s", "degraded");
        fputs("yes: ", out);
        put_text(out, r->degraded_reason);
        fputc('\n', out);
    }
    if (r->pause != NULL) {
        char text[PAUSE_SAID_SIZE];
        pause_record_say(r->pause, text, sizeof(text));
        fprintf(out, "%-16s", "paused");
        put_text(out, strchr(text, ' ') + 1);
        fputc('\n', out);
    }
    put_count(out, "pending", r->sizes_known, r->pending);
    put_count(out, "in flight", r->sizes_known, r->inflight);
    put_count(out, "failed", r->sizes_known, r->failed);
    put_kept(out, r);
    put_count(out, "locked", r->locked_known, (int64_t)r->locked);
    put_overdue(out, r);
    put_next(out, r);
    put_server(out, "Postgres", &r->postgres);
    put_server(out, "Redis", &r->redis);
    if (r->failures == NULL || json_array_size(r->failures) == 0)
        return;
    fprintf(out, "failures (%zu of %lld)\n", json_array_size(r->failures), (long long)r->failed);
    for (size_t i = 0; i < json_array_size(r->failures); i++)
        put_failure(out, json_array_get(r->failures, i));
}
