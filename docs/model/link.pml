/* link.pml - the protocol between the vCPU's thread and the holder of the baton (syncq/link.c).
 *
 * Choose one of -DTHREAD, -DADAPTIVE, -DINLINE; -DTMAX=n is the number of ticks that the guest runs, -DDIGEST=n
 * makes every nth tick a digest point, -DINPUT lets input come in once, -DPAUSE lets the run pause and go on
 * once, -DEARLY lets an access bring about an event nearer than its L, which is then put off.
 * Checked: no invalid end state (deadlock, lost wake-up); the assertions, numbered A1 to A9 below; and <>done
 * under weak fairness (the horizon always grows, the guest gets to its end). The -DBUG_... variants each break
 * one rule and must fail: see check.sh.
 *
 * The guest may do at each tick, as the checker chooses: nothing, a posted write with L = 1 or 2 (EARLY: or 3), a
 * synchronous access, or halt. The device has one timer, which accesses and its own events arm, move and
 * cancel, and raises effects.
 *
 * Steps that touch only what their thread owns, or what the baton protects while it is held, are joined into
 * one: no other thread can tell. `due` is the checker's own account of the effects that were decided. */

#ifndef TMAX
#define TMAX 4
#endif
#define QUANTUM 2
#define NEVER 200
#define STIRS 2    /* how often host I/O wakes the device thread of mode adaptive */
#define TSLOTS (TMAX + 8)

mtype = { ACCESS, STEP, AHEAD, IDLE, FREE, VCPU, DEVICE, NONE, POST, SYNC, SETTLE };

/* --- owned by the holder of the baton --- */
byte next_event = 1;   /* the device's timer */
byte handled = 0;      /* tick of the last access or event that was handled */
byte sched = 0, quantum_end = 0, horizon = 0, answer = 0;
byte served_count = 0;
bool clamped = false;  /* an event before `sched` is put off until then */

/* --- owned by the vCPU --- */
byte pending[TSLOTS];  /* effects that apply at this tick; the rest is local to vcpu() */
byte tick = 0;         /* read by assertions only, elsewhere */
bool done = false;

/* --- crossing --- */
#ifdef INLINE
mtype baton = VCPU;
#else
mtype baton = FREE;
#endif
byte served = 0;
chan msgq = [2] of { mtype, byte, byte };  /* kind, tick, L or next pending effect */
chan ring = [4] of { byte };               /* effects: their ticks */
bool vcpu_asleep = false, dev_asleep = false;  /* the parkers' words */
bool io_wake = false;                      /* ops->wake(): sticky */
bool ended = false;                        /* link_end: the device thread shall leave */
#ifdef PAUSE
bool stop = false;                         /* link_stop: the vCPU shall stand */
bool standing = false;                     /* it does, and has the devices for itself */
#define STOPPING stop
#else
#define STOPPING false
#define standing false
#endif
#ifdef INPUT
bool arrived = false;                      /* a byte waits in the host's buffers */
byte taken = NEVER;                        /* its stamp */
#endif

/* --- the checker's own account --- */
byte due[TSLOTS];      /* effects that were decided for this tick and not yet applied */
#ifdef DIGEST
byte digested = NEVER; /* tick of the last digest point */
#endif

inline min_to(var, other) { if :: other < var -> var = other :: else fi }

/* --- the work of the holder (link_serve.c); `me` is VCPU or DEVICE --- */

inline effect_at(me, at)
{
    assert(at >= tick);         /* A4: no effect in the vCPU's past */
    due[at]++;
#ifdef BUG_EMITTED_LATE
#define AT (at + 1)
#else
#define AT at
#endif
    if
    :: me == VCPU -> pending[AT]++
    :: else -> ring!AT
    fi
}

inline horizon_update()
{
    horizon = quantum_end;
    min_to(horizon, sched)
}

/* The vCPU may have run as far as t + L or the old `sched`: an event before the nearer of these is put off. */
inline sched_after_access(t, lat)
{
#ifdef BUG_OLD_SCHED
    if
    :: next_event >= t + lat -> sched = next_event
    :: else -> min_to(sched, t + lat)
    fi;
    clamped = next_event < sched;
#else
    min_to(sched, t + lat);
    clamped = next_event < sched;
    if :: !clamped -> sched = next_event :: else fi;
#endif
    assert(clamped || sched == next_event)  /* A9: a step at which nothing happens would not move it */
}

/* What the access does to the device is the checker's choice; what comes of it is not before t + L, but for EARLY. */
inline device_access(me, t, lat)
{
    assert(t >= handled);       /* A1: no access after a later access or event */
    assert(next_event > t || clamped);  /* A2: every event up to the access came first */
    handled = t;
    if
    :: skip
    :: next_event = t + lat
    :: next_event = t + lat + 1
    :: next_event = NEVER
#ifdef EARLY
    :: next_event = t + 1
    :: next_event = t + 2
#endif
    :: effect_at(me, t + lat)
    fi;
    sched_after_access(t, lat);
    horizon_update()
}

#ifdef INPUT
/* Takes in what waits, once a tick, or leaves it for later (the host had not yet looked). */
inline intake(t)
{
    if
    :: arrived && taken == NEVER ->
        taken = t;              /* the stamp: where a replay takes it, as an event */
#ifdef DIGEST
        assert(digested == NEVER || t > digested)  /* A6: a digest holds all input with stamps up to it */
#endif
    :: true
    fi
}
#define INPUT_WAITS (arrived && taken == NEVER)
#else
inline intake(t) { skip }
#define INPUT_WAITS false
#endif

inline device_events(me, t)
{
    if
    :: next_event <= t ->
        assert(t == sched);     /* A3, too: one that is put off waits */
        effect_at(me, t);
        if
        :: next_event = t + 1
        :: next_event = t + 2
        :: next_event = NEVER
        fi
    :: else
    fi;
    intake(t);
    sched = next_event;
    clamped = false
}

inline device_step(me, t)
{
    assert(t >= handled && t <= sched);  /* A3: no event is late */
    assert(t == tick);                   /* ... and none, and no input, comes while the vCPU is elsewhere */
    handled = t;
    quantum_end = t + QUANTUM;
    if
#ifndef BUG_STEP_PUT_OFF
    :: clamped && t < sched
#endif
    :: else -> device_events(me, t)
    fi;
    horizon_update()
}
inline device_idle(t, effect_tick)
{
    answer = sched;
#ifndef BUG_IDLE_IGNORES_EFFECT
    min_to(answer, effect_tick);
#endif
    if
    :: clamped  /* no step is possible before, so there is nothing that an idle vCPU could end for */
    :: !clamped && (STOPPING || answer == NEVER) -> answer = t  /* the toy guest then goes on by itself */
    :: !clamped && INPUT_WAITS && answer != t -> answer = t
    :: !clamped && INPUT_WAITS && answer > t + 1 -> answer = t + 1  /* it came while time went by */
    :: else
    fi;
    if :: answer > quantum_end -> quantum_end = answer + QUANTUM :: else fi;
    horizon_update()
}

/* Pops and serves one message; the choices are the checker's, so not in a d_step. */
inline serve_message(me, kind, t, arg)
{
    assert(!standing);          /* A8: a vCPU that stands has the devices for itself */
    if
    :: kind == ACCESS -> device_access(me, t, arg)
    :: kind == STEP -> device_step(me, t)
    :: kind == AHEAD -> quantum_end = t + QUANTUM; horizon_update()
    :: kind == IDLE -> device_idle(t, arg)
    fi;
    served_count++
}

/* --- the device thread (link_device.c) --- */

inline unpark_vcpu() { vcpu_asleep = false }  /* the read-modify-write of park_claim */

#ifdef BUG_EFFECT_AFTER_HORIZON
#define DEV_LOCALS mtype kind = FREE; byte t = 0, arg = 0, held = NEVER
inline hold_effect() { held = NEVER; if :: nempty(ring) -> ring?held :: empty(ring) fi }
inline send_held() { if :: held != NEVER -> ring!held; held = NEVER :: else fi }
#else
#define DEV_LOCALS mtype kind = FREE; byte t = 0, arg = 0
inline hold_effect() { skip }
inline send_held() { skip }
#endif

inline dev_serve()
{
    do
#ifdef BUG_PUBLISH_FIRST
    :: msgq?kind, t, arg ->
        served = served_count + 1;
        atomic { serve_message(DEVICE, kind, t, arg); kind = FREE; t = 0; arg = 0 };
#else
    :: atomic { msgq?kind, t, arg -> serve_message(DEVICE, kind, t, arg); hold_effect(); kind = FREE; t = 0; arg = 0 };
        served = served_count;
        send_held();
#endif
        unpark_vcpu()
    :: empty(msgq) -> break
    od
}

/* Leaves the baton, and tells a vCPU that sleeps. */
inline dev_drop()
{
    baton = FREE;
#ifndef BUG_SILENT_DROP
    unpark_vcpu()
#endif
}

#ifdef THREAD
active proctype device()
{
    DEV_LOCALS;
    do
    :: ended -> break
    :: else ->
        if
        :: atomic { nempty(msgq) && baton == FREE -> baton = DEVICE }; dev_serve(); dev_drop()
        :: empty(msgq) || baton != FREE
        fi;
        if
        :: nempty(msgq)  /* dev_look found one */
        :: empty(msgq) ->
            dev_asleep = true;
            if
            :: atomic { empty(msgq) && !ended -> skip }; io_wake -> io_wake = false  /* host_io */
            :: nempty(msgq) || ended
            fi;
            dev_asleep = false
        fi
    od
}
#endif

#ifdef ADAPTIVE
active proctype device()
{
    DEV_LOCALS;
    byte stirs = 0;
    do
    :: ended || stirs == STIRS -> break
    :: stirs < STIRS ->
        stirs++;  /* host_io returns: something came in */
        if
        :: atomic { baton == FREE -> baton = DEVICE }; dev_serve(); dev_drop()
        :: baton != FREE
        fi
    od
}
#endif

/* The host: input and a request to stand, each at any time or never; the end when the guest is through. */
active proctype host()
{
#ifdef INPUT
    if
    :: atomic { arrived = true; io_wake = true }
    :: done
    fi;
#endif
#ifdef PAUSE
    if
    :: atomic { stop = true; io_wake = true }
    :: done
    fi;
#endif
    done;
#ifdef BUG_END_WITHOUT_WAKE
    ended = true
#else
    atomic { ended = true; io_wake = true }
#endif
}

/* --- the vCPU's thread (link.c) --- */

/* An operation of the vCPU; SETTLE only waits for what is out. WAITS: it needs the answer. */
#define WAITS (op == SYNC || op == STEP || op == IDLE || op == SETTLE)

inline limit_update()
{
    i = 0;
    do
    :: i < TSLOTS && pending[i] == 0 -> i++
    :: else -> break
    od;
    effect_next = (i < TSLOTS -> i : NEVER);
    limit = effect_next;
#ifdef BUG_APPLIED_LATE
    if :: effect_next != NEVER -> limit++ :: else fi;
#endif
#ifdef BUG_LIMIT_IGNORES_EFFECT
    limit = NEVER;
#endif
    min_to(limit, horizon_seen);
    min_to(limit, bound);
    min_to(limit, soft);
    i = 0
}

inline horizon_take_in()
{
    horizon_seen = horizon;
    bound = NEVER;
    soft = NEVER;
#ifdef THREAD
    if
    :: horizon == quantum_end && horizon != ahead_of && horizon > tick + 1 -> soft = horizon - 1
    :: else
    fi;
    if :: horizon != ahead_of -> ahead_of = NEVER :: else fi;
#endif
    limit_update()
}

inline effects_collect()
{
    do
    :: len(ring) > 0 -> ring?e; assert(e >= tick); pending[e]++
    :: else -> break
    od;
    e = 0
}

/* Each message is served and seen. The counts begin again: only their differences matter. */
inline nothing_out() { out = 0; out_seen = 0; served = 0; served_count = 0 }

/* `served` first, the ring after it. */
inline all_served()
{
#ifdef BUG_RING_FIRST
    d_step { effects_collect() };
    d_step {
        ok = (served == out);
#else
    seen = served;
    d_step {
        effects_collect();
        ok = (seen == out);
#endif
        seen = 0;
        if :: ok -> nothing_out(); horizon_take_in() :: else fi
    }
}

/* The vCPU holds the baton: it is the device, for the queue first. */
inline serve_here()
{
    atomic {
#ifndef BUG_NO_DRAIN
        do
        :: nempty(msgq) -> msgq?k, mt, marg; serve_message(VCPU, k, mt, marg)
        :: empty(msgq) -> break
        od;
        k = FREE; mt = 0; marg = 0;
        effects_collect();
        nothing_out();
#endif
        if
        :: sent
        :: !sent && (op == POST || op == SYNC) -> device_access(VCPU, tick, lat)
        :: !sent && op == STEP -> device_step(VCPU, tick)
        :: !sent && op == IDLE -> device_idle(tick, effect_next)
        :: !sent && op == AHEAD -> quantum_end = tick + QUANTUM; horizon_update()
        fi;
        horizon_take_in();
#ifndef INLINE
        baton = FREE;
#endif
    }
}

inline baton_take()
{
    atomic {
        if
        :: baton == FREE -> baton = VCPU; mine = true
        :: baton == DEVICE -> mine = false
        :: baton == VCPU -> mine = true  /* inline: for good */
        fi
    }
}

/* Mode thread sends first and takes the baton when the answer is late, or is in its own turns. */
inline baton_take_perhaps()
{
#ifdef THREAD
    if
    :: true -> baton_take()
    :: !announced -> mine = false
    fi
#else
    baton_take()
#endif
}

inline send()
{
    d_step {
        if
        :: op == POST || op == SYNC -> msgq!ACCESS, tick, lat
        :: op == STEP -> msgq!STEP, tick, 0
        :: op == AHEAD -> msgq!AHEAD, tick, 0
        :: op == IDLE -> msgq!IDLE, tick, effect_next
        fi;
        out++;
        sent = true
    };
#ifdef THREAD
    atomic { if :: dev_asleep -> dev_asleep = false; io_wake = true :: else fi }
#endif
}

inline posted()
{
    d_step {
#ifndef BUG_NO_BOUND
#ifdef BUG_BOUND_PLUS_1
        if :: op == POST -> min_to(bound, tick + lat + 1) :: else fi;
#else
        if :: op == POST -> min_to(bound, tick + lat) :: else fi;
#endif
#endif
        if :: op == AHEAD -> soft = NEVER :: else fi;
        limit_update()
    }
}

/* Announce the sleep, look once more, sleep: the caller's loop does the looking. */
inline park()
{
    if
    :: !announced ->
        atomic { vcpu_asleep = true; announced = true };
#ifdef BUG_LOST_WAKE
        !vcpu_asleep; announced = false
#endif
    :: announced -> atomic { !vcpu_asleep -> announced = false }
    fi
}

/* link_post, link_sync, step_at, link_idle and settle in one, for there is one copy of each part only:
 * the vCPU either gets the baton, or sends and, where it must, waits for `served` or the baton. */
inline operate()
{
    sent = (op == SETTLE);
    do
    :: true ->
        if :: sent -> all_served() :: else -> ok = false fi;
        if
        :: ok -> break
        :: else -> baton_take_perhaps()
        fi;
        if
        :: mine -> serve_here(); break
        :: !mine && !sent && nfull(msgq) ->
            send();
            if :: !WAITS -> posted(); break :: else fi
        :: !mine && !sent && full(msgq) -> all_served(); if :: !ok -> park() :: else fi
        :: !mine && sent -> park()
        fi
    od;
    skip;
    d_step { vcpu_asleep = false; announced = false; mine = false; ok = false; sent = false }
}

inline take_effects()
{
    d_step {
#ifdef BUG_APPLIED_LATE
        i = (tick > 0 -> tick - 1 : TSLOTS - 1);
#else
        i = tick;
#endif
        assert(pending[i] <= due[i]);
        due[i] = due[i] - pending[i];  /* applied here, at their own tick */
        pending[i] = 0;
        limit_update()
    }
}

/* link_arrive, one turn of it. */
inline arrive()
{
    if
    :: out_seen != out && (tick >= bound || tick >= horizon_seen) -> op = SETTLE
    :: else ->
        if
        :: tick >= horizon_seen -> op = STEP
        :: tick < horizon_seen && tick >= soft -> op = AHEAD; ahead_of = horizon_seen
        :: else -> op = NONE
        fi
    fi
}

#ifdef DIGEST
#define DIGEST_DUE (tick > 0 && tick % DIGEST == 0 && tick != digested)
/* Everything at this tick but its instruction is done, and settled. */
inline digest()
{
    assert(out_seen == out);
    assert(handled <= tick && next_event > tick);  /* A7: all events up to the digest are in it, none behind */
    assert(due[tick] == 0);
    digested = tick
}
/* The next tick at which a warp stops. */
#define DIGEST_NEXT ((tick / DIGEST + 1) * DIGEST)
#else
#define DIGEST_DUE false
#define DIGEST_NEXT NEVER
inline digest() { skip }
#endif

/* A step at a tick whose digest was taken would take input in behind it. */
#if defined(DIGEST) && !defined(BUG_INPUT_BEHIND_DIGEST)
#define MAY_IDLE (tick != digested)
#else
#define MAY_IDLE true
#endif

inline instruction()
{
    if
    :: op = NONE
    :: op = POST; lat = 1
    :: op = POST; lat = 2
#ifdef EARLY
    :: op = POST; lat = 3
#endif
    :: op = SYNC; lat = 1
    :: !woken && MAY_IDLE -> op = (out_seen != out -> SETTLE : IDLE)
    fi
}

/* The tick moves on from one to another: nothing that was due before may be left. */
inline leave_tick(to)
{
    i = tick;
    do
    :: i < to -> assert(due[i] == 0); i++  /* A5: each effect was applied at its own tick */
    :: else -> break
    od;
    i = 0;
    tick = to
}

/* A warp stops at digest points on the way; the link is not asked again before its end. */
inline warp()
{
    to = idle_end;
    min_to(to, DIGEST_NEXT);
    leave_tick(to);
    to = 0
}

#define IN_WARP (tick < TMAX && !poke && below && idle_end != NEVER && tick < idle_end)

/* After the operation: the tick moves on, by one or by a warp; or a poke is due. */
inline move_on()
{
    poke = false;
    if
    :: op == IDLE && answer == tick -> poke = !STOPPING; woken = poke  /* or it would halt for ever */
    :: op == IDLE && answer != tick -> idle_end = (answer < TMAX -> answer : TMAX); warp()
    :: op == SETTLE || op == STEP || op == AHEAD
    :: else -> if :: below -> leave_tick(tick + 1); woken = false :: else fi
    fi;
    op = NONE;
    lat = 0;
    answer = 0
}

#ifdef BUG_POKE_BEHIND_DIGEST
inline after_digest() { if :: tick == idle_end -> idle_end = NEVER; op = STEP; below = false :: else -> instruction() fi }
#else
inline after_digest() { instruction() }
#endif

active proctype vcpu()
{
    byte horizon_seen = 0, bound = NEVER, limit = 0, soft = NEVER, ahead_of = NEVER;
    byte out = 0, out_seen = 0;
    byte i = 0, e = 0, seen = 0, mt = 0, marg = 0, lat = 0, effect_next = NEVER;
    mtype k = FREE, op = NONE;
    byte idle_end = NEVER, to = 0;
    bool ok = false, mine = false, sent = false, announced = false, poke = false, below = false, woken = false;
    do
    :: tick >= TMAX && out_seen == out -> break
    :: else ->
#ifdef PAUSE
        if
        :: stop ->
#ifndef BUG_STAND_UNSETTLED
            atomic { op = SETTLE };
            if :: out_seen != out -> operate() :: else fi;
            op = NONE;
#endif
            standing = true;
            atomic { standing = false; stop = false }  /* link_resume */
        :: else
        fi;
#endif
        atomic {
            below = (tick < limit);
#ifndef BUG_POKE_BEHIND_DIGEST
            if :: tick == idle_end -> idle_end = NEVER; if :: below && tick < TMAX -> poke = true :: else fi :: else fi;
#endif
            if
            :: tick >= TMAX -> op = SETTLE
            :: tick < TMAX && poke -> op = STEP
            :: IN_WARP && !DIGEST_DUE -> below = false; warp()
            :: IN_WARP && DIGEST_DUE && out_seen == out -> digest(); below = false; warp()
            :: tick < TMAX && !poke && !below -> arrive()
            :: tick < TMAX && !poke && below && DIGEST_DUE && out_seen != out -> op = SETTLE
            :: tick < TMAX && !poke && below && !IN_WARP && DIGEST_DUE && out_seen == out -> digest(); after_digest()
            :: tick < TMAX && !poke && below && !IN_WARP && !DIGEST_DUE -> instruction()
            fi
        };
        if :: op != NONE -> operate() :: else fi;
        atomic {
            if :: !below || poke -> take_effects() :: else fi;
            move_on()
        }
    od;
    done = true
}

ltl horizon_grows { <> done }
