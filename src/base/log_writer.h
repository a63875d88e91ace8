/* Lines on their way to the two standard streams: written at once by whoever logs, or, in the
 * daemon, queued and written by threads, so that nobody waits for a reader. See log_writer.c. */
#ifndef RS_LOG_WRITER_H
#define RS_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lines that were dropped: how many, and since when (wall clock, microseconds). */
struct log_loss {
    uint64_t count;
    int64_t since_us;
};

/* From now on lines are queued. notice makes the line that tells stderr of a loss on a stream
 * ("stdout", "stderr", or "both" where they are one file): malloc'd, or NULL when memory ran out
 * (it is asked again). It is called with the queues locked, on any thread, and must not log.
 * Returns 0, or -1 with the reason in errno: nothing has changed then. */
int log_writer_start(char *(*notice)(const char *stream, const struct log_loss *loss, size_t *size))
    __attribute__((warn_unused_result));

/* Waits up to wait_us until what is queued is written, and ends the threads. What has still not
 * left then never will, and whatever else is put is dropped. Without threads nothing happens. */
void log_writer_stop(int64_t wait_us);

/* Writes a line, or queues it; whole, or not at all. Takes text (malloc'd, size bytes, the line
 * break included). fd: STDOUT_FILENO or STDERR_FILENO. last_word: of a queue that is full the
 * latest of these is kept, to be written when there is room. A write that waits for its reader,
 * without threads, waits for as long as that takes. */
void log_writer_put(int fd, char *text, size_t size, bool last_word);

/* Lines dropped so far. */
uint64_t log_writer_dropped(void);

#endif
