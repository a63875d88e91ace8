/* Answers of Redis to the due queue's scripts, as bytes of its protocol. The first byte says what
 * was asked; then one answer for each script. Stands in for the link: nothing is sent. */
#include "fuzz.h"
#include "link/redis_link_private.h"
#include "queue/due_queue.h"
#include "queue/pause_key.h"
#include "queue/repair.h"

#define REQUESTS_MAX 64
#define IDS 4

static struct {
    redis_link_cb *cb;
    void *arg;
} requests[REQUESTS_MAX];
static size_t nrequests;

static int take_request(redis_link_cb *cb, void *arg)
{
    if (nrequests == REQUESTS_MAX)
        return -1;
    requests[nrequests].cb = cb;
    requests[nrequests].arg = arg;
    nrequests++;
    return 0;
}

int redis_link_script(struct redis_link *link, redis_link_cb *cb, void *arg,
                      const struct lua_script *script, int nkeys, int nargs,
                      const char *const *args, const size_t *lengths)
{
    (void)link;
    (void)script;
    (void)lengths;
    for (int i = 0; i < nkeys + nargs; i++)
        FUZZ_CHECK(args[i] != NULL);
    return take_request(cb, arg);
}

int redis_link_command(struct redis_link *link, redis_link_cb *cb, void *arg, int argc,
                       const char *const *argv, const size_t *lengths)
{
    (void)link;
    (void)lengths;
    for (int i = 0; i < argc; i++)
        FUZZ_CHECK(argv[i] != NULL);
    return take_request(cb, arg);
}

/* Everything that an answer gives can be read to its end. */
static volatile unsigned sum;

static void touch(const char *text, size_t len)
{
    for (size_t i = 0; text != NULL && i <= len; i++)
        sum += (unsigned char)text[i];
}

static int outstanding;

static void on_claimed(void *arg, struct due_claimed *claimed, const char *error)
{
    size_t n = 0;
    (void)arg;
    outstanding--;
    FUZZ_CHECK((claimed == NULL) == (error != NULL));
    if (claimed == NULL)
        return;
    FUZZ_CHECK(claimed->n <= claimed->asked);
    for (size_t i = 0; i < claimed->n; i++) {
        touch(claimed->claims[i].id, claimed->claims[i].id_len);
        touch(claimed->claims[i].failed, claimed->claims[i].failed_len);
    }
    FUZZ_CHECK(claimed->n_leases <= DUE_QUEUE_LEASES_MAX);
    for (size_t i = 0; i < claimed->n_leases; i++) {
        FUZZ_CHECK(claimed->leases[i].n > 0 && claimed->leases[i].n <= DUE_QUEUE_SCRIPT_MAX);
        n += claimed->leases[i].n;
    }
    FUZZ_CHECK(n == claimed->n);
    FUZZ_CHECK(claimed->sizes.pending >= 0 && claimed->sizes.redis_us >= 0);
}

static void on_count(void *arg, size_t n, const char *error)
{
    (void)arg;
    (void)n;
    (void)error;
    outstanding--;
}

static void on_settled(void *arg, size_t n, size_t lost, const char *error)
{
    on_count(arg, n, error);
    (void)lost; /* Redis may claim anything */
}

static void on_sizes(void *arg, const struct due_sizes *sizes, const char *error)
{
    (void)arg;
    outstanding--;
    FUZZ_CHECK((sizes == NULL) == (error != NULL));
}

static void on_role(void *arg, bool held, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    (void)arg;
    (void)held;
    outstanding--;
    touch(owner, strlen(owner));
    FUZZ_CHECK(error != NULL || remaining_ms >= 0);
}

static void on_scores(void *arg, const int64_t *scores_ms, size_t n, const char *error)
{
    (void)arg;
    outstanding--;
    for (size_t i = 0; error == NULL && i < n; i++)
        sum += (unsigned)scores_ms[i];
}

static void on_indexes(void *arg, const size_t *indexes, size_t n, const char *error)
{
    (void)arg;
    outstanding--;
    for (size_t i = 0; error == NULL && i < n; i++)
        FUZZ_CHECK(indexes[i] < IDS && (i == 0 || indexes[i] > indexes[i - 1]));
}

static void on_states(void *arg, const struct due_state *states, size_t n, const char *error)
{
    (void)arg;
    outstanding--;
    for (size_t i = 0; error == NULL && i < n; i++) {
        touch(states[i].pending.text, states[i].pending.len);
        touch(states[i].inflight.text, states[i].inflight.len);
        touch(states[i].record.text, states[i].record.len);
    }
}

static void on_repaired(void *arg, const bool *repaired, size_t n, const char *error)
{
    (void)arg;
    outstanding--;
    for (size_t i = 0; error == NULL && i < n; i++)
        sum += repaired[i];
}

static void touch_all(const struct due_found *found, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        touch(found[i].id.text, found[i].id.len);
        touch(found[i].value.text, found[i].value.len);
    }
}

static void on_scan(void *arg, const char *cursor, const struct due_found *found, size_t n,
                    const char *error)
{
    (void)arg;
    outstanding--;
    if (error != NULL)
        return;
    touch(cursor, strlen(cursor));
    touch_all(found, n);
}

static void on_pending(void *arg, const struct due_found *found, size_t n, const char *error)
{
    (void)arg;
    outstanding--;
    if (error == NULL)
        touch_all(found, n);
}

static void on_added(void *arg, const char *error)
{
    (void)arg;
    (void)error;
    outstanding--;
}

static void on_mark(void *arg, const struct due_mark *mark, const char *error)
{
    (void)arg;
    (void)mark;
    (void)error;
    outstanding--;
}

static void on_paused(void *arg, const struct due_pause *pause, const char *error)
{
    (void)arg;
    (void)pause;
    (void)error;
    outstanding--;
}

static void on_order(void *arg, bool given, const char *error)
{
    (void)arg;
    (void)given;
    (void)error;
    outstanding--;
}

static const struct due_pause no_pause;
static const struct due_order order = {
    .seen = &no_pause, .record = "{}", .for_ms = 1, .number = 1, .kept_ms = 1};

static const struct due_entry entries[IDS] = {{"a", 1, 1}, {"b", 1, 2}, {"c", 1, 3}, {"d", 1, 4}};

static int ask_of_reconciliation(struct due_queue *q, uint8_t what)
{
    static const struct due_text from = {"5", 1}, after = {"a", 1};
    static const struct due_repair repairs[] = {
        {.what = "add", .id = "a", .id_len = 1, .at_ms = 5},
        {.what = "move", .id = "b", .id_len = 1, .seen = {"7", 1}, .at_ms = 5},
    };
    switch (what) {
    case 'S':
        return due_queue_scores(q, entries, IDS, on_scores, NULL);
    case 'A':
        return due_queue_absent(q, entries, IDS, on_indexes, NULL);
    case '+':
        return due_queue_add(q, entries, IDS, on_added, NULL);
    case 'E':
        return due_queue_lookup(q, entries, IDS, on_states, NULL);
    case 'M':
        return due_queue_repair(q, repairs, 2, on_repaired, NULL);
    case 'P':
        return due_queue_pending(q, &from, NULL, on_pending, NULL);
    case 'p':
        return due_queue_pending(q, &from, &after, on_pending, NULL);
    case 'C':
        return due_queue_walk(q, DUE_IN_INFLIGHT, "0", on_scan, NULL);
    case 'F':
        return due_queue_walk(q, DUE_IN_FAILED, "0", on_scan, NULL);
    case 'L':
        return due_queue_walk_leases(q, "0", true, on_scan, NULL);
    case 'm':
        return due_queue_mark(q, "here", on_mark, NULL);
    case 'u':
        return due_queue_paused(q, on_paused, NULL);
    case 'o':
        return due_queue_order(q, &order, on_order, NULL);
    default:
        return -1;
    }
}

static int ask(struct due_queue *q, uint8_t what)
{
    static const struct due_settlement settlements[] = {
        {.id = "a", .id_len = 1, .verdict = DUE_FORGET},
        {.id = "b", .id_len = 1, .verdict = DUE_PUT_BACK, .at_ms = 5},
    };
    static const struct due_lease leases[] = {{2000, 1}, {2001, 1}};
    switch (what) {
    case 'c':
        return due_queue_claim(q, 1000, 2000, 3, on_claimed, NULL);
    case 'l':
        return due_queue_claim(q, 1000, 2000, 2500, on_claimed, NULL);
    case 's':
        return due_queue_settle(q, leases, 2, settlements, on_settled, NULL);
    case 'e':
        return due_queue_schedule(q, entries, IDS, entries[0].at_ms, on_count, NULL);
    case 'd':
        return due_queue_drop(q, entries, IDS, on_count, NULL);
    case 'z':
        return due_queue_sizes(q, on_sizes, NULL);
    case 'r':
        return due_queue_role(q, "feeder", "me", 1000, on_role, NULL);
    default:
        return ask_of_reconciliation(q, what);
    }
}

/* Gives each request its answer; those for which there is none learn that the link is gone. */
static void answer_all(redisReader *reader)
{
    for (size_t i = 0; i < nrequests; i++) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK || reply == NULL) {
            requests[i].cb(requests[i].arg, NULL, "the connection was lost");
            continue;
        }
        requests[i].cb(requests[i].arg, redis_reply_wrap(reply), NULL);
        freeReplyObject(reply);
    }
}

/* hiredis makes room for an array as soon as its length is announced: a matter for its own tests.
 */
static bool announces_much(const uint8_t *data, size_t size)
{
    size_t digits = 0;
    bool array = false;
    for (size_t i = 0; i < size; i++) {
        bool digit = (data[i] >= '0' && data[i] <= '9') || data[i] == '+';
        array = data[i] == '*' || (array && digit);
        digits = array ? digits + 1 : 0;
        if (digits > 6)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int link; /* of no use but to be there */
    if (announces_much(data, size))
        return 0;
    struct due_queue *q = due_queue_new((struct redis_link *)(void *)&link, "fuzz");
    redisReader *reader = redisReaderCreate();
    FUZZ_CHECK(reader != NULL);
    FUZZ_CHECK_MEMORY(q != NULL);
    nrequests = 0;
    outstanding = 0;
    if (size > 0 && q != NULL && ask(q, data[0]) == 0) {
        outstanding++;
        (void)redisReaderFeed(reader, (const char *)data + 1, size - 1);
        answer_all(reader);
        FUZZ_CHECK(outstanding == 0);
    }
    due_queue_free(q);
    redisReaderFree(reader);
    return 0;
}
