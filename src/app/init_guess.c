/* --init: what a table is taken for. */
#include "app/init_guess.h"

#include "app/init_words.h"
#include "app/init_yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The years 2001 to 9999, in seconds since 1970: in milliseconds that is another span. */
#define PLAUSIBLE_FROM_S INT64_C(978307200)
#define PLAUSIBLE_TO_S INT64_C(253402300799)
#define MS 1000

const char *init_text(const json_t *of, const char *key)
{
    const char *text = json_string_value(json_object_get(of, key));
    return text == NULL ? "" : text;
}

/* kinds: words, each with a blank behind it. */
static bool is_kind(const json_t *column, const char *kinds)
{
    const char *kind = init_text(column, "kind");
    for (size_t n; *kinds != '\0'; kinds += n + 1) {
        n = strcspn(kinds, " ");
        if (strlen(kind) == n && strncmp(kind, kinds, n) == 0)
            return true;
    }
    return false;
}

static void add(struct init_like *like, json_t *column)
{
    if (like->n < INIT_LIKE_MAX)
        like->columns[like->n++] = column;
}

static bool is_true(const json_t *column, const char *key)
{
    return json_is_true(json_object_get(column, key));
}

/* When the row was changed, in a time that has a zone: now() is right whatever the shop's zone is.
 * A name beyond ASCII might end a line of YAML. */
static bool is_updated(const json_t *column)
{
    const char *name = init_text(column, "name");
    while (*name > ' ' && *name < 0x7f)
        name++;
    return *name == '\0' && is_kind(column, "timestamptz ") &&
           init_sounds(SOUNDS_UPDATED, init_text(column, "name"));
}

/* Whether the holds find the counters by this column; which: 0, the hold's side, 1, the other. */
static bool is_key(const json_t *counter, size_t which, const char *name)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(counter, "keys"), i, pair)
    {
        if (strcmp(json_string_value(json_array_get(pair, which)), name) == 0)
            return true;
    }
    return false;
}

bool init_can_be_named(const json_t *table)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(table, "keys"), i, pair)
    {
        if (!init_yaml_takes(json_string_value(json_array_get(pair, 0))) ||
            !init_yaml_takes(json_string_value(json_array_get(pair, 1))))
            return false;
    }
    return init_yaml_takes(init_text(table, "schema")) &&
           init_yaml_takes(init_text(table, "table"));
}

static bool has(const json_t *names, const json_t *column)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        if (strcmp(json_string_value(name), init_text(column, "name")) == 0)
            return true;
    }
    return false;
}

/* With one column of each kind: whether a constraint ties the three. */
static bool is_sum(const struct init_counter *c)
{
    size_t i;
    json_t *names;
    if (c->free.n != 1 || c->held.n != 1 || c->total.n != 1)
        return false;
    json_array_foreach(json_object_get(c->table, "sums"), i, names)
    {
        if (has(names, c->free.columns[0]) && has(names, c->held.columns[0]) &&
            has(names, c->total.columns[0]))
            return true;
    }
    return false;
}

/* A constraint ties one more column to what is free and held: that one is the total, whatever it is
 * called. */
static void find_sum(struct init_counter *c)
{
    size_t i;
    json_t *column;
    struct init_counter with = *c;
    json_array_foreach(json_object_get(c->table, "columns"), i, column)
    {
        if (column == c->held.columns[0] || column == c->free.columns[0])
            continue;
        with.total = (struct init_like){.columns = {column}, .n = 1};
        if (init_yaml_takes(init_text(column, "name")) && is_sum(&with)) {
            c->total = with.total;
            c->sum = true;
            return;
        }
    }
}

/* "seats_total" and "on_hand" are sums; "available_stock" is what is free. */
static void take_number(struct init_counter *c, json_t *column)
{
    const char *name = init_text(column, "name");
    if (init_sounds(SOUNDS_HELD, name))
        add(&c->held, column);
    else if (init_sounds(SOUNDS_FREE, name))
        add(&c->free, column);
    else if (init_sounds(SOUNDS_TOTAL, name))
        add(&c->total, column);
}

struct init_counter init_guess_counter(const json_t *counter)
{
    struct init_counter c = {.table = counter};
    size_t i;
    json_t *column;
    json_array_foreach(json_object_get(counter, "columns"), i, column)
    {
        const char *name = init_text(column, "name");
        if (!init_yaml_takes(name) || is_key(counter, 1, name) || is_true(column, "primary"))
            continue;
        if (is_kind(column, "integer bigint numeric "))
            take_number(&c, column);
        else if (c.updated == NULL && is_updated(column))
            c.updated = column;
    }
    if (c.free.n == 0 && c.held.n == 0) {
        c.stock = c.total;
        c.total = (struct init_like){.n = 0};
    } else if (c.free.n == 1 && c.held.n == 1) {
        find_sum(&c);
    } else {
        c.total = (struct init_like){.n = 0}; /* the sum of two that there are not */
    }
    return c;
}

static void guess_counters(struct init_guess *g)
{
    size_t i;
    json_t *counter;
    json_array_foreach(json_object_get(g->table, "counters"), i, counter)
    {
        struct init_counter c = init_guess_counter(counter);
        if (!init_can_be_named(counter) || c.free.n + c.held.n + c.stock.n == 0)
            continue;
        if (g->ncounters++ == 0)
            g->counter = c;
    }
}

static void take_column(struct init_guess *g, json_t *column)
{
    const char *name = init_text(column, "name");
    bool key = is_key(g->counter.table, 0, name);
    if (is_true(column, "primary") && !key)
        add(&g->id, column);
    else if (init_sounds(SOUNDS_ORDER, name) && is_kind(column, "text uuid bigint integer "))
        add(&g->orders, column);
    if (is_true(column, "primary") || key)
        return;
    if (init_sounds(SOUNDS_EXPIRY, name) && is_kind(column, "timestamptz timestamp bigint "))
        add(&g->expires, column);
    else if (is_kind(column, "enum ") ||
             (init_sounds(SOUNDS_STATUS, name) && is_kind(column, "text integer ")))
        add(&g->status, column);
    else if (is_kind(column, "integer bigint numeric "))
        add(init_sounds(SOUNDS_UNITS, name) ? &g->units : &g->numbers, column);
    else if (is_updated(column))
        g->updated = g->updated == NULL ? column : g->updated;
    else if (is_true(column, "nullable") || is_kind(column, "boolean "))
        add(&g->facts, column);
}

/* Where one of them is called as a status is, an enum beside it is something else. */
static void choose_status(struct init_like *status)
{
    struct init_like called = {.n = 0};
    for (int i = 0; i < status->n; i++)
        if (init_sounds(SOUNDS_STATUS, init_text(status->columns[i], "name")))
            add(&called, status->columns[i]);
    if (called.n > 0)
        *status = called;
}

static bool can_be_id(const json_t *column)
{
    return is_kind(column, "uuid text bigint integer ");
}

/* Counters say most, then a name, then units, then a status. */
static int score(const struct init_guess *g)
{
    bool named = init_sounds(SOUNDS_HOLD, init_text(g->table, "table"));
    for (int i = 0; i < g->expires.n; i++)
        named = named || init_sounds(SOUNDS_HOLD, init_text(g->expires.columns[i], "name"));
    if (g->expires.n == 0)
        return 0;
    return (g->ncounters > 0 ? 8 : 0) + (named ? 4 : 0) + (g->units.n > 0 ? 2 : 0) +
           (g->status.n > 0 ? 1 : 0);
}

struct init_guess init_guess(const json_t *table)
{
    struct init_guess g = {.table = table};
    size_t i;
    json_t *column;
    guess_counters(&g);
    json_array_foreach(json_object_get(table, "columns"), i, column)
    {
        if (init_yaml_takes(init_text(column, "name")))
            take_column(&g, column);
    }
    choose_status(&g.status);
    if (g.id.n == 1 && !can_be_id(g.id.columns[0]))
        g.id.n = 0;
    g.score = score(&g);
    return g;
}

const char *init_value_like(const json_t *values, int sound)
{
    const char *found = NULL;
    size_t i;
    json_t *value;
    json_array_foreach(values, i, value)
    {
        if (!init_sounds((enum init_sound)sound, json_string_value(value)))
            continue;
        if (found != NULL)
            return NULL;
        found = json_string_value(value);
    }
    return found;
}

const char *init_unit_of(const json_t *values)
{
    bool ms = false, s = false;
    size_t i;
    json_t *value;
    json_array_foreach(values, i, value)
    {
        int64_t v = strtoll(json_string_value(value), NULL, 10);
        s = s || (v >= PLAUSIBLE_FROM_S && v <= PLAUSIBLE_TO_S);
        ms = ms || (v >= PLAUSIBLE_FROM_S * MS && v / MS <= PLAUSIBLE_TO_S);
    }
    return ms == s ? NULL : ms ? "ms" : "s";
}
