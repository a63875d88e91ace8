/* The grants that a queue needs. */
#include "app/show_grants.h"

#include "app/plan_grants.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "store/assignments.h"
#include "store/mapping.h"

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

int show_grants(const struct queue *q, char *const tables[2], const struct pg_result *r,
                struct pg_link *link, struct plan_grants *given)
{
    int status = 0;
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
        if (plan_grants_given(given, table, PLAN_SELECT) != 0)
            status = -1;
    }
    char *function = q->call.name != NULL ? mapping_table(&q->call, link) : NULL;
    if (function != NULL && pg_result_rows(r) > 0)
        printf("GRANT EXECUTE ON FUNCTION %s TO %s;\n", function, pg_result_text(r, 0, 0));
    free(function);
    return status;
}
