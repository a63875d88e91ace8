/* What the server says, read: results, errors and notices. */
#include "base/log.h"
#include "base/parse.h"
#include "link/pg_link_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* struct pg_result of pg_link.h is libpq's own struct behind PGresult, so no wrapper is needed. */

int pg_result_rows(const struct pg_result *r)
{
    return PQntuples(r);
}

int pg_result_columns(const struct pg_result *r)
{
    return PQnfields(r);
}

static void check_cell(const struct pg_result *r, int row, int col)
{
    assert(row >= 0 && row < PQntuples(r));
    assert(col >= 0 && col < PQnfields(r));
    (void)r;
    (void)row;
    (void)col;
}

bool pg_result_null(const struct pg_result *r, int row, int col)
{
    check_cell(r, row, col);
    return PQgetisnull(r, row, col) != 0;
}

const char *pg_result_text(const struct pg_result *r, int row, int col)
{
    check_cell(r, row, col);
    return PQgetvalue(r, row, col);
}

size_t pg_result_len(const struct pg_result *r, int row, int col)
{
    check_cell(r, row, col);
    return (size_t)PQgetlength(r, row, col);
}

int64_t pg_result_affected(const struct pg_result *r)
{
    int64_t n = 0;
    /* Which it only reads. */
    return parse_int(PQcmdTuples((PGresult *)r), 0, INT64_MAX, &n) == 0 ? n : 0;
}

int64_t pg_result_int(const struct pg_result *r, int row, int col)
{
    int64_t value = 0;
    if (parse_int(pg_result_text(r, row, col), INT64_MIN, INT64_MAX, &value) != 0)
        return 0;
    return value;
}

void pg_one_line(char *out, size_t size, const char *text)
{
    size_t n = 0;
    assert(size > 0);
    for (; *text != '\0' && n + 1 < size; text++) {
        char c = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
        if (c != ' ' || (n > 0 && out[n - 1] != ' '))
            out[n++] = c;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

const char *pg_severity(const PGresult *res)
{
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    /* Poolers may send the old field alone; theirs is not translated. */
    return severity != NULL ? severity : PQresultErrorField(res, PG_DIAG_SEVERITY);
}

const char *pg_notice_log(const PGresult *res, char *message, size_t size)
{
    const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    pg_one_line(message, size, primary != NULL ? primary : PQresultErrorMessage(res));
    log_event(LOG_DEBUG, "Postgres sent a notice", LOG_STR, "severity", pg_severity(res), LOG_STR,
              "sqlstate", sqlstate, LOG_STR, "notice", message, LOG_END);
    return message;
}
