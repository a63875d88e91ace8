/* The files of web/, embedded at build time by tools/embed. */
#ifndef RS_WEB_FILES_H
#define RS_WEB_FILES_H

extern const char web_index_html[];
extern const char web_page_css[];
extern const char web_page_js[];

#endif
