/* The settings as a whole: where each value comes from, what must hold between them, and what may
 * be said about the servers in logs.
 *
 * A value comes from the first of these that has one:
 * 1. the flag, else the flag by its former name (config_flags.c)
 * 2. the variable, or the file that a second variable names (config_file.c); not both
 * 3. the variable by its former name, or the one that is shared with others (LOG_LEVEL)
 * 4. for a server's address, its parts: DB_HOST, REDIS_HOST and so on (config_servers.c)
 * 5. the default, a text of the table as an operator would write it
 *
 * Wherever it comes from, it goes through setting_apply: there is one parser and one set of limits,
 * and no default that could not be set. The queues come last (queues.c), since each has these
 * settings with what it overrides. What must hold: a value that cannot be used ends the
 * program, with one sentence that names the flag or variable that was used; no sentence has the
 * value of a secret. --help and --version read no settings, since they must work where the
 * environment is what one needs help with. */
#include "config/config_table.h"

#include "config/pause_limits.h"
#include "link/pg_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a value comes from. */
struct origin {
    const char *source; /* the flag or variable to name in an error */
    const char *text;   /* NULL: nothing was set */
    char *owned;        /* what a file contained; text points to it */
    bool preset;        /* the default */
};

/* The environment's value: the variable itself, the file that another names, or the variable
 * shared with others. */
static int environment_find(const struct setting *s, struct origin *o,
                            const struct config_error *error)
{
    const char *text = s->empty_allowed ? getenv(s->variable) : config_getenv(s->variable);
    const char *path = config_getenv(s->file_variable);
    if (text != NULL && path != NULL)
        return config_fail(error, "%s: not allowed together with %s: set one of them",
                           s->file_variable, s->variable);
    o->source = s->variable;
    o->text = text;
    if (path != NULL) {
        if (config_file_read(s->file_variable, path, false, &o->owned, error) != 0)
            return -1;
        o->source = s->file_variable;
        o->text = o->owned;
    } else if (text == NULL && config_getenv(s->other_variable) != NULL) {
        o->source = s->other_variable;
        o->text = config_getenv(s->other_variable);
    }
    return 0;
}

/* Finds a setting's value: the flag's, else the environment's, else the default. */
static int origin_find(const struct setting *s, const char *flag, const char *flag_text,
                       struct origin *o, const struct config_error *error)
{
    if (flag_text != NULL) {
        if (*flag_text == '\0' && !s->empty_allowed)
            return config_fail(error, "%s: \"\" is not allowed: leave the flag out for the default",
                               flag);
        o->source = flag;
        o->text = flag_text;
        return 0;
    }
    if (environment_find(s, o, error) != 0)
        return -1;
    if (o->text == NULL) {
        o->text = s->preset;
        o->preset = true;
    }
    return 0;
}

/* Where a URL is not set, its parts may be. */
static int parts_read(struct config *c, int i, bool *found, const struct config_error *error)
{
    *found = false;
    if (i == SETTING_DATABASE_URL)
        return config_read_database_parts(c, found, error);
    if (i == SETTING_REDIS_URL)
        return config_read_redis_parts(c, found, error);
    return 0;
}

/* Remembers what came from a file, which is read again later. */
static void file_remember(struct config *c, const struct setting *s, struct origin *o)
{
    for (int i = 0; i < CONFIG_SECRETS_N; i++)
        if (secret_settings[i] == s && o->owned != NULL) {
            c->files[i] = (struct config_file){.path = config_getenv(s->file_variable),
                                               .variable = s->file_variable,
                                               .text = o->owned};
            o->owned = NULL;
        }
}

static int settings_read(struct config *c, const struct command_line *line, struct origin *origins,
                         const struct config_error *error)
{
    for (int i = 0; i < SETTINGS_N; i++) {
        struct origin *o = &origins[i];
        bool found = false;
        if (origin_find(&settings[i], line->flags[i], line->settings[i], o, error) != 0)
            return -1;
        config_former_note(c, &settings[i], line->former[i], o->source);
        if (o->preset && parts_read(c, i, &found, error) != 0)
            return -1;
        if (i == SETTING_REDIS_URL)
            c->redis_configured = found || !o->preset;
        if (!found && o->text != NULL && i != SETTING_QUEUES_FILE &&
            setting_apply(c, &settings[i], o->source, o->text, error) != 0)
            return -1;
        file_remember(c, &settings[i], o);
    }
    return 0;
}

static struct config_given given(const struct origin *o)
{
    return (struct config_given){o->source, o->text};
}

/* The queues, which are made from the other settings. */
static int queues_read(struct config *c, const struct command_line *line,
                       const struct origin *origins, const struct config_error *error)
{
    const struct setting *s = &settings[SETTING_QUEUES_FILE];
    /* --init must work where the file is a draft that still has blanks. */
    bool drafts = c->mode == MODE_INIT && c->queue_name == NULL;
    const struct config_given none = {0};
    const struct queues_origin origin = {
        .file = drafts ? none : given(&origins[SETTING_QUEUES_FILE]),
        .inline_text = !drafts && origins[SETTING_QUEUES_FILE].source == s->other_variable,
        .prefix_given = !origins[SETTING_KEY_PREFIX].preset,
        .lookahead = given(&origins[SETTING_LOOKAHEAD]),
        .feed_interval = given(&origins[SETTING_FEED]),
    };
    if (line->settings[SETTING_QUEUES_FILE] == NULL && config_getenv(s->variable) != NULL &&
        config_getenv(s->other_variable) != NULL)
        return config_fail(error, "%s: not allowed together with %s: set one of them", s->variable,
                           s->other_variable);
    return config_queues_read(c, &origin, error);
}

static int copy_operand(const struct command_line *line, enum modifier which, char **out,
                        const struct config_error *error)
{
    const char *operand = line->modifiers[which];
    if (operand == NULL)
        return 0;
    *out = strdup(operand);
    return *out == NULL ? config_fail(error, "%s: memory ran out", modifiers[which].flag) : 0;
}

static int pause_read(struct config *c, const struct command_line *line,
                      const struct config_error *error)
{
    const char *given = line->mode_operand != NULL ? line->mode_operand : PAUSE_PRESET;
    const char *reason = line->modifiers[MODIFIER_REASON];
    c->even_paused = line->modifiers[MODIFIER_EVEN_PAUSED] != NULL;
    if (line->mode != MODE_PAUSE)
        return 0;
    if (parse_duration_us(given, &c->pause_us) != 0 || !pause_time_fits(c->pause_us))
        return config_fail(error, "--pause: \"%.100s\" is not allowed: %s" PAUSE_TIMES, given,
                           parse_lacks_unit(given) ? UNIT_MISSING : "");
    if (reason != NULL && pause_reason_fault(reason) != NULL)
        return config_fail(error, "--reason: \"%.100s\" is not allowed: %s", reason,
                           pause_reason_fault(reason));
    return copy_operand(line, MODIFIER_REASON, &c->reason, error);
}

/* What --explain, --list, --retry and --forget are about. */
static int desk_read(struct config *c, const struct command_line *line,
                     const struct config_error *error)
{
    static const char *const kinds[LIST_KINDS] = {"due", "failed", "locked", "kept"};
    const char *what = line->mode_operand, *limit = line->modifiers[MODIFIER_LIMIT];
    const char *product = line->modifiers[MODIFIER_PRODUCT];
    const char *sqlstate = line->modifiers[MODIFIER_SQLSTATE];
    bool one = line->mode == MODE_EXPLAIN || line->mode == MODE_RETRY || line->mode == MODE_FORGET;
    if (line->mode == MODE_LIST) {
        while (c->list < LIST_KINDS && strcmp(kinds[c->list], what) != 0)
            c->list++;
        if (c->list == LIST_KINDS)
            return config_fail(
                error, "--list: \"%.100s\" is not allowed: due, failed, locked or kept", what);
    }
    if (limit != NULL && parse_int(limit, 1, LIST_LIMIT_MAX, &c->list_limit) != 0)
        return config_fail(
            error, "--limit: \"%.100s\" is not allowed: a whole number from 1 to 10000", limit);
    if (product != NULL && *product == '\0')
        return config_fail(error, "--product: \"\" is not allowed: a product's key");
    if (sqlstate != NULL && !parse_is_sqlstate(sqlstate))
        return config_fail(error,
                           "--sqlstate: \"%.100s\" is not allowed: five digits or capital letters",
                           sqlstate);
    if (one && *what == '\0')
        return config_fail(error, "%s: \"\" is not allowed: a reservation's id%s", line->mode_flag,
                           line->mode == MODE_EXPLAIN ? "" : ", or all");
    if (one && (line->mode == MODE_EXPLAIN || strcmp(what, OPERAND_ALL) != 0) &&
        (c->reservation = strdup(what)) == NULL)
        return config_fail(error, "%s: memory ran out", line->mode_flag);
    if (copy_operand(line, MODIFIER_PRODUCT, &c->product, error) != 0)
        return -1;
    return copy_operand(line, MODIFIER_SQLSTATE, &c->sqlstate, error);
}

static int modifiers_read(struct config *c, const struct command_line *line,
                          const struct config_error *error)
{
    const char *report = line->modifiers[MODIFIER_REPORT];
    const char *most = line->modifiers[MODIFIER_MAX_REPAIRS];
    c->dry_run = line->modifiers[MODIFIER_DRY_RUN] != NULL;
    c->repair_stock = line->modifiers[MODIFIER_REPAIR_STOCK] != NULL;
    c->json = line->modifiers[MODIFIER_JSON] != NULL;
    c->yes = line->modifiers[MODIFIER_YES] != NULL;
    if (parse_int(most == NULL ? MAX_REPAIRS_PRESET : most, 0, MAX_REPAIRS_MAX, &c->max_repairs) !=
        0)
        return config_fail(error,
                           "--max-repairs: \"%.100s\" is not allowed: a whole number from 0 to "
                           "1000000000",
                           most);
    if (line->mode == MODE_REHEARSE &&
        parse_int(line->mode_operand, 1, REHEARSE_MAX, &c->rehearse) != 0)
        return config_fail(error,
                           "--rehearse: \"%.100s\" is not allowed: a whole number from 1 to 10000",
                           line->mode_operand);
    if (pause_read(c, line, error) != 0)
        return -1;
    if (report != NULL && *report == '\0')
        return config_fail(error, "--report: \"\" is not allowed: a file's name, or - for stdout");
    if (copy_operand(line, MODIFIER_REPORT, &c->report, error) != 0 ||
        desk_read(c, line, error) != 0)
        return -1;
    return copy_operand(line, MODIFIER_QUEUE, &c->queue_name, error);
}

int config_read(struct config *c, int argc, char **argv, char *error, size_t error_size)
{
    const struct config_error where = {error, error_size};
    struct command_line line = {0};
    struct origin origins[SETTINGS_N] = {0};
    int rc = command_line_read(&line, argc, argv, &where);
    c->mode = line.mode;
    if (rc == 0)
        rc = modifiers_read(c, &line, &where);

    /* --help must work where the environment is what one needs help with. */
    bool served = c->mode != MODE_HELP && c->mode != MODE_VERSION;
    if (rc == 0 && served)
        rc = settings_read(c, &line, origins, &where);

    c->log.service = c->service_name;
    c->log.all_to_stderr =
        c->mode == MODE_STATUS || c->mode == MODE_CHECK_CONFIG || c->mode == MODE_SHOW_SQL ||
        c->mode == MODE_REHEARSE || c->mode == MODE_INIT || c->mode == MODE_EXPLAIN ||
        c->mode == MODE_LIST || (c->report != NULL && strcmp(c->report, "-") == 0);
    if (rc == 0 && served)
        rc = queues_read(c, &line, origins, &where);
    for (int i = 0; i < SETTINGS_N; i++)
        free(origins[i].owned);
    command_line_clear(&line);
    return rc;
}

void config_clear(struct config *c)
{
    for (int i = 0; i < CONFIG_SECRETS_N; i++)
        free(c->files[i].text);
    config_queues_clear(c);
    free(c->queue_name);
    free(c->reason);
    free(c->reservation);
    free(c->product);
    free(c->sqlstate);
    free(c->report);
    free(c->conninfo);
    redis_url_clear(&c->redis);
    free(c->key_prefix);
    free(c->http_host);
    free(c->admin_token);
    free(c->read_token);
    free(c->redis_ca);
    free(c->service_name);
    *c = (struct config){0};
}

char *config_describe_postgres(const struct config *c)
{
    if (c->conninfo == NULL || *c->conninfo == '\0')
        return strdup("libpq's defaults (DATABASE_URL is not set)");
    return pg_conninfo_describe(c->conninfo);
}

char *config_describe_redis(const struct config *c)
{
    return redis_url_describe(&c->redis);
}
