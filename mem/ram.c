/* ram.c - guest physical RAM: one lazily allocated host mapping and its dirty bits. */
#include "mem/ram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t dirty_words(const struct ram *r)
{
    return (size_t)((r->bytes / PAGE_BYTES + 63) / 64);
}

int ram_init(struct ram *r, uint64_t bytes)
{
    *r = (struct ram){.bytes = bytes};
    void *host =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host == MAP_FAILED)
        return ENOMEM;
    r->host = host;
    r->dirty = calloc(dirty_words(r), sizeof *r->dirty);
    if (!r->dirty) {
        ram_free(r);
        return ENOMEM;
    }
    return 0;
}

void ram_free(struct ram *r)
{
    if (r->host)
        munmap(r->host, r->bytes);
    free(r->dirty);
    *r = (struct ram){0};
}

void ram_clear(struct ram *r)
{
    /* Private anonymous pages read as zero again after MADV_DONTNEED. */
    if (madvise(r->host, r->bytes, MADV_DONTNEED) != 0)
        memset(r->host, 0, r->bytes);
    memset(r->dirty, 0xff, dirty_words(r) * sizeof *r->dirty);
}

static bool in_range(const struct ram *r, uint64_t phys_addr, size_t bytes)
{
    return phys_addr <= r->bytes && bytes <= r->bytes - phys_addr;
}

static void mark_dirty(struct ram *r, uint64_t phys_addr, size_t bytes)
{
    if (bytes == 0)
        return;
    uint64_t last = (phys_addr + bytes - 1) >> PAGE_BITS;
    for (uint64_t page = phys_addr >> PAGE_BITS; page <= last; page++)
        r->dirty[page / 64] |= UINT64_C(1) << (page % 64);
}

bool ram_write(struct ram *r, uint64_t phys_addr, const void *src, size_t bytes)
{
    if (!in_range(r, phys_addr, bytes))
        return false;
    if (bytes)
        memcpy(r->host + phys_addr, src, bytes);
    mark_dirty(r, phys_addr, bytes);
    return true;
}

bool ram_read(const struct ram *r, uint64_t phys_addr, void *dst, size_t bytes)
{
    if (!in_range(r, phys_addr, bytes))
        return false;
    if (bytes)
        memcpy(dst, r->host + phys_addr, bytes);
    return true;
}
