/* Completion for bash and zsh, from the tables: `make` writes both, `make install` installs them.
 */
#include "config/config_table.h"
#include "config/generated.h"

#include <stdio.h>
#include <string.h>

#define WORDS 192

/* The words that a setting may be, "" where there is no list of them. */
static const char *setting_words(const struct setting *s)
{
    switch (s->type) {
    case SETTING_LEVEL:
        return "ERROR WARN INFO DEBUG";
    case SETTING_FORMAT:
        return "json text auto";
    case SETTING_PREPARE:
        return "auto on off";
    case SETTING_SWITCH:
        return "on off";
    default:
        return "";
    }
}

static bool takes_file(const struct setting *s)
{
    return s->type == SETTING_FILE || s->type == SETTING_QUEUES;
}

/* Of an operand such as "ID|all" the words that stand for themselves, which are in small letters.
 */
static const char *operand_words(const char *operand, char out[WORDS])
{
    size_t n = 0;
    out[0] = '\0';
    bool more = strchr(operand, '|') != NULL;
    while (more) {
        size_t len = strcspn(operand, "|");
        if (strspn(operand, "abcdefghijklmnopqrstuvwxyz") == len)
            n +=
                (size_t)snprintf(out + n, WORDS - n, "%s%.*s", n > 0 ? " " : "", (int)len, operand);
        more = operand[len] != '\0';
        operand += len + 1;
    }
    return out;
}

static bool is_optional(const char *operand)
{
    return operand[0] == '[';
}

/* ---- what a modifier goes with ---- */

/* Writes a condition of both shells: `given` holds the flags so far, each between blanks, `mode`
 * the mode, "" for the daemon. */
static void put_condition(FILE *out, const struct modifier_flag *m)
{
    const char *at = m->goes_with;
    const char * or = "";
    if (strstr(at, "any mode") != NULL) {
        fputs("true", out);
        return;
    }
    fputs("[[ ", out);
    if (strstr(at, "daemon") != NULL) {
        fprintf(out, "-z $mode");
        or = " || ";
    }
    while ((at = strstr(at, "--")) != NULL) {
        size_t len = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
        fprintf(out, "%s$given == *\" %.*s \"*", or, (int)len, at);
        or = " || ";
        at += len;
    }
    fputs(" ]]", out);
}

/* ---- bash ---- */

static void bash_words(FILE *out, const char *flag, const char *words)
{
    fprintf(out, "    %s)\n        COMPREPLY=($(compgen -W \"%s\" -- \"$word\"))\n", flag, words);
    fputs("        return ;;\n", out);
}

static void bash_values(FILE *out)
{
    char words[WORDS];
    for (int i = 0; i < SETTINGS_N; i++)
        if (settings[i].flag != NULL && setting_words(&settings[i])[0] != '\0')
            bash_words(out, settings[i].flag, setting_words(&settings[i]));
    for (int i = 0; i < MODES_N; i++)
        if (modes[i].operand != NULL && operand_words(modes[i].operand, words)[0] != '\0')
            bash_words(out, modes[i].flag, words);

    fputs("    ", out);
    for (int i = 0; i < SETTINGS_N; i++)
        if (settings[i].flag != NULL && takes_file(&settings[i]))
            fprintf(out, "%s | ", settings[i].flag);
    fprintf(out,
            "%s)\n"
            "        compopt -o filenames 2>/dev/null\n"
            "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
            "        return ;;\n"
            "    ",
            modifiers[MODIFIER_REPORT].flag);

    const char * or = "";
    for (int i = 0; i < SETTINGS_N; i++)
        if (settings[i].flag != NULL) {
            fprintf(out, "%s%s", or, settings[i].flag);
            or = " | ";
        }
    for (int i = 0; i < MODES_N; i++)
        if (modes[i].operand != NULL && !is_optional(modes[i].operand))
            fprintf(out, "%s%s", or, modes[i].flag);
    for (int i = 0; i < MODIFIERS_N; i++)
        if (modifiers[i].operand != NULL)
            fprintf(out, "%s%s", or, modifiers[i].flag);
    fputs(") # anything\n        return ;;\n", out);
}

void config_print_bash(FILE *out)
{
    fputs("# bash completion for reservation-sweeper, made from the program's own tables.\n"
          "_reservation_sweeper()\n"
          "{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local given=\" ${COMP_WORDS[*]:1:COMP_CWORD-1} \" mode= offered= flag modes=\"",
          out);
    for (int i = 0; i < MODES_N; i++)
        fprintf(out, "%s%s", i > 0 ? " " : "", modes[i].flag);
    fputs("\"\n"
          "    COMPREPLY=()\n"
          "    if [[ $word == = ]]; then # --flag=\n"
          "        word=\n"
          "    elif [[ $before == = ]]; then\n"
          "        before=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    case $before in\n",
          out);
    bash_values(out);
    fputs("    esac\n"
          "    for flag in $modes; do\n"
          "        [[ $given == *\" $flag \"* ]] && mode=$flag\n"
          "    done\n"
          "    [[ -z $mode ]] && offered=$modes\n",
          out);
    for (int i = 0; i < MODIFIERS_N; i++) {
        fputs("    ", out);
        put_condition(out, &modifiers[i]);
        fprintf(out, " && offered+=\" %s\"\n", modifiers[i].flag);
    }
    fputs("    offered+=\"", out);
    for (int i = 0; i < SETTINGS_N; i++)
        if (settings[i].flag != NULL)
            fprintf(out, " %s", settings[i].flag);
    fputs("\"\n"
          "    for flag in $offered; do\n"
          "        [[ $given == *\" $flag \"* ]] && continue\n"
          "        [[ $flag == \"$word\"* ]] && COMPREPLY+=(\"$flag\")\n"
          "    done\n"
          "}\n"
          "complete -F _reservation_sweeper reservation-sweeper\n",
          out);
}

/* ---- zsh ---- */

/* Within single quotes and brackets of _arguments, without Markdown. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text) != NULL)
            fprintf(out, "\\%c", *text);
        else if (*text != '`')
            fputc(*text, out);
}

/* What follows a flag: its operand, and what completes that. */
static void zsh_operand(FILE *out, const char *operand, const char *words, bool file)
{
    fputs(operand[0] == '[' ? "::" : ":", out);
    zsh_text(out, operand);
    if (file)
        fputs(":_files", out);
    else if (words[0] != '\0')
        fprintf(out, ":(%s)", words);
    else
        fputs(": ", out);
}

static void zsh_flag(FILE *out, const char *flag, const char *help, const char *operand,
                     const char *words, bool file)
{
    fprintf(out, "'%s%s[", flag, operand != NULL ? "=" : "");
    zsh_text(out, help);
    fputc(']', out);
    if (operand != NULL)
        zsh_operand(out, operand, words, file);
    fputs("'", out);
}

static void zsh_modes(FILE *out)
{
    char words[WORDS];
    for (int i = 0; i < MODES_N; i++) {
        fprintf(out, "    [[ -z $mode || $mode == %s ]] && offered+=(", modes[i].flag);
        zsh_flag(out, modes[i].flag, modes[i].help, modes[i].operand,
                 modes[i].operand != NULL ? operand_words(modes[i].operand, words) : "", false);
        fputs(")\n", out);
    }
}

void config_print_zsh(FILE *out)
{
    fputs("#compdef reservation-sweeper\n"
          "# zsh completion for reservation-sweeper, made from the program's own tables.\n"
          "local given=\" ${words[2,CURRENT-1]} \" mode= flag\n"
          "local -a offered\n"
          "() {\n"
          "    for flag in",
          out);
    for (int i = 0; i < MODES_N; i++)
        fprintf(out, " %s", modes[i].flag);
    fputs("; do\n"
          "        [[ $given == *\" $flag \"* ]] && mode=$flag\n"
          "    done\n",
          out);
    zsh_modes(out);
    for (int i = 0; i < MODIFIERS_N; i++) {
        fputs("    ", out);
        put_condition(out, &modifiers[i]);
        fputs(" && offered+=(", out);
        zsh_flag(out, modifiers[i].flag, modifiers[i].help, modifiers[i].operand, "",
                 i == MODIFIER_REPORT);
        fputs(")\n", out);
    }
    fputs("    offered+=(\n", out);
    for (int i = 0; i < SETTINGS_N; i++)
        if (settings[i].flag != NULL) {
            fputs("        ", out);
            zsh_flag(out, settings[i].flag, settings[i].help, settings[i].operand,
                     setting_words(&settings[i]), takes_file(&settings[i]));
            fputc('\n', out);
        }
    fputs("    )\n"
          "}\n"
          "_arguments -S $offered\n",
          out);
}
