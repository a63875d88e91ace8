/* A transaction of our statements; reads the catalog anew when they are out of date: see ask.h.
 *
 * What becomes of an answer:
 * - Done, unknown, or refused in a way that no changed table explains: handed on as it is.
 * - Refused because a text has no form in UTF-8, and the asker only reads: from now on texts travel
 *   as bytes, which makes other statements; then as below.
 * - Refused as by a changed table (statements_suspect): the catalog is read, unless somebody else
 *   has done so since the statements were sent. If there are other statements now, they are sent
 *   once more (`again`), or the answer is ASK_STALE; if not, the refusal is handed on.
 *
 * What must hold: the callback fires once; nothing is sent a third time; the refusal outlives the
 * reading of the catalog, so that its texts are copied. With bytes the transaction has a statement
 * more at its beginning, whose result the asker does not see. */
#include "store/ask.h"

#include "link/pg_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In a database whose encoding is SQL_ASCII a text is bytes, and to a client of any other encoding
 * the server refuses to send those that have no meaning there: a whole page for one row. So it is
 * with a WIN1252 and a byte that WIN1252 does not define. To a client of SQL_ASCII it sends what it
 * has, and takes what is valid there. Of this transaction alone, as all settings. */
static const char as_bytes[] = PG_SETTINGS_1(PG_SET("client_encoding", "'SQL_ASCII'"));

struct ask {
    struct ask_options options;
    struct ask_query queries[ASK_QUERIES_MAX];
    char **params[ASK_QUERIES_MAX]; /* copies, with options.again */
    int n;
    int extra;           /* statements sent before them */
    uint64_t generation; /* of the statements that were sent */
    bool repeated;
    struct pg_answer answer; /* the refusal, while the catalog is read */
    char message[PG_MESSAGE_SIZE];
    char table[128];
    pg_answer_cb *cb;
    void *arg;
};

bool ask_is_stale(const struct pg_answer *answer)
{
    return strcmp(answer->sqlstate, ASK_STALE) == 0;
}

static void ask_free(struct ask *a)
{
    for (int i = 0; i < a->n; i++) {
        for (int j = 0; a->params[i] != NULL && j < a->queries[i].nparams; j++)
            free(a->params[i][j]);
        free(a->params[i]);
    }
    free(a);
}

static void deliver(struct ask *a, const struct pg_answer *answer)
{
    struct pg_answer without = *answer;
    void (*cb)(void *, const struct pg_answer *) = a->cb;
    void *arg = a->arg;
    if (answer->status == PG_DONE) {
        without.results += a->extra;
        without.nresults -= a->extra;
        ask_free(a);
        cb(arg, &without);
    } else {
        without.refused -= a->extra;
        cb(arg, &without); /* whose texts may be a's own */
        ask_free(a);
    }
}

static void on_answer(void *arg, const struct pg_answer *answer);

static int send(struct ask *a)
{
    const struct statements *s = a->options.statements;
    struct pg_query queries[ASK_QUERIES_MAX + 1] = {{.sql = as_bytes}};
    a->extra = statements_types(s)->bytes ? 1 : 0;
    a->generation = statements_generation(s);
    for (int i = 0; i < a->n; i++) {
        const struct ask_query *q = &a->queries[i];
        queries[a->extra + i] = (struct pg_query){
            .sql = q->sql != NULL ? q->sql : statements_text(s, q->statement),
            .nparams = q->nparams,
            .params = q->params,
            .isolates = q->isolates,
            /* As bytes the same text may mean something else. */
            .named = q->often && a->extra == 0 ? a->generation : 0,
        };
    }
    return pg_link_send(a->options.link, queries, a->extra + a->n, a->options.deadline_us,
                        on_answer, a);
}

/* There are new statements, or there are none. */
static void conclude(struct ask *a)
{
    const struct statements *s = a->options.statements;
    bool stale = statements_ready(s) && statements_generation(s) != a->generation;
    if (stale && a->options.again && !a->repeated) {
        a->repeated = true;
        if (send(a) == 0)
            return;
    }
    if (stale) {
        memcpy(a->answer.sqlstate, ASK_STALE, sizeof(ASK_STALE));
        a->answer.message = "a table has changed: the statements have been made anew";
    }
    deliver(a, &a->answer);
}

static void on_catalog(void *arg, const char *error)
{
    (void)error; /* whoever needs the statements next finds that there are none */
    conclude(arg);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct ask *a = arg;
    struct statements *s = a->options.statements;
    bool unspeakable = a->options.reads && statements_unspeakable(answer->sqlstate) &&
                       statements_ready(s) && !statements_types(s)->bytes;
    if (answer->status != PG_REFUSED || (!unspeakable && !statements_suspect(answer->sqlstate))) {
        deliver(a, answer);
        return;
    }
    if (unspeakable)
        statements_use_bytes(s);
    a->answer = *answer;
    snprintf(a->message, sizeof(a->message), "%s", answer->message);
    snprintf(a->table, sizeof(a->table), "%s", answer->table);
    a->answer.message = a->message;
    a->answer.table = a->table;
    if (statements_generation(s) != a->generation ||
        statements_load(s, a->options.link, a->options.clock, on_catalog, a) != 0)
        conclude(a);
}

/* -1: out of memory. */
static int copy_params(struct ask *a, int i)
{
    struct ask_query *q = &a->queries[i];
    a->params[i] = calloc((size_t)q->nparams + 1, sizeof(char *));
    if (a->params[i] == NULL)
        return -1;
    for (int j = 0; j < q->nparams; j++) {
        if (q->params[j] == NULL)
            continue;
        a->params[i][j] = strdup(q->params[j]);
        if (a->params[i][j] == NULL)
            return -1;
    }
    q->params = (const char *const *)a->params[i];
    return 0;
}

int ask_send(const struct ask_options *options, const struct ask_query *queries, int n,
             pg_answer_cb *cb, void *arg)
{
    assert(n > 0 && n <= ASK_QUERIES_MAX);
    struct ask *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -1;
    a->options = *options;
    a->n = n;
    a->cb = cb;
    a->arg = arg;
    memcpy(a->queries, queries, (size_t)n * sizeof(*queries));
    for (int i = 0; i < n && options->again; i++) {
        if (copy_params(a, i) != 0) {
            ask_free(a);
            return -1;
        }
    }
    int rc = send(a);
    if (rc != 0)
        ask_free(a);
    return rc;
}
