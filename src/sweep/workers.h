/* The workers: the connections that release, kept alive, and the engine over them. Each reads the
 * catalog when that is due and it has nothing else to do, for all. */
#ifndef RS_WORKERS_H
#define RS_WORKERS_H

#include "base/callback.h"
#include "base/time_units.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct parts;
struct pg_link;
struct workers;

/* After a fault a worker rests: then what met the fault is due again (settlement.h), and is tried
 * together with what has come meanwhile: alone, nobody can tell whose fault it is. */
#define WORKERS_FAULT_REST_US (SECOND_US + 50 * MS_US)

/* As many as the settings ask for; parts must outlive it. on_change: the engine's. NULL: out of
 * memory. */
struct workers *workers_new(struct parts *parts, event_cb *on_change, void *arg);

/* Begins to connect. */
void workers_start(struct workers *w);

/* Ends the connections for good: batches under way have no answer, nothing is called back. Then
 * whoever has work in the engine may be freed. */
void workers_disconnect(struct workers *w);

/* Disconnects first, where that has not been done. The engine's sources have been removed. NULL is
 * legal. */
void workers_free(struct workers *w);

/* The engine over them: theirs, good until they are freed. */
struct engine *workers_engine(const struct workers *w);

/* Their connections: *n of them, good until they are disconnected. */
struct pg_link *const *workers_links(const struct workers *w, int *n);

/* Pages can be read over the first one, once it is not busy. */
bool workers_can_read(const struct workers *w);

/* Those that are idle leave a Postgres that is no longer the one to be used. */
void workers_follow_postgres(struct workers *w);

/* At least one is connected. */
bool workers_up(const struct workers *w);
/* How often their connections were made anew, all together. */
uint64_t workers_reconnects(const struct workers *w);
/* The first one's last error, "" for none; good until the next. */
const char *workers_error(const struct workers *w);

#endif
