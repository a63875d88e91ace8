/* Which settings of a transaction are the operator's. Those of the shop (a name with a dot, as
 * policies and triggers read it) and who is asking; nothing of Postgres's own else: statements rely
 * on their time limits, isolation level, zone and plans, and text that is read on how it is
 * written. */
#include "config/queue_settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define OURS "reservation_sweeper."

/* Words of letters, digits, _ and $, put together by dots. */
static bool is_name(const char *name)
{
    static const char begins[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char goes_on[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789$";
    bool whole = strlen(name) <= 63;
    while (whole && strchr(begins, *name) != NULL && *name != '\0') {
        name += strspn(name, goes_on);
        if (*name != '.')
            return *name == '\0';
        name++;
    }
    return false;
}

const char *queue_setting_fault(const char *name)
{
    if (!is_name(name))
        return "a setting's name, such as app.tenant, of at most 63 letters, digits, _ and $";
    if (strncasecmp(name, OURS, strlen(OURS)) == 0)
        return "what begins so is this program's own; choose another name";
    if (strchr(name, '.') != NULL || strcasecmp(name, "role") == 0 ||
        strcasecmp(name, "row_security") == 0)
        return NULL;
    return "it is Postgres's own, and this program sets it, or relies on it; names with a dot "
           "(app.tenant), role and row_security are allowed";
}
