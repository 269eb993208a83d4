/* link.pml - the protocol between the vCPU's thread and the holder of the baton (syncq/link.c).
 *
 * Choose one of -DTHREAD, -DADAPTIVE, -DINLINE, and -DTMAX=n (ticks that the guest runs).
 * Checked: no invalid end state (deadlock, lost wake-up); the assertions, numbered A1 to A5 below;
 * and <>done under weak fairness (the horizon always grows, the guest gets to its end).
 * The -DBUG_... variants each break one rule and must fail: see check.sh.
 *
 * The guest may do at each tick, as the checker chooses: nothing, a posted write with L = 1 or 2, a
 * synchronous access, or halt. The device has one timer, which accesses and its own events arm, move and
 * cancel, and raises effects. Stop comes at any time. NOT MODELLED: weak memory orders (the comments in
 * the code pair them; ThreadSanitizer looks at them), and events put off to t + L. */

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

/* --- owned by the vCPU --- */
byte pending[TSLOTS];  /* effects that apply at this tick; the rest is local to vcpu() */
bool done = false;

/* --- crossing --- */
#ifdef INLINE
mtype baton = VCPU;
#else
#ifdef THREAD
mtype baton = DEVICE;
#else
mtype baton = FREE;
#endif
#endif
byte served = 0;
chan msgq = [2] of { mtype, byte, byte };  /* kind, tick, L or next pending effect */
chan ring = [4] of { byte };               /* effects: their ticks */
bool vcpu_asleep = false, dev_asleep = false;  /* the parkers' words */
bool io_wake = false;                      /* ops->wake(): sticky */
bool stop = false;

inline min_to(var, other) { if :: other < var -> var = other :: else fi }

/* --- the work of the holder (link_serve.c); `me` is VCPU or DEVICE --- */

inline effect_at(me, at)
{
    if
    :: me == VCPU -> pending[at]++
    :: else -> ring!at
    fi
}

inline horizon_update()
{
    horizon = quantum_end;
    min_to(horizon, sched)
}

/* What the access does to the device is the checker's choice; what comes of it is not before t + L. */
inline device_access(me, t, lat)
{
    assert(t >= handled);       /* A1: no access after a later access or event */
    assert(next_event > t);     /* A2: every event up to the access came first */
    handled = t;
    if
    :: skip
    :: next_event = t + lat
    :: next_event = t + lat + 1
    :: next_event = NEVER
    :: effect_at(me, t + lat)
    fi;
    sched = next_event;
    horizon_update()
}

inline device_step(me, t)
{
    assert(t >= handled && t <= next_event);  /* A3: no event is late */
    handled = t;
    quantum_end = t + QUANTUM;
    if
    :: next_event == t ->
        effect_at(me, t);
        if
        :: next_event = t + 1
        :: next_event = t + 2
        :: next_event = NEVER
        fi
    :: else
    fi;
    sched = next_event;
    horizon_update()
}

inline device_idle(t, effect_tick)
{
    answer = sched;
    min_to(answer, effect_tick);
    if
    :: stop || answer == NEVER -> answer = t  /* the toy guest then goes on by itself */
    :: else
    fi;
    if :: answer > quantum_end -> quantum_end = answer + QUANTUM :: else fi;
    horizon_update()
}

inline serve_message(me, kind, t, arg)
{
    atomic { /* not d_step, which would take the first choice each time */
        if
        :: kind == ACCESS -> device_access(me, t, arg)
        :: kind == STEP -> device_step(me, t)
        :: kind == AHEAD -> quantum_end = t + QUANTUM; horizon_update()
        :: kind == IDLE -> device_idle(t, arg)
        fi;
        served_count++
    }
}

/* --- the device thread (link_device.c) --- */

inline unpark_vcpu() { vcpu_asleep = false }  /* the read-modify-write of park_claim */

#ifdef BUG_EFFECT_AFTER_HORIZON
#define DEV_LOCALS mtype kind = FREE; byte t = 0, arg = 0, held = NEVER
inline hold_effect() { d_step { held = NEVER; if :: nempty(ring) -> ring?held :: empty(ring) fi } }
inline send_held() { if :: held != NEVER -> ring!held :: else fi }
#else
#define DEV_LOCALS mtype kind = FREE; byte t = 0, arg = 0
inline hold_effect() { skip }
inline send_held() { skip }
#endif

inline dev_serve()
{
    do
    :: msgq?kind, t, arg ->
#ifdef BUG_PUBLISH_FIRST
        served = served_count + 1;
        serve_message(DEVICE, kind, t, arg);
#else
        serve_message(DEVICE, kind, t, arg);
        hold_effect();
        served = served_count;
        send_held();
#endif
        unpark_vcpu();
        d_step { kind = FREE; t = 0; arg = 0 }
    :: empty(msgq) -> break
    od
}

#ifdef THREAD
active proctype device()
{
    DEV_LOCALS;
    bool last = false;
    do
    :: true ->
        last = stop;  /* after a stop it serves once more, then leaves */
        dev_serve();
        if
        :: last -> break
        :: else ->
            dev_asleep = true;
#ifdef BUG_DEVICE_PARKS_BLINDLY
            io_wake -> io_wake = false;
#else
            if
            :: len(msgq) == 0 && !stop -> io_wake -> io_wake = false  /* host_io */
            :: len(msgq) != 0 || stop
            fi;
#endif
            dev_asleep = false
        fi
    od;
    baton = FREE;
    unpark_vcpu()
}
#endif

#ifdef ADAPTIVE
active proctype device()
{
    DEV_LOCALS;
    byte stirs = 0;
    do
    :: stop || stirs == STIRS -> break
    :: stirs < STIRS ->
        stirs++;  /* host_io returns: something came in */
        if
        :: atomic { baton == FREE -> baton = DEVICE };
            dev_serve();
            baton = FREE;
#ifndef BUG_SILENT_DROP
            unpark_vcpu()
#endif
        :: baton != FREE
        fi
    od
}
#endif

active proctype stopper()
{
    /* At any time, or only when the guest is through: a lost wake-up must not be healed by the stop. */
    if
    :: true
    :: true -> done
    fi;
    stop = true;
    io_wake = true
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
    min_to(limit, horizon_seen);
    min_to(limit, bound);
    min_to(limit, soft);
    i = 0
}

inline horizon_take_in()
{
    d_step {
        horizon_seen = horizon;
        bound = NEVER;
        soft = NEVER;
#ifdef THREAD
        if
        :: horizon == quantum_end && horizon != ahead_of && horizon > tick + 1 -> soft = horizon - 1
        :: else
        fi;
#endif
        limit_update()
    }
}

inline all_served()
{
    seen = served;
    d_step {
        do
        :: len(ring) > 0 -> ring?e; assert(e >= tick); pending[e]++  /* A4: no effect in the vCPU's past */
        :: else -> break
        od;
        e = 0;
        ok = (seen == out);
        seen = 0;
        if :: ok -> out_seen = out :: else fi
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

inline drain()
{
#ifdef BUG_NO_DRAIN
    skip
#else
    do
    :: msgq?k, mt, marg -> serve_message(VCPU, k, mt, marg); served = served_count
    :: empty(msgq) -> break
    od;
    skip;
    d_step { k = FREE; mt = 0; marg = 0 };
    all_served();
    assert(ok)
#endif
}

/* The vCPU holds the baton: it is the device. */
inline serve_here()
{
    atomic {
        if
        :: op == POST || op == SYNC -> device_access(VCPU, tick, lat)
        :: op == STEP -> device_step(VCPU, tick)
        :: op == IDLE -> device_idle(tick, effect_next)
        :: op == AHEAD || op == SETTLE
        fi
    }
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
        if :: op == POST -> min_to(bound, tick + lat) :: else fi;
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
        vcpu_asleep = true;
        announced = true
#ifdef BUG_LOST_WAKE
        ; !vcpu_asleep; announced = false
#endif
    :: announced -> !vcpu_asleep; announced = false
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
        :: ok -> horizon_take_in(); break
        :: else -> baton_take()
        fi;
        if
        :: mine ->
            if :: out_seen != out -> drain() :: else fi;
            if :: !sent -> serve_here() :: else fi;
            horizon_take_in();
#ifndef INLINE
            baton = FREE;
#endif
            break
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
        pending[tick] = 0;  /* applied here, at their own tick */
        i = 0;
        do
        :: i < tick -> assert(pending[i] == 0); i++  /* A5: none was passed over */
        :: else -> break
        od;
        limit_update()
    }
}

/* link_arrive, one turn of it. */
inline arrive()
{
    d_step {
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
}

inline instruction()
{
    if
    :: op = NONE
    :: op = POST; lat = 1
    :: op = POST; lat = 2
    :: op = SYNC; lat = 1
    :: !woken -> op = (out_seen != out -> SETTLE : IDLE)
    fi
}

/* After the operation: the tick moves on, by one or by a warp; or a poke is due. */
inline move_on()
{
    d_step {
        poke = false;
        if
        :: op == IDLE && answer == tick -> poke = true; woken = true  /* or it would halt for ever */
        :: op == IDLE && answer != tick -> tick = (answer < TMAX -> answer : TMAX)
        :: op == SETTLE || op == STEP || op == AHEAD
        :: else -> if :: below -> tick++; woken = false :: else fi
        fi;
        op = NONE;
        lat = 0;
        answer = 0
    }
}

active proctype vcpu()
{
    byte tick = 0, horizon_seen = 0, bound = NEVER, limit = 0, soft = NEVER, ahead_of = NEVER;
    byte out = 0, out_seen = 0;
    byte i = 0, e = 0, seen = 0, mt = 0, marg = 0, lat = 0, effect_next = NEVER;
    mtype k = FREE, op = NONE;
    bool ok = false, mine = false, sent = false, announced = false, poke = false, below = false, woken = false;
    do
    :: tick >= TMAX && out_seen == out -> break
    :: else ->
        atomic {
            below = (tick < limit);
            if
            :: tick >= TMAX -> op = SETTLE
            :: tick < TMAX && poke -> op = STEP
            :: tick < TMAX && !poke && !below -> arrive()
            :: tick < TMAX && !poke && below -> instruction()
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
