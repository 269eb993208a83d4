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
#define QUANTUM 3
#define NEVER 200
#define TSLOTS (TMAX + 8)

mtype = { ACCESS, STEP, AHEAD, IDLE, FREE, VCPU, DEVICE };

/* --- owned by the holder of the baton --- */
byte next_event = 1;   /* the device's timer */
byte handled = 0;      /* tick of the last access or event that was handled */
byte sched = 0, quantum_end = 0, horizon = 0, answer = 0;
byte served_count = 0;

/* --- owned by the vCPU --- */
byte tick = 0, horizon_seen = 0, bound = NEVER, limit = 0, soft = NEVER, ahead_of = NEVER;
byte out = 0, out_seen = 0;
byte pending[TSLOTS];  /* effects that apply at this tick */
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
        kind = FREE; t = 0; arg = 0
    :: empty(msgq) -> break
    od
}

#ifdef THREAD
active proctype device()
{
    DEV_LOCALS;
    do
    :: stop -> break
    :: else ->
        dev_serve();
#ifdef BUG_DEVICE_PARKS_BLINDLY
        dev_asleep = true;
        io_wake -> io_wake = false;
        dev_asleep = false
#else
        dev_asleep = true;
        if
        :: len(msgq) == 0 && !stop -> io_wake -> io_wake = false
        :: len(msgq) != 0 || stop
        fi;
        dev_asleep = false
#endif
    od;
    dev_serve();
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
    :: stop || stirs == 3 -> break
    :: else ->
        stirs++;  /* host_io returns: something came in */
        if
        :: atomic { baton == FREE -> baton = DEVICE };
            dev_serve();
            if :: len(msgq) != 0 -> dev_serve() :: true fi;
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
    stop = true;
    io_wake = true
}

/* --- the vCPU's thread (link.c) --- */

inline next_pending(result)
{
    d_step {
        i = 0;
        do
        :: i < TSLOTS && pending[i] == 0 -> i++
        :: else -> break
        od;
        result = (i < TSLOTS -> i : NEVER);
        i = 0
    }
}

inline limit_update()
{
    d_step {
        i = 0;
        do
        :: i < TSLOTS && pending[i] == 0 -> i++
        :: else -> break
        od;
        limit = (i < TSLOTS -> i : NEVER);
        min_to(limit, horizon_seen);
        min_to(limit, bound);
        min_to(limit, soft);
        i = 0
    }
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
        fi
#endif
    };
    limit_update()
}

inline collect()
{
    d_step {
        do
        :: ring?e -> assert(e >= tick); pending[e]++  /* A4: no effect in the vCPU's past */
        :: empty(ring) -> break
        od;
        e = 0
    }
}

inline all_served()
{
    seen = served;
    collect();
    d_step { ok = (seen == out); seen = 0; if :: ok -> out_seen = out :: else fi }
}

/* Takes the baton if it is free, and then serves what is in the queue before anything else. */
inline vcpu_take()
{
    if
    :: atomic { baton == FREE -> baton = VCPU; mine = true }
    :: baton == DEVICE -> mine = false
    :: baton == VCPU -> mine = true  /* inline: for good */
    fi;
#ifndef BUG_NO_DRAIN
    if
    :: mine && out_seen != out ->
        do
        :: msgq?k, mt, marg -> serve_message(VCPU, k, mt, marg); served = served_count
        :: empty(msgq) -> break
        od;
        skip;
        d_step { k = FREE; mt = 0; marg = 0 };
        all_served();
        assert(ok)
    :: else
    fi
#endif
}

inline vcpu_drop()
{
#ifndef INLINE
    baton = FREE;
#endif
    mine = false
}

inline caught_up()
{
    all_served();
    if
    :: ok
    :: else ->
        vcpu_take();
        if
        :: mine -> vcpu_drop(); ok = true
        :: else
        fi
    fi
}

inline wait_served()
{
    do
    :: true ->
        caught_up();
        if :: ok -> break :: else fi;
#ifdef BUG_LOST_WAKE
        vcpu_asleep = true;      /* announced after the look, and no second look */
#else
        vcpu_asleep = true;
        caught_up();
        if :: ok -> vcpu_asleep = false; break :: else fi;
#endif
        !vcpu_asleep
    od;
    skip;
    horizon_take_in()
}

inline settle()
{
    if :: out_seen != out -> wait_served() :: else fi
}

inline send(kind_, arg_)
{
    do
    :: full(msgq) -> settle()
    :: nfull(msgq) -> break
    od;
    atomic { msgq!kind_, tick, arg_; out++ };
#ifdef THREAD
    atomic { if :: dev_asleep -> dev_asleep = false; io_wake = true :: else fi }
#endif
}

inline access_vcpu(lat, waits)
{
    vcpu_take();
    if
    :: mine ->
        atomic { device_access(VCPU, tick, lat) };
        horizon_take_in();
        vcpu_drop()
    :: else ->
        send(ACCESS, lat);
        if
        :: waits -> wait_served()
        :: else ->
#ifndef BUG_NO_BOUND
            d_step { min_to(bound, tick + lat) };
#endif
            limit_update()
        fi
    fi
}

inline step_vcpu()
{
    vcpu_take();
    if
    :: mine -> atomic { device_step(VCPU, tick) }; horizon_take_in(); vcpu_drop()
    :: else -> send(STEP, 0); wait_served()
    fi
}

inline arrive()
{
    if :: tick >= bound -> settle() :: else fi;
    if
    :: tick >= horizon_seen ->
        settle();
        if :: tick >= horizon_seen -> step_vcpu() :: else fi
    :: tick < horizon_seen && tick >= soft ->
        ahead_of = horizon_seen;
        send(AHEAD, 0);
        soft = NEVER;
        limit_update()
    :: else
    fi
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
        i = 0
    };
    limit_update()
}

inline idle_vcpu()
{
    settle();
    next_pending(arg);
    vcpu_take();
    if
    :: mine -> d_step { device_idle(tick, arg) }; horizon_take_in(); vcpu_drop()
    :: else -> send(IDLE, arg); wait_served()
    fi;
    arg = 0;
    if
    :: answer == tick -> step_vcpu(); take_effects()  /* link_poke */
    :: else -> tick = (answer < TMAX -> answer : TMAX)
    fi
}

inline instruction()
{
    if
    :: skip
    :: access_vcpu(1, false)
    :: access_vcpu(2, false)
    :: access_vcpu(1, true)
    fi;
    tick++
}

active proctype vcpu()
{
    byte i = 0, e = 0, seen = 0, arg = 0, mt = 0, marg = 0;
    mtype k = FREE;
    bool ok = false, mine = false;
    do
    :: tick >= TMAX -> break
    :: tick < TMAX && tick >= limit -> arrive(); take_effects()
    :: tick < TMAX && tick < limit ->
        if
        :: instruction()
        :: idle_vcpu(); if :: tick < TMAX && tick < limit -> instruction() :: else fi
        fi
    od;
    settle();
    done = true
}

ltl horizon_grows { <> done }
