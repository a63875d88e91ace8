/* Structured records: one JSON object a line, or readable text on a terminal.
 *
 * INFO and DEBUG go to stdout, WARN and ERROR to stderr, unless everything is sent to stderr.
 * There is one log for the process, set up once by main. Who logs waits until the record is
 * written, except between log_queue_start() and log_queue_stop(): then it is queued, and dropped
 * when nobody reads for long. Secrets are never passed in: callers log host names and database
 * names, not connection strings. */
#ifndef RS_LOG_H
#define RS_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

struct log_options {
    enum log_level level;
    enum log_format format; /* AUTO: text when the stream is a terminal */
    const char *service;    /* copied */
    bool all_to_stderr;
};

/* Sets the log up. Before the first call: INFO, AUTO, "reservation-sweeper". Returns 0, or -1
 * when memory ran out (the former set-up stays). */
int log_setup(const struct log_options *options);

/* True when records on this stream (STDOUT_FILENO or STDERR_FILENO) are text, not JSON. */
bool log_is_text(int fd);

/* True when a record of this level would be written. */
bool log_enabled(enum log_level level);

/* From now on nobody waits for a reader: threads write, up to 128 KiB a stream is queued, beyond
 * that whole records are dropped and, once there is room again, one WARN says how many and since
 * when. For the daemon. Nothing else may write to the two streams until log_queue_stop(). Returns
 * 0, or -1 with the reason in errno: then all is as before. */
int log_queue_start(void) __attribute__((warn_unused_result));

/* Waits until what is queued is written, for 1 s at most: for the end of the process. Later records
 * are written as before log_queue_start(), or, if something has still not left, dropped. */
void log_queue_stop(void);

/* Records dropped so far since nobody read them. */
uint64_t log_dropped(void);

/* Field types for log_event. A field is three arguments: type, name (camelCase), value.
 * The list ends with LOG_END. */
enum log_field {
    LOG_END,
    LOG_STR,  /* const char *; NULL is written as null; bytes that are not UTF-8 are replaced */
    LOG_INT,  /* int64_t: cast the argument */
    LOG_BOOL, /* int */
    LOG_REAL, /* double */
    LOG_JSON, /* json_t * (jansson), which stays the caller's; NULL is written as null */
    LOG_EACH, /* json_t *, an object that stays the caller's: each of its members is a field; name:
                 "" */
    LOG_NUMBER, /* const char *: an integer, or a decimal fraction of 15 digits */
};

/* Writes one record:
 *   log_event(LOG_INFO, "Cleanup job completed", LOG_INT, "cleanedCount", (int64_t)n, LOG_END);
 * Never fails the caller: a record that cannot be built or written is dropped. */
void log_event(enum log_level level, const char *message, ...);

/* For LOG_STR: text, or NULL where it is "", which nobody has told. NULL is legal. */
const char *log_told(const char *text);

#define LOG_QUEUE_MAX 40 /* bytes of a queue's name */

/* The queue that what follows is about: every record of this thread gets its name, in the field
 * `queue`, until another is set; NULL: none. The name is borrowed. Returns the former one, to be
 * set again. Whoever calls back later (a timer, a link, a request) remembers the queue of its
 * maker, and sets it for the time of the call: so nobody else passes it on. */
const char *log_set_queue(const char *name);
const char *log_queue(void);

/* Writes "reservation-sweeper: TEXT" on stderr, which is no record, in order with those that are.
 */
void log_plain(const char *text);

/* The level of a name ("ERROR", "WARN", "INFO", "DEBUG", any case), or -1. */
int log_level_parse(const char *name);

#endif
