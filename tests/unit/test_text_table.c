/* The hash table of texts. */
#include "base/text_table.h"
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MOST 5000

static struct thing {
    struct text_entry entry;
    char key[16];
    bool in;
    int freed;
} things[MOST];

static void note_free(struct text_entry *entry)
{
    ((struct thing *)entry)->freed++;
}

/* So many that chains hold several; at random, beside an array that knows better. */
static void test_against_an_array(void **state)
{
    struct text_table t = {.n = 0};
    unsigned random = 1;
    size_t n = 0;
    (void)state;
    for (int i = 0; i < MOST; i++) {
        things[i] = (struct thing){.in = false};
        snprintf(things[i].key, sizeof(things[i].key), "%d", i);
        things[i].entry.key = things[i].key;
    }
    for (int step = 0; step < 20 * MOST; step++) {
        random = random * 1103515245 + 12345;
        struct thing *thing = &things[random / 65536 % MOST];
        assert_ptr_equal(text_table_find(&t, thing->key), thing->in ? &thing->entry : NULL);
        if (thing->in)
            text_table_remove(&t, &thing->entry);
        else
            text_table_add(&t, &thing->entry);
        thing->in = !thing->in;
        n = thing->in ? n + 1 : n - 1;
        assert_int_equal(t.n, n);
    }
    for (int i = 0; i < MOST; i++)
        assert_ptr_equal(text_table_find(&t, things[i].key),
                         things[i].in ? &things[i].entry : NULL);
    text_table_clear(&t, note_free);
    assert_int_equal(t.n, 0);
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(things[i].freed, things[i].in ? 1 : 0);
        assert_null(text_table_find(&t, things[i].key));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
