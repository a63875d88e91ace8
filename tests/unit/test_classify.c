/* What an SQLSTATE says: of a row, of a lock, of the server, of the connection. */
#include "release/release.h"

#include "unit.h"

struct row {
    const char *sqlstate;
    enum release_fault outside, inside;
};

static void sqlstates(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* A row's, whoever raised it: constraints, numbers, what a trigger likes. */
        {"23514", RELEASE_ROW, RELEASE_ROW},
        {"22003", RELEASE_ROW, RELEASE_ROW},
        {"P0001", RELEASE_ROW, RELEASE_ROW},
        {"ZZ999", RELEASE_ROW, RELEASE_ROW},
        {RELEASE_WRONG_COUNTER, RELEASE_ROW, RELEASE_ROW},
        {RELEASE_WRONG_ROW, RELEASE_ROW, RELEASE_ROW},
        {"", RELEASE_ROW, RELEASE_ROW},
        /* Locks. */
        {"40001", RELEASE_RETRY, RELEASE_RETRY},
        {"40P01", RELEASE_RETRY, RELEASE_RETRY},
        {"40003", RELEASE_RETRY, RELEASE_RETRY},
        {"55P03", RELEASE_RETRY, RELEASE_RETRY},
        {"57014", RELEASE_SLOW, RELEASE_SLOW},
        /* The connection's or the server's, unless a function raised it. */
        {"25006", RELEASE_GONE, RELEASE_EITHER},
        {"57P01", RELEASE_GONE, RELEASE_EITHER},
        {"57P03", RELEASE_GONE, RELEASE_EITHER},
        {"53300", RELEASE_GONE, RELEASE_EITHER},
        {"08006", RELEASE_GONE, RELEASE_EITHER},
        {"25P02", RELEASE_SERVER, RELEASE_EITHER},
        {"26000", RELEASE_SERVER, RELEASE_EITHER},
        {"28P01", RELEASE_SERVER, RELEASE_EITHER},
        {"3D000", RELEASE_SERVER, RELEASE_EITHER},
        {"53100", RELEASE_SERVER, RELEASE_EITHER},
        {"53200", RELEASE_SERVER, RELEASE_EITHER},
        {"57000", RELEASE_SERVER, RELEASE_EITHER},
        {"F0000", RELEASE_SERVER, RELEASE_EITHER},
        {RELEASE_WRONG_TABLES, RELEASE_SERVER, RELEASE_EITHER},
        /* The statement's, or a trigger's of one row. */
        {"0A000", RELEASE_EITHER, RELEASE_EITHER},
        {"3F000", RELEASE_EITHER, RELEASE_EITHER},
        {"42501", RELEASE_EITHER, RELEASE_EITHER},
        {"42P01", RELEASE_EITHER, RELEASE_EITHER},
        {"54001", RELEASE_EITHER, RELEASE_EITHER},
        {"55000", RELEASE_EITHER, RELEASE_EITHER},
        {"58030", RELEASE_EITHER, RELEASE_EITHER},
        {"XX000", RELEASE_EITHER, RELEASE_EITHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(release_classify(rows[i].sqlstate, false), rows[i].outside);
        assert_int_equal(release_classify(rows[i].sqlstate, true), rows[i].inside);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sqlstates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
