/* Parsers of numbers, durations, scores and addresses to listen on. */
#include "base/parse.h"

#include "base/host.h"
#include "base/time_units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX_US (3653 * DAY_US) /* ten years */
#define FRACTION_DIGITS_MAX 9
#define SCORE_TEXT_MAX 63 /* Redis prints "%.17g": 24 bytes at most */
#define SCORE_MAX_MS INT64_C(253402300799000)
#define EPOCH_DIGITS 11 /* until the year 5138 */

int parse_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    bool negative = *text == '-';
    int64_t value = 0;
    if (negative)
        text++;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (!isdigit((unsigned char)*text))
            return -1;

        /* Towards the sign from the start, since INT64_MIN has no positive counterpart. */
        int64_t digit = negative ? -(*text - '0') : *text - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return -1;
    }
    if (value < min || value > max)
        return -1;
    *out = value;
    return 0;
}

/* The unit's length in microseconds, 0 when there is no such unit. */
static int64_t unit_us(const char *unit)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {
        {"us", 1}, {"ms", MS_US}, {"s", SECOND_US}, {"m", MINUTE_US}, {"h", HOUR_US},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].us;
    return 0;
}

bool parse_lacks_unit(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789.")] == '\0' && strcmp(text, "0") != 0;
}

int parse_duration_us(const char *text, int64_t *out)
{
    int64_t whole = 0;
    int64_t fraction = 0;
    int64_t scale = 1;
    const char *p = text;
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return 0;
    }
    if (!isdigit((unsigned char)*p))
        return -1;
    for (; isdigit((unsigned char)*p); p++) {
        if (whole > DURATION_MAX_US)
            return -1;
        whole = whole * 10 + (*p - '0');
    }
    if (*p == '.') {
        const char *first = ++p;
        for (; isdigit((unsigned char)*p); p++) {
            if (p - first == FRACTION_DIGITS_MAX)
                return -1;
            fraction = fraction * 10 + (*p - '0');
            scale *= 10;
        }
        if (p == first)
            return -1;
    }

    /* What is not a whole number of microseconds is refused, never rounded to nothing. The
     * fraction is below 10^9 and the unit below 4 * 10^9: their product fits. */
    int64_t unit = unit_us(p);
    if (unit == 0 || whole > DURATION_MAX_US / unit || fraction * unit % scale != 0)
        return -1;

    int64_t value = whole * unit + fraction * unit / scale;
    if (value > DURATION_MAX_US)
        return -1;
    *out = value;
    return 0;
}

int parse_score_ms(const char *text, size_t len, int64_t *out)
{
    char copy[SCORE_TEXT_MAX + 1];
    char *end;
    if (len == 0 || len > SCORE_TEXT_MAX)
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';

    /* strtod knows more than Redis prints: blanks, hexadecimal, "infinity", "nan(...)". */
    if (strcmp(copy, "inf") != 0 && strcmp(copy, "-inf") != 0 &&
        strspn(copy, "0123456789+-.eE") != len)
        return -1;

    double score = strtod(copy, &end);
    if (end != copy + len)
        return -1;
    if (score <= 0) {
        *out = 0;
    } else if (score >= (double)SCORE_MAX_MS) {
        *out = SCORE_MAX_MS;
    } else {
        int64_t ms = (int64_t)score;
        *out = (double)ms < score ? ms + 1 : ms;
    }
    return 0;
}

/* As nearly every time is written: so many digits that nothing overflows, then up to six. Returns
 * 0, or -1: another way has to be tried. */
static int parse_plain_epoch_us(const char *text, int64_t *out)
{
    const char *p = text;
    int64_t us = 0, unit = SECOND_US;
    while (isdigit((unsigned char)*p) && p - text < EPOCH_DIGITS)
        us = us * 10 + (*p++ - '0');
    if (p == text)
        return -1;
    us *= SECOND_US;
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p) && unit > 1; p++) {
            unit /= 10;
            us += (*p - '0') * unit;
        }
    if (*p != '\0')
        return -1;
    *out = us;
    return 0;
}

int parse_epoch_us(const char *text, int64_t *out)
{
    char *end;
    if (parse_plain_epoch_us(text, out) == 0)
        return 0;
    if (strcmp(text, "Infinity") == 0) {
        *out = SCORE_MAX_MS * MS_US;
        return 0;
    }
    if (strcmp(text, "-Infinity") == 0) {
        *out = 0;
        return 0;
    }
    if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return -1;

    /* A double holds today's microseconds with a quarter of one to spare. */
    double seconds = strtod(text, &end);
    if (*end != '\0')
        return -1;
    if (seconds <= 0)
        *out = 0;
    else if (seconds >= (double)SCORE_MAX_MS / SECOND_MS)
        *out = SCORE_MAX_MS * MS_US;
    else
        *out = (int64_t)(seconds * 1e6 + 0.5);
    return 0;
}

static bool host_name_valid(const char *name)
{
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && strchr(".-_", *name) == NULL)
            return false;
    return true;
}

static bool host_v6_valid(const char *address)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET6, address, &ignored) == 1;
}

int host_port_parse(const char *text, size_t len, char **host, int *port)
{
    char *copy = strndup(text, len);
    char *name = copy;
    char *rest;
    int64_t number = -1;
    bool v6 = len > 0 && *text == '[';
    if (copy == NULL || strlen(copy) != len)
        goto fail;
    if (v6) {
        name++;
        rest = strchr(name, ']');
        if (rest == NULL)
            goto fail;
        *rest++ = '\0';
    } else {
        rest = name + strcspn(name, ":");
    }
    if (*rest == ':') {
        *rest++ = '\0';
        if (parse_int(rest, 1, 65535, &number) != 0)
            goto fail;
    } else if (*rest != '\0') {
        goto fail;
    }
    if (v6 ? !host_v6_valid(name) : !host_name_valid(name))
        goto fail;

    memmove(copy, name, strlen(name) + 1);
    *host = copy;
    if (number >= 0)
        *port = (int)number;
    return 0;

fail:
    free(copy);
    return -1;
}

int parse_listen(const char *text, char **host, int *port)
{
    char *name;
    int number = 0;
    if (host_port_parse(text, strlen(text), &name, &number) != 0)
        return -1;
    if (number == 0) {
        free(name);
        return -1;
    }
    *host = name;
    *port = number;
    return 0;
}

bool parse_is_sqlstate(const char *text)
{
    return strlen(text) == 5 && strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
}
