/* The operator's queries for --reconcile. Each is sent within another, where nothing that changes
 * rows can stand, which makes a text of each row: whatever its columns are, they can be reported,
 * and no row takes much memory. */
#include "store/verify.h"

#include "base/sql_scan.h"

#include <stdio.h>
#include <string.h>

#define ROW_MAX "8000" /* bytes of a row; of a longer one the beginning, in characters: */
#define ROW_CUT "2000"

#define STRING(n) STRING_OF(n)
#define STRING_OF(n) #n

/* Without the semicolon that may end it: within another it does not. */
static int length(const char *text)
{
    const char *rest = text, *end = text;
    for (struct sql_token t = sql_scan(&rest); t.kind != SQL_END; t = sql_scan(&rest))
        end = sql_token_is_char(&t, ';') ? t.at : rest;
    return (int)(end - text);
}

char *verify_render(const struct queue *queue, int i)
{
    const char *text = queue->verify[i].text;
    char *sql = NULL;
    return asprintf(&sql,
                    "SELECT pg_catalog.count(*) OVER (),\n"
                    "       CASE WHEN pg_catalog.octet_length(v.rs$row) <= " ROW_MAX
                    " THEN v.rs$row\n"
                    "            ELSE pg_catalog.to_json(pg_catalog.left(v.rs$row, " ROW_CUT
                    "))::pg_catalog.text END\n"
                    "  FROM (SELECT pg_catalog.row_to_json(rs$found)::pg_catalog.text AS rs$row\n"
                    "          FROM (\n%.*s\n) AS rs$found) AS v\n"
                    " LIMIT " STRING(VERIFY_ROWS_MAX),
                    length(text), text) < 0
               ? NULL
               : sql;
}
