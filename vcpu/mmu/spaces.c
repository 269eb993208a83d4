/* spaces.c - address spaces that the guest switches between: what the TLB held of each is put back by a CR3
 * load.
 *
 * A CR3 load takes all translations that are not global out of the TLB, and those that were taken out when
 * this CR3 value was last left are put back, if the guest could have no other answer from a walk: no entry of
 * a page table or directory that they came from has been changed since. So the guest sees a flush, and the
 * switch costs a copy instead of a page walk for every page that is used again.
 *
 * Pages that a walk for a non-global translation went through are table pages: they have no fast write tag,
 * so each store to them comes by (spaces_table_written). Only a change of an entry that was present and
 * accessed counts; no other one can have been cached. A page that is written often and not walked stops being
 * a table page, with everything that came from it: then its stores are fast again (a process is copied or
 * torn down, the page is used for something else).
 *
 * With PAE a space is a CR3 value together with the four page directory pointers that were loaded with it:
 * they are compared, their table in memory need not be watched. An entry has 8 bytes then.
 *
 * The walk's own stores set A and D; what is kept stays right. With what is kept, what the TLB holds remains
 * a function of the guest's instructions alone: stores to table pages are counted, whichever engine or path
 * they come from. */
#include "vcpu/mmu/pte.h"
#include "vcpu/mmu/tlb.h"

#include <string.h>
#include <sys/mman.h>

enum { SPACES = 32, SAVED_MAX = 64, WRITES_MAX = 16 };

struct saved {
    uint32_t tag, phys_page;
    uint32_t number; /* of the TLB's set */
};

struct space {
    unsigned count;
    struct saved saved[SAVED_MAX];
};

struct table_page {
    uint32_t used_by; /* bit n: translations of space n may come from here; 0: not a table page */
    uint32_t writes;  /* since the last walk */
};

struct spaces {
    struct table_page *tables; /* per page of memory */
    uint32_t npages;
    unsigned current, next;     /* next: to be replaced */
    bool stale;                 /* the TLB may hold what a walk in the current space would not find */
    uint32_t cr3[SPACES];       /* page directory, or table of PAE's pointers; NO_SPACE: none */
    uint64_t pdptr[4 * SPACES]; /* four each: under which its translations were made; 0 without PAE */
    struct space space[SPACES];
    struct field tables_field; /* of the part that `tables` are */
};
#define NO_SPACE 1u /* no page address */

bool spaces_init(struct vcpu *v)
{
    struct spaces *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        return false;
    s->npages = (uint32_t)(v->cfg.mem->bytes / PAGE_BYTES);
    s->tables = mmap(NULL, s->npages * sizeof *s->tables, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->tables == MAP_FAILED) {
        munmap(s, sizeof *s);
        return false;
    }
    for (unsigned i = 0; i < SPACES; i++)
        s->cr3[i] = NO_SPACE;
    v->spaces = s;
    return true;
}

void spaces_free(struct vcpu *v)
{
    if (!v->spaces)
        return;
    munmap(v->spaces->tables, v->spaces->npages * sizeof *v->spaces->tables);
    munmap(v->spaces, sizeof *v->spaces);
    v->spaces = NULL;
}

/* --- which space --- */

static unsigned space_replace(struct spaces *s, uint32_t cr3)
{
    do
        s->next = (s->next + 1) % SPACES;
    while (s->next == s->current);
    s->cr3[s->next] = cr3;
    s->space[s->next].count = 0;
    return s->next;
}

static const uint64_t *pdptrs(const struct vcpu *v)
{
    static const uint64_t none[4];
    return is_pae(v->g.cr4) ? v->g.pdptr : none;
}

/* The space of CR3 and its pointers as they are now; empty where it is new, or was made under others. */
static unsigned space_now(const struct vcpu *v)
{
    struct spaces *s = v->spaces;
    const uint32_t cr3 = v->g.cr3 & (is_pae(v->g.cr4) ? ~31u : ~PAGE_OFFSET_MASK);
    unsigned i = 0;
    while (i < SPACES && s->cr3[i] != cr3)
        i++;
    if (i == SPACES)
        i = space_replace(s, cr3);
    if (memcmp(&s->pdptr[4 * i], pdptrs(v), 4 * sizeof s->pdptr[0]) != 0) {
        memcpy(&s->pdptr[4 * i], pdptrs(v), 4 * sizeof s->pdptr[0]);
        s->space[i].count = 0;
        s->stale |= i == s->current;
    }
    return i;
}

void spaces_forget(struct vcpu *v)
{
    struct spaces *s = v->spaces;
    for (unsigned i = 0; i < SPACES; i++)
        s->space[i].count = 0;
    s->current = space_now(v);
    s->stale = false;
}

/* --- switching --- */

static void entry_save(struct space *sp, const struct tlb_entry *e, unsigned number)
{
    if ((e->tag & (TLB_VALID | TLB_GLOBAL)) == TLB_VALID && sp->count < SAVED_MAX)
        sp->saved[sp->count++] = (struct saved){e->tag & ~(uint32_t)TLB_OLDER, e->phys_page, number};
}

/* From the newest set to the oldest, as many as there is room for; of a set the newer entry first. */
static void space_save(struct vcpu *v, struct space *sp)
{
    sp->count = 0;
    for (unsigned i = v->tlb_local_count; i-- > 0 && sp->count < SAVED_MAX;) {
        unsigned number = v->tlb_local[i];
        unsigned newer = (tlb_way(v, number, 0)->tag & TLB_OLDER) != 0;
        entry_save(sp, tlb_way(v, number, newer), number);
        entry_save(sp, tlb_way(v, number, !newer), number);
    }
}

/* In the order in which they came. */
static void space_restore(struct vcpu *v, struct space *sp)
{
    for (unsigned i = sp->count; i-- > 0;)
        tlb_restore(v, sp->saved[i].number, sp->saved[i].tag, sp->saved[i].phys_page);
    v->stats.tlb_restored += sp->count;
    sp->count = 0;
}

void spaces_switch(struct vcpu *v)
{
    struct spaces *s = v->spaces;
    bool paging = v->g.cr0 & CR0_PG;
    unsigned to = space_now(v);
    if (to == s->current && !s->stale && paging)
        return;
    if (to != s->current && !s->stale && paging)
        space_save(v, &s->space[s->current]);
    tlb_flush_local(v);
    s->stale = false;
    s->current = to;
    if (paging)
        space_restore(v, &s->space[to]);
}

/* --- table pages --- */

void spaces_walked(struct vcpu *v, mem_addr_t at)
{
    uint32_t page = at >> PAGE_BITS;
    if (at == MEM_NOWHERE)
        return; /* constant */
    struct table_page *t = &v->spaces->tables[page];
    bool first = !t->used_by;
    t->used_by |= 1u << v->spaces->current;
    t->writes = 0;
    if (!first)
        return;
    v->watcher.pages[page] |= MEM_WATCH_TABLE;
    tlb_protect_page(v, PAGE_OF(at));
}

static void table_forget(struct vcpu *v, uint32_t page)
{
    v->spaces->tables[page].used_by = 0;
    v->watcher.pages[page] &= (uint8_t)~MEM_WATCH_TABLE;
}

/* What came from the page no longer holds. */
static void table_changed(struct spaces *s, const struct table_page *t)
{
    for (uint32_t left = t->used_by; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        s->space[i].count = 0;
        s->stale |= i == s->current;
    }
}

static bool was_used(const struct vcpu *v, mem_addr_t first, unsigned bytes)
{
    const unsigned size = is_pae(v->g.cr4) ? 8 : 4;
    for (mem_addr_t at = first & ~(size - 1); at < first + bytes; at += size) {
        uint32_t entry; /* of 8 bytes the low half, which has both bits */
        memcpy(&entry, v->cfg.mem->host + at, sizeof entry);
        if ((entry & (PTE_P | PTE_A)) == (PTE_P | PTE_A))
            return true;
    }
    return false;
}

void spaces_table_written(struct vcpu *v, mem_addr_t at, unsigned bytes)
{
    struct table_page *t = &v->spaces->tables[at >> PAGE_BITS];
    bool often = ++t->writes > WRITES_MAX;
    if (often || was_used(v, at, bytes))
        table_changed(v->spaces, t);
    if (often)
        table_forget(v, at >> PAGE_BITS);
}

void spaces_memory_changed(struct vcpu *v, const struct mem_range *r)
{
    for (uint64_t page = r->first >> PAGE_BITS; page << PAGE_BITS < r->first + r->bytes; page++) {
        if (!(v->watcher.pages[page] & MEM_WATCH_TABLE))
            continue;
        table_changed(v->spaces, &v->spaces->tables[page]);
        table_forget(v, (uint32_t)page);
    }
}

/* --- as state (parts.c) --- */

/* What is not in use any more means nothing. */
void spaces_settle(struct spaces *s)
{
    for (uint32_t i = 0; i < s->npages; i++)
        if (!s->tables[i].used_by)
            s->tables[i].writes = 0;
    for (unsigned i = 0; i < SPACES; i++)
        memset(s->space[i].saved + s->space[i].count, 0,
               (SAVED_MAX - s->space[i].count) * sizeof s->space[i].saved[0]);
}

static const struct field spaces_fields[] = {
    FIELD_MAX(struct spaces, current, SPACES - 1),
    FIELD_MAX(struct spaces, next, SPACES - 1),
    FIELD(struct spaces, stale),
    FIELD_ARRAY(struct spaces, cr3),
    FIELD_ARRAY(struct spaces, pdptr),
    {"spaces", offsetof(struct spaces, space), 4, SPACES * sizeof(struct space) / 4, 4, UINT64_MAX},
};

/* Two parts, since the tables are apart. */
bool spaces_part(struct vcpu *v, unsigned i, struct state_part *out)
{
    struct spaces *s = v->spaces;
    if (i > 1)
        return false;
    s->tables_field = (struct field){"used_by.writes", 0, 4, 2 * s->npages, 4, UINT64_MAX};
    *out = i == 0 ? (struct state_part){"spaces", spaces_fields,
                                        sizeof spaces_fields / sizeof spaces_fields[0], s}
                  : (struct state_part){"table-pages", &s->tables_field, 1, s->tables};
    return true;
}

static bool space_loaded(const struct vcpu *v, const struct space *sp)
{
    if (sp->count > SAVED_MAX)
        return false;
    for (unsigned i = 0; i < sp->count; i++)
        if (sp->saved[i].number >= TLB_SETS || (sp->saved[i].tag & TLB_GLOBAL) ||
            !tlb_backed(v, sp->saved[i].number, sp->saved[i].tag, sp->saved[i].phys_page))
            return false;
    return true;
}

const char *spaces_loaded(struct vcpu *v)
{
    for (uint32_t page = 0; page < v->spaces->npages; page++)
        if (v->spaces->tables[page].used_by)
            v->watcher.pages[page] |= MEM_WATCH_TABLE;
    for (unsigned i = 0; i < SPACES; i++)
        if (!space_loaded(v, &v->spaces->space[i]))
            return "spaces.spaces";
    return NULL;
}
