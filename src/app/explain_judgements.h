/* What the judgements of --explain share: of reservations that are due, and of all others. */
#ifndef RS_EXPLAIN_JUDGEMENTS_H
#define RS_EXPLAIN_JUDGEMENTS_H

#include "app/explain_judge.h"
#include "app/explain_words.h"

/* One judgement: false, with *e as it was, when it does not hold. */
typedef bool explain_judgement(const struct explain_facts *f, struct explanation *e);

/* Of one that is due and was found, active: always true. */
explain_judgement explain_judge_due;

/* Postgres refuses it, as its record says; or will, as a rehearsal showed; or cannot release it. */
explain_judgement explain_judge_refused, explain_judge_would_be_refused, explain_judge_fails;

/* A whole table is locked. */
explain_judgement explain_judge_table;

/* keep_while holds: sets the cause, the why and what to do. */
void explain_why_kept(const struct explain_facts *f, struct explanation *e);

/* The sweeper has given it a later expiry, which lies ahead (keep.extend): what to do. */
void explain_todo_extended(const struct explain_facts *f, struct explanation *e);

#endif
