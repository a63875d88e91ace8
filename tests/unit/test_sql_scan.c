/* SQL taken apart: each piece has the kind and the length that Postgres gives it. */
#include "base/sql_scan.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

/* w word, n name, l literal, 1 number, p parameter, h place, U unended; others as they are. */
static void write_kinds(const char *sql, char *out, size_t size)
{
    static const char kinds[] = {
        [SQL_WORD] = 'w',      [SQL_NAME] = 'n',  [SQL_LITERAL] = 'l', [SQL_NUMBER] = '1',
        [SQL_PARAMETER] = 'p', [SQL_PLACE] = 'h', [SQL_UNENDED] = 'U',
    };
    size_t n = 0;
    for (struct sql_token t = sql_scan(&sql); t.kind != SQL_END; t = sql_scan(&sql)) {
        assert_true(n + 1 < size);
        out[n++] = t.kind == SQL_CHARACTER ? *t.at : kinds[t.kind];
    }
    out[n] = '\0';
}

static void test_pieces(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *kinds;
    } rows[] = {
        {"", ""},
        {" \t\r\n\f\v", ""},
        {"status = 'active'", "w=l"},
        {"r.status", "w.w"},
        {"a1$b_\xC3\xA9", "w"},
        {"a'b'", "wl"},
        {"1.5e3", "1w"},
        {"1e'\\'", "1U"}, /* E'...' behind a number, to those who allow that */
        {"$1+$23", "p+p"},
        {"a$1", "w"},
        {"{released}", "h"},
        {"{released}.id", "h.w"},
        {"{ released}", "{w}"},
        {"{}", "{}"},
        {"{released", "{w"},
        /* Literals */
        {"'it''s'", "l"},
        {"''", "l"},
        {"'a", "U"},
        {"'a''", "U"},
        {"'\\'", "l"},
        {"'\\' OR 'x'", "lwl"},
        {"E'\\''", "l"},
        {"e'\\\\'", "l"},
        {"e'\\\\\\''", "l"},
        {"E'a''b'", "l"},
        {"E'\\'", "U"},
        {"E'a\\", "U"},
        {"te'\\'", "wl"},
        {"_e'\\'", "wl"},
        {"B'01' X'ff' N'n' U&'\\0041'", "wlwlwlw&l"},
        {"U&'\\'", "w&l"},
        {"E'a'\n'\\''", "l"},
        {"E'a' '\\'", "ll"},
        {"E'a' -- c\n '\\''", "l"},
        {"E'a' -- c\n -- d\n\t'\\''", "l"},
        {"E'a'\n -- c '\\''", "l"},
        {"E'a' /* c */ \n '\\'", "ll"},
        {"E'a'\r'\\''", "l"},
        {"'a'\n'b", "U"},
        {"'a'\n\"b\"", "ln"},
        {"';'", "l"},
        {"'--'", "l"},
        {"'/*'", "l"},
        {"'(' || ')'", "l||l"},
        {"'{released}'", "l"},
        /* Dollar quotes */
        {"$$a'b$$", "l"},
        {"$$$$", "l"},
        {"$a$b$a$", "l"},
        {"$a$b$$c$b$a$", "l"},
        {"$a$$a$a$", "lw"},
        {"$a$ $A$", "U"},
        {"$\xC3\xA9$x$\xC3\xA9$", "l"},
        {"$a", "$w"},
        {"$a b$", "$ww"},
        {"$1$$", "pU"},
        {"$1a$x$1a$", "pw"},
        {"a$$b$$", "w"},
        {"a $$b$$", "wl"},
        {"1$$b$$", "1l"},
        {"$$", "U"},
        {"$$;$$;", "l;"},
        /* Names */
        {"\"a b\"", "n"},
        {"\"a\"\"b\"", "n"},
        {"\"a\"\n\"b\"", "nn"},
        {"\"a\\\"", "n"},
        {"\"a", "U"},
        {"\"--\"", "n"},
        {"\"$1\"", "n"},
        {"\"{released}\"", "n"},
        {"U&\"\\0041\"", "w&n"},
        /* Comments */
        {"-- a", ""},
        {"-- a\nb", "w"},
        {"-- a\rb", "w"},
        {"a--'\nb", "ww"},
        {"a-- {released}", "w"},
        {"- -a", "--w"},
        {"a---b\nc", "ww"},
        {"a+--b\n1", "w+1"},
        {"/* a */b", "w"},
        {"/* ' */b", "w"},
        {"/* /* a */ */b", "w"},
        {"/* /* a */ b", "U"},
        {"/*/", "U"},
        {"/*/ */", ""},
        {"/**/", ""},
        {"/***/a", "w"},
        {"/*/**/*/a", "w"},
        {"a*/*b*/c", "w*w"},
        {"a */ b", "w*/w"},
        {"a/ *b", "w/*w"},
        {"a//*b*/c", "w/w"},
        {"/* -- */ a", "w"},
        {"-- /*\na", "w"},
        {"/* \n */\n'a' /*", "lU"},
        {"/*", "U"},
        /* Brackets and the rest */
        {"a) OR (1=1", "w)w(1=1"},
        {"a, true", "w,w"},
        {"x::int[]", "w::w[]"},
        {"flags #> '{a,b}'", "w#>l"},
        {"a -> 'b' ->> 'c'", "w->l->>l"},
        {"a;b", "w;w"},
        {"\\x", "\\w"},
        {"@@", "@@"},
        {"(SELECT 1)", "(w1)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char kinds[128];
        write_kinds(rows[i].sql, kinds, sizeof(kinds));
        if (strcmp(kinds, rows[i].kinds) != 0)
            fail_msg("<%s>: %s, not %s", rows[i].sql, kinds, rows[i].kinds);
    }
}

static void test_length(void **state)
{
    (void)state;
    const char *text = " E'a'\n 'b' c";
    struct sql_token token = sql_scan(&text);
    assert_int_equal(token.len, 9);
    assert_string_equal(text, " c");
    token = sql_scan(&text);
    assert_true(sql_token_is(&token, "C"));
    assert_false(sql_token_is(&token, "cc"));
    assert_false(sql_token_is_char(&token, 'c'));
    text = "x /* y";
    (void)sql_scan(&text);
    token = sql_scan(&text);
    assert_int_equal(token.kind, SQL_UNENDED);
    assert_string_equal(token.at, "/* y");
    assert_int_equal(sql_scan(&text).kind, SQL_END);
    assert_int_equal(sql_scan(&text).kind, SQL_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
