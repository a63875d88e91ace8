/* Variables that look like settings and are none: most likely misspelt, and then without effect. */
#include "config/config_table.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "SWEEPER_"
#define NAME_MAX_LEN 64

extern char **environ;

/* How many letters must be put in, left out or changed to make one of the other. */
static size_t distance(const char *a, size_t a_len, const char *b)
{
    size_t row[NAME_MAX_LEN + 1];
    size_t b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

struct nearest {
    const char *name;
    size_t distance;
};

static void consider(struct nearest *nearest, const char *name, const char *variable, size_t len)
{
    size_t d;
    if (name == NULL)
        return;
    d = distance(variable, len, name);
    if (nearest->name == NULL || d < nearest->distance)
        *nearest = (struct nearest){name, d};
}

const char *config_nearest_variable(const char *variable, size_t len, bool *known)
{
    struct nearest nearest = {NULL, 0};
    if (len > NAME_MAX_LEN)
        len = NAME_MAX_LEN;
    for (int i = 0; i < SETTINGS_N; i++) {
        consider(&nearest, settings[i].variable, variable, len);
        consider(&nearest, settings[i].file_variable, variable, len);
        consider(&nearest, settings[i].other_variable, variable, len);
    }
    *known = nearest.distance == 0;
    return nearest.name;
}

void config_warn_unknown(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t len = strcspn(*entry, "=");
        char name[NAME_MAX_LEN + 1];
        bool known;
        if (strncmp(*entry, PREFIX, sizeof(PREFIX) - 1) != 0)
            continue;

        const char *nearest = config_nearest_variable(*entry, len, &known);
        if (known && len <= NAME_MAX_LEN)
            continue;
        if (len > NAME_MAX_LEN)
            len = NAME_MAX_LEN;
        memcpy(name, *entry, len);
        name[len] = '\0';
        log_event(LOG_WARN,
                  "A variable that begins with " PREFIX " is no setting: it has no effect", LOG_STR,
                  "variable", name, LOG_STR, "nearest", nearest, LOG_END);
    }
}
