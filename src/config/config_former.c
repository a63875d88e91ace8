/* Settings that were given by a former name. It is said at the start, once, and not when files are
 * read anew: the command line and the environment do not change by that. */
#include "config/config_table.h"

#include "base/log.h"
#include "config/config.h"

#include <assert.h>

static void add(struct config *c, const char *former, const char *name, const char *counts)
{
    int n = 0;
    while (c->former[n].former != NULL)
        n++;
    assert(n < CONFIG_FORMER_MAX);
    c->former[n] = (struct config_former){former, name, counts};
}

void config_former_note(struct config *c, const struct setting *s, bool by_flag, const char *counts)
{
    if (by_flag)
        add(c, s->other_flag, s->flag, counts);
    if (s->other_flag != NULL && config_getenv(s->other_variable) != NULL)
        add(c, s->other_variable, s->variable, counts);
}

void config_warn_former(const struct config *config)
{
    for (const struct config_former *f = config->former; f->former != NULL; f++) {
        log_event(LOG_WARN, "A setting was given by its former name, which will be gone in 1.0",
                  LOG_STR, "former", f->former, LOG_STR, "name", f->name, LOG_STR, "counts",
                  f->counts, LOG_END);
    }
}
