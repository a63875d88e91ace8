/* What a Redis URL says: copied, described, freed. */
#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void redis_url_clear(struct redis_url *u)
{
    redis_address_clear(&u->server);
    for (int i = 0; i < REDIS_HOSTS_MAX; i++)
        free(u->hosts[i].host);
    free(u->service);
    free(u->sentinel_user);
    free(u->sentinel_password);
    *u = (struct redis_url){0};
}

void redis_address_clear(struct redis_address *a)
{
    free(a->host);
    free(a->path);
    free(a->user);
    free(a->password);
    *a = (struct redis_address){0};
}

static bool copy_text(char **out, const char *text)
{
    *out = text == NULL ? NULL : strdup(text);
    return text == NULL || *out != NULL;
}

int redis_address_copy(struct redis_address *out, const struct redis_address *from)
{
    *out = (struct redis_address){.port = from->port, .db = from->db, .tls = from->tls};
    if (copy_text(&out->host, from->host) && copy_text(&out->path, from->path) &&
        copy_text(&out->user, from->user) && copy_text(&out->password, from->password))
        return 0;
    redis_address_clear(out);
    return -1;
}

int redis_url_copy(struct redis_url *out, const struct redis_url *from)
{
    bool whole;
    *out = (struct redis_url){.kind = from->kind, .n_hosts = from->n_hosts};
    whole = redis_address_copy(&out->server, &from->server) == 0 &&
            copy_text(&out->service, from->service) &&
            copy_text(&out->sentinel_user, from->sentinel_user) &&
            copy_text(&out->sentinel_password, from->sentinel_password);
    for (int i = 0; i < from->n_hosts; i++) {
        out->hosts[i].port = from->hosts[i].port;
        whole = whole && copy_text(&out->hosts[i].host, from->hosts[i].host);
    }
    if (whole)
        return 0;
    redis_url_clear(out);
    return -1;
}

static char *describe_server(const struct redis_address *a)
{
    char *text = NULL;
    int n;
    if (a->path != NULL)
        n = asprintf(&text, "unix:%s?db=%d", a->path, a->db);
    else if (a->host != NULL && strchr(a->host, ':') != NULL)
        n = asprintf(&text, "[%s]:%d/%d", a->host, a->port, a->db);
    else
        n = asprintf(&text, "%s:%d/%d", a->host == NULL ? "" : a->host, a->port, a->db);
    return n < 0 ? NULL : text;
}

char *redis_url_describe(const struct redis_url *u)
{
    char *text = NULL;
    size_t size;
    FILE *out;
    if (u->kind == REDIS_ONE)
        return describe_server(&u->server);
    out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fputs(u->kind == REDIS_CLUSTER ? "Cluster at " : "Sentinels at ", out);
    for (int i = 0; i < u->n_hosts; i++)
        fprintf(out, strchr(u->hosts[i].host, ':') != NULL ? "%s[%s]:%d" : "%s%s:%d",
                i > 0 ? "," : "", u->hosts[i].host, u->hosts[i].port);
    if (u->service != NULL)
        fprintf(out, ", service %s", u->service);
    fprintf(out, ", database %d", u->server.db);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
