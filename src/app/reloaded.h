/* What a SIGHUP has changed: for its record, and for /status. */
#ifndef RS_RELOADED_H
#define RS_RELOADED_H

struct json_t;
struct queue_runs;
struct reloaded;
struct servers;

struct reloaded *reloaded_new(void);    /* NULL: out of memory */
void reloaded_free(struct reloaded *r); /* NULL is legal */

/* The secrets' files have just been read anew: which have another value. */
void reloaded_secrets(struct reloaded *r, const struct servers *servers);

/* What was served, and what is served now, while both are there: which queues are new, have
 * changed, and in which keys of the file, or are gone. */
void reloaded_queues(struct reloaded *r, const struct queue_runs *former,
                     const struct queue_runs *now);

/* It has come to its end: the record, INFO, with the number of queues; or, with an error, ERROR. */
void reloaded_done(struct reloaded *r, int queues);
void reloaded_refused(struct reloaded *r, const char *error);

/* The last one that came to its end, as /status shows it; borrowed; NULL: there was none. */
struct json_t *reloaded_last(const struct reloaded *r);

#endif
