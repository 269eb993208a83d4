/* master.c - see master.h. */
#include "mem/master.h"

#include <string.h>

#include "clockcore/check.h"
#include "mem/watch.h"

void mem_masters_begin(struct physmem *pm)
{
    CHECK(!pm->masters_may);
    pm->masters_may = true;
}

void mem_masters_end(struct physmem *pm)
{
    CHECK(pm->masters_may);
    pm->masters_may = false;
}

static size_t in_page(phys_addr_t addr, size_t bytes)
{
    size_t room = PAGE_BYTES - addr % PAGE_BYTES;
    return bytes < room ? bytes : room;
}

static enum mem_result worse(enum mem_result a, enum mem_result b)
{
    return a > b ? a : b;
}

/* One page's part. */
static enum mem_result read_part(const struct physmem *pm, phys_addr_t addr, uint8_t *to, size_t n)
{
    mem_target_t t = physmem_entry(pm, addr).read;
    if (!mem_target_is_memory(t)) {
        memset(to, 0xff, n);
        return MEM_NOT_THERE;
    }
    memcpy(to, pm->host + mem_target_addr(t) + addr % PAGE_BYTES, n);
    return MEM_OK;
}

static enum mem_result write_part(struct physmem *pm, phys_addr_t addr, const uint8_t *from, size_t n)
{
    struct map_entry s = physmem_entry(pm, addr);
    if (!mem_target_is_memory(s.write))
        return mem_target_is_memory(s.read) ? MEM_READ_ONLY : MEM_NOT_THERE;
    if (mem_target_kind(s.write) == MEM_ROM)
        return MEM_READ_ONLY;
    physmem_put(pm, (mem_addr_t)(mem_target_addr(s.write) + addr % PAGE_BYTES), from, n);
    return MEM_OK;
}

enum mem_result mem_master_read(const struct mem_master *mm, phys_addr_t addr, void *to, size_t bytes)
{
    enum mem_result result = MEM_OK;
    CHECK(mm->pm->masters_may);
    for (uint8_t *p = to; bytes;) {
        size_t n = in_page(addr, bytes);
        result = worse(result, read_part(mm->pm, addr, p, n));
        addr += n; /* beyond 2^64 it begins at 0 again */
        p += n;
        bytes -= n;
    }
    return result;
}

enum mem_result mem_master_write(const struct mem_master *mm, phys_addr_t addr, const void *from,
                                 size_t bytes)
{
    enum mem_result result = MEM_OK;
    CHECK(mm->pm->masters_may);
    for (const uint8_t *p = from; bytes;) {
        size_t n = in_page(addr, bytes);
        result = worse(result, write_part(mm->pm, addr, p, n));
        addr += n;
        p += n;
        bytes -= n;
    }
    return result;
}
