/* SQL taken apart, and what a piece of it may be. The first byte says which piece. */
#include "base/sql_scan.h"
#include "config/queue_sql.h"
#include "fuzz.h"

/* All of the text is passed over, in order, and in pieces that are not empty. */
static void scan(const char *text)
{
    const char *rest = text, *last = text;
    struct sql_token token = sql_scan(&rest);
    for (; token.kind != SQL_END; token = sql_scan(&rest)) {
        FUZZ_CHECK(token.len > 0 && token.at >= last);
        FUZZ_CHECK(token.at + token.len == rest);
        FUZZ_CHECK(token.kind != SQL_UNENDED || *rest == '\0');
        last = rest;
    }
    FUZZ_CHECK(*rest == '\0');
}

/* What was taken can be put into brackets. */
static void check(struct queue *queue, const char *text)
{
    char why[256];
    int line;
    if (queue_sql_check(queue, &line, why, sizeof(why)) != 0) {
        FUZZ_CHECK(memchr(why, '\0', sizeof(why)) != NULL && line == 7);
        return;
    }
    const char *rest = text;
    int depth = 0;
    for (struct sql_token t = sql_scan(&rest); t.kind != SQL_END; t = sql_scan(&rest)) {
        FUZZ_CHECK(t.kind != SQL_UNENDED && t.kind != SQL_PARAMETER);
        depth += sql_token_is_char(&t, '(') || sql_token_is_char(&t, '[');
        depth -= sql_token_is_char(&t, ')') || sql_token_is_char(&t, ']');
        FUZZ_CHECK(depth >= 0);
    }
    FUZZ_CHECK(depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char held[] = "true", kept[] = "id";
    if (size == 0)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    struct queue queue = {.id = {kept, 1}, .active = {held, 1}, .released = {NULL, 1}};
    struct queue_text *pieces[] = {&queue.active, &queue.released, &queue.also[0],
                                   &queue.keep.condition};
    size_t which = data[0] % 4;
    *pieces[which] = (struct queue_text){text, 7};
    queue.nalso = which == 2 ? 1 : 0;
    scan(text);
    check(&queue, text);
    free(text);
    return 0;
}
