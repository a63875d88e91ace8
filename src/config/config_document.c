/* docs/CONFIGURATION.md, from the tables. */
#include "config/queue_keys.h"

#include <limits.h>

static void put_intro(FILE *out)
{
    fprintf(
        out,
        "# Configuration\n"
        "\n"
        "`make docs` writes this page from the tables that the program itself uses\n"
        "(`src/config/config_table.c`); a test compares both. `reservation-sweeper --help` says "
        "the same in\n"
        "short, `--check-config` proves what is set against both servers.\n"
        "\n"
        "```\n"
        "reservation-sweeper [mode] [settings]\n"
        "```\n"
        "\n"
        "- [Settings](#settings)\n"
        "- [Values from files](#values-from-files)\n"
        "- [The queues file](#the-queues-file)\n"
        "- [Addresses in parts](#addresses-in-parts)\n"
        "- [Modes](#modes)\n"
        "- [Modifiers](#modifiers)\n"
        "- [Exit statuses](#exit-statuses)\n");
}

static void put_setting(FILE *out, const struct setting *s)
{
    const char *mark = s->preset_shown == NULL ? "`" : "";
    char allowed[320];
    fprintf(out, "| `%s`", s->variable);
    if (s->other_variable != NULL)
        fprintf(out, " (else `%s`)", s->other_variable);
    if (s->flag != NULL)
        fprintf(out, " | `%s`", s->flag);
    else
        fputs(" | none", out);
    if (s->other_flag != NULL)
        fprintf(out, " (else `%s`)", s->other_flag);
    setting_allowed(s, allowed, sizeof(allowed));
    fprintf(out, " | %s%s%s | %s | %s |\n", mark, setting_preset_shown(s), mark, allowed, s->help);
}

static void put_settings(FILE *out)
{
    fputs(
        "\n"
        "## Settings\n"
        "\n"
        "Each is an environment variable and a flag. The flag wins over the variable, the variable "
        "over a\n"
        "former or shared name of it (*else*), and all of them over the default. An empty variable "
        "counts as\n"
        "unset, unless empty is allowed. Durations take a unit: `us`, `ms`, `s`, `m`, `h`. An "
        "unknown flag or\n"
        "a value that is not allowed is exit status 2, with one line on stderr, never a silent "
        "default. An\n"
        "unknown variable that begins with `SWEEPER_` is a WARN with the nearest known name, a "
        "former name one\n"
        "with the new name: [UPGRADING.md](UPGRADING.md#renamed-settings).\n"
        "\n"
        "| variable | flag | default | allowed | meaning |\n"
        "| --- | --- | --- | --- | --- |\n",
        out);
    for (int i = 0; i < SETTINGS_N; i++)
        put_setting(out, &settings[i]);
}

static void put_notes(FILE *out)
{
    fputs("\n"
          "What libpq, or the server, would refuse at every attempt (`sslmode=bogus`, an unknown "
          "`service`,\n"
          "`replication=database`) is exit status 2. A URL with several hosts means the one that "
          "can be written to\n"
          "(`target_session_attrs=read-write`), unless it says otherwise. A URL with an ORM's own "
          "parameters\n"
          "(`?schema=`, `?pgbouncer=`) is exit status 2: leave them out. Passwords never appear in "
          "logs, in\n"
          "`--help`, in `/status` or in the process title.\n",
          out);
}

static void put_files(FILE *out)
{
    fputs(
        "\n"
        "## Values from files\n"
        "\n"
        "A variable that ends in `_FILE` names a file that holds the value; one newline at its end "
        "does not\n"
        "count. It is not allowed together with the variable itself. The file is read anew at each "
        "attempt to\n"
        "connect (the token: with each request that needs it), and on SIGHUP. While it is missing "
        "or unusable,\n"
        "what it last contained stays in use, and the log says why. A pipe is read once.\n"
        "\n"
        "| variable | in place of |\n"
        "| --- | --- |\n",
        out);
    for (int i = 0; i < SETTINGS_N; i++)
        if (settings[i].file_variable != NULL)
            fprintf(out, "| `%s` | `%s` |\n", settings[i].file_variable, settings[i].variable);
}

static void put_queues(FILE *out)
{
    fputs(
        "\n"
        "## The queues file\n"
        "\n"
        "A shop describes its holds in YAML, in the file that `SWEEPER_QUEUES_FILE` names. Each "
        "key at "
        "the top is\n"
        "a queue; its name (1 to 40 letters, digits, `-` and `_`) is what its keys in Redis begin "
        "with, and its\n"
        "label in metrics and logs. Every value is text, and nothing is guessed. In SQL the hold's "
        "row is `r`, the\n"
        "counter's `i`; columns may stand without it. The file has at most 1 MiB and 256 queues.\n"
        "\n"
        "SQL stands on one line, or is a literal block (`|`). What YAML would shorten or bend is "
        "exit "
        "status 2,\n"
        "with the file and the line: text behind ` #`, `--` or `/*` in SQL that is no block, a "
        "tag, "
        "an anchor, an\n"
        "alias, `<<`, an empty value, a mapping or a list where SQL is wanted, a second document. "
        "So "
        "are a key or\n"
        "a queue that is there twice, and an unknown key, with the nearest.\n",
        out);
    queue_keys_print(out);
}

static void put_part(FILE *out, const struct address_part *part, const char *url)
{
    fprintf(out, "| `%s` | `%s` | %s | ", part->variable, url,
            part->preset == NULL ? "libpq's own (`PG*`)" : part->preset);
    if (part->max == 0)
        fputs("any text", out);
    else if (part->max == INT_MAX)
        fprintf(out, "a whole number from %d", part->min);
    else
        fprintf(out, "a whole number from %d to %d", part->min, part->max);
    fprintf(out, " | %s |\n", part->what);
}

static void put_parts(FILE *out)
{
    fputs(
        "\n"
        "## Addresses in parts\n"
        "\n"
        "An API that sets these shares its environment unchanged. They are used where the URL is "
        "not set, and\n"
        "win over libpq's own variables (`PGHOST`, `PGPORT`, `PGDATABASE`, `PGUSER`, `PGPASSWORD` "
        "and so on).\n"
        "\n"
        "| variable | where this is not set | default | allowed | meaning |\n"
        "| --- | --- | --- | --- | --- |\n",
        out);
    for (int i = 0; i < DATABASE_PARTS_N; i++)
        put_part(out, &database_parts[i], settings[SETTING_DATABASE_URL].variable);
    for (int i = 0; i < REDIS_PARTS_N; i++)
        put_part(out, &redis_parts[i], settings[SETTING_REDIS_URL].variable);
}

static void put_modes(FILE *out)
{
    fputs("\n"
          "## Modes\n"
          "\n"
          "At most one is given. Those that end by themselves try to connect for 5 s.\n"
          "\n"
          "| mode | what it does |\n"
          "| --- | --- |\n"
          "| (none) | run as a daemon until SIGTERM or SIGINT |\n",
          out);
    for (int i = 0; i < MODES_N; i++) {
        fputs("| ", out);
        if (modes[i].letter != 0)
            fprintf(out, "`-%c`, ", modes[i].letter);
        fprintf(out, "`%s%s%s` | %s |\n", modes[i].flag, modes[i].operand == NULL ? "" : " ",
                modes[i].operand == NULL ? "" : modes[i].operand, modes[i].help);
    }
}

static void put_modifiers(FILE *out)
{
    fputs("\n"
          "## Modifiers\n"
          "\n"
          "One without its mode is exit status 2.\n"
          "\n"
          "| modifier | goes with | meaning |\n"
          "| --- | --- | --- |\n",
          out);
    for (int i = 0; i < MODIFIERS_N; i++)
        fprintf(out, "| `%s%s%s` | %s | %s |\n", modifiers[i].flag,
                modifiers[i].operand == NULL ? "" : " ",
                modifiers[i].operand == NULL ? "" : modifiers[i].operand, modifiers[i].goes_with,
                modifiers[i].help);
}

static void put_statuses(FILE *out)
{
    fputs("\n"
          "## Exit statuses\n"
          "\n"
          "| status | meaning |\n"
          "| --- | --- |\n",
          out);
    for (int i = 0; i < EXIT_STATUSES_N; i++)
        fprintf(out, "| %d | %s |\n", i, exit_statuses[i]);
}

void config_print_document(FILE *out)
{
    put_intro(out);
    put_settings(out);
    put_notes(out);
    put_files(out);
    put_queues(out);
    put_parts(out);
    put_modes(out);
    put_modifiers(out);
    put_statuses(out);
}
