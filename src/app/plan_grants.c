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

/* What a line says is changed. */
static int add_change(struct plan_grants *g, const char *line, bool conflicts)
{
    static const struct {
        const char *begin;
        unsigned rights;
    } changes[] = {{"Insert on ", PLAN_INSERT},
                   {"Update on ", PLAN_UPDATE},
                   {"Delete on ", PLAN_DELETE},
                   {"Merge on ", PLAN_INSERT | PLAN_UPDATE | PLAN_DELETE}};
    for (size_t k = 0; k < sizeof(changes) / sizeof(changes[0]); k++) {
        size_t begin = strlen(changes[k].begin);
        const char *table = line + begin;
        if (strncmp(line, changes[k].begin, begin) != 0)
            continue;
        return add(g, table, name_length(table),
                   k == 0 && conflicts ? PLAN_SELECT | PLAN_INSERT | PLAN_UPDATE
                                       : changes[k].rights);
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
    bool locks = false, conflicts = false;
    for (int i = 0; i < pg_result_rows(plan); i++) {
        const char *line = pg_result_text(plan, i, 0);
        locks = locks || strstr(line, "LockRows") != NULL;
        conflicts = conflicts || strstr(line, "Conflict Resolution: UPDATE") != NULL;
    }
    for (int i = 0; i < pg_result_rows(plan); i++) {
        const char *line = pg_result_text(plan, i, 0), *name;
        const char *node = line + strspn(line, " ->");
        const char *table = read_table(node);
        unsigned read = locks ? PLAN_SELECT | PLAN_UPDATE : PLAN_SELECT;
        int len;
        if (add_change(g, node, conflicts) != 0 ||
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
