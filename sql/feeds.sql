-- How many sweepers have their feed in this database, as far as this role may see that.
--
-- Answer: one row with that number
SELECT pg_catalog.count(*)
  FROM pg_catalog.pg_stat_activity a
 WHERE a.datname = pg_catalog.current_database() AND a.application_name = 'reservation-sweeper feed'
