/* The files that hold a setting's value. */
#include "config/config_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES 65536

/* Who puts the URL itself where its file's name belongs must not find the password in a log. */
static int refuse(const char *variable, const char *path, const char *reason,
                  const struct config_error *error)
{
    return config_fail(error, "%s: \"%.100s\" is not allowed: a file that holds the value (%s)",
                       variable, strstr(path, "://") == NULL ? path : "...", reason);
}

/* Reads to the end, or until `text` is full. Returns the length, or -1 with errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);
        if (n == 0)
            break;
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)len;
}

/* Takes one line end away, and terminates. NULL, or why this is no value. */
static const char *why_no_value(char *text, size_t len)
{
    if (len > FILE_MAX_BYTES)
        return "longer than 64 KiB";
    if (memchr(text, '\0', len) != NULL)
        return "it holds a NUL byte";
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    text[len] = '\0';
    return len == 0 ? "it is empty" : NULL;
}

char *config_file_content(const char *path, bool again, size_t max, size_t *len,
                          const char **reason)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | (again ? O_NONBLOCK : 0));
    char *text = fd < 0 ? NULL : malloc(max + 2);
    struct stat st;
    ssize_t n = -1;
    *reason = NULL;
    if (text == NULL || fstat(fd, &st) != 0)
        *reason = strerror(errno);
    else if (!again || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        n = read_all(fd, text, max + 1);
        if (n < 0)
            *reason = strerror(errno);
    }
    if (fd >= 0)
        (void)close(fd);
    if (n < 0) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    *len = (size_t)n;
    return text;
}

int config_file_read(const char *variable, const char *path, bool again, char **out,
                     const struct config_error *error)
{
    size_t len;
    const char *reason;
    char *text = config_file_content(path, again, FILE_MAX_BYTES, &len, &reason);
    if (text != NULL)
        reason = why_no_value(text, len);
    *out = reason == NULL ? text : NULL;
    if (reason == NULL)
        return 0;
    free(text);
    return refuse(variable, path, reason, error);
}
