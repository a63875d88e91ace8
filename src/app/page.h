/* The page at /, and its files: handlers of routes (link/http.h). The page holds no data: it asks
 * for that as any other client does. */
#ifndef RS_PAGE_H
#define RS_PAGE_H

struct http_request;

void page_html(void *arg, struct http_request *request);
void page_css(void *arg, struct http_request *request);
void page_js(void *arg, struct http_request *request);

#endif
