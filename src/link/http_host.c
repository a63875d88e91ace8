/* What a server that listens on loopback is called. */
#include "link/http_private.h"

#include <string.h>
#include <strings.h>

/* How much of host[:port] or [address]:port is the host; 0: it is neither. */
static size_t host_len(const char *header)
{
    size_t len = header[0] == '[' ? strcspn(header, "]") : strcspn(header, ":");
    if (header[0] == '[')
        len += header[len] == ']' ? 1 : 0;
    const char *port = header + len;
    if (port[0] == ':')
        port += 1 + strspn(port + 1, "0123456789");
    return port[0] == '\0' ? len : 0;
}

bool http_host_is_here(const char *header, const char *listening)
{
    const char *const names[] = {"localhost", "127.0.0.1", "[::1]", listening};
    size_t len = host_len(header);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (len > 0 && strlen(names[i]) == len && strncasecmp(header, names[i], len) == 0)
            return true;
    return false;
}
