/* What every mode wants of its process, whoever started it. */
#ifndef RS_PROCESS_H
#define RS_PROCESS_H

#include <stdbool.h>

/* Opens those of the descriptors 0 to 2 that are closed on /dev/null: the first socket would get
 * that number, and log records. Before anything else is opened. Returns 0, or -1. */
int process_open_streams(void) __attribute__((warn_unused_result));

/* Ignores the signals that would end the process and mean nothing to it. */
void process_ignore_signals(void);

/* From now on no core is written: environment, command line and files hold passwords and tokens.
 * Before any of them is read. */
void process_forbid_cores(void);

/* SIGHUP was ignored when the process began (nohup): a terminal that closes is not to end it. */
bool process_hangup_ignored(void);

#endif
