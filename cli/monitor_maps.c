/* monitor_maps.c - what lies where: info mtree, info pci, and page tables: info tlb, info mem.
 *
 * Page tables are the guest's: any value is defined. They are read as memory alone, as vcpu_peek does; the
 * softmmu's own TLB may still hold what they said before. */
#include "cli/monitor_internal.h"

#include "hw/i440fx.h"
#include "mem/physmem.h"

#include <inttypes.h>
#include <string.h>

#define LINES_MAX  65536               /* of one answer */
#define MTREE_ENDS (UINT64_C(1) << 32) /* nothing of this board lies beyond */

/* --- mtree --- */

static const char *device_name(const struct board *b, unsigned device)
{
    return device < b->ndevices ? b->device[device].name : "?";
}

/* Of what a page shows, where it is the bus: the device of the window that is there now. */
static const char *window_device(const struct machine *m, uint64_t at)
{
    const struct board *b = machine_wiring(m);
    for (unsigned n = 0; n < b->nwindows; n++) {
        const uint32_t where = b->window_at ? b->window_at(machine_board(m), n) : 0;
        if (b->window[n].io || !(where & BOARD_WINDOW_ON) || at - (where & ~3u) >= b->window[n].bytes)
            continue;
        for (unsigned r = 0; r < b->nranges; r++)
            if (b->range[r].window == n + 1)
                return device_name(b, b->range[r].device);
    }
    return NULL;
}

static const char *kind_name(mem_target_t t)
{
    static const char *const names[] = {"bus", "hole", "ram", "rom", "vram"};
    const unsigned kind = (unsigned)mem_target_kind(t);
    return kind < sizeof names / sizeof *names ? names[kind] : "?";
}

static void print_region(FILE *out, const struct machine *m, uint64_t first, uint64_t end,
                         struct map_entry at)
{
    const char *device = mem_target_kind(at.read) == MEM_BUS ? window_device(m, first) : NULL;
    if (mem_target_kind(at.read) == MEM_BUS && mem_target_kind(at.write) == MEM_BUS && !device)
        return; /* nobody's */
    fprintf(out, "%09" PRIx64 "-%09" PRIx64 ": %s", first, end - 1, device ? device : kind_name(at.read));
    if (mem_target_is_memory(at.read))
        fprintf(out, " @%08" PRIx64, mem_target_addr(at.read));
    if (at.write != at.read)
        fprintf(out, ", writes: %s", kind_name(at.write));
    fputc('\n', out);
}

static bool continues(mem_target_t a, mem_target_t b, uint64_t bytes)
{
    const bool moves = mem_target_is_memory(a) || mem_target_addr(a) != 0;
    return b == (moves ? a + bytes : a);
}

static void print_memory_map(FILE *out, const struct machine *m)
{
    const struct physmem *pm = machine_memory(m);
    struct map_entry at = physmem_entry(pm, 0);
    uint64_t first = 0;
    for (uint64_t end = PAGE_BYTES; end <= MTREE_ENDS; end += PAGE_BYTES) {
        const struct map_entry next = physmem_entry(pm, end);
        if (end < MTREE_ENDS && continues(at.read, next.read, end - first) &&
            continues(at.write, next.write, end - first))
            continue;
        print_region(out, m, first, end, at);
        first = end;
        at = next;
    }
}

static void print_io_ports(FILE *out, const struct machine *m)
{
    const struct board *b = machine_wiring(m);
    for (unsigned r = 0; r < b->nranges; r++) {
        const struct board_range *at = &b->range[r];
        uint32_t base = 0;
        if (at->window && b->window[at->window - 1].io)
            base = b->window_at ? b->window_at(machine_board(m), at->window - 1u) : 0;
        if (at->window && (!b->window[at->window - 1].io || !(base & BOARD_WINDOW_ON)))
            continue;
        base &= ~3u;
        fprintf(out, "%04" PRIx32 "-%04" PRIx32 ": %s\n", base + at->first, base + at->last,
                device_name(b, at->device));
    }
}

void info_mtree(struct monitor_call *call)
{
    fprintf(call->out, "memory (@: which byte of the machine's memories; what is not listed is nobody's):\n");
    print_memory_map(call->out, call->steer->machine);
    fprintf(call->out, "I/O ports:\n");
    print_io_ports(call->out, call->steer->machine);
}

/* --- pci --- */

static unsigned config16(const struct i440fx *s, unsigned fn, unsigned reg)
{
    return i440fx_config_peek(s, fn, reg) | (unsigned)i440fx_config_peek(s, fn, reg + 1) << 8;
}

static void print_bars(FILE *out, const struct i440fx *s, unsigned fn, const struct pci_function *f)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        const struct pci_bar *bar = &f->bar[n];
        uint32_t address;
        if (!bar->bytes)
            continue;
        fprintf(out, "    BAR%u: %s, %" PRIu32 " bytes, ", n, bar->io ? "I/O" : "memory", bar->bytes);
        if (i440fx_bar_decoded(s, fn, n, &address))
            fprintf(out, "at 0x%08" PRIx32 "\n", address);
        else
            fprintf(out, "not decoded\n");
    }
}

void info_pci(struct monitor_call *call)
{
    const struct i440fx *s = &machine_board(call->steer->machine)->pci;
    for (unsigned fn = 0; fn < I440FX_FN_COUNT; fn++) {
        const struct pci_function *f = i440fx_function(s, fn);
        if (!f)
            continue;
        fprintf(call->out, "00:%02x.%u: %04x:%04x class %04x", f->devfn >> 3, f->devfn & 7u,
                config16(s, fn, PCI_VENDOR), config16(s, fn, PCI_DEVICE), config16(s, fn, PCI_CLASS));
        if (i440fx_config_peek(s, fn, PCI_INTERRUPT_PIN))
            fprintf(call->out, ", INT%c# on line %u", 'A' + i440fx_config_peek(s, fn, PCI_INTERRUPT_PIN) - 1,
                    i440fx_config_peek(s, fn, PCI_INTERRUPT_LINE));
        fprintf(call->out, ", command %04x\n", config16(s, fn, PCI_COMMAND));
        print_bars(call->out, s, fn, f);
    }
}

/* --- page tables --- */

enum { P = 1, RW = 2, US = 4, PWT = 8, PCD = 16, A = 32, D = 64, PS = 128, G = 256 };
#define NX       (UINT64_C(1) << 63)
#define PAE_ADDR UINT64_C(0xffffff000) /* 36 bits */

struct walk {
    const struct machine *m;
    const struct guest_state *g;
    FILE *out;
    unsigned lines;
    /* Of info mem: the range so far. */
    uint64_t first, end;
    unsigned rights;
    /* A page, 4 KiB or larger; its entry, and the rights of all levels (RW, US). */
    void (*page)(struct walk *w, uint64_t lin, uint64_t phys, uint64_t bytes, uint64_t entry,
                 unsigned rights);
};

static uint64_t table_entry(const struct walk *w, uint64_t table, unsigned index, unsigned bytes)
{
    uint64_t entry = 0;
    return physmem_read(machine_memory(w->m), table + (uint64_t)index * bytes, &entry, bytes) ? entry : 0;
}

/* SDM 3A 4.3: 32-bit paging. */
static void walk_32(struct walk *w)
{
    for (unsigned i = 0; i < 1024 && w->lines < LINES_MAX; i++) {
        const uint64_t pde = table_entry(w, w->g->cr3 & 0xfffff000u, i, 4);
        const uint64_t lin = (uint64_t)i << 22;
        if (!(pde & P))
            continue;
        if ((pde & PS) && (w->g->cr4 & CR4_PSE)) {
            w->page(w, lin, (pde & 0xffc00000u) | (pde >> 13 & 0xf) << 32, UINT64_C(1) << 22, pde,
                    pde & (RW | US));
            continue;
        }
        for (unsigned k = 0; k < 1024; k++) {
            const uint64_t pte = table_entry(w, pde & 0xfffff000u, k, 4);
            if (pte & P)
                w->page(w, lin | (uint64_t)k << 12, pte & 0xfffff000u, PAGE_BYTES, pte,
                        pde & pte & (RW | US));
        }
    }
}

static void walk_pae_table(struct walk *w, uint64_t lin, uint64_t pde)
{
    for (unsigned k = 0; k < 512; k++) {
        const uint64_t pte = table_entry(w, pde & PAE_ADDR, k, 8);
        if (pte & P)
            w->page(w, lin | (uint64_t)k << 12, pte & PAE_ADDR, PAGE_BYTES, pte,
                    (unsigned)(pde & pte) & (RW | US));
    }
}

/* SDM 3A 4.4: PAE paging. */
static void walk_pae(struct walk *w)
{
    for (unsigned i = 0; i < 4 * 512 && w->lines < LINES_MAX; i++) {
        const uint64_t pdpte = w->g->pdptr[i / 512], lin = (uint64_t)i << 21;
        const uint64_t pde = pdpte & P ? table_entry(w, pdpte & PAE_ADDR, i % 512, 8) : 0;
        if (!(pde & P))
            continue;
        if (pde & PS)
            w->page(w, lin, pde & PAE_ADDR & ~UINT64_C(0x1fffff), UINT64_C(1) << 21, pde,
                    (unsigned)pde & (RW | US));
        else
            walk_pae_table(w, lin, pde);
    }
}

static void walk_tables(struct walk *w)
{
    if (!(w->g->cr0 & CR0_PG))
        fprintf(w->out, "paging is off\n");
    else if (w->g->cr4 & CR4_PAE)
        walk_pae(w);
    else
        walk_32(w);
}

static bool may_print(struct walk *w)
{
    if (++w->lines == LINES_MAX)
        fprintf(w->out, "and more\n");
    return w->lines < LINES_MAX;
}

static void tlb_page(struct walk *w, uint64_t lin, uint64_t phys, uint64_t bytes, uint64_t e, unsigned rights)
{
    if (may_print(w))
        fprintf(w->out, "%08" PRIx64 ": %09" PRIx64 " %c%c%c%c%c%c%c%c%c\n", lin, phys, e & NX ? 'X' : '-',
                e & G ? 'G' : '-', bytes > PAGE_BYTES ? 'P' : '-', e & D ? 'D' : '-', e & A ? 'A' : '-',
                e & PCD ? 'C' : '-', e & PWT ? 'T' : '-', rights & US ? 'U' : '-', rights & RW ? 'W' : '-');
}

void info_tlb(struct monitor_call *call)
{
    const struct machine *m = call->steer->machine;
    struct walk w = {.m = m, .g = machine_guest(m), .out = call->out, .page = tlb_page};
    walk_tables(&w);
}

static void print_range(struct walk *w)
{
    if (w->end > w->first && may_print(w))
        fprintf(w->out, "%09" PRIx64 "-%09" PRIx64 " %09" PRIx64 " %cr%c\n", w->first, w->end,
                w->end - w->first, w->rights & US ? 'u' : '-', w->rights & RW ? 'w' : '-');
}

static void mem_page(struct walk *w, uint64_t lin, uint64_t phys, uint64_t bytes, uint64_t e, unsigned rights)
{
    if (lin != w->end || rights != w->rights || w->end == w->first) {
        print_range(w);
        w->first = lin;
        w->rights = rights;
    }
    w->end = lin + bytes;
}

void info_mem(struct monitor_call *call)
{
    const struct machine *m = call->steer->machine;
    struct walk w = {.m = m, .g = machine_guest(m), .out = call->out, .page = mem_page};
    walk_tables(&w);
    print_range(&w);
}
