/* What --explain and GET /explain say: JSON, and lines for people, which are made of it. */
#include "app/explain_report.h"

#include "app/desk_json.h"
#include "app/explain_judge.h"
#include "base/json_text.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

static json_t *answer(enum explain_answer a)
{
    return a == EXPLAIN_UNKNOWN ? json_null() : json_boolean(a == EXPLAIN_YES);
}

static json_t *hold_json(const struct explain_facts *f, const struct explain_hold *h)
{
    json_t *values = json_loads(h->values, 0, NULL);
    return json_pack("{s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "active", (int)h->active,
                     "due", (int)(h->due_us <= f->now_us), "dueAt", desk_time(h->due_us), "kept",
                     answer(h->keep), "expiresAt", desk_text(h->expires), "productId",
                     desk_text(h->key), "units", desk_number(h->quantity), "changedAt",
                     desk_time(h->changed_us), "values", values != NULL ? values : json_null());
}

static json_t *holds_json(const struct explain_facts *f)
{
    json_t *list = json_array();
    for (int i = 0; i < f->nholds; i++)
        (void)json_array_append_new(list, hold_json(f, &f->holds[i]));
    return list;
}

static json_t *counters_json(const struct explain_facts *f)
{
    json_t *list = json_array();
    for (int i = 0; i < f->ncounters; i++) {
        const struct explain_counter *c = &f->counters[i];
        json_t *o = json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "productId", desk_text(c->key),
                              "missing", (int)c->missing, "free", desk_number(c->free), "held",
                              desk_number(c->held), "total", desk_number(c->total), "activeHolds",
                              desk_number(c->sum), "fits", answer(c->fits));
        (void)json_array_append_new(list, o);
    }
    return list;
}

static json_t *blocker_json(const struct explain_blocker *b)
{
    if (!b->holder.known)
        return json_null();
    json_t *o = json_pack("{s:o}", strcmp(b->holder.what, "table") == 0 ? "table" : "productId",
                          desk_text(b->product));
    desk_set_blocker(o, b);
    return o;
}

static json_t *rehearsal_json(const struct explain_rehearsal *r)
{
    static const char *const outcomes[] = {[REHEARSED_NOT] = "",
                                           [REHEARSED_RELEASED] = "released",
                                           [REHEARSED_REFUSED] = "refused",
                                           [REHEARSED_FAILED] = "failed",
                                           [REHEARSED_ELSE] = "not decided"};
    if (r->outcome == REHEARSED_NOT)
        return json_null();
    return json_pack("{s:s, s:o, s:o}", "outcome", outcomes[r->outcome], "sqlstate",
                     desk_text(r->sqlstate), "error", desk_text(r->error));
}

/* What stands in Redis. */
static void set_redis(json_t *o, const struct explain_facts *f)
{
    json_t *failure = f->failed ? json_object() : json_null();
    if (f->failed)
        desk_set_failure(failure, &f->failure);
    (void)json_object_set_new(o, "entryAt", desk_time_ms(f->entry_ms));
    (void)json_object_set_new(o, "leaseUntil", desk_time_ms(f->lease_ms));
    (void)json_object_set_new(o, "failure", failure);
    (void)json_object_set_new(
        o, "kept",
        f->kept_record
            ? json_pack("{s:o, s:o, s:b}", "since", desk_time_ms(f->keep.since_ms), "lookAgainAt",
                        desk_time_ms(f->keep.again_ms), "attention", (int)f->keep.attention)
            : json_null());
    (void)json_object_set_new(
        o, "paused",
        f->pause.until_ms * MS_US > f->now_us
            ? json_pack("{s:o, s:o, s:o}", "until", desk_time_ms(f->pause.until_ms), "by",
                        desk_text(f->pause.by), "reason", desk_text(f->pause.reason))
            : json_null());
    /* None feeds without Postgres. */
    bool known = f->looked || f->sweeper == EXPLAIN_YES;
    (void)json_object_set_new(o, "sweeper", known ? answer(f->sweeper) : json_null());
    (void)json_object_set_new(o, "feeder", desk_text(f->feeder));
    (void)json_object_set_new(o, "redisError", f->redis ? json_null() : desk_text(f->redis_error));
}

/* What happened last, of all that has a time. */
static void set_last(json_t *o, const struct explain_facts *f)
{
    struct {
        int64_t at_us;
        const char *what;
    } last = {0, ""},
      all[] = {
          {f->failed ? f->failure.last_ms * MS_US : 0, "Postgres refused it"},
          {f->kept_record ? f->keep.since_ms * MS_US : 0, "it was due, and kept from then on"},
          {f->blocker.since_us, "the transaction began that has it locked"},
          {0, "a row of it was changed"},
      };
    for (int i = 0; i < f->nholds; i++)
        if (f->holds[i].changed_us > all[3].at_us)
            all[3].at_us = f->holds[i].changed_us;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].at_us > last.at_us) {
            last.at_us = all[i].at_us;
            last.what = all[i].what;
        }
    (void)json_object_set_new(o, "lastAt", desk_time(last.at_us));
    (void)json_object_set_new(o, "last", desk_text(last.what));
}

static void set_postgres(json_t *o, const struct explain_facts *f)
{
    const struct queue *q = f->config->queue;
    bool known = f->looked;
    (void)json_object_set_new(o, "postgresTime", desk_time(f->now_us));
    (void)json_object_set_new(o, "dueAt", desk_time(f->due_us));
    (void)json_object_set_new(o, "rows", known ? json_integer(f->rows) : json_null());
    (void)json_object_set_new(o, "activeRows", known ? json_integer(f->active_rows) : json_null());
    (void)json_object_set_new(o, "active", json_text(q->active.text));
    (void)json_object_set_new(o, "keepWhile", desk_text(q->keep.condition.text));
    (void)json_object_set_new(o, "afterSeconds", json_real((double)q->after_us / SECOND_US));
    (void)json_object_set_new(o, "holds", holds_json(f));
    (void)json_object_set_new(o, "counters", counters_json(f));
    (void)json_object_set_new(o, "countersError", desk_text(f->counters_error));
    (void)json_object_set_new(
        o, "blocker",
        blocker_json(f->table_blocker.holder.known ? &f->table_blocker : &f->blocker));
    (void)json_object_set_new(o, "runsWithIt", desk_text(f->triggers));
    (void)json_object_set_new(o, "rehearsal", rehearsal_json(&f->rehearsal));
    (void)json_object_set_new(o, "postgresError", desk_text(f->postgres_error));
}

json_t *explain_json(const struct explain_facts *f)
{
    struct explanation *e = calloc(1, sizeof(*e));
    json_t *o = json_object();
    if (e == NULL || o == NULL) {
        free(e);
        json_decref(o);
        return NULL;
    }
    explain_judge(f, e);
    (void)json_object_set_new(o, "reservationId", json_text(f->id));
    (void)json_object_set_new(o, "queue", json_text(f->config->queue->name));
    set_postgres(o, f);
    set_redis(o, f);
    set_last(o, f);
    (void)json_object_set_new(o, "cause", json_string(explain_cause_name(e->cause)));
    (void)json_object_set_new(o, "why", json_text(e->why));
    (void)json_object_set_new(o, "todo", desk_text(e->todo));
    (void)json_object_set_new(o, "next", json_text(e->next));
    free(e);
    return o;
}

/* ---- for people ---- */

/* A line in the making, of any length. */
struct line {
    FILE *out;
    char *text;
    size_t size;
};

static bool line_begin(struct line *l)
{
    *l = (struct line){0};
    l->out = open_memstream(&l->text, &l->size);
    return l->out != NULL;
}

static void line_end(struct line *l, FILE *out, const char *label)
{
    if (fclose(l->out) == 0)
        desk_print(out, label, l->text);
    free(l->text);
}

/* ", name value", where there is a value. */
static void put(struct line *l, const char *name, const json_t *value)
{
    if (json_is_null(value) || value == NULL)
        return;
    fputs(ftell(l->out) > 0 ? ", " : "", l->out);
    if (json_is_string(value))
        fprintf(l->out, "%s %s", name, json_string_value(value));
    else if (json_is_integer(value))
        fprintf(l->out, "%s %" JSON_INTEGER_FORMAT, name, json_integer_value(value));
    else
        fprintf(l->out, "%s %s", name, json_is_true(value) ? "yes" : "no");
}

/* Members by name, each with what it is called. */
struct shown {
    const char *name, *label;
};

static void print_members(FILE *out, const char *label, const json_t *o, const struct shown *shown,
                          size_t n)
{
    struct line l;
    if (!line_begin(&l))
        return;
    for (size_t i = 0; i < n; i++)
        put(&l, shown[i].label, json_object_get(o, shown[i].name));
    line_end(&l, out, label);
}

#define PRINT_MEMBERS(out, label, o, shown)                                                        \
    print_members(out, label, o, shown, sizeof(shown) / sizeof((shown)[0]))

static void print_hold(const json_t *hold, FILE *out)
{
    static const struct shown members[] = {
        {"active", "active"},        {"due", "due"},           {"kept", "kept"},
        {"expiresAt", "expires"},    {"dueAt", "due at"},      {"units", "units"},
        {"productId", "of product"}, {"changedAt", "changed"},
    };
    char *values = json_dumps(json_object_get(hold, "values"), JSON_ENCODE_ANY);
    PRINT_MEMBERS(out, "row", hold, members);
    if (values != NULL && !json_is_null(json_object_get(hold, "values")))
        desk_print(out, "", values);
    free(values);
}

static void print_counter(const json_t *counter, FILE *out)
{
    static const struct shown members[] = {
        {"productId", "of product"},         {"free", "free"}, {"held", "held"}, {"total", "total"},
        {"activeHolds", "its active holds"}, {"fits", "fits"},
    };
    PRINT_MEMBERS(out, "counter", counter, members);
}

static void print_redis(const json_t *o, FILE *out)
{
    static const struct shown entry[] = {{"entryAt", "looked at"}, {"leaseUntil", "claimed until"}};
    static const struct shown failure[] = {{"sqlstate", "SQLSTATE"},   {"attempts", "attempts"},
                                           {"firstFailedAt", "first"}, {"lastFailedAt", "last"},
                                           {"retryAt", "again"},       {"error", "error"}};
    static const struct shown kept[] = {
        {"since", "since"}, {"lookAgainAt", "looked at again"}, {"attention", "wants attention"}};
    static const struct shown paused[] = {{"until", "until"}, {"by", "by"}, {"reason", "reason:"}};
    static const struct shown feeder[] = {{"sweeper", "running"}, {"feeder", "feeder"}};
    PRINT_MEMBERS(out, "in Redis", o, entry);
    PRINT_MEMBERS(out, "refused", json_object_get(o, "failure"), failure);
    PRINT_MEMBERS(out, "kept", json_object_get(o, "kept"), kept);
    PRINT_MEMBERS(out, "paused", json_object_get(o, "paused"), paused);
    PRINT_MEMBERS(out, "sweeper", o, feeder);
    desk_print(out, "Redis", desk_string(o, "redisError"));
}

static void print_each(const json_t *list, void (*print)(const json_t *o, FILE *out), FILE *out)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        print(json_array_get(list, i), out);
}

json_t *explain_json_none(const struct explain_facts *const *facts, int n)
{
    static const char *const shared[] = {"reservationId", "cause", "why", "todo", "next"};
    json_t *list = json_array(), *o = json_object();
    for (int i = 0; i < n; i++)
        (void)json_array_append_new(list, explain_json(facts[i]));
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        (void)json_object_set(o, shared[i], json_object_get(json_array_get(list, 0), shared[i]));
    (void)json_object_set_new(o, "queues", list);
    return o;
}

void explain_print(const json_t *o, FILE *out)
{
    static const struct shown of[] = {{"reservationId", ""}, {"queue", "queue"}};
    static const struct shown conditions[] = {{"active", "active:"}, {"keepWhile", "keep_while:"}};
    static const struct shown blocker[] = {
        {"blockerPid", "pid"},       {"blockerGid", "prepared transaction"},
        {"blockerUser", "user"},     {"blockerApplication", "application"},
        {"blockerSince", "since"},   {"lockOn", "lock on"},
        {"productId", "of product"}, {"table", "table"}};
    static const struct shown rehearsal[] = {
        {"outcome", ""}, {"sqlstate", "SQLSTATE"}, {"error", "error"}};
    static const struct shown last[] = {{"last", ""}, {"lastAt", "at"}};
    PRINT_MEMBERS(out, "reservation", o, of);
    PRINT_MEMBERS(out, "conditions", o, conditions);
    print_each(json_object_get(o, "holds"), print_hold, out);
    print_each(json_object_get(o, "counters"), print_counter, out);
    desk_print(out, "counters", desk_string(o, "countersError"));
    PRINT_MEMBERS(out, "locked by", json_object_get(o, "blocker"), blocker);
    desk_print(out, "runs with it", desk_string(o, "runsWithIt"));
    print_redis(o, out);
    PRINT_MEMBERS(out, "rehearsal", json_object_get(o, "rehearsal"), rehearsal);
    desk_print(out, "Postgres", desk_string(o, "postgresError"));
    PRINT_MEMBERS(out, "last", o, last);
    desk_print(out, "why", desk_string(o, "why"));
    desk_print(out, "to do", desk_string(o, "todo"));
    desk_print(out, "next", desk_string(o, "next"));
}
