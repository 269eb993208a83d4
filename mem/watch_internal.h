/* watch_internal.h - what the files of mem/ share about writes. */
#ifndef TANDEM_MEM_WATCH_INTERNAL_H
#define TANDEM_MEM_WATCH_INTERNAL_H

#include "mem/watch.h"

bool physmem_logs_init(struct physmem *pm);
void physmem_logs_free(struct physmem *pm);
/* Somebody other than a vCPU is about to write [at, +bytes), more than 0, and has written it. */
void physmem_mark_range(struct physmem *pm, mem_addr_t at, uint64_t bytes);
void physmem_changed(struct physmem *pm, mem_addr_t at, uint64_t bytes);
/* Tells the watchers. */
void physmem_remapped(struct physmem *pm);

#endif
