/* What a queues file must not have: each is refused in one sentence, with the file and the line. */
#include "config_line.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define Q "q:\n  table: t\n"
#define KEPT Q "  active: a\n  released: b = 1\n"
#define BLOCK "write it as a | block"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *begin, *end;
    } rows[] = {
        {"# nothing\n", ":2: there is no queue", "CONFIGURATION.md"},
        {"---\n", ":2: there is no queue", "CONFIGURATION.md"},
        {"{}", ":1: there is no queue", "CONFIGURATION.md"},
        {"- q", ":1: a mapping is wanted here", "CONFIGURATION.md"},
        {"q", ":1: a mapping is wanted here", "CONFIGURATION.md"},
        {"q:\n", ":1: queue \"q\": a mapping is wanted here", "CONFIGURATION.md"},
        {"q: {table: t\n", ":2: this is not YAML", BLOCK},
        {"q:\n\ttable: t\n", ":2: this is not YAML: there is a tab", "blanks"},
        {"q:\n  active: |\n\tx\n", ":3: this is not YAML", ""},
        {Q "   id: x\n", ":2: table stands on several lines",
         "one; a key in the next has to begin below it"},
        {"my queue: {}", ":1: \"my queue\" is no name for a queue", "allowed"},
        {"q12345678901234567890123456789012345678901: {}", ":1: \"q123", "allowed"},
        {"'': {}", ":1: \"\" is no name", "allowed"},
        {"[a]: {}", ":1: \"{\" is no name", "allowed"},
        {"q: {table: t, active: a, released: delete}\nq: {}",
         ":2: queue \"q\" is there twice, first in "
         "line 1",
         "name"},
        {Q "  id: x\n  table: u\n", ":4: queue \"q\": \"table\" is there twice, first in line 2",
         "out"},
        {Q "  stock:\n    free: a\n    free: b\n", ":5: queue \"q\": \"stock.free\" is there twice",
         "out"},
        {Q "  activ: x\n", ":3: queue \"q\": \"activ\" is no key: the nearest is \"active\"", ""},
        {Q "  Expires_at: x\n", ":3: queue \"q\": \"Expires_at\" is no key", "\"expires_at\""},
        {Q "  free: x\n", ":3: queue \"q\": \"free\" is no key", "\"stock.free\""},
        {Q "  stock:\n    tabel: x\n", ":4: queue \"q\": \"stock.tabel\" is no key",
         "\"stock.table\""},
        {Q "  ? [a]\n  : b\n", ":3: a key is a list", "CONFIGURATION.md"},
        {Q "  <<: {id: x}\n", ":3: \"<<\" is not allowed", "bring"},
        {Q "  keep_while: [x]\n", ":3: keep_while is a list to YAML", BLOCK},
        {Q "  keep: 5m\n", ":3: keep: a mapping is wanted", "CONFIGURATION.md"},
        {Q "  keep: {extends: 5m}\n", ":3: queue \"q\": \"keep.extends\" is no key",
         "\"keep.extend\""},
        {Q "  extend: 5m\n", ":3: queue \"q\": \"extend\" is no key", "\"keep.extend\""},
        {Q "  keep: {extend: 5}\n", ":3: keep.extend: \"5\" is not allowed: its unit", "87600h"},
        {Q "  keep: {extend: 500ms}\n", ":3: keep.extend: \"500ms\" is not allowed", "87600h"},
        {Q "  keep: {look_again: 0s}\n", ":3: keep.look_again: \"0s\" is not allowed", "24h"},
        {Q "  keep: {at_most: off}\n", ":3: keep.at_most: \"off\" is not allowed", "87600h"},
        {Q "  keep: {then: wait}\n", ":3: keep.then: \"wait\" is not allowed: attention or release",
         ""},
        {KEPT "  keep: {then: release}\n",
         ":5: queue \"q\": \"keep\" says what becomes of what \"keep_while\" keeps", "out"},
        {KEPT "  keep_while: a\n  keep:\n    look_again: 5s\n    extend: 1m\n",
         ":8: queue \"q\": a kept reservation is either looked at again or extended", "out"},
        {KEPT "  after: 1m\n  keep_while: a\n  keep: {extend: 1m}\n",
         ":7: queue \"q\": \"keep.extend\" is not allowed with \"after\"", "\"keep.look_again\""},
        {KEPT "  keep_while: a\n  keep: {extend: 1m, at_most: 59s}\n",
         ":6: queue \"q\": \"keep.extend\" is longer than \"keep.at_most\"", "all"},
        {KEPT "  keep_while: a\n  keep: {extend: 121m}\n",
         ":6: queue \"q\": \"keep.extend\" is longer than \"keep.at_most\"", "all"},
        {KEPT "  keep_while: a, b\n", ":5: queue \"q\": keep_while: a \",\" follows the condition",
         "wanted"},
        {KEPT "  keep_while: a) OR (b\n", ":5: queue \"q\": keep_while: a \")\" closes", ""},
        {KEPT "  keep_while: id = $1\n", ":5: queue \"q\": keep_while: $1 is a parameter", ""},
        {KEPT "  keep_while: a; b\n", ":5: queue \"q\": keep_while: a \";\" ends it", ""},
        {Q "  notify: ''\n", ":3: notify has no value", "out"},
        {Q "  notify: [a]\n", ":3: notify is a list", "colon"},
        {Q "  notify: 0123456789012345678901234567890123456789012345678901234567890123\n",
         ":3: notify: \"01", "63 bytes"},
        {Q "  call: a.b.c\n", ":3: call: \"a.b.c\" is not allowed: function or", "brackets"},
        {Q "  call: ''\n", ":3: call has no value", "out"},
        {Q "  active: a\n  released: b = 1\n  call: f\n",
         ":5: queue \"q\": \"call\" is not allowed beside \"released\"", "out"},
        {Q "  active: a\n  released: delete\n  call: f\n",
         ":5: queue \"q\": \"call\" is not allowed beside \"released\"", "out"},
        {Q "  active: a\n  call: f\n  also:\n    - SELECT 1 FROM {released}\n",
         ":4: queue \"q\": \"call\" is not allowed beside \"also\"", "out"},
        {Q "  settings: x\n", ":3: settings: a mapping is wanted", "value}"},
        {Q "  settings: {}\n", ":3: settings is empty", "out"},
        {Q "  settings: {a.b: }\n", ":3: settings has no value", "out"},
        {Q "  settings: {a.b: 1, A.b: 2}\n",
         ":3: settings: \"A.b\" is not allowed: it is there twice", "out"},
        {Q "  settings:\n    a.b: x\n    Statement_Timeout: 1s\n",
         ":5: settings: \"Statement_Timeout\" is not allowed: it is Postgres's own", "allowed"},
        {Q "  settings: {search_path: x}\n", "it is Postgres's own", "allowed"},
        {Q "  settings: {TimeZone: x}\n", "it is Postgres's own", "allowed"},
        {Q "  settings: {Reservation_Sweeper.holds: x}\n", "this program's own", "name"},
        {Q "  settings: {app.: x}\n", ": a setting's name, such as", "$"},
        {Q "  settings: {app.1: x}\n", ": a setting's name, such as", "$"},
        {Q "  settings: {\"a'.b\": x}\n", ": a setting's name, such as", "$"},
        {Q "  settings: {r: x, role: y}\n", ":3: settings: \"r\" is not allowed", "allowed"},
        {Q "  active:\n  released: delete\n", ":3: active has no value", "block"},
        {Q "  active: ''\n", ":3: active has no value", ""},
        {Q "  active: |\n\n  released: x\n", ":3: active has no value", ""},
        {Q "  id:\n", ":3: id has no value", "out"},
        {Q "  active: !done x\n", ":3: \"!done\" is a tag", BLOCK},
        {Q "  active: ! x\n", ":3: \"!\" is a tag", BLOCK},
        {Q "  stock: ! {free: x}\n", ":3: \"!\" is a tag", BLOCK},
        {Q "  active: !!str x\n", ":3: \"tag:yaml.org,2002:str\" is a tag", BLOCK},
        {Q "  active: &a x\n", ":3: \"&a\" is an anchor", BLOCK},
        {"q: &a\n  table: t\n", ":1: \"&a\" is an anchor", BLOCK},
        {Q "  active: *a\n", ":3: \"*a\" is an alias", BLOCK},
        {"q: {table: t, active: a, released: delete}\n---\nr: {}", ":2: a second document", "out"},
        {Q "  active: flags #> '{a}' IS NULL\n", ":3: active: YAML cuts off", BLOCK},
        {Q "  active: 'flags' #> '{a}'\n", ":3: active: YAML cuts off", BLOCK},
        {Q "  active: a -- b\n", ":3: active: \"--\"", BLOCK},
        {Q "  active: \"a \\x2d- b\"\n", ":3: active: \"--\"", BLOCK},
        {Q "  active: a /* b */\n", ":3: active: \"/*\"", BLOCK},
        {Q "  active: >\n    a -- b\n    and c\n", ":3: active: YAML puts its lines together",
         BLOCK},
        {Q "  active: a\n    and b\n", ":3: active: YAML puts its lines together", BLOCK},
        {Q "  active: 'a\n    and b'\n", ":3: active: YAML puts its lines together", BLOCK},
        {Q "  active: {\"a\": 1}\n", ":3: active is a mapping to YAML", BLOCK},
        {Q "  active: [1]\n", ":3: active is a list to YAML", BLOCK},
        {Q "  active: a: b\n", ":3: this is not YAML", BLOCK},
        {Q "  active: \"a\\0b\"\n", ":3: active holds a NUL byte", "out"},
        {Q "  active: \"a\\eb\"\n", ":3: active holds a control character", "out"},
        {Q "  id: \"a\\nb\"\n", ":3: id holds a control character", "out"},
        {Q "  id: |\n    a\n    b\n", ":3: id stands on several lines", "one"},
        {Q "  id: [a]\n", ":3: id is a list", "colon"},
        {Q "  id: '\"a'\n", ":3: id: \"\"a\" is not allowed", "bytes"},
        {"q:\n  table: a.b.c\n", ":2: table: \"a.b.c\" is not allowed", "'\"my.table\"'"},
        {"q:\n  table: .b\n", ":2: table: \".b\" is not allowed", "'\"my.table\"'"},
        {Q "  quantity: 2\n", ":3: quantity: \"2\" is not allowed: a column, or 1", ""},
        {Q "  after: 90\n", ":3: after: \"90\" is not allowed: its unit", "87600h"},
        {Q "  after: -1s\n", ":3: after: \"-1s\" is not allowed", "87600h"},
        {Q "  expires_unit: us\n", ":3: expires_unit: \"us\" is not allowed: ms or s", ""},
        {Q "  database: shard\n", ":3: database: \"shard\" is not allowed", "_"},
        {Q "  carry: a\n", ":3: carry: a list is wanted", "]"},
        {Q "  carry: []\n", ":3: carry is empty", "out"},
        {Q "  carry: [a, b, a]\n", ":3: carry: \"a\" is there twice", "them out"},
        {Q "  also: DELETE FROM x\n", ":3: also: a list is wanted", "block"},
        {Q "  active: a\n  released: delete\n  also:\n    - DELETE FROM x\n", ":6: ", ""},
        {Q "  stock: inventory\n", ":3: stock: a mapping is wanted", "CONFIGURATION.md"},
        {Q "  stock:\n    key: a\n", ":4: stock.key: a mapping is wanted", "}"},
        {Q "  stock:\n    key: {a: b, a: c}\n", ":4: stock.key: \"a\" is there twice", "out"},
        {Q "  stock:\n    key: {a: b, c: b}\n", ":4: stock.key: \"b\" is there twice", "out"},
        {Q "  active: a\n", ":1: queue \"q\": \"released\" is missing", "CONFIGURATION.md"},
        {"q: {active: a, released: delete}", ":1: queue \"q\": \"table\" is missing",
         "CONFIGURATION.md"},
        {Q "  active: a\n  released: delete\n  stock:\n    table: s\n",
         ":5: queue \"q\": \"stock.key\" is missing", "CONFIGURATION.md"},
        {Q "  active: a\n  released: delete\n  stock: {table: s, key: {a: b}}\n",
         ":5: queue \"q\": neither \"stock.free\" nor", "out"},
        {Q "  active: a\n  released: delete\n  stock: {table: s, key: {a: b}, free: f, total: x}\n",
         ":5: queue \"q\": \"stock.total\" is the sum", "out"},
        {Q "  active: True\n  released: a = 1\n", ":3: queue \"q\": active: true", "\"call\""},
        {Q "  active: a\n  released: delete\n  carry: [quantity]\n",
         ":5: queue \"q\": carry: {released} has a column \"quantity\"", "out"},
        {Q "  active: a\n  released: delete\n  workers: 17\n",
         ":5: workers: \"17\" is not allowed: a whole number from 1 to 16", ""},
        {Q "  active: a\n  released: delete\n  lookahead: 10s\n",
         "SWEEPER_FEED_INTERVAL: \"15s\" is not allowed with SWEEPER_QUEUES:5: lookahead \"10s\"",
         ""},
        {Q "  active: a\n  released: delete\n  feed_interval: 60s\n",
         ":5: feed_interval: \"60s\" is not allowed with SWEEPER_LOOKAHEAD \"60s\"", ""},
        {"q: [[[[[[[[[[[[[[[[[[[[[[[[", "", ""},
        {"\xFF", ":1: this is not UTF-8", "UTF-8"},
        {Q "  id: \xC3\x28\n", ":3: this is not UTF-8", "UTF-8"},
        {Q "\n  id: a\x01\n", ":4: it holds a control character", "out"},
        {Q "  id: \xC2\x81\n", ":3: this is not YAML", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        setenv("SWEEPER_QUEUES", rows[i].text, 1);
        if (read_words("") != -1)
            fail_msg("was taken: %s", rows[i].text);
        const char *end = rows[i].end;
        const char *tail = sentence_said + strlen(sentence_said) - strlen(end);
        if (strstr(sentence_said, rows[i].begin) == NULL || tail < sentence_said ||
            strcmp(tail, end) != 0 || strstr(sentence_said, "SWEEPER_QUEUES:") == NULL)
            fail_msg("%s\n  said %s", rows[i].text, sentence_said);
    }
}

static void test_limits(void **state)
{
    static char text[(1 << 20) + 2];
    (void)state;
    memset(text, '#', sizeof(text) - 1);
    expect_variable_refused("SWEEPER_QUEUES", text,
                            "SWEEPER_QUEUES: it is longer than 1 MiB: a file of queues has at most "
                            "1048576 bytes");
    text[sizeof(text) - 2] = '\0';
    memcpy(text, "q: {table: t, active: a, released: delete}\n", 43);
    setenv("SWEEPER_QUEUES", text, 1);
    expect_taken("");

    /* Depth costs nothing. */
    memset(text, '[', sizeof(text) - 2);
    setenv("SWEEPER_QUEUES", text, 1);
    assert_int_equal(read_words(""), -1);

    size_t len = 0;
    for (int i = 0; i < 257; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "q%d: {table: t, active: a, released: delete}\n", i);
    expect_variable_refused(
        "SWEEPER_QUEUES", text,
        "SWEEPER_QUEUES:257: there are more than 256 queues, which is the most");
    memset(text, 'p', 60);
    text[60] = '\0';
    setenv("SWEEPER_QUEUES", "queue: {table: t, active: a, released: delete}", 1);
    setenv("SWEEPER_KEY_PREFIX", text, 1);
    assert_int_equal(read_words(""), -1);
    assert_non_null(strstr(sentence_said, "longer than 64 bytes"));
    text[58] = '\0';
    setenv("SWEEPER_KEY_PREFIX", text, 1);
    expect_taken("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_limits, config_setup, config_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
