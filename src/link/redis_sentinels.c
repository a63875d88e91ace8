/* What Sentinels say: where the master of a service is, and that it is another one now.
 *
 * How it works. They are asked in turn, the last good one first, each for 300 ms; the answer is for
 * all finders that wait. The connection on which it came then listens to +switch-master: a message
 * about the service is told to all finders, whose links leave, and ask again. When nobody listens
 * any more a Sentinel is asked again a second later; what was missed meanwhile shows in its answer.
 *
 * A Sentinel may lag: whoever is named has to say itself that it is a master (the link asks ROLE);
 * when that leads nowhere another Sentinel is asked first (doubt). */
#include "link/redis_find_private.h"

#include "link/loop.h"
#include "link/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL "+switch-master"
#define LISTEN_AGAIN_US SECOND_US

struct redis_sentinels {
    struct redis_lookup lookup;
    struct redis_question *question;
    struct redis_url url; /* of the round */
    struct redis_turn turn;
    bool asking;
    LIST_HEAD(, redis_asker) askers;
    struct redis_node master; /* as it was said last */
    bool known;
    char why[REDIS_WHY_SIZE];  /* why nobody of this round has named one */
    bool answered;             /* ... which somebody said, and not his silence */
    char deaf[REDIS_WHY_SIZE]; /* the error with which one would not be listened to; "": none */
    struct timer *listen;      /* armed: when one is asked again, so that somebody listens */
};

static void next(struct redis_sentinels *s);

/* Those who wait are told; those who do not, when it is another master. */
static void tell(struct redis_sentinels *s, const struct redis_node *master, const char *found,
                 const char *why)
{
    struct redis_asker *asker, *after;
    bool moved = master != NULL && s->known && !redis_node_same(master, &s->master);
    s->asking = false;
    if (master != NULL) {
        s->master = *master;
        s->known = true;
    }
    for (asker = LIST_FIRST(&s->askers); asker != NULL; asker = after) {
        after = LIST_NEXT(asker, entry);
        if (asker->waits) {
            asker->waits = false;
            asker->on_master(asker->arg, master, found, why);
        } else if (moved) {
            asker->on_moved(asker->arg, "the Sentinels name another master");
        }
    }
    if (LIST_EMPTY(&s->askers)) /* they have left meanwhile: nobody need listen */
        redis_question_drop(s->question);
}

static void text_of(const struct redis_host *host, char text[static REDIS_NODE_TEXT])
{
    struct redis_node node = {.port = host->port};
    snprintf(node.host, sizeof(node.host), "%s", host->host);
    redis_node_text(&node, text);
}

static void ask(struct redis_sentinels *s, const struct redis_host *host)
{
    const struct redis_url *url = &s->url;
    const char *const words[] = {"SENTINEL", "get-master-addr-by-name", url->service};
    const struct redis_address address = {
        .host = host->host,
        .port = host->port,
        .user = url->sentinel_user,
        .password = url->sentinel_password,
        .tls = url->server.tls,
    };
    redis_question_ask(s->question, &address, NULL, 3, words, CHANNEL);
}

static void begin(struct redis_sentinels *s)
{
    timer_clear(s->listen);
    redis_question_drop(s->question);
    redis_url_clear(&s->url);
    s->asking = true;
    s->answered = false;
    snprintf(s->why, sizeof(s->why), "no Sentinel is named");
    redis_turn_begin(&s->turn);
    if (redis_url_copy(&s->url, s->lookup.url(s->lookup.arg)) != 0)
        snprintf(s->why, sizeof(s->why), "out of memory");
    next(s);
}

/* Somebody has to be asked, so that somebody listens. */
static void listen_later(struct redis_sentinels *s)
{
    if (!LIST_EMPTY(&s->askers))
        timer_after_us(s->listen, LISTEN_AGAIN_US);
}

static void next(struct redis_sentinels *s)
{
    int i = s->url.kind == REDIS_SENTINELS ? redis_turn_next(&s->turn, s->url.n_hosts) : -1;
    if (i >= 0) {
        ask(s, &s->url.hosts[i]);
        return;
    }
    listen_later(s);
    tell(s, NULL, NULL, s->why);
}

/* An error begins with its code: "WRONGPASS ...", which may be why there is no connection. */
static bool is_said(const char *error)
{
    size_t code = strspn(error, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return code >= 3 && error[code] == ' ';
}

/* Why this one names no master. What one said counts more than another's silence. */
static void note_why(struct redis_sentinels *s, const char *sentinel,
                     const struct redis_reply *reply, const char *error)
{
    bool answered = reply != NULL || is_said(error);
    if (s->answered && !answered)
        return;
    s->answered = answered;
    if (reply == NULL || redis_reply_type(reply) == REDIS_LINK_ERROR)
        snprintf(s->why, sizeof(s->why), "Sentinel %s: %s", sentinel,
                 reply == NULL ? error : redis_reply_str(reply, NULL));
    else if (redis_reply_type(reply) == REDIS_LINK_NIL)
        snprintf(s->why, sizeof(s->why), "Sentinel %s knows no service \"%s\"", sentinel,
                 s->url.service);
    else
        snprintf(s->why, sizeof(s->why), "Sentinel %s does not answer as one", sentinel);
}

static bool read_master(const struct redis_reply *reply, struct redis_node *master)
{
    size_t len;
    const char *host = redis_reply_str(redis_reply_at(reply, 0), &len);
    const char *port_text = redis_reply_str(redis_reply_at(reply, 1), NULL);
    int64_t port;
    memset(master, 0, sizeof(*master));
    if (redis_reply_len(reply) != 2 || !redis_host_take(host, len, master->host) ||
        parse_int(port_text, 1, 65535, &port) != 0)
        return false;
    master->port = (int)port;
    return true;
}

static void on_answer(void *arg, const struct redis_reply *reply, const char *why)
{
    struct redis_sentinels *s = arg;
    const struct redis_host *host =
        &s->url.hosts[(s->turn.first + s->turn.asked - 1) % (unsigned)s->url.n_hosts];
    struct redis_node master;
    char sentinel[REDIS_NODE_TEXT];
    char found[sizeof(((struct redis_where *)0)->found)];
    text_of(host, sentinel);
    if (!read_master(reply, &master)) {
        note_why(s, sentinel, reply, why);
        next(s);
        return;
    }
    redis_turn_good(&s->turn);
    snprintf(found, sizeof(found), "service %.100s by Sentinel %s", s->url.service, sentinel);
    tell(s, &master, found, NULL);
}

/* ["message", channel, "NAME from-host from-port to-host to-port"] */
static void on_message(void *arg, const struct redis_reply *message)
{
    struct redis_sentinels *s = arg;
    const char *text = redis_reply_str(redis_reply_at(message, 2), NULL);
    size_t len = strlen(s->url.service);
    struct redis_asker *asker, *after;
    if (strncmp(text, s->url.service, len) != 0 || text[len] != ' ')
        return;
    for (asker = LIST_FIRST(&s->askers); asker != NULL; asker = after) {
        after = LIST_NEXT(asker, entry);
        if (!asker->waits)
            asker->on_moved(asker->arg, "a Sentinel says that the master is another one now");
    }
}

static void on_deaf(void *arg, const char *why)
{
    struct redis_sentinels *s = arg;
    snprintf(s->deaf, sizeof(s->deaf), "%s", is_said(why) ? why : "");
    listen_later(s);
}

static void on_listen(void *arg)
{
    struct redis_sentinels *s = arg;
    if (!s->asking && !LIST_EMPTY(&s->askers))
        begin(s);
}

void redis_sentinels_ask(struct redis_sentinels *s, struct redis_asker *asker)
{
    asker->waits = true;
    if (!asker->listed)
        LIST_INSERT_HEAD(&s->askers, asker, entry);
    asker->listed = true;
    if (!s->asking)
        begin(s);
}

void redis_sentinels_cancel(struct redis_asker *asker)
{
    asker->waits = false;
}

void redis_sentinels_leave(struct redis_sentinels *s, struct redis_asker *asker)
{
    if (asker->listed)
        LIST_REMOVE(asker, entry);
    asker->listed = asker->waits = false;
    if (LIST_EMPTY(&s->askers) && !s->asking) {
        timer_clear(s->listen);
        redis_question_drop(s->question);
    }
}

void redis_sentinels_doubt(struct redis_sentinels *s)
{
    if (!s->asking)
        redis_turn_doubt(&s->turn);
}

const char *redis_sentinels_deaf(const struct redis_sentinels *s)
{
    return s->deaf[0] != '\0' ? s->deaf : NULL;
}

struct redis_sentinels *redis_sentinels_new(const struct redis_lookup *lookup)
{
    struct redis_sentinels *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    const struct redis_question_events events = {
        .on_answer = on_answer, .on_message = on_message, .on_deaf = on_deaf, .arg = s};
    s->lookup = *lookup;
    LIST_INIT(&s->askers);
    s->listen = timer_new(lookup->loop, on_listen, s);
    s->question = redis_question_new(lookup->loop, lookup->ca_file, &events);
    if (s->listen != NULL && s->question != NULL)
        return s;
    redis_sentinels_free(s);
    return NULL;
}

void redis_sentinels_free(struct redis_sentinels *s)
{
    if (s == NULL)
        return;
    redis_question_free(s->question);
    timer_free(s->listen);
    redis_url_clear(&s->url);
    free(s);
}
