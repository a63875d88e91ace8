/* --help, from the tables. */
#include "config/config_table.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMNS 100
#define HELP_INDENT 6
#define HELP_FLAG_COLUMNS 30

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

/* The columns that the first len bytes take: continuation bytes take none. */
static int columns(const char *text, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* Writes Markdown as plain text, in lines of at most HELP_COLUMNS. */
static void put_wrapped(FILE *out, const char *text)
{
    int column = 0;
    while (*text != '\0') {
        char word[HELP_COLUMNS * 2];
        size_t len = 0;
        for (; *text != '\0' && *text != ' '; text++)
            if (*text != '`' && len + 1 < sizeof(word))
                word[len++] = *text;
        text += strspn(text, " ");

        int width = columns(word, len);
        if (column > 0 && column + 1 + width > HELP_COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        column += column == 0 ? fprintf(out, "%*s", HELP_INDENT, "") : fprintf(out, " ");
        fwrite(word, 1, len, out);
        column += width;
    }
    fputc('\n', out);
}

static void put_setting(FILE *out, const struct setting *s)
{
    char text[512] = "";
    char choice[96];
    FILE *meaning = fmemopen(text, sizeof(text) - 1, "w");
    int n = 0;
    if (s->flag != NULL)
        n = fprintf(out, "  %s %s", s->flag, s->operand);
    fprintf(out, "%*s%s", n < HELP_FLAG_COLUMNS ? HELP_FLAG_COLUMNS - n : 2, "", s->variable);
    if (s->file_variable != NULL)
        fprintf(out, " or %s", s->file_variable);
    if (s->other_variable != NULL)
        fprintf(out, ", else %s", s->other_variable);
    fputc('\n', out);

    if (meaning == NULL)
        return;
    choice_write(s, choice, sizeof(choice));
    fprintf(meaning, "%s%s", s->help, choice);
    if (s->other_flag != NULL)
        fprintf(meaning, "; %s, its former name, is taken too", s->other_flag);
    fprintf(meaning, "; default: %s", setting_preset_shown(s));
    fclose(meaning);
    put_wrapped(out, text);
}

/* A flag and its meaning on one line. */
static void put_flag(FILE *out, const char *flag, const char *operand, const char *help)
{
    int n =
        fprintf(out, "  %s%s%s", flag, operand == NULL ? "" : " ", operand == NULL ? "" : operand);
    fprintf(out, "%*s%s\n", n < 21 ? 21 - n : 1, "", help);
}

static void put_modes(FILE *out)
{
    fputs("Modes (none: run as a daemon until SIGTERM or SIGINT):\n", out);
    for (int i = 0; i < MODES_N; i++) {
        char flag[32];
        if (modes[i].letter != 0)
            (void)snprintf(flag, sizeof(flag), "-%c, %s", modes[i].letter, modes[i].flag);
        else
            (void)snprintf(flag, sizeof(flag), "%s", modes[i].flag);
        put_flag(out, flag, modes[i].operand, modes[i].help);
    }
    fputs("\nModifiers:\n", out);
    for (int i = 0; i < MODIFIERS_N; i++) {
        char help[160];
        (void)snprintf(help, sizeof(help), "with %s: %s", modifiers[i].goes_with,
                       modifiers[i].help);
        put_flag(out, modifiers[i].flag, modifiers[i].operand, help);
    }
}

void config_print_help(FILE *out)
{
    fputs(
        "Usage: reservation-sweeper [mode] [settings]\n"
        "\n"
        "Releases expired stock reservations: on time, exactly once, Postgres deciding and Redis\n"
        "saying when to look.\n"
        "\n",
        out);
    put_modes(out);
    fputs("\n"
          "Settings, each a flag or an environment variable; the flag wins. Times take a unit: "
          "500ms, 30s,\n"
          "5m, 1h. A variable ..._FILE names a file that holds the value.\n",
          out);
    for (int i = 0; i < SETTINGS_N; i++)
        put_setting(out, &settings[i]);
    fputs("\n"
          "Where the URLs are not set, DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD and "
          "REDIS_HOST,\n"
          "REDIS_PORT, REDIS_PASSWORD, REDIS_DB are used.\n"
          "\n"
          "Exit status:\n",
          out);
    for (int i = 0; i < EXIT_STATUSES_N; i++)
        fprintf(out, "  %d  %s\n", i, exit_statuses[i]);
    fputs("\nMore: docs/CONFIGURATION.md, and man reservation-sweeper.\n", out);
}
