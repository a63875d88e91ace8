/* Makes statements from templates: {name} is replaced by what the mapping, the catalog or the form
 * says it is.
 *
 * A template is SQL with tokens in braces. A token is one of these, tried in this order:
 * - A guard, {typed} or {stock_typed}: a condition that fails the statement when a column has
 *   another type than it was made for.
 * - A phrase: SQL chosen by the types of columns, by what may stand between an UPDATE and its rows
 *   (triggers, row security), or by the form. Only names stand in braces within it.
 * - A part, {if_lean} ... {end} or {if_explaining} ... {end}: kept or left out, by the form.
 * - A name: of a table or column, quoted as an identifier; of a state, quoted as a literal.
 *
 * What must hold:
 * - Names reach SQL through libpq's quoting alone; phrases are texts of this file.
 * - All else is named with its schema (pg_catalog.now()), so that no search_path leads elsewhere:
 *   tests/integration/test_templates.py reads the templates, and this file, for it.
 * - A statement is whole, or there is none: NULL when the link is down or memory runs out.
 * - An unknown token is an error of the program: an assert, which every start would meet, since
 *   all statements are made at once.
 *
 * Parts are not nested, and a template has no braces of its own. Comments are left out: the server
 * need not be sent them with each release. */
#include "store/mapping.h"

#include "link/pg_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *token; /* as it stands in a template, without braces */
    const char *text;
} names[NAME_COUNT] = {
    [NAME_RESERVATIONS] = {"reservations", "inventory_reservations"},
    [NAME_ID] = {"id", "id"},
    [NAME_PRODUCT_ID] = {"product_id", "product_id"},
    [NAME_QUANTITY] = {"quantity", "quantity"},
    [NAME_EXPIRES_AT] = {"expires_at", "expires_at"},
    [NAME_STATUS] = {"status", "status"},
    [NAME_UPDATED_AT] = {"updated_at", "updated_at"},
    [NAME_INVENTORY] = {"inventory", "inventory"},
    [NAME_STOCK_PRODUCT_ID] = {"stock_product_id", "product_id"},
    [NAME_AVAILABLE_STOCK] = {"available_stock", "available_stock"},
    [NAME_RESERVED_STOCK] = {"reserved_stock", "reserved_stock"},
    [NAME_TOTAL_STOCK] = {"total_stock", "total_stock"},
    [NAME_STOCK_UPDATED_AT] = {"stock_updated_at", "updated_at"},
    [NAME_ACTIVE] = {"active", "active"},
    [NAME_RELEASED] = {"released", "released"},
};

const char *mapping_name_text(enum mapping_name name)
{
    assert(name < NAME_COUNT);
    return names[name].text;
}

static bool is_token(const char *token, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(text, token, len) == 0;
}

void mapping_use_bytes(struct mapping_types *types)
{
    types->bytes = true;
    if (types->id_kind == ID_TEXT)
        types->id_kind = ID_BYTES;
}

/* Postgres's now in the type of a column: a time without a zone is read as UTC, whatever the
 * session's zone is. */
#define NOW_ZONED "pg_catalog.now()"
#define NOW_PLAIN "(pg_catalog.now() AT TIME ZONE 'UTC')"

static const char *now_for(bool has_zone)
{
    return has_zone ? NOW_ZONED : NOW_PLAIN;
}

bool mapping_allows_lean(const struct mapping_types *types)
{
    return mapping_allows_bulk(types) && !types->rows_hidden && !types->partitioned;
}

bool mapping_allows_bulk(const struct mapping_types *types)
{
    return !types->meddled && !types->counters_hidden && types->counter_unique &&
           types->whole_units;
}

/* What sql/release_check.sql compares with: a setting of the transaction, in sql/release.sql's own
 * words. The length, since the answer has a row for each reservation. */
#define NOTED                                                                                      \
    "(SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.released',"              \
    " pg_catalog.jsonb_build_object("                                                              \
    "'rows', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT f.n), '[]') FROM flipped f),"          \
    " 'counters', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array("             \
    "m.product_id::pg_catalog.text, m.available + m.units, m.reserved - m.units)), '[]')"          \
    " FROM moved m WHERE m.counters > 0))::pg_catalog.text, true)))"

/* Whether there are triggers of the shop's by now, though the catalog had none: a part of what
 * sql/catalog.sql asks, cheap enough for each release. */
#define MEDDLED                                                                                    \
    "EXISTS (SELECT FROM pg_catalog.pg_trigger t"                                                  \
    " WHERE t.tgrelid IN ({reservations_text}::pg_catalog.regclass,"                               \
    " {inventory_text}::pg_catalog.regclass)"                                                      \
    " AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 <> 0)"

/* A counter that can be seen and was not to be had by waiting. */
#define OR_HIDDEN(now)                                                                             \
    "WHEN s.active AND s.expires_at <= " now " AND s.held IS NOT TRUE"                             \
    " AND s.product_id IN (SELECT i.{stock_product_id} FROM {inventory} i)"                        \
    " THEN pg_catalog.concat('<sweeper counter>the counter of product ', s.product_id,"            \
    " ' can be seen and not changed: row security of table ', {inventory_text},"                   \
    " ' stands in the way</sweeper>')::integer"

static const char *or_hidden(const struct mapping_types *types)
{
    return types->expires_has_zone ? OR_HIDDEN(NOW_ZONED) : OR_HIDDEN(NOW_PLAIN);
}

/* When the last of a reservation's active rows expires; NULL: one of them never does. */
#define LATEST "pg_catalog.max(r.{expires_at}) FILTER (WHERE r.{status} = {active}) OVER same"
#define LATEST_OF_NULLABLE                                                                         \
    "CASE WHEN pg_catalog.bool_and(r.{expires_at} IS NOT NULL)"                                    \
    " FILTER (WHERE r.{status} = {active}) OVER same THEN " LATEST " END"

/* The same where all rows are active. */
#define LATEST_OF_ACTIVE "pg_catalog.max(r.{expires_at}) OVER same"
#define LATEST_OF_ACTIVE_NULLABLE                                                                  \
    "CASE WHEN pg_catalog.bool_and(r.{expires_at} IS NOT NULL) OVER same"                          \
    " THEN " LATEST_OF_ACTIVE " END"

/* Only ids of which no active row lacks an expiry. */
#define NOT_ENDLESS                                                                                \
    "AND NOT EXISTS (SELECT FROM {reservations} e WHERE e.{id} = r.{id}"                           \
    " AND e.{status} = {active} AND e.{expires_at} IS NULL)"

/* What a token that is not a name stands for, maybe with names in it; NULL when it is none of
 * these. */
static const char *type_text(const char *token, size_t len, const struct mapping_types *types,
                             unsigned form)
{
    bool plain = (form & MAPPING_BARE) != 0;
    const struct {
        const char *token;
        const char *text;
    } texts[] = {
        {"id_type", types->id_cast},
        {"now_expires", now_for(types->expires_has_zone)},
        {"now_updated", now_for(types->updated_has_zone)},
        {"now_stock_updated", now_for(types->stock_updated_has_zone)},
        {"epoch_expires",
         types->expires_has_zone ? "timestamp with time zone 'epoch'" : "timestamp 'epoch'"},
        {"skip_locked", plain ? "" : "SKIP LOCKED"},
        {"release_lock", MAPPING_RELEASE_LOCK},
        {"fence", plain ? "" : "OFFSET 0"},
        {"or_hidden", plain && types->counters_hidden ? or_hidden(types) : ""},
        {"noted", types->meddled ? NOTED : "0"},
        {"meddled", types->meddled ? "false" : MEDDLED},
        {"latest_expires", types->expires_nullable ? LATEST_OF_NULLABLE : LATEST},
        {"latest_of_active",
         types->expires_nullable ? LATEST_OF_ACTIVE_NULLABLE : LATEST_OF_ACTIVE},
        {"if_lean", ""},
        {"if_explaining", ""},
        {"end", ""},
        {"and_not_endless", types->expires_nullable ? NOT_ENDLESS : ""},
        {"stock_product_type", types->product_type},
        {"total_stock", types->has_total_stock ? NULL : "NULL::bigint"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (is_token(token, len, texts[i].token))
            return texts[i].text;
    return NULL;
}

/* A table's name as SQL writes it, as a literal: for regclass, and for sentences. */
static char *table_literal(enum mapping_name table, struct pg_link *link)
{
    char *quoted = pg_link_quote_ident(link, names[table].text);
    char *literal = quoted != NULL ? pg_link_quote_literal(link, quoted) : NULL;
    free(quoted);
    return literal;
}

static char *name_text(const char *token, size_t len, struct pg_link *link)
{
    if (is_token(token, len, "reservations_text"))
        return table_literal(NAME_RESERVATIONS, link);
    if (is_token(token, len, "inventory_text"))
        return table_literal(NAME_INVENTORY, link);
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if (!is_token(token, len, names[i].token))
            continue;
        return i == NAME_ACTIVE || i == NAME_RELEASED ? pg_link_quote_literal(link, names[i].text)
                                                      : pg_link_quote_ident(link, names[i].text);
    }
    assert(false); /* a template names something unknown */
    return NULL;
}

static int put_name(FILE *out, const char *token, size_t len, struct pg_link *link)
{
    char *quoted = name_text(token, len, link);
    int rc = quoted == NULL || fputs(quoted, out) < 0 ? -1 : 0;
    free(quoted);
    return rc;
}

/* A phrase in which only names stand in braces. */
static int put_phrase(FILE *out, const char *phrase, struct pg_link *link)
{
    int rc = 0;
    while (*phrase != '\0' && rc == 0) {
        size_t len = strcspn(phrase, "{");
        if (fwrite(phrase, 1, len, out) != len)
            return -1;
        phrase += len;
        if (*phrase != '{')
            break;
        len = strcspn(phrase + 1, "}");
        rc = put_name(out, phrase + 1, len, link);
        phrase += len + 2;
    }
    return rc;
}

struct guard {
    enum mapping_name column;
    const char *type;
};

/* A condition that is true, costs nothing, and fails the statement when a column has another type
 * than it was made for. timestamp and timestamptz compare by an implicit cast that reads the
 * session's zone, so that nothing else would tell one from the other. Arrays as anyarray are cast
 * to nothing: when the statement is parsed there is an arrayoverlap for two of the same type only
 * (42883). The planner sees that nothing of it need be computed. */
static int put_guards(FILE *out, const char *alias, const struct guard *guards, size_t n,
                      struct pg_link *link)
{
    fputs("(true", out);
    for (size_t i = 0; i < n; i++) {
        char *column = pg_link_quote_ident(link, names[guards[i].column].text);
        if (column == NULL)
            return -1;
        fprintf(out, " OR pg_catalog.arrayoverlap(ARRAY[%s.%s], NULL::%s[])", alias, column,
                guards[i].type);
        free(column);
    }
    return fputc(')', out) == EOF ? -1 : 0;
}

/* Writes one token's text; -1 when memory ran out or the link is down. */
static int put_token(FILE *out, const char *token, size_t len, const struct mapping_types *types,
                     unsigned form, struct pg_link *link)
{
    const struct guard typed[] = {{NAME_ID, types->id_type},
                                  {NAME_EXPIRES_AT, types->expires_type},
                                  {NAME_UPDATED_AT, types->updated_type}};
    const struct guard stock_typed[] = {{NAME_STOCK_UPDATED_AT, types->stock_updated_type}};
    if (is_token(token, len, "typed"))
        return put_guards(out, "r", typed, 3, link);
    if (is_token(token, len, "stock_typed"))
        return put_guards(out, "i", stock_typed, 1, link);
    const char *fixed = type_text(token, len, types, form);
    if (fixed != NULL)
        return put_phrase(out, fixed, link);
    return put_name(out, token, len, link);
}

/* Where what a token begins, or the token itself, ends: a part that is not of this form is left
 * out whole. */
static const char *end_of(const char *token, size_t len, unsigned form)
{
    bool lean = (form & MAPPING_LEAN) != 0;
    bool left_out =
        is_token(token, len, "if_lean") ? !lean : is_token(token, len, "if_explaining") && lean;
    const char *end = left_out ? strstr(token, "{end}") : NULL;
    assert(end != NULL || !left_out);
    return end != NULL ? end : token + len + 1;
}

char *mapping_render(const char *template_text, const struct mapping_types *types, unsigned form,
                     struct pg_link *link)
{
    char *sql = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&sql, &size);
    if (out == NULL)
        return NULL;
    int rc = 0;
    for (const char *p = template_text; *p != '\0' && rc == 0;) {
        if (p[0] == '-' && p[1] == '-') { /* comments need not travel with each release */
            p += strcspn(p, "\n");
            continue;
        }
        if (*p != '{') {
            rc = fputc(*p++, out) == EOF ? -1 : 0;
            continue;
        }
        size_t len = strcspn(p + 1, "}");
        rc = put_token(out, p + 1, len, types, form, link);
        p = end_of(p + 1, len, form);
    }
    if (fclose(out) != 0 || rc != 0) {
        free(sql);
        return NULL;
    }
    return sql;
}
