/* The release engine: lanes, and what gives them batches.
 *
 * A lane is one connection to Postgres with one batch at a time. A source hands out reservations
 * and takes them back decided: claims from Redis, which are then settled (sweep/claims.h), or pages
 * from Postgres, whose entries in Redis are then dropped (release/pass.h). Of several sources the
 * one that was added first is asked first. The engine decides nothing about reservations: it keeps
 * each lane that can release at work. A lane can when it is connected, the statements are ready,
 * it does not rest, and no pause lasts.
 *
 * What must hold: a lane has one source's work at a time, its items stay in place until that is
 * done, and done is called once for each work that was taken, unless the links are freed before. */
#ifndef RS_ENGINE_H
#define RS_ENGINE_H

#include "base/callback.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct engine;
struct item;
struct parts;
struct pg_link;

#define ENGINE_LANES_MAX 16

/* What a lane releases at once. */
struct work {
    struct item *items;
    size_t n;  /* 1 to 20,000 */
    bool bulk; /* there is more where these come from */
    int lane;  /* set by the engine, before it asks: 0, 1, ... as the links were given */
};

/* Functions that are called from the loop, or from inside engine_poke. Neither may call
 * engine_poke. */
struct source {
    /* A lane is free: fills in *work and returns true; false: there is nothing for it at present.
     * Then it may have sent a question of its own over the lane's link, and pokes the engine when
     * that is answered. */
    bool (*take)(void *arg, struct work *work);
    /* Each of the items has an outcome. The lane is free again. */
    void (*done)(void *arg, const struct work *work);
    void *arg;
    TAILQ_ENTRY(source) others; /* the engine's */
};

/* A lane for each of the links (1 to 16), which stay the caller's: it pokes the engine when one of
 * them comes up or goes down. on_change(arg), which may be NULL, fires after each poke, of others
 * or of the engine's own: lanes may have come free, or be of no use any more. NULL: out of memory.
 */
struct engine *engine_new(struct parts *parts, struct pg_link *const *links, int n,
                          event_cb *on_change, void *arg);
/* Releases of its lanes need not wait for the disk (commit_wait.h): a daemon's own, which will find
 * what a crash undoes. Before the first of them. */
void engine_allow_no_wait(struct engine *e);

/* Nothing may be under way, or the links have been freed before. NULL is legal. */
void engine_free(struct engine *e);

/* The source must stay in place until it is removed. Removing requires that none of its work is
 * under way, or that the links have been freed. */
void engine_add(struct engine *e, struct source *source);
void engine_remove(struct engine *e, struct source *source);

/* Asks the sources for each lane that is free. */
void engine_poke(struct engine *e);

/* Keeps a lane from work for a while, once what it has is done. */
void engine_rest(struct engine *e, int lane, int64_t us);

/* It has no work, and does not rest: its link is free for other questions. */
bool engine_quiet(const struct engine *e, int lane);

/* How many lanes can release, at work or not; how many of these are free. */
int engine_usable(const struct engine *e);
int engine_idle(const struct engine *e);

#endif
