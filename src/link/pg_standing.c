/* What a server is to one who wants to write. */
#include "link/pg_standing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two statements: where the second one is refused, the first has been answered. The timeline is the
 * beginning of the name of a WAL file, to the moment; pg_control_checkpoint's is late. */
static const char standing_sql[] =
    "SHOW transaction_read_only; "
    "SELECT s.system_identifier, CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN "
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END "
    "FROM pg_catalog.pg_control_system() s";

bool pg_standing_ask(PGconn *conn)
{
    return PQsendQuery(conn, standing_sql) == 1 && PQflush(conn) == 0;
}

static void take_timeline(struct pg_standing *standing, const PGresult *res)
{
    char timeline[9];
    if (PQgetisnull(res, 0, 1))
        return;
    (void)snprintf(standing->system, sizeof(standing->system), "%s", PQgetvalue(res, 0, 0));
    (void)snprintf(timeline, sizeof(timeline), "%s", PQgetvalue(res, 0, 1));
    standing->timeline = (unsigned)strtoul(timeline, NULL, 16);
}

void pg_standing_take(struct pg_standing *standing, PGconn *conn)
{
    *standing = (struct pg_standing){.read_only = true};
    for (PGresult *res = PQgetResult(conn); res != NULL; res = PQgetResult(conn)) {
        bool row = PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1;
        if (row && PQnfields(res) == 1)
            standing->read_only = strcmp(PQgetvalue(res, 0, 0), "off") != 0;
        else if (row && PQnfields(res) == 2)
            take_timeline(standing, res);
        PQclear(res);
    }
}

bool pg_standing_admits(const struct pg_standing *standing, struct pg_home *home)
{
    if (home == NULL || standing->timeline == 0)
        return true;
    if (strcmp(standing->system, home->system) == 0 && standing->timeline < home->timeline)
        return false;
    (void)snprintf(home->system, sizeof(home->system), "%s", standing->system);
    home->timeline = standing->timeline;
    return true;
}
