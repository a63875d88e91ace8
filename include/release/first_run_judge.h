/* Whether a queue that is served for the first time may release: pure. */
#ifndef RS_FIRST_RUN_JUDGE_H
#define RS_FIRST_RUN_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

#define FIRST_RUN_MAPPING_SIZE 17

/* What decides which holds a queue releases, as one word: its table, `active`, its expiry and
 * `after`. Another word when any of them is another. Returns 0, or -1: out of memory. */
int first_run_mapping(const struct queue *queue, char mapping[FIRST_RUN_MAPPING_SIZE])
    __attribute__((warn_unused_result));

/* What is remembered in Redis of this queue. */
enum first_run_memory {
    FIRST_RUN_UNKNOWN,  /* it cannot be asked, or is not to be */
    FIRST_RUN_NEW,      /* nothing, or of another mapping */
    FIRST_RUN_ACCEPTED, /* this very mapping */
};

/* text: what Redis has, "" when it has none. */
enum first_run_memory first_run_remembered(const char *text,
                                           const char mapping[FIRST_RUN_MAPPING_SIZE]);

/* What is remembered from now on: which mapping was accepted, and with how much due. */
void first_run_text(const char mapping[FIRST_RUN_MAPPING_SIZE], int64_t due, bool yes, char *text,
                    size_t size);

/* What others are told of a queue that is held, in one line: which mapping, who holds it, why. */
#define FIRST_RUN_HELD_SIZE 600

struct first_run_held {
    char mapping[FIRST_RUN_MAPPING_SIZE];
    char holder[160];
    char reason[FIRST_RUN_HELD_SIZE];
};

void first_run_held_text(const char mapping[FIRST_RUN_MAPPING_SIZE], const char *holder,
                         const char *reason, char text[FIRST_RUN_HELD_SIZE]);

/* text: not trusted. Returns 0, or -1: it is none. */
int first_run_held_read(const char *text, struct first_run_held *held)
    __attribute__((warn_unused_result));

enum first_run_verdict {
    FIRST_RUN_GO,     /* it may release */
    FIRST_RUN_ACCEPT, /* it may, and that is to be remembered */
    FIRST_RUN_STOP,   /* more is due than the limit allows */
};

/* limit: -1 when there is none; due: counted to the limit and one more; yes: --yes was given. */
enum first_run_verdict first_run_judge(int64_t limit, int64_t due, bool yes,
                                       enum first_run_memory memory);

#endif
