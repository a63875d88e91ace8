/* The records of :failed, and that of a pause: anybody may have written them. What is read is
 * written and read again. */
#include "fuzz.h"
#include "release/failed_record.h"
#include "release/pause_record.h"
#include "release/release.h"

#define NOW_MS INT64_C(1763942400000)

static void try_pause(const char *text, size_t size)
{
    struct pause_record record, again;
    char said[PAUSE_SAID_SIZE];
    if (!pause_record_read(&record, text, size, NOW_MS))
        return;
    FUZZ_CHECK(record.until_ms > 0 && record.until_ms - NOW_MS < 8 * DAY_US / MS_US);
    pause_record_say(&record, said, sizeof(said));
    FUZZ_CHECK(strlen(said) > 0);
    char *written = pause_record_make(&record);
    FUZZ_CHECK(written != NULL && pause_record_read(&again, written, strlen(written), NOW_MS));
    FUZZ_CHECK(again.until_ms == record.until_ms);
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct item item = {0};
    struct item again = {0};
    char *text = fuzz_text(data, size);
    char *record;
    try_pause(text, size);
    failed_record_read(&item, text, size);
    FUZZ_CHECK(item.first_failed_ms >= 0);
    item.error = text; /* a message of Postgres's, perhaps in no encoding we know */
    memcpy(item.sqlstate, "23514", sizeof(item.sqlstate));
    record = failed_record_make(&item, 1763942400000, 1763942401000);
    FUZZ_CHECK(record != NULL);
    failed_record_read(&again, record, strlen(record));
    FUZZ_CHECK(again.attempts == item.attempts);
    FUZZ_CHECK(item.first_failed_ms == 0 || again.first_failed_ms == item.first_failed_ms);
    free(record);
    free(text);
    return 0;
}
