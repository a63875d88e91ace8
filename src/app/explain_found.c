/* Of several queues that were asked for one id: which has it. */
#include "app/explain_found.h"

#include "app/explain_words.h"
#include "config/config.h"
#include "config/queue.h"

#include <stdio.h>
#include <string.h>

int explain_found(const struct explain_facts *const *facts, int n, const char *without, int *one,
                  char names[EXPLAIN_NAMES])
{
    int found = 0;
    names[0] = '\0';
    for (int i = 0; i < n; i++) {
        const char *name = facts[i]->config->queue->name;
        if (facts[i]->rows == 0 || (without != NULL && strcmp(name, without) == 0))
            continue;
        words_add(names, EXPLAIN_NAMES, "%s%s", found > 0 ? ", " : "", name);
        *one = i;
        found++;
    }
    return found;
}

void explain_several(const char *id, const char *names, const char *how, char *out, size_t size)
{
    snprintf(out, size, "\"%.100s\" is in several queues (%s): say which with %s", id, names, how);
}
