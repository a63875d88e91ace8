-- What the server, the database and the role allow, for --check-config.
--
-- Answer, one row: role, database, encoding, hot standby, read-only by default, how many connections
--   the role and the database may have (-1: no limit), for how many there is room (beside those of
--   others; sweepers that run already are not counted), how transactions are isolated, the session's
--   time zone
SELECT quote_ident(current_user), quote_ident(d.datname), pg_encoding_to_char(d.encoding), pg_is_in_recovery(),
       current_setting('default_transaction_read_only') = 'on',
       CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END,
       CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END,
       (SELECT least(current_setting('max_connections')::int
                         - current_setting('superuser_reserved_connections')::int
                         - coalesce(nullif(current_setting('reserved_connections', true), '')::int, 0)
                         - count(*),
                     CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper
                          THEN r.rolconnlimit - count(*) FILTER (WHERE a.usesysid = r.oid) END,
                     CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper
                          THEN d.datconnlimit - count(*) FILTER (WHERE a.datid = d.oid) END)
          FROM pg_catalog.pg_stat_activity a
         WHERE a.datid IS NOT NULL
           AND coalesce(a.application_name, '') NOT LIKE 'reservation-sweeper%') AS room,
       current_setting('default_transaction_isolation'),
       current_setting('TimeZone')
  FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
 WHERE r.rolname = session_user AND d.datname = current_database()
