/* watch.h - who is told of writes to guest memory. Every write goes through here, whoever makes it, but for
 * the vCPUs' fast stores, which are to pages that nobody watches (mem_watchers() == 0).
 *
 * Dirty logs: each client has its own; a page is marked by the first write since the client took it.
 * Watchers: one a vCPU. It says per page whether it has translated code there (MEM_WATCH_CODE) or page tables
 * that it relies on (MEM_WATCH_TABLE). It is told of its own stores at once. What others write is put on its
 * list of changes, which it takes before it goes on. Others write only while it stands, so the list needs no
 * lock; the link's hand-over orders it. When the list is full, its ranges grow to cover more than was
 * written: to drop too much code costs time only.
 *
 * Threads: logs and physmem_store: the vCPU's; the rest as physmem.h says. */
#ifndef TANDEM_MEM_WATCH_H
#define TANDEM_MEM_WATCH_H

#include <string.h>

#include "mem/physmem.h"

enum mem_log { MEM_LOG_DIGEST, MEM_LOG_SNAPSHOT, MEM_LOG_SCREEN, MEM_LOGS };

typedef void mem_page_fn(void *ctx, uint32_t page);

/* The digest's log is on from the start, with every page clean: all is zero. */
void physmem_log_start(struct physmem *pm, enum mem_log log); /* every page is dirty */
void physmem_log_stop(struct physmem *pm, enum mem_log log);
bool physmem_log_is_dirty(const struct physmem *pm, enum mem_log log, uint32_t page);
/* Calls back for every dirty page of [first, +pages), ascending, and makes it clean. */
void physmem_log_take(struct physmem *pm, enum mem_log log, uint32_t first, uint32_t pages, mem_page_fn *fn,
                      void *ctx);
/* One client's, of all logs: before the first write to a page that is clean in `log`, fn is called, by
 * whoever is about to write. NULL: nobody is to be called any more. */
void physmem_log_guard(struct physmem *pm, enum mem_log log, mem_page_fn *fn, void *ctx);

enum { MEM_WATCH_CODE = 1, MEM_WATCH_TABLE = 2, MEM_WATCH_CLEAN = 4 };
#define MEM_CHANGES_MAX 32

struct mem_range {
    mem_addr_t first;
    uint64_t bytes;
};

struct mem_watcher {
    void *ctx;
    /* Before its own store to a page with MEM_WATCH_TABLE. */
    void (*table_store)(void *ctx, mem_addr_t at, unsigned bytes);
    /* Behind its own store to a page with MEM_WATCH_CODE. */
    void (*code_store)(void *ctx, mem_addr_t at, unsigned bytes);
    /* Pages that were not watched are now (a log was taken): fast stores to them must end. */
    void (*rearmed)(void *ctx);
    /* The map has changed: translations to physical addresses are void. */
    void (*remapped)(void *ctx);
    uint8_t *pages; /* MEM_WATCH_CODE, _TABLE per page of memory; the watcher's own */
    unsigned nchanges;
    struct mem_range change[MEM_CHANGES_MAX];
};

/* false: no memory. pages: allocated here. */
bool physmem_attach(struct physmem *pm, unsigned vcpu, struct mem_watcher *w);
void physmem_detach(struct physmem *pm, unsigned vcpu);

/* Who watches the page, of this vCPU's view? 0: stores to it need no further ado. */
static inline unsigned mem_watchers(const struct physmem *pm, const struct mem_watcher *w, mem_addr_t at)
{
    uint32_t page = at >> PAGE_BITS;
    return w->pages[page] | (pm->clean[page] ? MEM_WATCH_CLEAN : 0u);
}

void physmem_page_written(struct physmem *pm, uint32_t page); /* for physmem_mark */
/* A vCPU is about to store to the page by itself, once. */
static inline void physmem_mark(struct physmem *pm, mem_addr_t at)
{
    if (pm->clean[at >> PAGE_BITS])
        physmem_page_written(pm, at >> PAGE_BITS);
}

/* The bytes of a value at a place of the host. Fixed sizes: a memcpy of any size is a call. */
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

/* A store of a vCPU, within one page, 1 to 8 bytes. tell: those of MEM_WATCH_CODE and _TABLE that must know;
 * a page walk that sets bits in a table changes nothing that is cached from it. */
void physmem_store(struct physmem *pm, unsigned vcpu, mem_addr_t at, unsigned bytes, uint64_t value,
                   unsigned tell);

/* The oldest of what others changed; false: nothing (any more). */
bool physmem_change_take(struct mem_watcher *w, struct mem_range *out);

#endif
