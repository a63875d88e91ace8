/* Hosts and ports within addresses, for the parsers of URLs and of the address to listen on. */
#ifndef RS_HOST_H
#define RS_HOST_H

#include <stddef.h>

/* Splits "host", "host:port", ":port", "[v6]" or "[v6]:port" (len bytes): *host is malloc'd, ""
 * when none is given, without brackets; *port is left alone when none is given. A host is a name
 * or an address: letters, digits, '.', '-' and '_'. Returns 0, or -1 with nothing set. */
int host_port_parse(const char *text, size_t len, char **host, int *port)
    __attribute__((warn_unused_result));

#endif
