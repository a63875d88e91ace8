/* The rights that plans ask for. */
#include "app/plan_grants.h"

#include "link/pg_link.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct plan_grant *entry(struct plan_grants *g, const char *name, int len)
{
    struct plan_grant *all;
    for (size_t i = 0; i < g->n; i++)
        if (strncmp(g->all[i].name, name, (size_t)len) == 0 && g->all[i].name[len] == '\0')
            return &g->all[i];
    all = realloc(g->all, (g->n + 1) * sizeof(*all));
    if (all == NULL)
        return NULL;
    g->all = all;
    all[g->n] = (struct plan_grant){.name = strndup(name, (size_t)len)};
    return all[g->n].name != NULL ? &all[g->n++] : NULL;
}

static int add(struct plan_grants *g, const char *name, int len, unsigned rights)
{
    struct plan_grant *e = entry(g, name, len);
    if (e == NULL)
        return -1;
    e->rights |= rights;
    return 0;
}

int plan_grants_given(struct plan_grants *g, const char *table, unsigned rights)
{
    struct plan_grant *e = entry(g, table, (int)strlen(table));
    if (e == NULL)
        return -1;
    e->given |= rights;
    return 0;
}

/* The name behind "Insert on " or "Scan on ", with its schema, up to a blank outside of quotes. */
static int name_length(const char *name)
{
    const char *p = name;
    for (bool quoted = false; *p != '\0' && (quoted || *p != ' '); p++)
        quoted = quoted != (*p == '"');
    return (int)(p - name);
}

/* A line of a plan without what draws the tree. */
static const char *node_of(const struct pg_result *plan, int i)
{
    const char *line = pg_result_text(plan, i, 0);
    return line + strspn(line, " ->");
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

/* What line i says is changed. RETURNING, of which the next line tells, and the columns of
 * ON CONFLICT are read. conflict: the rights that a conflict needs beside. */
static int add_change(struct plan_grants *g, const struct pg_result *plan, int i, unsigned conflict)
{
    static const struct {
        const char *begin;
        unsigned rights;
    } changes[] = {{"Insert on ", PLAN_INSERT},
                   {"Update on ", PLAN_UPDATE},
                   {"Delete on ", PLAN_DELETE},
                   {"Merge on ", PLAN_INSERT | PLAN_UPDATE | PLAN_DELETE}};
    const char *line = node_of(plan, i);
    for (size_t k = 0; k < sizeof(changes) / sizeof(changes[0]); k++) {
        size_t begin = strlen(changes[k].begin);
        const char *table = line + begin;
        unsigned rights = changes[k].rights | (k == 0 ? conflict : 0);
        if (strncmp(line, changes[k].begin, begin) != 0)
            continue;
        if (i + 1 < pg_result_rows(plan) && strncmp(node_of(plan, i + 1), "Output:", 7) == 0)
            rights |= PLAN_SELECT;
        return add(g, table, name_length(table), rights);
    }
    return 0;
}

const char *plan_sequence(const char **line, int *len)
{
    static const char call[] = "nextval('", cast[] = "'::regclass)";
    const char *name = strstr(*line, call);
    const char *end = name != NULL ? strstr(name, cast) : NULL;
    if (end == NULL)
        return NULL;
    name += strlen(call);
    *line = end;
    *len = (int)(end - name);
    return name;
}

int plan_grants_add(struct plan_grants *g, const struct pg_result *plan)
{
    unsigned read = PLAN_SELECT, conflict = 0;
    for (int i = 0; i < pg_result_rows(plan); i++) {
        const char *line = pg_result_text(plan, i, 0);
        if (strstr(line, "LockRows") != NULL)
            read |= PLAN_UPDATE;
        if (strstr(line, "Conflict Resolution: UPDATE") != NULL)
            conflict |= PLAN_UPDATE;
        if (strstr(line, "Conflict Arbiter Indexes:") != NULL)
            conflict |= PLAN_SELECT;
    }
    for (int i = 0; i < pg_result_rows(plan); i++) {
        const char *line = pg_result_text(plan, i, 0), *name;
        const char *table = read_table(node_of(plan, i));
        int len;
        if (add_change(g, plan, i, conflict) != 0 ||
            (table != NULL && add(g, table, name_length(table), read) != 0))
            return -1;
        while ((name = plan_sequence(&line, &len)) != NULL)
            if (add(g, name, len, PLAN_USAGE) != 0)
                return -1;
    }
    return 0;
}

void plan_grants_print(const struct plan_grants *g, const char *role, FILE *out)
{
    static const struct {
        unsigned right;
        const char *word;
    } words[] = {{PLAN_SELECT, "SELECT"},
                 {PLAN_INSERT, "INSERT"},
                 {PLAN_UPDATE, "UPDATE"},
                 {PLAN_DELETE, "DELETE"},
                 {PLAN_USAGE, "USAGE"}};
    for (const struct plan_grant *e = g->all; e < g->all + g->n; e++) {
        unsigned rights = e->rights & ~e->given;
        const char *before = "GRANT ";
        if (rights == 0)
            continue;
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
            if ((rights & words[k].right) != 0) {
                fprintf(out, "%s%s", before, words[k].word);
                before = ", ";
            }
        fprintf(out, " ON %s%s TO %s;\n", rights == PLAN_USAGE ? "SEQUENCE " : "", e->name, role);
    }
}

void plan_grants_clear(struct plan_grants *g)
{
    for (size_t i = 0; i < g->n; i++)
        free(g->all[i].name);
    free(g->all);
    *g = (struct plan_grants){0};
}
