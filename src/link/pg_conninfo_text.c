/* A connection string as text: whether it is a URI, and what of it may be shown. */
#include "link/pg_conninfo_private.h"

#include <string.h>

const char *pg_conninfo_uri_rest(const char *conninfo)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(conninfo, schemes[i], len) == 0)
            return conninfo + len;
    }
    return NULL;
}

bool pg_conninfo_password_leaks(const char *rest)
{
    const char *p = rest + strcspn(rest, "@/");
    size_t len;
    if (*p == '@')
        p++;
    len = strcspn(p, "?");
    return memchr(p, '@', len) != NULL;
}

bool pg_conninfo_may_show(const char *conninfo, const char *name)
{
    const char *rest = pg_conninfo_uri_rest(conninfo);
    const char *begin = rest != NULL ? strchr(rest, '?') : conninfo;
    const char *password = begin != NULL ? strstr(begin, "password") : NULL;
    size_t len = strlen(name);
    for (const char *p = begin; p != NULL && (p = strstr(p, name)) != NULL; p += len) {
        if (password != NULL && p > password)
            return false;
        if ((p == conninfo || strchr("?& \t\n", p[-1]) != NULL) && strchr("= \t\n", p[len]) != NULL)
            return true;
    }
    return false;
}
