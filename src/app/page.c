/* The page at /, from the files of web/. */
#include "app/page.h"

#include "app/web_files.h"
#include "link/http.h"

#include <string.h>

void page_html(void *arg, struct http_request *request)
{
    (void)arg;
    http_reply(request, 200, "text/html; charset=utf-8", web_index_html, strlen(web_index_html));
}

void page_css(void *arg, struct http_request *request)
{
    (void)arg;
    http_reply(request, 200, "text/css; charset=utf-8", web_page_css, strlen(web_page_css));
}

void page_js(void *arg, struct http_request *request)
{
    (void)arg;
    http_reply(request, 200, "text/javascript; charset=utf-8", web_page_js, strlen(web_page_js));
}
