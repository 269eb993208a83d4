/* physmem.h - guest physical memory as data: what memory there is, and where the chip set shows it.
 *
 * A machine has memories (RAM, ROMs, video RAM), which lie one after the other in one host mapping: a
 * mem_addr_t says which byte of them, whatever the chip set does; RAM comes first, so that its bytes have
 * their own physical addresses. A physical address goes through the map, one entry a page: where reads go and
 * where writes go, which is one page of memory, the bus (a device's registers, through syncq/busmap.h, or
 * nobody's: all ones), or nowhere. A page that is in no region is the bus's, at the same address.
 *
 *   region      reads            writes           code
 *   RAM, VRAM   memory           memory           runs
 *   ROM         memory           dropped          runs
 *   shadow RAM  by its remap     by its remap     runs from where reads go
 *   bus         the device       the device       reads as all ones: a fetch has no side effect
 *   hole        all ones         dropped          reads as all ones
 *
 * All that is kept per page of memory (translated code, page tables in use, dirty logs) goes by mem_addr_t,
 * so that what is shown at two addresses, or moved, is still watched. remap.h changes the map at a tick;
 * watch.h is about writes; master.h is how devices see memory.
 *
 * Owner: the vCPU's thread; others while it stands (before a run, between two, in the devices' step()).
 * Errors: addresses come from the guest; anything beyond MEM_PHYS_BITS is a hole. */
#ifndef TANDEM_MEM_PHYSMEM_H
#define TANDEM_MEM_PHYSMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t phys_addr_t; /* what leaves the CPU or a bus master */
typedef uint32_t mem_addr_t;  /* which byte of the machine's memories */

#define RAM_BYTES_MIN  (UINT64_C(4) << 20)
#define RAM_BYTES_MAX  (UINT64_C(3) << 30) /* the PCI hole starts here */
#define PAGE_BITS      12
#define PAGE_BYTES     4096u
#define MEM_PHYS_BITS  36
#define MEM_ADDED_MAX  (64u << 20) /* bytes of memories other than RAM */
#define MEM_NOWHERE    0xfffff000u /* a mem_addr_t that no memory reaches */
#define MEM_AREAS_MAX  16
#define MEM_VCPUS_MAX  1
#define MEM_REMAPS_MAX 64

enum mem_kind { MEM_BUS, MEM_HOLE, MEM_RAM, MEM_ROM, MEM_VRAM };

/* Where the accesses to a page go. 0: the bus, at the physical address itself. */
typedef uint64_t mem_target_t;
#define MEM_TARGET_KIND   UINT64_C(7)
#define MEM_TARGET_WINDOW UINT64_C(8) /* put there by a window (remap.h) */
/* RAM, ROM, VRAM: `addr` is a mem_addr_t; bus: an address of the bus map. A multiple of PAGE_BYTES. */
static inline mem_target_t mem_target(enum mem_kind kind, uint64_t addr)
{
    return addr | (uint64_t)kind;
}
static inline enum mem_kind mem_target_kind(mem_target_t t)
{
    return (enum mem_kind)(t & MEM_TARGET_KIND);
}
static inline bool mem_target_is_memory(mem_target_t t)
{
    return mem_target_kind(t) >= MEM_RAM;
}
static inline uint64_t mem_target_addr(mem_target_t t)
{
    return t & ~(uint64_t)(PAGE_BYTES - 1);
}

struct map_entry {
    mem_target_t read, write;
};

/* A memory: [first, first + bytes). */
struct mem_area {
    enum mem_kind kind;
    mem_addr_t first;
    uint32_t bytes;
};

struct mem_watcher;
struct mem_remap;

/* Open for the MMU; everybody else uses the functions. */
struct physmem {
    uint8_t *host;         /* all memories */
    uint64_t bytes;        /* of them */
    uint64_t host_bytes;   /* mapped, for memories to come */
    struct map_entry *map; /* per physical page; the host allocates what is touched */
    phys_addr_t addr_mask; /* of the CPU's addresses: A20 */
    uint8_t *clean;        /* per page: bit per log that has seen no write since it was cleared (watch.h) */
    uint64_t *dirty[3];    /* per log: bit per page */
    struct {
        void (*fn)(void *ctx, uint32_t page); /* before the first write to a clean page; NULL: none */
        void *ctx;
        uint8_t clean; /* in the log of this bit */
    } guard;
    unsigned nareas, nremaps;
    struct mem_area area[MEM_AREAS_MAX];
    struct mem_watcher *watcher[MEM_VCPUS_MAX];
    struct mem_remap *remap;
    bool masters_may;    /* devices may use memory now (master.h) */
    bool windows_on_bus; /* those on a memory (remap.h) */
};

/* 0, or an errno (ENOMEM: the host has not that much). RAM is at 0, zero, allocated on touch. */
int physmem_init(struct physmem *pm, uint64_t ram_bytes);
void physmem_free(struct physmem *pm);
/* At start-up, before a vCPU is attached: one more memory, of zeroes, shown nowhere. MEM_NOWHERE: no room. */
mem_addr_t physmem_add(struct physmem *pm, enum mem_kind kind, uint32_t bytes);
/* Shows something in [first, +bytes), whole pages, page after page. At start-up; later the remaps do that. */
void physmem_map(struct physmem *pm, phys_addr_t first, uint64_t bytes, mem_target_t read,
                 mem_target_t write);
/* Machine reset: RAM and video RAM become zero, remaps get their first values. */
void physmem_clear(struct physmem *pm);

/* The first memory of this kind; bytes 0: there is none. */
static inline struct mem_area physmem_area(const struct physmem *pm, enum mem_kind kind)
{
    for (unsigned i = 0; i < pm->nareas; i++)
        if (pm->area[i].kind == kind)
            return pm->area[i];
    return (struct mem_area){0};
}

static inline uint64_t physmem_ram_bytes(const struct physmem *pm)
{
    return pm->area[0].bytes;
}

static inline struct map_entry physmem_entry(const struct physmem *pm, phys_addr_t addr)
{
    if (addr >> MEM_PHYS_BITS)
        return (struct map_entry){MEM_HOLE, MEM_HOLE};
    return pm->map[addr >> PAGE_BITS];
}

/* As the CPU sees it. */
static inline struct map_entry physmem_lookup(const struct physmem *pm, phys_addr_t addr)
{
    return physmem_entry(pm, addr & pm->addr_mask);
}

/* From outside, while the vCPU stands (loaders, tests), by physical address: false: not all of it is memory
 * (then nothing is done), or not all may be written. */
bool physmem_read(const struct physmem *pm, phys_addr_t addr, void *to, size_t bytes);
bool physmem_write(struct physmem *pm, phys_addr_t addr, const void *from, size_t bytes);
/* Likewise by mem_addr_t, ROM too: images, snapshots. In range. */
void physmem_put(struct physmem *pm, mem_addr_t at, const void *from, size_t bytes);
static inline const uint8_t *physmem_page(const struct physmem *pm, uint32_t number)
{
    return pm->host + (uint64_t)number * PAGE_BYTES;
}

#endif
