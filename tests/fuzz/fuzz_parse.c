/* Numbers, durations, scores, times and ids. The first byte says which. */
#include "base/parse.h"
#include "fuzz.h"

#define YEAR_9999_MS 253402300799000

static void numbers(const char *text)
{
    int64_t value = 42;
    if (parse_int(text, -1000, 1000, &value) == 0)
        FUZZ_CHECK(value >= -1000 && value <= 1000);
    else
        FUZZ_CHECK(value == 42);
    (void)!parse_int(text, INT64_MIN, INT64_MAX, &value);
}

static void durations(const char *text)
{
    int64_t us = 42;
    if (parse_duration_us(text, &us) == 0)
        FUZZ_CHECK(us >= 0 && us <= INT64_C(3660) * 86400 * 1000000);
    else
        FUZZ_CHECK(us == 42);
}

static void scores(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1); /* without a terminator, as in a reply */
    int64_t ms = 42;
    FUZZ_CHECK(bytes != NULL);
    memcpy(bytes, data, size);
    if (parse_score_ms(bytes, size, &ms) == 0)
        FUZZ_CHECK(ms >= 0 && ms <= YEAR_9999_MS);
    else
        FUZZ_CHECK(ms == 42);
    free(bytes);
}

static void times(const char *text)
{
    int64_t us = 42;
    if (parse_epoch_us(text, &us) == 0)
        FUZZ_CHECK(us >= 0 && us <= YEAR_9999_MS * 1000);
    else
        FUZZ_CHECK(us == 42);
}

/* Whatever is a number of a small type is one of the larger. */
static void ids(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(bytes != NULL);
    memcpy(bytes, data, size);
    bool text = parse_id_valid(ID_TEXT, bytes, size);
    bool uuid = parse_id_valid(ID_UUID, bytes, size);
    bool int2 = parse_id_valid(ID_INT2, bytes, size);
    bool int4 = parse_id_valid(ID_INT4, bytes, size);
    bool int8 = parse_id_valid(ID_INT8, bytes, size);
    FUZZ_CHECK(!text || (size <= ID_MAX_LEN && memchr(bytes, 0, size) == NULL));
    FUZZ_CHECK(!uuid || text);
    FUZZ_CHECK(!int2 || int4);
    FUZZ_CHECK(!int4 || int8);
    FUZZ_CHECK(!int8 || text);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    switch (data[0]) {
    case 'n':
        numbers(text);
        break;
    case 'd':
        durations(text);
        break;
    case 's':
        scores(data + 1, size - 1);
        break;
    case 't':
        times(text);
        break;
    case 'i':
        ids(data + 1, size - 1);
        break;
    default:
        break;
    }
    free(text);
    return 0;
}
