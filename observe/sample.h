/* sample.h - one sample of a profile: where the guest was at one tick.
 *
 * A sample at tick T is about the tick from T to T + 1: the instruction (or the iteration of a REP) that
 * retires in it, in the handler where an interrupt or exception comes at T, or the idling. Code is named by
 * linear addresses: EIP plus the base of CS. */
#ifndef TANDEM_OBSERVE_SAMPLE_H
#define TANDEM_OBSERVE_SAMPLE_H

#include "observe/context.h"

#define SAMPLE_FRAMES_MAX 128

enum sample_flag {
    SAMPLE_IDLE = 1 << 0,  /* the vCPU is halted */
    SAMPLE_REP = 1 << 1,   /* the tick is an iteration of a repeated string instruction */
    SAMPLE_WHOLE = 1 << 2, /* the stack was followed to its outermost frame */
    SAMPLE_FULL = 1 << 3,  /* the stack has more than SAMPLE_FRAMES_MAX frames; the innermost are here */
    SAMPLE_EXACT = 1 << 4, /* the stack is one of CALL and RET as they ran, not of frame pointers */
};

enum frame_flag {
    FRAME_INSN =
        1 << 0, /* the address is of the next instruction there, not a return address behind a CALL */
    FRAME_USER = 1 << 1, /* code of CPL 3 */
};

struct sample_frame {
    uint32_t lin_addr;
    uint8_t flags; /* enum frame_flag */
};

struct sample {
    uint64_t tick;
    uint8_t flags; /* enum sample_flag */
    uint8_t cpl;
    uint16_t cs;        /* selector */
    uint32_t cs_base;   /* EIP is frame[0].lin_addr minus this */
    uint32_t cr3;       /* whole register */
    struct entry entry; /* how the kernel was entered that runs; ENTRY_NONE in user code */
    uint32_t task;      /* what the guest calls the process: number of a row of its table; 0: not known */
    unsigned frames;    /* 1..SAMPLE_FRAMES_MAX */
    struct sample_frame frame[SAMPLE_FRAMES_MAX]; /* innermost first; frame[0] is where the guest is */
};

#endif
