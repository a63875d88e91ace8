/* One request: what is sent of it, what has come of its answer, and what that makes of it.
 *
 * Sent is a pipeline with one Sync, hence one implicit transaction. Of each statement comes one
 * result, then a NULL; of the Sync a result of its own, which says that all is committed, or rolled
 * back if there was an error. After an error the statements behind it are "aborted", and nothing
 * more is learnt from them. What must hold: `finished` is set by the Sync's answer alone, so that a
 * connection that is lost before it leaves the outcome unknown; and whatever else a server sends
 * (more answers than statements, a COPY) makes the request `broken`, never a wrong result. */
#include "link/pg_link_private.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* First in each transaction, whatever the role's or the database's default is: under another level
 * rows are judged, and counters summed, by what was there before they were locked. Not SET
 * TRANSACTION, at which the server warns where there is no BEGIN. */
static const char read_committed_sql[] = "SET transaction_isolation = 'read committed'";

int pg_request_begin(struct pg_request *request, int nqueries, bool own)
{
    assert(!request->active && nqueries > 0);
    request->own = own ? 1 : 0;
    request->nqueries = nqueries + request->own;
    request->results = calloc((size_t)request->nqueries, sizeof(PGresult *));
    request->active = request->results != NULL;
    return request->active ? 0 : -1;
}

bool pg_request_queue(const struct pg_request *request, PGconn *conn,
                      const struct pg_query *queries)
{
    int n = request->nqueries - request->own;
    if (request->own > 0 &&
        PQsendQueryParams(conn, read_committed_sql, 0, NULL, NULL, NULL, NULL, 0) != 1)
        return false;
    for (int i = 0; i < n; i++) {
        if (PQsendQueryParams(conn, queries[i].sql, queries[i].nparams, NULL, queries[i].params,
                              NULL, NULL, 0) != 1)
            return false;
    }
    return PQpipelineSync(conn) == 1;
}

static void copy_field(char *out, size_t size, const PGresult *res, int field)
{
    const char *text = PQresultErrorField(res, field);
    pg_one_line(out, size, text != NULL ? text : "");
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

struct pg_answer pg_request_answer(const struct pg_request *request, const char *reason)
{
    struct pg_answer answer = {
        .status = PG_DONE,
        .message = "",
        .table = "",
        .sent_us = request->sent_us,
        .received_us = request->finished ? request->received_us : clock_mono_us(),
    };
    if (!request->finished) {
        answer.status = PG_UNKNOWN;
        answer.message = request->failed ? request->message : reason;
    } else if (request->failed) {
        answer.status = PG_REFUSED;
        answer.message = request->message;
        answer.table = request->table;
        answer.inside = request->inside;
        memcpy(answer.sqlstate, request->sqlstate, sizeof(answer.sqlstate));
    } else {
        assert(request->nresults == request->nqueries);
        answer.nresults = request->nresults - request->own;
        answer.results = (const struct pg_result *const *)request->results + request->own;
    }
    return answer;
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
