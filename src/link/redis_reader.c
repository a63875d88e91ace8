/* hiredis's parser, within bounds: nothing that a server says makes it set aside much memory, or
 * nest replies so deeply that freeing them, which the library does by recursion, ends the stack. */
#include "link/redis_link_private.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX_BYTES (64 * 1024 * 1024) /* no script answers with nearly as much */
#define ELEMENTS_MAX 65536                  /* of all arrays in one answer */
#define DEPTH_MAX 7                         /* arrays in arrays; hiredis 0.14 allows no more */

struct redis_reader {
    redisReader *parser;
    size_t unfinished; /* bytes since the last whole answer */
    size_t elements;   /* that arrays have announced since then */
};

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

/* The library's own, but for arrays. */
static redisReplyObjectFunctions functions;
static void *(*library_create_array)(const redisReadTask *task, array_size n);

static void *create_array(const redisReadTask *task, array_size n)
{
    struct redis_reader *r = task->privdata;
    int depth = 0;
    for (const redisReadTask *at = task; at != NULL; at = at->parent)
        depth++;
    if (depth > DEPTH_MAX || (size_t)n > ELEMENTS_MAX - r->elements) {
        r->elements = ELEMENTS_MAX + 1;
        return NULL;
    }
    r->elements += (size_t)n;
    return library_create_array(task, n);
}

struct redis_reader *redis_reader_new(void)
{
    struct redis_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->parser = redisReaderCreate();
    if (r->parser == NULL) {
        free(r);
        return NULL;
    }
    if (library_create_array == NULL) {
        functions = *r->parser->fn;
        library_create_array = functions.createArray;
        functions.createArray = create_array;
    }
    r->parser->fn = &functions;
    r->parser->privdata = r;
    return r;
}

void redis_reader_free(struct redis_reader *r)
{
    if (r == NULL)
        return;
    redisReaderFree(r->parser);
    free(r);
}

int redis_reader_feed(struct redis_reader *r, const char *bytes, size_t n)
{
    r->unfinished += n;
    return redisReaderFeed(r->parser, bytes, n) == REDIS_OK ? 0 : -1;
}

struct redis_reply *redis_reader_next(struct redis_reader *r, const char **why)
{
    void *reply = NULL;
    *why = NULL;
    if (redisReaderGetReply(r->parser, &reply) != REDIS_OK)
        *why = r->elements > ELEMENTS_MAX ? "Redis's answer has too many parts" : r->parser->errstr;
    else if (reply != NULL) {
        r->unfinished = r->parser->len - r->parser->pos;
        r->elements = 0;
    } else if (r->unfinished > ANSWER_MAX_BYTES) {
        *why = "Redis's answer is too long";
    }
    return reply;
}

void redis_reply_free(struct redis_reply *reply)
{
    freeReplyObject(reply);
}
