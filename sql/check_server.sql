-- What the server, the database and the role allow, for --check-config.
--
-- Answer, one row: role, database, encoding, hot standby, read-only by default, how many connections
--   the role and the database may have (-1: no limit), how many more the server has room for (beside
--   those of sweepers that run already), the session's time zone
SELECT quote_ident(current_user), quote_ident(d.datname), pg_encoding_to_char(d.encoding), pg_is_in_recovery(),
       current_setting('default_transaction_read_only') = 'on',
       CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END,
       CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END,
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(nullif(current_setting('reserved_connections', true), '')::int, 0)
           - (SELECT count(*) FROM pg_catalog.pg_stat_activity a
               WHERE a.backend_type = 'client backend'
                 AND coalesce(a.application_name, '') NOT LIKE 'reservation-sweeper%'),
       current_setting('TimeZone')
  FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
 WHERE r.rolname = session_user AND d.datname = current_database()
