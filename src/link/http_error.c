/* Errors as JSON: ours, and those with which evhttp answers what it does not hand to us.
 *
 * What it cannot read, or finds too large, it answers with a page of HTML of its own, and there is
 * no callback for that. So the answer is exchanged while it still lies in the connection's output
 * buffer. */
#include "link/http_private.h"

#include "base/json_text.h"
#include "base/parse.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX 4096 /* evhttp's are a few hundred bytes */

char *http_error_body(const char *message, size_t *len)
{
    json_t *o = json_pack("{s:o}", "error", json_text(message));
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text != NULL) { /* the newline takes the place of the terminator */
        *len = strlen(text) + 1;
        text[*len - 1] = '\n';
    }
    return text;
}

static const char *message_of(int status)
{
    switch (status) {
    case 413:
        return "the request is too large: 8 KiB of headers and 4 KiB of body are allowed";
    case 417:
        return "of Expect only 100-continue is understood";
    case 501:
        return "this method is not known";
    case 503:
        return "out of memory";
    default:
        return "the request cannot be read, or has more than 8 KiB of headers";
    }
}

/* The status of an answer that is an error and whose body has begun, and its phrase; else 0. page
 * is terminated, and is cut off behind the phrase. */
static int error_page(char *page, char **phrase)
{
    static const size_t status_at = sizeof("HTTP/1.1 ") - 1;
    int64_t status = 0;
    char *body = strstr(page, "\r\n\r\n");
    if (body == NULL || body[4] == '\0' || strncmp(page, "HTTP/", 5) != 0 ||
        page[status_at - 1] != ' ' || page[status_at + 3] != ' ')
        return 0;
    page[status_at + 3] = '\0';
    bool is_error = parse_int(page + status_at, 400, 599, &status) == 0;
    page[status_at + 3] = ' ';
    *phrase = page + status_at + 4;
    if (is_error)
        (*phrase)[strcspn(*phrase, "\r")] = '\0';
    return is_error ? (int)status : 0;
}

/* Puts a JSON error in the place of all that lies in output, where that is an error's page. */
static void exchange(struct http_slot *slot, struct evbuffer *output)
{
    char page[PAGE_MAX + 1];
    char *phrase = NULL;
    size_t len = 0;
    ev_ssize_t n = evbuffer_copyout(output, page, PAGE_MAX);
    page[n > 0 ? n : 0] = '\0';
    int status = error_page(page, &phrase);
    char *body = status != 0 ? http_error_body(message_of(status), &len) : NULL;
    if (body == NULL)
        return;
    slot->ours = true;
    (void)evbuffer_drain(output, evbuffer_get_length(output));
    (void)evbuffer_add_printf(output,
                              "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\nCache-Control: no-store\r\n"
                              "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                              status, phrase, len);
    (void)evbuffer_add(output, body, len);
    free(body);
}

/* Once something was sent on a connection ("100 Continue"), its bufferevent keeps the beginning
 * of the buffer frozen but while it writes; nothing can be copied from it then. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct http_slot *slot = arg;
    if (slot->ours || info->n_added == 0)
        return;
    (void)evbuffer_unfreeze(output, 1);
    exchange(slot, output);
    (void)evbuffer_freeze(output, 1);
}

void http_error_watch(struct http_slot *slot)
{
    (void)evbuffer_add_cb(bufferevent_get_output(slot->bev), on_output, slot);
}
