/* master.h - guest memory as bus masters see it: a device's DMA.
 *
 * Only inside step(), at a tick at which the vCPU stands: the device side brackets each step with
 * mem_masters_begin() and _end(), and an access elsewhere is our bug (CHECK). Reads and writes go where the
 * chip set shows memory, without the A20 gate (it is the CPU's). What is written is dirty in every log, and
 * each vCPU drops code and page tables that it had from there before it goes on.
 *
 * Addresses come from the guest: any address and length is good. Bytes that lie in no memory read as ones,
 * and writes to them are dropped; the result says so. */
#ifndef TANDEM_MEM_MASTER_H
#define TANDEM_MEM_MASTER_H

#include "mem/physmem.h"

enum mem_result {
    MEM_OK,
    MEM_READ_ONLY, /* some of it is ROM, or shadow RAM that does not take writes: that part was dropped */
    MEM_NOT_THERE, /* some of it is no memory */
};

/* What a device is given: nothing else of physmem.h is for it. */
struct mem_master {
    struct physmem *pm;
};

enum mem_result mem_master_read(const struct mem_master *mm, phys_addr_t addr, void *to, size_t bytes);
enum mem_result mem_master_write(const struct mem_master *mm, phys_addr_t addr, const void *from,
                                 size_t bytes);

/* For whoever calls step(). */
void mem_masters_begin(struct physmem *pm);
void mem_masters_end(struct physmem *pm);

#endif
