/* physmem.c - see physmem.h. */
#include "mem/physmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clockcore/check.h"
#include "mem/remap.h"
#include "mem/watch_internal.h"

#define SLOTS (UINT64_C(1) << (MEM_PHYS_BITS - PAGE_BITS))

/* --- life --- */

static void *map_lazily(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int physmem_init(struct physmem *pm, uint64_t ram_bytes)
{
    CHECK(ram_bytes % PAGE_BYTES == 0 && ram_bytes <= RAM_BYTES_MAX);
    *pm = (struct physmem){
        .bytes = ram_bytes, .host_bytes = ram_bytes + MEM_ADDED_MAX, .addr_mask = ~UINT64_C(0)};
    pm->host = map_lazily(pm->host_bytes);
    pm->map = map_lazily(SLOTS * sizeof *pm->map);
    if (pm->host)
        madvise(pm->host, pm->host_bytes, MADV_HUGEPAGE); /* a wish: the host's TLB reaches further */
    if (!pm->host || !pm->map || !physmem_logs_init(pm) || !physmem_remaps_init(pm)) {
        physmem_free(pm);
        return ENOMEM;
    }
    pm->area[pm->nareas++] = (struct mem_area){MEM_RAM, 0, (uint32_t)ram_bytes};
    physmem_map(pm, 0, ram_bytes, mem_target(MEM_RAM, 0), mem_target(MEM_RAM, 0));
    return 0;
}

void physmem_free(struct physmem *pm)
{
    if (pm->host)
        munmap(pm->host, pm->host_bytes);
    if (pm->map)
        munmap(pm->map, SLOTS * sizeof *pm->map);
    physmem_logs_free(pm);
    physmem_remaps_free(pm);
    *pm = (struct physmem){0};
}

mem_addr_t physmem_add(struct physmem *pm, enum mem_kind kind, uint32_t bytes)
{
    CHECK(kind >= MEM_RAM && bytes % PAGE_BYTES == 0);
    for (unsigned i = 0; i < MEM_VCPUS_MAX; i++)
        CHECK(!pm->watcher[i]);
    if (pm->nareas == MEM_AREAS_MAX || bytes > pm->host_bytes - pm->bytes)
        return MEM_NOWHERE;
    mem_addr_t at = (mem_addr_t)pm->bytes;
    pm->area[pm->nareas++] = (struct mem_area){kind, at, bytes};
    pm->bytes += bytes;
    return at;
}

static void area_clear(struct physmem *pm, const struct mem_area *a)
{
    physmem_mark_range(pm, a->first, a->bytes);
    /* Private anonymous pages read as zero again after MADV_DONTNEED. */
    if (madvise(pm->host + a->first, a->bytes, MADV_DONTNEED) != 0)
        memset(pm->host + a->first, 0, a->bytes);
    physmem_changed(pm, a->first, a->bytes);
}

void physmem_clear(struct physmem *pm)
{
    for (unsigned i = 0; i < pm->nareas; i++)
        if (pm->area[i].kind != MEM_ROM)
            area_clear(pm, &pm->area[i]);
    physmem_remaps_reset(pm);
}

/* --- the map --- */

/* That of the n-th page after the first. */
static mem_target_t target_page(mem_target_t t, uint64_t n)
{
    bool counts = t != 0 && mem_target_kind(t) != MEM_HOLE;
    return counts ? t + n * PAGE_BYTES : t;
}

void physmem_map(struct physmem *pm, phys_addr_t first, uint64_t bytes, mem_target_t read, mem_target_t write)
{
    CHECK((first | bytes) % PAGE_BYTES == 0 && first + bytes <= UINT64_C(1) << MEM_PHYS_BITS);
    struct map_entry *entry = &pm->map[first >> PAGE_BITS];
    for (uint64_t n = 0; n < bytes / PAGE_BYTES; n++)
        entry[n] = (struct map_entry){target_page(read, n), target_page(write, n)};
}

/* --- from outside --- */

static size_t in_page(phys_addr_t addr, size_t bytes)
{
    size_t room = PAGE_BYTES - addr % PAGE_BYTES;
    return bytes < room ? bytes : room;
}

static bool all_memory(const struct physmem *pm, phys_addr_t addr, uint64_t bytes, bool write)
{
    if (bytes == 0)
        return true;
    if (addr > UINT64_MAX - bytes)
        return false;
    for (phys_addr_t at = addr & ~(phys_addr_t)(PAGE_BYTES - 1); at < addr + bytes; at += PAGE_BYTES) {
        struct map_entry s = physmem_entry(pm, at);
        if (!mem_target_is_memory(s.read) ||
            (write && (s.write != s.read || mem_target_kind(s.write) == MEM_ROM)))
            return false;
    }
    return true;
}

bool physmem_read(const struct physmem *pm, phys_addr_t addr, void *to, size_t bytes)
{
    if (!all_memory(pm, addr, bytes, false))
        return false;
    for (uint8_t *p = to; bytes;) {
        size_t n = in_page(addr, bytes);
        memcpy(p, pm->host + mem_target_addr(physmem_entry(pm, addr).read) + addr % PAGE_BYTES, n);
        addr += n;
        p += n;
        bytes -= n;
    }
    return true;
}

bool physmem_write(struct physmem *pm, phys_addr_t addr, const void *from, size_t bytes)
{
    if (!all_memory(pm, addr, bytes, true))
        return false;
    for (const uint8_t *p = from; bytes;) {
        size_t n = in_page(addr, bytes);
        physmem_put(pm, (mem_addr_t)(mem_target_addr(physmem_entry(pm, addr).write) + addr % PAGE_BYTES), p,
                    n);
        addr += n;
        p += n;
        bytes -= n;
    }
    return true;
}
