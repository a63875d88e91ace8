/* The columns of a queue that the catalog is asked for. */
#include "link/pg_array.h"
#include "store/assignments.h"
#include "store/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_name(struct catalog *c, enum catalog_use use, const char *name, int line)
{
    struct catalog_name *to = &c->names[c->n++];
    *to = (struct catalog_name){.use = use, .line = line};
    snprintf(to->name, sizeof(to->name), "%s", name);
}

static void add_text(struct catalog *c, enum catalog_use use, const struct queue_text *text)
{
    if (text->text != NULL)
        add_name(c, use, text->text, text->line);
}

/* The columns that assignments set, where they are simple ones. Returns 0, or -1: out of memory. */
static int add_set(struct catalog *c, enum catalog_use use, const struct queue_text *sql)
{
    struct assignments set;
    int rc = sql->text != NULL ? assignments_read(&set, sql->text) : 1;
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    for (size_t i = 0; i < set.n && i < CATALOG_SET_MAX; i++)
        add_name(c, use, set.list[i].column, sql->line);
    assignments_clear(&set);
    return 0;
}

int catalog_list(struct catalog *c, const struct queue *q)
{
    memset(c, 0, sizeof(*c));
    c->queue = q;
    add_text(c, CATALOG_ID, &q->id);
    for (int i = 0; i < q->stock.nkeys; i++)
        add_text(c, CATALOG_KEY, &q->stock.keys[i].hold);
    add_text(c, CATALOG_QUANTITY, &q->quantity);
    add_text(c, CATALOG_EXPIRES, &q->expires_at);
    for (int i = 0; i < q->ncarry; i++)
        add_text(c, CATALOG_CARRY, &q->carry[i]);
    if (add_set(c, CATALOG_SET, &q->released) != 0)
        return -1;
    if (q->keep.extend_us > 0)
        add_text(c, CATALOG_SET, &q->expires_at);
    add_name(c, CATALOG_UPDATED, "updated_at", 0);
    for (int i = 0; i < q->stock.nkeys; i++)
        add_text(c, CATALOG_COUNTER_KEY, &q->stock.keys[i].counter);
    add_text(c, CATALOG_FREE, &q->stock.free);
    add_text(c, CATALOG_HELD, &q->stock.held);
    if (add_set(c, CATALOG_STOCK_SET, &q->stock.set) != 0)
        return -1;
    add_text(c, CATALOG_TOTAL, &q->stock.total);
    return 0;
}

bool catalog_of_counters(const struct catalog_name *name)
{
    return name->use >= CATALOG_COUNTER_KEY;
}

const struct queue_table *catalog_table(const struct catalog *c, int i)
{
    return catalog_of_counters(&c->names[i]) ? &c->queue->stock.table : &c->queue->table;
}

char *catalog_names(const struct catalog *c, struct pg_link *link, bool tables)
{
    struct pg_array names = {0};
    for (int i = 0; i < c->n; i++) {
        char *element =
            tables ? mapping_table(catalog_table(c, i), link) : strdup(c->names[i].name);
        if (element != NULL)
            pg_array_add(&names, element, strlen(element));
        names.failed = names.failed || element == NULL;
        free(element);
    }
    return pg_array_finish(&names);
}

char *catalog_key(const struct catalog *c)
{
    struct pg_array names = {0};
    for (int i = 0; i < c->n; i++)
        if (c->names[i].use == CATALOG_COUNTER_KEY)
            pg_array_add(&names, c->names[i].name, strlen(c->names[i].name));
    return pg_array_finish(&names);
}
