/* Tells a service manager how the daemon is doing: systemd's protocol (sd_notify(3)), datagrams of
 * NAME=value lines to the socket that NOTIFY_SOCKET names.
 *
 * READY=1 with the loop's first turn: the program is up, whether its servers are or not. Then
 * STATUS=, when it has changed, and WATCHDOG=1, often enough for what WATCHDOG_USEC asks. */
#ifndef RS_NOTIFY_H
#define RS_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct notify;

/* well(arg, status, size) is called every few seconds: it writes one line for people, and returns
 * whether the watchdog may be fed. NULL: no service manager has asked, or it cannot be told
 * (logged). */
struct notify *notify_new(struct loop *loop, bool (*well)(void *arg, char *status, size_t size),
                          void *arg);
void notify_free(struct notify *n); /* NULL is legal */

/* STOPPING=1; the watchdog goes on being fed. NULL is legal. */
void notify_stopping(struct notify *n);

/* RELOADING=1, and READY=1 with the loop's next turn. NULL is legal. */
void notify_reloaded(struct notify *n);

#endif
