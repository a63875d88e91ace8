/* The tables of settings, modes and modifiers. What is here is all that the command line, the
 * environment, --help and docs/CONFIGURATION.md know of them. */
#include "config/config_table.h"

#include <assert.h>
#include <stdio.h>

const struct setting settings[SETTINGS_N] = {
    [SETTING_DATABASE_URL] =
        {
            .variable = "DATABASE_URL",
            .file_variable = "DATABASE_URL_FILE",
            .flag = "--database-url",
            .operand = "URL",
            .preset = "",
            .preset_shown = "libpq's own (`PG*`)",
            .type = SETTING_CONNINFO,
            .secret = true,
            .help = "where Postgres is: any libpq URI or conninfo string",
            .offset = offsetof(struct config, conninfo),
        },
    [SETTING_REDIS_URL] =
        {
            .variable = "REDIS_URL",
            .file_variable = "REDIS_URL_FILE",
            .flag = "--redis-url",
            .operand = "URL",
            .preset = "redis://127.0.0.1:6379/0",
            .type = SETTING_REDIS,
            .secret = true,
            .help = "where Redis is: `redis://[user:password@]host:port/db`, `rediss://…`, "
                    "`unix:///path?db=N`, `redis+sentinel://host,host/SERVICE/db`, "
                    "`redis+cluster://host:port,host:port`; with rediss in place of redis: TLS",
            .offset = offsetof(struct config, redis),
        },
    [SETTING_QUEUES_FILE] =
        {
            .variable = "SWEEPER_QUEUES_FILE",
            .other_variable = "SWEEPER_QUEUES",
            .flag = "--queues",
            .operand = "FILE",
            .preset_shown = "none",
            .type = SETTING_QUEUES,
            .help = "the file of queues, whose text itself may be given in `SWEEPER_QUEUES`; "
                    "without it one queue is served, `reservations`",
        },
    [SETTING_KEY_PREFIX] =
        {
            .variable = "SWEEPER_KEY_PREFIX",
            .flag = "--key-prefix",
            .operand = "TEXT",
            .preset = "reservations",
            .type = SETTING_PREFIX,
            .help = "the hash tag that all keys in Redis begin with: `{reservations}:pending`; of "
                    "a file's queues it is the name, `{NAME}:pending`, or both, "
                    "`{TEXT:NAME}:pending`",
            .offset = offsetof(struct config, key_prefix),
        },
    [SETTING_BATCH_SIZE] =
        {
            .variable = "SWEEPER_BATCH_SIZE",
            .flag = "--batch-size",
            .operand = "N",
            .preset = "500",
            .type = SETTING_INT,
            .min = "1",
            .max = "5000",
            .help = "most reservations in one transaction",
            .offset = offsetof(struct config, batch_size),
        },
    [SETTING_WORKERS] =
        {
            .variable = "SWEEPER_WORKERS",
            .flag = "--workers",
            .operand = "N",
            .preset = "1",
            .type = SETTING_INT,
            .min = "1",
            .max = "16",
            .help = "batches in flight at once, each on its own Postgres connection; more drain a "
                    "backlog faster, at the checkouts' cost",
            .offset = offsetof(struct config, workers),
        },
    [SETTING_PACE] =
        {
            .variable = "SWEEPER_PACE",
            .flag = "--pace",
            .operand = "TIME",
            .preset = "5ms",
            .type = SETTING_DURATION,
            .min = "0ms",
            .max = "10s",
            .help =
                "under load, the least time between the starts of two batches, so that they fill; "
                "what comes due after a quiet moment is released at once, and a full batch never "
                "waits; `0ms`: no pacing",
            .offset = offsetof(struct config, pace_us),
        },
    {
        .variable = "SWEEPER_LEASE",
        .flag = "--lease",
        .operand = "TIME",
        .preset = "10s",
        .type = SETTING_DURATION,
        .min = "1s",
        .max = "10m",
        .help = "how long a claimed reservation stays with the sweeper that claimed it",
        .offset = offsetof(struct config, lease_us),
    },
    [SETTING_LOCK_TIMEOUT] =
        {
            .variable = "SWEEPER_LOCK_TIMEOUT",
            .flag = "--lock-timeout",
            .operand = "TIME",
            .preset = "20ms",
            .type = SETTING_DURATION,
            .min = "1ms",
            .max = "900ms",
            .note =
                "a wait must end before Postgres looks for deadlocks (its deadlock_timeout is 1 s "
                "by default)",
            .help = "how long a release may wait for a product's row that a checkout holds",
            .offset = offsetof(struct config, lock_timeout_us),
        },
    {
        .variable = "SWEEPER_MAX_SLEEP",
        .flag = "--max-sleep",
        .operand = "TIME",
        .preset = "500ms",
        .type = SETTING_DURATION,
        .min = "1ms",
        .max = "60s",
        .help = "the longest sleep between two claims, whatever is due next",
        .offset = offsetof(struct config, max_sleep_us),
    },
    [SETTING_LOOKAHEAD] =
        {
            .variable = "SWEEPER_LOOKAHEAD",
            .flag = "--lookahead",
            .operand = "TIME",
            .preset = "60s",
            .type = SETTING_DURATION,
            .min = "1s",
            .max = "24h",
            .off_allowed = true,
            .help = "the feed mirrors what expires within this time; `off`: the API mirrors "
                    "everything itself",
            .offset = offsetof(struct config, lookahead_us),
        },
    [SETTING_FEED] =
        {
            .variable = "SWEEPER_FEED_INTERVAL",
            .flag = "--feed-interval",
            .operand = "TIME",
            .preset = "15s",
            .type = SETTING_DURATION,
            .min = "100ms",
            .max = "1h",
            .help = "how often the feed polls Postgres; shorter than the look-ahead",
            .offset = offsetof(struct config, feed_interval_us),
        },
    [SETTING_SCAN] =
        {
            .variable = "SWEEPER_SCAN_INTERVAL",
            .other_variable = "SWEEPER_RECONCILE_INTERVAL",
            .flag = "--scan-interval",
            .other_flag = "--reconcile-interval",
            .operand = "TIME",
            .preset = "5m",
            .type = SETTING_DURATION,
            .min = "1s",
            .max = "24h",
            .off_allowed = true,
            .help =
                "how often the daemon scans Postgres for due reservations that no entry in Redis "
                "leads to",
            .offset = offsetof(struct config, scan_interval_us),
        },
    [SETTING_FIRST_RUN_LIMIT] =
        {
            .variable = "SWEEPER_FIRST_RUN_LIMIT",
            .flag = "--first-run-limit",
            .operand = "N",
            .preset = "off",
            .type = SETTING_INT,
            .min = "0",
            .max = "1000000000",
            .off_allowed = true,
            .help = "a queue that finds more than this many due when it is first served, when its "
                    "table, `active`, `after` or expiry has changed, or with `--once`, releases "
                    "nothing and says so, until it is started with `--yes` or a higher limit",
            .offset = offsetof(struct config, first_run_limit),
        },
    {
        .variable = "SWEEPER_PREPARE",
        .flag = "--prepare",
        .operand = "WHEN",
        .preset = "auto",
        .type = SETTING_PREPARE,
        .help = "named prepared statements: `auto`: where no pooler is in between; `on`: also "
                "behind one that keeps them for its clients (PgBouncer from 1.21 on); `off`",
        .offset = offsetof(struct config, prepare),
    },
    {
        .variable = "SWEEPER_SYNCHRONOUS_COMMIT",
        .flag = "--synchronous-commit",
        .operand = "WHEN",
        .preset = "on",
        .type = SETTING_SWITCH,
        .help = "`off`: the daemon's releases do not wait for Postgres's disk; what a crash undoes "
                "of them is released again. Not used through a pooler, nor with `also`, `call`, "
                "`notify`, or triggers or rules of the shop's. `on`: as the server has it",
        .offset = offsetof(struct config, synchronous_commit),
    },
    {
        .variable = "SWEEPER_SHUTDOWN_GRACE",
        .flag = "--shutdown-grace",
        .operand = "TIME",
        .preset = "8s",
        .type = SETTING_DURATION,
        .min = "0s",
        .max = "10m",
        .help = "how long an orderly stop may take",
        .offset = offsetof(struct config, shutdown_grace_us),
    },
    {
        .variable = "SWEEPER_HTTP_LISTEN",
        .flag = "--http-listen",
        .operand = "ADDRESS",
        .preset = "127.0.0.1:9464",
        .type = SETTING_LISTEN,
        .empty_allowed = true,
        .help = "HTTP address; empty: none",
        .offset = offsetof(struct config, http_host),
    },
    [SETTING_ADMIN_TOKEN] =
        {
            .variable = "SWEEPER_ADMIN_TOKEN",
            .file_variable = "SWEEPER_ADMIN_TOKEN_FILE",
            .preset_shown = "none",
            .type = SETTING_TOKEN,
            .secret = true,
            .help =
                "the bearer token for requests that change something; without one they answer 403",
            .offset = offsetof(struct config, admin_token),
        },
    [SETTING_READ_TOKEN] =
        {
            .variable = "SWEEPER_READ_TOKEN",
            .file_variable = "SWEEPER_READ_TOKEN_FILE",
            .preset_shown = "none",
            .type = SETTING_TOKEN,
            .secret = true,
            .help = "if set, what is read over HTTP wants this bearer token or the admin token, "
                    "but for `/healthz`, `/readyz` and the page itself",
            .offset = offsetof(struct config, read_token),
        },
    {
        .variable = "SWEEPER_REDIS_CA",
        .flag = "--redis-ca",
        .operand = "FILE",
        .preset_shown = "the system's",
        .type = SETTING_FILE,
        .help = "CA file for `rediss://`",
        .offset = offsetof(struct config, redis_ca),
    },
    {
        .variable = "SWEEPER_LOG_LEVEL",
        .other_variable = "LOG_LEVEL",
        .flag = "--log-level",
        .operand = "LEVEL",
        .preset = "INFO",
        .type = SETTING_LEVEL,
        .help = "records of this level and of those before it are written",
        .offset = offsetof(struct config, log.level),
    },
    {
        .variable = "SWEEPER_LOG_FORMAT",
        .flag = "--log-format",
        .operand = "FORMAT",
        .preset = "auto",
        .type = SETTING_FORMAT,
        .help = "`auto`: text on a terminal, JSON otherwise",
        .offset = offsetof(struct config, log.format),
    },
    {
        .variable = "SWEEPER_SERVICE_NAME",
        .flag = "--service-name",
        .operand = "TEXT",
        .preset = "reservation-sweeper",
        .type = SETTING_NAME,
        .help = "the `service` in log records",
        .offset = offsetof(struct config, service_name),
    },
};

const struct setting *const secret_settings[CONFIG_SECRETS_N] = {
    [CONFIG_POSTGRES] = &settings[SETTING_DATABASE_URL],
    [CONFIG_REDIS] = &settings[SETTING_REDIS_URL],
    [CONFIG_ADMIN_TOKEN] = &settings[SETTING_ADMIN_TOKEN],
    [CONFIG_READ_TOKEN] = &settings[SETTING_READ_TOKEN],
};

const struct mode_flag modes[MODES_N] = {
    {"--once", NULL, 0, MODE_ONCE,
     "release every expired reservation in Postgres, then exit; works without Redis"},
    {"--reconcile", NULL, 0, MODE_RECONCILE,
     "compare Postgres, Redis and the stock counters, repair what differs, then exit"},
    {"--status", NULL, 0, MODE_STATUS,
     "print queue depth, what is overdue, the next due time, failures and clocks"},
    {"--healthcheck", NULL, 0, MODE_HEALTHCHECK,
     "ask the daemon's own /readyz on this host; exit 0 or 1"},
    {"--check-config", NULL, 0, MODE_CHECK_CONFIG,
     "check settings, both servers, tables, columns and grants; change nothing"},
    {"--show-sql", NULL, 0, MODE_SHOW_SQL,
     "print every statement, as made for this database, and the grants that they need"},
    {"--rehearse", "N", 0, MODE_REHEARSE,
     "release up to N due reservations a queue, roll back, print what would change"},
    {"--pause", "[TIME]", 0, MODE_PAUSE,
     "release nothing until --resume, or for so long (default 1h, at most 168h)"},
    {"--resume", NULL, 0, MODE_RESUME, "end a pause"},
    {"--init", NULL, 0, MODE_INIT,
     "print a draft of a queues file for tables that look like holds, and exit"},
    {"--explain", "ID", 0, MODE_EXPLAIN,
     "say why a reservation is not released (yet), and what happens next"},
    {"--list", "due|failed|locked|kept", 0, MODE_LIST,
     "print what is due, failed, locked or kept: one line a reservation, oldest first"},
    {"--retry", "ID|all", 0, MODE_RETRY,
     "have failed or kept reservations tried at once, whatever their back-off"},
    {"--forget", "ID|all", 0, MODE_FORGET,
     "remove records of failures from Redis; what is still refused comes back"},
    {"--help", NULL, 'h', MODE_HELP, "print a summary of modes and settings"},
    {"--version", NULL, 'V', MODE_VERSION,
     "print version and revision, and the versions of hiredis, libpq and libevent"},
};

#define LISTS "--list, --retry all or --forget all"

const struct modifier_flag modifiers[MODIFIERS_N] = {
    [MODIFIER_DRY_RUN] = {"--dry-run", NULL, "--once or --reconcile",
                          "report, change nothing anywhere"},
    [MODIFIER_REPAIR_STOCK] = {"--repair-stock", NULL, "--reconcile",
                               "also correct stock counters that drifted"},
    [MODIFIER_REPORT] = {"--report", "FILE", "--reconcile",
                         "write one JSON line for every inconsistency (-: to stdout)"},
    [MODIFIER_MAX_REPAIRS] = {"--max-repairs", "N", "--repair-stock",
                              "beyond this many, only report counters (default " MAX_REPAIRS_PRESET
                              ")"},
    [MODIFIER_QUEUE] = {"--queue", "NAME", "any mode", "this queue only, not all of them"},
    [MODIFIER_YES] = {"--yes", NULL, "the daemon or --once",
                      "go on beyond SWEEPER_FIRST_RUN_LIMIT"},
    [MODIFIER_REASON] = {"--reason", "TEXT", "--pause", "why, for whoever asks"},
    [MODIFIER_EVEN_PAUSED] = {"--even-paused", NULL, "--once", "whether a pause lasts or not"},
    [MODIFIER_JSON] = {"--json", NULL, "--status, --list, --explain or --rehearse",
                       "JSON on a terminal too"},
    [MODIFIER_LIMIT] = {"--limit", "N", LISTS, "at most so many (--list: 100)"},
    [MODIFIER_PRODUCT] = {"--product", "KEY", LISTS, "only those of this product"},
    [MODIFIER_SQLSTATE] = {"--sqlstate", "CODE", LISTS, "only those refused with this code"},
};

const char *const exit_statuses[EXIT_STATUSES_N] = {
    "done; for the daemon, an orderly stop",
    "it could not do its work: the reason is the last ERROR record",
    "the command line or a setting is wrong",
    "--reconcile: inconsistencies remain",
};

void setting_allowed(const struct setting *s, char *out, size_t size)
{
    static const char *const texts[] = {
        [SETTING_INT] = "a whole number",
        [SETTING_DURATION] = "a duration",
        [SETTING_CONNINFO] = "a libpq URI or conninfo string",
        [SETTING_REDIS] =
            "a URL: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://",
        [SETTING_LISTEN] = "host:port, :port or [IPv6]:port, with a port from 1 to 65535; or empty",
        [SETTING_PREFIX] = "1 to 64 bytes without braces",
        [SETTING_NAME] = "1 to 64 bytes",
        [SETTING_TOKEN] = "at least 16 bytes, without blanks",
        [SETTING_FILE] = "a file that can be read",
        [SETTING_QUEUES] = "a file that can be read, of at most 1 MiB",
        [SETTING_LEVEL] = "ERROR, WARN, INFO or DEBUG",
        [SETTING_FORMAT] = "json, text or auto",
        [SETTING_PREPARE] = "auto, on or off",
        [SETTING_SWITCH] = "on or off",
    };
    const char *from = s->min == NULL ? "" : " from ";
    const char *to = s->min == NULL ? "" : " to ";
    assert((s->min == NULL) == (s->max == NULL));
    (void)snprintf(out, size, "%s%s%s%s%s%s%s%s", texts[s->type], from,
                   s->min == NULL ? "" : s->min, to, s->min == NULL ? "" : s->max,
                   s->off_allowed ? ", or off" : "", s->note == NULL ? "" : "; ",
                   s->note == NULL ? "" : s->note);
}

const char *setting_preset_shown(const struct setting *s)
{
    assert(s->preset != NULL || s->preset_shown != NULL);
    return s->preset_shown != NULL ? s->preset_shown : s->preset;
}
