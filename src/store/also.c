/* The operator's own statements, which run in the transaction of a release, after it.
 *
 * Each is a statement by itself: a part of the release would see the snapshot from before it, and
 * never "the order's last hold". What was released reaches it without a round trip and without
 * anything that outlives the transaction: the release writes a setting (sql/release.sql), a JSON
 * object with an array of texts for each column, and a statement begins with a relation that makes
 * rows of them, each column in its own type. A text is what every type can be made of and back,
 * arrays and NULL too.
 *
 * The relation is a WITH, since a subquery in its place would want an alias before Postgres 16. */
#include "store/also.h"

#include "base/sql_scan.h"
#include "link/pg_link.h"
#include "store/catalog.h"
#include "store/mapping.h"

#include <stdlib.h>
#include <string.h>

#define RELATION "rs$released"

static void tell(struct mapping_types *types, const char *name, const char *column,
                 const char *type)
{
    for (int i = 0; i < types->n_told; i++)
        if (strcmp(types->told[i].name, name) == 0)
            return;
    types->told[types->n_told++] = (struct mapping_told){name, column, type};
}

/* What a column is to the queue is its name, or else its own is. */
void also_read(const struct catalog *c, struct mapping_types *types)
{
    static const char *const names[CATALOG_CARRY + 1] = {
        [CATALOG_ID] = "id", [CATALOG_QUANTITY] = "quantity", [CATALOG_EXPIRES] = "expires_at"};
    for (int i = 0; i < c->n; i++) {
        const struct catalog_name *of = &c->names[i];
        if (of->use > CATALOG_CARRY)
            continue;
        if (of->use == CATALOG_EXPIRES && c->queue->quantity.text == NULL)
            tell(types, "quantity", NULL, "pg_catalog.int4");
        tell(types, names[of->use] != NULL ? names[of->use] : of->name, of->name,
             c->columns[i].exact);
    }
}

static int put_and_free(FILE *out, char *quoted)
{
    int rc = quoted == NULL || fputs(quoted, out) < 0 ? -1 : 0;
    free(quoted);
    return rc;
}

/* Between the elements of a list. */
static int put_between(FILE *out, int i, const char *text)
{
    return i > 0 && fputs(text, out) < 0 ? -1 : 0;
}

static int put_column(FILE *out, const struct mapping_told *told, struct pg_link *link)
{
    if (told->column == NULL)
        return fputc('1', out) == EOF ? -1 : 0;
    return fputs("r.", out) < 0 ? -1 : put_and_free(out, pg_link_quote_ident(link, told->column));
}

static int put_seen(FILE *out, const struct mapping_types *types, struct pg_link *link)
{
    for (int i = 0; i < types->n_told; i++)
        if (put_between(out, i, ", ") != 0 || put_column(out, &types->told[i], link) != 0 ||
            fprintf(out, "::pg_catalog.text AS rs$a%d", i + 1) < 0)
            return -1;
    return 0;
}

static int put_told(FILE *out, const struct mapping_types *types, struct pg_link *link)
{
    for (int i = 0; i < types->n_told; i++)
        if (put_between(out, i, ", ") != 0 ||
            put_and_free(out, pg_link_quote_literal(link, types->told[i].name)) != 0 ||
            fprintf(out, ", coalesce(pg_catalog.json_agg(s.rs$a%d), '[]')", i + 1) < 0)
            return -1;
    return 0;
}

int also_put(FILE *out, const struct mapping_types *types, const char *token, size_t len,
             struct pg_link *link)
{
    if (len == strlen("also_seen") && memcmp(token, "also_seen", len) == 0)
        return put_seen(out, types, link);
    if (len == strlen("also_told") && memcmp(token, "also_told", len) == 0)
        return put_told(out, types, link);
    return 1;
}

/* "a", "b": the columns by the names that the operator's SQL knows. */
static int put_names(FILE *out, const struct mapping_types *types, struct pg_link *link)
{
    for (int i = 0; i < types->n_told; i++)
        if (put_between(out, i, ", ") != 0 ||
            put_and_free(out, pg_link_quote_ident(link, types->told[i].name)) != 0)
            return -1;
    return 0;
}

static int put_casts(FILE *out, const struct mapping_types *types)
{
    for (int i = 0; i < types->n_told; i++)
        if (put_between(out, i, ", ") != 0 ||
            fprintf(out, "t.rs$a%d::%s", i + 1, types->told[i].type) < 0)
            return -1;
    return 0;
}

/* Each column's array as rows. */
static int put_arrays(FILE *out, const struct mapping_types *types, struct pg_link *link)
{
    for (int i = 0; i < types->n_told; i++)
        if (put_between(out, i, ",\n") != 0 ||
            fputs("pg_catalog.json_array_elements_text(s.rs$holds OPERATOR(pg_catalog.->) ", out) <
                0 ||
            put_and_free(out, pg_link_quote_literal(link, types->told[i].name)) != 0 ||
            fputc(')', out) == EOF)
            return -1;
    return 0;
}

static int put_relation(FILE *out, const struct mapping_types *types, struct pg_link *link)
{
    if (fputs(RELATION " (", out) < 0 || put_names(out, types, link) != 0 ||
        fputs(") AS MATERIALIZED (\nSELECT ", out) < 0 || put_casts(out, types) != 0 ||
        fputs("\n  FROM (SELECT pg_catalog.current_setting('reservation_sweeper.holds')"
              "::pg_catalog.json AS rs$holds OFFSET 0) s\n CROSS JOIN LATERAL ROWS FROM (",
              out) < 0 ||
        put_arrays(out, types, link) != 0 || fputs(") AS t (", out) < 0)
        return -1;
    for (int i = 0; i < types->n_told; i++)
        if (put_between(out, i, ", ") != 0 || fprintf(out, "rs$a%d", i + 1) < 0)
            return -1;
    return fputs("))", out) < 0 ? -1 : 0;
}

/* The text, with {released} by its name. */
static int put_statement(FILE *out, const char *text)
{
    const char *done = text, *rest = text;
    for (struct sql_token t = sql_scan(&rest); t.kind != SQL_END; t = sql_scan(&rest)) {
        if (t.kind != SQL_PLACE)
            continue;
        if (fprintf(out, "%.*s" RELATION, (int)(t.at - done), done) < 0)
            return -1;
        done = rest;
    }
    return fputs(done, out) < 0 ? -1 : 0;
}

/* The relation comes first in the WITH that there is, or is one. */
static int put_all(FILE *out, const struct mapping_types *types, const char *text,
                   struct pg_link *link)
{
    const char *rest = text;
    struct sql_token first = sql_scan(&rest);
    bool with = sql_token_is(&first, "with"), recursive = false;
    if (with) {
        text = rest;
        first = sql_scan(&rest);
        recursive = sql_token_is(&first, "recursive");
        text = recursive ? rest : text;
    }
    if (fputs(recursive ? "WITH RECURSIVE " : "WITH ", out) < 0 ||
        put_relation(out, types, link) != 0 || fputs(with ? ",\n" : "\n", out) < 0)
        return -1;
    return put_statement(out, text);
}

char *also_render(const struct mapping_types *types, int i, struct pg_link *link)
{
    char *sql = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&sql, &size);
    if (out == NULL)
        return NULL;
    int rc = put_all(out, types, types->queue->also[i].text, link);
    if (fclose(out) != 0 || rc != 0) {
        free(sql);
        return NULL;
    }
    return sql;
}
