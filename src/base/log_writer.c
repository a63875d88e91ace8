/* How records leave the process without anybody waiting for their reader.
 *
 * The daemon's streams are whatever it was started with: a pipe of a container's log driver, a
 * socket of journald's, a terminal, a file on a server of its own. Each of them can stop taking
 * bytes for hours, and write(2) then blocks for as long. O_NONBLOCK is no way out: it belongs to
 * the open file description, which is shared with whoever else was given it. Asking poll(2) first
 * is none either: on a pipe it promises room for one write that is small and comes before anybody
 * else's, on a terminal and a socket less than that, on a file nothing. So there are threads that
 * do nothing but write, which is right for all of them: each blocks, and nobody else.
 *
 * A thread serves one open file, since a record that has begun to leave must be completed before
 * the next one. Standard output and standard error are mostly two; where they are one file (2>&1),
 * one thread serves both, in the order in which they were logged. The queue is bounded. When it is
 * full a gap begins: everything is dropped until half of it has left, then one record says how much
 * that was, and since when. The last ERROR of a gap is kept, and follows: it may be the reason for
 * the end of the process, for which log_writer_stop() waits.
 *
 * Modes that end by themselves have no threads: who starts them wants every record, and waits. */
#include "base/log_writer.h"

#include "base/clock.h"
#include "base/time_units.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX ((size_t)128 * 1024) /* minutes, also of a flood of refusals */
#define OVERHEAD 64                    /* what a queued line costs beside its text */
#define STACK_BYTES ((size_t)256 * 1024)
#define AGAIN_US MS_US             /* a descriptor that somebody else made non-blocking */
#define FULL_DISK_US (100 * MS_US) /* with part of a record written */
#define FULL_DISK_TRIES 10         /* ... for those who wait for the write themselves */

struct line {
    STAILQ_ENTRY(line) next;
    int fd;
    size_t size;
    char *text;
};

/* One open file. */
struct channel {
    STAILQ_HEAD(lines, line) lines;
    size_t used;            /* bytes, the line that is being written included */
    bool gap;               /* everything is dropped */
    bool failing;           /* the last line could not be written */
    struct line *last_word; /* of the gap */
    struct log_loss unsaid;
    struct line *writing; /* on its way */
    pthread_cond_t news;  /* for the thread */
    pthread_t thread;
    bool ended; /* the thread has */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t progress; /* something was written */
    int nchannels;           /* 0: who logs writes */
    struct channel channels[2];
    bool closing;
    char *(*notice)(const char *stream, const struct log_loss *loss, size_t *size);
    uint64_t dropped;
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void rest(int64_t us)
{
    const struct timespec time = {us / SECOND_US, (long)(us % SECOND_US) * 1000};
    (void)nanosleep(&time, NULL);
}

/* For room, in a file that gives none: a disk, or a limit, may let it go on. */
static bool passes(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG || error == ENOMEM ||
           error == ENOBUFS;
}

/* Blocks until it is written. False: nothing of it has left, or its rest never will. tries: how
 * often a disk without room for the rest is asked. */
static bool write_whole(int fd, const char *text, size_t size, int tries)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(fd, text + done, size - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            (void)poll(&p, 1, -1);
            rest(AGAIN_US);
        } else if (n == 0 || (errno != EINTR && (done == 0 || !passes(errno) || tries-- == 0))) {
            return false;
        } else if (errno != EINTR) {
            rest(FULL_DISK_US);
        }
    }
    return true;
}

static void line_free(struct line *line)
{
    if (line != NULL)
        free(line->text);
    free(line);
}

/* Takes text. NULL when memory ran out. */
static struct line *line_new(int fd, char *text, size_t size)
{
    struct line *line = malloc(sizeof(*line));
    if (line == NULL)
        free(text);
    else
        *line = (struct line){.fd = fd, .text = text, .size = size};
    return line;
}

static struct channel *channel_of(int fd)
{
    return &writer.channels[writer.nchannels == 2 && fd == STDERR_FILENO ? 1 : 0];
}

static void lose(struct channel *c)
{
    writer.dropped++;
    if (c->unsaid.count++ == 0)
        c->unsaid.since_us = clock_wall_us();
}

static bool has_room(const struct channel *c, size_t size)
{
    return !c->gap && (c->used == 0 || c->used + size + OVERHEAD <= QUEUE_MAX);
}

static void enqueue(struct channel *c, struct line *line)
{
    c->used += line->size + OVERHEAD;
    STAILQ_INSERT_TAIL(&c->lines, line, next);
    pthread_cond_signal(&c->news);
}

/* Says what was lost on this one, once it is over. */
static void say_loss(struct channel *c, const char *stream)
{
    struct channel *to = channel_of(STDERR_FILENO);
    size_t size = 0;
    if (c->unsaid.count == 0 || c->gap || c->failing || !has_room(to, 0))
        return;

    char *text = writer.notice(stream, &c->unsaid, &size);
    struct line *line = text != NULL ? line_new(STDERR_FILENO, text, size) : NULL;
    if (line == NULL)
        return;
    enqueue(to, line);
    c->unsaid.count = 0;
}

static void say_losses(void)
{
    say_loss(&writer.channels[0], writer.nchannels == 2 ? "stdout" : "both");
    if (writer.nchannels == 2)
        say_loss(&writer.channels[1], "stderr");
}

static void end_gap(struct channel *c)
{
    if (!c->gap || c->used > QUEUE_MAX / 2)
        return;

    struct line *last_word = c->last_word;
    c->gap = false;
    c->last_word = NULL;
    say_losses();
    if (last_word != NULL)
        enqueue(c, last_word);
}

static void *write_lines(void *arg)
{
    struct channel *c = arg;
    pthread_mutex_lock(&writer.mutex);
    for (;;) {
        while (STAILQ_EMPTY(&c->lines) && !writer.closing)
            pthread_cond_wait(&c->news, &writer.mutex);
        if (STAILQ_EMPTY(&c->lines))
            break;

        struct line *line = STAILQ_FIRST(&c->lines);
        STAILQ_REMOVE_HEAD(&c->lines, next);
        c->writing = line;
        pthread_mutex_unlock(&writer.mutex);

        bool written = write_whole(line->fd, line->text, line->size, INT_MAX);
        pthread_mutex_lock(&writer.mutex);
        c->writing = NULL;
        c->used -= line->size + OVERHEAD;
        c->failing = !written;
        if (!written)
            lose(c);
        line_free(line);
        end_gap(c);
        say_losses();
    }
    c->ended = true;
    pthread_cond_signal(&writer.progress);
    pthread_mutex_unlock(&writer.mutex);
    return NULL;
}

static void queue_line(int fd, char *text, size_t size, bool last_word)
{
    struct channel *c = channel_of(fd);
    struct line *line = line_new(fd, text, size);
    if (line != NULL && !writer.closing && has_room(c, size)) {
        enqueue(c, line);
        return;
    }
    if (line == NULL || writer.closing) {
        line_free(line);
        lose(c);
        return;
    }
    c->gap = true;
    if (!last_word || c->last_word != NULL)
        lose(c);
    if (!last_word) {
        line_free(line);
        return;
    }
    line_free(c->last_word);
    c->last_word = line;
}

void log_writer_put(int fd, char *text, size_t size, bool last_word)
{
    bool queued;
    pthread_mutex_lock(&writer.mutex);
    queued = writer.nchannels > 0;
    if (queued)
        queue_line(fd, text, size, last_word);
    pthread_mutex_unlock(&writer.mutex);
    if (!queued) {
        (void)write_whole(fd, text, size, FULL_DISK_TRIES);
        free(text);
    }
}

uint64_t log_writer_dropped(void)
{
    uint64_t dropped;
    pthread_mutex_lock(&writer.mutex);
    dropped = writer.dropped;
    pthread_mutex_unlock(&writer.mutex);
    return dropped;
}

/* Both streams lead to one open file, or to one of its names. */
static bool are_one(void)
{
    struct stat out, err;
    return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
           out.st_dev == err.st_dev && out.st_ino == err.st_ino;
}

/* The loop's thread handles the signals. */
static int start_thread(struct channel *c)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    sigfillset(&all);
    error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (error == 0)
        error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error == 0) {
        error = pthread_create(&c->thread, &attributes, write_lines, c);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attributes);
    return error;
}

static bool all_ended(void)
{
    for (int i = 0; i < writer.nchannels; i++)
        if (!writer.channels[i].ended)
            return false;
    return true;
}

int log_writer_start(char *(*notice)(const char *stream, const struct log_loss *loss, size_t *size))
{
    pthread_condattr_t monotonic;
    int error = 0;
    if (pthread_condattr_init(&monotonic) != 0)
        return -1;
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&writer.progress, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    writer.notice = notice;
    writer.closing = false;
    memset(writer.channels, 0, sizeof(writer.channels));
    for (int n = are_one() ? 1 : 2; error == 0 && writer.nchannels < n;) {
        struct channel *c = &writer.channels[writer.nchannels];
        STAILQ_INIT(&c->lines);
        (void)pthread_cond_init(&c->news, NULL);
        error = start_thread(c);
        writer.nchannels += error == 0 ? 1 : 0;
    }
    if (error == 0)
        return 0;
    log_writer_stop(SECOND_US); /* it has nothing to write */
    errno = error;
    return -1;
}

void log_writer_stop(int64_t wait_us)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(wait_us / SECOND_US);
    end.tv_nsec += (long)(wait_us % SECOND_US) * 1000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&writer.mutex);
    writer.closing = true;
    for (int i = 0; i < writer.nchannels; i++)
        pthread_cond_signal(&writer.channels[i].news);
    while (!all_ended() &&
           pthread_cond_timedwait(&writer.progress, &writer.mutex, &end) != ETIMEDOUT)
        continue;

    int n = all_ended() ? writer.nchannels : 0;
    pthread_mutex_unlock(&writer.mutex);
    for (int i = 0; i < n; i++)
        (void)pthread_join(writer.channels[i].thread, NULL);
    if (n > 0)
        writer.nchannels = 0;
}
