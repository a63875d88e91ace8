/* Replies of Redis, read without trusting their types. */
#include "link/redis_link_private.h"

#include <stdio.h>
#include <string.h>

static const redisReply *unwrap(const struct redis_reply *r)
{
    return (const redisReply *)r;
}

struct redis_reply *redis_reply_wrap(redisReply *reply)
{
    return (struct redis_reply *)reply;
}

enum redis_type redis_reply_type(const struct redis_reply *r)
{
    if (r == NULL)
        return REDIS_LINK_NIL;
    switch (unwrap(r)->type) {
    case REDIS_REPLY_STRING:
        return REDIS_LINK_STRING;
    case REDIS_REPLY_STATUS:
        return REDIS_LINK_STATUS;
    case REDIS_REPLY_INTEGER:
        return REDIS_LINK_INTEGER;
    case REDIS_REPLY_ARRAY:
        return REDIS_LINK_ARRAY;
    case REDIS_REPLY_ERROR:
        return REDIS_LINK_ERROR;
    default: /* RESP3's other types were never asked for */
        return REDIS_LINK_NIL;
    }
}

const char *redis_reply_str(const struct redis_reply *r, size_t *len)
{
    enum redis_type type = redis_reply_type(r);
    bool text = type == REDIS_LINK_STRING || type == REDIS_LINK_STATUS || type == REDIS_LINK_ERROR;
    if (len != NULL)
        *len = text ? (size_t)unwrap(r)->len : 0;
    return text ? unwrap(r)->str : "";
}

int64_t redis_reply_int(const struct redis_reply *r)
{
    return redis_reply_type(r) == REDIS_LINK_INTEGER ? unwrap(r)->integer : 0;
}

size_t redis_reply_len(const struct redis_reply *r)
{
    return redis_reply_type(r) == REDIS_LINK_ARRAY ? unwrap(r)->elements : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *r, size_t i)
{
    if (i >= redis_reply_len(r))
        return NULL;
    return redis_reply_wrap(unwrap(r)->element[i]);
}

bool redis_reply_has_code(const struct redis_reply *r, const char *code)
{
    size_t len = strlen(code);
    const char *text = redis_reply_str(r, NULL);
    return redis_reply_type(r) == REDIS_LINK_ERROR && strncmp(text, code, len) == 0 &&
           (text[len] == ' ' || text[len] == '\0');
}

bool redis_reply_useless(const struct redis_reply *r)
{
    static const char *const codes[] = {"READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "MOVED"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (redis_reply_has_code(r, codes[i]))
            return true;
    if (redis_reply_type(r) != REDIS_LINK_ERROR)
        return false;
    /* Redis 6.2 puts what a script's command was told behind a prefix of its own. */
    return strstr(redis_reply_str(r, NULL), "-READONLY ") != NULL ||
           strncmp(redis_reply_str(r, NULL), "ERR max number of clients", 25) == 0;
}

const char *redis_link_library_version(void)
{
    static char text[32];
    snprintf(text, sizeof(text), "%d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    return text;
}
