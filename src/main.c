/* Parses the command line, runs one mode, returns its status. */
#include "app/modes.h"
#include "app/process.h"
#include "base/log.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "link/redis_link.h"
#include "revision.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print_version(void)
{
    printf("reservation-sweeper %s (%s%s%shiredis %s, libpq %s, libevent %s)\n", RS_VERSION,
           revision[0] == '\0' ? "" : "revision ", revision, revision[0] == '\0' ? "" : ", ",
           redis_link_library_version(), pg_link_library_version(), event_get_version());
    return EXIT_DONE;
}

static int run(const struct config *config)
{
    if (config->mode != MODE_HELP && config->mode != MODE_VERSION) {
        config_warn_unknown(config);
        config_warn_former(config);
    }
    switch (config->mode) {
    case MODE_DAEMON:
        return daemon_run(config);
    case MODE_ONCE:
        return once_run(config);
    case MODE_RECONCILE:
        return reconcile_mode_run(config);
    case MODE_STATUS:
        return status_run(config);
    case MODE_HEALTHCHECK:
        return healthcheck_run(config);
    case MODE_CHECK_CONFIG:
        return check_config_run(config);
    case MODE_SHOW_SQL:
        return show_sql_run(config);
    case MODE_REHEARSE:
        return rehearse_run(config);
    case MODE_PAUSE:
    case MODE_RESUME:
        return pause_run(config);
    case MODE_INIT:
        return init_run(config);
    case MODE_EXPLAIN:
        return explain_run(config);
    case MODE_LIST:
        return list_run(config);
    case MODE_RETRY:
        return retry_run(config);
    case MODE_FORGET:
        return forget_run(config);
    case MODE_HELP:
        config_print_help(stdout);
        return EXIT_DONE;
    case MODE_VERSION:
        return print_version();
    }
    return EXIT_USAGE;
}

/* Whoever reads it has seen enough (| head), and knows it. */
static bool reader_is_gone(void)
{
    struct pollfd fd = {.fd = STDOUT_FILENO};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0;
}

/* What was printed has arrived. A full disk behind stdout is a failure, whatever the mode says. */
static int check_stdout(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    const char *why = errno != 0 ? strerror(errno) : "an earlier write failed";
    if (!reader_is_gone())
        log_event(LOG_ERROR, "Standard output cannot be written", LOG_STR, "error", why, LOG_END);
    return status == EXIT_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

/* A daemon waits neither for the readers of its log nor for a terminal that closes. */
static int run_logged(const struct config *config)
{
    if (config->mode == MODE_DAEMON) {
        signal(SIGHUP, SIG_IGN); /* until there is a loop to take it */
        if (log_queue_start() != 0) {
            log_event(LOG_ERROR, "The threads that write the log cannot be started", LOG_STR,
                      "error", strerror(errno), LOG_END);
            return EXIT_FAILED;
        }
    }
    int status = check_stdout(run(config));
    log_queue_stop();
    return status;
}

int main(int argc, char **argv)
{
    struct config config;
    char error[512];
    if (process_open_streams() != 0)
        return EXIT_FAILED;
    process_ignore_signals();
    process_forbid_cores();
    memset(&config, 0, sizeof(config));
    int status = EXIT_USAGE;
    if (config_read(&config, argc, argv, error, sizeof(error)) != 0)
        fprintf(stderr, "reservation-sweeper: %s\n", error);
    else if (log_setup(&config.log) != 0)
        fprintf(stderr, "reservation-sweeper: out of memory\n");
    else
        status = run_logged(&config);
    config_clear(&config);
    return status;
}
