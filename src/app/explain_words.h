/* Sentences of --explain, piece by piece. */
#ifndef RS_EXPLAIN_WORDS_H
#define RS_EXPLAIN_WORDS_H

#include "app/explain_judge.h"

#include <stddef.h>

/* Adds to a text of `size` bytes with its end; what does not fit is cut. */
void words_add(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a time and how far it is from now_us: "2025-11-14T01:00:00Z (in 4 min 12 s)", or
 * "... (12 s ago)". Where now_us is 0 the time alone. */
void words_add_time(char *text, size_t size, int64_t us, int64_t now_us);

/* "1 h 5 min", "3 min 20 s", "4.2 s", "250 ms" */
void words_add_duration(char *text, size_t size, int64_t us);

/* "pid 1234 (user shop, application web), in a transaction since ..." */
void words_add_blocker(char *text, size_t size, const struct explain_blocker *b, int64_t now_us);

/* "end that transaction: SELECT pg_terminate_backend(1234)" */
void words_add_remedy(char *text, size_t size, const struct explain_blocker *b);

#define WHY(e, ...) words_add((e)->why, sizeof((e)->why), __VA_ARGS__)
#define ADVISE(e, ...) words_add((e)->todo, sizeof((e)->todo), __VA_ARGS__)
#define NEXT(e, ...) words_add((e)->next, sizeof((e)->next), __VA_ARGS__)

/* A time, and how far it is from now. */
void explain_why_time(struct explanation *e, const struct explain_facts *f, int64_t us);
void explain_next_time(struct explanation *e, const struct explain_facts *f, int64_t us);

/* " --queue NAME", where a command needs it. */
void explain_todo_queue(struct explanation *e, const struct explain_facts *f);

/* Ends the closing sentence, about what a sweeper will do: none may run. */
void explain_next_end(struct explanation *e, const struct explain_facts *f);

#endif
