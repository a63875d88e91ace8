/* What --explain makes of what the servers say: a table of causes, each with what must be said. */
#include "app/explain_found.h"
#include "app/explain_judge.h"
#include "app/explain_read.h"

#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"

#include "shop_queue.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define NOW_US (INT64_C(1763942400) * SECOND_US) /* 2025-11-24T00:00:00Z */
#define NOW_MS (NOW_US / MS_US)

static struct config config;
static struct queue queue;
static struct explain_facts facts;

/* Due since 12 s, its entry too, a sweeper runs, nothing stands in the way. */
static void plain(void)
{
    queue = shop_queue;
    queue.keep = (struct queue_keep){.look_again_us = 30 * SECOND_US, .at_most_us = 2 * HOUR_US};
    config = (struct config){.queue = &queue,
                             .max_sleep_us = 500 * MS_US,
                             .lookahead_us = MINUTE_US,
                             .feed_interval_us = 15 * SECOND_US,
                             .scan_interval_us = 5 * MINUTE_US};
    facts = (struct explain_facts){.config = &config,
                                   .id = "7",
                                   .looked = true,
                                   .now_us = NOW_US,
                                   .rows = 1,
                                   .active_rows = 1,
                                   .due_us = NOW_US - 12 * SECOND_US,
                                   .nholds = 1,
                                   .redis = true,
                                   .entry_ms = NOW_MS - 12000,
                                   .sweeper = EXPLAIN_YES};
    facts.holds[0] =
        (struct explain_hold){.active = true, .ends = true, .due_us = NOW_US - 12 * SECOND_US};
}

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text);
}

#define COPY(field, text) copy(facts.field, sizeof(facts.field), text)

/* ---- what is planted ---- */

static void nothing(void)
{
}

static void malformed(void)
{
    facts.malformed = true;
    facts.id_kind = "of type uuid";
    facts.rows = facts.active_rows = 0;
    facts.entry_ms = 0;
    facts.looked = false;
}

static void malformed_with_entry(void)
{
    malformed();
    facts.entry_ms = NOW_MS + 5000;
}

static void missing(void)
{
    facts.rows = facts.active_rows = facts.nholds = 0;
    facts.entry_ms = 0;
}

static void missing_with_entry(void)
{
    missing();
    facts.entry_ms = NOW_MS + 5000;
}

static void missing_hidden(void)
{
    missing();
    facts.rows_hidden = true;
}

static void of_another_queue(void)
{
    missing();
    facts.elsewhere = "seats";
}

static void bought(void)
{
    facts.active_rows = 0;
    facts.entry_ms = 0;
    facts.holds[0].active = false;
    facts.holds[0].changed_us = NOW_US - HOUR_US;
    COPY(holds[0].values, "{\"status\": \"committed\"}");
}

static void bought_of_several(void)
{
    bought();
    facts.rows = 3;
}

static void postgres_away(void)
{
    missing();
    facts.looked = false;
    COPY(postgres_error, "connection refused");
}

static void postgres_away_without_feeder(void)
{
    postgres_away();
    facts.sweeper = EXPLAIN_NO;
}

static void tables_unusable(void)
{
    postgres_away();
    facts.unusable = true;
    COPY(postgres_error, "there is no table \"holds\"");
}

static void table_forbidden(void)
{
    postgres_away();
    COPY(sqlstate, "42501");
    COPY(postgres_error, "permission denied for table payments");
}

static void locked_by_nobody_known(void)
{
    postgres_away();
    facts.locked = true;
    COPY(sqlstate, "55P03");
    COPY(postgres_error, "canceling statement due to lock timeout");
}

static void no_expiry(void)
{
    facts.due_us = EXPLAIN_NEVER;
    facts.holds[0].ends = false;
    facts.holds[0].due_us = EXPLAIN_NEVER;
    facts.entry_ms = 0;
}

static void odd_expiry(void)
{
    no_expiry();
    COPY(holds[0].expires, "1763942400");
}

static void due_later(void)
{
    facts.due_us = NOW_US + 65 * MINUTE_US;
    facts.entry_ms = 0;
}

static void due_later_without_sweeper(void)
{
    due_later();
    facts.sweeper = EXPLAIN_NO;
}

static void extended(void)
{
    due_later();
    facts.entry_ms = NOW_MS + 3000;
}

static void due_within_a_pause(void)
{
    due_later();
    facts.pause.until_ms = (NOW_US + 2 * HOUR_US) / MS_US;
}

static void paused(void)
{
    facts.pause.until_ms = (NOW_US + 30 * MINUTE_US) / MS_US;
    COPY(pause.by, "ann");
    COPY(pause.reason, "the shop is down");
}

static void pause_over(void)
{
    facts.pause.until_ms = (NOW_US) / MS_US;
}

static void first_run_limit(void)
{
    COPY(first_run, "more than 100 reservations are due, the first-run limit");
}

static struct explain_blocker blocker(const char *what)
{
    struct explain_blocker b = {.since_us = NOW_US - 3 * MINUTE_US};
    b.holder = (struct locked_holder){.known = true, .pid = 4711};
    copy(b.holder.user, sizeof(b.holder.user), "shop");
    copy(b.holder.application, sizeof(b.holder.application), "web");
    copy(b.holder.what, sizeof(b.holder.what), what);
    copy(b.product, sizeof(b.product), "lamp");
    return b;
}

static void locked_row(void)
{
    facts.blocker = blocker("reservation");
}

static void locked_counter(void)
{
    facts.blocker = blocker("counter");
}

static void locked_by_sweeper(void)
{
    locked_row();
    COPY(blocker.holder.application, "reservation-sweeper worker 1");
}

static void locked_by_sweeper_just_now(void)
{
    locked_by_sweeper();
    facts.blocker.since_us = NOW_US - SECOND_US;
}

static void standby_awaited_by_another(void)
{
    facts.standby = (struct explain_standby){.pid = 4711, .lasts_us = 44 * SECOND_US};
    COPY(standby.names, "nobody");
}

static void standby_awaited(void)
{
    locked_by_sweeper();
    standby_awaited_by_another();
}

static void due_later_and_held(void)
{
    due_later();
    first_run_limit();
}

static void counter_of_sweeper(void)
{
    locked_counter();
    COPY(blocker.holder.application, "reservation-sweeper worker 1");
}

static void locked_just_now(void)
{
    locked_row();
    facts.blocker.since_us = NOW_US + 3 * MS_US;
}

static void locked_by_prepared(void)
{
    facts.blocker = blocker("reservation");
    facts.blocker.holder.pid = 0;
    copy(facts.blocker.holder.gid, sizeof(facts.blocker.holder.gid), "two-phase");
}

static void table_locked(void)
{
    missing();
    facts.looked = false;
    facts.table_blocker = blocker("table");
    COPY(table_blocker.product, "inventory");
}

static void table_share_locked(void)
{
    table_locked();
    facts.looked = true;
    facts.rows = facts.active_rows = 1;
}

static void table_locked_and_bought(void)
{
    bought();
    facts.table_blocker = blocker("table");
}

static void kept(void)
{
    static char condition[] = "a payment is pending";
    queue.keep.condition.text = condition;
    facts.kept = true;
    facts.kept_record = true;
    facts.keep.since_ms = NOW_MS - 12000;
    facts.keep.again_ms = facts.entry_ms = NOW_MS + 20000;
}

static void kept_without_record(void)
{
    kept();
    facts.kept_record = false;
    facts.keep.since_ms = facts.keep.again_ms = 0;
}

static void kept_for_long(void)
{
    kept();
    facts.due_us = NOW_US - 3 * HOUR_US;
    facts.keep.since_ms = facts.due_us / MS_US;
}

static void kept_and_extended(void)
{
    kept();
    queue.keep.extend_us = MINUTE_US;
    facts.kept = false;
    facts.holds[0].keep = EXPLAIN_YES;
    facts.due_us = NOW_US + 20 * SECOND_US;
}

static void kept_to_be_extended(void)
{
    kept();
    queue.keep.extend_us = MINUTE_US;
}

static void kept_and_extended_no_more(void)
{
    kept_and_extended();
    facts.holds[0].keep = EXPLAIN_NO;
    facts.entry_ms = 0;
}

static void kept_no_more(void)
{
    kept();
    facts.kept = false;
}

static void refused_as(const char *sqlstate, const char *error)
{
    facts.failed = true;
    facts.failure =
        (struct failed_record){.attempts = 4, .last_ms = NOW_MS - 3000, .retry_ms = NOW_MS + 5000};
    facts.entry_ms = NOW_MS + 5000;
    COPY(failure.sqlstate, sqlstate);
    COPY(failure.error, error);
}

static void raised(void)
{
    refused_as("P0001", "not on Sundays");
    COPY(triggers, "trigger no_sundays of table inventory_reservations");
}

static void right_missing(void)
{
    refused_as("42501", "permission denied for table inventory");
}

static void drift(void)
{
    facts.ncounters = 1;
    facts.counters[0].fits = EXPLAIN_NO;
    facts.counters[0].lacks = true;
    COPY(counters[0].key, "lamp");
    COPY(counters[0].held, "1");
    COPY(counters[0].sum, "3");
    COPY(counters[0].free, "7");
    COPY(counters[0].total, "8");
}

static void drifted(void)
{
    refused_as("23514", "violates check constraint");
    drift();
}

static void drifted_of_a_file(void)
{
    drifted();
    queue.file = "shop.yaml";
}

static void drifted_untried(void)
{
    drift();
}

static void drifted_rehearsed(void)
{
    drift();
    facts.rehearsal.outcome = REHEARSED_REFUSED;
    COPY(rehearsal.sqlstate, "23514");
    COPY(rehearsal.error, "violates check constraint");
}

static void drifted_and_let_through(void)
{
    drift();
    facts.rehearsal.outcome = REHEARSED_RELEASED;
}

static void refused_in_rehearsal(void)
{
    facts.rehearsal.outcome = REHEARSED_REFUSED;
    COPY(rehearsal.sqlstate, "P0001");
    COPY(rehearsal.error, "not on Sundays");
    COPY(triggers, "trigger no_sundays of table inventory_reservations");
}

static void read_only(void)
{
    facts.rehearsal.outcome = REHEARSED_FAILED;
    COPY(rehearsal.sqlstate, "25006");
    COPY(rehearsal.error, "cannot execute UPDATE in a read-only transaction");
    facts.sweeper = EXPLAIN_NO;
}

static void too_slow(void)
{
    refused_in_rehearsal();
    facts.rehearsal.outcome = REHEARSED_FAILED;
    COPY(rehearsal.sqlstate, "57014");
    COPY(rehearsal.error, "canceling statement due to statement timeout");
}

/* The others are tried again, one by one: its product is in hand for much of the time. */
static void refused_beside_others(void)
{
    drifted();
    counter_of_sweeper();
    facts.blocker.since_us = NOW_US - SECOND_US;
}

static void refused_beside_one_that_lasts(void)
{
    drifted();
    counter_of_sweeper();
}

static void kept_beside_others(void)
{
    kept();
    counter_of_sweeper();
    facts.blocker.since_us = NOW_US - SECOND_US;
}

static void refused_and_in_flight(void)
{
    drifted();
    facts.entry_ms = 0;
    facts.lease_ms = NOW_MS + 60000;
}

static void refused_and_cured(void)
{
    raised();
    facts.rehearsal.outcome = REHEARSED_RELEASED;
}

static void raised_once(void)
{
    raised();
    facts.failure.attempts = 1;
}

static void deferred(void)
{
    raised();
    facts.failure.attempts = 0;
}

static void asked_for_again(void)
{
    raised();
    facts.entry_ms = NOW_MS - 3000;
}

static void in_flight(void)
{
    facts.entry_ms = 0;
    facts.lease_ms = NOW_MS + 9000;
}

static void lease_ended(void)
{
    in_flight();
    facts.lease_ms = NOW_MS - 1000;
}

static void without_sweeper(void)
{
    facts.sweeper = EXPLAIN_NO;
}

static void redis_away(void)
{
    facts.redis = false;
    facts.entry_ms = 0;
    facts.sweeper = EXPLAIN_UNKNOWN;
    COPY(redis_error, "connection refused");
}

static void redis_away_and_locked(void)
{
    redis_away();
    locked_row();
}

static void put_back(void)
{
    facts.entry_ms = NOW_MS + 3000;
}

static void not_entered(void)
{
    facts.entry_ms = 0;
}

static void entered_later(void)
{
    facts.entry_ms = NOW_MS + HOUR_US / MS_US;
}

static void not_entered_scan_alone(void)
{
    not_entered();
    config.lookahead_us = 0;
}

static void not_entered_by_anybody(void)
{
    not_entered_scan_alone();
    config.scan_interval_us = 0;
}

/* ---- what is said ---- */

/* Each text must be in why, todo and next together; todo is empty where nothing can be done. */
static const struct {
    const char *name;
    void (*plant)(void);
    enum explain_cause cause;
    bool todo;
    const char *texts[5];
} rows[] = {
    {"due",
     nothing,
     CAUSE_WAITING,
     false,
     {"has been due since 2025-11-23T23:59:48Z (12 s ago)", "nothing stands in its way",
      "next claim, within 500 ms."}},
    {"malformed",
     malformed,
     CAUSE_MALFORMED,
     true,
     {"cannot be the id", "of type uuid", "column id of table", "there is no such reservation"}},
    {"... with an entry",
     malformed_with_entry,
     CAUSE_MALFORMED,
     true,
     {"its entry in Redis is removed at 2025-11-24T00:00:05Z (in 5.0 s)"}},
    {"unknown",
     missing,
     CAUSE_UNKNOWN,
     false,
     {"There is no row with this id in table inventory_reservations.",
      "there is no such reservation"}},
    {"... with an entry",
     missing_with_entry,
     CAUSE_UNKNOWN,
     false,
     {"its entry in Redis is removed at"}},
    {"... or hidden", missing_hidden, CAUSE_UNKNOWN, false, {"row security is in force"}},
    {"of another queue",
     of_another_queue,
     CAUSE_OTHER_QUEUE,
     true,
     {"no reservation of queue reservations; it is one of queue seats.", "--queue seats"}},
    {"bought",
     bought,
     CAUSE_INACTIVE,
     false,
     {"bought, cancelled or released before: its row is not active (status = 'active'); it has "
      "{\"status\": \"committed\"};",
      "last changed at 2025-11-23T23:00:00Z (1 h 0 min ago)", "nothing left to release"}},
    {"... of several rows",
     bought_of_several,
     CAUSE_INACTIVE,
     false,
     {"none of its 3 rows is active (status = 'active'); the first has"}},
    {"Postgres away",
     postgres_away,
     CAUSE_POSTGRES,
     true,
     {"could not be asked (connection refused).", "--check-config",
      "Nothing of this queue is released until that is over, and what is due by then within "
      "seconds "
      "of it."}},
    {"... and no feeder",
     postgres_away_without_feeder,
     CAUSE_POSTGRES,
     true,
     {"within seconds of it."}},
    {"tables unusable",
     tables_unusable,
     CAUSE_TABLES,
     true,
     {"cannot be used as they are (there is no table \"holds\")."}},
    {"a right is missing",
     table_forbidden,
     CAUSE_TABLES,
     true,
     {"lacks a right to a table (permission denied for table payments).", "Grant it; --show-sql"}},
    {"a lock, nobody knows whose",
     locked_by_nobody_known,
     CAUSE_TABLE_LOCKED,
     true,
     {"by whom is not known (canceling statement due to lock timeout).", "See pg_locks"}},
    {"no expiry",
     no_expiry,
     CAUSE_ENDLESS,
     true,
     {"never expires: its expires_at is NULL", "Give it an expiry", "never released"}},
    {"odd expiry",
     odd_expiry,
     CAUSE_ENDLESS,
     true,
     {"its expires_at is 1763942400", "before 2001 or after 9999"}},
    {"not due",
     due_later,
     CAUSE_NOT_DUE,
     false,
     {"not due before 2025-11-24T01:05:00Z (in 1 h 5 min)",
      "released when it is due, at 2025-11-24T01:05:00Z (in 1 h 5 min)."}},
    {"... and no sweeper",
     due_later_without_sweeper,
     CAUSE_NOT_DUE,
     false,
     {"none seems to run: start one, or run --once."}},
    {"extended",
     extended,
     CAUSE_EXTENDED,
     false,
     {"it was extended: Redis still has 2025-11-24T00:00:03Z",
      "released when it is due, at 2025-11-24T01:05:00Z"}},
    {"... held by the first-run limit",
     due_later_and_held,
     CAUSE_NOT_DUE,
     false,
     {"It is due at 2025-11-24T01:05:00Z (in 1 h 5 min), and this queue is held at present: more "
      "than 100"}},
    {"due within a pause",
     due_within_a_pause,
     CAUSE_NOT_DUE,
     false,
     {"when the pause has ended, at 2025-11-24T02:00:00Z"}},
    {"paused",
     paused,
     CAUSE_PAUSED,
     true,
     {"the queue is paused until 2025-11-24T00:30:00Z (in 30 min 0 s), by ann: the shop is down.",
      "--resume ends", "when the pause has ended, at"}},
    {"a pause that is over", pause_over, CAUSE_WAITING, false, {"next claim"}},
    {"first-run limit",
     first_run_limit,
     CAUSE_FIRST_RUN,
     true,
     {"this queue is held: more than 100", "--yes or a higher SWEEPER_FIRST_RUN_LIMIT"}},
    {"a locked row",
     locked_row,
     CAUSE_LOCKED,
     true,
     {"a row of it is locked by pid 4711 (user shop, application web), in a transaction that began "
      "at 2025-11-23T23:57:00Z (3 min 0 s ago).",
      "pg_terminate_backend(4711)", "released within 5 s of that transaction's end."}},
    {"a locked counter",
     locked_counter,
     CAUSE_LOCKED,
     true,
     {"the counter of product lamp is locked by pid 4711"}},
    {"a row that a sweeper has",
     locked_by_sweeper,
     CAUSE_CLAIMED,
     false,
     {"and a sweeper, pid 4711, is releasing it just now",
      "after the end of that sweeper's transaction, which has lasted for 3 min 0 s"}},
    {"... since a moment ago",
     locked_by_sweeper_just_now,
     CAUSE_CLAIMED,
     false,
     {"released in a moment"}},
    {"a row that waits at its COMMIT",
     standby_awaited,
     CAUSE_STANDBY,
     true,
     {"and its release, of pid 4711, has waited at its COMMIT for a synchronous standby for 44 s "
      "(synchronous_standby_names is nobody).",
      "A synchronous standby is gone", "no end of its own"}},
    {"... another's",
     standby_awaited_by_another,
     CAUSE_STANDBY,
     true,
     {"and another release, of pid 4711,", "no other is made meanwhile",
      "released soon after a standby has answered"}},
    {"... or its counter",
     counter_of_sweeper,
     CAUSE_CLAIMED,
     false,
     {"is releasing others of its product just now"}},
    {"... which says nothing of what is refused",
     refused_beside_others,
     CAUSE_REFUSED,
     true,
     {"SQLSTATE 23514", "does not add up", "It is tried again "}},
    {"... but where it lasts",
     refused_beside_one_that_lasts,
     CAUSE_CLAIMED,
     false,
     {"after the end of that sweeper's transaction, which has lasted for 3 min 0 s"}},
    {"... nor of what is kept",
     kept_beside_others,
     CAUSE_KEPT,
     true,
     {"keep_while holds (a payment is pending)"}},
    {"locked since a moment that is yet to come",
     locked_just_now,
     CAUSE_LOCKED,
     true,
     {"began at 2025-11-24T00:00:00Z (0 ms ago)"}},
    {"locked by a prepared one",
     locked_by_prepared,
     CAUSE_LOCKED,
     true,
     {"prepared transaction \"two-phase\"", "ROLLBACK PREPARED 'two-phase'"}},
    {"a locked table",
     table_locked,
     CAUSE_TABLE_LOCKED,
     true,
     {"A whole table is locked, inventory, by pid 4711", "before that transaction has ended"}},
    {"... that can be read", table_share_locked, CAUSE_TABLE_LOCKED, true, {"inventory"}},
    {"... and bought", table_locked_and_bought, CAUSE_INACTIVE, false, {"bought"}},
    {"kept",
     kept,
     CAUSE_KEPT,
     true,
     {"keep_while holds (a payment is pending)",
      "looked at again at 2025-11-24T00:00:20Z (in 20 s)"}},
    {"... without a record",
     kept_without_record,
     CAUSE_KEPT,
     true,
     {"looked at again every 30 s, and released when keep_while does not hold."}},
    {"... for too long",
     kept_for_long,
     CAUSE_ATTENTION,
     true,
     {"was due at 2025-11-23T21:00:00Z (3 h 0 min ago), longer ago than keep.at_most, 2 h 0 min: "
      "somebody has to look"}},
    {"... and extended",
     kept_and_extended,
     CAUSE_KEPT,
     true,
     {"keep_while holds",
      "holds no more; it is released when its new expiry has come, at 2025-11-24T00:00:20Z (in 20 "
      "s). To have it released sooner, set the expiry",
      "has extended it, and looks again when it is due, at 2025-11-24T00:00:20Z"}},
    {"... and to be extended", kept_to_be_extended, CAUSE_KEPT, true, {"gives it a later expiry"}},
    {"... and extended, and no more",
     kept_and_extended_no_more,
     CAUSE_NOT_DUE,
     true,
     {"not due before", "It is released when its new expiry has come",
      "of its active rows to the present time: --retry does not"}},
    {"kept no more",
     kept_no_more,
     CAUSE_WAITING,
     true,
     {"keep_while does not hold any more", "--retry", "looked at again, at 2025-11-24T00:00:20Z"}},
    {"a trigger that raises",
     raised,
     CAUSE_REFUSED,
     true,
     {"Postgres refuses it: not on Sundays (SQLSTATE P0001); 4 times, last at",
      "trigger no_sundays of table inventory_reservations", "--retry",
      "tried again at 2025-11-24T00:00:05Z (in 5.0 s)."}},
    {"... once", raised_once, CAUSE_REFUSED, true, {"(SQLSTATE P0001); once, at 2025"}},
    {"a right is missing",
     right_missing,
     CAUSE_REFUSED,
     true,
     {"permission denied", "--check-config names it"}},
    {"drifted",
     drifted,
     CAUSE_REFUSED,
     true,
     {"SQLSTATE 23514",
      "the counter of product lamp does not add up: it holds 1, its active holds are 3, free are 7 "
      "of 8.",
      "--reconcile --repair-stock sets the counter right; then --retry"}},
    {"... of a file's queue",
     drifted_of_a_file,
     CAUSE_REFUSED,
     true,
     {"--repair-stock --queue reservations sets"}},
    {"... and not tried",
     drifted_untried,
     CAUSE_COUNTER,
     true,
     {"Postgres will refuse it", "does not add up", "--repair-stock",
      "refused when it is tried next"}},
    {"... and rehearsed",
     drifted_rehearsed,
     CAUSE_COUNTER,
     true,
     {"a rehearsal of its release showed just now: violates check constraint (SQLSTATE 23514).",
      "--repair-stock"}},
    {"... and let through", drifted_and_let_through, CAUSE_WAITING, false, {"next claim"}},
    {"a server that may not be written to",
     read_only,
     CAUSE_FAILS,
     true,
     {"cannot release it at present", "in a read-only transaction (SQLSTATE 25006)",
      "the address leads to the primary", "tried again until that is over."}},
    {"a trigger that takes its time",
     too_slow,
     CAUSE_FAILS,
     true,
     {"(SQLSTATE 57014)", "trigger no_sundays of table inventory_reservations."}},
    {"refused in a rehearsal",
     refused_in_rehearsal,
     CAUSE_REFUSED,
     true,
     {"not on Sundays (SQLSTATE P0001)", "no_sundays"}},
    {"refused, and cured",
     refused_and_cured,
     CAUSE_REFUSED,
     true,
     {"A rehearsal of its release went through just now.", "--retry tries it at once."}},
    {"deferred",
     deferred,
     CAUSE_REFUSED,
     true,
     {"others of its product, so that it is not tried itself: not on Sundays"}},
    {"refused, and asked for",
     asked_for_again,
     CAUSE_REFUSED,
     true,
     {"tried again with the next claim."}},
    {"refused, and in flight",
     refused_and_in_flight,
     CAUSE_REFUSED,
     true,
     {"SQLSTATE 23514", "A sweeper tries it again just now; if that one is gone",
      "when the lease has ended, at 2025-11-24T00:01:00Z"}},
    {"in flight",
     in_flight,
     CAUSE_CLAIMED,
     false,
     {"a sweeper has claimed it", "lease has ended, at 2025-11-24T00:00:09Z (in 9.0 s)."}},
    {"its lease has ended", lease_ended, CAUSE_CLAIMED, false, {"takes it over"}},
    {"no sweeper",
     without_sweeper,
     CAUSE_NO_SWEEPER,
     true,
     {"no sweeper seems to run", "run --once", "as soon as a sweeper runs"}},
    {"Redis away",
     redis_away,
     CAUSE_DIRECT,
     true,
     {"Redis could not be asked: connection refused.", "straight from Postgres"}},
    {"... and locked", redis_away_and_locked, CAUSE_LOCKED, true, {"pid 4711"}},
    {"put back",
     put_back,
     CAUSE_WAITING,
     true,
     {"put back for a moment", "at 2025-11-24T00:00:03Z"}},
    {"not entered",
     not_entered,
     CAUSE_LOST,
     false,
     {"nothing in Redis leads to it yet", "next look at Postgres, within 15 s."}},
    {"entered too late", entered_later, CAUSE_LOST, false, {"Redis has it at a later time"}},
    {"... the scan alone", not_entered_scan_alone, CAUSE_LOST, false, {"within 5 min 0 s"}},
    {"... and nobody looks",
     not_entered_by_anybody,
     CAUSE_LOST,
     true,
     {"the look-ahead and the scan are off", "--once releases it"}},
};

static bool is_said(const struct explanation *e, const char *text)
{
    return strstr(e->why, text) != NULL || strstr(e->todo, text) != NULL ||
           strstr(e->next, text) != NULL;
}

static bool is_sentence(const char *text)
{
    size_t len = strlen(text);
    return len > 10 && text[len - 1] == '.' && text[len - 2] != '.' && strstr(text, "  ") == NULL;
}

static void test_each_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct explanation e;
        plain();
        rows[i].plant();
        explain_judge(&facts, &e);
        for (size_t j = 0; j < ARRAY_LEN(rows[i].texts) && rows[i].texts[j] != NULL; j++)
            if (!is_said(&e, rows[i].texts[j]))
                fail_msg("%s: no \"%s\" in\n%s\n%s\n%s", rows[i].name, rows[i].texts[j], e.why,
                         e.todo, e.next);
        if (e.cause != rows[i].cause)
            fail_msg("%s: %s", rows[i].name, explain_cause_name(e.cause));
        if ((e.todo[0] != '\0') != rows[i].todo || (rows[i].todo && !is_sentence(e.todo)))
            fail_msg("%s: to be done: \"%s\"", rows[i].name, e.todo);
        if (!is_sentence(e.why) || !is_sentence(e.next))
            fail_msg("%s: no sentence: \"%s\" \"%s\"", rows[i].name, e.why, e.next);
    }
}

static void test_each_cause_is_in_the_table(void **state)
{
    (void)state;
    for (int cause = 0; cause < CAUSES_N; cause++) {
        size_t i = 0;
        while (i < ARRAY_LEN(rows) && rows[i].cause != (enum explain_cause)cause)
            i++;
        if (i == ARRAY_LEN(rows))
            fail_msg("%s", explain_cause_name((enum explain_cause)cause));
        assert_non_null(explain_cause_name((enum explain_cause)cause));
    }
}

/* What the servers said is as long as it likes. */
static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct explanation e;
    char *longest = malloc(4096);
    assert_non_null(longest);
    memset(longest, 'x', 4095);
    longest[4095] = '\0';
    plain();
    queue.active.text = longest;
    bought();
    explain_judge(&facts, &e);
    assert_int_equal(strlen(e.why), sizeof(e.why) - 1);
    assert_true(is_sentence(e.next));
    free(longest);
}

/* Of the columns that `active` may read; what is no column has no value. */
static void test_names_in_sql(void **state)
{
    static const struct {
        const char *sql, *names;
    } pieces[] = {
        {"status = 'active'", "{\"status\"}"},
        {"r.\"State\" IS NULL", "{\"r\",\"State\",\"is\",\"null\"}"},
        {"Kind = 1 -- held", "{\"kind\"}"},
        {"\"a\"\"b\"", "{\"a\\\"b\"}"},
        {"true", "{\"true\"}"},
        {"1 = 1", "{}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        char *names = explain_names(pieces[i].sql);
        assert_string_equal(names, pieces[i].names);
        free(names);
    }
    char *array = explain_array("a\"b");
    assert_string_equal(array, "{\"a\\\"b\"}");
    free(array);
}

static void test_which_queue_has_it(void **state)
{
    struct queue seats = {.name = (char[]){"seats"}}, boxes = {.name = (char[]){"boxes"}};
    const struct config of_seats = {.queue = &seats}, of_boxes = {.queue = &boxes};
    struct explain_facts one = {.config = &of_seats}, other = {.config = &of_boxes};
    const struct explain_facts *const both[] = {&one, &other};
    char names[EXPLAIN_NAMES];
    int which = -1;
    (void)state;
    assert_int_equal(explain_found(both, 2, NULL, &which, names), 0);
    assert_string_equal(names, "");
    other.rows = 1;
    assert_int_equal(explain_found(both, 2, NULL, &which, names), 1);
    assert_int_equal(which, 1);
    one.rows = 2;
    assert_int_equal(explain_found(both, 2, NULL, &which, names), 2);
    assert_string_equal(names, "seats, boxes");
    assert_int_equal(explain_found(both, 2, "seats", &which, names), 1);
    assert_string_equal(names, "boxes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_cause),
        cmocka_unit_test(test_each_cause_is_in_the_table),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_names_in_sql),
        cmocka_unit_test(test_which_queue_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
