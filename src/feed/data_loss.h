/* Notices that Redis has lost its data while the connection held (FLUSHALL, say): its mark is
 * gone. Asked for twice a second; a lost connection needs no mark, since everything is mirrored
 * anew after it anyway. */
#ifndef RS_DATA_LOSS_H
#define RS_DATA_LOSS_H

#include "base/callback.h"

struct data_loss;
struct parts;

/* on_lost(arg): the mark was there, and is gone; it has been set again. NULL: out of memory. */
struct data_loss *data_loss_new(struct parts *parts, event_cb *on_lost, void *arg);
void data_loss_free(struct data_loss *d); /* NULL is legal */

/* Redis came up or went away. */
void data_loss_redis_changed(struct data_loss *d);

#endif
