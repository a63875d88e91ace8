/* The protocol of the sweeper as a model for spin: claim, lease, release, settle, feed, and what can
 * go wrong between any two steps. Two sweepers, two reservations, up to FAULTS faults.
 *
 * A step is what one server does as a whole: a Lua script at Redis, a transaction at Postgres.
 * Left out: the scan and direct passes, which would find after minutes what the protocol had lost;
 * here it must not lose anything.
 *
 * With them or without:
 * -DBACKLOG  somebody releases straight from Postgres meanwhile, and drops the entries afterwards
 * -DROLLING  sweepers of version 0.1, which lease each id by itself and know nothing of batches: a
 *            sweeper that dies may come back as the other version
 * -DKEEP     a payment for reservation 1, which is kept meanwhile (keep_while): a release locks first,
 *            and judges in a second statement
 *
 * Each of these takes a rule out, and something must go wrong:
 * -DNO_PREDICATE   the release does not ask whether the row is active and due
 * -DNO_LEASE       a claim takes the entries without leasing them
 * -DNO_TAKEOVER    a batch whose lease has ended is nobody's business
 * -DREST_FORGOTTEN what a takeover has no room for is not put back into pending
 * -DSAME_SCORE     two claims may get the same score
 * -DDROP_BATCH     a drop removes the whole batch in which an id is
 * -DDROP_EARLY     a drop comes before the answer to COMMIT
 * -DINFLIGHT_LEFT   claims of version 0.1 are not taken over
 * -DONE_STATEMENT   a release judges by what it saw before it had the lock
 * -DWEAK_LOCK       its lock is one that an uncommitted payment's foreign key does not stop
 * -DKEPT_FORGOTTEN  what is kept is not put back
 */
#define N 2
#define BATCHES 5 /* claimed at once: two at work, and one that each fault left behind */
#ifndef FAULTS
#define FAULTS 3
#endif

mtype = { ACTIVE, COMMITTED, RELEASED }; /* a row's status */
mtype = { FORGET, PUT_BACK };            /* what a sweeper makes of an id */
mtype = { NOTHING, EARLY, LATE };        /* how the feed has read a row: not due yet, or due */

/* Postgres. */
mtype status[N] = ACTIVE;
bool due[N];
byte releases[N];

/* Redis: pending; leases, with a member for each claimed batch; inflight, as version 0.1 writes it.
 * A batch is known by its score; here by its number. */
bool pending[N];
bool leases[BATCHES * N];
bool ended[BATCHES]; /* the lease is over */
#define in(b, i)  leases[(b) * N + i]
#define there(b)  (in(b, 0) || in(b, 1))
#define leased(i) (in(0, i) || in(1, i) || in(2, i) || in(3, i) || in(4, i))
#define over(b)   (there(b) && ended[b])
#ifdef NO_TAKEOVER
#define any_over false
#else
#define any_over (over(0) || over(1) || over(2) || over(3) || over(4))
#endif

#ifdef ROLLING
byte inflight[N]; /* who has claimed it; 0: nobody */
bool lapsed[N];   /* that lease is over */
bool former[3];   /* which of the sweepers is of version 0.1 */
#define claimed_singly(i) (inflight[i] != 0)
#define is_former(me)     former[me]
#define a_batch_counts    (!former[1] || !former[2])
#else
#define claimed_singly(i) false
#define is_former(me)     false
#define a_batch_counts    true
#endif

#ifdef KEEP
#define PAYER 3
mtype = { NO_PAYMENT, BEGUN, PENDING }; /* begun: its row is inserted, and not committed */
mtype payment = NO_PAYMENT;
byte row_lock;  /* who has reservation 1's row locked; 0: nobody */
bool ours[3];   /* whether a sweeper has it */
bool unpaid[3]; /* what it saw before */
#define alive (payment != NO_PAYMENT)
#else
#define alive false
#endif

/* What each sweeper has claimed and not settled, and under which number (from 1; 0: none). */
bool hand[3 * N];
byte token[3];
#define holds(me, i) hand[(me) * N + i]
#define held(b)      (token[1] == (b) + 1 || token[2] == (b) + 1)

/* What the feed has yet to look at: everything at first, and after Redis was away. */
bool unseen[N] = true;
mtype page[N] = NOTHING;

byte faults = FAULTS;

/* ---- Postgres: one transaction, under the row's lock ---- */

inline release(i, outcome)
{
    if
#ifdef NO_PREDICATE
    :: true ->
#else
    :: status[i] == ACTIVE && due[i] ->
#endif
        assert(status[i] != COMMITTED); /* sold goods are not given back */
        assert(due[i]);                 /* never early */
        assert(i != 1 || !alive);       /* what is being paid for is kept */
        status[i] = RELEASED;
        releases[i]++;
        assert(releases[i] == 1); /* never twice */
        outcome = FORGET
#ifndef NO_PREDICATE
    :: status[i] == ACTIVE && !due[i] -> outcome = PUT_BACK
    :: status[i] != ACTIVE -> outcome = FORGET
#endif
    fi
}

/* ---- Redis: claim.lua, settle.lua ---- */

/* The second sweeper claims one id at a time: what a takeover brings beyond that goes back. */
#define room(me) (me == 1 || !(holds(me, 0) || holds(me, 1)))

/* An entry may be early: somebody else's clock, an extended reservation. So due is not asked for. */
#ifdef ROLLING
#define singly_over(i) (inflight[i] != 0 && lapsed[i])
#else
#define singly_over(i) false
#endif
#define to_claim(me)                                                                              \
    (pending[0] || pending[1] || singly_over(0) || singly_over(1) ||                              \
     (!is_former(me) && any_over))

inline take_over(b, i, me)
{
    if
    :: in(b, i) && room(me) -> holds(me, i) = true
    :: in(b, i) && !room(me) ->
#ifndef REST_FORGOTTEN
        pending[i] = true
#else
        skip
#endif
    :: else
    fi;
    in(b, i) = false
}

/* One batch that has ended, whichever comes first. */
inline take_over_one(me)
{
    if
#ifndef NO_TAKEOVER
    :: over(0) -> ended[0] = false; take_over(0, 0, me); take_over(0, 1, me)
    :: over(1) -> ended[1] = false; take_over(1, 0, me); take_over(1, 1, me)
    :: over(2) -> ended[2] = false; take_over(2, 0, me); take_over(2, 1, me)
    :: over(3) -> ended[3] = false; take_over(3, 0, me); take_over(3, 1, me)
    :: over(4) -> ended[4] = false; take_over(4, 0, me); take_over(4, 1, me)
#endif
    :: else
    fi
}

inline take_singly(i, me)
{
#if defined(ROLLING) && !defined(INFLIGHT_LEFT)
    if
    :: singly_over(i) && (room(me) || holds(me, i)) ->
        inflight[i] = 0;
        lapsed[i] = false;
        holds(me, i) = true
    :: else
    fi
#else
    skip
#endif
}

inline take_due(i, me)
{
    if
    :: pending[i] && (room(me) || holds(me, i)) ->
        pending[i] = false;
        holds(me, i) = true
    :: else
    fi
}

/* A score that nobody has: neither in Redis nor in hand. */
#define no_ones(b) (!there(b) && !held(b))

inline number(me)
{
    if
    :: no_ones(0) -> token[me] = 1
    :: else ->
        if
        :: no_ones(1) -> token[me] = 2
        :: else ->
            if
            :: no_ones(2) -> token[me] = 3
            :: else ->
                if
                :: no_ones(3) -> token[me] = 4
                :: else -> assert(no_ones(4)); token[me] = 5
                fi
            fi
        fi
    fi
#ifdef SAME_SCORE
    ;
    if
    :: token[3 - me] != 0 && !ended[token[3 - me] - 1] -> token[me] = token[3 - me]
    :: true
    fi
#endif
}

inline claim_batch(me)
{
    take_over_one(me);
    take_singly(0, me);
    take_singly(1, me);
    take_due(0, me);
    take_due(1, me);
    if
    :: holds(me, 0) || holds(me, 1) ->
        number(me);
#ifndef NO_LEASE
        in(token[me] - 1, 0) = in(token[me] - 1, 0) || holds(me, 0);
        in(token[me] - 1, 1) = in(token[me] - 1, 1) || holds(me, 1)
#endif
    :: else
    fi
}

inline put_back(i, me, outcome)
{
    if
    :: holds(me, i) && outcome == PUT_BACK -> pending[i] = true
    :: else
    fi
}

/* The batch as a whole, or nothing at all. */
inline settle_batch(me)
{
    if
#ifdef NO_LEASE
    :: true ->
#else
    :: token[me] != 0 && there(token[me] - 1) ->
#endif
        in(token[me] - 1, 0) = false;
        in(token[me] - 1, 1) = false;
        ended[token[me] - 1] = false;
        put_back(0, me, outcome[0]);
        put_back(1, me, outcome[1])
    :: else
    fi
}

/* ---- version 0.1 at Redis ---- */

inline claim_singly(i, me)
{
#ifdef ROLLING
    if
    :: pending[i] || singly_over(i) ->
        pending[i] = false;
        inflight[i] = me;
        lapsed[i] = false;
        holds(me, i) = true
    :: else
    fi
#else
    skip
#endif
}

inline settle_singly(i, me, outcome)
{
#ifdef ROLLING
    if
    :: holds(me, i) && inflight[i] == me ->
        inflight[i] = 0;
        lapsed[i] = false;
        put_back(i, me, outcome)
    :: else
    fi
#else
    skip
#endif
}

/* ---- the sweeper ---- */

inline empty_hands(me)
{
    holds(me, 0) = false;
    holds(me, 1) = false;
    token[me] = 0;
    outcome[0] = FORGET;
    outcome[1] = FORGET
}

/* Killed, and started again: whatever it knew is gone. So it is when a claim's answer is lost, or
 * when Redis is out of reach for the settlement. It may be another version that is started: then
 * its feed reads everything, as after each connect. */
inline crash(me)
{
    faults--;
    empty_hands(me);
#ifdef ROLLING
    if
    :: former[me] = !former[me]; unseen[0] = true; unseen[1] = true
    :: true
    fi
#endif
}

#ifdef KEEP
/* With KEEP a release is two statements in one transaction: the first locks. */
inline lock_first(i, me)
{
    if
    :: i == 1 && holds(me, i) ->
        unpaid[me] = payment != PENDING;
#ifndef ONE_STATEMENT
        if
        :: row_lock == 0 -> row_lock = me; ours[me] = true
#ifdef WEAK_LOCK
        :: row_lock == PAYER -> ours[me] = true
#endif
        :: else
        fi
#endif
    :: else
    fi
}
#endif

/* The second one takes what is ours and not kept. */
inline judge(i, me, outcome)
{
#ifdef KEEP
    if
    :: i == 1 ->
#ifdef ONE_STATEMENT
        ours[me] = row_lock == 0;
#else
        unpaid[me] = payment != PENDING;
#endif
        if
        :: !unpaid[me] ->
#ifdef KEPT_FORGOTTEN
            outcome = FORGET
#else
            outcome = PUT_BACK
#endif
        :: unpaid[me] && !ours[me] -> outcome = PUT_BACK /* locked */
        :: unpaid[me] && ours[me] -> release(i, outcome)
        fi
    :: i != 1 -> release(i, outcome)
    fi
#else
    release(i, outcome)
#endif
}

inline let_go(i, me)
{
#ifdef KEEP
    if
    :: i == 1 ->
        if
        :: row_lock == me -> row_lock = 0
        :: else
        fi;
        ours[me] = false;
        unpaid[me] = false
    :: else
    fi
#else
    skip
#endif
}

/* Steps of one reservation's transaction; a batch may be split, so each has its own. */
inline try(i, me)
{
    if
    :: !holds(me, i)
    :: holds(me, i) -> judge(i, me, outcome[i])
    :: holds(me, i) && faults > 0 -> /* COMMIT had no answer: unknown, not failed */
        faults--;
        judge(i, me, outcome[i]);
        outcome[i] = PUT_BACK
    :: holds(me, i) && faults > 0 -> /* it was never sent, or nothing of it was done */
        faults--;
        outcome[i] = PUT_BACK
    fi;
    let_go(i, me)
}

proctype sweeper(byte me)
{
    mtype outcome[N] = FORGET;

end:
    do
    :: d_step {
        to_claim(me);
        if
        :: is_former(me) -> claim_singly(0, me); claim_singly(1, me)
        :: else -> claim_batch(me)
        fi
    }
        if
        :: atomic { try(0, me) }
            if
#ifdef KEEP
            :: atomic { lock_first(1, me) } atomic { try(1, me) }
#else
            :: atomic { try(1, me) }
#endif
                if
                :: d_step {
                    if
                    :: is_former(me) ->
                        settle_singly(0, me, outcome[0]);
                        settle_singly(1, me, outcome[1])
                    :: !is_former(me) && token[me] != 0 -> settle_batch(me)
                    :: else
                    fi;
                    empty_hands(me)
                }
                :: atomic { faults > 0 -> crash(me) }
                fi
            :: atomic { faults > 0 -> crash(me) }
            fi
        :: atomic { faults > 0 -> crash(me) }
        fi
    od
}

/* ---- backlog mode: straight from Postgres, then out of pending by id; batches are left alone ---- */

#ifdef DROP_BATCH
#define drop_from(b, i)                                                                           \
    if                                                                                            \
    :: in(b, i) -> in(b, 0) = false; in(b, 1) = false                                             \
    :: else                                                                                       \
    fi
#else
#define drop_from(b, i) skip
#endif

inline drop(i)
{
    pending[i] = false;
#ifdef ROLLING
    inflight[i] = 0;
    lapsed[i] = false;
#endif
    drop_from(0, i);
    drop_from(1, i);
    drop_from(2, i);
    drop_from(3, i);
    drop_from(4, i)
}

/* Once for each reservation, at any time or never: the protocol may not rely on it. */
proctype backlog(byte i)
{
    mtype outcome;

    if
    :: atomic {
        status[i] == ACTIVE && due[i];
        release(i, outcome)
    }
        if
        :: d_step { drop(i) }
        :: atomic { faults > 0 -> faults-- } /* it dies, or Redis is away */
        fi
#ifdef DROP_EARLY
    :: atomic { status[i] == ACTIVE && due[i] -> drop(i) }
        if
        :: atomic { release(i, outcome) }
        :: atomic { faults > 0 -> faults-- }
        fi
#endif
    :: true
    fi
}

/* ---- the feed: reads a page, then enters it; much may happen in between ---- */

/* What was not due when it was read is entered as it is: it may be due and claimed by now, and is
 * claimed once more then. What was due is entered by schedule.lua, which looks for claims; that of
 * version 0.1 knows those of its own kind alone. */
inline enter(i)
{
    if
    :: page[i] == EARLY -> pending[i] = true
    :: page[i] == LATE && !claimed_singly(i) && (!leased(i) || !a_batch_counts) -> pending[i] = true
#ifdef ROLLING
    :: page[i] == LATE && !claimed_singly(i) && (former[1] || former[2]) -> pending[i] = true
#endif
    :: else
    fi;
    page[i] = NOTHING
}

inline look(i)
{
    if
    :: unseen[i] && status[i] == ACTIVE && due[i] -> page[i] = LATE
    :: unseen[i] && status[i] == ACTIVE && !due[i] -> page[i] = EARLY
    :: else
    fi;
    unseen[i] = false
}

proctype feed()
{
end:
    do
    :: d_step { unseen[0] || unseen[1]; look(0); look(1) }
        if
        :: d_step { enter(0); enter(1) }
        :: atomic { /* it fails, or ends and starts again */
            faults > 0 -> faults--;
            unseen[0] = unseen[0] || page[0] != NOTHING;
            unseen[1] = unseen[1] || page[1] != NOTHING;
            page[0] = NOTHING;
            page[1] = NOTHING
        }
        fi
    od
}

/* ---- the world ---- */

/* A reservation expires, or is sold before that; then the API tells Redis, late or never. */
proctype customer(byte i)
{
    if
    :: atomic { status[i] == ACTIVE && !due[i] -> status[i] = COMMITTED }
        if
        :: pending[i] = false
        :: true
        fi
    :: due[i]
    fi
}

#ifdef KEEP
/* Somebody pays for reservation 1: it is locked, found active, and the payment's row inserted; that is
 * committed; then the payment goes through, also after the expiry, or it fails. */
proctype payer()
{
    if
    :: atomic { status[1] == ACTIVE && row_lock == 0 -> row_lock = PAYER; payment = BEGUN }
        if
        :: atomic { payment = PENDING; row_lock = 0; assert(status[1] == ACTIVE) }
            if
            :: atomic { row_lock == 0 -> status[1] = COMMITTED; payment = NO_PAYMENT }
            :: payment = NO_PAYMENT
            fi
        :: atomic { payment = NO_PAYMENT; row_lock = 0 }
        fi
    :: true
    fi
}
#endif

proctype expiry()
{
    due[0] = true;
    due[1] = true
}

/* The lease outlives every timeout of its holder: that it ends all the same while it has its holder
 * (stopped, swapped out) is a fault like others, and does not go on for ever. */
#define runs_out(b) there(b) && !ended[b] && !held(b) -> ended[b] = true
#define cut_short(b) faults > 0 && there(b) && !ended[b] && held(b) -> faults--; ended[b] = true

proctype lease_end()
{
end:
    do
    :: atomic { runs_out(0) }
    :: atomic { runs_out(1) }
    :: atomic { runs_out(2) }
    :: atomic { runs_out(3) }
    :: atomic { runs_out(4) }
    :: atomic { cut_short(0) }
    :: atomic { cut_short(1) }
    :: atomic { cut_short(2) }
    :: atomic { cut_short(3) }
    :: atomic { cut_short(4) }
    od
}

#ifdef ROLLING
#define singly_held(i) (holds(inflight[i], i) && former[inflight[i]])

proctype single_end(byte i)
{
end:
    do
    :: atomic { inflight[i] != 0 && !lapsed[i] && !singly_held(i) -> lapsed[i] = true }
    :: atomic {
        faults > 0 && inflight[i] != 0 && !lapsed[i] && singly_held(i) ->
        faults--;
        lapsed[i] = true
    }
    od
}
#endif

/* Redis comes back empty, or with any old snapshot: a batch of then, which may be somebody's still. A
 * score always stood for the same ids. */
#define as_it_was(b, i) \
    ((token[1] != (b) + 1 || holds(1, i)) && (token[2] != (b) + 1 || holds(2, i)))

inline forget(b)
{
    in(b, 0) = false;
    in(b, 1) = false;
    ended[b] = false
}

inline forget_or_remember(b, i)
{
#ifdef ROLLING
    inflight[i] = 0;
    lapsed[i] = false;
#endif
    if
    :: pending[i] = false
    :: pending[i] = true
    :: as_it_was(b, i) -> pending[i] = false; in(b, i) = true; ended[b] = true
#ifdef ROLLING
    :: pending[i] = false; inflight[i] = 1; lapsed[i] = true
#endif
    fi;
    unseen[i] = true
}

proctype redis_restart()
{
end:
    do
    :: atomic {
        faults > 0 -> faults--;
        forget(0);
        forget(1);
        forget(2);
        forget(3);
        forget(4);
        forget_or_remember(0, 0);
        forget_or_remember(0, 1)
    }
    od
}

/* What is active is always in the hands of somebody who will come back to it: it waits, or is
 * claimed, or the feed has it before it. This is what never_lost rests on, as a property of each
 * moment. Where a row was sold it is not asked for. */
#define nowhere(i)                                                                                \
    (status[i] == ACTIVE && !unseen[i] && page[i] == NOTHING && !pending[i] &&                    \
     !claimed_singly(i) && !(leased(i) && a_batch_counts))

proctype watch()
{
end:
    do
    :: atomic { nowhere(0) || nowhere(1) -> assert(false) }
    od
}

init
{
    atomic {
#ifdef ROLLING
        former[2] = true;
#endif
        run sweeper(1);
        run sweeper(2);
        run feed();
        run customer(0); /* the other reservation nobody buys: for the sake of fewer states */
        run expiry();
        run lease_end();
        run redis_restart();
#ifdef KEEP
        run payer();
#endif
#ifdef BACKLOG
        run backlog(0); /* the other one may be in the same batch */
#endif
#ifdef ROLLING
        run single_end(0);
        run single_end(1);
#endif
#ifndef NO_WATCH
        run watch()
#endif
    }
}

/* With fair processes (pan -f) and an end to the faults: */
#define at_rest(i) (!pending[i] && !claimed_singly(i) && !(leased(i) && a_batch_counts))
ltl never_lost { <> (status[0] != ACTIVE && status[1] != ACTIVE) }
ltl tidy_again { <> [] (at_rest(0) && at_rest(1)) }
