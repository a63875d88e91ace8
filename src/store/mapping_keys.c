/* Names of tables, and what tokens of sql/ become that speak of the keys of counters. A token with
 * a letter in it, the alias of a relation, is compared with a pattern in which that letter is `?`.
 */
#include "store/mapping_keys.h"

#include "link/pg_link.h"
#include "store/mapping.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

char *mapping_table(const struct queue_table *table, struct pg_link *link)
{
    char *name = pg_link_quote_ident(link, table->name), *both = NULL;
    if (table->schema == NULL || name == NULL)
        return name;
    char *schema = pg_link_quote_ident(link, table->schema);
    if (schema == NULL || asprintf(&both, "%s.%s", schema, name) < 0)
        both = NULL;
    free(schema);
    free(name);
    return both;
}

char *mapping_table_literal(const struct queue_table *table, struct pg_link *link)
{
    char *quoted = mapping_table(table, link);
    char *literal = quoted != NULL ? pg_link_quote_literal(link, quoted) : NULL;
    free(quoted);
    return literal;
}

/* A list in the making. */
struct list {
    FILE *out;
    const struct mapping_types *types;
    struct pg_link *link;
    char alias;
};

/* One element, of key number i from 0; -1 when memory ran out or the link is down. */
typedef int put_element(const struct list *l, int i);

static int put_column(const struct list *l, char alias, const char *name)
{
    char *column = pg_link_quote_ident(l->link, name);
    int rc = column == NULL || fprintf(l->out, "%c.%s", alias, column) < 0 ? -1 : 0;
    free(column);
    return rc;
}

static int put_hold_column(const struct list *l, int i)
{
    return put_column(l, 'r', l->types->queue->stock.keys[i].hold.text);
}

static int put_counter_column(const struct list *l, int i)
{
    return put_column(l, 'i', l->types->queue->stock.keys[i].counter.text);
}

static int put_hold_key(const struct list *l, int i)
{
    return put_hold_column(l, i) != 0 || fprintf(l->out, " AS rs$k%d", i + 1) < 0 ? -1 : 0;
}

static int put_counter_key(const struct list *l, int i)
{
    return put_counter_column(l, i) != 0 || fprintf(l->out, " AS rs$k%d", i + 1) < 0 ? -1 : 0;
}

static int put_bare(const struct list *l, int i)
{
    return fprintf(l->out, "rs$k%d", i + 1) < 0 ? -1 : 0;
}

static int put_of(const struct list *l, int i)
{
    return fprintf(l->out, "%c.rs$k%d", l->alias, i + 1) < 0 ? -1 : 0;
}

static int put_text(const struct list *l, int i)
{
    return fprintf(l->out, "%c.rs$k%d::pg_catalog.text", l->alias, i + 1) < 0 ? -1 : 0;
}

/* From a row as JSON. */
static int put_row_text(const struct list *l, int i)
{
    char *name = pg_link_quote_literal(l->link, l->types->queue->stock.keys[i].hold.text);
    int n = name != NULL ? fprintf(l->out, "(%c.rs$row ->> %s)", l->alias, name) : -1;
    free(name);
    return n < 0 ? -1 : 0;
}

static int put_equal(const struct list *l, int i)
{
    return put_counter_column(l, i) != 0 || fprintf(l->out, " = %c.rs$k%d", l->alias, i + 1) < 0
               ? -1
               : 0;
}

static int put_told(const struct list *l, int i)
{
    return fprintf(l->out, "(t.c ->> %d)::%s AS rs$k%d", i + 2, l->types->key_types[i], i + 1) < 0
               ? -1
               : 0;
}

static int put_param(const struct list *l, int i)
{
    return fprintf(l->out, "$%d", i + 1) < 0 ? -1 : 0;
}

static int put_next_param(const struct list *l, int i)
{
    return fprintf(l->out, "$%d", i + 2) < 0 ? -1 : 0;
}

/* Whether it is this pattern; *alias is the letter. */
static bool is_like(const char *token, size_t len, const char *pattern, char *alias)
{
    if (strlen(pattern) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] == '?')
            *alias = token[i];
        else if (pattern[i] != token[i])
            return false;
    }
    return *alias == '\0' || (*alias >= 'a' && *alias <= 'z');
}

int mapping_keys_put(FILE *out, const struct mapping_types *types, const char *token, size_t len,
                     struct pg_link *link)
{
    static const struct {
        const char *pattern, *between;
        put_element *put;
        bool first; /* the first column alone */
    } kinds[] = {
        {"hold_keys", ", ", put_hold_key, false},
        {"counter_keys", ", ", put_counter_key, false},
        {"hold_key", "", put_hold_column, true},
        {"counter_key", "", put_counter_column, true},
        {"k", ", ", put_bare, false},
        {"?_k", ", ", put_of, false},
        {"i_is_?", " AND ", put_equal, false},
        {"?_key_text", " || ',' || ", put_text, false},
        {"?_key_texts", ", ", put_text, false},
        {"?_row_key", " || ',' || ", put_row_text, false},
        {"told_keys", ", ", put_told, false},
        {"params", ", ", put_param, false},
        {"next_params", ", ", put_next_param, false},
    };
    for (size_t n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++) {
        struct list list = {out, types, link, '\0'};
        if (!is_like(token, len, kinds[n].pattern, &list.alias))
            continue;
        int keys = kinds[n].first ? 1 : types->queue->stock.nkeys;
        bool whole = keys > 1 && strcmp(kinds[n].between, " || ',' || ") == 0;
        if (fputs(whole ? "(" : "", out) < 0)
            return -1;
        for (int i = 0; i < keys; i++)
            if (fputs(i > 0 ? kinds[n].between : "", out) < 0 || kinds[n].put(&list, i) != 0)
                return -1;
        return fputs(whole ? ")" : "", out) < 0 ? -1 : 0;
    }
    return 1;
}
