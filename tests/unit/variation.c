/* Hostile inputs made from good ones. */
#include "variation.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

void each_variation(const char *text, void (*visit)(const char *variation))
{
    size_t len = strlen(text);
    for (size_t n = 0; n <= len; n++) {
        char *copy = strndup(text, n);
        assert_non_null(copy);
        visit(copy);
        for (int byte = 1; byte < 256 && n > 0; byte++) {
            copy[n - 1] = (char)byte;
            visit(copy);
        }
        free(copy);
    }
}
