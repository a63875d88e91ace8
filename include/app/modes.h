/* The modes of the program. Each runs to its end and returns the exit status. */
#ifndef RS_MODES_H
#define RS_MODES_H

struct config;

#define EXIT_DONE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_INCONSISTENT 3

int daemon_run(const struct config *config);
int once_run(const struct config *config);
int reconcile_mode_run(const struct config *config);
int status_run(const struct config *config);
int healthcheck_run(const struct config *config);
int check_config_run(const struct config *config);

#endif
