/* Answers of Postgres: the catalog (from which every statement is rendered), pages, releases.
 *
 * The first byte says what is asked, the second how many reservations are released. Then the
 * answer: "!" and a SQLSTATE, or "?" for none, or results, separated by form feeds, of lines of
 * cells between tabs; \N is NULL. Stands in for the link: nothing is sent. */
#include "../unit/shop_queue.h"
#include "base/clock.h"
#include "fuzz.h"
#include "link/pg_link.h"
#include "release/blockers.h"
#include "release/pages.h"
#include "release/parts.h"
#include "release/release.h"
#include "store/statements.h"

#include <libpq-fe.h>
#include <stdio.h>

#define RESULTS_MAX 8
#define COLUMNS_MAX 32
#define ITEMS_MAX 8

/* The request that waits for its answer. */
static struct {
    pg_answer_cb *cb;
    void *arg;
    int nqueries;
    char columns[1024]; /* the second parameter of the catalog, which has five */
} request;

int pg_link_send(struct pg_link *link, const struct pg_query *queries, int nqueries,
                 int64_t deadline_us, pg_answer_cb *cb, void *arg)
{
    (void)link;
    (void)deadline_us;
    FUZZ_CHECK(request.cb == NULL && nqueries <= RESULTS_MAX);
    for (int i = 0; i < nqueries; i++)
        FUZZ_CHECK(queries[i].sql != NULL && strchr(queries[i].sql, '{') == NULL);
    request.cb = cb;
    request.arg = arg;
    request.nqueries = nqueries;
    request.columns[0] = '\0';
    if (nqueries == 1 && queries[0].nparams == 5)
        snprintf(request.columns, sizeof(request.columns), "%s", queries[0].params[1]);
    return 0;
}

/* It would ask over a link of its own. */
void blockers_suspect(struct blockers *b)
{
    (void)b;
}

static char *quote(const char *text, char mark)
{
    size_t size = strlen(text) + 3;
    char *quoted = malloc(size);
    FUZZ_CHECK(quoted != NULL);
    snprintf(quoted, size, "%c%s%c", mark, text, mark);
    return quoted;
}

char *pg_link_quote_ident(struct pg_link *link, const char *name)
{
    (void)link;
    return quote(name, '"');
}

char *pg_link_quote_literal(struct pg_link *link, const char *text)
{
    (void)link;
    return quote(text, '\'');
}

/* Cuts the text at the next separator; NULL at its end. */
static char *next(char **rest, char separator)
{
    char *piece = *rest;
    char *end = piece != NULL ? strchr(piece, separator) : NULL;
    *rest = end != NULL ? end + 1 : NULL;
    if (end != NULL)
        *end = '\0';
    return piece;
}

static void add_row(PGresult *result, int row, char *line)
{
    for (int col = 0; col < PQnfields(result); col++) {
        char *cell = next(&line, '\t');
        bool null = cell == NULL || strcmp(cell, "\\N") == 0;
        FUZZ_CHECK(
            PQsetvalue(result, row, col, null ? NULL : cell, null ? -1 : (int)strlen(cell)) == 1);
    }
}

static PGresult *make_result(char *text)
{
    static char name[] = "column";
    PGresAttDesc columns[COLUMNS_MAX];
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    int ncolumns = 1;
    FUZZ_CHECK(result != NULL);
    if (text == NULL || *text == '\0')
        return result;
    for (const char *p = text; *p != '\0' && *p != '\n'; p++)
        ncolumns += *p == '\t' && ncolumns < COLUMNS_MAX ? 1 : 0;
    memset(columns, 0, sizeof(columns));
    for (int i = 0; i < ncolumns; i++)
        columns[i].name = name;
    FUZZ_CHECK(PQsetResultAttrs(result, ncolumns, columns) == 1);
    char *line = next(&text, '\n');
    for (int row = 0; line != NULL && row < 10000; row++, line = next(&text, '\n'))
        add_row(result, row, line);
    return result;
}

/* Gives the request its answer, which may lead to the next request. */
static void answer(char *text)
{
    PGresult *results[RESULTS_MAX] = {NULL};
    struct pg_answer a = {.status = PG_DONE, .message = "", .table = "", .sent_us = 1};
    int n = request.nqueries;
    a.received_us = 1000;
    if (text[0] == '!' || text[0] == '?') {
        a.status = text[0] == '!' ? PG_REFUSED : PG_UNKNOWN;
        a.message = text;
        if (text[0] == '!')
            snprintf(a.sqlstate, sizeof(a.sqlstate), "%.5s", text + 1);
    } else {
        for (int i = 0; i < n; i++)
            results[i] = make_result(next(&text, '\f'));
        a.nresults = n;
        a.results = (const struct pg_result *const *)(void *)results;
    }
    void (*cb)(void *, const struct pg_answer *) = request.cb;
    request.cb = NULL;
    cb(request.arg, &a);
    for (int i = 0; i < n; i++)
        PQclear(results[i]);
}

static const char *usual_kind(const char *column)
{
    if (strstr(column, "_at") != NULL)
        return "timestamptz";
    return strstr(column, "quantity") != NULL || strstr(column, "stock") != NULL ? "int4" : "uuid";
}

/* What a database of sql/schema.sql says of the columns that were asked for. */
static char *usual_catalog(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *rest = request.columns;
    FUZZ_CHECK(out != NULL);
    for (char *column = next(&rest, ','); column != NULL; column = next(&rest, ','))
        fprintf(out,
                "%s%s\tt\tt\tt\t1763942400000000\tuuid\tf\tt\tt\tf\tf"
                "\tpg_catalog.uuid\t16384\tr\tf\tf\tf\tt\tt\tf\tf\t2025-11-24",
                ftell(out) > 0 ? "\n" : "", usual_kind(column));
    fclose(out);
    return text;
}

/* What follows an answer: the catalog is read anew, and nobody answers what is asked then. */
static void answer_rest(void)
{
    while (request.cb != NULL) {
        char *text = request.columns[0] != '\0' ? usual_catalog() : strdup("?");
        FUZZ_CHECK(text != NULL);
        answer(text);
        free(text);
    }
}

static void on_loaded(void *arg, const char *error)
{
    *(bool *)arg = error == NULL;
}

static bool load(struct parts *s, struct pg_link *link, char *text)
{
    bool ready = false;
    char *usual = NULL;
    if (statements_load(s->statements, link, &s->pg_clock, on_loaded, &ready) != 0) {
        FUZZ_CHECK_MEMORY(false);
        return false;
    }
    if (text == NULL)
        text = usual = usual_catalog();
    answer(text);
    if (usual != NULL)
        FUZZ_CHECK_MEMORY(ready);
    free(usual);
    FUZZ_CHECK(ready == statements_ready(s->statements));
    for (int i = 0; ready && i < STATEMENT_COUNT; i++)
        FUZZ_CHECK(strchr(statements_text(s->statements, (enum statement)i), '{') == NULL);
    return ready;
}

static void on_released(void *arg, const struct release_result *result)
{
    *(enum release_fault *)arg = result->fault;
}

static void release(struct parts *s, struct pg_link *link, enum release_way way, size_t n,
                    char *text)
{
    const struct release_options options = {
        .statements = s->statements,
        .clock = &s->pg_clock,
        .lock_timeout_us = 20000,
        .statement_timeout_us = 4000000,
        .way = way,
    };
    struct item items[ITEMS_MAX];
    struct item *pointers[ITEMS_MAX];
    enum release_fault fault = RELEASE_SLOW;
    for (size_t i = 0; i < n; i++) {
        if (item_init(&items[i], "0d8ed0f2-8ec5-4ef0-9b6a-5d6c4a3c5a3f", 36) != 0)
            n = i; /* the rest is left out */
        pointers[i] = &items[i];
    }
    if (n > 0 && release_send(link, &options, pointers, n, on_released, &fault) == 0) {
        answer(text);
        answer_rest();
    }
    for (size_t i = 0; i < n; i++) {
        enum outcome outcome = items[i].outcome;
        if (way == RELEASE_BULK)
            FUZZ_CHECK(outcome == OUTCOME_NONE ||
                       (outcome == OUTCOME_RELEASED && fault == RELEASE_OK));
        else
            FUZZ_CHECK((outcome != OUTCOME_NONE) == (fault == RELEASE_OK));
        item_clear(&items[i]);
    }
}

static void on_page(void *arg, const struct page *page)
{
    struct pages *p = arg;
    for (size_t i = 0; page->error == NULL && i < page->n; i++)
        FUZZ_CHECK(pages_id(p, i) != NULL && pages_expires_us(p, i) != INT64_MIN);
    for (size_t i = 0; i < pages_late_count(p); i++)
        FUZZ_CHECK(pages_late_id(p, i) != NULL && pages_late_product(p, i) != NULL &&
                   pages_late_expires_us(p, i) != INT64_MIN);
}

static void ask_page(struct pages *p, char *text)
{
    bool sent = pages_next(p, on_page, p) == 0;
    FUZZ_CHECK_MEMORY(sent);
    if (!sent)
        return;
    answer(text);
    answer_rest();
}

/* Two pages: the second one begins where the first one ended. */
static void read_pages(struct parts *s, struct pg_link *link, bool late, char *text)
{
    struct pages *p = pages_new(s, link);
    char *again = strdup(text);
    FUZZ_CHECK(again != NULL);
    FUZZ_CHECK_MEMORY(p != NULL);
    if (p == NULL) {
        free(again);
        return;
    }
    pages_begin(p, PAGES_FROM_START, 60000000, PAGES_SIZE, PAGES_SIZE);
    if (late)
        pages_want_late(p, 500);
    ask_page(p, text);
    ask_page(p, again);
    free(again);
    pages_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int somewhere; /* the link: of no use but to be there */
    struct pg_link *link = (struct pg_link *)(void *)&somewhere;
    struct parts s;
    if (size < 2)
        return 0;
    memset(&s, 0, sizeof(s));
    s.statements = statements_new(&shop_queue);
    FUZZ_CHECK_MEMORY(s.statements != NULL);
    if (s.statements == NULL)
        return 0;
    request.cb = NULL;
    char *text = fuzz_text(data + 2, size - 2);
    if (load(&s, link, data[0] == 'k' ? text : NULL) && data[0] != 'k') {
        if (data[0] == 'r' || data[0] == 'h')
            release(&s, link, data[0] == 'h' ? RELEASE_BULK : RELEASE_CAREFUL,
                    data[1] % ITEMS_MAX + 1, text);
        else
            read_pages(&s, link, data[0] == 'P', text);
    }
    free(text);
    statements_free(s.statements);
    return 0;
}
