/* The callbacks that many modules take. Whoever takes one takes the `arg` that it is called with.
 */
#ifndef RS_CALLBACK_H
#define RS_CALLBACK_H

/* Something has happened, or is done: nothing more is to be said of it. */
typedef void event_cb(void *arg);

#endif
