/* One release transaction: sends the request, reads the outcomes. */
#include "release/release.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "release/outcomes.h"
#include "store/ask.h"
#include "store/fragment.h"
#include "store/statements.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct pg_link *link;
    struct release_options options;
    bool lean;                 /* what was sent last */
    const struct queue *queue; /* ... with its statements behind */
    bool isolated; /* after an answer that there is another default of the isolation level */
    uint64_t generation;
    struct item **items;
    size_t n;
    void (*done)(void *arg, const struct release_result *result);
    void *arg;
};

/* PostgreSQL manual, appendix A. What is not listed is a row's: triggers may raise any code. */
enum release_fault release_classify(const char *sqlstate, bool inside)
{
    static const struct {
        const char *prefix; /* longer ones first */
        enum release_fault fault;
    } faults[] = {
        {"40001", RELEASE_RETRY}, {"40P01", RELEASE_RETRY}, {"55P03", RELEASE_RETRY},
        {"57014", RELEASE_SLOW},  {"25006", RELEASE_GONE},  {"57P0", RELEASE_GONE},
        {"53300", RELEASE_GONE},  {"08", RELEASE_GONE},     {"0A", RELEASE_EITHER},
        {"25", RELEASE_SERVER},   {"26", RELEASE_SERVER},   {"28", RELEASE_SERVER},
        {"3D", RELEASE_SERVER},   {"3F", RELEASE_EITHER},   {"40", RELEASE_RETRY},
        {"42", RELEASE_EITHER},   {"53", RELEASE_SERVER},   {"54", RELEASE_EITHER},
        {"55", RELEASE_EITHER},   {"57", RELEASE_SERVER},   {"58", RELEASE_EITHER},
        {"F0", RELEASE_SERVER},   {"XX", RELEASE_EITHER},   {RELEASE_WRONG_TABLES, RELEASE_SERVER},
    };
    enum release_fault fault = RELEASE_ROW;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]) && fault == RELEASE_ROW; i++)
        if (strncmp(sqlstate, faults[i].prefix, strlen(faults[i].prefix)) == 0)
            fault = faults[i].fault;
    return inside && (fault == RELEASE_GONE || fault == RELEASE_SERVER) ? RELEASE_EITHER : fault;
}

/* Returns 0, or -1 when the answer is not what the statements give. */
static int read_outcomes(struct request *q, const struct pg_answer *answer)
{
    int place = release_place(q->queue);
    if (answer->nresults < place + 1 || pg_result_columns(answer->results[0]) < 1 ||
        pg_result_rows(answer->results[0]) != 1 ||
        outcomes_read(q->options.way, q->items, q->n, answer->results[place]) != 0)
        return -1;
    if (q->queue->call.name != NULL &&
        (answer->nresults <= release_call_place(q->queue) ||
         outcomes_called(q->items, q->n, answer->results[release_call_place(q->queue)]) != 0))
        return -1;
    server_clock_sample(q->options.clock, pg_result_int(answer->results[0], 0, 0), answer->sent_us,
                        answer->received_us);
    return 0;
}

/* What the statement itself refuses is said by a cast that fails, 22P02, with the sentence between
 * <sweeper KIND> and </sweeper>, whatever language the server speaks around it. Copies the sentence
 * and returns its SQLSTATE, or NULL when the error is another. */
static const char *read_refusal(const struct pg_answer *answer, char *out, size_t size)
{
    static const struct {
        const char *begin, *sqlstate;
    } kinds[] = {
        {"<sweeper counter>", RELEASE_WRONG_COUNTER},
        {"<sweeper row>", RELEASE_WRONG_ROW},
        {"<sweeper tables>", RELEASE_WRONG_TABLES},
    };
    for (size_t i = 0; strcmp(answer->sqlstate, "22P02") == 0 && i < 3; i++) {
        const char *text = strstr(answer->message, kinds[i].begin);
        if (text == NULL)
            continue;
        text += strlen(kinds[i].begin);
        const char *end = strstr(text, "</sweeper>");
        size_t len = end != NULL ? (size_t)(end - text) : strlen(text);
        snprintf(out, size, "%.*s", (int)len, text);
        return kinds[i].sqlstate;
    }
    return NULL;
}

static int send(struct request *q, bool may_be_lean);

/* The lean form says that something does not add up, and not what: the same once more in the
 * explaining form, in what is left of its time. Returns 0 when that was sent. */
static int recheck_all(struct request *q, const struct pg_answer *answer)
{
    int64_t left_us = q->options.statement_timeout_us - (answer->received_us - answer->sent_us);
    q->options.statement_timeout_us = left_us > MS_US ? left_us : MS_US;
    return send(q, false);
}

void release_judge(struct release_result *result, const struct pg_answer *answer,
                   char sentence[RELEASE_SENTENCE])
{
    *result = (struct release_result){.fault = RELEASE_OK,
                                      .sqlstate = answer->sqlstate,
                                      .message = answer->message,
                                      .table = answer->table,
                                      .sent_us = answer->sent_us,
                                      .received_us = answer->received_us};
    if (answer->status == PG_UNKNOWN) {
        result->fault = RELEASE_UNKNOWN;
    } else if (ask_is_stale(answer)) {
        result->fault = RELEASE_STALE;
    } else if (answer->status == PG_REFUSED) {
        const char *refusal = read_refusal(answer, sentence, RELEASE_SENTENCE);
        if (refusal != NULL) {
            result->sqlstate = refusal;
            result->message = sentence;
        }
        result->fault = release_classify(result->sqlstate, answer->inside && refusal == NULL);
        if (answer->refused < 0) /* a setting, which is no row's fault */
            result->fault = RELEASE_SERVER;
    }
}

void release_judge_also(struct release_result *result, const struct pg_answer *answer, int first,
                        const struct queue *queue, char sentence[RELEASE_SENTENCE])
{
    int place = answer->refused - first;
    bool calls = queue->call.name != NULL;
    bool theirs = place >= 0 && place < 2 * (calls ? 1 : queue->nalso);
    bool said = strcmp(result->sqlstate, answer->sqlstate) != 0; /* by the statement itself */
    if (answer->status != PG_REFUSED || ask_is_stale(answer) || !theirs || said)
        return;
    if (calls)
        fragment_call_place(queue, sentence, RELEASE_SENTENCE);
    else
        fragment_also_place(queue, place / 2, sentence, RELEASE_SENTENCE);
    size_t len = strlen(sentence);
    snprintf(sentence + len, RELEASE_SENTENCE - len, "%s", answer->message);
    result->message = sentence;
    result->sqlstate = answer->sqlstate;
    result->fault = strcmp(answer->sqlstate, "57014") == 0 && !calls
                        ? RELEASE_RETRY
                        : release_classify(answer->sqlstate, answer->inside);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct request *q = arg;
    bool doubtful = q->lean && strcmp(answer->sqlstate, "22012") == 0;
    bool outdated = statements_generation(q->options.statements) != q->generation;
    if (doubtful && !outdated && recheck_all(q, answer) == 0)
        return;
    if (!q->isolated && strcmp(answer->sqlstate, PG_LINK_OTHER_LEVEL) == 0) {
        q->isolated = true;
        if (!outdated && send(q, true) == 0)
            return;
    }
    char sentence[RELEASE_SENTENCE];
    struct release_result result;
    release_judge(&result, answer, sentence);
    release_judge_also(&result, answer, release_place(q->queue) + 1, q->queue, sentence);
    if (doubtful && outdated) {
        result.fault = RELEASE_STALE;
    } else if (result.fault == RELEASE_OK && read_outcomes(q, answer) != 0) {
        for (size_t i = 0; i < q->n; i++)
            q->items[i]->outcome = OUTCOME_NONE;
        result.fault = RELEASE_UNKNOWN; /* it committed, but nobody can say what */
        result.message = "the release gave an unexpected answer";
    }
    void (*done)(void *, const struct release_result *) = q->done;
    void *done_arg = q->arg;
    free(q);
    done(done_arg, &result);
}

static int send(struct request *q, bool may_be_lean)
{
    static const enum statement release[RELEASE_WAYS] = {
        [RELEASE_CAREFUL] = STATEMENT_RELEASE_CAREFUL,
        [RELEASE_WAITING] = STATEMENT_RELEASE_WAITING,
        [RELEASE_BULK] = STATEMENT_RELEASE_BULK,
        [RELEASE_BACKLOG] = STATEMENT_RELEASE_BACKLOG,
    };
    const struct statements *s = q->options.statements;
    q->lean = may_be_lean && q->options.way == RELEASE_CAREFUL &&
              mapping_allows_lean(statements_types(s));
    q->generation = statements_generation(s);
    q->queue = statements_types(s)->queue;
    return release_ask(q->link, &q->options,
                       q->lean ? STATEMENT_RELEASE_LEAN : release[q->options.way], q->items, q->n,
                       on_answer, q);
}

int release_send(struct pg_link *link, const struct release_options *options, struct item **items,
                 size_t n, void (*done)(void *arg, const struct release_result *result), void *arg)
{
    struct request *q = malloc(sizeof(*q));
    if (q == NULL)
        return -1;
    *q = (struct request){
        .link = link, .options = *options, .items = items, .n = n, .done = done, .arg = arg};
    int rc = send(q, true);
    if (rc != 0)
        free(q);
    return rc;
}
