/* Answers of the server: collecting them from a pipeline, and reading results. */
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

static void copy_field(char *out, size_t size, const PGresult *res, int field)
{
    const char *text = PQresultErrorField(res, field);

    pg_one_line(out, size, text != NULL ? text : "");
}

const char *pg_severity(const PGresult *res)
{
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

    /* Poolers may send the old field alone; theirs is not translated. */
    return severity != NULL ? severity : PQresultErrorField(res, PG_DIAG_SEVERITY);
}

/* The first error is the cause; what follows it in a pipeline only says "aborted". */
static void keep_first_error(struct pg_request *request, const PGresult *res)
{
    const char *severity = pg_severity(res);

    /* libpq's own error: the connection does not work any more, and PQerrorMessage says why. */
    if (severity == NULL) {
        request->broken = true;
        return;
    }
    /* After FATAL the server hangs up without answering the Sync: the outcome stays unknown. */
    if (strcmp(severity, "ERROR") != 0)
        request->broken = true;
    if (request->failed)
        return;
    request->failed = true;
    request->inside = PQresultErrorField(res, PG_DIAG_CONTEXT) != NULL;
    copy_field(request->sqlstate, sizeof(request->sqlstate), res, PG_DIAG_SQLSTATE);
    copy_field(request->table, sizeof(request->table), res, PG_DIAG_TABLE_NAME);
    copy_field(request->message, sizeof(request->message), res, PG_DIAG_MESSAGE_PRIMARY);
}

static void note_breach(struct pg_request *request, const char *what)
{
    request->broken = true;
    if (!request->failed)
        pg_one_line(request->message, sizeof(request->message), what);
}

static void take_result(struct pg_request *request, PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        if (request->nresults < request->nqueries) {
            request->results[request->nresults++] = res;
            return;
        }
        note_breach(request, "more answers than statements");
        break;
    case PGRES_PIPELINE_SYNC:
        if (request->failed || request->nresults == request->nqueries)
            request->finished = true;
        else
            note_breach(request, "fewer answers than statements");
        break;
    case PGRES_PIPELINE_ABORTED:
        break;
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
        keep_first_error(request, res);
        break;
    default: /* COPY: the server waits for a stream that nobody sends */
        note_breach(request, "an answer that this program cannot use");
        break;
    }
    PQclear(res);
}

void pg_request_collect(struct pg_request *request, PGconn *conn)
{
    int nulls = 0;

    /* A NULL ends each statement's results; two in a row mean that libpq has nothing more in
     * flight, which without a Sync happens only after the connection failed. */
    while (!request->finished && !request->broken && nulls < 2 && !PQisBusy(conn)) {
        PGresult *res = PQgetResult(conn);

        if (res == NULL) {
            nulls++;
            continue;
        }
        nulls = 0;
        take_result(request, res);
    }
    if (nulls >= 2)
        request->broken = true;
}

bool pg_request_server_useless(const struct pg_request *request)
{
    static const char *const useless[] = {"57P01", "57P02", "57P03", "25006"};

    /* A trigger may raise any code, or pass on that of another server. */
    if (!request->finished || !request->failed || request->inside)
        return false;
    if (strncmp(request->sqlstate, "08", 2) == 0)
        return true;
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
        if (strcmp(request->sqlstate, useless[i]) == 0)
            return true;
    }
    return false;
}

void pg_request_clear(struct pg_request *request)
{
    for (int i = 0; i < request->nresults; i++)
        PQclear(request->results[i]);
    free(request->results);
    memset(request, 0, sizeof(*request));
}
