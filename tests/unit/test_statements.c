/* When the catalog is read, and what an answer changes. The catalog, the templates and the link are
 * stood in for. */
#include "store/statements.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/pg_link.h"
#include "store/catalog.h"
#include "store/fragment.h"

#include "shop_queue.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8

/* What the next answer says. */
static struct {
    bool unreadable, changed;
    const char *unusable; /* NULL: it can be used */
    int renders_left;     /* before memory runs out */
    int rendered;
} catalog;

/* Questions without an answer. */
static struct {
    pg_answer_cb *cb;
    void *arg;
} asked[MOST];
static size_t nasked;
static bool link_down;

static struct statements *statements;
static struct server_clock pg_clock;
static int calls;
static char said[256]; /* what the last `done` was told; "-": nothing went wrong */

int pg_link_send(struct pg_link *link, const struct pg_query *queries, int n, int64_t deadline_us,
                 pg_answer_cb *cb, void *arg)
{
    (void)link;
    (void)deadline_us;
    assert_int_equal(n, 1);
    assert_int_equal(queries[0].nparams, 5);
    if (link_down)
        return -1;
    assert_true(nasked < MOST);
    asked[nasked].cb = cb;
    asked[nasked++].arg = arg;
    return 0;
}

int catalog_list(struct catalog *c, const struct queue *queue)
{
    memset(c, 0, sizeof(*c));
    c->queue = queue;
    return 0;
}

char *catalog_names(const struct catalog *c, struct pg_link *link, bool tables)
{
    (void)c;
    (void)link;
    return strdup(tables ? "{tables}" : "{columns}");
}

char *catalog_key(const struct catalog *c)
{
    (void)c;
    return strdup("{key}");
}

int catalog_read(struct catalog *c, const struct pg_result *r)
{
    (void)c;
    (void)r;
    return catalog.unreadable ? -1 : 0;
}

int64_t catalog_clock_us(const struct pg_result *r)
{
    (void)r;
    return 1000 * SECOND_US;
}

int catalog_types(const struct catalog *c, struct mapping_types *types, char *error, size_t size)
{
    memset(types, 0, sizeof(*types));
    types->queue = c->queue;
    if (catalog.unusable == NULL)
        return 0;
    snprintf(error, size, "%s", catalog.unusable);
    return -1;
}

bool catalog_changed(const struct catalog *before, const struct catalog *now)
{
    (void)before;
    (void)now;
    return catalog.changed;
}

char *mapping_render(const char *template, const struct mapping_types *types, unsigned form,
                     struct pg_link *link)
{
    (void)template;
    (void)types;
    (void)form;
    (void)link;
    catalog.rendered++;
    return catalog.renders_left-- > 0 ? strdup("SELECT 1") : NULL;
}

bool mapping_allows_bulk(const struct mapping_types *types)
{
    return types->queue == &shop_queue;
}

bool mapping_allows_backlog(const struct mapping_types *types)
{
    return types->queue == &shop_queue;
}

bool mapping_allows_lean(const struct mapping_types *types)
{
    return types->queue == &shop_queue;
}

/* The proof of the operator's SQL that has no answer yet. */
static struct {
    void (*done)(void *arg, const char *error, bool locked);
    void *arg;
} proof;

int fragment_prove(const struct mapping_types *types, struct pg_link *link,
                   void (*done)(void *arg, const char *error, bool locked), void *arg)
{
    (void)link;
    assert_non_null(types->queue->file);
    assert_null(proof.done);
    if (link_down)
        return -1;
    proof.done = done;
    proof.arg = arg;
    return 0;
}

char *mapping_table(const struct queue_table *table, struct pg_link *link)
{
    (void)link;
    return strdup(table->name);
}

void mapping_use_bytes(struct mapping_types *types)
{
    (void)types;
}

static void on_loaded(void *arg, const char *error)
{
    assert_ptr_equal(arg, &calls);
    calls++;
    snprintf(said, sizeof(said), "%s", error != NULL ? error : "-");
}

static int set_up(void **state)
{
    (void)state;
    memset(&catalog, 0, sizeof(catalog));
    memset(&pg_clock, 0, sizeof(pg_clock));
    catalog.renders_left = 1000;
    nasked = 0;
    link_down = false;
    calls = 0;
    statements = statements_new(&shop_queue);
    return statements != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    shop_queue.file = NULL;
    proof.done = NULL;
    statements_free(statements);
    return 0;
}

/* Returns the number of the question. */
static size_t ask(void)
{
    assert_int_equal(statements_load(statements, NULL, &pg_clock, on_loaded, &calls), 0);
    return nasked - 1;
}

static void answer(size_t question, enum pg_status status, const char *message)
{
    const struct pg_result *results[] = {NULL};
    int64_t now_us = clock_mono_us();
    const struct pg_answer a = {.status = status,
                                .nresults = 1,
                                .results = results,
                                .message = message,
                                .table = "",
                                .sent_us = now_us,
                                .received_us = now_us};
    int before = calls;
    asked[question].cb(asked[question].arg, &a);
    assert_int_equal(calls, before + 1);
}

static void load(void)
{
    answer(ask(), PG_DONE, "");
}

#define MADE (STATEMENT_COUNT - 2) /* nothing is kept, no function is called */

static void test_made_once(void **state)
{
    (void)state;
    assert_false(statements_ready(statements));
    load();
    assert_string_equal(said, "-");
    assert_true(statements_ready(statements));
    assert_true(pg_clock.known);
    assert_int_equal(catalog.rendered, MADE);
    uint64_t generation = statements_generation(statements);
    load();
    assert_int_equal(catalog.rendered, MADE);
    assert_true(statements_generation(statements) == generation);
    catalog.changed = true;
    load();
    assert_int_equal(catalog.rendered, 2 * MADE);
    assert_true(statements_generation(statements) != generation);
}

static void test_a_database_that_cannot_be_used(void **state)
{
    (void)state;
    load();
    uint64_t generation = statements_generation(statements);
    catalog.unusable = "there is no table x";
    load();
    assert_string_equal(said, "there is no table x");
    assert_string_equal(statements_problem(statements), "there is no table x");
    assert_false(statements_ready(statements));
    assert_true(statements_generation(statements) != generation);
    /* The same tables as before: they are made anew all the same. */
    catalog.unusable = NULL;
    load();
    assert_string_equal(said, "-");
    assert_string_equal(statements_problem(statements), "");
    assert_true(statements_ready(statements));
}

static void test_an_answer_that_is_none(void **state)
{
    (void)state;
    catalog.unreadable = true;
    load();
    assert_string_equal(said, "the catalog gave an unexpected answer");
    assert_false(statements_ready(statements));
    assert_false(pg_clock.known);
}

/* What is ready stays so; where nothing is, a refusal says why. */
static void test_a_question_that_fails(void **state)
{
    (void)state;
    answer(ask(), PG_UNKNOWN, "the connection was lost");
    assert_string_equal(said, "the connection was lost");
    assert_string_equal(statements_problem(statements), "");
    answer(ask(), PG_REFUSED, "no schema of yours");
    assert_string_equal(said, "no schema of yours");
    assert_string_equal(statements_problem(statements), "no schema of yours");
    load();
    assert_string_equal(statements_problem(statements), "");
    answer(ask(), PG_REFUSED, "out of shared memory");
    assert_string_equal(said, "out of shared memory");
    assert_string_equal(statements_problem(statements), "");
    assert_true(statements_ready(statements));
}

/* A time zone that nobody knows is named with its line. */
static void test_a_question_that_is_refused_for_its_zone(void **state)
{
    (void)state;
    struct queue queue = shop_queue;
    struct statements *of_file = statements_new(&queue);
    assert_non_null(of_file);
    queue.file = "shop.yaml";
    queue.time_zone.line = 7;
    assert_int_equal(statements_load(of_file, NULL, &pg_clock, on_loaded, &calls), 0);
    const struct pg_answer a = {.status = PG_REFUSED,
                                .message = "time zone \"Mars\" not recognized",
                                .sqlstate = "22023",
                                .table = ""};
    asked[0].cb(asked[0].arg, &a);
    assert_string_equal(said, "shop.yaml:7: time zone \"Mars\" not recognized: a name of "
                              "pg_timezone_names is wanted, such as Europe/Berlin");
    assert_string_equal(statements_problem(of_file), said);
    statements_free(of_file);
}

/* What happens in the same microsecond has no order. */
static void let_time_pass(void)
{
    int64_t then_us = clock_mono_us();
    while (clock_mono_us() == then_us)
        continue;
}

/* The answer to an earlier question changes nothing, and is told what the later one said. */
static void test_answers_in_another_order(void **state)
{
    (void)state;
    size_t first = ask();
    let_time_pass();
    size_t second = ask();
    catalog.unusable = "there is no table x";
    answer(second, PG_DONE, "");
    catalog.unusable = NULL;
    answer(first, PG_DONE, "");
    assert_string_equal(said, "there is no table x");
    assert_string_equal(statements_problem(statements), "there is no table x");
    assert_false(statements_ready(statements));
    assert_int_equal(catalog.rendered, 0);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    catalog.renders_left = MADE - 1;
    load();
    assert_string_equal(said, "out of memory");
    assert_false(statements_ready(statements));
}

/* At once, after a second where something is wrong or may be, and each minute. */
static void test_when_it_is_due(void **state)
{
    (void)state;
    assert_int_equal(statements_due_us(statements), 0);
    int64_t began_us = clock_mono_us();
    size_t question = ask();
    assert_true(statements_due_us(statements) == INT64_MAX);
    answer(question, PG_DONE, "");
    int64_t due_us = statements_due_us(statements);
    assert_in_range(due_us, began_us + MINUTE_US, clock_mono_us() + MINUTE_US);
    let_time_pass();
    statements_doubt(statements);
    assert_int_equal(statements_due_us(statements), due_us - MINUTE_US + SECOND_US);
    let_time_pass();
    load();
    assert_true(statements_due_us(statements) >= due_us);
    catalog.unusable = "there is no table x";
    began_us = clock_mono_us();
    load();
    assert_in_range(statements_due_us(statements), began_us + SECOND_US,
                    clock_mono_us() + SECOND_US);
}

static void test_nothing_can_be_sent(void **state)
{
    (void)state;
    link_down = true;
    assert_int_equal(statements_load(statements, NULL, &pg_clock, on_loaded, &calls), -1);
    assert_int_equal(calls, 0);
    assert_int_equal(statements_due_us(statements), 0);
}

static void test_bytes_are_a_change(void **state)
{
    (void)state;
    load();
    uint64_t generation = statements_generation(statements);
    statements_use_bytes(statements);
    assert_true(statements_generation(statements) != generation);
}

static void answer_catalog(void)
{
    const struct pg_result *results[] = {NULL};
    const struct pg_answer a = {
        .status = PG_DONE, .nresults = 1, .results = results, .message = "", .table = ""};
    size_t question = ask();
    asked[question].cb(asked[question].arg, &a);
}

static void answer_proof(const char *error, bool locked)
{
    void (*done)(void *, const char *, bool) = proof.done;
    assert_non_null(done);
    proof.done = NULL;
    done(proof.arg, error, locked);
}

/* SQL of a file is proved before there are statements, whenever they are made. */
static void test_sql_that_is_to_be_proved(void **state)
{
    (void)state;
    shop_queue.file = "shop.yaml";
    answer_catalog();
    assert_false(statements_ready(statements));
    assert_int_equal(calls, 0);
    assert_true(statements_due_us(statements) == INT64_MAX);
    answer_proof("shop.yaml:3: active: no", false);
    assert_false(statements_locked(statements));
    assert_false(statements_ready(statements));
    assert_string_equal(said, "shop.yaml:3: active: no");
    assert_string_equal(statements_problem(statements), said);

    answer_catalog();
    answer_proof("table holds is locked", true);
    assert_false(statements_ready(statements));
    assert_true(statements_locked(statements));

    answer_catalog();
    answer_proof(NULL, false);
    assert_false(statements_locked(statements));
    assert_true(statements_ready(statements));
    assert_string_equal(said, "-");
    assert_string_equal(statements_problem(statements), "");
    load(); /* nothing has changed */
    assert_true(statements_ready(statements));

    catalog.changed = true;
    answer_catalog();
    assert_false(statements_ready(statements));
    answer_proof(NULL, false);
    assert_true(statements_ready(statements));
}

static void test_a_proof_that_comes_too_late_or_never(void **state)
{
    (void)state;
    shop_queue.file = "shop.yaml";
    answer_catalog();
    void (*former)(void *, const char *, bool) = proof.done;
    void *former_arg = proof.arg;
    proof.done = NULL;
    answer_catalog();
    former(former_arg, NULL, false); /* of statements that are gone */
    assert_false(statements_ready(statements));
    answer_proof(NULL, false);
    assert_true(statements_ready(statements));

    catalog.changed = true;
    size_t question = ask();
    link_down = true;
    const struct pg_result *results[] = {NULL};
    const struct pg_answer a = {
        .status = PG_DONE, .nresults = 1, .results = results, .message = "", .table = ""};
    asked[question].cb(asked[question].arg, &a);
    assert_false(statements_ready(statements));
    assert_string_not_equal(said, "-");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_made_once),
        TEST(test_a_database_that_cannot_be_used),
        TEST(test_an_answer_that_is_none),
        TEST(test_a_question_that_fails),
        TEST(test_a_question_that_is_refused_for_its_zone),
        TEST(test_answers_in_another_order),
        TEST(test_out_of_memory),
        TEST(test_when_it_is_due),
        TEST(test_nothing_can_be_sent),
        TEST(test_bytes_are_a_change),
        TEST(test_sql_that_is_to_be_proved),
        TEST(test_a_proof_that_comes_too_late_or_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
