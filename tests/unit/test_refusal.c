/* What Redis says when it refuses, as each of its versions says it, made into a sentence. */
#include "queue/redis_refusal.h"

#include "unit.h"

#include <string.h>

static const struct lua_script script = {
    .name = "claim",
    .text = "local pending = KEYS[1]\n"
            "local time = redis.call('TIME')\n"
            "return redis.call('ZADD', pending, 1, 'a')\n",
};

#define DENIED "The user executing the script can't run this command or subcommand"

static void test_each_versions_words(void **state)
{
    (void)state;
    static const struct {
        const char *error, *text;
    } rows[] = {
        /* 6.2 */
        {"ERR Error running script (call to f_0f3f): @user_script:2: @user_script: 2: "
         "-NOPERM " DENIED,
         "TIME in claim.lua: NOPERM " DENIED},
        {"ERR Error running script (call to f_0f3f): @user_script:3: @user_script: 3: -OOM command "
         "not allowed when used memory > 'maxmemory'.",
         "ZADD in claim.lua: OOM command not allowed when used memory > 'maxmemory'."},
        /* 7.0 */
        {"ERR " DENIED " script: 0f3f, on @user_script:2.", "TIME in claim.lua: ERR " DENIED},
        {"WRONGTYPE Operation against a key script: 0f3f, on @user_script:3.",
         "ZADD in claim.lua: WRONGTYPE Operation against a key"},
        /* 7.2 and later */
        {"ERR ACL failure in script: User sweeper has no permissions to run the 'time' command "
         "script: 0f3f, on @user_script:2.",
         "TIME in claim.lua: ERR ACL failure in script: User sweeper has no permissions to run the "
         "'time' command"},
        /* Dragonfly */
        {"ERR Error running script (call to 0f3f): -NOPERM sweeper has no ACL permissions",
         "claim.lua: NOPERM sweeper has no ACL permissions"},
        {"ERR Error running script (call to 0f3f): script tried accessing undeclared key, key: a",
         "claim.lua: script tried accessing undeclared key, key: a"},
        {"ERR Error running script (call to ", "claim.lua: ERR Error running script (call to "},
        /* Before the script began. */
        {"NOPERM this user has no permissions to run the 'evalsha' command",
         "claim.lua: NOPERM this user has no permissions to run the 'evalsha' command"},
        {"NOPERM No permissions to access a key",
         "claim.lua: NOPERM No permissions to access a key (the keys are {r}:*)"},
        {"BUSY Redis is busy running a script.", "claim.lua: BUSY Redis is busy running a script."},
        /* Nonsense. */
        {"", "claim.lua: "},
        {"-", "claim.lua: "},
        {"ERR on @user_script:", "claim.lua: ERR on @user_script:"},
        {"ERR on @user_script:1.", "claim.lua: ERR on @user_script:1."},
        {"ERR on @user_script:99999999999999999999.",
         "claim.lua: ERR on @user_script:99999999999999999999."},
        {"user_script: ", "claim.lua: user_script: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct due_refusal refusal = {&script, NULL, "{r}:", rows[i].error};
        char text[256];
        due_refusal_text(text, sizeof(text), &refusal);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_a_command(void **state)
{
    (void)state;
    const struct due_refusal refusal = {NULL, "HSCAN", "{r}:", "NOPERM no 'hscan'"};
    char text[256];
    due_refusal_text(text, sizeof(text), &refusal);
    assert_string_equal(text, "HSCAN: NOPERM no 'hscan'");
}

static void test_what_is_long_is_cut(void **state)
{
    (void)state;
    char error[2000];
    char text[64];
    const struct due_refusal refusal = {&script, NULL, "{r}:", error};
    memset(error, 'x', sizeof(error) - 1);
    error[sizeof(error) - 1] = '\0';
    memcpy(error, "NOPERM a key", 12);
    due_refusal_text(text, sizeof(text), &refusal);
    assert_int_equal(strlen(text), sizeof(text) - 1);
}

static void test_what_may_be_over_soon(void **state)
{
    (void)state;
    static const char *const passing[] = {
        "CLUSTERDOWN Hash slot not served",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "ASK 11172 127.0.0.1:7001",
    };
    static const char *const lasting[] = {"NOPERM this user", "OOM command", "ERR ASK", "ASKING"};
    char text[256];
    struct due_refusal refusal = {.script = &script, .prefix = "{q}:"};
    for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
        refusal.error = passing[i];
        due_refusal_text(text, sizeof(text), &refusal);
        assert_true(due_refusal_passing(text));
    }
    for (size_t i = 0; i < ARRAY_LEN(lasting); i++) {
        refusal.error = lasting[i];
        due_refusal_text(text, sizeof(text), &refusal);
        assert_false(due_refusal_passing(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_be_over_soon),
        cmocka_unit_test(test_each_versions_words),
        cmocka_unit_test(test_a_command),
        cmocka_unit_test(test_what_is_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
