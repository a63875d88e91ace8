/* The due queue without a server: what its calls send, and what they make of the answers, right and
 * wrong ones. Stands in for the link: nothing is sent. */
#include "link/redis_link_private.h"
#include "queue/due_queue.h"
#include "queue/repair.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#define REQUESTS_MAX 8

static struct {
    redis_link_cb *cb;
    void *arg;
    char words[200]; /* the script or command, and its arguments, cut */
    size_t nargs;    /* of a script: without its keys */
} requests[REQUESTS_MAX];
static size_t nrequests;

static void note(redis_link_cb *cb, void *arg, const char *name, const char *const *args,
                 const size_t *lengths, size_t n)
{
    assert_true(nrequests < REQUESTS_MAX);
    char *words = requests[nrequests].words;
    const size_t size = sizeof(requests[nrequests].words);
    snprintf(words, size, "%s", name);
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(words);
        snprintf(words + at, size - at, "%s%.*s", at > 0 ? " " : "", (int)lengths[i], args[i]);
    }
    requests[nrequests].cb = cb;
    requests[nrequests].arg = arg;
    requests[nrequests].nargs = n;
    nrequests++;
}

int redis_link_script(struct redis_link *link, redis_link_cb *cb, void *arg,
                      const struct lua_script *script, int nkeys, int nargs,
                      const char *const *args, const size_t *lengths)
{
    (void)link;
    note(cb, arg, script->name, args + nkeys, lengths + nkeys, (size_t)nargs);
    return 0;
}

int redis_link_command(struct redis_link *link, redis_link_cb *cb, void *arg, int argc,
                       const char *const *argv, const size_t *lengths)
{
    (void)link;
    note(cb, arg, "", argv, lengths, (size_t)argc);
    return 0;
}

/* Redis's protocol, with "+text" for what a script answers, "$4\r\ntext". */
static const char *protocol(const char *text)
{
    static char out[600];
    size_t n = 0;
    while (*text != '\0') {
        int len = (int)strcspn(text, "\r");
        if (*text == '+')
            n += (size_t)snprintf(out + n, sizeof(out) - n, "$%d\r\n%.*s\r\n", len - 1, len - 1,
                                  text + 1);
        else
            n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s\r\n", len, text);
        assert_true(n < sizeof(out));
        text += len + 2;
    }
    return out;
}

/* Gives a request its answer; NULL: the connection is lost. */
static void answer(size_t request, const char *text)
{
    assert_true(request < nrequests);
    if (text == NULL) {
        requests[request].cb(requests[request].arg, NULL, "the connection was lost");
        return;
    }
    text = protocol(text);
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    requests[request].cb(requests[request].arg, redis_reply_wrap(reply), NULL);
    freeReplyObject(reply);
    redisReaderFree(reader);
}

/* What the last callback was given, as text; and what was refused. */
static char said[400], refused[200];
static int calls;

static void say(const char *error, const char *text)
{
    calls++;
    snprintf(said, sizeof(said), "%s", error != NULL ? error : text);
}

static void on_refused(void *arg, const char *reason)
{
    (void)arg;
    assert_string_equal(said, ""); /* before the call's own callback */
    snprintf(refused, sizeof(refused), "%s", reason);
}

static struct due_queue *fresh_queue(void)
{
    static int link; /* of no use but to be there */
    struct due_queue *q = due_queue_new((struct redis_link *)(void *)&link, "r");
    assert_non_null(q);
    due_queue_on_refused(q, on_refused, NULL);
    nrequests = 0;
    calls = 0;
    said[0] = refused[0] = '\0';
    return q;
}

/* One answer to the first request, and what is said of it; "!": and Redis is to blame. */
static void expect(struct due_queue *q, const char *reply, const char *text)
{
    bool blamed = text[0] == '!';
    answer(0, reply);
    assert_int_equal(calls, 1);
    assert_string_equal(said, blamed ? text + 1 : text);
    assert_string_equal(refused, blamed ? text + 1 : "");
    due_queue_free(q);
}

#define UNEXPECTED "!unexpected reply"
#define NOT_UNDERSTOOD "unexpected reply" /* of a reconciliation's questions: that run fails */

/* ---- claims ---- */

static struct due_texts *kept;
static bool keep;

static void on_claimed(void *arg, struct due_claimed *claimed, const char *error)
{
    char text[400] = "";
    (void)arg;
    assert_int_equal(claimed == NULL, error != NULL);
    for (size_t i = 0; claimed != NULL && i < claimed->n; i++) {
        const struct due_claim *c = &claimed->claims[i];
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "%s%s%s%s%s", i > 0 ? " " : "", c->id,
                 c->taken_over ? "!" : "", c->failed != NULL ? c->failed : "",
                 c->kept != NULL ? c->kept : "");
    }
    for (size_t i = 0; claimed != NULL && i < claimed->n_leases; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, " %zu@%lld", claimed->leases[i].n,
                 (long long)claimed->leases[i].lease_ms);
    }
    if (claimed != NULL) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "; %lld/%lld/%lld next %lld at %lld",
                 (long long)claimed->sizes.pending, (long long)claimed->sizes.inflight,
                 (long long)claimed->sizes.failed,
                 claimed->sizes.next_ms == INT64_MAX ? -1 : (long long)claimed->sizes.next_ms,
                 (long long)claimed->sizes.redis_us);
        at = strlen(text);
        if (claimed->due_left > 0 || claimed->odd > 0)
            snprintf(text + at, sizeof(text) - at, "; left %zu odd %zu", claimed->due_left,
                     claimed->odd);
        if (keep) {
            kept = claimed->texts;
            claimed->texts = NULL;
        }
    }
    say(error, text);
}

static struct due_queue *claim(int limit)
{
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_claim(q, 1000, 2000, limit, on_claimed, NULL), 0);
    return q;
}

#define SIZES ":5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:10\r\n:11\r\n"
#define NIL "$-1\r\n"
/* Its lease, how many are left, odd and taken over. */
#define LEASE(left, odd, over) ":2001\r\n:" left "\r\n:" odd "\r\n:" over "\r\n"
#define CLAIM "*15\r\n" SIZES NIL

static void test_answers_to_a_claim(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *text;
    } rows[] = {
        {CLAIM LEASE("0", "0", "0") "*0\r\n*0\r\n*0\r\n", "; 7/8/9 next -1 at 5000006"},
        {"*15\r\n" SIZES "$1\r\n3\r\n" LEASE("77", "1", "1") "*2\r\n+a\r\n+b\r\n*2\r\n" NIL
                                                             "+{}\r\n*2\r\n+[]\r\n" NIL,
         "a![] b{} 2@2001; 7/8/9 next 3 at 5000006; left 77 odd 1"},
        {"*15\r\n:5\r\n:6\r\n:7\r\n" NIL
         ":9\r\n:10\r\n:11\r\n" NIL LEASE("0", "0", "0") "*1\r\n+b\r\n*0\r\n*0\r\n",
         "b 1@2001; 7/-1/9 next -1 at 5000006"},
        /* More than was asked for, or taken over; no ids; records for others than were claimed. */
        {CLAIM LEASE("0", "0", "0") "*3\r\n+a\r\n+b\r\n+c\r\n*0\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "3") "*2\r\n+a\r\n+b\r\n*0\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "0") "*1\r\n:1\r\n*0\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "0") "*1\r\n+b\r\n*2\r\n+{}\r\n+{}\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "0") "*1\r\n+b\r\n*1\r\n:1\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "0") ":0\r\n*0\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "0") "*0\r\n:0\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "0") "*0\r\n*0\r\n:0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "0", "0") "*1\r\n+b\r\n*0\r\n*2\r\n+{}\r\n+{}\r\n", UNEXPECTED},
        {CLAIM LEASE("-1", "0", "0") "*0\r\n*0\r\n*0\r\n", UNEXPECTED},
        {CLAIM LEASE("0", "2", "0") "*0\r\n*0\r\n*0\r\n", UNEXPECTED},
        {CLAIM "+2001\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n", UNEXPECTED},
        {"*15\r\n" SIZES "+x\r\n" LEASE("0", "0", "0") "*0\r\n*0\r\n*0\r\n", UNEXPECTED},
        {"*15\r\n:5\r\n:1000000\r\n:7\r\n:8\r\n:9\r\n:10\r\n:11\r\n" NIL LEASE(
             "0", "0", "0") "*0\r\n*0\r\n*0\r\n",
         UNEXPECTED},
        {"*15\r\n:5\r\n:6\r\n:-7\r\n:8\r\n:9\r\n:10\r\n:11\r\n" NIL LEASE("0", "0",
                                                                          "0") "*0\r\n*0\r\n*0\r\n",
         UNEXPECTED},
        {"*15\r\n:5\r\n:6\r\n" NIL
         ":8\r\n:9\r\n:10\r\n:11\r\n" NIL LEASE("0", "0", "0") "*0\r\n*0\r\n*0\r\n",
         UNEXPECTED},
        {"*8\r\n" SIZES NIL, UNEXPECTED},
        {"+OK\r\n", UNEXPECTED},
        {"-OOM no memory\r\n", "!claim.lua: OOM no memory"},
        {NULL, "the connection was lost"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect(claim(2), rows[i].reply, rows[i].text);
}

#define ONE(id) CLAIM LEASE("5", "0", "0") "*1\r\n+" id "\r\n*0\r\n*0\r\n"

static void test_a_claim_of_several_scripts(void **state)
{
    (void)state;
    struct due_queue *q = claim(3500);
    assert_int_equal(nrequests, 4);
    assert_string_equal(requests[0].words, "claim 1000 2000 1000");
    assert_string_equal(requests[2].words, "claim 1000 2000 1000");
    assert_string_equal(requests[3].words, "claim 1000 2000 500");
    /* What some of them brought is given, whatever became of the others. */
    answer(0, ONE("a"));
    answer(1, CLAIM LEASE("0", "0", "0") "*0\r\n*0\r\n*0\r\n");
    answer(2, "*15\r\n" SIZES NIL ":2002\r\n:7\r\n:1\r\n:1\r\n*2\r\n+b\r\n+c\r\n*2\r\n+{}\r\n" NIL
              "*0\r\n");
    assert_int_equal(calls, 0);
    answer(3, NULL);
    assert_int_equal(calls, 1);
    assert_string_equal(said, "a b!{} c 1@2001 2@2002; 7/8/9 next -1 at 5000006; left 7 odd 1");
    due_queue_free(q);
}

static void test_strings_that_are_kept(void **state)
{
    (void)state;
    struct due_queue *q = claim(1500);
    keep = true;
    answer(0, ONE("a"));
    answer(1, ONE("b"));
    keep = false;
    due_queue_free(q);
    assert_non_null(kept); /* what leaks, or is freed twice, is for the sanitizer to say */
    due_texts_free(kept);
    due_texts_free(NULL);
}

static void test_a_queue_that_is_freed_before_the_answer(void **state)
{
    (void)state;
    struct due_queue *q = claim(2500);
    answer(1, ONE("a"));
    due_queue_free(q);
    assert_int_equal(calls, 1);
    assert_string_equal(said, "the queue was closed");
    answer(0, NULL);
    answer(2, ONE("b"));
    assert_int_equal(calls, 1);
}

static void on_sizes(void *arg, const struct due_sizes *sizes, const char *error)
{
    char text[100] = "";
    (void)arg;
    if (sizes != NULL)
        snprintf(text, sizeof(text), "%lld/%lld/%lld", (long long)sizes->pending,
                 (long long)sizes->inflight, (long long)sizes->failed);
    say(error, text);
}

static struct due_queue *sizes(void)
{
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_sizes(q, on_sizes, NULL), 0);
    return q;
}

/* Unlike a claim they bring all. */
static void test_sizes(void **state)
{
    (void)state;
    expect(sizes(), "*8\r\n" SIZES NIL, "7/8/9");
    expect(sizes(), "*8\r\n:5\r\n:6\r\n:7\r\n" NIL ":9\r\n:10\r\n:11\r\n" NIL, UNEXPECTED);
    expect(sizes(), "*7\r\n" SIZES, UNEXPECTED);
}

/* ---- settlements, entries ---- */

static void on_settled(void *arg, size_t n, size_t lost, const char *error)
{
    char text[64];
    (void)arg;
    snprintf(text, sizeof(text), "%zu, %zu lost", n, lost);
    say(error, text);
}

static struct due_queue *settle(void)
{
    static const struct due_settlement items[] = {
        {.id = "e", .id_len = 1, .verdict = DUE_DEFERRED, .at_ms = 7, .record = "{e}"},
        {.id = "d", .id_len = 1, .verdict = DUE_FAILED, .at_ms = 6, .record = "{d}"},
        {.id = "a", .id_len = 1, .verdict = DUE_FORGET, .at_ms = 99},
        {.id = "c", .id_len = 1, .verdict = DUE_HEALED_PUT_BACK, .at_ms = 5},
        {.id = "b", .id_len = 1, .verdict = DUE_PUT_BACK, .at_ms = 4},
        {.id = "aa", .id_len = 2, .verdict = DUE_FORGET, .recorded = true},
        {.id = "f", .id_len = 1, .verdict = DUE_KEPT, .at_ms = 8, .record = "{f}", .since_ms = 3},
        {.id = "g", .id_len = 1, .verdict = DUE_KEPT, .at_ms = 9, .record = "{g}"},
        {.id = "bb", .id_len = 2, .verdict = DUE_FORGET, .recorded = true},
    };
    static const struct due_lease leases[] = {{2000, 8}, {2001, 1}};
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_settle(q, leases, 2, items, on_settled, NULL), 0);
    assert_int_equal(nrequests, 2);
    return q;
}

static void test_settlements(void **state)
{
    (void)state;
    struct due_queue *q = settle();
    /* What is forgotten goes with its batch: it is named for its record's sake alone. */
    assert_string_equal(requests[0].words,
                        "settle 2000 10000 100000 1 1 1 1 1 2 aa b 4 c 5 d 6 {d} e 7 {e} "
                        "f 8 {f} 3 g 9 {g} ");
    assert_string_equal(requests[1].words, "settle 2001 10000 100000 1 0 0 0 0 0 bb");
    answer(0, ":1\r\n");
    answer(1, ":1\r\n");
    due_queue_free(q);
    static const struct {
        const char *first, *second, *text;
    } rows[] = {
        {":1\r\n", ":1\r\n", "9, 0 lost"},
        {":0\r\n", ":1\r\n", "9, 8 lost"},
        {":1\r\n", ":0\r\n", "9, 1 lost"},
        {":2\r\n", ":1\r\n", UNEXPECTED},
        {":1\r\n", ":-1\r\n", UNEXPECTED},
        {":1\r\n", "+1\r\n", UNEXPECTED},
        {"-NOPERM no\r\n", ":0\r\n", "!settle.lua: NOPERM no"},
        {":1\r\n", NULL, "the connection was lost"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool blamed = rows[i].text[0] == '!';
        q = settle();
        answer(0, rows[i].first);
        assert_int_equal(calls, 0);
        answer(1, rows[i].second);
        assert_int_equal(calls, 1);
        assert_string_equal(said, rows[i].text + blamed);
        assert_string_equal(refused, blamed ? rows[i].text + 1 : "");
        due_queue_free(q);
    }
}

static void on_count(void *arg, size_t n, const char *error)
{
    char text[64];
    (void)arg;
    snprintf(text, sizeof(text), "%zu", n);
    say(error, text);
}

/* One script after the other, so that Redis's other users get their turn; none after a failure. */
static void test_entries_go_a_thousand_at_a_time(void **state)
{
    (void)state;
    static struct due_entry entries[2001];
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        entries[i] = (struct due_entry){"id", 2, 5};
    for (int fails = 0; fails < 2; fails++) {
        struct due_queue *q = fresh_queue();
        assert_int_equal(due_queue_schedule(q, entries, 2001, 5, on_count, NULL), 0);
        assert_int_equal(nrequests, 1);
        assert_int_equal(requests[0].nargs, 2000);
        assert_memory_equal(requests[0].words, "schedule 5 id 5 id ", 19);
        answer(0, ":900\r\n");
        assert_int_equal(nrequests, 2);
        answer(1, fails ? NULL : ":1\r\n");
        assert_int_equal(nrequests, fails ? 2 : 3);
        if (!fails) {
            assert_string_equal(requests[2].words, "schedule 5 id");
            answer(2, ":1\r\n");
        }
        assert_int_equal(calls, 1);
        assert_string_equal(said, fails ? "the connection was lost" : "902");
        due_queue_free(q);
    }
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_drop(q, entries, 2, on_count, NULL), 0);
    assert_string_equal(requests[0].words, "drop id id");
    expect(q, ":3\r\n", "3");
}

/* What is later than the caller says needs no script; each call goes one way. */
static void test_entries_go_by_script_or_plain(void **state)
{
    (void)state;
    static struct due_entry entries[1003];
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        entries[i] = (struct due_entry){"id", 2, i < 2 ? 5 : 6};
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_schedule(q, entries, 1003, 5, on_count, NULL), 0);
    assert_string_equal(requests[0].words, "schedule 5 id 5 id");
    answer(0, ":2\r\n");
    assert_int_equal(nrequests, 2);
    assert_int_equal(requests[1].nargs, 4 + 2000);
    assert_memory_equal(requests[1].words, "ZADD {r}:pending LT CH 6 id 6 id ", 33);
    answer(1, ":10\r\n");
    assert_int_equal(nrequests, 3);
    assert_string_equal(requests[2].words, "ZADD {r}:pending LT CH 6 id");
    answer(2, ":1\r\n");
    assert_int_equal(calls, 1);
    assert_string_equal(said, "13");
    due_queue_free(q);

    /* Later and then due, as others than a page of rows may come; the script is not blamed. */
    q = fresh_queue();
    assert_int_equal(due_queue_schedule(q, entries + 1, 2, 4, on_count, NULL), 0);
    assert_string_equal(requests[0].words, "ZADD {r}:pending LT CH 5 id 6 id");
    expect(q, "-OOM no memory\r\n", "!ZADD: OOM no memory");

    q = fresh_queue();
    const struct due_entry mixed[] = {{"late", 4, 9}, {"due", 3, 5}};
    assert_int_equal(due_queue_schedule(q, mixed, 2, 5, on_count, NULL), 0);
    answer(0, ":1\r\n");
    assert_string_equal(requests[1].words, "schedule 5 due");
    answer(1, "-OOM no memory\r\n");
    assert_string_equal(said, "schedule.lua: OOM no memory");
    due_queue_free(q);

    /* Nothing at all has an answer too, and nothing is ever later than this. */
    q = fresh_queue();
    assert_int_equal(due_queue_schedule(q, NULL, 0, 5, on_count, NULL), 0);
    assert_string_equal(requests[0].words, "schedule");
    expect(q, ":0\r\n", "0");
    q = fresh_queue();
    assert_int_equal(due_queue_schedule(q, entries, 3, INT64_MAX, on_count, NULL), 0);
    assert_string_equal(requests[0].words, "schedule 5 id 5 id 6 id");
    expect(q, "+x\r\n", UNEXPECTED);
}

/* ---- what a reconciliation asks ---- */

static const struct due_entry two[] = {{"a", 1, 7}, {"b", 1, 8}};

static void on_scores(void *arg, const int64_t *scores_ms, size_t n, const char *error)
{
    char text[64] = "";
    (void)arg;
    if (error == NULL && n == 2)
        snprintf(text, sizeof(text), "%lld %lld",
                 scores_ms[0] == DUE_NOWHERE ? -1 : (long long)scores_ms[0],
                 scores_ms[1] == DUE_NOWHERE ? -1 : (long long)scores_ms[1]);
    say(error, text);
}

static struct due_queue *scores(void)
{
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_scores(q, two, 2, on_scores, NULL), 0);
    return q;
}

static void test_scores(void **state)
{
    (void)state;
    struct due_queue *q = scores();
    assert_string_equal(requests[0].words, "ZMSCORE {r}:pending a b");
    expect(q, "*2\r\n+5.5\r\n$-1\r\n", "6 -1");
    expect(scores(), "*1\r\n+5\r\n", NOT_UNDERSTOOD);
    expect(scores(), "*2\r\n+5\r\n+x\r\n", NOT_UNDERSTOOD);
    expect(scores(), "*2\r\n+5\r\n:5\r\n", NOT_UNDERSTOOD);
    expect(scores(), "-WRONGTYPE no\r\n", "!ZMSCORE: WRONGTYPE no");
}

static void on_indexes(void *arg, const size_t *indexes, size_t n, const char *error)
{
    char text[64] = "none";
    (void)arg;
    for (size_t i = 0; i < n; i++)
        snprintf(text + (i == 0 ? 0 : strlen(text)), 8, "%zu ", indexes[i]);
    say(error, text);
}

static struct due_queue *absent(void)
{
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_absent(q, two, 2, on_indexes, NULL), 0);
    return q;
}

static void test_absent(void **state)
{
    (void)state;
    expect(absent(), "*0\r\n", "none");
    expect(absent(), "*2\r\n:1\r\n:2\r\n", "0 1 ");
    expect(absent(), "*1\r\n:2\r\n", "1 ");
    expect(absent(), "*1\r\n:0\r\n", NOT_UNDERSTOOD);
    expect(absent(), "*1\r\n:3\r\n", NOT_UNDERSTOOD);
    expect(absent(), "*2\r\n:2\r\n:1\r\n", NOT_UNDERSTOOD);
    expect(absent(), "*2\r\n:1\r\n:1\r\n", NOT_UNDERSTOOD);
    expect(absent(), "*3\r\n:1\r\n:2\r\n:2\r\n", NOT_UNDERSTOOD);
    expect(absent(), ":1\r\n", NOT_UNDERSTOOD);
}

static void on_repaired(void *arg, const bool *repaired, size_t n, const char *error)
{
    char text[64] = "";
    (void)arg;
    if (n == 2)
        snprintf(text, sizeof(text), "%d %d", repaired[0], repaired[1]);
    say(error, text);
}

static struct due_queue *repair(void)
{
    static const struct due_repair repairs[] = {
        {.what = "move", .id = "a", .id_len = 1, .seen = {"7", 1}, .at_ms = 5},
        {.what = "add", .id = "b", .id_len = 1, .at_ms = 6},
    };
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_repair(q, repairs, 2, on_repaired, NULL), 0);
    return q;
}

static void test_repairs(void **state)
{
    (void)state;
    struct due_queue *q = repair();
    assert_string_equal(requests[0].words, "repair move a 7 5 add b  6");
    expect(q, "*2\r\n:0\r\n:1\r\n", "0 1");
    expect(repair(), "*1\r\n:1\r\n", NOT_UNDERSTOOD);
    expect(repair(), ":1\r\n", NOT_UNDERSTOOD);
}

static void on_found(void *arg, const char *cursor, const struct due_found *found, size_t n,
                     const char *error)
{
    char text[64] = "";
    (void)arg;
    if (error == NULL)
        snprintf(text, sizeof(text), "%s: %zu, %s=%s", cursor, n, n > 0 ? found[0].id.text : "",
                 n > 0 ? found[0].value.text : "");
    say(error, text);
}

static struct due_queue *walk(enum due_place place)
{
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_walk(q, place, "3", on_found, NULL), 0);
    return q;
}

static void test_walks(void **state)
{
    (void)state;
    struct due_queue *q = walk(DUE_IN_FAILED);
    assert_string_equal(requests[0].words, "HSCAN {r}:failed 3 COUNT 1000");
    expect(q, "*2\r\n+9\r\n*2\r\n+a\r\n+{}\r\n", "9: 1, a={}");
    q = walk(DUE_IN_INFLIGHT);
    assert_string_equal(requests[0].words, "ZSCAN {r}:inflight 3 COUNT 1000");
    expect(q, "*2\r\n+0\r\n*0\r\n", "0: 0, =");
    expect(walk(DUE_IN_FAILED), "*2\r\n:9\r\n*0\r\n", NOT_UNDERSTOOD);
    expect(walk(DUE_IN_FAILED), "*2\r\n+9\r\n*1\r\n+a\r\n", NOT_UNDERSTOOD);
    expect(walk(DUE_IN_FAILED), "*2\r\n+9\r\n*2\r\n+a\r\n$-1\r\n", NOT_UNDERSTOOD);
    expect(walk(DUE_IN_FAILED), "*1\r\n+9\r\n", NOT_UNDERSTOOD);
}

static void on_claims(void *arg, const char *cursor, const struct due_found *found, size_t n,
                      const char *error)
{
    char text[128] = "";
    (void)arg;
    (void)cursor;
    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s=%s%s ", found[i].id.text,
                 found[i].value.text, found[i].odd ? "!" : "");
    say(error, text);
}

static struct due_queue *walk_leases(bool remove_odd)
{
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_walk_leases(q, "3", remove_odd, on_claims, NULL), 0);
    return q;
}

static void test_walks_through_leases(void **state)
{
    (void)state;
    struct due_queue *q = walk_leases(false);
    assert_string_equal(requests[0].words, "leases 3 0");
    expect(q, "*3\r\n+9\r\n*4\r\n+a\r\n+5\r\n+b\r\n+5\r\n*2\r\n+odd\r\n+6\r\n", "a=5 b=5 odd=6! ");
    q = walk_leases(true);
    assert_string_equal(requests[0].words, "leases 3 1");
    expect(q, "*3\r\n+0\r\n*0\r\n*2\r\n+odd\r\n+6\r\n", "odd=6! ");
    expect(walk_leases(true), "*3\r\n+0\r\n*0\r\n*1\r\n+odd\r\n", NOT_UNDERSTOOD);
    expect(walk_leases(true), "*3\r\n+0\r\n*0\r\n*2\r\n+odd\r\n$-1\r\n", NOT_UNDERSTOOD);
    expect(walk_leases(true), "*3\r\n+0\r\n+none\r\n*0\r\n", NOT_UNDERSTOOD);
}

/* ---- roles ---- */

static void on_role(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    char text[64];
    (void)arg;
    snprintf(text, sizeof(text), "%d %lld %s", ours, (long long)remaining_ms, owner);
    say(error, text);
}

static struct due_queue *role(void)
{
    struct due_queue *q = fresh_queue();
    assert_int_equal(due_queue_role(q, "feeder", "me", 1000, on_role, NULL), 0);
    return q;
}

static void test_roles(void **state)
{
    (void)state;
    struct due_queue *q = role();
    assert_string_equal(requests[0].words, "role me 1000");
    expect(q, "*3\r\n:1\r\n:1000\r\n+me\r\n", "1 1000 me");
    expect(role(), "*3\r\n:0\r\n:7\r\n+you\r\n", "0 7 you");
    expect(role(), "*3\r\n:0\r\n:-7\r\n+you\r\n", UNEXPECTED);
    expect(role(), "*3\r\n:0\r\n+7\r\n+you\r\n", UNEXPECTED);
    expect(role(), "*3\r\n+0\r\n:7\r\n+you\r\n", UNEXPECTED);
    expect(role(), "*2\r\n:0\r\n:7\r\n", UNEXPECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_to_a_claim),
        cmocka_unit_test(test_a_claim_of_several_scripts),
        cmocka_unit_test(test_strings_that_are_kept),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_a_queue_that_is_freed_before_the_answer),
        cmocka_unit_test(test_settlements),
        cmocka_unit_test(test_entries_go_a_thousand_at_a_time),
        cmocka_unit_test(test_entries_go_by_script_or_plain),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_repairs),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_walks_through_leases),
        cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
