/* A rehearsal of a release.
 *
 * It must be impossible that it commits. Its pipeline begins with BEGIN and ends with ROLLBACK
 * (release_ask puts both there): a Sync ends an implicit transaction, but not one that was begun,
 * so that whatever is lost on the way, an answer or the ROLLBACK itself, leaves a transaction open
 * which ends with the session. None of its statements has a name, for which the link might send all
 * of them a second time. */
#include "release/rehearsal.h"

#include "config/queue.h"
#include "link/pg_link.h"
#include "release/outcomes.h"
#include "store/questions.h"

#include <stdlib.h>

/* The results of the pipeline: BEGIN and the look before, which a release has not; the settings,
 * maybe the locks, and the release; of each `also`, or of the call of a function, its settings and
 * itself ... and at the end the look after, and ROLLBACK. */
static int released(const struct queue *queue)
{
    return 2 + release_place(queue);
}

static int also_at(const struct queue *queue, int i)
{
    return released(queue) + 2 * (i + 1);
}

struct request {
    struct item **items;
    size_t n;
    int nalso;
    const struct queue *queue;
    struct release_rehearsal looks;
    char *before, *after;
    void (*done)(void *arg, const struct rehearsal_result *result);
    void *arg;
};

static void request_free(struct request *q)
{
    free(q->before);
    free(q->after);
    free(q);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct request *q = arg;
    char sentence[RELEASE_SENTENCE];
    struct release_result release;
    struct rehearsal_result result = {.release = &release};
    release_judge(&release, answer, sentence);
    release_judge_also(&release, answer, released(q->queue) + 1, q->queue, sentence);
    if (release.fault == RELEASE_OK &&
        (answer->nresults < also_at(q->queue, q->nalso) + 1 ||
         outcomes_read(RELEASE_CAREFUL, q->items, q->n, answer->results[released(q->queue)]) != 0 ||
         (q->queue->call.name != NULL &&
          (answer->nresults <= also_at(q->queue, 0) ||
           outcomes_called(q->items, q->n, answer->results[also_at(q->queue, 0)]) != 0)))) {
        release.fault = RELEASE_EITHER;
        release.message = "the release gave an unexpected answer";
    }
    if (release.fault == RELEASE_OK) {
        result.changes = answer->results[answer->nresults - 2];
        for (int i = 0; i < q->nalso; i++)
            result.also[i] = answer->results[also_at(q->queue, i)];
    }
    q->done(q->arg, &result);
    request_free(q);
}

int rehearsal_send(struct pg_link *link, const struct release_options *options, struct item **items,
                   size_t n, int nalso,
                   void (*done)(void *arg, const struct rehearsal_result *result), void *arg)
{
    const struct mapping_types *types = statements_types(options->statements);
    struct request *q = calloc(1, sizeof(*q));
    struct release_options rehearsed = *options;
    if (q == NULL)
        return -1;
    *q = (struct request){
        .items = items, .n = n, .nalso = nalso, .queue = types->queue, .done = done, .arg = arg};
    q->before = question_render(QUESTION_REHEARSE_BEFORE, types, link);
    q->after = question_render(QUESTION_REHEARSE_AFTER, types, link);
    q->looks = (struct release_rehearsal){q->before, q->after};
    rehearsed.rehearsal = &q->looks;
    if (q->before != NULL && q->after != NULL &&
        release_ask(link, &rehearsed, STATEMENT_RELEASE_CAREFUL, items, n, on_answer, q) == 0)
        return 0;
    request_free(q);
    return -1;
}
