/* A page of a pass, as items. */
#include "release/pass_page.h"

#include "base/clock.h"
#include "base/hash.h"
#include "config/config.h"
#include "release/keeps.h"
#include "release/pages.h"
#include "release/pass.h"
#include "release/refusals.h"
#include "release/release.h"

#include <stdlib.h>
#include <string.h>

#define NO_ROW UINT32_MAX
#define SLICE_TIMES 10 /* of the batch size, where --workers asks for speed */
#define SLICE_TIMES_ALONE 4
#define SLICE_MOST 5000 /* a page has some for each lane */

/* Whoever chooses ids may choose them so that they collide: then one may stand here twice, which
 * costs a second try of it. */
#define PROBES_MOST 32

/* An id of the page. */
struct found {
    uint64_t place; /* of its first row */
    uint32_t row;   /* ... which row that is */
    uint32_t last;  /* its last row so far */
    uint32_t rows;
};

/* The ids of a page while its rows are read. */
struct reading {
    const struct pages *pages;
    struct found *found;
    size_t n;
    uint32_t *next;  /* of each row: the next one of the same id; NO_ROW: there is none */
    uint32_t *slots; /* by the hash of their ids: those found, counted from 1; 0: free */
    size_t mask;
};

static void end_reading(struct reading *r)
{
    free(r->found);
    free(r->next);
    free(r->slots);
}

static bool begin_reading(struct reading *r, const struct pages *pages, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n)
        slots *= 2;
    *r = (struct reading){.pages = pages, .mask = slots - 1};
    r->found = calloc(n + 1, sizeof(*r->found));
    r->next = calloc(n + 1, sizeof(*r->next));
    r->slots = calloc(slots, sizeof(*r->slots));
    return r->found != NULL && r->next != NULL && r->slots != NULL;
}

/* The slot of an id: where it is, or would be; in the end one that is another's. */
static uint32_t *slot_of(const struct reading *r, const char *id)
{
    size_t at = hash_text(id) & r->mask;
    for (int i = 0; i < PROBES_MOST && r->slots[at] != 0; i++) {
        if (strcmp(pages_id(r->pages, r->found[r->slots[at] - 1].row), id) == 0)
            break;
        at = (at + 1) & r->mask;
    }
    return &r->slots[at];
}

static void read_row(struct reading *r, uint32_t row)
{
    const char *id = pages_id(r->pages, row);
    uint32_t *slot = slot_of(r, id);
    r->next[row] = NO_ROW;
    if (*slot == 0 || strcmp(pages_id(r->pages, r->found[*slot - 1].row), id) != 0) {
        r->found[r->n] =
            (struct found){.place = pages_place(r->pages, row), .row = row, .last = row, .rows = 1};
        *slot = (uint32_t)++r->n;
        return;
    }
    struct found *found = &r->found[*slot - 1];
    r->next[found->last] = row;
    found->last = row;
    found->rows++;
}

/* What was refused and waits for its back-off is left out. */
static void sift(struct reading *r, const struct refusals *refusals, const struct keeps *keeps,
                 struct pass_result *result)
{
    size_t left = 0;
    int64_t now_us = clock_mono_us();
    for (size_t i = 0; i < r->n; i++) {
        bool too_early = false;
        const char *id = pages_id(r->pages, r->found[i].row);
        (void)refusals_find(refusals, id, now_us, &too_early);
        if (too_early)
            result->not_yet++;
        else if (keeps != NULL && keeps_wait(keeps, id, now_us))
            result->kept++;
        else
            r->found[left++] = r->found[i];
    }
    r->n = left;
}

static int compare(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Room for the page, its items, the places of their rows and their ids. */
static struct pass_page *make_room(const struct reading *r)
{
    size_t rows = 0, text = 0;
    for (size_t i = 0; i < r->n; i++) {
        rows += r->found[i].rows;
        text += strlen(pages_id(r->pages, r->found[i].row)) + 1;
    }
    struct pass_page *page = calloc(1, sizeof(*page));
    if (page == NULL)
        return NULL;
    page->items = calloc(1, r->n * sizeof(struct item) + rows * sizeof(uint64_t) + text + 1);
    if (page->items == NULL) {
        free(page);
        return NULL;
    }
    page->n = r->n;
    return page;
}

static void fill(struct pass_page *page, const struct reading *r, const struct refusals *refusals)
{
    uint64_t *places = (uint64_t *)(page->items + r->n);
    size_t rows = 0;
    int64_t now_us = clock_mono_us();
    for (size_t i = 0; i < r->n; i++)
        rows += r->found[i].rows;
    char *text = (char *)(places + rows);
    for (size_t i = 0; i < r->n; i++) {
        const struct found *found = &r->found[i];
        const char *id = pages_id(r->pages, found->row);
        size_t len = strlen(id);
        bool too_early;
        memcpy(text, id, len + 1);
        page->items[i] = (struct item){
            .id = text,
            .id_len = len,
            .from_postgres = true,
            .expires_us = pages_expires_us(r->pages, found->last), /* the latest */
            .attempts = refusals_find(refusals, id, now_us, &too_early),
            .places = page->placed ? places : NULL,
            .n_places = page->placed ? found->rows : 0,
        };
        text += len + 1;
        for (uint32_t row = found->row; row != NO_ROW; row = r->next[row])
            *places++ = pages_place(r->pages, row);
    }
}

struct pass_page *pass_page_new(const struct pages *pages, size_t n,
                                const struct refusals *refusals, const struct keeps *keeps,
                                struct pass_result *result)
{
    struct reading r;
    struct pass_page *page = NULL;
    bool placed = n > 0 && pages_place(pages, 0) != 0;
    if (begin_reading(&r, pages, n)) {
        for (size_t row = 0; row < n; row++)
            read_row(&r, (uint32_t)row);
        sift(&r, refusals, keeps, result);
        if (placed)
            qsort(r.found, r.n, sizeof(*r.found), compare);
        page = make_room(&r);
    }
    if (page != NULL) {
        page->placed = placed;
        fill(page, &r, refusals);
    }
    end_reading(&r);
    return page;
}

void pass_page_free(struct pass_page *page)
{
    if (page == NULL)
        return;
    for (size_t i = 0; i < page->n; i++)
        item_clear(&page->items[i]);
    free(page->items);
    free(page);
}

size_t pass_page_slice(const struct config *config, bool placed)
{
    size_t times = config->workers == 1 ? SLICE_TIMES_ALONE : SLICE_TIMES;
    size_t most = (size_t)config->batch_size * (placed ? times : 1);
    return !placed || most < SLICE_MOST ? most : SLICE_MOST;
}

/* Few, so that the lanes begin soon; one lane alone cannot begin before it has read, and each page
 * costs it a look at all that expire together. */
int pass_page_first(const struct config *config, bool placed)
{
    return placed && config->workers == 1 ? PAGES_SIZE_MAX : PAGES_SIZE;
}
