/* What the files of --explain's questions share: explain_ask.c has their course,
 * explain_first_run.c those about the first-run limit. */
#ifndef RS_EXPLAIN_ASK_PRIVATE_H
#define RS_EXPLAIN_ASK_PRIVATE_H

#include "app/desk.h"
#include "app/explain_ask.h"
#include "release/first_run_judge.h"
#include "release/release.h"

struct explain_ask {
    struct desk desk; /* first */
    struct explain_ask_options options;
    struct explain_facts facts;
    char *id;
    char *ids, *names; /* as arrays */
    enum first_run_memory memory;
    void (*read)(struct explain_facts *f, const struct pg_result *r); /* what comes next */
    struct item item, *items[1];
};

static inline struct explain_ask *explain_ask_of(struct desk *d)
{
    return (struct explain_ask *)d;
}

/* It has active rows, and what is asked about them is of use. */
static inline bool explain_is_active(struct desk *d)
{
    const struct explain_ask *a = explain_ask_of(d);
    return desk_has_postgres(d) && a->facts.looked && a->facts.active_rows > 0;
}

/* Steps: whether a sweeper holds the queue; what was accepted; what a first run would count, where
 * there is a limit. */
bool explain_ask_held(struct desk *d);
bool explain_ask_accepted(struct desk *d);
bool explain_ask_first_run(struct desk *d);

/* In the daemon, which knows: whether it holds the queue. */
void explain_own_first_run(struct explain_ask *a);

#endif
