/* Whether a queue that is served for the first time may release. */
#include "release/first_run_judge.h"

#include "base/hash.h"
#include "config/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int first_run_mapping(const struct queue *q, char mapping[FIRST_RUN_MAPPING_SIZE])
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return -1;
    /* Names have no line ends, conditions may: so that stands last. */
    fprintf(out, "%s\n%s\n%s\n%s\n%d\n%s\n%" PRId64 "\n%s",
            q->database.text != NULL ? q->database.text : "",
            q->table.schema != NULL ? q->table.schema : "", q->table.name, q->expires_at.text,
            (int)q->expires_unit, q->time_zone.text != NULL ? q->time_zone.text : "", q->after_us,
            q->active.text);
    int rc = fclose(out) == 0 ? 0 : -1;
    if (rc == 0)
        snprintf(mapping, FIRST_RUN_MAPPING_SIZE, "%016" PRIx64, hash_text(text));
    free(text);
    return rc;
}

enum first_run_memory first_run_remembered(const char *text,
                                           const char mapping[FIRST_RUN_MAPPING_SIZE])
{
    return strncmp(text, mapping, strlen(mapping)) == 0 ? FIRST_RUN_ACCEPTED : FIRST_RUN_NEW;
}

void first_run_text(const char mapping[FIRST_RUN_MAPPING_SIZE], int64_t due, bool yes, char *text,
                    size_t size)
{
    snprintf(text, size, "%s %" PRId64 " due%s", mapping, due, yes ? ", --yes" : "");
}

void first_run_held_text(const char mapping[FIRST_RUN_MAPPING_SIZE], const char *holder,
                         const char *reason, char text[FIRST_RUN_HELD_SIZE])
{
    snprintf(text, FIRST_RUN_HELD_SIZE, "%s %.150s %.400s", mapping, holder, reason);
}

int first_run_held_read(const char *text, struct first_run_held *held)
{
    size_t mapping = strcspn(text, " ");
    const char *holder = text + mapping + 1;
    if (mapping != FIRST_RUN_MAPPING_SIZE - 1 || text[mapping] == '\0')
        return -1;
    size_t n = strcspn(holder, " ");
    if (n == 0 || holder[n] == '\0' || n >= sizeof(held->holder))
        return -1;
    snprintf(held->mapping, sizeof(held->mapping), "%.*s", (int)mapping, text);
    snprintf(held->holder, sizeof(held->holder), "%.*s", (int)n, holder);
    snprintf(held->reason, sizeof(held->reason), "%s", holder + n + 1);
    return held->reason[0] != '\0' ? 0 : -1;
}

enum first_run_verdict first_run_judge(int64_t limit, int64_t due, bool yes,
                                       enum first_run_memory memory)
{
    if (limit < 0 || memory == FIRST_RUN_ACCEPTED)
        return FIRST_RUN_GO;
    return yes || due <= limit ? FIRST_RUN_ACCEPT : FIRST_RUN_STOP;
}
