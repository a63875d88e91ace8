/* The modes of the program. Each runs to its end and returns the exit status. */
#ifndef RS_MODES_H
#define RS_MODES_H

struct config;

#define EXIT_DONE 0         /* also an orderly stop */
#define EXIT_FAILED 1       /* it could not do its work: the last ERROR record says why */
#define EXIT_USAGE 2        /* a setting is wrong */
#define EXIT_INCONSISTENT 3 /* --reconcile: inconsistencies remain */

/* The daemon, until SIGTERM or SIGINT: releases what expires when it does. */
/* Each takes what config_read has read, whose log has been set up, runs the event loop of its own,
 * and says why in its last ERROR record when it returns EXIT_FAILED. */
int daemon_run(const struct config *config);

/* --once: releases all that has expired, from Postgres; with --dry-run counts it. */
int once_run(const struct config *config);

/* --reconcile: compares reservations, entries and counters, and repairs what differs. */
int reconcile_mode_run(const struct config *config);

/* --status: prints how things stand; EXIT_FAILED when a server is out of reach. */
int status_run(const struct config *config);

/* --healthcheck: asks the daemon on this host whether it is ready. */
int healthcheck_run(const struct config *config);

/* --check-config: proves settings, servers, tables and rights; changes nothing. */
int check_config_run(const struct config *config);

/* --show-sql: prints every statement that would be sent, and the grants; changes nothing. */
int show_sql_run(const struct config *config);

/* --rehearse N: releases what is due, rolls back, prints what it would have been; EXIT_FAILED when
 * nothing is due, or not all would be released. */
int rehearse_run(const struct config *config);

/* --pause and --resume: an order to all sweepers of each queue, by way of Redis. */
int pause_run(const struct config *config);

/* --init: prints a draft of a queues file for the tables that look like holds; changes nothing. */
int init_run(const struct config *config);

/* --explain ID: says why a reservation is not released (yet); changes nothing. EXIT_FAILED when
 * Postgres could not be asked. */
int explain_run(const struct config *config);

/* --list WHAT: prints what is due, failed, locked or kept; EXIT_FAILED when a server that knows it
 * is out of reach. */
int list_run(const struct config *config);

/* --retry, --forget: has failed or kept reservations tried at once; removes records of failures. */
int retry_run(const struct config *config);
int forget_run(const struct config *config);

#endif
