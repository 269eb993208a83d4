/* passage.h - entries of handlers and returns from them that go as one before. Threads: the vCPU's.
 *
 * What a gate, a code and a stack segment's descriptor make of a vCPU in flat protected mode is a function of
 * their bits, the selectors and the privilege alone. So it is kept, and where all of these are read again,
 * nothing needs to be checked once more. Nothing here is state, nothing is to be forgotten: a passage says
 * what would be done, whatever was done since. Functions that find none have changed nothing. */
#ifndef TANDEM_VCPU_ARCH_PASSAGE_H
#define TANDEM_VCPU_ARCH_PASSAGE_H

#include "vcpu/arch/protect.h"

/* One delivery (except.c). */
struct event {
    enum vcpu_event_kind kind;
    uint8_t vector;
    bool software; /* INT n, INT3, INTO: gate DPL is checked, EXT stays clear */
    bool has_error;
    uint32_t error;
    uint32_t eip;    /* to push */
    uint32_t eflags; /* to push */
};

/* Delivers the event as passage_entered() saw it done before; false: it is to be done in full. */
bool passage_enter(struct vcpu *v, const struct event *e);
/* Before the frame is pushed, all checked: what it is made from, with the inner stack's selector or 0. False:
 * that is not at hand. */
bool passage_made_from(struct vcpu *v, struct desc gate, struct desc code, uint16_t stack_sel,
                       struct passage *p);
/* The handler was entered, from this mode. */
void passage_entered(struct vcpu *v, const struct event *e, uint32_t from_mode, struct passage *p);

/* IRET at CPL 0 to CS, with SS where it leads to another CPL; NULL: none like it is known. */
const struct passage *passage_of_return(struct vcpu *v, uint16_t cs, uint16_t ss);
/* Such an IRET was done: `code` is its descriptor. */
void passage_returned(struct vcpu *v, uint32_t from_mode, uint16_t cs, struct desc code);
/* CS, SS, CPL and mode are the passage's. */
void passage_commit(struct vcpu *v, const struct passage *p);

#endif
