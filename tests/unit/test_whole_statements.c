/* A statement is whole, or there is none: no write of it may fail unseen, or SQL would lose a piece
 * of itself when memory runs out for a moment. Each is made again and again, with the first, the
 * second, the third ... write failing, the others not. */
#include "store/also.h"
#include "store/fragment.h"
#include "store/mapping.h"

#include "shop_queue.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- In place of pg_quote.c, which needs a connection, and of libc's stream in memory. */

char *pg_link_quote_ident(struct pg_link *link, const char *name);
char *pg_link_quote_literal(struct pg_link *link, const char *text);

static char *quoted(char quote, const char *text)
{
    char *out = NULL;
    assert_true(asprintf(&out, "%c%s%c", quote, text, quote) > 0);
    return out;
}

char *pg_link_quote_ident(struct pg_link *link, const char *name)
{
    (void)link;
    return quoted('"', name);
}

char *pg_link_quote_literal(struct pg_link *link, const char *text)
{
    (void)link;
    return quoted('\'', text);
}

static size_t until_failure; /* 0: none is to come */

struct memory {
    char **text;
    size_t *size;
};

static ssize_t memory_write(void *cookie, const char *from, size_t n)
{
    const struct memory *m = cookie;
    if (until_failure > 0 && --until_failure == 0)
        return 0;
    *m->text = realloc(*m->text, *m->size + n + 1);
    assert_non_null(*m->text);
    memcpy(*m->text + *m->size, from, n);
    *m->size += n;
    (*m->text)[*m->size] = '\0';
    return (ssize_t)n;
}

static int memory_close(void *cookie)
{
    free(cookie);
    return 0;
}

FILE *open_memstream(char **text, size_t *size)
{
    static const cookie_io_functions_t functions = {.write = memory_write, .close = memory_close};
    struct memory *m = malloc(sizeof(*m));
    assert_non_null(m);
    *m = (struct memory){text, size};
    *text = strdup("");
    *size = 0;
    FILE *out = fopencookie(m, "w", functions);
    assert_non_null(out);
    assert_int_equal(setvbuf(out, NULL, _IONBF, 0), 0); /* each write is one */
    return out;
}

/* ---- What is made. */

static struct queue queue, sharer;
static struct mapping_types types;

static int begin(void **state)
{
    static char delete[] = "DELETE FROM a USING {released} r WHERE a.id = r.id";
    static char with[] = "WITH RECURSIVE w AS (SELECT 1) SELECT id FROM {released}";
    (void)state;
    queue = shop_queue;
    queue.file = "f";
    queue.stock.keys[1] = queue.stock.keys[0];
    queue.stock.nkeys = 2;
    queue.stock.counted = queue.active;
    sharer = queue;
    queue.stock.sharers[0] = &sharer;
    queue.stock.nsharers = 1;
    queue.also[0].text = delete;
    queue.also[1].text = with;
    queue.nalso = 2;
    types = (struct mapping_types){
        .queue = &queue,
        .id_cast = "pg_catalog.uuid",
        .id_type = "pg_catalog.uuid",
        .expires_type = "pg_catalog.timestamptz",
        .key_types = {"bigint", "bigint"},
        .told = {{"id", "id", "pg_catalog.uuid"}, {"quantity", NULL, "pg_catalog.int4"}},
        .n_told = 2,
    };
    return 0;
}

typedef char *make_one(int which);

/* Returns how many writes there were; 0: there is nothing of that number. */
static size_t try(make_one *make, int which)
{
    char *text;
    for (size_t n = 1;; n++) {
        until_failure = n;
        text = make(which);
        if (until_failure > 0) {
            until_failure = 0;
            assert_non_null(text);
            free(text);
            return n - 1;
        }
        if (text != NULL)
            fail_msg("write %zu of number %d failed, and there is \"%s\"", n, which, text);
    }
}

static char *make_mapped(int which)
{
    (void)which;
    return mapping_render(
        "SELECT {typed}, {quantity}, {hold_keys}, {counter_keys}, {s_key_text},\n"
        "{told_keys}, {also_seen}, {also_told}, {after_us}, {id_type}, {inventory_text},\n"
        "{sums}, {hidden}, {params}, {next_params}\n"
        "  FROM {reservations} r WHERE {active} AND {i_is_m} SET {released}{stock_set}",
        &types, 0, NULL);
}

static void test_mapping(void **state)
{
    (void)state;
    assert_true(try(make_mapped, 0) > 50);
}

static char *make_also(int which)
{
    return also_render(&types, which, NULL);
}

static void test_also(void **state)
{
    (void)state;
    for (int i = 0; i < queue.nalso; i++)
        assert_true(try(make_also, i) > 10);
}

static char *make_proof(int which)
{
    struct fragment list[FRAGMENTS_MAX];
    assert_true(which < fragment_list(&queue, list));
    return fragment_proof(&list[which], &types, NULL);
}

static void test_proofs(void **state)
{
    (void)state;
    struct fragment list[FRAGMENTS_MAX];
    int n = fragment_list(&queue, list);
    assert_int_equal(n, 10);
    for (int i = 0; i < n; i++)
        assert_true(try(make_proof, i) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_mapping, begin),
        cmocka_unit_test_setup(test_also, begin),
        cmocka_unit_test_setup(test_proofs, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
