/* The lines of a list, in order. */
#include "app/desk_lines.h"

#include "base/parse.h"
#include "config/queue.h"
#include "release/kept_record.h"
#include "release/release.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

static void line_clear(struct desk_line *line)
{
    free(line->id);
    free(line->product);
    free(line->record);
    free(line->blocker);
    *line = (struct desk_line){0};
}

static bool make_room(struct desk_lines *l)
{
    size_t room = l->room > 0 ? 2 * l->room : ROOM_FIRST;
    if (l->n < l->room)
        return true;
    struct desk_line *all = realloc(l->all, room * sizeof(*all));
    if (all == NULL)
        return false;
    l->all = all;
    l->room = room;
    return true;
}

static char *copy_bytes(const char *bytes, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, bytes, len);
        copy[len] = '\0';
    }
    return copy;
}

struct desk_line *desk_lines_add(struct desk_lines *l, const char *id, size_t id_len)
{
    if (l->n == DESK_LINES_MOST) {
        l->more = true;
        return NULL;
    }
    char *copy = make_room(l) ? copy_bytes(id, id_len) : NULL;
    if (copy == NULL) {
        l->failed = true;
        return NULL;
    }
    l->all[l->n] = (struct desk_line){.id = copy, .id_len = id_len};
    return &l->all[l->n++];
}

void desk_lines_clear(struct desk_lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        line_clear(&l->all[i]);
    free(l->all);
    *l = (struct desk_lines){0};
}

void desk_line_record(struct desk_line *line, const char *record, size_t len, bool kept)
{
    int64_t first_ms, past_ms;
    line->state = kept ? DESK_KEPT : DESK_REFUSED;
    if (kept) {
        struct kept known;
        kept_record_read(&known, record, len);
        first_ms = past_ms = known.since_ms;
    } else {
        struct failed_record failure;
        failed_record_tell(&failure, record, len);
        memcpy(line->sqlstate, failure.sqlstate, sizeof(line->sqlstate));
        first_ms = failure.first_ms;
        past_ms = failure.last_ms;
    }
    if (line->order_ms == 0)
        line->order_ms = first_ms;
    if (line->past_ms == 0)
        line->past_ms = past_ms;
    free(line->record);
    line->record = copy_bytes(record, len);
    line->record_len = line->record != NULL ? len : 0;
}

void desk_line_forget(struct desk_line *line)
{
    free(line->record);
    line->record = NULL;
    line->record_len = 0;
}

/* Whether a key is one of a list, a line each: one of several columns has commas itself. */
static bool is_one_of(const char *list, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = list; at != NULL && (at = strstr(at, key)) != NULL; at++)
        if ((at == list || at[-1] == '\n') && (at[len] == '\0' || at[len] == '\n'))
            return true;
    return false;
}

void desk_line_product(struct desk_line *line, const char *key)
{
    char *both = NULL;
    if (line->product == NULL) {
        line->product = strdup(key);
    } else if (!is_one_of(line->product, key) &&
               asprintf(&both, "%s\n%s", line->product, key) >= 0) {
        free(line->product);
        line->product = both;
    }
}

/* ---- order ---- */

static int compare_ids(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_places(int64_t a_ms, const char *a_queue, int64_t b_ms, const char *b_queue)
{
    if (a_ms != b_ms)
        return a_ms < b_ms ? -1 : 1;
    return strcmp(a_queue, b_queue);
}

int desk_lines_compare(const struct desk_line *a, const char *queue_a, const struct desk_line *b,
                       const char *queue_b)
{
    int order = compare_places(a->order_ms, queue_a, b->order_ms, queue_b);
    return order != 0 ? order : compare_ids(a->id, a->id_len, b->id, b->id_len);
}

static int compare(const void *a, const void *b)
{
    return desk_lines_compare(a, "", b, "");
}

int desk_place_read(struct desk_place *place, const char *text)
{
    char number[24];
    const char *queue = strchr(text, ':');
    const char *id = queue != NULL ? strchr(queue + 1, ':') : NULL;
    if (id == NULL || (size_t)(queue - text) >= sizeof(number) ||
        (size_t)(id - queue) > sizeof(place->queue))
        return -1;
    snprintf(number, sizeof(number), "%.*s", (int)(queue - text), text);
    snprintf(place->queue, sizeof(place->queue), "%.*s", (int)(id - queue - 1), queue + 1);
    place->id = id + 1;
    return parse_int(number, 0, INT64_MAX, &place->order_ms);
}

char *desk_place_text(const char *queue, const struct desk_line *line)
{
    char *text = NULL;
    if (asprintf(&text, "%" PRId64 ":%s:%s", line->order_ms, queue, line->id) < 0)
        return NULL;
    return text;
}

static bool is_behind(const struct desk_line *line, const struct desk_filter *filter)
{
    const struct desk_place *after = filter->after;
    if (after == NULL)
        return true;
    int order = compare_places(line->order_ms, filter->queue, after->order_ms, after->queue);
    return order > 0 ||
           (order == 0 && compare_ids(line->id, line->id_len, after->id, strlen(after->id)) > 0);
}

static bool passes(const struct desk_line *line, const struct desk_filter *filter)
{
    if (line->dropped ||
        (filter->sqlstate != NULL && strcmp(line->sqlstate, filter->sqlstate) != 0))
        return false;
    if (filter->product != NULL &&
        !(line->product != NULL && is_one_of(line->product, filter->product)))
        return false;
    return is_behind(line, filter);
}

void desk_lines_page(struct desk_lines *l, const struct desk_filter *filter, size_t most)
{
    size_t left = 0;
    if (l->n > 0)
        qsort(l->all, l->n, sizeof(*l->all), compare);
    for (size_t i = 0; i < l->n; i++) {
        struct desk_line *line = &l->all[i];
        bool again =
            left > 0 && compare(line, &l->all[left - 1]) == 0; /* HSCAN may give one twice */
        bool full = most > 0 && left == most;
        if (!passes(line, filter) || again || full) {
            l->more = l->more || (full && passes(line, filter) && !again);
            line_clear(line);
        } else if (i != left++) {
            l->all[left - 1] = *line;
            *line = (struct desk_line){0};
        }
    }
    l->n = left;
}
