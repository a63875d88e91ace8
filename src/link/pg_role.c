/* What a server is to one who wants to write. */
#include "link/pg_role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two statements: where the second one is refused, the first has been answered. The timeline is the
 * beginning of the name of a WAL file, to the moment; pg_control_checkpoint's is late. */
static const char role_sql[] =
    "SHOW transaction_read_only; "
    "SELECT s.system_identifier, CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN "
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END "
    "FROM pg_catalog.pg_control_system() s";

bool pg_role_ask(PGconn *conn)
{
    return PQsendQuery(conn, role_sql) == 1 && PQflush(conn) == 0;
}

static void take_timeline(struct pg_role *role, const PGresult *res)
{
    char timeline[9];
    if (PQgetisnull(res, 0, 1))
        return;
    (void)snprintf(role->system, sizeof(role->system), "%s", PQgetvalue(res, 0, 0));
    (void)snprintf(timeline, sizeof(timeline), "%s", PQgetvalue(res, 0, 1));
    role->timeline = (unsigned)strtoul(timeline, NULL, 16);
}

void pg_role_take(struct pg_role *role, PGconn *conn)
{
    *role = (struct pg_role){.read_only = true};
    for (PGresult *res = PQgetResult(conn); res != NULL; res = PQgetResult(conn)) {
        bool row = PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1;
        if (row && PQnfields(res) == 1)
            role->read_only = strcmp(PQgetvalue(res, 0, 0), "off") != 0;
        else if (row && PQnfields(res) == 2)
            take_timeline(role, res);
        PQclear(res);
    }
}

bool pg_role_admits(const struct pg_role *role, struct pg_place *place)
{
    if (place == NULL || role->timeline == 0)
        return true;
    if (strcmp(role->system, place->system) == 0 && role->timeline < place->timeline)
        return false;
    (void)snprintf(place->system, sizeof(place->system), "%s", role->system);
    place->timeline = role->timeline;
    return true;
}
