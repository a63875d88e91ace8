/* Pages of active reservations. */
#include "reconcile/page.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/pg_link.h"
#include "release/parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_COMMIT_US MINUTE_US /* a row may become visible this long after updated_at */

void page_ask(struct reconcile *r, const struct page_place *place, run_rows_cb *cb)
{
    char after[32], size[16], young[32];
    snprintf(after, sizeof(after), "%lld", (long long)place->after_us);
    snprintf(size, sizeof(size), "%zu", place->most);
    snprintf(young, sizeof(young), "%lld",
             2 * (long long)r->parts->config->feed_interval_us + LATE_COMMIT_US);
    const char *params[] = {after, place->after_id, size, young};
    run_ask(r, place->tied ? STATEMENT_TIED_ROWS : STATEMENT_ACTIVE_ROWS, 4, params, cb);
}

struct page_rows *page_read(const struct pg_result *rows)
{
    struct page_rows *p = calloc(1, sizeof(*p));
    size_t n = (size_t)pg_result_rows(rows), size = 1, at = 0;
    if (p == NULL || pg_result_columns(rows) != 3)
        goto fail;
    for (size_t i = 0; i < n; i++)
        size += pg_result_len(rows, (int)i, 0) + 1;
    p->bytes = size + n * sizeof(*p->rows);
    p->rows = calloc(n + 1, sizeof(*p->rows));
    p->texts = size <= UINT32_MAX ? malloc(size) : NULL;
    if (p->rows == NULL || p->texts == NULL)
        goto fail;
    for (size_t i = 0; i < n; i++) {
        struct page_row *row = &p->rows[i];
        size_t len = pg_result_len(rows, (int)i, 0);
        memcpy(p->texts + at, pg_result_text(rows, (int)i, 0), len + 1);
        row->at = (uint32_t)at;
        row->too_long = len > ID_MAX_LEN;
        row->id_len = row->too_long ? 0 : (uint16_t)len;
        row->young = pg_result_text(rows, (int)i, 2)[0] != 'f';
        at += len + 1;
        row->expires_us = pg_result_int(rows, (int)i, 1);
    }
    p->n = n;
    return p;
fail:
    page_free(p);
    return NULL;
}

void page_free(struct page_rows *p)
{
    if (p == NULL)
        return;
    free(p->rows);
    free(p->texts);
    free(p->place.after_id);
    free(p);
}

void page_fill(struct page_chunk *chunk, const struct page_rows *p, size_t *next, bool missing_only)
{
    assert(!chunk->busy);
    chunk->n = 0;
    for (; *next < p->n && chunk->n < PAGE_CHUNK; ++*next) {
        const struct page_row *row = &p->rows[*next];
        if (row->too_long || (missing_only && !row->missing))
            continue;
        chunk->rows[chunk->n] = (uint32_t)*next;
        chunk->entries[chunk->n++] = (struct due_entry){
            .id = p->texts + row->at,
            .id_len = row->id_len,
            .at_ms = ms_rounded_up(row->expires_us),
        };
    }
    chunk->busy = chunk->n > 0;
}
