/* What Postgres refuses to --check-config: what it means, and what to do about it. */
#ifndef RS_CHECK_REFUSAL_H
#define RS_CHECK_REFUSAL_H

struct check_database;
struct pg_answer;

/* Says it: `what` is what was refused, a noun. One of each SQLSTATE is enough; what only took too
 * long is a note. Nothing is `clean` any more. */
void check_refused(struct check_database *c, const char *what, const struct pg_answer *answer);

/* The same for what stands in this line of the file. */
void check_refused_at(struct check_database *c, int line, const char *what,
                      const struct pg_answer *answer);

/* Notes that the check itself could not find something out. */
void check_unknown(const char *what, const struct pg_answer *answer);

/* What to do about a refusal of this SQLSTATE; never NULL. */
const char *check_remedy(const char *sqlstate);

#endif
