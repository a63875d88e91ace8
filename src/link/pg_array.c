/* Arrays as Postgres reads them: see pg_array.h. */
#include "link/pg_array.h"

#include "base/sql_scan.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 64
#define NAME_SIZE 64 /* of an identifier of Postgres's, cut to fit */

/* Room for so many more bytes; false: memory ran out. */
static bool reserve(struct pg_array *a, size_t more)
{
    size_t room = a->room > 0 ? a->room : ROOM_LEAST;
    while (room - a->len < more && room <= SIZE_MAX / 2)
        room *= 2;
    if (room - a->len < more)
        return false;
    if (room == a->room)
        return true;

    char *text = realloc(a->text, room);
    if (text == NULL)
        return false;
    a->text = text;
    a->room = room;
    return true;
}

void pg_array_add(struct pg_array *a, const char *element, size_t len)
{
    /* The separator, two quotes, each byte perhaps escaped, and what ends the array. */
    if (a->failed || len > SIZE_MAX / 4 || !reserve(a, 2 * len + 5)) {
        a->failed = true;
        return;
    }

    char *w = a->text + a->len;
    *w++ = a->len == 0 ? '{' : ',';
    *w++ = '"';
    for (size_t i = 0; i < len; i++) {
        if (element[i] == '"' || element[i] == '\\')
            *w++ = '\\';
        *w++ = element[i];
    }
    *w++ = '"';
    a->len = (size_t)(w - a->text);
}

/* A name without quotes, as the catalog has it; with them, without them. */
static void add_name(struct pg_array *a, const struct sql_token *t)
{
    char name[NAME_SIZE];
    size_t len = 0;
    bool quoted = t->kind == SQL_NAME;
    for (size_t i = quoted; i + quoted < t->len && len < sizeof(name); i++) {
        if (quoted && t->at[i] == '"')
            i++; /* doubled */
        name[len++] = quoted ? t->at[i] : (char)tolower((unsigned char)t->at[i]);
    }
    pg_array_add(a, name, len);
}

void pg_array_add_names(struct pg_array *a, const char *sql)
{
    for (struct sql_token t = sql_scan(&sql); t.kind != SQL_END; t = sql_scan(&sql))
        if (t.kind == SQL_WORD || t.kind == SQL_NAME)
            add_name(a, &t);
}

char *pg_array_finish(struct pg_array *a)
{
    char *text = a->text;
    if (text == NULL && !a->failed)
        text = strdup("{}");
    else if (a->failed) {
        free(text);
        text = NULL;
    } else {
        memcpy(text + a->len, "}", 2);
    }
    *a = (struct pg_array){0};
    return text;
}
