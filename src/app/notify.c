/* The service manager's notification protocol, by hand: it is a datagram socket and a few words,
 * and libsystemd would be a dependency of the container too. */
#include "app/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_US (5 * SECOND_US)
#define FEEDS_A_PERIOD 4 /* a loop that once stood still for a moment is not restarted */
#define STATUS_MAX 512

struct notify {
    struct timer *tick;
    bool (*well)(void *arg, char *status, size_t size);
    void *arg;
    int fd;
    struct sockaddr_un address;
    socklen_t address_len;
    int64_t interval_us;
    bool watchdog; /* it is to be fed */
    bool ready;    /* ... has been said */
    bool stopping; /* likewise */
    bool starved;  /* the last answer forbade to feed it */
    char status[STATUS_MAX];
};

/* The manager may be busy, or be restarted: then the next one says it again. */
static bool tell(const struct notify *n, const char *message)
{
    return sendto(n->fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL,
                  (const struct sockaddr *)&n->address, n->address_len) >= 0;
}

/* A line break would begin another assignment. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

static void tell_status(struct notify *n, const char *status)
{
    char message[STATUS_MAX + 32];
    if (n->ready && (n->stopping || strcmp(status, n->status) == 0))
        return;
    snprintf(message, sizeof(message), "%sSTATUS=%s", n->ready ? "" : "READY=1\n", status);
    if (!tell(n, message))
        return;
    n->ready = true;
    snprintf(n->status, sizeof(n->status), "%s", status);
}

static void on_tick(void *arg)
{
    struct notify *n = arg;
    char status[STATUS_MAX] = "";
    bool well = n->well(n->arg, status, sizeof(status));
    make_one_line(status);
    tell_status(n, status);
    if (n->watchdog && well)
        (void)tell(n, "WATCHDOG=1");
    if (n->watchdog && !well && !n->starved)
        log_event(LOG_ERROR, "A batch is past its deadline: the watchdog is not fed", LOG_END);
    n->starved = !well;
    timer_after_us(n->tick, n->interval_us);
}

/* A path, or a name in the abstract namespace, which is written with an @. */
static bool set_address(struct notify *n, const char *name)
{
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len >= sizeof(n->address.sun_path))
        return false;
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, name, len);
    if (name[0] == '@')
        n->address.sun_path[0] = '\0';
    n->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

/* How often the watchdog wants to hear of us; 0: it does not, or of somebody else. */
static int64_t watchdog_us(void)
{
    const char *period = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (period == NULL || (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    long long us = strtoll(period, NULL, 10);
    return us > 0 ? us : 0;
}

struct notify *notify_new(struct loop *loop, bool (*well)(void *arg, char *status, size_t size),
                          void *arg)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (name == NULL || name[0] == '\0')
        return NULL;
    struct notify *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return NULL;
    int64_t period_us = watchdog_us();
    n->well = well;
    n->arg = arg;
    n->watchdog = period_us > 0;
    n->interval_us =
        n->watchdog && period_us / FEEDS_A_PERIOD < LOOK_US ? period_us / FEEDS_A_PERIOD : LOOK_US;
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    n->tick = timer_new(loop, on_tick, n);
    if (n->fd < 0 || n->tick == NULL || !set_address(n, name)) {
        log_event(LOG_WARN, "The service manager cannot be told anything", LOG_STR, "socket", name,
                  LOG_STR, "error", n->fd < 0 ? strerror(errno) : "no usable address", LOG_END);
        notify_free(n);
        return NULL;
    }
    timer_after_us(n->tick, 0);
    return n;
}

void notify_free(struct notify *n)
{
    if (n == NULL)
        return;
    timer_free(n->tick);
    if (n->fd >= 0)
        close(n->fd);
    free(n);
}

void notify_stopping(struct notify *n)
{
    if (n == NULL)
        return;
    (void)tell(n, "STOPPING=1\nSTATUS=Stopping");
    n->stopping = true;
    n->ready = true; /* it is too late to say so */
}

/* What systemd waits for with Type=notify-reload, and shows with Type=notify. READY=1 is said again
 * until it has been taken, or the unit would be reloading for ever. */
void notify_reloaded(struct notify *n)
{
    char message[64];
    if (n == NULL || n->stopping)
        return;
    snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)clock_mono_us());
    if (!tell(n, message))
        return;
    n->ready = false;
    timer_after_us(n->tick, 0);
}
