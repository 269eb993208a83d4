/* mmu.c - softmmu TLB fills and guest memory access by linear address; walk.c reads page tables.
 *
 * Every access checks all of its pages before it changes anything. Accesses whose order or tick
 * matters (MMIO, watched data, writes into translated code, the walk's own ones too) ask for a block of one
 * instruction first (redo_single); the engine's fast path never sees them, because such pages have no fast
 * tag.
 *
 * Guest memory is written in three ways, and no other: physmem_store(), which tells everybody who watches the
 * page (mem/watch.h); the fast path, in pages that nobody watches (mem_watchers() == 0 is what gives a page
 * its fast tag); and from outside, while the vCPU stands (vcpu_take_changes).
 *
 * Where physical pages are is mem/physmem.h's. For a page of memory the TLB holds its mem_addr_t; where loads
 * and stores go to different places (shadow RAM, ROM), or to the bus, it holds the physical page, and the
 * slow path looks up the rest. A change of that map flushes all.
 *
 * NOT MODELLED: memory types (PAT, MTRRs, PCD, PWT); #AC of unaligned 16-byte operands that are aligned to
 * 8. */
#include "clockcore/check.h"
#include "vcpu/mmu/io.h"
#include "vcpu/mmu/tlb.h"
#include "vcpu/mmu/walk.h"

#include <string.h>

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

/* The set's number. */
static unsigned tlb_number(const struct vcpu *v, const struct tlb_entry *e)
{
    return (unsigned)(((uintptr_t)e - (uintptr_t)v->tlb) / sizeof *e) % TLB_SETS;
}

static unsigned ways_used(const struct vcpu *v, unsigned number)
{
    return v->tlb_listed[number] & TLB_PAIR ? TLB_WAYS : 1;
}

static bool is_data(const struct vcpu *v, const struct tlb_entry *e)
{
    return tlb_number(v, e) < TLB_FETCH * TLB_ENTRIES;
}

static bool is_user_data(const struct vcpu *v, const struct tlb_entry *e)
{
    return tlb_number(v, e) / TLB_ENTRIES == TLB_DATA + 1;
}

/* The set is to hold a tag for fast stores. */
static void tlb_list_stores(struct vcpu *v, unsigned number)
{
    if (v->tlb_listed[number] & TLB_IN_STORES)
        return;
    v->tlb_listed[number] |= TLB_IN_STORES;
    v->tlb_stores[v->tlb_stores_count++] = (uint16_t)number;
}

/* The fast-path tags that follow from what the page is now, and from whether each access needs a look. */
static void tlb_retag(struct vcpu *v, struct tlb_entry *e)
{
    e->tag &= ~(uint32_t)TLB_WATCHED;
    if (page_watched(v, PAGE_OF(e->tag)))
        e->tag |= TLB_WATCHED;
    bool checked = v->checks_alignment && is_user_data(v, e);
    bool fast = !(e->tag & (TLB_MMIO | TLB_WATCHED)) && !checked;
    bool fast_write = fast && (e->tag & (TLB_WRITABLE | TLB_SPLIT)) == TLB_WRITABLE && is_data(v, e) &&
                      mem_watchers(v->cfg.mem, &v->watcher, e->phys_page) == 0;
    e->tag_r = fast ? PAGE_OF(e->tag) : TLB_NONE;
    if (is_data(v, e))
        e->tag_w = fast_write ? PAGE_OF(e->tag) : TLB_NONE;
    else
        e->fetch_at = fast ? (uint64_t)e->phys_page << 32 | PAGE_OF(e->tag) : TLB_NONE;
    if (fast_write)
        tlb_list_stores(v, tlb_number(v, e));
}

/* The set gets a local or a global page. */
static void tlb_list(struct vcpu *v, unsigned number, bool global)
{
    uint8_t bit = global ? TLB_IN_GLOBAL : TLB_IN_LOCAL;
    if (v->tlb_listed[number] & bit)
        return;
    v->tlb_listed[number] |= bit;
    if (global)
        v->tlb_global[v->tlb_global_count++] = (uint16_t)number;
    else
        v->tlb_local[v->tlb_local_count++] = (uint16_t)number;
}

/* The page of memory that loads through an entry go to. */
static mem_addr_t load_page(const struct vcpu *v, uint32_t tag, uint32_t phys_page)
{
    if (!(tag & TLB_SPLIT))
        return phys_page;
    return (mem_addr_t)mem_target_addr(physmem_lookup(v->cfg.mem, tlb_phys(phys_page)).read);
}

/* The entry is about to be another page's, or none's. */
static void entry_leaves(struct vcpu *v, const struct tlb_entry *e)
{
    unsigned which = tlb_number(v, e) / TLB_ENTRIES;
    if ((e->tag & TLB_VALID) && which >= TLB_FETCH)
        v->fetch_left[which - TLB_FETCH] = true;
}

/* Behind all changes of the TLB: what jumps remember of a fetch TLB that lost entries is to be checked. */
static void fetch_epochs_settle(struct vcpu *v)
{
    for (unsigned user = 0; user < 2; user++) {
        if (!v->fetch_left[user])
            continue;
        v->fetch_left[user] = false;
        if (++v->fetch_epoch[user] >> X64_EPOCH_BITS) {
            v->fetch_epoch[user] = 1;
            memset(v->jumps.key, 0, sizeof v->jumps.key);
        }
    }
    v->jumps.hi = x64_jump_hi(v->g.mode, v->fetch_epoch[mem_is_user(v)]);
}

/* Where a page that the TLB does not hold is to be put: the first way, which is made empty. */
static struct tlb_entry *tlb_make_room(struct vcpu *v, unsigned which, uint32_t lin_addr)
{
    struct tlb_entry *first = tlb_slot(v, which, lin_addr), *second = first + TLB_SETS;
    bool moves = (first->tag & TLB_VALID) && !((second->tag & TLB_VALID) && (first->tag & TLB_OLDER));
    if (moves) {
        entry_leaves(v, second);
        *second = *first;
        v->tlb_listed[tlb_number(v, first)] |= TLB_PAIR;
    } else {
        entry_leaves(v, first);
    }
    if (second->tag & TLB_VALID)
        second->tag |= TLB_OLDER;
    first->tag = 0;
    return first;
}

static void tlb_put(struct vcpu *v, struct tlb_entry *e, uint32_t tag, uint32_t phys_page)
{
    entry_leaves(v, e);
    e->tag = tag;
    e->phys_page = phys_page;
    e->addend =
        tag & TLB_MMIO ? 0 : (uintptr_t)v->cfg.mem->host + load_page(v, tag, phys_page) - PAGE_OF(tag);
    tlb_retag(v, e);
}

/* What CR3 loads put back must come from watched tables. */
static void local_walk(struct vcpu *v, const struct walk *w)
{
    if (w->pde_at != MEM_NOWHERE)
        spaces_walked(v, w->pde_at);
    if (w->pte_at != MEM_NOWHERE)
        spaces_walked(v, w->pte_at);
}

/* What the entry says about where the physical page is: TLB_MMIO or TLB_SPLIT, and the page it holds. */
static uint32_t tlb_where(const struct vcpu *v, const struct walk *w, bool fetch, uint32_t *page)
{
    struct map_entry s = physmem_lookup(v->cfg.mem, w->phys_page);
    if (!mem_target_is_memory(s.read)) {
        *page = fetch ? MEM_NOWHERE : tlb_phys_packed(w->phys_page);
        return TLB_MMIO;
    }
    bool split = !fetch && (s.read != s.write || mem_target_kind(s.read) == MEM_ROM);
    *page = split ? tlb_phys_packed(w->phys_page) : (mem_addr_t)mem_target_addr(s.read);
    return split ? TLB_SPLIT : 0;
}

/* Compiled code looks whether an access of the supervisor's has the likely addend before it asks for another
 * one. It is that of a kernel's map of all memory: of so many fills with pages of its own in a row. Nothing
 * depends on it but speed. */
static void likely_addend_learn(struct vcpu *v, const struct tlb_entry *e)
{
    enum { IN_A_ROW = 32 };
    struct likely *l = &v->likely;
    if (e->addend == l->addend) {
        l->others = 0;
    } else if (e->addend != l->other) {
        l->other = e->addend;
        l->others = 1;
    } else if (++l->others == IN_A_ROW) {
        l->addend = l->other;
        l->others = 0;
    }
}

static void tlb_set(struct vcpu *v, struct tlb_entry *e, uint32_t lin_addr, const struct walk *w, bool fetch)
{
    uint32_t page, where = tlb_where(v, w, fetch, &page);
    if (!w->global)
        local_walk(v, w);
    uint32_t tag = PAGE_OF(lin_addr) | TLB_VALID | (w->writable ? TLB_WRITABLE : 0) | where |
                   (w->global ? TLB_GLOBAL : 0) | (w->large ? TLB_LARGE : 0) | (e->tag & TLB_OLDER);
    if (w->large)
        v->tlb_large[lin_addr >> 27] |= 1u << (lin_addr >> 22 & 31);
    tlb_list(v, tlb_number(v, e), w->global);
    tlb_put(v, e, tag, page);
    if (w->supervisor && !fetch && !(tag & TLB_MMIO))
        likely_addend_learn(v, e);
    v->stats.tlb_fills++;
}

static struct tlb_entry *tlb_get(struct vcpu *v, uint32_t lin_addr, struct access_rights want)
{
    struct tlb_entry *e = tlb_find(v, TLB_DATA + want.user, lin_addr);
    if (e && (!want.write || (e->tag & TLB_WRITABLE)))
        return e;
    struct walk w;
    if (!page_walk(v, lin_addr, want, &w))
        return NULL;
    if (!e)
        e = tlb_make_room(v, TLB_DATA + want.user, lin_addr);
    tlb_set(v, e, lin_addr, &w, false);
    return e;
}

/* Its set stays listed. */
static void tlb_clear(struct vcpu *v, struct tlb_entry *e)
{
    entry_leaves(v, e);
    e->tag_r = e->tag_w = TLB_NONE;
    e->tag = 0;
}

/* The set leaves one of the lists: its global entries go, or those that are not. */
static void set_clear(struct vcpu *v, unsigned number, bool global)
{
    for (unsigned way = 0; way < ways_used(v, number); way++) {
        struct tlb_entry *e = tlb_way(v, number, way);
        if ((e->tag & TLB_VALID) && !!(e->tag & TLB_GLOBAL) == global)
            tlb_clear(v, e);
    }
    v->tlb_listed[number] &= (uint8_t) ~(global ? TLB_IN_GLOBAL : TLB_IN_LOCAL);
    if (!(v->tlb_listed[number] & (TLB_IN_GLOBAL | TLB_IN_LOCAL)))
        v->tlb_listed[number] &= TLB_IN_STORES;
}

static void tlb_flush_global(struct vcpu *v)
{
    for (unsigned i = 0; i < v->tlb_global_count; i++)
        set_clear(v, v->tlb_global[i], true);
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
    fetch_epochs_settle(v);
}

void tlb_flush_local(struct vcpu *v)
{
    for (unsigned i = 0; i < v->tlb_local_count; i++)
        set_clear(v, v->tlb_local[i], false);
    v->tlb_local_count = 0;
    fetch_epochs_settle(v);
}

bool tlb_switch(struct vcpu *v, uint32_t cr3)
{
    if (!pdptrs_load(v, cr3, v->g.cr0, v->g.cr4))
        return false;
    v->g.cr3 = cr3;
    v->fetch_tag = TLB_NONE;
    spaces_switch(v);
    fetch_epochs_settle(v); /* of what was put back in place of others */
    v->stats.tlb_flushes++;
    return true;
}

void tlb_restore(struct vcpu *v, unsigned number, uint32_t tag, uint32_t phys_page)
{
    unsigned which = number / TLB_ENTRIES;
    struct tlb_entry *e = tlb_find(v, which, tag);
    if (!e)
        e = tlb_make_room(v, which, tag);
    tlb_list(v, number, false);
    tlb_put(v, e, (tag & ~(uint32_t)TLB_OLDER) | (e->tag & TLB_OLDER), phys_page);
}

static void flush_large(struct vcpu *v, const uint16_t *numbers, unsigned n, uint32_t lin_addr)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned way = 0; way < ways_used(v, numbers[i]); way++) {
            struct tlb_entry *e = tlb_way(v, numbers[i], way);
            if ((e->tag & TLB_LARGE) && (e->tag ^ lin_addr) >> 22 == 0)
                tlb_clear(v, e);
        }
}

/* SDM 3A 4.10.4.1: all of a 4 MiB page goes; of 2 MiB pages both halves, which is allowed (4.10.4.1). */
void tlb_flush_page(struct vcpu *v, uint32_t lin_addr)
{
    if (v->tlb_large[lin_addr >> 27] >> (lin_addr >> 22 & 31) & 1) {
        flush_large(v, v->tlb_local, v->tlb_local_count, lin_addr);
        flush_large(v, v->tlb_global, v->tlb_global_count, lin_addr);
    }
    for (unsigned which = 0; which < TLB_COUNT; which++) {
        struct tlb_entry *e = tlb_find(v, which, lin_addr);
        if (e)
            tlb_clear(v, e);
    }
    v->fetch_tag = TLB_NONE;
    fetch_epochs_settle(v);
}

#define ANY_PAGE 1u /* no page address */
static void tlb_retag_where(struct vcpu *v, const uint16_t *numbers, unsigned n, mem_addr_t page)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned way = 0; way < ways_used(v, numbers[i]); way++) {
            struct tlb_entry *e = tlb_way(v, numbers[i], way);
            if ((e->tag & TLB_VALID) && (page == ANY_PAGE || e->phys_page == page))
                tlb_retag(v, e);
        }
}

void tlb_protect_page(struct vcpu *v, mem_addr_t page)
{
    tlb_retag_where(v, v->tlb_local, v->tlb_local_count, page);
    tlb_retag_where(v, v->tlb_global, v->tlb_global_count, page);
}

/* SDM 3A 6.15, #AC: with CR0.AM and EFLAGS.AC accesses of CPL 3 must be aligned. Then user data has no
 * fast-path tags, so that each access comes to the slow paths, which check it; nobody else pays for it. */
void vcpu_alignment_changed(struct vcpu *v)
{
    bool on = (v->g.cr0 & CR0_AM) && (v->g.eflags & FLAG_AC);
    if (on == v->checks_alignment)
        return;
    v->checks_alignment = on;
    tlb_protect_page(v, ANY_PAGE);
}

/* --- as a watcher of memory --- */

static void on_table_store(void *ctx, mem_addr_t at, unsigned bytes)
{
    spaces_table_written(ctx, at, bytes);
}

static void on_code_store(void *ctx, mem_addr_t at, unsigned bytes)
{
    tbcache_invalidate(ctx, at, bytes);
}

/* All fast stores end: a slow store to each page costs less than to find the pages that are watched. */
static void on_rearmed(void *ctx)
{
    struct vcpu *v = ctx;
    for (unsigned i = 0; i < v->tlb_stores_count; i++) {
        unsigned number = v->tlb_stores[i];
        v->tlb_listed[number] &= (uint8_t)~TLB_IN_STORES;
        for (unsigned way = 0; way < ways_used(v, number); way++)
            tlb_way(v, number, way)->tag_w = TLB_NONE;
    }
    v->tlb_stores_count = 0;
}

/* Blocks stay: they go by where their bytes are. */
static void on_remapped(void *ctx)
{
    tlb_flush(ctx);
}

void vcpu_take_changes(struct vcpu *v)
{
    struct mem_range r;
    while (physmem_change_take(&v->watcher, &r)) {
        tbcache_invalidate(v, r.first, r.bytes);
        spaces_memory_changed(v, &r);
    }
}

bool mmu_init(struct vcpu *v)
{
    v->watcher = (struct mem_watcher){.ctx = v,
                                      .table_store = on_table_store,
                                      .code_store = on_code_store,
                                      .rearmed = on_rearmed,
                                      .remapped = on_remapped};
    v->fetch_epoch[0] = v->fetch_epoch[1] = 1;
    for (unsigned i = 0; i < TLB_SETS; i++)
        tlb_clear(v, &v->tlb[0][0][0] + i);
    for (unsigned which = 0; which < TLB_COUNT; which++)
        tlb_clear(v, &v->tlb[1][which][0]); /* 0 is the tag of a page of this set alone */
    return physmem_attach(v->cfg.mem, v->cfg.number, &v->watcher) && spaces_init(v);
}

void mmu_free(struct vcpu *v)
{
    physmem_detach(v->cfg.mem, v->cfg.number);
    spaces_free(v);
}

/* --- access in one or two pages --- */

struct part {
    struct tlb_entry *e;
    uint32_t lin_addr;
    unsigned bytes;
};

/* Where in memory; where on the bus (TLB_MMIO, TLB_SPLIT). */
static mem_addr_t part_at(const struct part *p)
{
    return p->e->phys_page | (p->lin_addr & PAGE_OFFSET_MASK);
}
static phys_addr_t part_phys(const struct part *p)
{
    return tlb_phys(p->e->phys_page) | (p->lin_addr & PAGE_OFFSET_MASK);
}

static bool is_device(const struct part *p)
{
    return (p->e->tag & (TLB_MMIO | TLB_WATCHED | TLB_SPLIT)) == TLB_MMIO;
}

static bool must_be_single(const struct vcpu *v, const struct part *p, bool write)
{
    if (is_device(p))
        return !v->in_device;
    if (p->e->tag & (TLB_MMIO | TLB_WATCHED))
        return true;
    if (!write)
        return false;
    return (p->e->tag & TLB_SPLIT) || store_is_into_code(v, part_at(p), p->bytes);
}

static bool part_get(struct vcpu *v, struct part *p, struct access_rights want)
{
    p->e = tlb_get(v, p->lin_addr, want);
    if (!p->e)
        return false;
    if (!v->in_single && must_be_single(v, p, want.write)) {
        v->redo_single = true;
        v->redo_device = is_device(p);
        return false;
    }
    return true;
}

/* SDM 3A table 6-7. Wider operands (FXSAVE, SSE) have an alignment of their own, or go by quadwords. */
static uint32_t alignment_mask(unsigned bytes)
{
    return bytes >= 8 ? 7 : bytes >= 4 ? 3 : bytes - 1;
}

/* An access by `bytes` as one operand; false: #AC recorded. Before the page is looked at. */
static bool is_aligned(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    if (!v->checks_alignment || !user || !(lin_addr & alignment_mask(bytes)))
        return true;
    vcpu_raise_error(v, EXC_AC, 0);
    return false;
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

/* Where on the bus: a page that nothing was put at is at its own address, behind the A20 gate. */
static uint64_t bus_addr(const struct vcpu *v, mem_target_t t, phys_addr_t phys_addr)
{
    return t ? mem_target_addr(t) | (phys_addr & PAGE_OFFSET_MASK) : phys_addr & v->cfg.mem->addr_mask;
}

static uint64_t mmio_read_part(struct vcpu *v, phys_addr_t phys_addr, unsigned bytes)
{
    mem_target_t t = physmem_lookup(v->cfg.mem, phys_addr).read;
    uint64_t value = 0, at = bus_addr(v, t, phys_addr);
    if (mem_target_kind(t) == MEM_HOLE)
        return ~UINT64_C(0);
    for (unsigned done = 0; done < bytes;) {
        unsigned n = mmio_piece(bytes - done);
        value |= (uint64_t)io_mmio_read(v, at + done, n) << (8 * done);
        done += n;
    }
    return value;
}

static void mmio_write_part(struct vcpu *v, uint64_t at, unsigned bytes, uint64_t value)
{
    for (unsigned done = 0; done < bytes;) {
        unsigned n = mmio_piece(bytes - done);
        io_mmio_write(v, at + done, n, (uint32_t)(value >> (8 * done)));
        done += n;
    }
}

static uint64_t part_read(struct vcpu *v, const struct part *p)
{
    if (p->e->tag & TLB_WATCHED)
        watch_hit(v, p->lin_addr, p->bytes, false);
    if (p->e->tag & TLB_MMIO)
        return mmio_read_part(v, part_phys(p), p->bytes) & ~UINT64_C(0) >> (64 - 8 * p->bytes);
    return mem_get(tlb_host(p->e, p->lin_addr), p->bytes);
}

/* Before the first store to a clean page, so that later ones may be fast. */
static void part_make_dirty(struct vcpu *v, const struct part *p)
{
    if (p->e->tag & (TLB_MMIO | TLB_SPLIT))
        return;
    physmem_mark(v->cfg.mem, p->e->phys_page);
    tlb_retag(v, p->e);
}

static void memory_write_part(struct vcpu *v, mem_addr_t at, unsigned bytes, uint64_t value)
{
    physmem_store(v->cfg.mem, v->cfg.number, at, bytes, value, MEM_WATCH_CODE | MEM_WATCH_TABLE);
}

/* To where the physical page's stores go. */
static void split_write_part(struct vcpu *v, phys_addr_t phys_addr, unsigned bytes, uint64_t value)
{
    mem_target_t t = physmem_lookup(v->cfg.mem, phys_addr).write;
    if (mem_target_kind(t) == MEM_BUS)
        mmio_write_part(v, bus_addr(v, t, phys_addr), bytes, value);
    else if (mem_target_kind(t) == MEM_RAM || mem_target_kind(t) == MEM_VRAM)
        memory_write_part(v, target_at(t, phys_addr), bytes, value);
}

static void part_write(struct vcpu *v, const struct part *p, uint64_t value)
{
    if (p->e->tag & TLB_WATCHED)
        watch_hit(v, p->lin_addr, p->bytes, true);
    if (p->e->tag & (TLB_MMIO | TLB_SPLIT)) {
        split_write_part(v, part_phys(p), p->bytes, value);
        return;
    }
    memory_write_part(v, part_at(p), p->bytes, value);
    tlb_retag(v, p->e);
}

bool mem_read_parts(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value)
{
    struct part part[2];
    if (!is_aligned(v, lin_addr, bytes, user))
        return false;
    unsigned n = parts_get(v, lin_addr, bytes, (struct access_rights){.user = user}, part);
    if (n == 0)
        return false;
    *value = part_read(v, &part[0]);
    if (n == 2)
        *value |= part_read(v, &part[1]) << (8 * part[0].bytes);
    return true;
}

/* Apart, so that the usual way saves no registers. */
static __attribute__((noinline)) bool write_parts(struct vcpu *v, uint32_t lin_addr, unsigned bytes,
                                                  bool user, uint64_t value)
{
    struct part part[2];
    if (!is_aligned(v, lin_addr, bytes, user))
        return false;
    unsigned n = parts_get(v, lin_addr, bytes, (struct access_rights){.write = true, .user = user}, part);
    if (n == 0)
        return false;
    part_write(v, &part[0], value);
    if (n == 2)
        part_write(v, &part[1], value >> (8 * part[0].bytes));
    return true;
}

bool mem_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t value)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_DATA + user, lin_addr);
    if (e->tag_w != PAGE_OF(lin_addr + bytes - 1))
        return write_parts(v, lin_addr, bytes, user, value);
    host_put(tlb_host(e, lin_addr), bytes, value);
    return true;
}

bool mem_probe_write_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    struct part part[2];
    return parts_get(v, lin_addr, bytes, (struct access_rights){.write = true, .user = user}, part) != 0;
}

bool mem_probe_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    return is_aligned(v, lin_addr, bytes, user) && mem_probe_write_run(v, lin_addr, bytes, user);
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
    if (!is_aligned(v, lin_addr, bytes, want.user))
        return false;
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
    if (!is_aligned(v, lin_addr, bytes, mem_is_user(v)))
        return NULL;
    unsigned n =
        parts_get(v, lin_addr, bytes, (struct access_rights){.write = write, .user = mem_is_user(v)}, part);
    if (n == 0)
        return NULL;
    if (write && (n == 2 || (v->watcher.pages[part[0].e->phys_page >> PAGE_BITS] & MEM_WATCH_TABLE))) {
        v->redo_single = true; /* the helper stores, and tells of it */
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
    const struct tlb_entry *e = tlb_find(v, TLB_DATA + mem_is_user(v), lin_addr);
    return e && e->tag_r == PAGE_OF(lin_addr) ? tlb_host(e, lin_addr) : NULL;
}

uint8_t *mem_fast_write(struct vcpu *v, uint32_t lin_addr)
{
    const struct tlb_entry *e = tlb_find(v, TLB_DATA + mem_is_user(v), lin_addr);
    return e && e->tag_w == PAGE_OF(lin_addr) ? tlb_host(e, lin_addr) : NULL;
}

uint8_t *mem_fast_read_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_DATA + mem_is_user(v), lin_addr);
    bool fast = e->tag_r == PAGE_OF(lin_addr) && e->tag_r == PAGE_OF(lin_addr + bytes - 1);
    return fast ? tlb_host(e, lin_addr) : NULL;
}

uint8_t *mem_fast_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    const struct tlb_entry *e = tlb_find(v, TLB_DATA + user, lin_addr);
    bool fast = e && e->tag_w == PAGE_OF(lin_addr) && e->tag_w == PAGE_OF(lin_addr + bytes - 1);
    return fast ? tlb_host(e, lin_addr) : NULL;
}

/* --- instruction fetch --- */

static const struct tlb_entry *itlb_get(struct vcpu *v, uint32_t lin_addr)
{
    struct access_rights want = {.user = mem_is_user(v), .fetch = true};
    struct tlb_entry *e = tlb_find(v, TLB_FETCH + want.user, lin_addr);
    if (e)
        return e;
    struct walk w;
    if (!page_walk(v, lin_addr, want, &w))
        return NULL;
    e = tlb_make_room(v, TLB_FETCH + want.user, lin_addr);
    tlb_set(v, e, lin_addr, &w, true);
    fetch_epochs_settle(v);
    return e;
}

/* In no memory, code reads as unmapped memory does. */
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

/* --- the TLB as state (parts.c) --- */

/* In the first way is who came last, or is alone, whatever ran since. */
static void set_settle(struct tlb_entry *first)
{
    struct tlb_entry *second = first + TLB_SETS, was = *first;
    if (!(second->tag & TLB_VALID) || ((first->tag & TLB_VALID) && !(first->tag & TLB_OLDER)))
        return;
    *first = *second;
    *second = was;
}

/* What a cleared entry and the unused end of a list still hold means nothing. */
void tlb_settle(struct vcpu *v)
{
    for (unsigned i = 0; i < TLB_SETS; i++)
        set_settle(&v->tlb[0][0][0] + i);
    for (unsigned i = 0; i < TLB_WAYS * TLB_SETS; i++) {
        struct tlb_entry *e = &v->tlb[0][0][0] + i;
        if (!(e->tag & TLB_VALID))
            e->tag = e->phys_page = 0;
    }
    memset(v->tlb_local + v->tlb_local_count, 0,
           sizeof v->tlb_local - v->tlb_local_count * sizeof v->tlb_local[0]);
    memset(v->tlb_global + v->tlb_global_count, 0,
           sizeof v->tlb_global - v->tlb_global_count * sizeof v->tlb_global[0]);
}

/* The lists say which sets are listed; false: one is twice in a list. */
static bool lists_loaded(struct vcpu *v, const uint16_t *numbers, unsigned n, uint8_t bit)
{
    for (unsigned i = 0; i < n; i++) {
        if (v->tlb_listed[numbers[i]] & bit)
            return false;
        v->tlb_listed[numbers[i]] |= bit;
    }
    return true;
}

static bool entry_loaded(struct vcpu *v, struct tlb_entry *e)
{
    unsigned number = tlb_number(v, e);
    if (!(e->tag & TLB_VALID)) {
        tlb_clear(v, e);
        return true;
    }
    if (!(v->tlb_listed[number] & (TLB_IN_GLOBAL | TLB_IN_LOCAL)) ||
        !tlb_backed(v, number, e->tag, e->phys_page))
        return false;
    if (e >= &v->tlb[1][0][0] && tlb_holds(e - TLB_SETS, e->tag))
        return false; /* in both ways */
    v->tlb_listed[number] |= TLB_PAIR;
    tlb_put(v, e, e->tag, e->phys_page);
    return true;
}

/* As tlb_where gives them, of a fetch or of data. */
static bool where_is_right(const struct vcpu *v, bool fetch, uint32_t tag, uint32_t phys_page)
{
    if ((tag & TLB_MMIO) && (tag & TLB_SPLIT))
        return false;
    if (tag & TLB_MMIO)
        return !fetch || phys_page == MEM_NOWHERE;
    if (tag & TLB_SPLIT)
        return !fetch && mem_target_is_memory(physmem_lookup(v->cfg.mem, tlb_phys(phys_page)).read);
    return phys_page < v->cfg.mem->bytes && phys_page == PAGE_OF(phys_page);
}

/* May an entry of set `number` have this tag, and lead to that page? */
bool tlb_backed(const struct vcpu *v, unsigned number, uint32_t tag, uint32_t phys_page)
{
    return (tag & TLB_VALID) && tlb_phys(phys_page) >> MEM_PHYS_BITS == 0 &&
           tlb_index(tag) == number % TLB_ENTRIES &&
           where_is_right(v, number / TLB_ENTRIES >= TLB_FETCH, tag, phys_page);
}

/* A field with a value that no run gives it; NULL: none. */
const char *tlb_loaded(struct vcpu *v)
{
    memset(v->tlb_listed, 0, sizeof v->tlb_listed);
    v->tlb_stores_count = 0;
    if (!lists_loaded(v, v->tlb_local, v->tlb_local_count, TLB_IN_LOCAL) ||
        !lists_loaded(v, v->tlb_global, v->tlb_global_count, TLB_IN_GLOBAL))
        return "tlb.tlb_local or tlb.tlb_global";
    for (unsigned i = 0; i < TLB_WAYS * TLB_SETS; i++)
        if (!entry_loaded(v, &v->tlb[0][0][0] + i))
            return "tlb.entry.tag or tlb.entry.phys_page";
    v->fetch_tag = TLB_NONE;
    fetch_epochs_settle(v);
    return NULL;
}
