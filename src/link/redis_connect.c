/* From DOWN to UP: the socket, and the handshake that finds out whether the server is of use. */
#include "link/redis_link_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST_MAJOR 6
#define OLDEST_MINOR 2
#define ELEMENTS_MAX 65536 /* of one array in an answer */

/* Nothing that a server says may make the parser set aside memory for more than this. */
#if HIREDIS_MAJOR >= 1
static void bound_reader(redisReader *reader)
{
    reader->maxelements = ELEMENTS_MAX;
}
#else
static void *(*library_create_array)(const redisReadTask *task, int elements);

static void *create_array(const redisReadTask *task, int elements)
{
    return elements <= ELEMENTS_MAX ? library_create_array(task, elements) : NULL;
}

static void bound_reader(redisReader *reader)
{
    static redisReplyObjectFunctions functions;

    if (library_create_array == NULL) {
        functions = *reader->fn;
        library_create_array = functions.createArray;
        functions.createArray = create_array;
    }
    reader->fn = &functions;
}
#endif

redisContext *redis_connect_begin(const struct redis_address *address, const char *ip, char *why,
                                  size_t why_size)
{
    redisContext *context = address->path != NULL ? redisConnectUnixNonBlock(address->path)
                                                  : redisConnectNonBlock(ip, address->port);

    if (context == NULL) {
        snprintf(why, why_size, "out of memory");
    } else if (context->err != 0) {
        snprintf(why, why_size, "%s", context->errstr);
        redisFree(context);
        context = NULL;
    } else {
        bound_reader(context->reader);
    }
    return context;
}

static void send_words(struct redis_link *link, redis_link_cb *cb, int argc,
                       const char *const *argv)
{
    size_t lengths[3];

    for (int i = 0; i < argc; i++)
        lengths[i] = strlen(argv[i]);
    if (redis_link_send(link, cb, link, argc, argv, lengths) != 0)
        redis_link_lost(link, "out of memory");
}

/* Answers that say nothing good end the attempt; AUTH and SELECT allow no error at all. */
static void on_required(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_link *link = arg;

    (void)error;
    if (redis_reply_type(reply) == REDIS_LINK_ERROR)
        redis_link_lost(link, redis_reply_str(reply, NULL));
}

/* CLIENT may be forbidden or renamed: a connection without a name does as well. */
static void on_named(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_link *link = arg;

    (void)error;
    if (redis_reply_useless(reply))
        redis_link_lost(link, redis_reply_str(reply, NULL));
}

/* Copies the value of `name:value` into out; "" when there is none. */
static void read_field(const char *info, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    const char *line = info;

    out[0] = '\0';
    while (line != NULL) {
        if (strncmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *value = line + name_len + 1;

            snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
}

/* A version that cannot be read is not held against the server. */
static bool too_old(const char *version)
{
    char *end;
    unsigned long major = strtoul(version, &end, 10);
    unsigned long minor;

    if (end == version || *end != '.')
        return false;
    minor = strtoul(end + 1, NULL, 10);
    return major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR);
}

/* Returns why this server is of no use, or NULL. */
static const char *read_info(struct redis_server_info *info, const char *text)
{
    char word[16];

    read_field(text, "redis_version", info->version, sizeof(info->version));
    read_field(text, "run_id", info->run_id, sizeof(info->run_id));
    read_field(text, "maxmemory_policy", info->maxmemory_policy, sizeof(info->maxmemory_policy));
    read_field(text, "redis_mode", word, sizeof(word));
    info->cluster = strcmp(word, "cluster") == 0;

    if (too_old(info->version))
        return "Redis is older than 6.2";
    read_field(text, "loading", word, sizeof(word));
    if (strcmp(word, "1") == 0)
        return "LOADING Redis is loading its data";
    read_field(text, "role", word, sizeof(word));
    if (strcmp(word, "slave") == 0 || strcmp(word, "replica") == 0)
        return "read-only replica";
    return NULL;
}

static void on_info(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_link *link = arg;
    const char *useless = NULL;

    (void)error;
    if (reply == NULL || link->closing)
        return;
    memset(&link->info, 0, sizeof(link->info));
    if (redis_reply_useless(reply))
        useless = redis_reply_str(reply, NULL);
    else if (redis_reply_type(reply) == REDIS_LINK_STRING)
        useless = read_info(&link->info, redis_reply_str(reply, NULL));
    /* Any other answer is an ACL that forbids INFO: there is less to show, nothing is missed. */
    if (useless != NULL)
        redis_link_lost(link, useless);
    else
        redis_link_opened(link);
}

void redis_connect_handshake(struct redis_link *link)
{
    const struct redis_address *address = &link->address;
    char db[16];

    if (address->password != NULL && address->user != NULL)
        send_words(link, on_required, 3,
                   (const char *[]){"AUTH", address->user, address->password});
    else if (address->password != NULL)
        send_words(link, on_required, 2, (const char *[]){"AUTH", address->password});
    if (address->db != 0) {
        snprintf(db, sizeof(db), "%d", address->db);
        send_words(link, on_required, 2, (const char *[]){"SELECT", db});
    }
    send_words(link, on_named, 3, (const char *[]){"CLIENT", "SETNAME", "reservation-sweeper"});
    send_words(link, on_info, 1, (const char *[]){"INFO"});
}
