/* --help, from the tables. */
#include "config/config_table.h"

#include "base/terminal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HELP_COLUMNS 80
#define FLAGS_AT 2
#define MEANINGS_AT 23  /* of modes and modifiers */
#define VARIABLES_AT 28 /* of settings */
#define SETTINGS_AT 6   /* their meanings */

/* What is asked for most often, in this order; the daemon is the line without a mode. */
static const enum mode most_used[] = {MODE_DAEMON, MODE_CHECK_CONFIG, MODE_STATUS, MODE_ONCE,
                                      MODE_EXPLAIN};

static const struct {
    const char *arguments, *meaning;
} examples[] = {
    {"--check-config --queues shop.yaml", "does this file fit the database? Nothing is changed"},
    {"--once --dry-run", "how many are due? Nothing is changed"},
    {"--once --queue carts", "release what is due of one queue, as a cron job would"},
    {"--workers 2 --log-level DEBUG", "the daemon, with two connections, and every detail"},
    {"--list failed --sqlstate 23514", "what Postgres refuses since a counter has drifted"},
    {"--reconcile --repair-stock --report -", "repair all, counters too, and say what was found"},
};

/* Where the help goes, and whether flags and titles stand out there. */
struct help {
    FILE *out;
    bool coloured;
    int column;
};

/* The columns that the first len bytes take: continuation bytes take none. */
static int columns(const char *text, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static void put_strong(struct help *h, const char *text)
{
    fprintf(h->out, "%s%s%s", h->coloured ? TERMINAL_BOLD : "", text,
            h->coloured ? TERMINAL_PLAIN : "");
    h->column += columns(text, strlen(text));
}

static void put_title(struct help *h, const char *title)
{
    fputc('\n', h->out);
    put_strong(h, title);
    fputs(":\n", h->out);
    h->column = 0;
}

/* To a column, on the next line if this one is beyond it. */
static void go_to(struct help *h, int column)
{
    if (h->column > 0 && h->column >= column) {
        fputc('\n', h->out);
        h->column = 0;
    }
    fprintf(h->out, "%*s", column - h->column, "");
    h->column = column;
}

/* Writes Markdown as plain text from a column on, in lines of at most HELP_COLUMNS, and ends the
 * last. */
static void put_wrapped(struct help *h, int at, const char *text)
{
    go_to(h, at);
    while (*text != '\0') {
        char word[HELP_COLUMNS * 2];
        size_t len = 0;
        for (; *text != '\0' && *text != ' '; text++)
            if (*text != '`' && len + 1 < sizeof(word))
                word[len++] = *text;
        text += strspn(text, " ");

        int width = columns(word, len);
        if (h->column > at && h->column + 1 + width > HELP_COLUMNS) {
            fputc('\n', h->out);
            h->column = 0;
            go_to(h, at);
        }
        if (h->column > at)
            h->column += fprintf(h->out, " ");
        fwrite(word, 1, len, h->out);
        h->column += width;
    }
    fputc('\n', h->out);
    h->column = 0;
}

/* "-h, --help", "--rehearse N" */
static void put_flag(struct help *h, char letter, const char *flag, const char *operand)
{
    char text[64];
    char before[8] = "";
    if (letter != 0)
        (void)snprintf(before, sizeof(before), "-%c, ", letter);
    (void)snprintf(text, sizeof(text), "%s%s%s%s", before, flag, operand == NULL ? "" : " ",
                   operand == NULL ? "" : operand);
    go_to(h, FLAGS_AT);
    put_strong(h, text);
}

static const struct mode_flag *mode_of(enum mode mode)
{
    int i = 0;
    while (i < MODES_N && modes[i].mode != mode)
        i++;
    assert(i < MODES_N);
    return &modes[i];
}

static void put_most_used(struct help *h)
{
    put_title(h, "Most used");
    for (size_t i = 0; i < sizeof(most_used) / sizeof(most_used[0]); i++) {
        if (most_used[i] == MODE_DAEMON) {
            put_flag(h, 0, "(no mode)", NULL);
            put_wrapped(h, MEANINGS_AT, "run as a daemon until SIGTERM or SIGINT");
        } else {
            const struct mode_flag *mode = mode_of(most_used[i]);
            put_flag(h, 0, mode->flag, mode->operand);
            put_wrapped(h, MEANINGS_AT, mode->help);
        }
    }
    put_title(h, "Examples");
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        fprintf(h->out, "  reservation-sweeper %s\n", examples[i].arguments);
        put_wrapped(h, SETTINGS_AT, examples[i].meaning);
    }
}

static void put_modes(struct help *h)
{
    put_title(h, "Modes, one at most");
    for (int i = 0; i < MODES_N; i++) {
        put_flag(h, modes[i].letter, modes[i].flag, modes[i].operand);
        put_wrapped(h, MEANINGS_AT, modes[i].help);
    }
    put_title(h, "Modifiers");
    for (int i = 0; i < MODIFIERS_N; i++) {
        char help[256];
        (void)snprintf(help, sizeof(help), "with %s: %s", modifiers[i].goes_with,
                       modifiers[i].help);
        put_flag(h, 0, modifiers[i].flag, modifiers[i].operand);
        put_wrapped(h, MEANINGS_AT, help);
    }
}

/* The range, or the words, that --help shows after a setting's meaning; "" for none. */
static void choice_write(const struct setting *s, char *out, size_t size)
{
    if (s->min != NULL)
        (void)snprintf(out, size, " (%s to %s%s)", s->min, s->max,
                       s->off_allowed ? ", or off" : "");
    else if (s->type == SETTING_LEVEL || s->type == SETTING_FORMAT || s->type == SETTING_TOKEN) {
        char allowed[64];
        setting_allowed(s, allowed, sizeof(allowed));
        (void)snprintf(out, size, " (%s)", allowed);
    } else {
        *out = '\0';
    }
}

static void put_setting(struct help *h, const struct setting *s)
{
    char choice[96];
    char text[640];
    if (s->flag != NULL)
        put_flag(h, 0, s->flag, s->operand);
    (void)snprintf(text, sizeof(text), "%s%s%s%s%s", s->variable,
                   s->file_variable == NULL ? "" : " or ",
                   s->file_variable == NULL ? "" : s->file_variable,
                   s->other_variable == NULL ? "" : ", else ",
                   s->other_variable == NULL ? "" : s->other_variable);
    put_wrapped(h, VARIABLES_AT, text);

    choice_write(s, choice, sizeof(choice));
    (void)snprintf(text, sizeof(text), "%s%s%s%s%s; default: %s", s->help, choice,
                   s->other_flag == NULL ? "" : "; ", s->other_flag == NULL ? "" : s->other_flag,
                   s->other_flag == NULL ? "" : ", its former name, is taken too",
                   setting_preset_shown(s));
    put_wrapped(h, SETTINGS_AT, text);
}

void config_print_help(FILE *out)
{
    struct help h = {.out = out, .coloured = terminal_colours(out)};
    fputs("Usage: reservation-sweeper [mode] [settings]\n"
          "\n"
          "Releases expired stock reservations: on time, exactly once,\n"
          "Postgres deciding and Redis saying when to look.\n",
          out);
    put_most_used(&h);
    put_modes(&h);
    put_title(&h, "Settings, each a flag or an environment variable; the flag wins");
    put_wrapped(&h, FLAGS_AT,
                "Times take a unit: 500ms, 30s, 5m, 1h. A variable ..._FILE names a file that "
                "holds the value. Where the URLs are not set, DB_HOST, DB_PORT, DB_NAME, DB_USER, "
                "DB_PASSWORD and REDIS_HOST, REDIS_PORT, REDIS_PASSWORD, REDIS_DB are used.");
    for (int i = 0; i < SETTINGS_N; i++)
        put_setting(&h, &settings[i]);
    put_title(&h, "Exit status");
    for (int i = 0; i < EXIT_STATUSES_N; i++)
        fprintf(out, "  %d  %s\n", i, exit_statuses[i]);
    fputs("\nMore: docs/CONFIGURATION.md, and man reservation-sweeper.\n", out);
}
