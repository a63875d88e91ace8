/* The parts of the manual page that are made from the tables, in mdoc(7). What else there is to say
 * stands in the page itself, behind them. */
#include "config/config_table.h"
#include "config/generated.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK ".\\\" {"
#define END ".\\\" {}\n"
#define FOOTER ".Os"
#define WIDTH 78

/* Text as mdoc: a sentence, in lines that break at blanks, none of which begins with a control
 * character; `code` as it is, and quotes and backslashes as themselves. */
static void put_text(FILE *out, const char *text, const char *end)
{
    size_t column = 0;
    bool first = true;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column > 0 && column + 1 + len > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column > 0)
            fputc(' ', out);
        else if (strchr(".'", text[0]) != NULL)
            fputs("\\&", out);
        for (size_t i = 0; i < len; i++) {
            if (text[i] == '-' && (i + 1 < len && text[i + 1] == '-'))
                fputs("\\-", out);
            else if (text[i] == '\\')
                fputs("\\e", out);
            else if (text[i] != '`')
                fputc(first ? toupper((unsigned char)text[i]) : text[i], out);
            first = first && text[i] == '`';
        }
        column += len + 1;
        text += len;
        text += strspn(text, " ");
    }
    fprintf(out, "%s\n", end);
}

static void put_operand(FILE *out, const char *operand)
{
    if (operand == NULL)
        return;
    if (operand[0] == '[')
        fprintf(out, " Op Ar %.*s", (int)strcspn(operand + 1, "]"), operand + 1);
    else
        fprintf(out, " Ar %s", operand);
}

static void put_entry(FILE *out, char letter, const char *flag, const char *operand)
{
    fputs(".It Fl ", out);
    if (letter != 0)
        fprintf(out, "%c , Fl ", letter);
    fputs(flag + 1, out);
    put_operand(out, operand);
    fputc('\n', out);
}

static void put_mode(FILE *out, int i)
{
    put_entry(out, modes[i].letter, modes[i].flag, modes[i].operand);
    put_text(out, modes[i].help, ".");
}

static void put_modifier(FILE *out, int i)
{
    char goes_with[128];
    put_entry(out, 0, modifiers[i].flag, modifiers[i].operand);
    (void)snprintf(goes_with, sizeof(goes_with), "with %s:", modifiers[i].goes_with);
    put_text(out, goes_with, "");
    put_text(out, modifiers[i].help, ".");
}

static void put_setting(FILE *out, const struct setting *s)
{
    char text[320];
    fputs(".It ", out);
    if (s->flag != NULL)
        fprintf(out, "Fl %s Ar %s , ", s->flag + 1, s->operand);
    fprintf(out, "Ev %s\n", s->variable);
    put_text(out, s->help, ".");
    if (s->other_flag != NULL) {
        (void)snprintf(text, sizeof(text),
                       "the former names, %s and %s, are taken where the new ones are not given",
                       s->other_variable, s->other_flag);
        put_text(out, text, ".");
    } else if (s->other_variable != NULL) {
        (void)snprintf(text, sizeof(text), "where it is not set, %s is used", s->other_variable);
        put_text(out, text, ".");
    }
    setting_allowed(s, text, sizeof(text));
    put_text(out, text, ".");
    (void)snprintf(text, sizeof(text), "the default is %s", setting_preset_shown(s));
    put_text(out, text, ".");
}

static void put_statuses(FILE *out)
{
    for (int i = 0; i < EXIT_STATUSES_N; i++) {
        fprintf(out, ".It %d\n", i);
        put_text(out, exit_statuses[i], ".");
    }
}

/* Which of the marks have been met. */
struct met {
    bool modes[MODES_N], modifiers[MODIFIERS_N], settings, statuses;
};

static bool take_once(bool *met)
{
    bool first = !*met;
    *met = true;
    return first;
}

/* False: no such mark, or the second one. */
static bool put_marked(FILE *out, const char *what, struct met *met)
{
    for (int i = 0; i < MODES_N; i++)
        if (strncmp(what, "mode ", 5) == 0 && strcmp(what + 5, modes[i].flag) == 0) {
            put_mode(out, i);
            return take_once(&met->modes[i]);
        }
    for (int i = 0; i < MODIFIERS_N; i++)
        if (strncmp(what, "modifier ", 9) == 0 && strcmp(what + 9, modifiers[i].flag) == 0) {
            put_modifier(out, i);
            return take_once(&met->modifiers[i]);
        }
    if (strcmp(what, "settings") == 0) {
        for (int i = 0; i < SETTINGS_N; i++)
            put_setting(out, &settings[i]);
        return take_once(&met->settings);
    }
    if (strcmp(what, "statuses") != 0)
        return false;
    put_statuses(out);
    return take_once(&met->statuses);
}

/* What of the tables is not in the page; NULL: all is. */
static const char *missing(const struct met *met)
{
    for (int i = 0; i < MODES_N; i++)
        if (!met->modes[i])
            return modes[i].flag;
    for (int i = 0; i < MODIFIERS_N; i++)
        if (!met->modifiers[i])
            return modifiers[i].flag;
    return met->settings && met->statuses ? NULL : "settings or statuses";
}

int config_print_manual(FILE *out, FILE *page, char *error, size_t error_size)
{
    struct met met = {0};
    char line[1024];
    bool skipped = false;
    while (fgets(line, sizeof(line), page) != NULL) {
        if (strcmp(line, END) == 0)
            skipped = false;
        if (strncmp(line, FOOTER, strlen(FOOTER)) == 0)
            fprintf(out, FOOTER " reservation-sweeper %s\n", RS_VERSION);
        else if (!skipped)
            fputs(line, out);
        if (strcmp(line, END) == 0 || strncmp(line, MARK, strlen(MARK)) != 0)
            continue;
        char *what = line + strlen(MARK);
        what[strcspn(what, "}")] = '\0';
        if (!put_marked(out, what, &met)) {
            (void)snprintf(error, error_size, "{%.60s}: unknown, or there twice", what);
            return -1;
        }
        skipped = true;
    }
    const char *absent = missing(&met);
    if (absent == NULL)
        return 0;
    (void)snprintf(error, error_size, "the page has no entry for %s", absent);
    return -1;
}
