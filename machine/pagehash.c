/* pagehash.c - see pagehash.h. */
#include "machine/pagehash.h"

#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "syncq/activity.h"
#include "syncq/claim.h"
#include "syncq/pool.h"

#define SPIN 1000 /* looks for a page's end, which takes about a microsecond */

struct pagehash {
    struct physmem *mem;
    uint64_t *page;      /* hash of each page's contents as last seen; its owner is who claims the page */
    uint64_t sum;        /* without what the worker has added */
    struct pool *worker; /* NULL: none */
    /* --- of the last instant, with a worker --- */
    struct claim *claim; /* per page */
    uint32_t *list;      /* pages to hash */
    uint32_t pages;
    bool pending; /* the job is handed out */
    /* --- the worker's from pool_submit until the job is back --- */
    struct pool_job job;
    uint64_t added; /* to the sum */
};

static uint64_t hash_page(const uint8_t *page, uint64_t number)
{
    bool zero = page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
    return zero ? 0 : XXH3_64bits_withSeed(page, PAGE_BYTES, number);
}

/* Returns what the sum grows by. */
static uint64_t rehash(struct pagehash *p, uint32_t number)
{
    uint64_t h = hash_page(physmem_page(p->mem, number), number), more = h - p->page[number];
    p->page[number] = h;
    return more;
}

static uint64_t rehash_claimed(struct pagehash *p, uint32_t number)
{
    if (!claim_take(&p->claim[number]))
        return 0;
    uint64_t more = rehash(p, number);
    claim_done(&p->claim[number]);
    return more;
}

static void run_job(void *ctx, unsigned worker, struct pool_job *job)
{
    struct pagehash *p = ctx;
    (void)worker;
    (void)job;
    for (uint32_t i = 0; i < p->pages; i++)
        p->added += rehash_claimed(p, p->list[i]);
}

static void before_store(void *ctx, uint32_t number)
{
    struct pagehash *p = ctx;
    p->sum += rehash_claimed(p, number);
    claim_wait(&p->claim[number]);
}

static bool start_worker(struct pagehash *p, const struct pagehash_config *cfg)
{
    size_t pages = cfg->mem->bytes / PAGE_BYTES;
    p->claim = calloc(pages, sizeof *p->claim);
    p->list = malloc(pages * sizeof *p->list);
    p->worker = pool_create(&(struct pool_config){.workers = 1,
                                                  .not_on_cpu = cfg->not_on_cpu,
                                                  .jitter_seed = cfg->jitter_seed,
                                                  .activity = ACTIVITY_ACCOUNT,
                                                  .spin = SPIN,
                                                  .run = run_job,
                                                  .ctx = p});
    if (!p->claim || !p->list || !p->worker)
        return false;
    physmem_log_guard(cfg->mem, MEM_LOG_DIGEST, before_store, p);
    return true;
}

struct pagehash *pagehash_create(const struct pagehash_config *cfg)
{
    struct pagehash *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->mem = cfg->mem;
    p->page = calloc(cfg->mem->bytes / PAGE_BYTES, sizeof *p->page);
    if (p->page && (!cfg->worker || start_worker(p, cfg)))
        return p;
    pagehash_destroy(p);
    return NULL;
}

void pagehash_destroy(struct pagehash *p)
{
    if (!p)
        return;
    if (p->worker)
        physmem_log_guard(p->mem, MEM_LOG_DIGEST, NULL, NULL);
    pool_destroy(p->worker);
    free(p->claim);
    free(p->list);
    free(p->page);
    free(p);
}

static void take_page(void *ctx, uint32_t number)
{
    struct pagehash *p = ctx;
    if (!p->worker) {
        p->sum += rehash(p, number);
        return;
    }
    claim_offer(&p->claim[number]);
    p->list[p->pages++] = number;
}

void pagehash_take(struct pagehash *p)
{
    pagehash_sum(p);
    p->pages = 0;
    physmem_log_take(p->mem, MEM_LOG_DIGEST, 0, (uint32_t)(p->mem->bytes / PAGE_BYTES), take_page, p);
    p->pending = p->pages > 0;
    if (p->pending)
        pool_submit(p->worker, &p->job);
}

/* From the list's end, where the worker comes last. */
uint64_t pagehash_sum(struct pagehash *p)
{
    if (!p->pending)
        return p->sum;
    for (uint32_t i = p->pages; i-- > 0;)
        p->sum += rehash_claimed(p, p->list[i]);
    pool_recall(p->worker);
    p->sum += p->added;
    p->added = 0;
    p->pending = false;
    return p->sum;
}

struct activity *pagehash_activity(struct pagehash *p)
{
    return pool_activity(p->worker, 0);
}
