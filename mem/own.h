/* own.h - a memory of the machine as the chip sees it whose memory it is: a graphics card's.
 *
 * The chip is one of the CPU's side (hw/board.h: local), so it uses its memory on the vCPU's thread, in the
 * middle of the vCPU's access to it, and what it writes is seen by the next access. What is written is dirty
 * in every log; translated code and page tables there are dropped before the vCPU's next instruction.
 *
 * Threads: the vCPU's, or any while it stands. Errors: none; [at, +bytes) is in range, or it is our bug. */
#ifndef TANDEM_MEM_OWN_H
#define TANDEM_MEM_OWN_H

#include "mem/physmem.h"

struct mem_own {
    struct physmem *pm;
    mem_addr_t first;
    uint32_t bytes; /* 0: none is fitted */
};

static inline const uint8_t *mem_own_at(const struct mem_own *m, uint32_t at)
{
    return m->pm->host + m->first + at;
}

static inline void mem_own_put(const struct mem_own *m, uint32_t at, const void *from, size_t bytes)
{
    physmem_put(m->pm, m->first + at, from, bytes);
}

#endif
