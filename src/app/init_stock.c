/* --init: the counters in the draft. */
#include "app/init_stock.h"

#include "app/init_guess.h"
#include "app/init_yaml.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INDENT "  "
#define INNER INDENT INDENT

void init_yaml_put(FILE *out, const char *indent, const char *key, const json_t *column)
{
    fprintf(out, "%s%s: ", indent, key);
    init_yaml_column(out, init_text(column, "name"));
    fputc('\n', out);
}

void init_put_ideas(FILE *out, const char *indent, const char *key, const struct init_like *like)
{
    for (int i = 0; i < like->n; i++) {
        fprintf(out, "%s# ", indent);
        init_yaml_put(out, "", key, like->columns[i]);
    }
}

/* One of them is it, several may be. */
static void put_one(FILE *out, const char *key, const char *what, const struct init_like *like)
{
    if (like->n == 1) {
        init_yaml_put(out, INNER, key, like->columns[0]);
    } else if (like->n > 1) {
        init_yaml_comment(out, INNER, "Not known: which of these is %s.", what);
        fprintf(out, INNER "%s:\n", key);
        init_put_ideas(out, INNER, key, like);
    }
}

static void put_total(FILE *out, const struct init_counter *c)
{
    if (c->total.n == 0)
        return;
    if (c->sum) {
        init_yaml_put(out, INNER, "total", c->total.columns[0]);
        return;
    }
    init_yaml_comment(out, INNER,
                      "Not known: whether one is always the sum of the two. If not, leave the line "
                      "out.");
    fputs(INNER "total:\n", out);
    init_put_ideas(out, INNER, "total", &c->total);
}

static void put_table(FILE *out, const json_t *counter)
{
    size_t i;
    json_t *pair;
    fputs(INDENT "stock:\n" INNER "table: ", out);
    init_yaml_table(out, json_string_value(json_object_get(counter, "schema")),
                    init_text(counter, "table"));
    fputs("\n" INNER "key: {", out);
    json_array_foreach(json_object_get(counter, "keys"), i, pair)
    {
        fputs(i > 0 ? ", " : "", out);
        init_yaml_column(out, json_string_value(json_array_get(pair, 0)));
        fputs(": ", out);
        init_yaml_column(out, json_string_value(json_array_get(pair, 1)));
    }
    fputs("}\n", out);
}

static void put_counter(FILE *out, const struct init_counter *c)
{
    put_table(out, c->table);
    if (c->stock.n > 0) {
        init_yaml_comment(
            out, INNER,
            "Not known: whether a hold takes its units from here (free), or is counted "
            "beside them (held).");
        fputs(INNER "free:\n", out);
        init_put_ideas(out, INNER, "free", &c->stock);
    }
    put_one(out, "free", "raised by a release", &c->free);
    put_one(out, "held", "lowered by a release", &c->held);
    put_total(out, c);
    if (c->updated != NULL)
        fprintf(out, INNER "set: |\n" INNER INDENT "%s = now()\n", init_text(c->updated, "ident"));
}

/* The same as comments, line by line. */
static void put_counter_idea(FILE *out, const struct init_counter *c)
{
    char *text = NULL, *rest = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        return;
    put_counter(memory, c);
    if (fclose(memory) == 0)
        for (char *line = strtok_r(text, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest))
            init_yaml_idea(out, INDENT, line + strlen(INDENT));
    free(text);
}

static void put_counter_ideas(FILE *out, const struct init_guess *g)
{
    size_t i;
    json_t *counter;
    fputs(INDENT "stock:\n", out);
    json_array_foreach(json_object_get(g->table, "counters"), i, counter)
    {
        struct init_counter c = init_guess_counter(counter);
        if (init_can_be_named(counter) && c.free.n + c.held.n + c.stock.n > 0)
            put_counter_idea(out, &c);
    }
}

void init_put_stock(FILE *out, const struct init_guess *g)
{
    const json_t *triggers = json_object_get(g->table, "triggers");
    size_t i;
    json_t *name;
    json_array_foreach(triggers, i, name)
    {
        init_yaml_comment(out, INDENT, "There is a trigger on this table: %s.",
                          json_string_value(name));
    }
    if (g->ncounters == 0) {
        init_yaml_comment(
            out, INDENT,
            "No table of counters is known to belong to this one: no foreign key leads "
            "to one, and none has a unique key of columns that have the same names "
            "here. If there is one, add \"stock\".");
    } else if (json_array_size(triggers) > 0) {
        init_yaml_comment(out, INDENT,
                          "Not known: whether a trigger gives the units back. If one does, leave "
                          "\"stock\" out, else they would come back twice.");
        put_counter_ideas(out, g);
    } else if (g->ncounters > 1) {
        init_yaml_comment(
            out, INDENT,
            "Not known: which of these tables counts the units of these holds, if any "
            "does.");
        put_counter_ideas(out, g);
    } else {
        put_counter(out, &g->counter);
    }
}
