/* watch.c - see watch.h. */
#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "mem/watch_internal.h"

_Static_assert(sizeof(((struct physmem *)0)->dirty) == MEM_LOGS * sizeof(uint64_t *), "a bitmap per log");

/* --- dirty logs --- */

static uint64_t pages_max(const struct physmem *pm)
{
    return pm->host_bytes / PAGE_BYTES;
}

static size_t log_bytes(const struct physmem *pm)
{
    return (size_t)((pages_max(pm) + 63) / 64) * sizeof(uint64_t);
}

bool physmem_logs_init(struct physmem *pm)
{
    pm->clean = malloc(pages_max(pm));
    for (unsigned i = 0; i < MEM_LOGS; i++)
        pm->dirty[i] = calloc(1, log_bytes(pm));
    if (!pm->clean || !pm->dirty[MEM_LOG_DIGEST] || !pm->dirty[MEM_LOG_SNAPSHOT] ||
        !pm->dirty[MEM_LOG_SCREEN])
        return false;
    memset(pm->clean, 1 << MEM_LOG_DIGEST, pages_max(pm));
    return true;
}

void physmem_logs_free(struct physmem *pm)
{
    free(pm->clean);
    for (unsigned i = 0; i < MEM_LOGS; i++)
        free(pm->dirty[i]);
}

void physmem_log_start(struct physmem *pm, enum mem_log log)
{
    for (uint64_t page = 0; page < pages_max(pm); page++)
        pm->clean[page] &= (uint8_t) ~(1u << log);
    memset(pm->dirty[log], 0xff, log_bytes(pm));
}

void physmem_log_stop(struct physmem *pm, enum mem_log log)
{
    physmem_log_start(pm, log);
}

bool physmem_log_is_dirty(const struct physmem *pm, enum mem_log log, uint32_t page)
{
    return pm->dirty[log][page / 64] >> (page % 64) & 1;
}

void physmem_log_guard(struct physmem *pm, enum mem_log log, mem_page_fn *fn, void *ctx)
{
    pm->guard.fn = fn;
    pm->guard.ctx = ctx;
    pm->guard.clean = (uint8_t)(1u << log);
}

void physmem_page_written(struct physmem *pm, uint32_t page)
{
    if (pm->guard.fn && (pm->clean[page] & pm->guard.clean))
        pm->guard.fn(pm->guard.ctx, page);
    for (unsigned left = pm->clean[page]; left; left &= left - 1)
        pm->dirty[__builtin_ctz(left)][page / 64] |= UINT64_C(1) << (page % 64);
    pm->clean[page] = 0;
}

static void rearmed(struct physmem *pm)
{
    for (unsigned i = 0; i < MEM_VCPUS_MAX; i++)
        if (pm->watcher[i])
            pm->watcher[i]->rearmed(pm->watcher[i]->ctx);
}

/* Bits of [first, end) in the word that begins with page `base`. */
static uint64_t word_mask(uint64_t base, uint64_t first, uint64_t end)
{
    uint64_t mask = ~UINT64_C(0);
    if (first > base)
        mask &= ~UINT64_C(0) << (first - base);
    if (end < base + 64)
        mask &= (UINT64_C(1) << (end - base)) - 1;
    return mask;
}

void physmem_log_take(struct physmem *pm, enum mem_log log, uint32_t first, uint32_t pages, mem_page_fn *fn,
                      void *ctx)
{
    uint64_t end = (uint64_t)first + pages;
    CHECK(end <= pm->bytes / PAGE_BYTES);
    for (uint64_t base = first & ~63u; base < end; base += 64) {
        uint64_t *word = &pm->dirty[log][base / 64], bits = *word & word_mask(base, first, end);
        *word &= ~bits;
        for (; bits; bits &= bits - 1) {
            uint32_t page = (uint32_t)base + (uint32_t)__builtin_ctzll(bits);
            pm->clean[page] |= (uint8_t)(1u << log);
            fn(ctx, page);
        }
    }
    rearmed(pm);
}

/* --- watchers --- */

bool physmem_attach(struct physmem *pm, unsigned vcpu, struct mem_watcher *w)
{
    CHECK(vcpu < MEM_VCPUS_MAX && !pm->watcher[vcpu]);
    w->pages = calloc(pages_max(pm), 1);
    w->nchanges = 0;
    if (!w->pages)
        return false;
    pm->watcher[vcpu] = w;
    return true;
}

void physmem_detach(struct physmem *pm, unsigned vcpu)
{
    if (!pm->watcher[vcpu])
        return;
    free(pm->watcher[vcpu]->pages);
    pm->watcher[vcpu]->pages = NULL;
    pm->watcher[vcpu] = NULL;
}

void physmem_remapped(struct physmem *pm)
{
    for (unsigned i = 0; i < MEM_VCPUS_MAX; i++)
        if (pm->watcher[i])
            pm->watcher[i]->remapped(pm->watcher[i]->ctx);
}

/* --- a vCPU's stores --- */

void physmem_store(struct physmem *pm, unsigned vcpu, mem_addr_t at, unsigned bytes, uint64_t value,
                   unsigned tell)
{
    const struct mem_watcher *w = pm->watcher[vcpu];
    uint32_t page = at >> PAGE_BITS;
    unsigned told = w->pages[page] & tell;
    if (told & MEM_WATCH_TABLE)
        w->table_store(w->ctx, at, bytes);
    physmem_mark(pm, at);
    host_put(pm->host + at, bytes, value);
    if (told & MEM_WATCH_CODE)
        w->code_store(w->ctx, at, bytes);
}

/* --- everybody else's writes --- */

static uint64_t range_end(const struct mem_range *r)
{
    return r->first + r->bytes;
}

/* Both, and what lies between. */
static struct mem_range range_span(struct mem_range a, struct mem_range b)
{
    mem_addr_t first = a.first < b.first ? a.first : b.first;
    uint64_t end = range_end(&a) > range_end(&b) ? range_end(&a) : range_end(&b);
    return (struct mem_range){first, end - first};
}

static void change_add(struct mem_watcher *w, struct mem_range r)
{
    struct mem_range *last = &w->change[w->nchanges - 1];
    if (w->nchanges && r.first <= range_end(last) && last->first <= range_end(&r))
        *last = range_span(*last, r);
    else if (w->nchanges < MEM_CHANGES_MAX)
        w->change[w->nchanges++] = r;
    else
        *last = range_span(*last, r);
}

static bool is_watched(const struct mem_watcher *w, const struct mem_range *r)
{
    for (uint64_t page = r->first >> PAGE_BITS; page << PAGE_BITS < range_end(r); page++)
        if (w->pages[page])
            return true;
    return false;
}

void physmem_mark_range(struct physmem *pm, mem_addr_t at, uint64_t bytes)
{
    for (uint64_t page = at >> PAGE_BITS; page << PAGE_BITS < at + bytes; page++)
        if (pm->clean[page])
            physmem_page_written(pm, (uint32_t)page);
}

void physmem_changed(struct physmem *pm, mem_addr_t at, uint64_t bytes)
{
    const struct mem_range r = {at, bytes};
    for (unsigned i = 0; i < MEM_VCPUS_MAX; i++)
        if (pm->watcher[i] && is_watched(pm->watcher[i], &r))
            change_add(pm->watcher[i], r);
}

void physmem_put(struct physmem *pm, mem_addr_t at, const void *from, size_t bytes)
{
    CHECK(at <= pm->bytes && bytes <= pm->bytes - at);
    if (bytes == 0)
        return;
    physmem_mark_range(pm, at, bytes);
    memcpy(pm->host + at, from, bytes);
    physmem_changed(pm, at, bytes);
}

bool physmem_change_take(struct mem_watcher *w, struct mem_range *out)
{
    if (w->nchanges == 0)
        return false;
    *out = w->change[--w->nchanges];
    return true;
}
