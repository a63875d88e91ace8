/* The statements for this database: reads the catalog, checks what it says, fills the templates. */
#include "statements.h"

#include "catalog.h"
#include "clock.h"
#include "pg_link.h"
#include "sql_texts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATALOG_DEADLINE_US (5 * 1000000)

struct statements {
    bool ready;
    struct catalog catalog; /* what the texts are made for */
    struct mapping_types types;
    char *texts[STATEMENT_COUNT];
    struct pg_link *link; /* of the load under way */
    struct server_clock *clock;
    void (*done)(void *arg, const char *error);
    void *done_arg;
    char error[PG_MESSAGE_SIZE];
};

struct statements *statements_new(void)
{
    return calloc(1, sizeof(struct statements));
}

void statements_forget(struct statements *s)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        free(s->texts[i]);
        s->texts[i] = NULL;
    }
    s->ready = false;
}

void statements_free(struct statements *s)
{
    if (s == NULL)
        return;
    statements_forget(s);
    free(s);
}

bool statements_ready(const struct statements *s)
{
    return s->ready;
}

bool statements_loading(const struct statements *s)
{
    return s->done != NULL;
}

const char *statements_text(const struct statements *s, enum statement which)
{
    assert(s->ready && which < STATEMENT_COUNT);
    return s->texts[which];
}

const struct mapping_types *statements_types(const struct statements *s)
{
    assert(s->ready);
    return &s->types;
}

static int render(struct statements *s)
{
    static const struct {
        const char *text;
        bool plain;
    } templates[STATEMENT_COUNT] = {
        [STATEMENT_RELEASE_POLITE] = {sql_release, false},
        [STATEMENT_RELEASE_PATIENT] = {sql_release, true},
        [STATEMENT_RELEASE_HURRIED] = {sql_release_hurried, false},
        [STATEMENT_RELEASE_CHECK] = {sql_release_check, false},
        [STATEMENT_PRODUCTS] = {sql_products, false},
        [STATEMENT_DUE_ROWS] = {sql_due_rows, false},
        [STATEMENT_DUE_ROWS_NEXT] = {sql_due_rows, true},
        [STATEMENT_DUE_COUNT] = {sql_due_count, false},
        [STATEMENT_LATE_ROWS] = {sql_late_rows, false},
        [STATEMENT_BEGIN] = {sql_begin, false},
        [STATEMENT_ACTIVE_ROWS] = {sql_active_rows, false},
        [STATEMENT_TIED_ROWS] = {sql_tied_rows, false},
        [STATEMENT_LOOK] = {sql_look, false},
        [STATEMENT_STOCK] = {sql_stock, false},
        [STATEMENT_STOCK_LOCK] = {sql_stock_lock, false},
        [STATEMENT_STOCK_REPAIR] = {sql_stock_repair, false},
    };
    statements_forget(s);
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        s->texts[i] = mapping_render(templates[i].text, &s->types, templates[i].plain, s->link);
        if (s->texts[i] == NULL) {
            snprintf(s->error, sizeof(s->error), "out of memory");
            statements_forget(s);
            return -1;
        }
    }
    s->ready = true;
    return 0;
}

static int take(struct statements *s, const struct pg_result *r)
{
    struct catalog catalog;
    struct mapping_types types;
    if (catalog_read(&catalog, r) != 0) {
        snprintf(s->error, sizeof(s->error), "the catalog gave an unexpected answer");
        return -1;
    }
    s->catalog = catalog;
    if (catalog_types(&s->catalog, &types, s->error, sizeof(s->error)) != 0)
        return -1;
    s->types = types;
    return render(s);
}

static void on_catalog(void *arg, const struct pg_answer *answer)
{
    struct statements *s = arg;
    void (*done)(void *, const char *) = s->done;
    s->done = NULL;
    int rc = -1;
    if (answer->status == PG_DONE) {
        rc = take(s, answer->results[0]);
        if (rc == 0)
            server_clock_sample(s->clock, catalog_clock_us(answer->results[0]), answer->sent_us,
                                answer->received_us);
    } else {
        snprintf(s->error, sizeof(s->error), "%s", answer->message);
    }
    done(s->done_arg, rc == 0 ? NULL : s->error);
}

int statements_load(struct statements *s, struct pg_link *link, struct server_clock *clock,
                    void (*done)(void *arg, const char *error), void *arg)
{
    assert(s->done == NULL);
    char *tables = catalog_names(link, true);
    char *cols = catalog_names(link, false);
    const char *params[] = {tables, cols};
    const struct pg_query query = {.sql = sql_catalog, .nparams = 2, .params = params};
    s->link = link;
    s->clock = clock;
    s->done = done;
    s->done_arg = arg;
    int rc = -1;
    if (tables != NULL && cols != NULL)
        rc = pg_link_send(link, &query, 1, CATALOG_DEADLINE_US, on_catalog, s);
    if (rc != 0)
        s->done = NULL;
    free(tables);
    free(cols);
    return rc;
}
