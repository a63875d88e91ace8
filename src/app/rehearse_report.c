/* What --rehearse prints. Rows and values are Postgres's own texts, whole: nothing is read as a
 * number that would come out as another. */
#include "app/rehearse_report.h"

#include "base/json_text.h"
#include "base/terminal.h"
#include "base/units.h"
#include "link/pg_link.h"
#include "release/rehearsal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The columns of sql/rehearse_after.sql. */
enum { COUNTER, NAME, KEY, BEFORE, AFTER, COLUMN, OLD, NEW };

static const char *outcome_text(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_RELEASED:
        return "released";
    case OUTCOME_INACTIVE:
        return "not active any more";
    case OUTCOME_MISSING:
        return "not there any more";
    case OUTCOME_NOT_DUE:
        return "not due any more";
    case OUTCOME_KEPT:
        return "kept by keep_while";
    case OUTCOME_LOCKED:
        return "locked by somebody else";
    default:
        return "refused";
    }
}

static void put_json_text(FILE *out, const char *text)
{
    json_t *string = json_text(text);
    char *dumped = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    fputs(dumped != NULL ? dumped : "null", out);
    free(dumped);
    json_decref(string);
}

static void put_plain(FILE *out, const char *format, const char *text)
    __attribute__((format(printf, 2, 0)));

/* On a terminal: format has one %s. */
static void put_plain(FILE *out, const char *format, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return;
    terminal_disarm(copy);
    fprintf(out, format, copy);
    free(copy);
}

static int list_open(struct rehearse_list *list)
{
    list->out = open_memstream(&list->text, &list->size);
    return list->out != NULL ? 0 : -1;
}

static void next_of(struct rehearse_report *r, struct rehearse_list *list)
{
    if (r->json && list->n > 0)
        fputs(", ", list->out);
    list->n++;
}

int rehearse_report_begin(struct rehearse_report *r, const struct queue *queue, bool json)
{
    r->queue = queue;
    r->json = json;
    return list_open(&r->reservations) == 0 && list_open(&r->changes) == 0 ? 0 : -1;
}

static void add_item(struct rehearse_report *r, const struct item *item, const char *refusal)
{
    FILE *out = r->reservations.out;
    const char *outcome = outcome_text(refusal != NULL ? OUTCOME_FAILED : item->outcome);
    bool released = refusal == NULL && item->outcome == OUTCOME_RELEASED;
    char units[UNITS_TEXT] = "0";
    if (released)
        units_text(&item->units, units);
    r->released += released;
    next_of(r, &r->reservations);
    if (!r->json) {
        put_plain(out, "reservation %s", item->id);
        fprintf(out, ": %s", outcome);
        if (released)
            fprintf(out, ", %s %s", units, strcmp(units, "1") == 0 ? "unit" : "units");
        fputc('\n', out);
        if (refusal != NULL)
            put_plain(out, "  %s\n", refusal);
        return;
    }
    fputs("{\"id\": ", out);
    put_json_text(out, item->id);
    fprintf(out, ", \"outcome\": \"%s\", \"units\": %s", outcome, units);
    if (refusal != NULL) {
        fputs(", \"error\": ", out);
        put_json_text(out, refusal);
    }
    fputc('}', out);
}

/* The first row of a hold or a counter. */
static void add_thing(struct rehearse_report *r, const struct pg_result *changes, int row)
{
    FILE *out = r->changes.out;
    bool counter = pg_result_text(changes, row, COUNTER)[0] == 't';
    bool gone = pg_result_null(changes, row, AFTER);
    const char *table = counter ? r->queue->stock.table.written : r->queue->table.written;
    next_of(r, &r->changes);
    if (!r->json) {
        fprintf(out, "%s", counter ? "counter" : "hold");
        put_plain(out, " %s", pg_result_text(changes, row, NAME));
        put_plain(out, " of %s", table);
        if (!pg_result_null(changes, row, KEY))
            put_plain(out, ", key %s", pg_result_text(changes, row, KEY));
        fputs(gone ? ": deleted\n" : ":\n", out);
        if (gone)
            put_plain(out, "  - %s\n", pg_result_text(changes, row, BEFORE));
        else if (pg_result_null(changes, row, COLUMN))
            fputs("    nothing has changed\n", out);
        return;
    }
    fprintf(out, "{\"table\": ");
    put_json_text(out, table);
    fprintf(out, ", \"%s\": ", counter ? "key" : "id");
    put_json_text(out, pg_result_text(changes, row, NAME));
    fprintf(out, ", \"before\": %s, \"after\": %s}", pg_result_text(changes, row, BEFORE),
            gone ? "null" : pg_result_text(changes, row, AFTER));
}

static void add_change(struct rehearse_report *r, const struct pg_result *changes, int row)
{
    static const struct {
        int column;
        char sign;
    } sides[] = {{OLD, '-'}, {NEW, '+'}};
    if (r->json || pg_result_null(changes, row, COLUMN))
        return;
    for (int i = 0; i < 2; i++) {
        fprintf(r->changes.out, "  %c ", sides[i].sign);
        put_plain(r->changes.out, "%s = ", pg_result_text(changes, row, COLUMN));
        put_plain(r->changes.out, "%s\n",
                  pg_result_null(changes, row, sides[i].column)
                      ? "NULL"
                      : pg_result_text(changes, row, sides[i].column));
    }
}

static bool same_thing(const struct pg_result *r, int a, int b)
{
    static const int columns[] = {COUNTER, NAME, BEFORE};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        if (strcmp(pg_result_text(r, a, columns[i]), pg_result_text(r, b, columns[i])) != 0)
            return false;
    return true;
}

void rehearse_report_add(struct rehearse_report *r, struct item *const *items, size_t n,
                         const struct rehearsal_result *result)
{
    const struct pg_result *changes = result->changes;
    const char *refusal = changes == NULL ? result->release->message : NULL;
    for (size_t i = 0; i < n; i++)
        add_item(r, items[i], refusal);
    if (changes == NULL) {
        if (r->refused++ == 0)
            snprintf(r->error, sizeof(r->error), "%s (SQLSTATE %s)", refusal,
                     result->release->sqlstate);
        return;
    }
    for (int i = 0; i < pg_result_rows(changes); i++) {
        if (i == 0 || !same_thing(changes, i - 1, i))
            add_thing(r, changes, i);
        add_change(r, changes, i);
    }
    for (int i = 0; i < r->queue->nalso; i++)
        r->also[i] += pg_result_affected(result->also[i]);
}

static void print_json(const struct rehearse_report *r, const char *error)
{
    fputs("{\"queue\": ", stdout);
    put_json_text(stdout, r->queue->name);
    printf(", \"rehearsed\": %d, \"released\": %d, \"refused\": %d, \"reservations\": [%s]",
           r->reservations.n, r->released, r->refused, r->reservations.text);
    printf(", \"changes\": [%s], \"also\": [", r->changes.text);
    for (int i = 0; i < r->queue->nalso; i++)
        printf("%s{\"line\": %d, \"rows\": %lld}", i > 0 ? ", " : "", r->queue->also[i].line,
               (long long)r->also[i]);
    fputs("], \"error\": ", stdout);
    if (error != NULL)
        put_json_text(stdout, error);
    else
        fputs("null", stdout);
    fputs("}\n", stdout);
}

static void print_lines(const struct rehearse_report *r, const char *error)
{
    printf("queue %s: %d rehearsed, %d released, %d refused; all of it is rolled back\n",
           r->queue->name, r->reservations.n, r->released, r->refused);
    fputs(r->reservations.text, stdout);
    fputs(r->changes.text, stdout);
    for (int i = 0; i < r->queue->nalso && r->released > 0; i++)
        printf("also, line %d: %lld rows\n", r->queue->also[i].line, (long long)r->also[i]);
    if (error != NULL)
        put_plain(stdout, "%s\n", error);
}

void rehearse_report_end(struct rehearse_report *r, const char *error)
{
    bool whole = r->reservations.out != NULL && r->changes.out != NULL;
    if (r->reservations.out != NULL)
        whole = fclose(r->reservations.out) == 0 && whole;
    if (r->changes.out != NULL)
        whole = fclose(r->changes.out) == 0 && whole;
    if (whole && r->json)
        print_json(r, error);
    else if (whole)
        print_lines(r, error);
    free(r->reservations.text);
    free(r->changes.text);
}
