/* --init: the draft. What is certain is a line with its value. What is not is a line without one,
 * which the file's reader refuses, below what is known about it and above what it might be, as a
 * comment: so nothing that was guessed is served unless somebody has made it his own. */
#include "app/init_draft.h"

#include "app/init_guess.h"
#include "app/init_stock.h"
#include "app/init_words.h"
#include "app/init_yaml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define INDENT "  "

void init_draft_head(FILE *out, const char *where)
{
    init_yaml_comment(
        out, "",
        "A draft, by reservation-sweeper --init, of %s. It names the tables that look like holds; "
        "remove the queues of those that are none. A key without a value is not known: give it "
        "one, "
        "or take what stands below it as a comment if it is right. Until then the file is refused. "
        "Then: reservation-sweeper --check-config --queues THIS-FILE. docs/SHOPS.md has the rest.",
        where);
}

void init_draft_name(const struct init_guess *g, char name[INIT_NAME_BYTES])
{
    const char *table = init_text(g->table, "table");
    size_t n = 0;
    for (; *table != '\0' && n < INIT_NAME_BYTES - 1; table++)
        name[n++] = isalnum((unsigned char)*table) || *table == '-' ? *table : '_';
    name[n] = '\0';
}

static void put_id(FILE *out, const struct init_guess *g)
{
    for (int i = 0; i < g->orders.n; i++)
        init_yaml_comment(out, INDENT,
                          "If all rows of one %s live and die together, that is the id.",
                          init_text(g->orders.columns[i], "name"));
    if (g->id.n == 1) {
        init_yaml_put(out, INDENT, "id", g->id.columns[0]);
        return;
    }
    init_yaml_comment(
        out, INDENT,
        "Not known: which column says which rows are one reservation: uuid, text or an "
        "integer.");
    fputs(INDENT "id:\n", out);
    init_put_ideas(out, INDENT, "id", g->id.n > 0 ? &g->id : &g->orders);
}

/* A time in a number, or without a zone, says nothing of what it counts from. */
static void put_expiry_kind(FILE *out, const struct init_guess *g, const json_t *column)
{
    const char *kind = init_text(column, "kind");
    if (strcmp(kind, "bigint") == 0) {
        const char *unit = init_unit_of(json_object_get(column, "values"));
        if (unit != NULL) {
            init_yaml_comment(out, INDENT,
                              "By the values that there are, which lie between 2001 and 9999.");
            fprintf(out, INDENT "expires_unit: %s\n", unit);
            return;
        }
        init_yaml_comment(out, INDENT,
                          "Not known, since no value shows it: whether it counts seconds (s) or "
                          "milliseconds (ms).");
        fputs(INDENT "expires_unit:\n", out);
    } else if (strcmp(kind, "timestamp") == 0) {
        init_yaml_comment(out, INDENT,
                          "Not known: in which zone the shop writes these times, which have none "
                          "themselves. Many frameworks write UTC; this connection's zone is %s.",
                          init_text(g->table, "zone"));
        fputs(INDENT "time_zone:\n", out);
        init_yaml_idea(out, INDENT, "time_zone: UTC");
    }
}

static void put_expiry(FILE *out, const struct init_guess *g)
{
    if (g->expires.n == 1) {
        init_yaml_put(out, INDENT, "expires_at", g->expires.columns[0]);
        put_expiry_kind(out, g, g->expires.columns[0]);
        return;
    }
    init_yaml_comment(
        out, INDENT,
        "Not known: which of these says when a hold is over. Of a timestamp without a "
        "zone time_zone is needed too, of a bigint expires_unit.");
    fputs(INDENT "expires_at:\n", out);
    init_put_ideas(out, INDENT, "expires_at", &g->expires);
}

static void put_units(FILE *out, const struct init_guess *g)
{
    const struct init_like *like = g->units.n > 0 ? &g->units : &g->numbers;
    if (g->units.n == 1) {
        init_yaml_put(out, INDENT, "quantity", g->units.columns[0]);
    } else if (g->units.n == 0 && (g->ncounters == 0 || g->numbers.n == 0)) {
        init_yaml_comment(out, INDENT, "Each row is one unit.");
        fputs(INDENT "quantity: 1\n", out);
    } else {
        init_yaml_comment(out, INDENT,
                          "Not known: which column says how many units a row holds, or 1.");
        fputs(INDENT "quantity:\n", out);
        init_put_ideas(out, INDENT, "quantity", like);
    }
}

/* "status = 'released'", in SQL; NULL when a comment cannot hold it as it is. */
static char *compare(const json_t *column, const char *value)
{
    char *text = NULL, *at;
    size_t size = strlen(init_text(column, "ident")) + 2 * strlen(value) + 6;
    if (!init_yaml_takes(value) || (text = malloc(size)) == NULL)
        return NULL;
    at = text + snprintf(text, size, "%s = '", init_text(column, "ident"));
    for (; *value != '\0'; value++) {
        *at++ = *value;
        if (*value == '\'')
            *at++ = '\'';
    }
    *at++ = '\'';
    *at = '\0';
    return text;
}

static void put_idea_sql(FILE *out, const char *key, const char *sql, const char *more)
{
    char *line = NULL;
    if (asprintf(&line, INDENT "%s%s", sql, more) < 0)
        return;
    fprintf(out, INDENT "# %s: |\n", key);
    init_yaml_idea(out, INDENT, line);
    free(line);
}

static void put_idea_of_value(FILE *out, const struct init_guess *g, const char *key,
                              const char *value)
{
    bool sets = strcmp(key, "released") == 0 && g->updated != NULL;
    char *sql = value == NULL ? NULL : compare(g->status.columns[0], value);
    char more[160] = "";
    if (sets)
        (void)snprintf(more, sizeof(more), ", %s = now()", init_text(g->updated, "ident"));
    if (sql != NULL)
        put_idea_sql(out, key, sql, more);
    free(sql);
}

/* "a, b, c", malloc'd; NULL when memory ran out. */
static char *join_values(const json_t *values)
{
    char *text = NULL;
    size_t size = 0, i;
    json_t *value;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    json_array_foreach(values, i, value)
    {
        fprintf(out, "%s'%s'", i > 0 ? ", " : "", json_string_value(value));
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* What the database tells about a status. */
static void put_values(FILE *out, const json_t *column)
{
    const json_t *values = json_object_get(column, "values");
    const char *name = init_text(column, "name");
    const char *unread = init_text(column, "unread");
    char *list = json_array_size(values) > 0 ? join_values(values) : NULL;
    if (list != NULL)
        init_yaml_comment(out, INDENT, "%s can be %s.", name, list);
    else if (*unread != '\0')
        init_yaml_comment(out, INDENT, "The values of %s could not be read: %s.", name, unread);
    else
        init_yaml_comment(out, INDENT, "No value of %s is there yet.", name);
    free(list);
    if (init_text(column, "preset")[0] != '\0')
        init_yaml_comment(out, INDENT, "Of a new row it is '%s'.", init_text(column, "preset"));
}

static void put_status(FILE *out, const struct init_guess *g)
{
    const json_t *column = g->status.columns[0];
    const json_t *values = json_object_get(column, "values");
    const char *active = init_value_like(values, SOUNDS_ACTIVE);
    const char *over = init_value_like(values, SOUNDS_OVER);
    const char *preset = init_text(column, "preset");
    for (int i = 0; i < g->status.n; i++)
        put_values(out, g->status.columns[i]);
    init_yaml_comment(out, INDENT, "Not known: which rows still hold.");
    fputs(INDENT "active:\n", out);
    put_idea_of_value(out, g, "active", active != NULL || *preset == '\0' ? active : preset);
    init_yaml_comment(out, INDENT, "Not known: what the shop sets when a hold is over.");
    fputs(INDENT "released:\n", out);
    put_idea_of_value(out, g, "released", over);
}

static void put_no_status(FILE *out, const struct init_guess *g)
{
    init_yaml_comment(out, INDENT,
                      "Not known: which rows still hold, and what becomes of them. There is no "
                      "status.");
    for (int i = 0; i < g->facts.n; i++)
        init_yaml_comment(out, INDENT, "%s may say what has happened to a hold.",
                          init_text(g->facts.columns[i], "name"));
    fputs(INDENT "active:\n", out);
    if (g->facts.n == 0)
        put_idea_sql(out, "active", "true", "");
    init_yaml_comment(out, INDENT, "Assignments, or delete.");
    fputs(INDENT "released:\n", out);
    if (g->facts.n == 0)
        init_yaml_idea(out, INDENT, "released: delete");
}

static void put_children(FILE *out, const struct init_guess *g)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(g->table, "children"), i, name)
    {
        init_yaml_comment(
            out, INDENT,
            "Rows of %s point at this table: what must change there with a release is "
            "a statement of \"also\".",
            json_string_value(name));
    }
}

void init_draft_queue(FILE *out, const struct init_guess *g, const char *name)
{
    const char *schema = json_string_value(json_object_get(g->table, "schema"));
    fputc('\n', out);
    init_yaml_comment(out, "", "Its keys in Redis begin with this name: do not change it later.");
    fprintf(out, "%s:\n" INDENT "table: ", name);
    init_yaml_table(out, schema, init_text(g->table, "table"));
    fputc('\n', out);
    put_id(out, g);
    put_expiry(out, g);
    put_units(out, g);
    if (g->status.n > 0)
        put_status(out, g);
    else
        put_no_status(out, g);
    init_put_stock(out, g);
    put_children(out, g);
}
