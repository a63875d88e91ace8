/* Stock units: see units.h. */
#include "base/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define NANO 1000000000

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void units_add(struct units *sum, const struct units *more)
{
    int64_t carry = sum->nano + more->nano >= NANO ? 1 : 0;
    int64_t whole;
    /* The carry first goes to the one that it cannot overflow. */
    int64_t low = sum->whole < more->whole ? sum->whole : more->whole;
    int64_t high = sum->whole < more->whole ? more->whole : sum->whole;
    if (low == INT64_MAX || __builtin_add_overflow(low + carry, high, &whole)) {
        *sum = (struct units){high > 0 ? INT64_MAX : INT64_MIN, 0};
        return;
    }
    sum->nano = sum->nano + more->nano - carry * NANO;
    sum->whole = whole;
}

struct units units_negated(const struct units *units)
{
    if (units->nano > 0)
        return (struct units){-(units->whole + 1), NANO - units->nano};
    return (struct units){units->whole == INT64_MIN ? INT64_MAX : -units->whole, 0};
}

/* The digits before the point, negative, since there is one more of these; past the end. */
static const char *read_whole(const char *p, int64_t *whole)
{
    for (*whole = 0; is_digit(*p); p++)
        if (__builtin_mul_overflow(*whole, 10, whole) ||
            __builtin_sub_overflow(*whole, *p - '0', whole))
            *whole = INT64_MIN;
    return p;
}

static const char *read_fraction(const char *p, int64_t *nano)
{
    int64_t unit = NANO / 10;
    for (*nano = 0; is_digit(*p); p++, unit /= 10)
        *nano += (*p - '0') * unit;
    return p;
}

struct units units_parse(const char *text)
{
    bool minus = *text == '-';
    const char *p = minus ? text + 1 : text;
    int64_t whole = 0, nano = 0;
    if (!is_digit(*p))
        return (struct units){0, 0};
    p = read_whole(p, &whole);
    if (*p == '.')
        p = read_fraction(p + 1, &nano);
    if (*p != '\0')
        return (struct units){0, 0};
    if (!minus)
        return (struct units){whole == INT64_MIN ? INT64_MAX : -whole, nano};
    if (nano == 0 || whole == INT64_MIN)
        return (struct units){whole, 0};
    return (struct units){whole - 1, NANO - nano};
}

double units_real(const struct units *units)
{
    return (double)units->whole + (double)units->nano / NANO;
}

void units_text(const struct units *units, char out[UNITS_TEXT])
{
    bool minus = units->whole < 0 && units->nano > 0;
    int64_t whole = minus ? units->whole + 1 : units->whole;
    int64_t nano = minus ? NANO - units->nano : units->nano;
    int n = snprintf(out, UNITS_TEXT, "%s%" PRId64, minus && whole == 0 ? "-" : "", whole);
    if (nano == 0)
        return;
    n += snprintf(out + n, UNITS_TEXT - (size_t)n, ".%09" PRId64, nano);
    while (out[n - 1] == '0')
        out[--n] = '\0';
}
