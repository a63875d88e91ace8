/* One request: what is sent of it, what has come of its answer, and what that makes of it.
 *
 * Sent is a pipeline with one Sync, hence one implicit transaction. Of each statement comes one
 * result, then a NULL; of the Sync a result of its own, which says that all is committed, or rolled
 * back if there was an error. After an error the statements behind it are "aborted", and nothing
 * more is learnt from them. What must hold: `finished` is set by the Sync's answer alone, so that a
 * connection that is lost before it leaves the outcome unknown; and whatever else a server sends
 * (more answers than statements, a COPY) makes the request `broken`, never a wrong result.
 *
 * A statement that is sent often has a name (pg_prepare.c says when): it is prepared in the
 * pipeline of the first request that has it, right before it is executed, so that the settings
 * before it hold for the preparation too. A request that is refused for its names is sent once
 * more, without. It is safe because it waits for the answer to the Sync: an error and the Sync's
 * answer mean that the whole transaction was rolled back, wherever in it the error was, at its
 * COMMIT too. Without that answer (FATAL, a lost connection) nothing is sent again. */
#include "link/pg_link_private.h"

#include "base/clock.h"
#include "base/parse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* First in each transaction, whatever the role's or the database's default is: under another level
 * rows are judged, and counters summed, by what was there before they were locked. Not SET
 * TRANSACTION, at which the server warns where there is no BEGIN. */
static const char read_committed_sql[] = "SET transaction_isolation = 'read committed'";
/* Second: nothing that this program asks is worth compiling (on a busy machine that takes for
 * ever), and a time that the operator's SQL compares with a clock has one zone everywhere. */
static const char ever_sql[] = "SELECT " PG_LINK_EVER;

#define STEPS_MAX(nqueries) (2 * (size_t)(nqueries) + 5)

static const char empty_sql[] = "DEALLOCATE ALL";
/* At the end: a query before it would make it too late to set the isolation level. */
static const char session_sql[] = "SELECT pg_catalog.pg_backend_pid(), "
                                  "pg_catalog.current_setting('synchronous_commit')";

int pg_request_begin(struct pg_request *request, int nqueries, bool own,
                     const struct pg_source *source)
{
    assert(!request->active && nqueries > 0);
    request->own = own;
    request->source = source;
    request->nqueries = nqueries;
    request->results = calloc((size_t)nqueries, sizeof(PGresult *));
    request->steps = calloc(STEPS_MAX(nqueries), sizeof(struct pg_step));
    if (request->results == NULL || request->steps == NULL) {
        pg_request_clear(request);
        return -1;
    }
    request->active = true;
    return 0;
}

/* Copies queries and all that they refer to into one block. NULL: out of memory. */
static struct pg_query *copy_queries(const struct pg_query *queries, int n)
{
    size_t params = 0, text = 0;
    for (int i = 0; i < n; i++) {
        params += (size_t)queries[i].nparams;
        text += strlen(queries[i].sql) + 1;
        for (int j = 0; j < queries[i].nparams; j++)
            text += queries[i].params[j] != NULL ? strlen(queries[i].params[j]) + 1 : 0;
    }
    struct pg_query *copy = malloc((size_t)n * sizeof(*copy) + params * sizeof(char *) + text);
    if (copy == NULL)
        return NULL;
    const char **param = (const char **)(copy + n);
    char *end = (char *)(param + params);
    for (int i = 0; i < n; i++) {
        copy[i] = queries[i];
        copy[i].sql = end;
        end = stpcpy(end, queries[i].sql) + 1;
        copy[i].params = param;
        for (int j = 0; j < queries[i].nparams; j++, param++) {
            *param = queries[i].params[j] != NULL ? end : NULL;
            if (*param != NULL)
                end = stpcpy(end, queries[i].params[j]) + 1;
        }
    }
    return copy;
}

static void expect(struct pg_request *request, enum pg_step_kind kind, int place)
{
    assert((size_t)request->nsteps < STEPS_MAX(request->nqueries));
    request->steps[request->nsteps++] = (struct pg_step){kind, place};
}

static bool send_plain(struct pg_request *request, PGconn *conn, enum pg_step_kind kind,
                       const struct pg_query *q)
{
    expect(request, kind, -1);
    if (q->parse_only)
        return PQsendPrepare(conn, "", q->sql, q->nparams, NULL) == 1;
    return PQsendQueryParams(conn, q->sql, q->nparams, NULL, q->params, NULL, NULL, 0) == 1;
}

static bool send_own(struct pg_request *request, PGconn *conn, enum pg_step_kind kind,
                     const char *sql)
{
    const struct pg_query query = {.sql = sql};
    return send_plain(request, conn, kind, &query);
}

/* Their values are parameters, their names too. */
static bool send_settings(struct pg_request *request, PGconn *conn)
{
    const struct pg_source *source = request->source;
    char sql[48 * PG_SOURCE_SETTINGS_MAX] = "";
    size_t len = 0;
    for (int i = 0; i < source->nsettings; i++)
        len += (size_t)snprintf(sql + len, sizeof(sql) - len,
                                "%s pg_catalog.set_config($%d, $%d, true)", i == 0 ? "SELECT" : ",",
                                2 * i + 1, 2 * i + 2);
    const struct pg_query query = {sql, source->settings, 2 * source->nsettings, 0, 0, 0};
    return send_plain(request, conn, PG_STEP_SETTINGS, &query);
}

static bool send_named(struct pg_request *request, PGconn *conn, const struct pg_query *q,
                       struct pg_names *names, int place)
{
    char name[PG_NAME_SIZE];
    pg_names_write(names, place, name);
    if (!names->list[place].queued) {
        names->list[place].queued = true;
        expect(request, PG_STEP_PREPARE, place);
        if (PQsendPrepare(conn, name, q->sql, 0, NULL) != 1)
            return false;
    }
    expect(request, PG_STEP_QUERY, place);
    return PQsendQueryPrepared(conn, name, q->nparams, q->params, NULL, NULL, 0) == 1;
}

/* names: NULL for none. */
static bool queue(struct pg_request *request, PGconn *conn, const struct pg_query *queries,
                  struct pg_names *names, bool asks)
{
    if (request->own && !(send_own(request, conn, PG_STEP_OWN, read_committed_sql) &&
                          send_own(request, conn, PG_STEP_OWN, ever_sql)))
        return false;
    if (request->source->nsettings > 0 && !send_settings(request, conn))
        return false;
    if (names != NULL && pg_names_empties(names) &&
        !send_own(request, conn, PG_STEP_EMPTY, empty_sql))
        return false;
    for (int i = 0; i < request->nqueries; i++) {
        const struct pg_query *q = &queries[i];
        int place =
            names != NULL && q->named != 0 ? pg_names_place(names, q->sql, request->sent_us) : -1;
        if (place < 0 ? !send_plain(request, conn, PG_STEP_QUERY, q)
                      : !send_named(request, conn, q, names, place))
            return false;
    }
    if (asks && !send_own(request, conn, PG_STEP_SESSION, session_sql))
        return false;
    return PQpipelineSync(conn) == 1;
}

bool pg_request_queue(struct pg_request *request, PGconn *conn, const struct pg_query *queries,
                      struct pg_names *names)
{
    uint64_t version = 0;
    for (int i = 0; i < request->nqueries; i++)
        version = queries[i].named != 0 ? queries[i].named : version;
    /* Without the copy it could not be sent again. */
    if (version != 0 && pg_names_usable(names, version, request->sent_us))
        request->copy = copy_queries(queries, request->nqueries);
    return queue(request, conn, queries, request->copy != NULL ? names : NULL,
                 version != 0 && pg_names_asks(names));
}

static void copy_field(char *out, size_t size, const PGresult *res, int field)
{
    const char *text = PQresultErrorField(res, field);
    pg_one_line(out, size, text != NULL ? text : "");
}

/* It is not what was asked that is refused. */
static void note_settings(struct pg_request *request)
{
    static const char begin[] = "the queue's `settings` cannot be set: ";
    request->refused = -1;
    memmove(request->message + sizeof(begin) - 1, request->message,
            PG_MESSAGE_SIZE - sizeof(begin));
    memcpy(request->message, begin, sizeof(begin) - 1);
    request->message[PG_MESSAGE_SIZE - 1] = '\0';
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
    request->refused = request->nresults;
    request->inside = PQresultErrorField(res, PG_DIAG_CONTEXT) != NULL;
    copy_field(request->sqlstate, sizeof(request->sqlstate), res, PG_DIAG_SQLSTATE);
    copy_field(request->table, sizeof(request->table), res, PG_DIAG_TABLE_NAME);
    copy_field(request->message, sizeof(request->message), res, PG_DIAG_MESSAGE_PRIMARY);
    if (request->step < request->nsteps && request->steps[request->step].kind == PG_STEP_SETTINGS)
        note_settings(request);
}

static void note_breach(struct pg_request *request, const char *what)
{
    request->broken = true;
    if (!request->failed)
        pg_one_line(request->message, sizeof(request->message), what);
}

static void learn_session(struct pg_names *names, PGconn *conn, PGresult *res)
{
    int64_t pid;
    if (PQntuples(res) == 1 && PQnfields(res) == 2 &&
        parse_int(PQgetvalue(res, 0, 0), 1, INT32_MAX, &pid) == 0)
        pg_names_told(names, PQbackendPID(conn), pid, PQgetvalue(res, 0, 1));
}

/* One statement was answered. The result is the callee's. */
static void take_answer(struct pg_request *request, PGconn *conn, struct pg_names *names,
                        PGresult *res)
{
    const struct pg_step *step = &request->steps[request->step++];
    switch (step->kind) {
    case PG_STEP_QUERY:
        request->results[request->nresults++] = res;
        return;
    case PG_STEP_PREPARE:
        names->list[step->place].ready = true;
        break;
    case PG_STEP_EMPTY:
        pg_names_emptied(names);
        break;
    case PG_STEP_SESSION:
        learn_session(names, conn, res);
        break;
    default:
        break;
    }
    PQclear(res);
}

static void take_result(struct pg_request *request, PGconn *conn, struct pg_names *names,
                        PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        if (request->step < request->nsteps) {
            take_answer(request, conn, names, res);
            return;
        }
        note_breach(request, "more answers than statements");
        break;
    case PGRES_PIPELINE_SYNC:
        if (request->failed || request->step == request->nsteps)
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

static void drop_results(struct pg_request *request)
{
    for (int i = 0; i < request->nresults; i++)
        PQclear(request->results[i]);
    request->nresults = 0;
}

/* It was rolled back: the same once more, without names. */
static void send_again(struct pg_request *request, PGconn *conn, const struct pg_names *names)
{
    struct pg_query *queries = request->copy;
    assert(request->finished && request->failed && !request->broken);
    drop_results(request);
    request->failed = request->finished = request->inside = false;
    request->sqlstate[0] = request->message[0] = request->table[0] = '\0';
    request->nsteps = request->step = 0;
    request->copy = NULL;
    request->sent_us = clock_mono_us();
    if (!queue(request, conn, queries, NULL, pg_names_asks(names)))
        request->broken = true;
    free(queries);
}

/* What the end of a request says of its names. */
static void conclude(struct pg_request *request, PGconn *conn, struct pg_names *names)
{
    int last = -1;
    pg_names_settle(names);
    if (request->copy == NULL)
        return;
    if (request->failed) {
        bool without =
            pg_names_refused(names, request->sqlstate, request->inside, request->received_us);
        if (without && request->finished && !request->broken)
            send_again(request, conn, names);
        return;
    }
    for (int i = 0; i < request->nsteps; i++)
        last = request->steps[i].place >= 0 ? request->steps[i].place : last;
    if (request->finished && last >= 0)
        pg_names_took(names, last, request->received_us - request->sent_us, request->received_us);
}

void pg_request_collect(struct pg_request *request, PGconn *conn, struct pg_names *names)
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
        take_result(request, conn, names, res);
    }
    if (nulls >= 2)
        request->broken = true;
    if (request->finished || request->broken)
        conclude(request, conn, names);
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
        answer.refused = request->refused;
        memcpy(answer.sqlstate, request->sqlstate, sizeof(answer.sqlstate));
    } else {
        assert(request->nresults == request->nqueries);
        answer.nresults = request->nresults;
        answer.results = (const struct pg_result *const *)request->results;
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
    drop_results(request);
    free(request->results);
    free(request->steps);
    free(request->copy);
    memset(request, 0, sizeof(*request));
}
