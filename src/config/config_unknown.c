/* Variables that look like settings and are none: most likely misspelt, and then without effect. */
#include "config/config_table.h"

#include "base/log.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "SWEEPER_"

extern char **environ;

struct nearest {
    const char *name;
    size_t distance;
};

static void consider(struct nearest *nearest, const char *name, const char *variable, size_t len)
{
    size_t d;
    if (name == NULL)
        return;
    d = config_distance(variable, len, name);
    if (nearest->name == NULL || d < nearest->distance)
        *nearest = (struct nearest){name, d};
}

const char *config_nearest_variable(const char *variable, size_t len, bool *known)
{
    struct nearest nearest = {NULL, 0};
    for (int i = 0; i < SETTINGS_N; i++) {
        consider(&nearest, settings[i].variable, variable, len);
        consider(&nearest, settings[i].file_variable, variable, len);
        consider(&nearest, settings[i].other_variable, variable, len);
    }
    *known = nearest.distance == 0;
    return nearest.name;
}

/* Whether the text, of a length, is the name of such a variable behind "NAME_". */
static bool is_database_of(const char *text, size_t len, const char *name)
{
    const struct setting *setting = &settings[SETTING_DATABASE_URL];
    const char *const ends[] = {setting->variable, setting->file_variable};
    for (int i = 0; i < 2; i++) {
        size_t end = strlen(ends[i]), begin = len - end;
        if (len > end + 1 && text[begin - 1] == '_' && memcmp(text + begin, ends[i], end) == 0 &&
            (name == NULL || (strlen(name) == begin - 1 && memcmp(text, name, begin - 1) == 0)))
            return true;
    }
    return false;
}

/* A queue's own database, by the variable that it names; nobody knows what queues that are left out
 * (--queue) name. */
static bool is_of_queue(const struct config *config, const char *variable, size_t len)
{
    for (int i = 0; i < config_queues(config); i++) {
        const char *name = config_queue(config, i)->queue->database.text;
        if (name != NULL && is_database_of(variable, len, name))
            return true;
    }
    return config->queue_name != NULL && is_database_of(variable, len, NULL);
}

void config_warn_unknown(const struct config *config)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t len = strcspn(*entry, "=");
        char name[CONFIG_NAME_MAX + 1];
        bool known;
        if (strncmp(*entry, PREFIX, sizeof(PREFIX) - 1) != 0)
            continue;

        const char *nearest = config_nearest_variable(*entry, len, &known);
        if ((known && len <= CONFIG_NAME_MAX) || is_of_queue(config, *entry, len))
            continue;
        if (len > CONFIG_NAME_MAX)
            len = CONFIG_NAME_MAX;
        memcpy(name, *entry, len);
        name[len] = '\0';
        log_event(LOG_WARN,
                  "A variable that begins with " PREFIX " is no setting: it has no effect", LOG_STR,
                  "variable", name, LOG_STR, "nearest", nearest, LOG_END);
    }
}
