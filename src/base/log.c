/* Records as JSON lines or as readable text. A record is built in memory and leaves in one write,
 * so that those of several processes on one stream do not mix. */
#include "base/log.h"

#include "base/clock.h"
#include "base/iso_time.h"
#include "base/json_text.h"
#include "base/log_writer.h"
#include "base/terminal.h"
#include "base/time_units.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define SERVICE_DEFAULT "reservation-sweeper"
#define LAST_WORDS_US SECOND_US /* for what is queued when the process ends */

/* The default of 17 digits would print 0.1 as 0.10000000000000001. */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG"};

/* The one log of the process. */
static struct {
    enum log_level level;
    bool text[STDERR_FILENO + 1];     /* by descriptor: not JSON */
    bool coloured[STDERR_FILENO + 1]; /* ... with colours */
    char *service;                    /* NULL: SERVICE_DEFAULT */
    bool all_to_stderr;
} state = {.level = LOG_INFO};

/* Of each thread: those that write know of none. */
static _Thread_local const char *queue_now;

const char *log_told(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

const char *log_set_queue(const char *name)
{
    const char *former = queue_now;
    queue_now = name;
    return former;
}

const char *log_queue(void)
{
    return queue_now;
}

int log_setup(const struct log_options *options)
{
    char *service = NULL;
    if (options->service != NULL) {
        service = strdup(options->service);
        if (service == NULL)
            return -1;
    }
    free(state.service);
    state.level = options->level;
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        state.text[fd] = options->format == LOG_FORMAT_TEXT ||
                         (options->format == LOG_FORMAT_AUTO && isatty(fd) != 0);
        state.coloured[fd] = terminal_colours(fd == STDOUT_FILENO ? stdout : stderr);
    }
    state.service = service;
    state.all_to_stderr = options->all_to_stderr;
    return 0;
}

bool log_is_text(int fd)
{
    return state.text[fd];
}

bool log_enabled(enum log_level level)
{
    return level <= state.level;
}

int log_level_parse(const char *name)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
        if (strcasecmp(name, level_names[i]) == 0)
            return (int)i;
    return -1;
}

/* The next value of a record's list. Whatever has no JSON form (NULL, NaN) becomes null: a record
 * with a hole is better than none. */
static json_t *value_to_json(int type, va_list *list)
{
    json_t *json = NULL;
    const char *text;
    switch (type) {
    case LOG_STR:
        text = va_arg(*list, const char *);
        json = text == NULL ? NULL : json_text(text);
        break;
    case LOG_INT:
        json = json_integer(va_arg(*list, int64_t));
        break;
    case LOG_BOOL:
        json = json_boolean(va_arg(*list, int));
        break;
    case LOG_JSON:
        json = json_incref(va_arg(*list, json_t *));
        break;
    case LOG_REAL:
        json = json_real(va_arg(*list, double));
        break;
    case LOG_NUMBER:
        json = json_loads(va_arg(*list, const char *), JSON_DECODE_ANY, NULL);
        break;
    }
    return json == NULL ? json_null() : json;
}

/* The length of the control character that text begins with, or 0: C0, DEL, and C1 as UTF-8
 * (U+0080 to U+009F). A terminal must not obey what a database or a client sent. */
static size_t control_len(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if ((p[0] != '\0' && p[0] < 0x20) || p[0] == 0x7F)
        return 1;
    return p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F ? 2 : 0;
}

/* Writes text with control characters as \xNN, and those in `escaped` with a backslash. */
static void put_escaped(FILE *out, const char *text, const char *escaped)
{
    while (*text != '\0') {
        size_t n = control_len(text);
        if (n > 0) {
            fprintf(out, "\\x%02x", (unsigned char)text[n - 1]);
            text += n;
            continue;
        }
        if (strchr(escaped, *text) != NULL)
            fputc('\\', out);
        fputc(*text++, out);
    }
}

static bool needs_quotes(const char *text)
{
    if (*text == '\0' || strpbrk(text, " \"=\\") != NULL)
        return true;
    for (; *text != '\0'; text++)
        if (control_len(text) > 0)
            return true;
    return false;
}

static void put_text_record(FILE *out, bool coloured, enum log_level level, json_t *record,
                            json_t *fields)
{
    const char *name;
    json_t *value;
    const char *colour = level == LOG_ERROR ? TERMINAL_RED : TERMINAL_YELLOW;
    bool stands_out = coloured && level <= LOG_WARN;
    fprintf(out, "%s %s%-5s%s ", json_string_value(json_object_get(record, "timestamp")),
            stands_out ? colour : "", level_names[level], stands_out ? TERMINAL_PLAIN : "");
    put_escaped(out, json_string_value(json_object_get(record, "message")), "");
    json_object_foreach(fields, name, value)
    {
        const char *text = json_string_value(value);
        fprintf(out, " %s=", name);
        if (text == NULL) {
            json_dumpf(value, out, JSON_FLAGS | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        } else if (needs_quotes(text)) {
            fputc('"', out);
            put_escaped(out, text, "\"\\");
            fputc('"', out);
        } else {
            fputs(text, out);
        }
    }
}

/* The line of a record, malloc'd, with its break; NULL when memory ran out. */
static char *record_line(int fd, enum log_level level, json_t *record, json_t *fields, size_t *size)
{
    char *line = NULL;
    FILE *out = open_memstream(&line, size);
    bool built = out != NULL;
    if (!built)
        return NULL;
    if (state.text[fd])
        put_text_record(out, state.coloured[fd], level, record, fields);
    else
        built = json_object_update(record, fields) == 0 && json_dumpf(record, out, JSON_FLAGS) == 0;
    fputc('\n', out);
    built = !ferror(out) && built;
    built = fclose(out) == 0 && built;
    if (!built) {
        free(line);
        return NULL;
    }
    return line;
}

static json_t *record_fields(va_list *list)
{
    json_t *fields = json_object();
    bool built = fields != NULL;
    if (queue_now != NULL)
        built = json_object_set_new(fields, "queue", json_text(queue_now)) == 0;
    for (int type = va_arg(*list, int); type != LOG_END && built; type = va_arg(*list, int)) {
        const char *name = va_arg(*list, const char *);
        if (type == LOG_EACH)
            built = json_object_update(fields, va_arg(*list, json_t *)) == 0;
        else
            built = json_object_set_new_nocheck(fields, name, value_to_json(type, list)) == 0;
    }
    if (!built) {
        json_decref(fields);
        return NULL;
    }
    return fields;
}

/* As record_line. Reads nothing that changes after the set-up: any thread may call it. */
static char *build(int fd, enum log_level level, const char *message, va_list *list, size_t *size)
{
    json_t *record = json_object();
    json_t *fields = record_fields(list);
    const char *service = state.service == NULL ? SERVICE_DEFAULT : state.service;
    char timestamp[ISO_TIME_SIZE];
    char *line = NULL;
    if (fields != NULL && iso_time(clock_wall_us(), timestamp)[0] != '\0' &&
        json_object_set_new(record, "timestamp", json_string(timestamp)) == 0 &&
        json_object_set_new(record, "level", json_string(level_names[level])) == 0 &&
        json_object_set_new(record, "service", json_text(service)) == 0 &&
        json_object_set_new(record, "message", json_text(message)) == 0)
        line = record_line(fd, level, record, fields, size);
    json_decref(record);
    json_decref(fields);
    return line;
}

void log_event(enum log_level level, const char *message, ...)
{
    if (!log_enabled(level))
        return;

    int saved_errno = errno;
    bool to_stderr = state.all_to_stderr || level <= LOG_WARN;
    int fd = to_stderr ? STDERR_FILENO : STDOUT_FILENO;
    size_t size = 0;
    va_list list;
    va_start(list, message);

    char *line = build(fd, level, message, &list, &size);
    va_end(list);
    if (line != NULL) {
        terminal_line_clear();
        /* What was printed before the record stays before it. */
        fflush(to_stderr ? stderr : stdout);
        log_writer_put(fd, line, size, level == LOG_ERROR);
    }
    errno = saved_errno;
}

void log_plain(const char *text)
{
    char *line = NULL;
    int size = asprintf(&line, SERVICE_DEFAULT ": %s\n", text);
    terminal_line_clear();
    if (size >= 0)
        log_writer_put(STDERR_FILENO, line, (size_t)size, true);
}

/* A record of its own level and stream: see log_writer_start(). */
static char *notice(size_t *size, ...)
{
    va_list list;
    va_start(list, size);

    char *line = build(STDERR_FILENO, LOG_WARN,
                       "Log records were dropped: nobody read them in time", &list, size);
    va_end(list);
    return line;
}

static char *on_loss(const char *stream, const struct log_loss *loss, size_t *size)
{
    char since[ISO_TIME_SIZE];
    return notice(size, LOG_INT, "droppedCount", (int64_t)loss->count, LOG_STR, "since",
                  iso_time(loss->since_us, since), LOG_STR, "stream", stream, LOG_END);
}

int log_queue_start(void)
{
    fflush(stdout);
    return log_writer_start(on_loss);
}

void log_queue_stop(void)
{
    log_writer_stop(LAST_WORDS_US);
}

uint64_t log_dropped(void)
{
    return log_writer_dropped();
}
