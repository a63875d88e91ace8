/* The proof of a queue before it is served, when the queues file is read anew: its statements are
 * made for its database, and each is tried there by EXPLAIN. Nothing is changed, no row is read. */
#ifndef RS_PROOF_H
#define RS_PROOF_H

struct config;
struct proof;
struct servers;

/* Begins at once, over a connection of its own. config: the queue's settings, which must outlive
 * it, as servers must. done(arg, error) fires once, never from inside this call, and may free the
 * proof: error is NULL, or one sentence with file and line, which ends with the proof. NULL: out of
 * memory. */
struct proof *proof_new(struct servers *servers, const struct config *config,
                        void (*done)(void *arg, const char *error), void *arg);

/* Without calling back. NULL is legal. */
void proof_free(struct proof *p);

#endif
