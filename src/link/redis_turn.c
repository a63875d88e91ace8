/* Who of several servers is asked next. */
#include "link/redis_find_private.h"

void redis_turn_begin(struct redis_turn *t)
{
    t->asked = 0;
}

int redis_turn_next(struct redis_turn *t, int n)
{
    if (t->asked >= (unsigned)n)
        return -1;
    t->asked++;
    return (int)((t->first + t->asked - 1) % (unsigned)n);
}

void redis_turn_good(struct redis_turn *t)
{
    t->first += t->asked - 1;
    t->asked = 1;
}

void redis_turn_doubt(struct redis_turn *t)
{
    t->first++;
}
