/* What the tokens of sql/ stand for: names of the shop's, and facts by which parts are chosen.
 *
 * A statement is made out of parts (parts.c). What it says in braces is one of these, tried in this
 * order:
 * - A part, of the statement's own text or of sql/parts.sql, chosen by facts: what the catalog says
 *   of the tables, and the form of the statement.
 * - A guard, {typed} or {stock_typed}: a condition that fails the statement when a column has
 *   another type than it was made for.
 * - A value: a type; the name of a table or column, quoted as an identifier; a state, quoted as a
 *   literal.
 *
 * What must hold:
 * - Names reach SQL through libpq's quoting alone.
 * - All else is named with its schema (pg_catalog.now()), so that no search_path leads elsewhere:
 *   tests/integration/test_templates.py reads sql/, and the sources, for it.
 * - A statement is whole, or there is none: NULL when the link is down or memory runs out.
 * - An unknown token is an error of the program: an assert, which every start would meet, since
 *   all statements are made at once. */
#include "store/mapping.h"

#include "link/pg_link.h"
#include "store/parts.h"
#include "store/sql_texts.h"

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

bool mapping_allows_lean(const struct mapping_types *types)
{
    return mapping_allows_bulk(types) && !types->rows_hidden && !types->rows_divided &&
           !types->counters_divided;
}

bool mapping_allows_backlog(const struct mapping_types *types)
{
    return mapping_allows_lean(types);
}

bool mapping_allows_bulk(const struct mapping_types *types)
{
    return !types->meddled && !types->counters_hidden && types->counter_unique &&
           types->whole_units;
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
    if (is_token(token, len, "id_text"))
        return pg_link_quote_literal(link, names[NAME_ID].text);
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

/* A statement in the making. */
struct making {
    const struct mapping_types *types;
    struct pg_link *link;
};

/* Writes what a token that is no part stands for; -1 when memory ran out or the link is down. */
static int put_value(void *arg, FILE *out, const char *token, size_t len)
{
    const struct making *making = arg;
    const struct mapping_types *types = making->types;
    const struct guard typed[] = {{NAME_ID, types->id_type},
                                  {NAME_EXPIRES_AT, types->expires_type},
                                  {NAME_UPDATED_AT, types->updated_type}};
    const struct guard stock_typed[] = {{NAME_STOCK_UPDATED_AT, types->stock_updated_type}};
    if (is_token(token, len, "typed"))
        return put_guards(out, "r", typed, 3, making->link);
    if (is_token(token, len, "stock_typed"))
        return put_guards(out, "i", stock_typed, 1, making->link);
    const char *text = is_token(token, len, "id_type")              ? types->id_cast
                       : is_token(token, len, "stock_product_type") ? types->product_type
                       : is_token(token, len, "release_lock")       ? MAPPING_RELEASE_LOCK
                                                                    : NULL;
    if (text != NULL)
        return fputs(text, out) < 0 ? -1 : 0;
    return put_name(out, token, len, making->link);
}

char *mapping_render(const char *text, const struct mapping_types *types, unsigned form,
                     struct pg_link *link)
{
    const struct parts_fact facts[] = {
        {"expires_zoned", types->expires_has_zone},
        {"updated_zoned", types->updated_has_zone},
        {"stock_updated_zoned", types->stock_updated_has_zone},
        {"expires_nullable", types->expires_nullable},
        {"counters_hidden", types->counters_hidden},
        {"meddled", types->meddled},
        {"id_unique", types->id_unique},
        {"divided", types->rows_divided},
        {"total", types->has_total_stock},
        {"lean", (form & MAPPING_LEAN) != 0},
        {"waiting", (form & MAPPING_WAITING) != 0},
        {"next_page", (form & MAPPING_NEXT_PAGE) != 0},
    };
    struct making making = {types, link};
    const struct parts parts = {.shared = sql_parts,
                                .facts = facts,
                                .n_facts = sizeof(facts) / sizeof(facts[0]),
                                .put_value = put_value,
                                .arg = &making};
    return parts_render(text, &parts);
}
