/* Mirrors what is late and lost. */
#include "feed/lost.h"

#include "base/log.h"
#include "base/parse.h"
#include "feed/late.h"
#include "feed/mirror.h"

#include <stdlib.h>
#include <string.h>

struct lost {
    struct mirror *mirror;
    void (*on_mirrored)(void *arg, int64_t earliest_ms);
    void *arg;
};

static void on_told(void *arg, int64_t earliest_ms, const char *error)
{
    struct lost *l = arg;
    if (error != NULL) /* the next poll finds them again */
        log_event(LOG_DEBUG, "Redis could not be told what is late", LOG_STR, "error", error,
                  LOG_END);
    else if (earliest_ms != INT64_MAX)
        l->on_mirrored(l->arg, earliest_ms);
}

struct lost *lost_new(struct parts *parts, void (*on_mirrored)(void *arg, int64_t earliest_ms),
                      void *arg)
{
    struct lost *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->on_mirrored = on_mirrored;
    l->arg = arg;
    l->mirror = mirror_new(parts, on_told, l);
    if (l->mirror == NULL) {
        free(l);
        return NULL;
    }
    return l;
}

void lost_free(struct lost *l)
{
    if (l == NULL)
        return;
    mirror_free(l->mirror);
    free(l);
}

bool lost_busy(const struct lost *l)
{
    return mirror_busy(l->mirror);
}

bool lost_tell(struct lost *l, const struct late_row *const *rows, size_t n, bool *too_long)
{
    struct mirror_row *fit = calloc(n, sizeof(*fit));
    size_t nfit = 0;
    for (size_t i = 0; i < n && fit != NULL; i++)
        if (strlen(rows[i]->id) <= ID_MAX_LEN)
            fit[nfit++] = (struct mirror_row){rows[i]->id, rows[i]->expires_us};
    *too_long = fit != NULL && nfit < n;
    const char *error = nfit > 0 ? mirror_rows(l->mirror, fit, nfit) : NULL;
    free(fit);
    return error == NULL;
}
