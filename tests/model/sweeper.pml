/* The protocol of the sweeper as a model for spin: claim, lease, release, settle, feed, and what
 * can go wrong between any two steps. Two sweepers, two reservations, up to FAULTS faults.
 *
 * A step is what one server does as a whole: a Lua script at Redis, a transaction at Postgres.
 * Left out: the scan and direct passes, which would find after minutes what the protocol
 * had lost; here it must not lose anything.
 *
 * -DNO_LEASE     claiming removes the entry (pop) instead of leasing it
 * -DNO_PREDICATE the release does not ask whether the row is active and due
 */
#define N 2
#ifndef FAULTS
#define FAULTS 3
#endif

mtype = { ACTIVE, COMMITTED, RELEASED }; /* a row's status */
mtype = { FORGET, PUT_BACK };            /* what a sweeper makes of an id */

/* Postgres. */
mtype status[N] = ACTIVE;
bool due[N];
byte releases[N];

/* Redis. A lease is known by its end; here by its holder, which is as unique. */
bool pending[N];
byte lease[N]; /* 0: not in flight */
bool ended[N]; /* the lease is over */

/* What each sweeper has claimed and not settled. */
bool hand[2 * N];
#define holds(me, i) hand[(me - 1) * N + i]

/* What the feed has yet to look at: everything at first, and after Redis was away. */
bool unseen[N] = true;

byte faults = FAULTS;

/* ---- Postgres: one transaction, under the row's lock ---- */

inline release(i, verdict)
{
    if
#ifdef NO_PREDICATE
    :: true ->
#else
    :: status[i] == ACTIVE && due[i] ->
#endif
        assert(status[i] != COMMITTED); /* sold goods are not given back */
        assert(due[i]);                 /* never early */
        status[i] = RELEASED;
        releases[i]++;
        assert(releases[i] == 1); /* never twice */
        verdict = FORGET
#ifndef NO_PREDICATE
    :: status[i] == ACTIVE && !due[i] -> verdict = PUT_BACK
    :: status[i] != ACTIVE -> verdict = FORGET
#endif
    fi
}

/* ---- Redis: claim.lua, settle.lua, schedule.lua ---- */

/* An entry may be early: somebody else's clock, an extended reservation. So due is not asked for. */
#define claimable(i) (pending[i] || (lease[i] != 0 && ended[i]))

inline claim(i, me)
{
    if
    :: claimable(i) ->
        pending[i] = false;
#ifndef NO_LEASE
        lease[i] = me;
        ended[i] = false;
#endif
        holds(me, i) = true
    :: else
    fi
}

#ifdef NO_LEASE
#define ours(i, me) true
#else
#define ours(i, me) (lease[i] == me)
#endif

inline settle(i, me, verdict)
{
    if
    :: holds(me, i) && ours(i, me) ->
        lease[i] = 0;
        ended[i] = false;
        if
        :: verdict == PUT_BACK -> pending[i] = true
        :: else
        fi
    :: else
    fi;
    holds(me, i) = false;
    verdict = FORGET
}

/* ---- the sweeper ---- */

/* Killed, and started again: whatever it knew is gone. So it is when a claim's answer is lost, or
 * when Redis is out of reach for the settlement. */
inline crash()
{
    faults--;
    holds(me, 0) = false;
    holds(me, 1) = false;
    verdict[0] = FORGET;
    verdict[1] = FORGET
}

/* Steps of one reservation's transaction; a batch may be split, so each has its own. */
inline try(i)
{
    if
    :: !holds(me, i)
    :: holds(me, i) -> release(i, verdict[i])
    :: holds(me, i) && faults > 0 -> /* COMMIT had no answer: unknown, not failed */
        faults--;
        release(i, verdict[i]);
        verdict[i] = PUT_BACK
    :: holds(me, i) && faults > 0 -> /* it was never sent */
        faults--;
        verdict[i] = PUT_BACK
    fi
}

proctype sweeper(byte me)
{
    mtype verdict[N] = FORGET;

end:
    do
    :: atomic {
        claimable(0) || claimable(1);
        claim(0, me);
        claim(1, me)
    }
        if
        :: atomic { try(0) }
            if
            :: atomic { try(1) }
                if
                :: atomic {
                    settle(0, me, verdict[0]);
                    settle(1, me, verdict[1])
                }
                :: atomic { faults > 0 -> crash() }
                fi
            :: atomic { faults > 0 -> crash() }
            fi
        :: atomic { faults > 0 -> crash() }
        fi
    od
}

/* ---- the feed: reads a page, then enters it; much may happen in between ---- */

inline enter(i, page)
{
    if
    :: page && lease[i] == 0 -> pending[i] = true
    :: else
    fi;
    page = false
}

inline look(i, page)
{
    page = unseen[i] && status[i] == ACTIVE;
    unseen[i] = false
}

proctype feed()
{
    bool page[N];

end:
    do
    :: atomic { unseen[0] || unseen[1]; look(0, page[0]); look(1, page[1]) }
        if
        :: atomic { enter(0, page[0]); enter(1, page[1]) }
        :: atomic { /* it fails, or ends and starts again */
            faults > 0 -> faults--;
            unseen[0] = unseen[0] || page[0];
            unseen[1] = unseen[1] || page[1];
            page[0] = false;
            page[1] = false
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

proctype expiry()
{
    if
    :: due[0] = true; due[1] = true
    :: due[1] = true; due[0] = true
    fi
}

/* The lease outlives every timeout of its holder: that it ends all the same while it has its holder
 * (stopped, swapped out) is a fault like others, and does not go on for ever. */
proctype lease_end(byte i)
{
end:
    do
    :: atomic {
        lease[i] != 0 && !ended[i] && !holds(lease[i], i) -> ended[i] = true
    }
    :: atomic {
        faults > 0 && lease[i] != 0 && !ended[i] && holds(lease[i], i) ->
        faults--;
        ended[i] = true
    }
    od
}

/* Redis comes back empty, or with any old snapshot. */
inline forget_or_remember(i)
{
    if
    :: pending[i] = false; lease[i] = 0
    :: pending[i] = true; lease[i] = 0
    :: pending[i] = false; lease[i] = 1
    fi;
    ended[i] = true;
    unseen[i] = true
}

proctype redis_restart()
{
end:
    do
    :: atomic { faults > 0 -> faults--; forget_or_remember(0); forget_or_remember(1) }
    od
}

init
{
    atomic {
        run sweeper(1);
        run sweeper(2);
        run feed();
        run customer(0); /* the other reservation nobody buys: for the sake of fewer states */
        run expiry();
        run lease_end(0);
        run lease_end(1);
        run redis_restart()
    }
}

/* With fair processes (pan -f) and an end to the faults: */
ltl never_lost { <> (status[0] != ACTIVE && status[1] != ACTIVE) }
ltl tidy_again { <> [] (!pending[0] && !pending[1] && lease[0] == 0 && lease[1] == 0) }
