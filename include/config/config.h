/* Settings: one table (name, flag, default, range, help) drives flags, environment, --help and
 * docs/CONFIGURATION.md. A flag wins over its variable; a bad value is never replaced silently. */
#ifndef RS_CONFIG_H
#define RS_CONFIG_H

#include "base/log.h"
#include "base/parse.h"
#include "link/pg_link.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum mode {
    MODE_DAEMON,
    MODE_ONCE,
    MODE_RECONCILE,
    MODE_STATUS,
    MODE_HEALTHCHECK,
    MODE_CHECK_CONFIG,
    MODE_SHOW_SQL,
    MODE_REHEARSE,
    MODE_PAUSE,
    MODE_RESUME,
    MODE_INIT,
    MODE_EXPLAIN,
    MODE_LIST,
    MODE_RETRY,
    MODE_FORGET,
    MODE_HELP,
    MODE_VERSION,
};

/* --list WHAT */
enum list_what { LIST_DUE, LIST_FAILED, LIST_LOCKED, LIST_KEPT, LIST_KINDS };

/* What can be given as a file's name. */
enum config_secret {
    CONFIG_POSTGRES,
    CONFIG_REDIS,
    CONFIG_ADMIN_TOKEN,
    CONFIG_READ_TOKEN,
    CONFIG_SECRETS_N
};

/* A setting that was given by its former name. */
struct config_former {
    const char *former; /* the flag or variable that was given */
    const char *name;   /* what it is called now */
    const char *counts; /* the flag or variable whose value counts */
};

#define CONFIG_FORMER_MAX 2 /* for each setting that was renamed a flag and a variable */

struct queue;
struct queues;

struct config_file {
    const char *path;     /* borrowed from the environment; NULL: the value came from elsewhere */
    const char *variable; /* that holds the path */
    char *text;           /* what it contained, without the newline at its end */
};

struct config {
    enum mode mode;
    bool dry_run;
    bool repair_stock;
    bool json;
    bool yes;     /* go on beyond first_run_limit */
    char *report; /* --report FILE, NULL without */
    int64_t max_repairs;
    int64_t rehearse; /* --rehearse N: of each queue */
    int64_t pause_us; /* --pause DURATION */
    char *reason;     /* --reason TEXT, NULL without */
    bool even_paused;
    char *queue_name; /* --queue NAME, NULL without: all of them */
    enum list_what list;
    char *reservation;  /* --explain, --retry, --forget ID; NULL: `all` */
    int64_t list_limit; /* --limit N; 0 without */
    char *product;      /* --product KEY, NULL without */
    char *sqlstate;     /* --sqlstate CODE, NULL without */

    /* See config/queues.h: each queue has settings of its own. Here it is the first of them. */
    struct queues *queues;
    const struct queue *queue;

    /* As they were at the start; what is in use is asked of struct secrets. */
    struct config_file files[CONFIG_SECRETS_N];
    char *conninfo; /* for libpq; "" leaves everything to PG*; from DATABASE_URL or DB_* */
    struct redis_url redis;
    bool redis_configured; /* false: nothing was set, redis holds the default URL */
    char *key_prefix;
    int batch_size;
    int workers;
    int64_t pace_us;
    int64_t lease_us;
    int64_t lock_timeout_us;
    int64_t max_sleep_us;
    int64_t lookahead_us; /* 0: off */
    int64_t feed_interval_us;
    int64_t scan_interval_us; /* 0: off */
    int first_run_limit;      /* -1: off */
    enum pg_prepare prepare;
    bool synchronous_commit; /* false: releases need not wait for the disk */
    int64_t shutdown_grace_us;
    char *http_host; /* NULL: no HTTP; "": all addresses */
    int http_port;
    char *admin_token; /* NULL: none */
    char *read_token;  /* NULL: whoever reaches the HTTP address may read */
    char *redis_ca;    /* NULL: the system's */
    struct log_options log;
    char *service_name;

    struct config_former former[CONFIG_FORMER_MAX + 1]; /* the last one's names are NULL */
};

/* Reads the command line and the environment (getenv) into *c.
 * Returns 0, or -1 with one sentence in `error` (no newline) that names the flag or variable,
 * the value and what is allowed; secret values are not repeated. *c must be zeroed before and is
 * to be cleared in both cases. Secret values are overwritten in argv, for the process title. With
 * MODE_HELP and MODE_VERSION the settings are not read. */
int config_read(struct config *c, int argc, char **argv, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Says at WARN of each variable that begins with SWEEPER_ and is neither a setting nor named by a
 * queue's `database` what it may have been meant for. The log must have been set up. */
void config_warn_unknown(const struct config *config);

/* Says at WARN of each former name by which a setting was given what it is called now. The log must
 * have been set up. */
void config_warn_former(const struct config *config);

/* Frees all that config_read put into *c, whatever it returned, and zeroes it. */
void config_clear(struct config *c);

/* Writes the text of --help, made from the table of settings. */
void config_print_help(FILE *out);

/* Writes docs/CONFIGURATION.md, made from the tables of settings, modes and modifiers. */
void config_print_document(FILE *out);

/* Where Postgres is, for logs: "host=... port=... dbname=..." without password or other options;
 * malloc'd, "libpq's defaults" when conninfo is empty. */
char *config_describe_postgres(const struct config *c);

/* Where Redis is, for logs: "host:port/db" or "unix:/path?db=N"; malloc'd. */
char *config_describe_redis(const struct config *c);

#endif
