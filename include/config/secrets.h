/* The secrets that are in use: the servers' addresses with their passwords, and the tokens.
 * What was given as a file's name is read anew whenever it is asked for, so that a password that
 * was rotated is used at the next attempt; while a file is missing or unusable, what it last
 * contained stays, and the log says why. */
#ifndef RS_SECRETS_H
#define RS_SECRETS_H

#include "base/callback.h"
#include "config/config.h"

struct redis_url;
struct secrets;

/* Begins with what config holds; it must outlive the secrets. on_change fires from within the
 * functions below that read, after a server's address has changed. NULL: out of memory. */
struct secrets *secrets_new(const struct config *config, event_cb *on_change, void *arg);
void secrets_free(struct secrets *s); /* NULL is legal */

/* Read anew, as the sources of links (struct pg_source, struct redis_single); arg is the secrets.
 * What they return is good until they are asked again. */
const char *secrets_conninfo(void *arg);

/* The same for Redis: its URL, taken apart. */
const struct redis_url *secrets_redis(void *arg);

/* Read anew; NULL: there is no token. Good until it is asked again. */
const char *secrets_admin_token(struct secrets *s);

/* The same for the token that only reads. */
const char *secrets_read_token(struct secrets *s);

/* Reads every file anew, on SIGHUP: what is not usable is an ERROR, always. */
void secrets_reload(struct secrets *s);

/* Whether the last of these has brought a new value of the secret: its variable, else NULL. */
const char *secrets_changed(const struct secrets *s, enum config_secret which);

/* The same for Postgres's address alone. */
void secrets_reload_postgres(struct secrets *s);

/* Where the servers are, for logs, from what was read last; malloc'd, NULL: out of memory. */
char *secrets_describe_postgres(const struct secrets *s);

/* The same for Redis. */
char *secrets_describe_redis(const struct secrets *s);

#endif
