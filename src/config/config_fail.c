/* The one sentence about what is wrong with the command line or a setting. */
#include "config/config_table.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

int config_fail(const struct config_error *error, const char *format, ...)
{
    va_list list;
    assert(error->size > 0);
    va_start(list, format);
    (void)vsnprintf(error->text, error->size, format, list);
    va_end(list);

    /* One line on a terminal, whatever a value contained. */
    for (char *p = error->text; *p != '\0'; p++)
        if (iscntrl((unsigned char)*p))
            *p = '?';
    return -1;
}
