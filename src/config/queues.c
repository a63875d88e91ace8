/* The queues as they are served: what the file says, or what is built in, with the settings of
 * each. A queue's settings are those of the program with what the file overrides, by the same
 * parser and within the same limits; so whatever serves a queue asks one struct config, as if there
 * were no other. */
#include "config/queues.h"

#include "config/queue_read.h"
#include "config/queue_stock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 100 /* bytes of a file's name in sentences */
#define PREFIX_MAX 64
#define SOURCE_SIZE 192
#define ONCE "a pipe can be read only once"

struct served {
    struct queue_read *read; /* one of the list */
    struct config config;    /* borrows what is not its own, see served_free */
    char *key_prefix;
    char *conninfo, *conninfo_file, *variables[2]; /* with a database of its own */
};

struct queues {
    struct queues_origin origin; /* with copies of its texts */
    char *file_text, *lookahead_text, *feed_text;
    char file[NAMED_MAX + 8]; /* as sentences call it */
    struct queue_list list;   /* all that the file has, also with --queue: some share counters */
    struct served *all;       /* those that are served */
    int n;
};

int config_queues(const struct config *config)
{
    return config->queues->n;
}

const struct config *config_queue(const struct config *config, int i)
{
    return &config->queues->all[i].config;
}

void queue_place(const struct queue *queue, int line, char *out, size_t size)
{
    if (queue->file == NULL || line == 0)
        *out = '\0';
    else
        (void)snprintf(out, size, "%s:%d: ", queue->file, line);
}

static void served_free(struct served *s)
{
    free(s->key_prefix);
    free(s->conninfo);
    free(s->conninfo_file);
    free(s->variables[0]);
    free(s->variables[1]);
}

static void queues_free(struct queues *q)
{
    if (q == NULL)
        return;
    for (int i = 0; i < q->n; i++)
        served_free(&q->all[i]);
    free(q->all);
    queue_list_clear(&q->list);
    free(q->file_text);
    free(q->lookahead_text);
    free(q->feed_text);
    free(q);
}

void config_queues_clear(struct config *c)
{
    queues_free(c->queues);
    c->queues = NULL;
    c->queue = NULL;
}

/* ---- The settings of one queue
 * ------------------------------------------------------------------- */

/* What a sentence about a key of the queue begins with: "shop.yaml:12: workers". */
static void key_source(const struct queue *q, int line, const char *key, char *out, size_t size)
{
    queue_place(q, line, out, size);
    size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "%s", key);
}

static int override_settings(struct served *s, const struct config_error *error)
{
    for (int i = 0; i < QUEUE_KEYS_N; i++) {
        const struct queue_key_row *row = &queue_keys[i];
        const struct queue_text *own = &s->read->overrides[row->setting];
        char source[SOURCE_SIZE];
        if (row->kind != QUEUE_KEY_SETTING || own->text == NULL)
            continue;
        key_source(&s->read->queue, own->line, row->name, source, sizeof(source));
        if (setting_apply(&s->config, &settings[row->setting], source, own->text, error) != 0)
            return -1;
    }
    return 0;
}

/* Where a queue's value comes from: its own key, or the program's setting. */
static struct config_given given_by(const struct served *s, int setting, const char *key,
                                    const struct config_given *global, char *source, size_t size)
{
    const struct queue_text *own = &s->read->overrides[setting];
    if (own->text == NULL)
        return *global;
    key_source(&s->read->queue, own->line, key, source, size);
    return (struct config_given){source, own->text};
}

static int check_feed(const struct served *s, const struct queues_origin *origin,
                      const struct config_error *error)
{
    char sources[2][SOURCE_SIZE];
    const struct config *c = &s->config;
    if (c->lookahead_us == 0 || c->feed_interval_us < c->lookahead_us)
        return 0;

    const struct config_given feed =
        given_by(s, SETTING_FEED, "feed_interval", &origin->feed_interval, sources[0], SOURCE_SIZE);
    const struct config_given lookahead =
        given_by(s, SETTING_LOOKAHEAD, "lookahead", &origin->lookahead, sources[1], SOURCE_SIZE);
    return config_fail(error,
                       "%s: \"%.100s\" is not allowed with %s \"%.100s\": the feed must look more "
                       "often than the look-ahead is long",
                       feed.source, feed.text, lookahead.source, lookahead.text);
}

/* Keys in Redis: of a file's queues by their names, so that no two have the same. */
static int prefix_set(struct served *s, const struct queues_origin *origin,
                      const struct config_error *error)
{
    const char *name = s->read->queue.name;
    const char *prefix = s->config.key_prefix;
    char source[SOURCE_SIZE];
    if (origin->file.text == NULL)
        return 0;
    if (asprintf(&s->key_prefix, "%s%s%s", origin->prefix_given ? prefix : "",
                 origin->prefix_given ? ":" : "", name) < 0) {
        s->key_prefix = NULL;
        return config_fail(error, "memory ran out");
    }
    s->config.key_prefix = s->key_prefix;
    if (strlen(s->key_prefix) <= PREFIX_MAX)
        return 0;
    key_source(&s->read->queue, s->read->queue.line, name, source, sizeof(source));
    return config_fail(error,
                       "%s: the queue's key prefix would be \"%s\", longer than %d bytes: shorten "
                       "its name or %s",
                       source, s->key_prefix, PREFIX_MAX, settings[SETTING_KEY_PREFIX].variable);
}

/* NAME_DATABASE_URL, or the file that NAME_DATABASE_URL_FILE names. */
static int database_find(struct served *s, const struct setting *setting, bool again,
                         const char **text, const struct config_error *error)
{
    const struct queue *q = &s->read->queue;
    const char *path = config_getenv(setting->file_variable);
    char source[SOURCE_SIZE];
    *text = config_getenv(setting->variable);
    key_source(q, q->database.line, "database", source, sizeof(source));
    if (*text != NULL && path != NULL)
        return config_fail(error, "%s: %s is not allowed together with %s: set one of them", source,
                           setting->file_variable, setting->variable);
    if (*text == NULL && path == NULL)
        return config_fail(error, "%s: neither %s nor %s is set: set one of them", source,
                           setting->variable, setting->file_variable);
    if (path == NULL)
        return 0;
    if (config_file_read(setting->file_variable, path, again, &s->conninfo_file, error) != 0)
        return -1;
    if (s->conninfo_file == NULL)
        return config_fail(error, "%s: %s is not allowed: " ONCE, source, setting->file_variable);
    *text = s->conninfo_file;
    s->config.files[CONFIG_POSTGRES] = (struct config_file){
        .path = path, .variable = setting->file_variable, .text = s->conninfo_file};
    return 0;
}

static int database_set(struct served *s, bool again, const struct config_error *error)
{
    const char *name = s->read->queue.database.text;
    struct setting setting = settings[SETTING_DATABASE_URL];
    const char *text;
    if (name == NULL)
        return 0;
    if (asprintf(&s->variables[0], "%s_%s", name, setting.variable) < 0)
        s->variables[0] = NULL;
    if (asprintf(&s->variables[1], "%s_%s", name, setting.file_variable) < 0)
        s->variables[1] = NULL;
    if (s->variables[0] == NULL || s->variables[1] == NULL)
        return config_fail(error, "memory ran out");
    setting.variable = s->variables[0];
    setting.file_variable = s->variables[1];
    s->config.conninfo = NULL;
    s->config.files[CONFIG_POSTGRES] = (struct config_file){0};
    if (database_find(s, &setting, again, &text, error) != 0)
        return -1;

    const char *source = s->conninfo_file == NULL ? setting.variable : setting.file_variable;
    int rc = setting_apply(&s->config, &setting, source, text, error);
    s->conninfo = s->config.conninfo;
    return rc;
}

static int served_set(struct served *s, const struct config *c, const struct queues_origin *origin,
                      const struct config_error *error)
{
    s->config = *c;
    s->config.queue = &s->read->queue;
    if (override_settings(s, error) != 0 || check_feed(s, origin, error) != 0 ||
        prefix_set(s, origin, error) != 0)
        return -1;
    return database_set(s, origin->again, error);
}

/* ---- All queues --------------------------------------------------------------------------------
 */

/* A long name is cut at its beginning: what tells files apart is its end. */
static void file_name(const struct queues_origin *origin, char *out, size_t size)
{
    const char *name = origin->inline_text ? origin->file.source : origin->file.text;
    size_t len = strlen(name);
    (void)snprintf(out, size, "%s%s", len > NAMED_MAX ? "..." : "",
                   len > NAMED_MAX ? name + len - NAMED_MAX : name);
}

/* Reads the text, wherever it is. */
static int text_parse(struct queues *q, struct queue_list *list, const struct config_error *error)
{
    const struct config_given *file = &q->origin.file;
    const char *reason;
    size_t len;
    if (file->text == NULL)
        return queues_parse(list, NULL, queue_builtin, strlen(queue_builtin), error);
    file_name(&q->origin, q->file, sizeof(q->file));
    if (q->origin.inline_text)
        return queues_parse(list, q->file, file->text, strlen(file->text), error);

    char *text = config_file_content(file->text, q->origin.again, QUEUES_FILE_MAX, &len, &reason);
    if (text == NULL)
        return config_fail(error, "%s: \"%s\" is not allowed: a file that can be read (%s)",
                           file->source, q->file, reason == NULL ? ONCE : reason);
    int rc = queues_parse(list, q->file, text, len, error);
    free(text);
    return rc;
}

static int refuse_name(const struct queue_list *list, const char *name,
                       const struct config_error *error)
{
    char names[256] = "";
    for (int i = 0; i < list->n; i++) {
        size_t len = strlen(names);
        (void)snprintf(names + len, sizeof(names) - len, "%s%s", i == 0 ? "" : ", ",
                       list->all[i]->queue.name);
    }
    return config_fail(error, "--queue: \"%.60s\" is not allowed: no queue has that name, of %s",
                       name, names);
}

/* Of all queues, before one is chosen. */
static void note_shared(struct queue_list *list)
{
    struct queue *all[QUEUES_MAX];
    for (int i = 0; i < list->n; i++)
        all[i] = &list->all[i]->queue;
    queue_stock_note(all, list->n);
}

/* -1: no queue has this name. */
static int list_find(const struct queue_list *list, const char *name)
{
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->all[i]->queue.name, name) == 0)
            return i;
    return -1;
}

/* Serves the queues of the list, or the one that is asked for; all: the others too, behind which an
 * id may be. */
static int list_serve(struct queues *q, const char *name, bool all,
                      const struct config_error *error)
{
    const struct queue_list *list = &q->list;
    int first = name == NULL ? 0 : list_find(list, name);
    int end = name == NULL ? list->n : first + 1;
    if (first < 0)
        return refuse_name(list, name, error);
    if (all) {
        first = 0;
        end = list->n;
    }
    assert(end > first);
    q->all = calloc((size_t)(end - first), sizeof(*q->all));
    if (q->all == NULL)
        return config_fail(error, "memory ran out");
    q->n = 0;
    for (int i = first; i < end; i++)
        q->all[q->n++].read = list->all[i];
    return 0;
}

/* NULL stays NULL. False: memory ran out. */
static bool copy_given(struct config_given *given, char **copy)
{
    *copy = given->text == NULL ? NULL : strdup(given->text);
    bool whole = *copy != NULL || given->text == NULL;
    given->text = *copy;
    return whole;
}

static struct queues *queues_new(const struct queues_origin *origin)
{
    struct queues *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->origin = *origin;
    bool whole = copy_given(&q->origin.file, &q->file_text);
    whole = copy_given(&q->origin.lookahead, &q->lookahead_text) && whole;
    whole = copy_given(&q->origin.feed_interval, &q->feed_text) && whole;
    if (whole)
        return q;
    queues_free(q);
    return NULL;
}

/* Of queues that are looked through beside the one that is named, those that can be: one whose
 * database is not known here is none of them. */
static int served_set_all(struct queues *q, struct config *c, const struct config_error *error)
{
    int n = 0;
    for (int i = 0; i < q->n; i++) {
        struct served *s = &q->all[n];
        *s = (struct served){.read = q->all[i].read};
        const char *name = s->read->queue.name;
        bool beside = c->queue_name != NULL && strcmp(name, c->queue_name) != 0;
        int rc = served_set(s, c, &q->origin, error);
        if (rc != 0 && !beside) {
            q->n = n + 1; /* to be freed, all of them */
            return -1;
        }
        if (rc == 0)
            n++;
        else
            served_free(s);
    }
    q->n = n;
    return 0;
}

int config_queues_read(struct config *c, const struct queues_origin *origin,
                       const struct config_error *error)
{
    struct queues *q = queues_new(origin);
    c->queues = q;
    if (q == NULL)
        return config_fail(error, "memory ran out");

    int rc = text_parse(q, &q->list, error);
    if (rc == 0)
        note_shared(&q->list);
    if (rc == 0)
        rc = list_serve(q, c->queue_name, c->mode == MODE_EXPLAIN, error);
    if (rc == 0)
        rc = served_set_all(q, c, error);
    if (rc == 0)
        c->queue = &q->all[0].read->queue;
    return rc;
}

int config_reload(struct config *fresh, const struct config *config, char *error, size_t error_size)
{
    const struct config_error where = {error, error_size};
    struct queues_origin origin = config->queues->origin;
    origin.again = true;
    *fresh = *config;
    fresh->queues = NULL;
    fresh->queue = NULL;
    fresh->yes = false; /* which was said of what was served at the start */
    return config_queues_read(fresh, &origin, &where);
}

void config_reload_clear(struct config *fresh)
{
    config_queues_clear(fresh);
    *fresh = (struct config){0};
}
