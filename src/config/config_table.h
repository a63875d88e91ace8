/* What the files of config share: the tables of settings, modes and modifiers, and the reading of
 * one value. */
#ifndef RS_CONFIG_TABLE_H
#define RS_CONFIG_TABLE_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

enum setting_type {
    SETTING_INT,      /* int; "off" is -1 */
    SETTING_DURATION, /* int64_t, microseconds */
    SETTING_CONNINFO, /* char *, for libpq */
    SETTING_REDIS,    /* struct redis_url */
    SETTING_LISTEN,   /* http_host and http_port */
    SETTING_PREFIX,   /* char * */
    SETTING_NAME,     /* char * */
    SETTING_TOKEN,    /* char * */
    SETTING_FILE,     /* char *, the name of a file that can be read */
    SETTING_QUEUES,   /* read by config_queues_read, see queues.c */
    SETTING_LEVEL,    /* enum log_level */
    SETTING_FORMAT,   /* enum log_format */
    SETTING_PREPARE,  /* enum pg_prepare */
    SETTING_SWITCH,   /* bool */
};

/* Numbers and durations carry their range as text, as an operator would write it: it is shown in
 * errors and in the help, and read by the parser that reads the value. */
struct setting {
    const char *variable;
    const char *file_variable;  /* names a file with the value; NULL: none */
    const char *other_variable; /* read when `variable` is unset; NULL: none */
    const char *flag;           /* NULL: none */
    const char *other_flag;     /* its former name: counts when `flag` is not given; NULL: none.
                                   With it other_variable is a former name, too */
    const char *operand;        /* what the flag takes, for the help */
    const char *preset;         /* the default, as an operator would write it; NULL: none */
    const char *preset_shown;   /* how the help calls it, when it is no value; NULL: preset */
    const char *min, *max;
    const char *note; /* added to the error; NULL: none */
    const char *help; /* with `code` marked as in Markdown */
    size_t offset;    /* within struct config */
    enum setting_type type;
    bool off_allowed;   /* DURATION: "off" is 0; INT: it is -1 */
    bool empty_allowed; /* an empty value has a meaning; otherwise it counts as unset */
    bool secret;        /* never repeated in an error */
};

#define SETTINGS_N 24
extern const struct setting settings[SETTINGS_N];

/* Positions that cross-checks and the keys of a queue need. */
enum {
    SETTING_DATABASE_URL = 0,
    SETTING_REDIS_URL = 1,
    SETTING_QUEUES_FILE = 2,
    SETTING_KEY_PREFIX = 3,
    SETTING_BATCH_SIZE = 4,
    SETTING_WORKERS = 5,
    SETTING_PACE = 6,
    SETTING_LOCK_TIMEOUT = 8,
    SETTING_LOOKAHEAD = 10,
    SETTING_FEED = 11,
    SETTING_SCAN = 12,
    SETTING_FIRST_RUN_LIMIT = 13,
    SETTING_ADMIN_TOKEN = 18,
    SETTING_READ_TOKEN = 19,
};

/* The setting that each secret is. */
extern const struct setting *const secret_settings[CONFIG_SECRETS_N];

struct mode_flag {
    const char *flag;
    const char *operand; /* NULL: takes none */
    char letter;         /* 0: none */
    enum mode mode;
    const char *help;
};

#define MODES_N 16
extern const struct mode_flag modes[MODES_N];

enum modifier {
    MODIFIER_DRY_RUN,
    MODIFIER_REPAIR_STOCK,
    MODIFIER_REPORT,
    MODIFIER_MAX_REPAIRS,
    MODIFIER_QUEUE,
    MODIFIER_YES,
    MODIFIER_REASON,
    MODIFIER_EVEN_PAUSED,
    MODIFIER_JSON,
    MODIFIER_LIMIT,
    MODIFIER_PRODUCT,
    MODIFIER_SQLSTATE,
};

struct modifier_flag {
    const char *flag;
    const char *operand; /* NULL: takes none */
    const char *goes_with;
    const char *help;
};

#define MODIFIERS_N 12
extern const struct modifier_flag modifiers[MODIFIERS_N];

/* What each exit status means. */
#define EXIT_STATUSES_N 4
extern const char *const exit_statuses[EXIT_STATUSES_N];

#define REHEARSE_MAX INT64_C(10000)
#define OPERAND_ALL "all" /* of --retry and --forget */
#define LIST_LIMIT_MAX INT64_C(10000)
#define MAX_REPAIRS_PRESET "1000"
#define MAX_REPAIRS_MAX INT64_C(1000000000)

/* Where the one sentence about a failure goes. */
struct config_error {
    char *text;
    size_t size;
};

/* Writes the sentence, without control characters, and returns -1. In config_fail.c. */
int config_fail(const struct config_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* What the command line says. The strings point into argv or are owned, see each. */
struct command_line {
    enum mode mode;
    const char *mode_flag;              /* NULL: the daemon */
    const char *mode_operand;           /* NULL: the mode takes none */
    const char *modifiers[MODIFIERS_N]; /* the operand, "" when it takes none; NULL: not given */
    char *settings[SETTINGS_N];         /* owned; NULL: not given */
    const char *flags[SETTINGS_N];      /* by which flag it was given */
    bool former[SETTINGS_N];            /* given by its former name, whether that counts or not */
};

/* Reads the flags. Values of secret settings are overwritten in argv, so that the process title
 * does not show them. Returns 0 or -1; *line is to be cleared in both cases. */
int command_line_read(struct command_line *line, int argc, char **argv,
                      const struct config_error *error) __attribute__((warn_unused_result));
/* Frees the values that it owns. */
void command_line_clear(struct command_line *line);

/* Checks one value and puts it into *c. `source` is the flag or variable that it came from. */
int setting_apply(struct config *c, const struct setting *s, const char *source, const char *text,
                  const struct config_error *error) __attribute__((warn_unused_result));

/* Why this text cannot be anybody's value, or NULL: a newline at its end, another control
 * character. blanks_allowed: tabs and line breaks may stand within it. */
const char *config_text_fault(const char *text, bool blanks_allowed);

/* Reads a file of at most `max` bytes, malloc'd and terminated; *len: how many there are, max + 1
 * for more of them. again: nothing may block, and what is no regular file (a pipe) is not read a
 * second time. NULL: *reason says why not, or is NULL for a pipe. */
char *config_file_content(const char *path, bool again, size_t max, size_t *len,
                          const char **reason) __attribute__((warn_unused_result));

/* Reads the file that a setting's file variable names: what it holds, without the one line end that
 * editors leave, malloc'd; NULL for a pipe that is read again. Returns 0 or -1. */
int config_file_read(const char *variable, const char *path, bool again, char **out,
                     const struct config_error *error) __attribute__((warn_unused_result));

/* The name of a setting's variable, or of its file's, that is nearest to this one (len bytes).
 * known: it is that very name. */
const char *config_nearest_variable(const char *variable, size_t len, bool *known);

/* How many letters must be put in, left out or changed to make one of the other, each counted as 2;
 * one in the other case counts as 1. Of `a`, len bytes
 * long, no more than CONFIG_NAME_MAX count; b is no longer than that. */
#define CONFIG_NAME_MAX 64
size_t config_distance(const char *a, size_t len, const char *b);

/* What may stand there: "a whole number from 1 to 5000", "a duration from 1s to 24h, or off".
 * Errors and docs/CONFIGURATION.md say it in these words. */
void setting_allowed(const struct setting *s, char *out, size_t size);

/* Notes by which former names a setting was given, for config_warn_former. by_flag: the flag was
 * among them; counts: where its value comes from. In config_former.c. */
void config_former_note(struct config *c, const struct setting *s, bool by_flag,
                        const char *counts);

/* How the default is called: as an operator would write it, or as a phrase. */
const char *setting_preset_shown(const struct setting *s);

/* An environment variable; NULL when it is unset or empty. */
const char *config_getenv(const char *name);

/* The flag or variable that a value came from, and the value as it was written there. */
struct config_given {
    const char *source;
    const char *text;
};

/* What the queues are made from, beside the settings in struct config. */
struct queues_origin {
    struct config_given file; /* the file's name, or the text itself; text NULL: what is built in */
    bool inline_text;         /* file.text is the text itself */
    bool prefix_given;        /* a key prefix was set, not the default's */
    bool again;               /* nothing may block: what is no regular file was read before */
    struct config_given lookahead, feed_interval;
};

/* Reads the queues into c->queues and c->queue; all other settings are there. Keeps copies of what
 * the origin holds. Returns 0 or -1; what was read is c's in both cases. In queues.c. */
int config_queues_read(struct config *c, const struct queues_origin *origin,
                       const struct config_error *error) __attribute__((warn_unused_result));
void config_queues_clear(struct config *c);

/* A variable for a part of a server's address, where the URL is not set. */
struct address_part {
    const char *variable;
    const char *keyword; /* libpq's, for a part of Postgres's address */
    const char *preset;  /* NULL: what libpq says */
    const char *what;
    int min, max; /* of a number; 0 and 0: it is a text */
};

#define DATABASE_PARTS_N 5
#define REDIS_PARTS_N 4
extern const struct address_part database_parts[DATABASE_PARTS_N];
extern const struct address_part redis_parts[REDIS_PARTS_N];

/* DB_HOST and its like into c->conninfo, REDIS_HOST and its like into c->redis, where any of them
 * is set; *found says whether. */
int config_read_database_parts(struct config *c, bool *found, const struct config_error *error)
    __attribute__((warn_unused_result));
int config_read_redis_parts(struct config *c, bool *found, const struct config_error *error)
    __attribute__((warn_unused_result));

#endif
