/* The query string: what a request may say besides its path. */
#include "link/http_private.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was read of one parameter; "" for none. */
struct param {
    char *name;
    char *value; /* NULL: no "=" */
};

/* malloc'd, percent signs and plus decoded; NULL with a NUL in it, or out of memory. */
static char *decode(const char *text, size_t len)
{
    char *raw = strndup(text, len);
    size_t size = 0;
    char *decoded = raw != NULL ? evhttp_uridecode(raw, 1, &size) : NULL;
    free(raw);
    if (decoded != NULL && strlen(decoded) != size) {
        free(decoded);
        return NULL;
    }
    return decoded;
}

/* text[0..len) is name=value. Returns 0, or -1. Cleared by the caller in both cases. */
static int read_param(struct param *p, const char *text, size_t len)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    p->name = decode(text, name_len);
    p->value = equals != NULL ? decode(equals + 1, len - name_len - 1) : NULL;
    return p->name == NULL || (equals != NULL && p->value == NULL) ? -1 : 0;
}

static void describe_unknown(FILE *out, const char *const *switches, const char *name)
{
    fprintf(out, "unknown parameter \"%s\": ", name);
    if (switches == NULL)
        fputs("none is allowed here", out);
    for (size_t i = 0; switches != NULL && switches[i] != NULL; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", switches[i]);
    if (switches != NULL)
        fputs(" may be given", out);
}

/* Takes one parameter; returns false with the sentence written to out. */
static bool take(const struct param *p, const char *const *switches, struct http_switches *given,
                 FILE *out)
{
    unsigned bit = 1;
    size_t i = 0;
    while (switches != NULL && switches[i] != NULL && strcmp(switches[i], p->name) != 0) {
        i++;
        bit <<= 1;
    }
    bool on = p->value != NULL && strcmp(p->value, "true") == 0;
    if (switches == NULL || switches[i] == NULL) {
        describe_unknown(out, switches, p->name);
    } else if ((given->seen & bit) != 0) {
        fprintf(out, "the parameter %s is given twice", p->name);
    } else if (p->value == NULL || (!on && strcmp(p->value, "false") != 0)) {
        fprintf(out, "%s is \"%s\": true and false are allowed", p->name,
                p->value != NULL ? p->value : "");
    } else {
        given->seen |= bit;
        given->on |= on ? bit : 0;
        return true;
    }
    return false;
}

int http_query_read(const char *query, const char *const *switches, struct http_switches *given,
                    char **error)
{
    size_t size = 0;
    bool ok = true;
    *given = (struct http_switches){0, 0};
    *error = NULL;
    FILE *out = open_memstream(error, &size);
    if (out == NULL)
        return -1;
    const char *at = query != NULL ? query : "";
    while (ok && *at != '\0') {
        size_t len = strcspn(at, "&");
        struct param p = {NULL, NULL};
        ok = read_param(&p, at, len) == 0;
        if (ok)
            ok = take(&p, switches, given, out);
        else
            fputs("the query string cannot be read", out);
        free(p.name);
        free(p.value);
        at += len;
        if (ok && *at == '&' && *++at == '\0') {
            fputs("the query string ends with &", out);
            ok = false;
        }
    }
    if (fclose(out) != 0 || ok) {
        free(*error);
        *error = NULL;
    }
    return ok ? 0 : -1;
}
