/* Quoting as libpq does it, by the rules of the connection. */
#include "link/pg_link_private.h"

#include <stdlib.h>
#include <string.h>

static char *copy_escaped(char *escaped)
{
    char *copy = escaped != NULL ? strdup(escaped) : NULL;
    PQfreemem(escaped); /* need not be free() everywhere, as the header promises the caller */
    return copy;
}

char *pg_link_quote_ident(struct pg_link *link, const char *name)
{
    if (link->state != PG_LINK_UP)
        return NULL;
    return copy_escaped(PQescapeIdentifier(link->conn, name, strlen(name)));
}

char *pg_link_quote_literal(struct pg_link *link, const char *text)
{
    if (link->state != PG_LINK_UP)
        return NULL;
    return copy_escaped(PQescapeLiteral(link->conn, text, strlen(text)));
}
