/* The hosts of a connection string, one by one. */
#include "link/pg_hosts.h"

#include "base/log.h"
#include "link/pg_conninfo_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes one list apart: its elements, or the only one of `same` for each. Returns how many there
 * are; 0: there is no list; -1: it cannot be taken apart. */
static int split(char **copy, const char *list, const char *out[PG_HOSTS_MAX])
{
    int n = 0;
    if (list == NULL)
        return 0;
    *copy = strdup(list);
    for (char *at = *copy; at != NULL && n < PG_HOSTS_MAX; n++) {
        char *comma = strchr(at, ',');
        if (comma != NULL)
            *comma = '\0';
        if (*at == '\0') /* libpq's own default is meant, which cannot be given */
            return -1;
        out[n] = at;
        at = comma != NULL ? comma + 1 : NULL;
        if (at == NULL)
            return n + 1;
    }
    return -1;
}

static void take_apart(struct pg_hosts *hosts, const PQconninfoOption *options)
{
    const char *names[PG_HOSTS_MAX] = {0};
    const char *addresses[PG_HOSTS_MAX] = {0};
    const char *ports[PG_HOSTS_MAX] = {0};
    int nnames = split(&hosts->texts[0], pg_conninfo_value(options, "host"), names);
    int naddresses = split(&hosts->texts[1], pg_conninfo_value(options, "hostaddr"), addresses);
    int nports = split(&hosts->texts[2], pg_conninfo_value(options, "port"), ports);
    int n = naddresses != 0 ? naddresses : nnames;
    if (n < 2 || (nnames != 0 && nnames != n) || nports < 0 || (nports > 1 && nports != n))
        return;
    hosts->n = (size_t)n;
    for (int i = 0; i < n; i++)
        hosts->list[i] = (struct pg_host){names[i], addresses[i], ports[nports > 1 ? i : 0]};
}

/* Of several hosts the one that can be written to is meant, unless somebody says otherwise: the
 * first that answers may be a standby, at every attempt. */
static bool told(const char *conninfo, const char *effective)
{
    PQconninfoOption *given = PQconninfoParse(conninfo, NULL);
    bool said = getenv("PGTARGETSESSIONATTRS") != NULL ||
                pg_conninfo_value(given, "target_session_attrs") != NULL ||
                (effective != NULL && strcmp(effective, "any") != 0); /* a service may say so */
    PQconninfoFree(given);
    return said;
}

void pg_hosts_read(struct pg_hosts *hosts, const char *conninfo)
{
    PQconninfoOption *options = pg_conninfo_effective(conninfo);
    const char *attrs = pg_conninfo_value(options, "target_session_attrs");
    const char *balance = pg_conninfo_value(options, "load_balance_hosts");
    memset(hosts, 0, sizeof(*hosts));
    if ((attrs == NULL || strcmp(attrs, "prefer-standby") != 0) &&
        (balance == NULL || strcmp(balance, "disable") == 0))
        take_apart(hosts, options);
    hosts->implied = pg_conninfo_hosts(options) > 1 && !told(conninfo, attrs);
    hosts->writable = hosts->implied || (attrs != NULL && strcmp(attrs, "read-write") == 0);
    PQconninfoFree(options);
}

void pg_hosts_clear(struct pg_hosts *hosts)
{
    for (size_t i = 0; i < sizeof(hosts->texts) / sizeof(hosts->texts[0]); i++)
        free(hosts->texts[i]);
    memset(hosts, 0, sizeof(*hosts));
}

void pg_host_name(const struct pg_host *host, char *out, size_t size)
{
    (void)snprintf(out, size, "host=%s%s%s", host->host != NULL ? host->host : host->address,
                   host->port != NULL ? " port=" : "", host->port != NULL ? host->port : "");
}

size_t pg_hosts_first(const struct pg_hosts *hosts, const struct pg_home *home)
{
    if (home == NULL || home->server[0] == '\0')
        return 0;
    for (size_t i = 0; i < hosts->n; i++) {
        char name[PG_SERVER_SIZE];
        pg_host_name(&hosts->list[i], name, sizeof(name));
        if (strcmp(name, home->server) == 0)
            return home->silent ? (i + 1) % hosts->n : i;
    }
    return 0;
}

unsigned pg_home_moves(const struct pg_home *home)
{
    return home != NULL ? home->moves : 0;
}

void pg_home_silent(struct pg_home *home, const char *server)
{
    if (home != NULL && (server == NULL || strcmp(home->server, server) == 0))
        home->silent = true;
}

void pg_home_arrive(struct pg_home *home, const char *server)
{
    if (home == NULL)
        return;
    if (home->server[0] != '\0' && strcmp(home->server, server) != 0) {
        const char *queue = log_set_queue(NULL); /* it is the server's */
        log_event(LOG_INFO, "Another of Postgres's hosts is used from now on", LOG_STR, "server",
                  server, LOG_STR, "former", home->server, LOG_END);
        (void)log_set_queue(queue);
        home->moves++;
    }
    home->silent = false;
    (void)snprintf(home->server, sizeof(home->server), "%s", server);
}
