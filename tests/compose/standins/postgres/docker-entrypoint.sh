#!/bin/sh
# Makes the cluster at the first start, as POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB say,
# runs the SQL of /docker-entrypoint-initdb.d, and then serves all addresses.
set -eu

as_postgres() {
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

first_start() {
    secret=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" >"$secret"
    chown postgres "$secret"
    as_postgres initdb -U "$POSTGRES_USER" --pwfile="$secret" -E UTF8 \
        --auth-local=trust --auth-host=scram-sha-256
    rm "$secret"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"

    # On its socket alone: nobody takes it for ready before the schema is there.
    as_postgres pg_ctl start -w -o "-c listen_addresses=''"
    as_postgres createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        as_postgres psql -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$file"
    done
    as_postgres pg_ctl stop -w -m fast
}

install -d -o postgres -g postgres -m 700 "$PGDATA"
install -d -o postgres -g postgres /run/postgresql
[ -s "$PGDATA/PG_VERSION" ] || first_start
exec setpriv --reuid=postgres --regid=postgres --clear-groups postgres -c listen_addresses='*'
