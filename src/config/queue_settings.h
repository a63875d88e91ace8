/* What an operator may set in each transaction of a queue. */
#ifndef RS_QUEUE_SETTINGS_H
#define RS_QUEUE_SETTINGS_H

/* Why a setting of this name cannot be a queue's own, as the end of a sentence; NULL: it can. */
const char *queue_setting_fault(const char *name);

#endif
