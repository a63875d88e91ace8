/* What the assignments of `released` may change of a hold. */
#ifndef RS_RELEASED_H
#define RS_RELEASED_H

#include <stdbool.h>

/* Whether these assignments may set this column: whether it stands in them as a word, in whatever
 * letters. True too where nobody can tell without parsing SQL: in U&"..." a name is spelled
 * otherwise, and a name with a quote in it stands there with two. */
bool released_may_set(const char *released, const char *column);

#endif
