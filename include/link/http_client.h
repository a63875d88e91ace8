/* One question over HTTP, to a daemon on this host. */
#ifndef RS_HTTP_CLIENT_H
#define RS_HTTP_CLIENT_H

struct http_client;
struct loop;

/* GET path, from an address as the daemon is told to listen at ("": all of this host's). done fires
 * once, on a later turn, within 3 s: the status, or 0 when nobody answers, and the answer's
 * beginning or one sentence on why there is none. NULL: out of memory. */
struct http_client *http_client_get(struct loop *loop, const char *host, int port, const char *path,
                                    void (*done)(void *arg, int status, const char *text),
                                    void *arg);

/* Before the loop is freed; gives up a question that is under way. Not allowed inside done; NULL is
 * legal. */
void http_client_free(struct http_client *c);

#endif
