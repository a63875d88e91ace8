/* The table of a queue's keys, in the order in which they are documented. */
#include "config/queue_keys.h"

#include <assert.h>
#include <string.h>

const char queue_builtin[] = "reservations:\n"
                             "  table: inventory_reservations\n"
                             "  id: id\n"
                             "  expires_at: expires_at\n"
                             "  quantity: quantity\n"
                             "  active: status = 'active'\n"
                             "  released: status = 'released', updated_at = now()\n"
                             "  stock:\n"
                             "    table: inventory\n"
                             "    key: {product_id: product_id}\n"
                             "    free: available_stock\n"
                             "    held: reserved_stock\n"
                             "    total: total_stock\n"
                             "    set: updated_at = now()\n";

#define DURATION(least, most, value)                                                               \
    {                                                                                              \
        .type = SETTING_DURATION, .preset = (value), .min = (least), .max = (most),                \
        .offset = offsetof(struct config, max_sleep_us)                                            \
    }

const struct setting queue_durations[QUEUE_DURATIONS] = {
    [QUEUE_AFTER] = DURATION("0s", "87600h", "0s"),
    [QUEUE_LOOK_AGAIN] = DURATION("1s", "24h", "30s"),
    [QUEUE_EXTEND] = DURATION("1s", "87600h", NULL),
    [QUEUE_AT_MOST] = DURATION("1s", "87600h", "2h"),
};

#define AT(member) offsetof(struct queue, member)
#define OVERRIDES(key, which)                                                                      \
    {                                                                                              \
        .name = (key), .kind = QUEUE_KEY_SETTING, .setting = (which)                               \
    }
const struct queue_key_row queue_keys[QUEUE_KEYS_N] = {
    {"table", QUEUE_KEY_TABLE, true, AT(table), 0, "name", NULL,
     "the table of the holds: `table` or `schema.table`, as the catalog has it (`Booking`, "
     "`public.Booking`); a name with a dot in SQL's quotes within YAML's: `'\"my.table\"'`. None "
     "of "
     "its columns may begin with `rs$`, as those do that statements make"},
    {"id", QUEUE_KEY_COLUMN, false, AT(id), 0, "column", "id",
     "what one reservation is: the row's own id, or that of the cart or order, with several rows. "
     "`uuid`, `text`, `varchar`, `char`, `bigint`, `integer` or `smallint`"},
    {"expires_at", QUEUE_KEY_COLUMN, false, AT(expires_at), 0, "column", "expires_at",
     "`timestamptz`, `timestamp`, or `bigint` since the epoch. NULL: the whole id is never due"},
    {"expires_unit", QUEUE_KEY_UNIT, false, AT(expires_unit), 0, "`ms` or `s`", NULL,
     "what a `bigint` expiry counts since the epoch; needed for one. What lies before 2001 or "
     "after 9999 is never due"},
    {"time_zone", QUEUE_KEY_ZONE, false, AT(time_zone), 0, "name", "UTC",
     "how a `timestamp` without a zone is read"},
    {"after", QUEUE_KEY_DURATION, false, AT(after_us), QUEUE_AFTER, "duration", "0s",
     "a grace, or a time to live over `created_at`: due is the latest `expires_at` of an id's "
     "active rows, and this. At most `87600h`"},
    {"quantity", QUEUE_KEY_UNITS, false, AT(quantity), 0, "column, or `1`", "1",
     "the units of a row; integer or numeric"},
    {"active", QUEUE_KEY_SQL, true, AT(active), 0, "SQL condition", NULL,
     "what still holds, on the row alone. `true` where a row is the hold: only with "
     "`released: delete` or `call`"},
    {"released", QUEUE_KEY_RELEASED, true, AT(released), 0, "SQL assignments, or `delete`", NULL,
     "what a release sets; never the id, the quantity or a key. No row of the id may be `active` "
     "after it"},
    {"stock", QUEUE_KEY_GROUP, false, 0, 0, "the keys below", NULL,
     "the counters; without it there are none"},
    {"stock.table", QUEUE_KEY_TABLE, true, AT(stock.table), 0, "name", NULL,
     "the table of the counters, as `table`"},
    {"stock.key", QUEUE_KEY_KEYS, true, 0, 0, "hold column: counter column, 1 to 8", NULL,
     "which counter a row's units are of: `{product_id: product_id}`"},
    {"stock.free", QUEUE_KEY_COLUMN, false, AT(stock.free), 0, "column", NULL,
     "of the counter, raised by the units; `free`, `held` or both are needed"},
    {"stock.held", QUEUE_KEY_COLUMN, false, AT(stock.held), 0, "column", NULL,
     "of the counter, lowered by the units"},
    {"stock.total", QUEUE_KEY_COLUMN, false, AT(stock.total), 0, "column", NULL,
     "of the counter, left alone; must be the sum of `free` and `held`"},
    {"stock.set", QUEUE_KEY_SQL, false, AT(stock.set), 0, "SQL assignments", NULL,
     "more that is set on the counter; its row is `i`"},
    {"stock.counted", QUEUE_KEY_SQL, false, AT(stock.counted), 0, "SQL condition", "`active`",
     "on the row alone: which rows `held` counts, for `--reconcile`"},
    {"carry", QUEUE_KEY_COLUMNS, false, 0, 0, "list of columns, 1 to 32", NULL,
     "more columns for `{released}`"},
    {"also", QUEUE_KEY_STATEMENTS, false, 0, 0, "list of SQL statements, 1 to 32", NULL,
     "run in the same transaction, in order, after rows and counters have changed. Each names "
     "`{released}`, a relation: `id`, the key columns, `quantity`, `expires_at` and what `carry` "
     "names, as they were before the release"},
    {"keep_while", QUEUE_KEY_SQL, false, AT(keep.condition), 0, "SQL condition", NULL,
     "a due reservation that it is true of, for any of its rows, is kept: something lives that "
     "forbids the release, such as a payment in flight. The row is `r`, and other tables may be "
     "read; it is judged after the rows have been locked FOR UPDATE. NULL is false"},
    {"keep", QUEUE_KEY_GROUP, false, 0, 0, "the keys below", NULL,
     "what becomes of a kept one; only with `keep_while`"},
    {"keep.look_again", QUEUE_KEY_DURATION, false, AT(keep.look_again_us), QUEUE_LOOK_AGAIN,
     "duration", "30s", "it is looked at again so much later, from `1s` to `24h`"},
    {"keep.extend", QUEUE_KEY_DURATION, false, AT(keep.extend_us), QUEUE_EXTEND, "duration", NULL,
     "in place of `look_again`: all its active rows get an expiry so that they are due so much "
     "later, `1s` at least, and never later than `at_most`; not together with `after`"},
    {"keep.at_most", QUEUE_KEY_DURATION, false, AT(keep.at_most_us), QUEUE_AT_MOST, "duration",
     "2h", "how long it is kept so, from when it was first due, from `1s` to `87600h`"},
    {"keep.then", QUEUE_KEY_THEN, false, AT(keep.ends), 0, "`attention` or `release`", "attention",
     "what follows. `attention`: it is kept on, and shown; `release`: it is released, whatever "
     "`keep_while` says"},
    {"verify", QUEUE_KEY_QUERIES, false, 0, 0, "list of SQL queries, 1 to 32", NULL,
     "for `--reconcile`: each row is a finding, reported only. They run at its end, each in a "
     "transaction that can only read, for 50 s at most"},
    {"database", QUEUE_KEY_DATABASE, false, AT(database), 0, "name (`A-Z`, digits, `_`)", NULL,
     "the queue's Postgres is `NAME_DATABASE_URL`, or `NAME_DATABASE_URL_FILE`, in place of "
     "`DATABASE_URL`"},
    {"call", QUEUE_KEY_FUNCTION, false, AT(call), 0, "name of a function", NULL,
     "in place of `released`, and without `also`: it gets one array, of the ids that are due and "
     "locked, and returns those that it released, as rows or as an array. The sweeper changes "
     "neither rows nor counters then; `stock` serves `--reconcile`"},
    {"settings", QUEUE_KEY_SETTINGS, false, 0, 0, "name: value, 1 to 16", NULL,
     "set locally in each transaction that touches the queue's tables, so that row security knows "
     "whose they are: `app.tenant: 7`. Names with a dot, `role` and `row_security`; all others are "
     "Postgres's own, and the program's to set"},
    {"notify", QUEUE_KEY_CHANNEL, false, AT(notify), 0, "channel", NULL,
     "a NOTIFY after releases, ten a second at most, over a connection of its own; its payload is "
     "`{\"queue\":\"NAME\",\"released\":N}`. A hint, which may be lost: who needs it with the "
     "commit writes an `also`. The channel's name counts as written, so that `LISTEN` wants "
     "capitals "
     "in quotes"},
    OVERRIDES("batch_size", SETTING_BATCH_SIZE),
    OVERRIDES("workers", SETTING_WORKERS),
    OVERRIDES("pace", SETTING_PACE),
    OVERRIDES("lookahead", SETTING_LOOKAHEAD),
    OVERRIDES("feed_interval", SETTING_FEED),
    OVERRIDES("scan_interval", SETTING_SCAN),
    OVERRIDES("lock_timeout", SETTING_LOCK_TIMEOUT),
    OVERRIDES("first_run_limit", SETTING_FIRST_RUN_LIMIT),
};

/* A key's name within its group. */
static const char *last_part(const struct queue_key_row *row)
{
    const char *dot = strrchr(row->name, '.');
    return dot == NULL ? row->name : dot + 1;
}

const struct queue_key_row *queue_key_group(const struct queue_key_row *row)
{
    size_t len = (size_t)(last_part(row) - row->name);
    for (int i = 0; i < QUEUE_KEYS_N && len > 0; i++)
        if (strlen(queue_keys[i].name) == len - 1 &&
            strncmp(queue_keys[i].name, row->name, len - 1) == 0)
            return &queue_keys[i];
    assert(len == 0);
    return NULL;
}

/* A name of another group is a little farther away than one of this. */
const struct queue_key_row *queue_key_find(const struct queue_key_row *group, const char *text,
                                           size_t len, const struct queue_key_row **nearest)
{
    size_t least = SIZE_MAX;
    for (int i = 0; i < QUEUE_KEYS_N; i++) {
        const struct queue_key_row *row = &queue_keys[i];
        bool here = queue_key_group(row) == group;
        size_t distance = config_distance(text, len, last_part(row)) + !here;
        if (distance == 0 && len <= CONFIG_NAME_MAX)
            return row;
        if (distance < least) {
            least = distance;
            *nearest = row;
        }
    }
    return NULL;
}

static void put_row(FILE *out, const struct queue_key_row *row)
{
    char allowed[320];
    fprintf(out, "| `%s` | ", row->name);
    if (row->kind == QUEUE_KEY_SETTING) {
        const struct setting *s = &settings[row->setting];
        setting_allowed(s, allowed, sizeof(allowed));
        fprintf(out, "%s | `%s` | as the setting, for this queue alone |\n", allowed, s->variable);
        return;
    }
    fprintf(out, "%s | ", row->what);
    if (row->mandatory)
        fputs("needed", out);
    else if (row->preset != NULL)
        fprintf(out, strchr(row->preset, '`') == NULL ? "`%s`" : "%s", row->preset);
    else
        fputs("none", out);
    fprintf(out, " | %s |\n", row->help);
}

void queue_keys_print(FILE *out)
{
    fprintf(out,
            "\nWithout a file this is served:\n"
            "\n"
            "```yaml\n"
            "%s"
            "```\n"
            "\n"
            "| key | what it is | default | meaning |\n"
            "| --- | --- | --- | --- |\n",
            queue_builtin);
    for (int i = 0; i < QUEUE_KEYS_N; i++)
        put_row(out, &queue_keys[i]);
}
