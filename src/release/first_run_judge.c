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

enum first_run_verdict first_run_judge(int64_t limit, int64_t due, bool yes,
                                       enum first_run_memory memory)
{
    if (limit < 0 || memory == FIRST_RUN_ACCEPTED)
        return FIRST_RUN_GO;
    return yes || due <= limit ? FIRST_RUN_ACCEPT : FIRST_RUN_STOP;
}
