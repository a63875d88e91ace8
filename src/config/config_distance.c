/* How far a word is from another: the nearest known one is named where one is unknown. */
#include "config/config_table.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

static size_t difference(char a, char b)
{
    if (a == b)
        return 0;
    return tolower((unsigned char)a) == tolower((unsigned char)b) ? 1 : 2;
}

size_t config_distance(const char *a, size_t len, const char *b)
{
    size_t row[CONFIG_NAME_MAX + 1];
    size_t a_len = len < CONFIG_NAME_MAX ? len : CONFIG_NAME_MAX;
    size_t b_len = strlen(b);
    assert(b_len <= CONFIG_NAME_MAX);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = 2 * j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = 2 * i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + difference(a[i - 1], b[j - 1]);
            diagonal = row[j];
            if (row[j] + 2 < best)
                best = row[j] + 2;
            if (row[j - 1] + 2 < best)
                best = row[j - 1] + 2;
            row[j] = best;
        }
    }
    return row[b_len];
}
