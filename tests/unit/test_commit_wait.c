/* Whether a release waits for the disk: each rule of commit_wait.c. */
#include "release/commit_wait.h"
#include "store/mapping.h"
#include "unit.h"

#include <string.h>

static void judged(void **state)
{
    static char channel[] = "c";
    static const struct {
        enum pg_session session;
        enum commit_wait verdict;
        bool synchronous, meddled, also, notify;
    } rows[] = {
        {PG_SESSION_OURS, COMMIT_NO_WAIT, false, false, false, false},
        {PG_SESSION_OURS, COMMIT_MEDDLED, false, true, false, false},
        {PG_SESSION_OURS, COMMIT_MEDDLED, false, false, true, false},
        {PG_SESSION_OURS, COMMIT_MEDDLED, false, false, false, true},
        {PG_SESSION_POOLED, COMMIT_POOLED, false, false, false, false},
        {PG_SESSION_POOLED, COMMIT_MEDDLED, false, true, false, false},
        {PG_SESSION_UNASKED, COMMIT_UNASKED, false, false, false, false},
        {PG_SESSION_UNASKED, COMMIT_MEDDLED, false, true, false, false},
        {PG_SESSION_OURS, COMMIT_AS_SERVER, true, false, false, false},
        {PG_SESSION_POOLED, COMMIT_AS_SERVER, true, true, false, false},
        {PG_SESSION_UNASKED, COMMIT_AS_SERVER, true, false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct queue queue = {.nalso = rows[i].also,
                                    .notify = {rows[i].notify ? channel : NULL, 1}};
        const struct mapping_types types = {.queue = &queue, .meddled = rows[i].meddled};
        assert_int_equal(commit_wait_judge(rows[i].synchronous, rows[i].session, &types),
                         rows[i].verdict);
    }
}

static void noticed(void **state)
{
    static const struct {
        enum commit_wait verdict;
        const char *own;
        const char *words; /* NULL: nothing is said */
    } rows[] = {
        {COMMIT_AS_SERVER, "on", NULL},
        {COMMIT_AS_SERVER, "remote_apply", NULL},
        {COMMIT_AS_SERVER, "", NULL},
        {COMMIT_AS_SERVER, "off", "do not wait for the disk: the server's own"},
        {COMMIT_AS_SERVER, "local", "wait for the disk, but for no standby"},
        {COMMIT_UNASKED, "", NULL},
        {COMMIT_POOLED, "on", "wait for the disk: off is not used through a pooler"},
        {COMMIT_POOLED, "off", "do not wait for the disk: the server's own"},
        {COMMIT_MEDDLED, "on", "wait for the disk: off is not used where triggers"},
        {COMMIT_MEDDLED, "", "wait for the disk: off is not used where triggers"},
        {COMMIT_MEDDLED, "local", "wait for the disk, but for no standby"},
        {COMMIT_NO_WAIT, "on", NULL},
        {COMMIT_NO_WAIT, "off", NULL},
        {COMMIT_NO_WAIT, "local", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *notice = commit_wait_notice(rows[i].verdict, rows[i].own);
        if (rows[i].words == NULL)
            assert_null(notice);
        else
            assert_non_null(strstr(notice, rows[i].words));
    }
}

/* Once each, in whatever order. */
static void said_once(void **state)
{
    const char *all[] = {
        commit_wait_notice(COMMIT_POOLED, "on"),
        commit_wait_notice(COMMIT_MEDDLED, "on"),
        commit_wait_notice(COMMIT_AS_SERVER, "off"),
        commit_wait_notice(COMMIT_AS_SERVER, "local"),
    };
    struct commit_notices notices = {{NULL}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_true(commit_wait_is_news(&notices, all[i]));
        for (size_t j = 0; j <= i; j++)
            assert_false(commit_wait_is_news(&notices, all[j]));
    }
    assert_false(commit_wait_is_news(&notices, "one more than there are"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged),
        cmocka_unit_test(noticed),
        cmocka_unit_test(said_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
