/* stubs.h - emits the shared code at the start of the cache. */
#ifndef TANDEM_TRANSLATOR_X64_STUBS_H
#define TANDEM_TRANSLATOR_X64_STUBS_H

#include <stdint.h>

#include "translator/guest_state.h"

struct x64;

/* Entry points shared by all blocks (stubs.c), in the writable view. */
struct stubs {
    uint8_t *enter, *exit, *exit_stored, *leave;
    uint8_t
        *promote[2]; /* user: the page of SCRATCH1 from the TLB's second way to the first; host CF: done */
    /* By user and size: an access of its own, looked up in both ways, then in C. Host CF: the TLBs hold what
     * they held before; SF: it faulted. */
    uint8_t *load[2][3], *load_rw[2][3], *store[2][3], *segment;
    uint8_t *touch, *fpu_enter, *fpu_leave, *fpu_refuse; /* fpu_leave: only where the FPU is on the host */
    uint8_t *cond, *carry, *get_flags, *get_eflags, *set_cf, *set_cf_of;
    uint8_t *jump_miss[2];
    uint8_t *same_segment[SEG_COUNT]; /* segload.h; NULL for CS and SS */
    uint8_t *load_aside[SEG_COUNT];   /* the same; FS and GS */
    uint8_t *string[2][2][3];         /* strings.h: by user, whether it copies, and size */
};

void stubs_emit(struct x64 *x);

#endif
