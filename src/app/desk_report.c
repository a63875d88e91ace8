/* What --list, --retry and --forget say, and their routes. */
#include "app/desk_report.h"

#include "app/desk_json.h"
#include "app/explain_found.h"
#include "app/explain_words.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/terminal.h"
#include "base/time_units.h"
#include "config/queue.h"
#include "release/kept_record.h"
#include "release/release.h"

#include <stdlib.h>
#include <string.h>

#define ID_SHOWN 1024 /* bytes; what stands in Redis may be anything */

/* ---- one line ---- */

static json_t *product_json(const struct desk_line *line)
{
    char *keys = line->product != NULL ? strdup(line->product) : NULL;
    json_t *text;
    for (char *p = keys; p != NULL && *p != '\0'; p++)
        if (*p == '\n')
            *p = ',';
    text = desk_text(keys);
    free(keys);
    return text;
}

static void set_kept(json_t *o, const struct desk_line *line)
{
    struct kept kept;
    kept_record_read(&kept, line->record, line->record_len);
    (void)json_object_set_new(o, "since", desk_time_ms(kept.since_ms));
    (void)json_object_set_new(o, "lookAgainAt",
                              desk_time_ms(kept_record_again_ms(line->record, line->record_len)));
    (void)json_object_set_new(o, "attention", json_boolean(kept.attention));
}

static void set_failure(json_t *o, const struct desk_line *line)
{
    struct failed_record failure;
    failed_record_tell(&failure, line->record, line->record_len);
    desk_set_failure(o, &failure);
}

json_t *desk_line_json(const struct desk_line *line, const char *queue, enum list_what what)
{
    static const char *const states[] = {
        [DESK_NOWHERE] = "notEntered", [DESK_WAITING] = "waiting", [DESK_CLAIMED] = "claimed",
        [DESK_REFUSED] = "failed",     [DESK_KEPT] = "kept",       [DESK_UNKNOWN] = NULL};
    json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "queue", json_text(queue), "reservationId",
                          json_bytes(line->id, line->id_len < ID_SHOWN ? line->id_len : ID_SHOWN),
                          "productId", product_json(line), "sqlstate", desk_text(line->sqlstate));
    if (o == NULL)
        return NULL;
    if (what == LIST_DUE || what == LIST_LOCKED) {
        (void)json_object_set_new(o, "dueAt", desk_time_ms(line->order_ms));
        (void)json_object_set_new(o, "state", desk_text(states[line->state]));
    }
    if (line->blocker != NULL)
        desk_set_blocker(o, line->blocker);
    if (line->record != NULL && line->state == DESK_REFUSED)
        set_failure(o, line);
    if (line->record != NULL && line->state == DESK_KEPT)
        set_kept(o, line);
    return o;
}

static void put_word(FILE *out, const char *before, const char *text)
{
    char *copy = text[0] != '\0' ? strdup(text) : NULL;
    if (copy == NULL)
        return;
    terminal_disarm(copy);
    fprintf(out, "%s%s", before, copy);
    free(copy);
}

void desk_line_print(const json_t *line, enum list_what what, bool several, FILE *out)
{
    static const char *const times[LIST_KINDS] = {[LIST_DUE] = "dueAt",
                                                  [LIST_LOCKED] = "dueAt",
                                                  [LIST_FAILED] = "firstFailedAt",
                                                  [LIST_KEPT] = "since"};
    const char *since = desk_string(line, times[what]);
    const char *gid = desk_string(line, "blockerGid");
    json_int_t pid = json_integer_value(json_object_get(line, "blockerPid"));
    fprintf(out, "%-24s", since[0] != '\0' ? since : "-");
    if (several)
        put_word(out, "  ", desk_string(line, "queue"));
    put_word(out, "  ", desk_string(line, "reservationId"));
    put_word(out, "  product ", desk_string(line, "productId"));
    put_word(out, "  ", desk_string(line, "state"));
    put_word(out, "  ", desk_string(line, "lockOn"));
    if (pid != 0)
        fprintf(out, " locked by pid %" JSON_INTEGER_FORMAT, pid);
    put_word(out, " locked by prepared transaction ", gid);
    put_word(out, ", user ", desk_string(line, "blockerUser"));
    put_word(out, ", application ", desk_string(line, "blockerApplication"));
    put_word(out, ", since ", desk_string(line, "blockerSince"));
    put_word(out, "  again ", desk_string(line, "retryAt"));
    put_word(out, "  again ", desk_string(line, "lookAgainAt"));
    if (json_is_true(json_object_get(line, "attention")))
        fputs("  wants attention", out);
    put_word(out, "  ", desk_string(line, "sqlstate"));
    put_word(out, " ", desk_string(line, "error"));
    fputc('\n', out);
}

/* ---- a page ---- */

/* The queue whose next line, number at[i] of queue i, is the first of all; one has a next line. */
static int first_of(const struct desk_found *const *found, int n, const size_t *at)
{
    int first = 0;
    for (int i = 1; i < n; i++) {
        const struct desk_lines *a = &found[i]->lines, *b = &found[first]->lines;
        if (at[i] < a->n &&
            (at[first] == b->n ||
             desk_lines_compare(&a->all[at[i]], found[i]->config->queue->name, &b->all[at[first]],
                                found[first]->config->queue->name) < 0))
            first = i;
    }
    return first;
}

int desk_page_make(struct desk_page *page, const struct desk_found *const *found, int n,
                   size_t limit)
{
    size_t at[QUEUES_MAX] = {0}, room = 0;
    *page = (struct desk_page){0};
    for (int i = 0; i < n; i++) {
        room += found[i]->lines.n;
        page->more = page->more || found[i]->lines.more;
    }
    page->lines = calloc(room + 1, sizeof(*page->lines));
    if (page->lines == NULL)
        return -1;
    while (page->n < limit && page->n < room) {
        int i = first_of(found, n, at);
        page->lines[page->n].line = &found[i]->lines.all[at[i]++];
        page->lines[page->n++].queue = found[i]->config->queue->name;
    }
    page->more = page->more || page->n < room;
    return 0;
}

void desk_page_free(struct desk_page *page)
{
    free(page->lines);
    *page = (struct desk_page){0};
}

char *desk_page_json(const struct desk_page *page, enum list_what what)
{
    json_t *list = json_array();
    char *next = NULL;
    for (size_t i = 0; i < page->n; i++)
        (void)json_array_append_new(
            list, desk_line_json(page->lines[i].line, page->lines[i].queue, what));
    if (page->more && page->n > 0)
        next = desk_place_text(page->lines[page->n - 1].queue, page->lines[page->n - 1].line);
    json_t *o = json_pack("{s:o, s:o}", "failures", list, "next", desk_text(next));
    free(next);
    return desk_dump(o);
}

/* ---- an id, and what was done ---- */

bool desk_well(const struct desk_found *const *found, int n)
{
    for (int i = 0; i < n; i++)
        if (found[i]->error[0] != '\0')
            return false;
    return true;
}

bool desk_several(const struct desk_found *const *found, int n, const char *id, const char *how,
                  char *out, size_t size)
{
    char names[EXPLAIN_NAMES] = "";
    int having = 0;
    for (int i = 0; i < n; i++)
        if (found[i]->has)
            words_add(names, sizeof(names), "%s%s", having++ > 0 ? ", " : "",
                      found[i]->config->queue->name);
    explain_several(id, names, how, out, size);
    return having > 1;
}

static const char *count_name(enum desk_act act)
{
    return act == DESK_RETRY ? "retriedCount" : "forgottenCount";
}

char *desk_done_json(const struct desk_found *const *found, int n, enum desk_act act, int *status)
{
    json_t *o = json_object(), *queues = json_object();
    size_t done = 0, claimed = 0;
    *status = 200;
    for (int i = n - 1; i >= 0; i--) {
        done += found[i]->done;
        claimed += found[i]->claimed;
        if (found[i]->error[0] != '\0') {
            *status = found[i]->away ? 503 : 500;
            (void)json_object_set_new(o, "error", json_text(found[i]->error));
        }
    }
    for (int i = 0; i < n; i++)
        (void)json_object_set_new(queues, found[i]->config->queue->name,
                                  json_integer((json_int_t)found[i]->done));
    (void)json_object_set_new(o, count_name(act), json_integer((json_int_t)done));
    if (act == DESK_RETRY)
        (void)json_object_set_new(o, "claimedCount", json_integer((json_int_t)claimed));
    if (n > 1)
        (void)json_object_set(o, "queues", queues);
    json_decref(queues);
    return desk_dump(o);
}

/* An ERROR for each queue of which nothing, or not all, was done. */
static bool log_errors(const struct desk_found *const *found, int n)
{
    bool well = true;
    for (int i = 0; i < n; i++) {
        if (found[i]->error[0] == '\0')
            continue;
        const char *queue = log_set_queue(found[i]->config->queue->name);
        well = false;
        log_event(LOG_ERROR, "Records could not be acted upon", LOG_STR, "error", found[i]->error,
                  LOG_END);
        (void)log_set_queue(queue);
    }
    return well;
}

bool desk_done_log(const struct desk_found *const *found, int n, enum desk_act act, const char *id)
{
    int64_t done = 0, claimed = 0;
    json_t *more = json_object(), *queues = json_object();
    bool well = log_errors(found, n);
    for (int i = 0; i < n; i++) {
        done += (int64_t)found[i]->done;
        claimed += (int64_t)found[i]->claimed;
        (void)json_object_set_new(queues, found[i]->config->queue->name,
                                  json_integer((json_int_t)found[i]->done));
    }
    if (act == DESK_RETRY)
        (void)json_object_set_new(more, "claimedCount", json_integer(claimed));
    if (n > 1)
        (void)json_object_set(more, "queues", queues);
    if (id != NULL && done == 0 && claimed == 0)
        (void)json_object_set_new(
            more, "note",
            json_string("there is no record of it: --explain says what becomes of it"));
    const char *queue = log_set_queue(n > 1 ? NULL : found[0]->config->queue->name);
    if (well || done > 0)
        log_event(LOG_INFO, act == DESK_RETRY ? "Retry completed" : "Forget completed", LOG_INT,
                  count_name(act), done, LOG_EACH, "", more, LOG_END);
    (void)log_set_queue(queue);
    json_decref(queues);
    json_decref(more);
    return well;
}
