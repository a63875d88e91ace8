/* The pages that a pass has in hand, in the order in which they expire: the next slice for a lane,
 * and what is still to be decided of them. */
#ifndef RS_IN_HAND_H
#define RS_IN_HAND_H

#include "release/left.h"
#include "release/pass_page.h"

#include <stdbool.h>

struct work;

struct in_hand {
    TAILQ_HEAD(, pass_page) pages;
    int n;
    int slices;       /* so many lanes are at work on them */
    int telling;      /* so many drops have no answer of Redis's */
    struct left left; /* the oldest that was left in pages that are gone */
};

void in_hand_init(struct in_hand *h);

/* Takes the page over. */
void in_hand_add(struct in_hand *h, struct pass_page *page);

/* How many no lane has been given. */
size_t in_hand_waiting(const struct in_hand *h);

/* The next slice, of at most `most` of one page. False: there is none. */
bool in_hand_slice(struct in_hand *h, size_t most, struct work *work);

/* A slice comes back from its lane: returns its page. */
struct pass_page *in_hand_back(struct in_hand *h, const struct work *work);

/* Redis is told something of a page, which stays until it has answered. */
void in_hand_tell(struct in_hand *h, struct pass_page *page);
void in_hand_told(struct in_hand *h, struct pass_page *page);

/* Lets go of those pages that nothing is to be done with any more; all: of every one, which
 * requires that no lane is at work on any and that Redis has answered, or never will be asked. */
void in_hand_let_go(struct in_hand *h, bool all);

/* The oldest that has not been decided, or could not be: as pass_oldest. */
const char *in_hand_oldest(const struct in_hand *h, int64_t *since_us);

#endif
