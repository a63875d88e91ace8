/* What routes share. */
#include "app/http_asked.h"

#include "app/queue_run.h"
#include "link/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool http_asked_for(const struct queue_runs *all, struct http_request *request,
                    struct http_asked *asked)
{
    const char *name = http_text(request, HTTP_QUEUE);
    int i = name != NULL ? queue_runs_find(all, name) : 0;
    char *text = NULL;
    size_t size = 0;
    if (i >= 0) {
        *asked = (struct http_asked){&all->all[i], name != NULL ? 1 : all->n};
        return true;
    }
    FILE *out = open_memstream(&text, &size);
    if (out != NULL) {
        fprintf(out, "unknown queue \"%s\": there %s ", name, all->n > 1 ? "are" : "is");
        for (i = 0; i < all->n; i++)
            fprintf(out, "%s%s", i > 0 ? ", " : "", queue_run_name(all->all[i]));
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    http_reply_error(request, 400, text != NULL ? text : "unknown queue");
    free(text);
    return false;
}

void http_reply_text(struct http_request *request, int status, const char *type, char *text,
                     size_t len)
{
    if (text == NULL)
        http_reply_error(request, 503, "out of memory");
    else
        http_reply(request, status, type, text, len);
    free(text);
}

/* As a line: so that it ends well on a terminal. The newline takes the place of the terminator. */
void http_reply_json(struct http_request *request, int status, char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (text != NULL)
        text[len++] = '\n';
    http_reply_text(request, status, NULL, text, len);
}
