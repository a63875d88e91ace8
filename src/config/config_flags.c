/* The command line, by getopt_long, from the tables. Stricter than getopt_long alone: no
 * abbreviations, since a new flag could change what one means, and no positional arguments. */
#include "config/config_table.h"

#include <assert.h>
#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* What getopt_long returns for a flag: its place in this order. Beyond any letter. */
enum {
    FLAG_SETTING = 0x1000,
    FLAG_MODE = 0x2000,
    FLAG_MODIFIER = 0x3000,
    FLAG_OTHER = 0x4000, /* a setting by its former name */
    FLAG_KIND = 0x7000
};

#define OPTIONS_MAX (2 * SETTINGS_N + MODES_N + MODIFIERS_N + 1)

static struct option option_of(const char *flag, bool has_operand, int value)
{
    return (struct option){flag + 2, has_operand ? required_argument : no_argument, NULL, value};
}

/* "[TIME]": it may be left out. */
static bool is_optional(const char *operand)
{
    return operand != NULL && operand[0] == '[';
}

static void options_fill(struct option *options)
{
    for (int i = 0; i < SETTINGS_N; i++) {
        if (settings[i].flag != NULL)
            *options++ = option_of(settings[i].flag, true, FLAG_SETTING + i);
        if (settings[i].other_flag != NULL)
            *options++ = option_of(settings[i].other_flag, true, FLAG_OTHER + i);
    }
    for (int i = 0; i < MODES_N; i++) {
        *options = option_of(modes[i].flag, modes[i].operand != NULL, FLAG_MODE + i);
        if (is_optional(modes[i].operand))
            options->has_arg = optional_argument;
        options++;
    }
    for (int i = 0; i < MODIFIERS_N; i++)
        *options++ = option_of(modifiers[i].flag, modifiers[i].operand != NULL, FLAG_MODIFIER + i);
    *options = (struct option){0};
}

/* True when the first len bytes of argument are a flag's whole name. */
static bool flag_known(const struct option *options, const char *argument, size_t len)
{
    if (len < 3 || strncmp(argument, "--", 2) != 0)
        return false;
    for (; options->name != NULL; options++)
        if (strlen(options->name) == len - 2 && strncmp(options->name, argument + 2, len - 2) == 0)
            return true;
    return false;
}

static int mode_set(struct command_line *line, const struct mode_flag *mode, const char *operand,
                    const struct config_error *error)
{
    if (line->mode_flag == NULL) {
        line->mode_flag = mode->flag;
        line->mode = mode->mode;
        line->mode_operand = operand;
        return 0;
    }
    if (line->mode == mode->mode)
        return config_fail(error, "%s: given twice; a mode is given once", mode->flag);
    return config_fail(error, "%s: not together with %s; only one mode is allowed", mode->flag,
                       line->mode_flag);
}

/* A flag that is given twice means the last one; by its former name it never replaces the new one,
 * wherever it stands. */
static int setting_set(struct command_line *line, int i, const char *flag, char *text,
                       const struct config_error *error)
{
    assert(text != NULL);
    line->former[i] = line->former[i] || flag == settings[i].other_flag;
    if (flag == settings[i].other_flag && line->flags[i] == settings[i].flag)
        return 0;
    free(line->settings[i]);
    line->flags[i] = flag;
    line->settings[i] = strdup(text);
    if (line->settings[i] == NULL)
        return config_fail(error, "%s: memory ran out", flag);
    if (settings[i].secret)
        memset(text, 'x', strlen(text));
    return 0;
}

static int flag_take(struct command_line *line, const struct option *options, int value,
                     char *operand, const struct config_error *error)
{
    int i = value & ~FLAG_KIND;
    bool mode = (value & FLAG_KIND) == FLAG_MODE;
    bool modifier = (value & FLAG_KIND) == FLAG_MODIFIER;
    const char *flag = mode                                ? modes[i].flag
                       : modifier                          ? modifiers[i].flag
                       : (value & FLAG_KIND) == FLAG_OTHER ? settings[i].other_flag
                                                           : settings[i].flag;
    /* --report --dry-run: a forgotten file name must not turn a dry run into a real one. */
    if (operand != NULL && flag_known(options, operand, strlen(operand)))
        return config_fail(error, "%s: its value is missing, %s is a flag", flag, operand);
    if (mode)
        return mode_set(line, &modes[i], operand, error);
    if (!modifier)
        return setting_set(line, i, flag, operand, error);
    line->modifiers[i] = operand == NULL ? "" : operand;
    return 0;
}

/* What getopt_long leaves to us: an operand that may be left out, in the argument that follows. */
static char *operand_that_follows(int value, char **argv)
{
    char *next = argv[optind];
    if ((value & FLAG_KIND) != FLAG_MODE || !is_optional(modes[value & ~FLAG_KIND].operand) ||
        next == NULL || (next[0] == '-' && !isdigit((unsigned char)next[1])))
        return NULL;
    optind++;
    return next;
}

static int refuse_missing(const char *flag, int value, const struct config_error *error)
{
    char allowed[256];
    int i = value & ~FLAG_KIND;
    if ((value & FLAG_KIND) == FLAG_MODE || (value & FLAG_KIND) == FLAG_MODIFIER)
        return config_fail(error, "%s: its value is missing: write %s %s", flag, flag,
                           (value & FLAG_KIND) == FLAG_MODE ? modes[i].operand
                                                            : modifiers[i].operand);
    setting_allowed(&settings[i], allowed, sizeof(allowed));
    return config_fail(error, "%s: its value is missing: %s", flag, allowed);
}

/* A stray argument may be a piece of a URL with a password: then it is not repeated. */
static int refuse_stray(const char *argument, int position, const struct config_error *error)
{
    if (strpbrk(argument, "@:=") != NULL)
        return config_fail(error,
                           "argument %d belongs to no flag: only flags and their values are "
                           "allowed, see --help",
                           position);
    return config_fail(error,
                       "\"%.100s\" belongs to no flag: only flags and their values are allowed, "
                       "see --help",
                       argument);
}

/* What stands before "=" only: the rest may be a secret. */
static int refuse_unknown(const char *argument, const struct config_error *error)
{
    return config_fail(error, "%.*s: unknown flag, see --help", (int)strcspn(argument, "="),
                       argument);
}

/* A modifier without its mode would be ignored, though it was meant. */
static int check_modifiers(const struct command_line *line, const struct config_error *error)
{
    bool reconcile = line->mode == MODE_RECONCILE;
    bool many =
        line->mode == MODE_LIST || ((line->mode == MODE_RETRY || line->mode == MODE_FORGET) &&
                                    strcmp(line->mode_operand, OPERAND_ALL) == 0);
    const bool fits[MODIFIERS_N] = {
        [MODIFIER_DRY_RUN] = reconcile || line->mode == MODE_ONCE,
        [MODIFIER_REPAIR_STOCK] = reconcile,
        [MODIFIER_REPORT] = reconcile,
        [MODIFIER_MAX_REPAIRS] = line->modifiers[MODIFIER_REPAIR_STOCK] != NULL,
        [MODIFIER_QUEUE] = true,
        [MODIFIER_REASON] = line->mode == MODE_PAUSE,
        [MODIFIER_EVEN_PAUSED] = line->mode == MODE_ONCE,
        [MODIFIER_JSON] = line->mode == MODE_REHEARSE || line->mode == MODE_STATUS ||
                          line->mode == MODE_LIST || line->mode == MODE_EXPLAIN,
        [MODIFIER_LIMIT] = many,
        [MODIFIER_PRODUCT] = many,
        [MODIFIER_SQLSTATE] = many,
        [MODIFIER_YES] = line->mode == MODE_DAEMON || line->mode == MODE_ONCE,
    };
    for (int i = 0; i < MODIFIERS_N; i++)
        if (line->modifiers[i] != NULL && !fits[i])
            return config_fail(error, "%s: allowed only with %s", modifiers[i].flag,
                               modifiers[i].goes_with);
    return 0;
}

int command_line_read(struct command_line *line, int argc, char **argv,
                      const struct config_error *error)
{
    struct option options[OPTIONS_MAX];
    options_fill(options);
    optind = 0; /* glibc: start anew */
    for (;;) {
        const char *argument = argv[optind > 0 ? optind : 1];
        if (argc < 2 || argument == NULL)
            break;

        size_t len = strcspn(argument, "=");
        if (strncmp(argument, "--", 2) == 0 && argument[2] != '\0' &&
            !flag_known(options, argument, len))
            return refuse_unknown(argument, error);

        int value = getopt_long(argc, argv, "+:hV", options, NULL);
        if (value == -1)
            break;
        if (value == ':')
            return refuse_missing(argument, optopt, error);
        if (value == '?' && argument[1] == '-')
            return config_fail(error, "%.*s: takes no value", (int)len, argument);
        if (value == '?')
            return config_fail(error, "-%c: unknown flag, see --help", optopt);
        for (int i = 0; i < MODES_N; i++)
            if (modes[i].letter == value)
                value = FLAG_MODE + i;
        char *operand = optarg != NULL ? optarg : operand_that_follows(value, argv);
        if (flag_take(line, options, value, operand, error) != 0)
            return -1;
    }
    if (optind > 0 && optind < argc)
        return refuse_stray(argv[optind], optind, error);
    return check_modifiers(line, error);
}

void command_line_clear(struct command_line *line)
{
    for (int i = 0; i < SETTINGS_N; i++)
        free(line->settings[i]);
    *line = (struct command_line){0};
}
