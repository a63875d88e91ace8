/* The pages that a pass has in hand. */
#include "release/in_hand.h"

#include "release/engine.h"
#include "release/release.h"

#include <assert.h>

void in_hand_init(struct in_hand *h)
{
    *h = (struct in_hand){.n = 0};
    TAILQ_INIT(&h->pages);
}

void in_hand_add(struct in_hand *h, struct pass_page *page)
{
    TAILQ_INSERT_TAIL(&h->pages, page, others);
    h->n++;
}

size_t in_hand_waiting(const struct in_hand *h)
{
    const struct pass_page *page;
    size_t n = 0;
    TAILQ_FOREACH(page, &h->pages, others)
    {
        n += page->n - page->next;
    }
    return n;
}

bool in_hand_slice(struct in_hand *h, size_t most, struct work *work)
{
    struct pass_page *page = TAILQ_FIRST(&h->pages);
    while (page != NULL && (page->next == page->n || page->asking))
        page = TAILQ_NEXT(page, others);
    if (page == NULL)
        return false;
    size_t left = page->n - page->next;
    work->items = page->items + page->next;
    work->n = left < most ? left : most;
    work->bulk = work->n == most;
    page->next += work->n;
    page->slices++;
    h->slices++;
    return true;
}

struct pass_page *in_hand_back(struct in_hand *h, const struct work *work)
{
    struct pass_page *page = TAILQ_FIRST(&h->pages);
    while (page != NULL && (work->items < page->items || work->items >= page->items + page->n))
        page = TAILQ_NEXT(page, others);
    assert(page != NULL && page->slices > 0);
    page->slices--;
    h->slices--;
    return page;
}

void in_hand_tell(struct in_hand *h, struct pass_page *page)
{
    page->telling++;
    h->telling++;
}

void in_hand_told(struct in_hand *h, struct pass_page *page)
{
    assert(page->telling > 0);
    page->telling--;
    h->telling--;
}

static bool is_done(const struct pass_page *page)
{
    return page->slices == 0 && page->telling == 0 && page->next == page->n;
}

void in_hand_let_go(struct in_hand *h, bool all)
{
    struct pass_page *page = TAILQ_FIRST(&h->pages);
    while (page != NULL) {
        struct pass_page *next = TAILQ_NEXT(page, others);
        if (all || is_done(page)) {
            left_note(&h->left, page->items, page->n);
            TAILQ_REMOVE(&h->pages, page, others);
            h->n--;
            pass_page_free(page);
        }
        page = next;
    }
}

const char *in_hand_oldest(const struct in_hand *h, int64_t *since_us)
{
    const struct pass_page *page;
    const char *id = h->left.id;
    *since_us = h->left.expired_us;
    TAILQ_FOREACH(page, &h->pages, others)
    {
        const struct item *item = left_first(page->items, page->n);
        if (item == NULL || (id != NULL && item->expires_us >= *since_us))
            continue;
        id = item->id;
        *since_us = item->expires_us;
    }
    return id;
}
