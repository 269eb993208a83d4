/* mmu.c - page walk, softmmu TLB fills and guest memory access by linear address.
 *
 * 4 KiB and 4 MiB pages (SDM 3A 4.3), accessed and dirty bits, write protection, user rights, #PF
 * with exact error code and CR2. The walk sets A (and D for a write) only when the access is
 * allowed. With paging off, linear is physical.
 *
 * Every access checks all of its pages before it changes anything. Accesses whose order or tick
 * matters (MMIO, watched data, writes into translated code, the walk's own ones too) ask for a block of one
 * instruction first (redo_single); the engine's fast path never sees them, because such pages have no fast
 * tag.
 *
 * Guest memory is written in three ways, and no other: store_watched(), which tells everybody who watches the
 * page; the fast path, in pages that nobody watches (page_watchers() == 0 is what gives a page its fast tag);
 * and from outside, while the vCPU stands (vcpu_ram_changed).
 *
 * Page tables outside RAM read as all ones, as unmapped memory does; updates to them are lost.
 * NOT MODELLED: A20 gate, PAE, PSE-36, PAT, memory types, alignment checks (AC). */
#include "vcpu/mmu/tlb.h"

#include <string.h>

enum { PTE_P = 1, PTE_RW = 2, PTE_US = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100 };
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8 };
/* SDM 3A 4.3: without PSE-36, bits 13..21 of a 4 MiB PDE are reserved. */
#define PDE_LARGE_RESERVED 0x003fe000u

struct access_rights {
    bool write, user, fetch;
};

struct walk {
    uint32_t phys_page;
    uint32_t pde_addr, pte_addr; /* where it came from; ~0u: nowhere */
    bool writable;               /* at this privilege, with D already set */
    bool global, large;
};

static bool in_ram(const struct vcpu *v, uint32_t phys_page)
{
    return phys_page < v->cfg.ram->bytes;
}

/* --- who watches a page of RAM, and stores --- */

enum {
    WATCH_CODE = 1,  /* translated code: blocks are dropped */
    WATCH_TABLE = 2, /* a page table in use: what CR3 loads put back is dropped */
    WATCH_CLEAN = 4, /* the dirty log: the page gets its bit */
};

static inline unsigned page_watchers(const struct vcpu *v, uint32_t phys_page)
{
    return (tbcache_page_has_code(v, phys_page) ? WATCH_CODE : 0) |
           (spaces_is_table(v, phys_page) ? WATCH_TABLE : 0) |
           (ram_is_dirty(v->cfg.ram, phys_page) ? 0 : WATCH_CLEAN);
}

/* Must the store be an instruction of its own, since the running block may be what it changes? */
static bool store_is_into_code(const struct vcpu *v, uint32_t phys_addr, unsigned bytes)
{
    return tbcache_page_has_code(v, PAGE_OF(phys_addr)) && tbcache_overlaps(v, phys_addr, bytes);
}

/* Fixed sizes: see host_get. */
static inline void host_put(uint8_t *p, unsigned bytes, uint64_t value)
{
    switch (bytes) {
    case 1:
        *p = (uint8_t)value;
        return;
    case 2:
        memcpy(p, &value, 2);
        return;
    case 4:
        memcpy(p, &value, 4);
        return;
    case 8:
        memcpy(p, &value, 8);
        return;
    default:
        memcpy(p, &value, bytes);
        return;
    }
}

/* Within one page of RAM. Guest stores to an entry of a page table may take translations back; the walk's own
 * ones (`by_walk`) set bits that nothing cached depends on. */
static void store_watched(struct vcpu *v, uint32_t phys_addr, unsigned bytes, uint64_t value, bool by_walk)
{
    unsigned watchers = page_watchers(v, PAGE_OF(phys_addr));
    if ((watchers & WATCH_TABLE) && !by_walk)
        spaces_table_written(v, phys_addr, bytes);
    host_put(v->cfg.ram->host + phys_addr, bytes, value);
    if (watchers & WATCH_CODE)
        tbcache_invalidate(v, phys_addr, bytes);
    if (watchers & WATCH_CLEAN)
        ram_set_dirty(v->cfg.ram, phys_addr);
}

/* --- page walk --- */

static uint32_t table_read(const struct vcpu *v, uint32_t phys_addr)
{
    uint32_t entry = ~0u;
    if (in_ram(v, phys_addr))
        memcpy(&entry, v->cfg.ram->host + phys_addr, sizeof entry);
    return entry;
}

/* May the walk set bits in the entry? If it is also code of a running block, the instruction must run alone.
 * A fetch is between two blocks. */
static bool table_may_set(struct vcpu *v, struct access_rights want, uint32_t phys_addr, uint32_t bits)
{
    if (want.fetch || v->in_single || (table_read(v, phys_addr) & bits) == bits || !in_ram(v, phys_addr) ||
        !store_is_into_code(v, phys_addr, 4))
        return true;
    v->redo_single = true;
    return false;
}

static void table_set_bits(struct vcpu *v, uint32_t phys_addr, uint32_t bits)
{
    uint32_t entry = table_read(v, phys_addr), updated = entry | bits;
    if (updated != entry && in_ram(v, phys_addr))
        store_watched(v, phys_addr, sizeof updated, updated, true);
}

static bool page_fault(struct vcpu *v, uint32_t lin_addr, struct access_rights want, uint32_t code)
{
    v->g.cr2 = lin_addr;
    vcpu_raise_error(v, EXC_PF, code | (want.write ? PF_W : 0) | (want.user ? PF_U : 0));
    return false;
}

static bool may_write(const struct vcpu *v, bool user, uint32_t rights)
{
    return (rights & PTE_RW) || (!user && !(v->g.cr0 & CR0_WP));
}

static bool allowed(const struct vcpu *v, struct access_rights want, uint32_t rights)
{
    if (want.user && !(rights & PTE_US))
        return false;
    return !want.write || may_write(v, want.user, rights);
}

static bool walk_large(struct vcpu *v, uint32_t lin_addr, struct access_rights want, uint32_t pde_addr,
                       uint32_t pde, struct walk *w)
{
    if (pde & PDE_LARGE_RESERVED)
        return page_fault(v, lin_addr, want, PF_P | PF_RSVD);
    if (!allowed(v, want, pde))
        return page_fault(v, lin_addr, want, PF_P);
    uint32_t bits = PTE_A | (want.write ? PTE_D : 0);
    if (!table_may_set(v, want, pde_addr, bits))
        return false;
    table_set_bits(v, pde_addr, bits);
    w->phys_page = (pde & 0xffc00000u) | (lin_addr & 0x003ff000u);
    w->writable = may_write(v, want.user, pde) && ((pde | bits) & PTE_D);
    w->pde_addr = pde_addr;
    w->pte_addr = ~0u;
    w->global = (pde & PTE_G) && (v->g.cr4 & CR4_PGE);
    w->large = true;
    return true;
}

static bool walk_small(struct vcpu *v, uint32_t lin_addr, struct access_rights want, uint32_t pde_addr,
                       uint32_t pde, struct walk *w)
{
    uint32_t pte_addr = PAGE_OF(pde) + (lin_addr >> PAGE_BITS & 0x3ff) * 4;
    uint32_t pte = table_read(v, pte_addr);
    if (!(pte & PTE_P))
        return page_fault(v, lin_addr, want, 0);
    if (!allowed(v, want, pde & pte))
        return page_fault(v, lin_addr, want, PF_P);
    uint32_t bits = PTE_A | (want.write ? PTE_D : 0);
    if (!table_may_set(v, want, pde_addr, PTE_A) || !table_may_set(v, want, pte_addr, bits))
        return false;
    table_set_bits(v, pde_addr, PTE_A);
    table_set_bits(v, pte_addr, bits);
    w->phys_page = PAGE_OF(pte);
    w->writable = may_write(v, want.user, pde & pte) && ((pte | bits) & PTE_D);
    w->pde_addr = pde_addr;
    w->pte_addr = pte_addr;
    w->global = (pte & PTE_G) && (v->g.cr4 & CR4_PGE);
    w->large = false;
    return true;
}

static bool page_walk(struct vcpu *v, uint32_t lin_addr, struct access_rights want, struct walk *w)
{
    if (!(v->g.cr0 & CR0_PG)) {
        *w =
            (struct walk){.phys_page = PAGE_OF(lin_addr), .pde_addr = ~0u, .pte_addr = ~0u, .writable = true};
        return true;
    }
    uint32_t pde_addr = PAGE_OF(v->g.cr3) + (lin_addr >> 22) * 4;
    uint32_t pde = table_read(v, pde_addr);
    if (!(pde & PTE_P))
        return page_fault(v, lin_addr, want, 0);
    if ((pde & PTE_PS) && (v->g.cr4 & CR4_PSE))
        return walk_large(v, lin_addr, want, pde_addr, pde, w);
    return walk_small(v, lin_addr, want, pde_addr, pde, w);
}

/* --- data breakpoints --- */

struct watch {
    uint32_t first, last; /* linear bytes */
    bool reads;           /* data reads trap as well as writes */
};

/* Data breakpoint n of DR7, when it is enabled and well-formed. SDM 3B 17.2.4. */
static bool watch_get(const struct vcpu *v, unsigned n, struct watch *w)
{
    uint32_t dr7 = v->g.dr[7];
    unsigned type = dr7 >> (16 + 4 * n) & 3, len = dr7 >> (18 + 4 * n) & 3;
    if (!(dr7 >> (2 * n) & 3) || (type & 1) == 0)
        return false;
    w->first = v->g.dr[n] & ~len; /* len encodes 1, 2, (8), 4 bytes as 0, 1, 2, 3 */
    w->last = w->first + len;
    w->reads = type == 3;
    return true;
}

static bool page_watched(const struct vcpu *v, uint32_t lin_page)
{
    struct watch w;
    if (!v->dr_active)
        return false;
    for (unsigned n = 0; n < 4; n++)
        if (watch_get(v, n, &w) && (PAGE_OF(w.first) == lin_page || PAGE_OF(w.last) == lin_page))
            return true;
    return false;
}

static void watch_hit(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool write)
{
    struct watch w;
    for (unsigned n = 0; n < 4; n++)
        if (watch_get(v, n, &w) && (write || w.reads) && lin_addr <= w.last &&
            lin_addr + bytes - 1 >= w.first)
            v->db_pending |= 1u << n;
}

/* --- TLB --- */

/* The fast-path tags that follow from what the page is now. */
static void tlb_retag(const struct vcpu *v, struct tlb_entry *e)
{
    e->tag &= ~(uint32_t)TLB_WATCHED;
    if (page_watched(v, PAGE_OF(e->tag)))
        e->tag |= TLB_WATCHED;
    bool fast = !(e->tag & (TLB_MMIO | TLB_WATCHED));
    bool fast_write = fast && (e->tag & TLB_WRITABLE) && page_watchers(v, e->phys_page) == 0;
    e->tag_r = fast ? PAGE_OF(e->tag) : TLB_NONE;
    e->tag_w = fast_write ? PAGE_OF(e->tag) : TLB_NONE;
}

static uint16_t tlb_number(const struct vcpu *v, const struct tlb_entry *e)
{
    return (uint16_t)(((uintptr_t)e - (uintptr_t)v->tlb) / sizeof *e);
}

/* What the entry's tag says about the lists that it is in, now that it gets a local or a global page. */
static uint32_t tlb_list(struct vcpu *v, const struct tlb_entry *e, bool global)
{
    uint32_t bit = global ? TLB_LISTED_GLOBAL : TLB_LISTED;
    if (e->tag & bit)
        ;
    else if (global)
        v->tlb_global[v->tlb_global_count++] = tlb_number(v, e);
    else
        v->tlb_local[v->tlb_local_count++] = tlb_number(v, e);
    return (e->tag & (TLB_LISTED | TLB_LISTED_GLOBAL)) | bit;
}

static void tlb_put(struct vcpu *v, struct tlb_entry *e, uint32_t tag, uint32_t phys_page)
{
    e->tag = tag;
    e->phys_page = phys_page;
    e->addend = tag & TLB_MMIO ? 0 : (uintptr_t)v->cfg.ram->host + phys_page - PAGE_OF(tag);
    tlb_retag(v, e);
}

/* What CR3 loads put back must come from watched tables. */
static void local_walk(struct vcpu *v, const struct walk *w)
{
    if (w->pde_addr != ~0u)
        spaces_walked(v, w->pde_addr);
    if (w->pte_addr != ~0u)
        spaces_walked(v, w->pte_addr);
}

static void tlb_set(struct vcpu *v, struct tlb_entry *e, uint32_t lin_addr, const struct walk *w)
{
    bool ram = in_ram(v, w->phys_page);
    if (!w->global)
        local_walk(v, w);
    uint32_t tag = PAGE_OF(lin_addr) | TLB_VALID | (w->writable ? TLB_WRITABLE : 0) | (ram ? 0 : TLB_MMIO) |
                   (w->global ? TLB_GLOBAL : 0) | (w->large ? TLB_LARGE : 0);
    if (w->large)
        v->tlb_large[lin_addr >> 27] |= 1u << (lin_addr >> 22 & 31);
    tlb_put(v, e, tag | tlb_list(v, e, w->global), w->phys_page);
    v->stats.tlb_fills++;
}

static struct tlb_entry *tlb_get(struct vcpu *v, uint32_t lin_addr, struct access_rights want)
{
    struct tlb_entry *e = tlb_slot(v, TLB_DATA + want.user, lin_addr);
    if (tlb_holds(e, lin_addr) && (!want.write || (e->tag & TLB_WRITABLE)))
        return e;
    struct walk w;
    if (!page_walk(v, lin_addr, want, &w))
        return NULL;
    tlb_set(v, e, lin_addr, &w);
    return e;
}

/* A listed entry stays listed. */
static void tlb_clear(struct tlb_entry *e)
{
    e->tag_r = e->tag_w = TLB_NONE;
    e->tag &= TLB_LISTED | TLB_LISTED_GLOBAL;
}

void tlb_init(struct vcpu *v)
{
    for (unsigned i = 0; i < TLB_COUNT * TLB_ENTRIES; i++)
        tlb_clear(tlb_numbered(v, i));
}

static void tlb_flush_global(struct vcpu *v)
{
    for (unsigned i = 0; i < v->tlb_global_count; i++) {
        struct tlb_entry *e = tlb_numbered(v, v->tlb_global[i]);
        tlb_clear(e);
        e->tag = 0;
    }
    v->tlb_global_count = 0;
}

/* Cost: by what it holds, not by its size. */
void tlb_flush(struct vcpu *v)
{
    tlb_flush_local(v);
    tlb_flush_global(v);
    memset(v->tlb_large, 0, sizeof v->tlb_large);
    v->fetch_tag = TLB_NONE;
    v->stats.tlb_flushes++;
    spaces_forget(v);
}

void tlb_flush_local(struct vcpu *v)
{
    for (unsigned i = 0; i < v->tlb_local_count; i++) {
        struct tlb_entry *e = tlb_numbered(v, v->tlb_local[i]);
        e->tag &= ~(uint32_t)TLB_LISTED;
        if (!(e->tag & TLB_GLOBAL))
            tlb_clear(e);
    }
    v->tlb_local_count = 0;
}

void tlb_switch(struct vcpu *v, uint32_t cr3)
{
    v->g.cr3 = cr3;
    v->fetch_tag = TLB_NONE;
    spaces_switch(v, cr3);
    v->stats.tlb_flushes++;
}

void tlb_restore(struct vcpu *v, unsigned number, uint32_t tag, uint32_t phys_page)
{
    struct tlb_entry *e = tlb_numbered(v, number);
    tlb_put(v, e, (tag & ~(uint32_t)TLB_LISTED_GLOBAL) | tlb_list(v, e, false), phys_page);
}

static void flush_large(struct vcpu *v, const uint16_t *numbers, unsigned n, uint32_t lin_addr)
{
    for (unsigned i = 0; i < n; i++) {
        struct tlb_entry *e = tlb_numbered(v, numbers[i]);
        if ((e->tag & TLB_LARGE) && (e->tag ^ lin_addr) >> 22 == 0)
            tlb_clear(e);
    }
}

/* SDM 3A 4.10.4.1: all of a 4 MiB page goes. */
void tlb_flush_page(struct vcpu *v, uint32_t lin_addr)
{
    if (v->tlb_large[lin_addr >> 27] >> (lin_addr >> 22 & 31) & 1) {
        flush_large(v, v->tlb_local, v->tlb_local_count, lin_addr);
        flush_large(v, v->tlb_global, v->tlb_global_count, lin_addr);
    }
    for (unsigned which = 0; which < TLB_COUNT; which++) {
        struct tlb_entry *e = tlb_slot(v, which, lin_addr);
        if (tlb_holds(e, lin_addr))
            tlb_clear(e);
    }
    v->fetch_tag = TLB_NONE;
}

#define ANY_PAGE 1u /* no page address */
static void tlb_retag_where(struct vcpu *v, const uint16_t *numbers, unsigned n, uint32_t phys_page)
{
    for (unsigned i = 0; i < n; i++) {
        struct tlb_entry *e = tlb_numbered(v, numbers[i]);
        if ((e->tag & TLB_VALID) && (phys_page == ANY_PAGE || e->phys_page == phys_page))
            tlb_retag(v, e);
    }
}

void tlb_protect_phys_page(struct vcpu *v, uint32_t phys_page)
{
    tlb_retag_where(v, v->tlb_local, v->tlb_local_count, phys_page);
    tlb_retag_where(v, v->tlb_global, v->tlb_global_count, phys_page);
}

void vcpu_dirty_rearm(struct vcpu *v)
{
    tlb_protect_phys_page(v, ANY_PAGE);
}

/* --- access in one or two pages --- */

struct part {
    struct tlb_entry *e;
    uint32_t lin_addr;
    unsigned bytes;
};

static bool must_be_single(const struct vcpu *v, const struct part *p, bool write)
{
    if (p->e->tag & (TLB_MMIO | TLB_WATCHED))
        return true;
    return write && store_is_into_code(v, p->e->phys_page | (p->lin_addr & PAGE_OFFSET_MASK), p->bytes);
}

static bool part_get(struct vcpu *v, struct part *p, struct access_rights want)
{
    p->e = tlb_get(v, p->lin_addr, want);
    if (!p->e)
        return false;
    if (!v->in_single && must_be_single(v, p, want.write)) {
        v->redo_single = true;
        return false;
    }
    return true;
}

/* The pages of [lin_addr, +bytes): how many parts (1 or 2), 0: fault or redo. */
static unsigned parts_get(struct vcpu *v, uint32_t lin_addr, unsigned bytes, struct access_rights want,
                          struct part part[2])
{
    unsigned room = PAGE_BYTES - (lin_addr & PAGE_OFFSET_MASK);
    unsigned first = bytes < room ? bytes : room;
    part[0] = (struct part){.lin_addr = lin_addr, .bytes = first};
    if (!part_get(v, &part[0], want))
        return 0;
    if (first == bytes)
        return 1;
    part[1] = (struct part){.lin_addr = lin_addr + first, .bytes = bytes - first};
    return part_get(v, &part[1], want) ? 2 : 0;
}

static unsigned mmio_piece(unsigned bytes)
{
    return bytes >= 4 ? 4 : bytes == 2 ? 2 : 1;
}

static uint64_t mmio_read_part(struct vcpu *v, uint32_t phys_addr, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned done = 0; done < bytes;) {
        unsigned n = mmio_piece(bytes - done);
        value |= (uint64_t)io_mmio_read(v, phys_addr + done, n) << (8 * done);
        done += n;
    }
    return value;
}

static void mmio_write_part(struct vcpu *v, uint32_t phys_addr, unsigned bytes, uint64_t value)
{
    for (unsigned done = 0; done < bytes;) {
        unsigned n = mmio_piece(bytes - done);
        io_mmio_write(v, phys_addr + done, n, (uint32_t)(value >> (8 * done)));
        done += n;
    }
}

static uint32_t part_phys(const struct part *p)
{
    return p->e->phys_page | (p->lin_addr & PAGE_OFFSET_MASK);
}

#define HOST_LOAD(BITS)                                                                                      \
    static inline uint64_t host_load##BITS(const uint8_t *p)                                                 \
    {                                                                                                        \
        uint##BITS##_t x;                                                                                    \
        memcpy(&x, p, sizeof x);                                                                             \
        return x;                                                                                            \
    }
HOST_LOAD(16)
HOST_LOAD(32)
HOST_LOAD(64)

/* Fixed sizes, words first: a memcpy of any size is a call, a switch a jump that the host must predict, and a
 * narrow value put into a wide variable by memcpy goes through memory, where it stalls. */
static inline uint64_t host_get(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    if (bytes == 4)
        return host_load32(p);
    if (bytes == 8)
        return host_load64(p);
    if (bytes == 1)
        return *p;
    if (bytes == 2)
        return host_load16(p);
    memcpy(&value, p, bytes);
    return value;
}

static uint64_t part_read(struct vcpu *v, const struct part *p)
{
    if (p->e->tag & TLB_WATCHED)
        watch_hit(v, p->lin_addr, p->bytes, false);
    if (p->e->tag & TLB_MMIO)
        return mmio_read_part(v, part_phys(p), p->bytes);
    return host_get(tlb_host(p->e, p->lin_addr), p->bytes);
}

/* Before the first store to a clean page, so that later ones may be fast. */
static void part_make_dirty(struct vcpu *v, const struct part *p)
{
    if (p->e->tag & TLB_MMIO)
        return;
    ram_set_dirty(v->cfg.ram, p->e->phys_page);
    tlb_retag(v, p->e);
}

static void part_write(struct vcpu *v, const struct part *p, uint64_t value)
{
    if (p->e->tag & TLB_WATCHED)
        watch_hit(v, p->lin_addr, p->bytes, true);
    if (p->e->tag & TLB_MMIO) {
        mmio_write_part(v, part_phys(p), p->bytes, value);
        return;
    }
    store_watched(v, part_phys(p), p->bytes, value, false);
    tlb_retag(v, p->e);
}

bool mem_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_DATA + user, lin_addr);
    if (e->tag_r == PAGE_OF(lin_addr + bytes - 1)) {
        *value = host_get(tlb_host(e, lin_addr), bytes);
        return true;
    }
    struct part part[2];
    unsigned n = parts_get(v, lin_addr, bytes, (struct access_rights){.user = user}, part);
    if (n == 0)
        return false;
    *value = part_read(v, &part[0]);
    if (n == 2)
        *value |= part_read(v, &part[1]) << (8 * part[0].bytes);
    return true;
}

bool mem_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t value)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_DATA + user, lin_addr);
    if (e->tag_w == PAGE_OF(lin_addr + bytes - 1)) {
        host_put(tlb_host(e, lin_addr), bytes, value);
        return true;
    }
    struct part part[2];
    unsigned n = parts_get(v, lin_addr, bytes, (struct access_rights){.write = true, .user = user}, part);
    if (n == 0)
        return false;
    part_write(v, &part[0], value);
    if (n == 2)
        part_write(v, &part[1], value >> (8 * part[0].bytes));
    return true;
}

bool mem_probe_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    struct part part[2];
    return parts_get(v, lin_addr, bytes, (struct access_rights){.write = true, .user = user}, part) != 0;
}

bool mem_probe_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    struct part part[2];
    return parts_get(v, lin_addr, bytes, (struct access_rights){.user = user}, part) != 0;
}

bool mem_read_slow(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool for_write, uint32_t *value)
{
    struct part part[2];
    struct access_rights want = {.write = for_write, .user = mem_is_user(v)};
    unsigned n = parts_get(v, lin_addr, bytes, want, part);
    if (n == 0)
        return false;
    *value = (uint32_t)part_read(v, &part[0]);
    if (n == 2)
        *value |= (uint32_t)part_read(v, &part[1]) << (8 * part[0].bytes);
    for (unsigned i = 0; for_write && i < n; i++)
        part_make_dirty(v, &part[i]);
    return true;
}

bool mem_write_slow(struct vcpu *v, uint32_t lin_addr, unsigned bytes, uint32_t value)
{
    return mem_write(v, lin_addr, bytes, mem_is_user(v), value);
}

/* As the helper would access it: the same pages in the same order, and what redo_single is for stays so. */
static const uint8_t *touch_crossing(const struct part part[2], uint8_t *copy)
{
    memcpy(copy, tlb_host(part[0].e, part[0].lin_addr), part[0].bytes);
    memcpy(copy + part[0].bytes, tlb_host(part[1].e, part[1].lin_addr), part[1].bytes);
    return copy;
}

const uint8_t *mem_touch(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool write, uint8_t *copy)
{
    struct part part[2];
    CHECK(!v->in_single);
    unsigned n =
        parts_get(v, lin_addr, bytes, (struct access_rights){.write = write, .user = mem_is_user(v)}, part);
    if (n == 0)
        return NULL;
    if (write && (n == 2 || (page_watchers(v, part[0].e->phys_page) & WATCH_TABLE))) {
        v->redo_single = true; /* the helper stores, by store_watched() */
        return NULL;
    }
    if (n == 2)
        return touch_crossing(part, copy);
    if (write)
        part_make_dirty(v, &part[0]);
    return tlb_host(part[0].e, lin_addr);
}

uint8_t *mem_fast_read(struct vcpu *v, uint32_t lin_addr)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_DATA + mem_is_user(v), lin_addr);
    return e->tag_r == PAGE_OF(lin_addr) ? tlb_host(e, lin_addr) : NULL;
}

uint8_t *mem_fast_write(struct vcpu *v, uint32_t lin_addr)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_DATA + mem_is_user(v), lin_addr);
    return e->tag_w == PAGE_OF(lin_addr) ? tlb_host(e, lin_addr) : NULL;
}

uint8_t *mem_fast_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_DATA + user, lin_addr);
    bool fast = e->tag_w == PAGE_OF(lin_addr) && e->tag_w == PAGE_OF(lin_addr + bytes - 1);
    return fast ? tlb_host(e, lin_addr) : NULL;
}

/* --- instruction fetch --- */

static const struct tlb_entry *itlb_get(struct vcpu *v, uint32_t lin_addr)
{
    struct access_rights want = {.user = mem_is_user(v), .fetch = true};
    struct tlb_entry *e = tlb_slot(v, TLB_FETCH + want.user, lin_addr);
    if (tlb_holds(e, lin_addr))
        return e;
    struct walk w;
    if (!page_walk(v, lin_addr, want, &w))
        return NULL;
    tlb_set(v, e, lin_addr, &w);
    return e;
}

/* Outside RAM, code reads as unmapped memory does. */
static const uint8_t *unmapped_code(void)
{
    static const uint8_t ones[PAGE_BYTES] = {[0 ... PAGE_BYTES - 1] = 0xff};
    return ones;
}

bool mem_fetch_page(struct vcpu *v, uint32_t lin_addr, const uint8_t **host_page, uint32_t *phys_page)
{
    const struct tlb_entry *e = itlb_get(v, lin_addr);
    if (!e)
        return false;
    *phys_page = e->phys_page;
    *host_page = e->tag & TLB_MMIO ? unmapped_code() : tlb_host(e, PAGE_OF(lin_addr));
    return true;
}
