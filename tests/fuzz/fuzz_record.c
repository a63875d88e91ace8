/* The records of :failed: anybody may have written them. What is read is written and read again. */
#include "fuzz.h"
#include "release/failed_record.h"
#include "release/release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct item item = {0};
    struct item again = {0};
    char *text = fuzz_text(data, size);
    char *record;
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
