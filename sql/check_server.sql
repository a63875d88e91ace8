-- What the server, the database and the role allow, for --check-config.
--
-- Answer, one row: role, database, encoding, hot standby, read-only by default, how many connections
--   the role and the database may have (-1: no limit), for how many there is room (beside those of
--   others; sweepers that run already are not counted), the session's time zone, its process, its
--   synchronous_commit, whether the role may notify
SELECT pg_catalog.quote_ident(current_user), pg_catalog.quote_ident(d.datname), pg_catalog.pg_encoding_to_char(d.encoding), pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('default_transaction_read_only') = 'on',
       CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END,
       CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END,
       (SELECT least(pg_catalog.current_setting('max_connections')::int
                         - pg_catalog.current_setting('superuser_reserved_connections')::int
                         - coalesce(nullif(pg_catalog.current_setting('reserved_connections', true), '')::int, 0)
                         - pg_catalog.count(*),
                     CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper
                          THEN r.rolconnlimit - pg_catalog.count(*) FILTER (WHERE a.usesysid = r.oid) END,
                     CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper
                          THEN d.datconnlimit - pg_catalog.count(*) FILTER (WHERE a.datid = d.oid) END)
          FROM pg_catalog.pg_stat_activity a
         WHERE a.datid IS NOT NULL
           AND coalesce(a.application_name, '') NOT LIKE 'reservation-sweeper%') AS room,
       (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name = 'TimeZone'),
       pg_catalog.pg_backend_pid(), pg_catalog.current_setting('synchronous_commit'),
       pg_catalog.has_function_privilege('pg_catalog.pg_notify(text, text)', 'EXECUTE')
  FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
 WHERE r.rolname = session_user AND d.datname = pg_catalog.current_database()
