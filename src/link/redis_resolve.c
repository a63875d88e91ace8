/* Host names without blocking the loop: getaddrinfo_a asks on a thread of glibc's, and a timer
 * looks for the answer. A resolver that hangs must not delay the releases that go on without Redis.
 */
#include "link/redis_link_private.h"

#include "base/time_units.h"
#include "link/loop.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define POLL_US (2 * MS_US)

/* One question. It belongs to glibc until it is answered, cancelled or not. */
struct question {
    struct gaicb gai;
    struct addrinfo hints;
    char *host;
};

struct redis_resolver {
    struct timer *poll;
    struct question *question; /* may be a former attempt's that nobody could cancel */
    struct addrinfo *known;    /* an address in numbers needs no question */
    unsigned index;
    redis_resolved_cb *cb;
    void *arg;
};

static void free_question(struct question *question)
{
    if (question == NULL)
        return;
    if (question->gai.ar_result != NULL)
        freeaddrinfo(question->gai.ar_result);
    free(question->host);
    free(question);
}

static void forget_known(struct redis_resolver *r)
{
    if (r->known != NULL)
        freeaddrinfo(r->known);
    r->known = NULL;
}

/* A host may have several addresses, of which some do not answer or are replicas. */
static const struct addrinfo *choose(const struct addrinfo *list, unsigned index, unsigned *n)
{
    const struct addrinfo *chosen = list;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        (*n)++;
    if (*n == 0)
        return NULL;
    for (unsigned i = index % *n; i > 0; i--)
        chosen = chosen->ai_next;
    return chosen;
}

/* The question and what was known are the callee's to ask anew: they are taken out first. */
static void on_poll(void *arg)
{
    struct redis_resolver *r = arg;
    struct question *question = r->question;
    struct addrinfo *known = r->known;
    const struct addrinfo *at = NULL;
    char error[256];
    unsigned n = 0;
    int rc = question != NULL ? gai_error(&question->gai) : 0;
    if (rc == EAI_INPROGRESS) {
        timer_after_us(r->poll, POLL_US);
        return;
    }
    r->question = NULL;
    r->known = NULL;
    if (rc == 0)
        at = choose(question != NULL ? question->gai.ar_result : known, r->index, &n);
    snprintf(error, sizeof(error), "the host name cannot be resolved: %s",
             gai_strerror(rc != 0 ? rc : EAI_NONAME));
    r->cb(r->arg, at, n, at != NULL ? NULL : error);
    free_question(question);
    if (known != NULL)
        freeaddrinfo(known);
}

struct redis_resolver *redis_resolver_new(struct loop *loop, redis_resolved_cb *cb, void *arg)
{
    struct redis_resolver *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->cb = cb;
    r->arg = arg;
    r->poll = timer_new(loop, on_poll, r);
    if (r->poll == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

void redis_resolver_cancel(struct redis_resolver *r)
{
    timer_clear(r->poll);
    forget_known(r);
    if (r->question != NULL && gai_cancel(&r->question->gai) != EAI_NOTCANCELED) {
        free_question(r->question);
        r->question = NULL;
    }
}

void redis_resolver_free(struct redis_resolver *r)
{
    if (r == NULL)
        return;
    /* A question that cannot be cancelled is left to glibc: waiting for it would block. */
    redis_resolver_cancel(r);
    timer_free(r->poll);
    free(r);
}

static struct question *new_question(const char *host)
{
    struct question *question = calloc(1, sizeof(*question));
    struct gaicb *list[1];
    if (question == NULL)
        return NULL;
    question->host = strdup(host);
    question->hints.ai_family = AF_UNSPEC;
    question->hints.ai_socktype = SOCK_STREAM;
    question->gai.ar_name = question->host;
    question->gai.ar_request = &question->hints;
    list[0] = &question->gai;
    if (question->host != NULL && getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0)
        return question;
    free_question(question);
    return NULL;
}

int redis_resolver_start(struct redis_resolver *r, const char *host, unsigned index)
{
    const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    r->index = index;
    if (r->question != NULL && strcmp(r->question->host, host) != 0)
        return -1; /* asked again at the next attempt */
    if (r->question == NULL && getaddrinfo(host, NULL, &numeric, &r->known) != 0) {
        r->known = NULL;
        r->question = new_question(host);
        if (r->question == NULL)
            return -1;
    }
    timer_after_us(r->poll, 0);
    return 0;
}
