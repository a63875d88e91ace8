/* The grants that a queue needs. */
#include "app/show_grants.h"

#include "app/statement_names.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "store/assignments.h"
#include "store/mapping.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "status", "updated_at": a column of a grant. */
static void print_column(struct pg_link *link, const char *name, int *n)
{
    char *quoted = pg_link_quote_ident(link, name);
    printf("%s%s", (*n)++ > 0 ? ", " : "", quoted != NULL ? quoted : "?");
    free(quoted);
}

/* "UPDATE (status)", or of the whole table where the assignments do not say which columns. */
static void print_update(struct pg_link *link, const char *sql, const char *first,
                         const char *second)
{
    struct assignments changes = {0};
    int n = 0;
    if (sql != NULL && assignments_read(&changes, sql) != 0) {
        printf("UPDATE");
        return;
    }
    printf("UPDATE (");
    if (first != NULL)
        print_column(link, first, &n);
    if (second != NULL)
        print_column(link, second, &n);
    for (size_t i = 0; i < changes.n; i++)
        print_column(link, changes.list[i].column, &n);
    printf(")");
    assignments_clear(&changes);
}

void show_grants(const struct queue *q, char *const tables[2], const struct pg_result *r,
                 struct pg_link *link)
{
    for (int i = 0; i < pg_result_rows(r); i++) {
        const char *role = pg_result_text(r, i, 0);
        const char *table = pg_result_null(r, i, 1) ? tables[i] : pg_result_text(r, i, 1);
        if (!pg_result_null(r, i, 2) &&
            (i == 0 || strcmp(pg_result_text(r, 0, 2), pg_result_text(r, i, 2)) != 0))
            printf("GRANT USAGE ON SCHEMA %s TO %s;\n", pg_result_text(r, i, 2), role);
        printf("GRANT SELECT, ");
        if (i == 1)
            print_update(link, q->stock.set.text, q->stock.free.text, q->stock.held.text);
        else if (q->deletes) /* they are locked FOR UPDATE */
            printf("UPDATE, DELETE");
        else if (q->call.name != NULL) /* they are locked */
            printf("UPDATE");
        else
            print_update(link, q->released.text, q->keep.extend_us > 0 ? q->expires_at.text : NULL,
                         NULL);
        printf(" ON %s TO %s;\n", table, role);
    }
    char *function = q->call.name != NULL ? mapping_table(&q->call, link) : NULL;
    if (function != NULL && pg_result_rows(r) > 0)
        printf("GRANT EXECUTE ON FUNCTION %s TO %s;\n", function, pg_result_text(r, 0, 0));
    free(function);
}

/* The name behind "Insert on " or "Scan on ", with its schema, up to a blank outside of quotes. */
static int name_length(const char *name)
{
    const char *p = name;
    for (bool quoted = false; *p != '\0' && (quoted || *p != ' '); p++)
        quoted = quoted != (*p == '"');
    return (int)(p - name);
}

static void grant(const char *what, const char *table, const char *role)
{
    printf("GRANT %s ON %.*s TO %s;\n", what, name_length(table), table, role);
}

/* A table that this line says is read; NULL: none. */
static const char *read_table(const char *line)
{
    static const char *const others[] = {"Subquery Scan", "CTE Scan",       "Function Scan",
                                         "Values Scan",   "WorkTable Scan", "Bitmap Index Scan"};
    const char *scan = strstr(line, " Scan");
    const char *table = scan != NULL ? strstr(scan, " on ") : NULL;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strstr(line, others[i]) != NULL)
            return NULL;
    return table != NULL && strchr(line, ':') == NULL ? table + strlen(" on ") : NULL;
}

/* Each sequence of the plan once. */
static void grant_sequences(const struct pg_result *plan, const char *role)
{
    const char *said[16];
    size_t n = 0;
    int len;
    for (int i = 0; i < pg_result_rows(plan); i++)
        for (const char *line = pg_result_text(plan, i, 0), *name;
             (name = statement_sequence(&line, &len)) != NULL;) {
            bool known = false;
            for (size_t k = 0; k < n; k++)
                known = known || strncmp(said[k], name, (size_t)len + 1) == 0;
            if (known || n == sizeof(said) / sizeof(said[0]))
                continue;
            said[n++] = name;
            printf("GRANT USAGE ON SEQUENCE %.*s TO %s;\n", len, name, role);
        }
}

void show_grants_of_plan(const struct pg_result *plan, const char *role)
{
    static const struct {
        const char *begin, *grant;
    } changes[] = {{"Insert on ", "INSERT"},
                   {"Update on ", "UPDATE"},
                   {"Delete on ", "DELETE"},
                   {"Merge on ", "INSERT, UPDATE, DELETE"}};
    bool locks = false, conflicts = false;
    for (int i = 0; i < pg_result_rows(plan); i++) {
        const char *line = pg_result_text(plan, i, 0);
        locks = locks || strstr(line, "LockRows") != NULL;
        conflicts = conflicts || strstr(line, "Conflict Resolution: UPDATE") != NULL;
    }
    for (int i = 0; i < pg_result_rows(plan); i++) {
        const char *line = pg_result_text(plan, i, 0);
        line += strspn(line, " ->");
        for (size_t k = 0; k < sizeof(changes) / sizeof(changes[0]); k++)
            if (strncmp(line, changes[k].begin, strlen(changes[k].begin)) == 0)
                grant(k == 0 && conflicts ? "SELECT, INSERT, UPDATE" : changes[k].grant,
                      line + strlen(changes[k].begin), role);
        const char *table = read_table(line);
        if (table != NULL)
            grant(locks ? "SELECT, UPDATE" : "SELECT", table, role);
    }
    grant_sequences(plan, role);
}
