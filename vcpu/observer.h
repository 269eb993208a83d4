/* observer.h - what a vCPU tells those who watch it: profilers, accounts, timelines.
 *
 * An observer reads; it changes nothing that the guest could see, so that a run with one is the run without
 * it. Everything is told on the vCPU's thread, in the order of ticks, and the same in every mode and engine.
 * Where nobody watches, a hook costs a compare in functions that are C anyhow; emitted code has none.
 *
 * Ticks: an event's tick is the boundary at which it has happened: all instructions before it have retired,
 * the instruction that made it (INT n, IRET, MOV CR3) among them; deliveries take no tick. Several events may
 * have one tick. */
#ifndef TANDEM_VCPU_OBSERVER_H
#define TANDEM_VCPU_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

struct access; /* this and the next: syncq/access.h */
struct effect;
struct guest_state;

enum vcpu_event_kind {
    /* Into a handler; `from` is where it came from, the state is at the handler's first instruction. */
    VCPU_EVENT_EXCEPTION, /* a fault or trap of the CPU's own */
    VCPU_EVENT_INTERRUPT, /* from the interrupt controller */
    VCPU_EVENT_SOFTWARE,  /* INT n, INT3, INTO */
    VCPU_EVENT_SYSENTER,
    VCPU_EVENT_GATE, /* far CALL to a lower CPL */
    /* Out of one; the state is where it goes on. */
    VCPU_EVENT_IRET,
    VCPU_EVENT_SYSEXIT,
    VCPU_EVENT_RET_FAR, /* to a higher CPL */
    /* Others. */
    VCPU_EVENT_CR3,   /* CR3 was loaded, by MOV or by a task switch; maybe with the value that it had */
    VCPU_EVENT_IDLE,  /* halted from `tick` to `idle_end`; a long halt comes in pieces */
    VCPU_EVENT_RESET, /* the state is the one after it */
    VCPU_EVENT_KINDS
};

struct vcpu_event {
    enum vcpu_event_kind kind;
    uint64_t tick;
    uint64_t idle_end; /* VCPU_EVENT_IDLE */
    uint8_t vector;    /* EXCEPTION, INTERRUPT, SOFTWARE */
    uint8_t from_cpl;  /* of all that go into a handler or out of one */
    uint16_t from_cs;
    uint32_t from_eip; /* of all that go into a handler: where it is to go on */
};

/* `g` is the guest's state then, but for x87 and SSE; the arithmetic flags are symbolic (translator/cc.h). It
 * and the event are valid during the call. NULL functions are not called. */
struct vcpu_observer {
    void *ctx;
    /* First tick at which `sample` is called (a run that begins later, at a snapshot: at once); TICK_NEVER:
     * never. */
    uint64_t sample_first;
    /* At this tick, behind its effects and events and before its instruction; idle ticks too. Returns the
     * next tick, which is later, or TICK_NEVER. */
    uint64_t (*sample)(void *ctx, const struct guest_state *g, uint64_t tick);
    /* `sample` looks at no arithmetic flags and sets no marks: it may be called in the middle of a block,
     * which is cheaper. */
    bool sample_in_block;
    void (*event)(void *ctx, const struct guest_state *g, const struct vcpu_event *e);
    /* The guest is about to run the instruction at a marked address (vcpu_set_marks): once for each
     * execution, however often a fault or the run loop restarts it. Needed where there are marks. */
    void (*mark)(void *ctx, const struct guest_state *g, uint64_t tick, uint32_t lin_addr);
    /* Each access to a device, as its registers see it: a wide one may be several. Has the tick of its
     * instruction, which retires at the next. A read's value is what was read. `eip` in g is unspecified. */
    void (*access)(void *ctx, const struct guest_state *g, const struct access *a);
    /* An effect of the devices has been applied, at its tick. */
    void (*effect)(void *ctx, const struct effect *e);
};

#endif
