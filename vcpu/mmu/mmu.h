/* mmu.h - what mmu/ offers: guest memory by linear address, the softmmu TLB, address spaces. Threads: the
 * vCPU's. */
#ifndef TANDEM_VCPU_MMU_MMU_H
#define TANDEM_VCPU_MMU_MMU_H

#include <string.h>

#include "clockcore/fields.h"
#include "vcpu/vcpu_internal.h"

/* --- guest memory (mmu.c); linear addresses; true: done, false: exception recorded (#PF) or redo_single.
 * Widths 1, 2, 4, 8 bytes; may cross pages. `user`: access rights of CPL 3 or of the supervisor. --- */
static inline bool mem_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value);
bool mem_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t value);
/* Could [lin_addr, +bytes) be written? Faults as a write would; changes nothing but A and D bits. */
bool mem_probe_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user);
/* The same for a run of several operands, which are aligned each on its own account. */
bool mem_probe_write_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user);
/* Could it be read? Likewise. */
bool mem_probe_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user);
/* Does the current CPL have the access rights of CPL 3? */
static inline bool mem_is_user(const struct vcpu *v)
{
    return v->g.cpl == 3;
}
/* For the interpreter's slow path and read-modify-write (for_write: check write permission, then read). */
bool mem_read_slow(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool for_write, uint32_t *value);
bool mem_write_slow(struct vcpu *v, uint32_t lin_addr, unsigned bytes, uint32_t value);
/* For an x87 operand of compiled code: see x64_calls.touch. `copy`: 16 bytes. NULL: fault or redo_single. */
const uint8_t *mem_touch(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool write, uint8_t *copy);
/* Host pointer for up to `bytes` readable/writable within one page, or NULL when MMIO, watched, code,
 * clean or not mapped fast: then use mem_read/mem_write. For bulk string operations. */
uint8_t *mem_fast_read(struct vcpu *v, uint32_t lin_addr);
uint8_t *mem_fast_write(struct vcpu *v, uint32_t lin_addr);
/* The same for a read of `bytes`; NULL also where it crosses pages. */
uint8_t *mem_fast_read_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes);
/* The same for a write of `bytes` with these rights; NULL also where it crosses pages. */
uint8_t *mem_fast_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user);
/* Instruction fetch: host pointer to the page that holds lin_addr and its page of memory (mem_addr_t;
 * MEM_NOWHERE: none, reads as all ones); false: #PF recorded. */
bool mem_fetch_page(struct vcpu *v, uint32_t lin_addr, const uint8_t **host_page, uint32_t *phys_page);
bool mmu_init(struct vcpu *v); /* of a vCPU that is all zero; false: no memory */
void mmu_free(struct vcpu *v);
/* CR0.AM or EFLAGS.AC may have changed. */
void vcpu_alignment_changed(struct vcpu *v);
void tlb_flush(struct vcpu *v); /* all, globals too */
/* CR3 is loaded: all but globals. False: PAE is on, and the page directory pointers there have reserved bits
 * set; then nothing changes. */
bool tlb_switch(struct vcpu *v, uint32_t cr3);
/* Loads the page directory pointers that CR3 names, if paging with these CR0 and CR4 is PAE's; false:
 * likewise. */
bool pdptrs_load(struct vcpu *v, uint32_t cr3, uint32_t cr0, uint32_t cr4);
/* After a load of a state: do they have bits that no load would take? */
bool pdptrs_wrong(const struct guest_state *g);
void tlb_flush_page(struct vcpu *v, uint32_t lin_addr);
void tlb_flush_local(struct vcpu *v); /* all entries but those of global pages */
/* Set `number` gets an entry with a tag and physical page that it has had before. */
void tlb_restore(struct vcpu *v, unsigned number, uint32_t tag, uint32_t phys_page);
/* Who watches this page of memory has changed: adjust fast-path tags. */
void tlb_protect_page(struct vcpu *v, mem_addr_t page);

/* --- as state (engine/parts.c): see there --- */
void tlb_settle(struct vcpu *v);
/* tlb_loaded, spaces_loaded: a field with a value that no run gives it; NULL: none. */
const char *tlb_loaded(struct vcpu *v);
/* May an entry of set `number` have this tag, and lead to that page? */
bool tlb_backed(const struct vcpu *v, unsigned number, uint32_t tag, uint32_t phys_page);
void spaces_settle(struct spaces *s);
bool spaces_part(struct vcpu *v, unsigned i, struct state_part *out);
const char *spaces_loaded(struct vcpu *v);

/* --- address spaces (spaces.c) --- */
bool spaces_init(struct vcpu *v);
void spaces_free(struct vcpu *v);
/* The TLB is empty; paging or CR3 may have changed in any way. */
void spaces_forget(struct vcpu *v);
/* CR3 has been loaded: changes what the TLB holds. */
void spaces_switch(struct vcpu *v);
/* A walk that fills the TLB read the table entry there; MEM_NOWHERE: in no memory. From now on
 * MEM_WATCH_TABLE says so, until its page is no table any more. */
void spaces_walked(struct vcpu *v, mem_addr_t at);
/* [at, +bytes) in such a page is about to be written by the guest. */
void spaces_table_written(struct vcpu *v, mem_addr_t at, unsigned bytes);
/* Memory was changed by somebody else. */
void spaces_memory_changed(struct vcpu *v, const struct mem_range *r);

/* --- what it asks of the table of blocks (engine/tbcache.c) --- */
/* Is any valid block's code in [at, +bytes)? (bitmap of 64-byte chunks first). Pages with blocks have
 * MEM_WATCH_CODE. */
bool tbcache_overlaps(const struct vcpu *v, mem_addr_t at, unsigned bytes);
void tbcache_invalidate(struct vcpu *v, mem_addr_t at, uint64_t bytes);

/* --- mem_read, whose usual way is inline --- */

#define MEM_LOAD(BITS)                                                                                       \
    static inline uint64_t mem_load##BITS(const uint8_t *p)                                                  \
    {                                                                                                        \
        uint##BITS##_t x;                                                                                    \
        memcpy(&x, p, sizeof x);                                                                             \
        return x;                                                                                            \
    }
MEM_LOAD(16)
MEM_LOAD(32)
MEM_LOAD(64)

/* Fixed sizes, words first: a memcpy of any size is a call, a switch a jump that the host must predict, and a
 * narrow value put into a wide variable by memcpy goes through memory, where it stalls. */
static inline uint64_t mem_get(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    if (bytes == 4)
        return mem_load32(p);
    if (bytes == 8)
        return mem_load64(p);
    if (bytes == 1)
        return *p;
    if (bytes == 2)
        return mem_load16(p);
    memcpy(&value, p, bytes);
    return value;
}

bool mem_read_parts(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value);

static inline bool mem_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value)
{
    const uint32_t page_mask = ~(uint32_t)(PAGE_BYTES - 1);
    const struct tlb_entry *e = &v->tlb[0][TLB_DATA + user][lin_addr >> PAGE_BITS & (TLB_ENTRIES - 1)];
    if (e->tag_r != ((lin_addr + bytes - 1) & page_mask))
        return mem_read_parts(v, lin_addr, bytes, user, value);
    *value = mem_get((const uint8_t *)(e->addend + lin_addr), bytes);
    return true;
}

#endif
