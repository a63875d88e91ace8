/* The query string: what a request may say besides its path. */
#include "link/http_private.h"

#include <assert.h>
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

static void describe_unknown(FILE *out, const struct http_param *params, const char *name)
{
    fprintf(out, "unknown parameter \"%s\": ", name);
    if (params == NULL)
        fputs("none is allowed here", out);
    for (size_t i = 0; params != NULL && params[i].name != NULL; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", params[i].name);
    if (params != NULL)
        fputs(" may be given", out);
}

/* A parameter that is known, number i, and given for the first time. Moves its value; false: it may
 * not have that one, with the sentence written to out. */
static bool take_value(struct param *p, const struct http_param *param, size_t i,
                       struct http_given *given, FILE *out)
{
    const char *value = p->value != NULL ? p->value : "";
    bool on = strcmp(value, "true") == 0;
    if (param->text && *value != '\0') {
        given->texts[i] = p->value;
        p->value = NULL;
        return true;
    }
    if (!param->text && (on || strcmp(value, "false") == 0)) {
        given->on |= on ? 1U << i : 0;
        return true;
    }
    fprintf(out, "%s is \"%s\": %s", p->name, value,
            param->text ? "it must not be empty" : "true and false are allowed");
    return false;
}

/* Takes one parameter; returns false with the sentence written to out. */
static bool take(struct param *p, const struct http_param *params, struct http_given *given,
                 FILE *out)
{
    size_t i = 0;
    while (params != NULL && params[i].name != NULL && strcmp(params[i].name, p->name) != 0)
        i++;
    if (params == NULL || params[i].name == NULL) {
        describe_unknown(out, params, p->name);
        return false;
    }
    assert(i < HTTP_PARAMS_MAX);
    if ((given->seen & (1U << i)) != 0) {
        fprintf(out, "the parameter %s is given twice", p->name);
        return false;
    }
    given->seen |= 1U << i;
    return take_value(p, &params[i], i, given, out);
}

void http_given_clear(struct http_given *given)
{
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        free(given->texts[i]);
    *given = (struct http_given){0};
}

int http_query_read(const char *query, const struct http_param *params, struct http_given *given,
                    char **error)
{
    size_t size = 0;
    bool ok = true;
    *given = (struct http_given){0};
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
            ok = take(&p, params, given, out);
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
