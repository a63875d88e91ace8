/* What every unit test includes: cmocka, which wants these headers before its own. */
#ifndef RS_UNIT_H
#define RS_UNIT_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
