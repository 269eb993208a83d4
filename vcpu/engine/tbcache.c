/* tbcache.c - the table of translation blocks and what happens when guest code changes.
 *
 * Blocks live in one arena and are found by address in memory (mem_addr_t), linear address, code segment base
 * and limit, and mode. When the arena is full, its oldest generation goes as a whole; nothing is freed one by
 * one, so a block that has been invalidated (valid = 0) may still be running, and pointers to it stay
 * readable until tb_flushes says that memory of blocks is reused.
 * Blocks of programs may go to another linear address, where the bytes that they were made of are seen.
 *
 * Invariants: every valid block is in the hash table and in the list of each page that it covers;
 * a page's chunk bitmap has a bit for every 64 bytes that a valid block covers, and may have more; pages with
 * blocks have no fast write tag. The interpreter never chains to a block that crosses a page end, nor is it
 * in the jump cache: its second page is looked up each time. */
#include "clockcore/check.h"
#include "syncq/activity.h"
#include "vcpu/engine/engine.h"

#include "translator/translate.h"

#include <string.h>
#include <sys/mman.h>

#define TB_ARENA_BYTES (UINT64_C(128) << 20) /* at most, and so many times the code cache */
#define TB_ARENA_TIMES 16
#define TB_GENERATIONS 4
#define TB_HASH_BITS   18
#define CHUNK_BITS     6 /* 64 chunks of 64 bytes in a page: one word of bits */

struct code_page {
    struct tb *list; /* through in_page */
    uint64_t chunks;
    uint16_t gap_first, gap_end; /* no code in [gap_first, gap_end) of the page, where writes went lately */
    bool stale;                  /* chunks has bits of blocks that went */
    /* Linear pages at which blocks for it lie (tbcache_place); 0: none. */
    uint32_t now;  /* where all went last */
    uint32_t was;  /* where they came from */
    uint32_t kept; /* where another set of blocks stays */
};

struct tbcache {
    uint8_t *arena;
    size_t generation_bytes;
    size_t used[TB_GENERATIONS]; /* bytes of each */
    unsigned now;                /* the generation that grows; the one behind it is the oldest */
    struct code_page *pages;     /* per page of memory */
    uint32_t npages;
    uint64_t hash[1u << TB_HASH_BITS];      /* see hash_first() */
    struct tb *movable[1u << TB_HASH_BITS]; /* the last one built, by movable_hash_of(); it may be invalid */
    struct translate_out out;
};

/* What a block must match to be the one for the current state. */
struct tb_key {
    uint32_t phys_addr, lin_addr, cs_base, cs_limit, mode;
};

static void *map_zero(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_HUGEPAGE); /* a wish: the host's TLB reaches further */
    return p;
}

static size_t arena_bytes(size_t code_cache_bytes)
{
    const size_t bytes = code_cache_bytes * TB_ARENA_TIMES;
    return bytes && bytes < TB_ARENA_BYTES ? bytes : TB_ARENA_BYTES;
}

bool tbcache_init(struct vcpu *v)
{
    struct tbcache *c = map_zero(sizeof *c);
    if (!c)
        return false;
    v->tbs = c;
    c->npages = (uint32_t)(v->cfg.mem->bytes / PAGE_BYTES);
    c->generation_bytes = arena_bytes(v->cfg.code_cache_bytes) / TB_GENERATIONS;
    c->arena = map_zero(c->generation_bytes * TB_GENERATIONS);
    c->pages = map_zero(c->npages * sizeof *c->pages);
    if (c->arena && c->pages)
        return true;
    tbcache_free(v);
    return false;
}

void tbcache_free(struct vcpu *v)
{
    struct tbcache *c = v->tbs;
    if (!c)
        return;
    if (c->arena)
        munmap(c->arena, c->generation_bytes * TB_GENERATIONS);
    if (c->pages)
        munmap(c->pages, c->npages * sizeof *c->pages);
    munmap(c, sizeof *c);
    v->tbs = NULL;
}

/* --- which bytes a block covers --- */

struct code_range {
    uint32_t first, bytes; /* physical; bytes 0: none */
};

static struct code_range tb_range(const struct tb *tb, unsigned which)
{
    uint32_t first = tb->phys_addr + (uint32_t)tb->low, room = PAGE_BYTES - (first & PAGE_OFFSET_MASK);
    if (which == 0)
        return (struct code_range){first, tb->bytes < room ? tb->bytes : room};
    if (!tb->span)
        return (struct code_range){0};
    return (struct code_range){tb->span->more[which - 1].phys_addr, tb->span->more[which - 1].bytes};
}

static bool tb_covers(const struct tb *tb, uint64_t phys_addr, uint64_t bytes)
{
    for (unsigned which = 0; which < TB_PAGES; which++) {
        struct code_range r = tb_range(tb, which);
        if (r.bytes && phys_addr < (uint64_t)r.first + r.bytes && r.first < phys_addr + bytes)
            return true;
    }
    return false;
}

/* Bits of the chunks of [offset, +bytes) in a page; bytes > 0, not past the page's end. */
static uint64_t chunk_bits(uint32_t offset, uint32_t bytes)
{
    unsigned first = offset >> CHUNK_BITS, last = (offset + bytes - 1) >> CHUNK_BITS;
    return ~UINT64_C(0) >> (63 - last) & ~UINT64_C(0) << first;
}

static uint64_t tb_chunks_in(const struct tb *tb, uint32_t phys_page)
{
    uint64_t bits = 0;
    for (unsigned which = 0; which < TB_PAGES; which++) {
        struct code_range r = tb_range(tb, which);
        if (r.bytes && PAGE_OF(r.first) == phys_page)
            bits |= chunk_bits(r.first & PAGE_OFFSET_MASK, r.bytes);
    }
    return bits;
}

/* --- page lists --- */

static struct code_page *code_page_at(const struct vcpu *v, uint32_t phys_addr)
{
    uint32_t page = phys_addr >> PAGE_BITS;
    return page < v->tbs->npages ? &v->tbs->pages[page] : NULL;
}

/* A block's place in the list of phys_page, where it lies. */
static struct tb_page_link *page_link(struct tb *tb, uint32_t phys_page)
{
    unsigned which = 0;
    while (PAGE_OF(tb_range(tb, which).first) != phys_page)
        which++;
    return which == 0 ? &tb->in_page : &tb->span->in_page[which - 1];
}

static struct tb *page_next(struct tb *tb, uint32_t phys_page)
{
    return page_link(tb, phys_page)->next;
}

static void page_list_push(struct tb **list, struct tb *tb, uint32_t phys_page)
{
    struct tb_page_link *link = page_link(tb, phys_page);
    *link = (struct tb_page_link){*list, list};
    if (link->next)
        page_link(link->next, phys_page)->from = &link->next;
    *list = tb;
}

static void page_list_remove(struct tb *tb, uint32_t phys_page)
{
    const struct tb_page_link *link = page_link(tb, phys_page);
    *link->from = link->next;
    if (link->next)
        page_link(link->next, phys_page)->from = link->from;
}

static void page_add(struct vcpu *v, struct tb *tb, uint32_t phys_page)
{
    struct code_page *p = code_page_at(v, phys_page);
    if (!p)
        return; /* in no memory: nothing can change it */
    const bool first = !p->list;
    page_list_push(&p->list, tb, phys_page);
    p->chunks |= tb_chunks_in(tb, phys_page);
    p->gap_end = 0;
    if (!first)
        return;
    v->watcher.pages[phys_page >> PAGE_BITS] |= MEM_WATCH_CODE;
    tlb_protect_page(v, phys_page);
}

static void page_remove(struct vcpu *v, struct tb *tb, uint32_t phys_page)
{
    struct code_page *p = code_page_at(v, phys_page);
    if (!p)
        return;
    page_list_remove(tb, phys_page);
    p->stale = true;
    if (!p->list)
        v->watcher.pages[phys_page >> PAGE_BITS] &= (uint8_t)~MEM_WATCH_CODE;
}

/* Bits of blocks that went stay until they have sent somebody here in vain: so that to drop n blocks takes n
 * steps. */
static void page_recount(struct code_page *p, uint32_t phys_page)
{
    p->stale = false;
    p->chunks = 0;
    for (struct tb *t = p->list; t; t = page_next(t, phys_page))
        p->chunks |= tb_chunks_in(t, phys_page);
}

/* Calls `f` for each page of memory that the block lies on. */
static void each_page(struct vcpu *v, struct tb *tb,
                      void (*f)(struct vcpu *v, struct tb *tb, uint32_t phys_page))
{
    f(v, tb, PAGE_OF(tb_range(tb, 0).first));
    for (unsigned which = 1; tb->span && which < TB_PAGES; which++) {
        struct code_range r = tb_range(tb, which);
        if (r.bytes && page_link(tb, PAGE_OF(r.first)) == &tb->span->in_page[which - 1])
            f(v, tb, PAGE_OF(r.first));
    }
}

/* --- hash table --- */

/* The linear address counts: a shared library lies at another one in each process, and its pages in all. */
static uint32_t hash_of(uint32_t phys_addr, uint32_t lin_addr, uint32_t mode)
{
    return (phys_addr ^ mode << 20 ^ lin_addr * 0x85ebca6bu) * 0x9e3779b1u;
}

static unsigned movable_hash_of(uint32_t phys_addr, uint32_t mode)
{
    return hash_of(phys_addr, 0, mode) >> (32 - TB_HASH_BITS);
}

static bool key_matches(const struct tb *tb, const struct tb_key *k)
{
    return tb->phys_addr == k->phys_addr && tb->lin_addr == k->lin_addr && tb->mode == k->mode &&
           tb->cs_base == k->cs_base && tb->cs_limit == k->cs_limit;
}

/* A head is the chain's first block and, above its address, marks: a bit for each block in the chain, and for
 * some that went, by another part of its hash. Most code that is looked up is new, and the marks say so
 * without a look at blocks, which are not in the host's caches. */
enum { HASH_PTR_BITS = 48, HASH_MARKS_BITS = 4 };
#define HASH_PTR_MASK ((UINT64_C(1) << HASH_PTR_BITS) - 1)

static uint64_t *hash_head(const struct vcpu *v, uint32_t hash)
{
    return &v->tbs->hash[hash >> (32 - TB_HASH_BITS)];
}

static uint64_t hash_mark(uint32_t hash)
{
    return UINT64_C(1) << HASH_PTR_BITS
                       << (hash >> (32 - TB_HASH_BITS - HASH_MARKS_BITS) & ((1u << HASH_MARKS_BITS) - 1));
}

static struct tb *head_first(uint64_t head)
{
    return (struct tb *)(uintptr_t)(head & HASH_PTR_MASK);
}

static uint64_t head_with(uint64_t head, const struct tb *first)
{
    const uint64_t at = (uintptr_t)first;
    CHECK(at <= HASH_PTR_MASK);
    return (head & ~HASH_PTR_MASK) | at;
}

static uint32_t hash_of_tb(const struct tb *tb)
{
    return hash_of(tb->phys_addr, tb->lin_addr, tb->mode);
}

/* The first block of the chain that the key would be in; NULL: it is in none. */
static struct tb *hash_first(const struct vcpu *v, const struct tb_key *k)
{
    const uint32_t hash = hash_of(k->phys_addr, k->lin_addr, k->mode);
    const uint64_t head = *hash_head(v, hash);
    return head & hash_mark(hash) ? head_first(head) : NULL;
}

static void hash_remove(struct vcpu *v, struct tb *tb)
{
    uint64_t *head = hash_head(v, hash_of_tb(tb));
    struct tb *before = head_first(*head);
    if (before == tb) {
        *head = tb->hash_next ? head_with(*head, tb->hash_next) : 0;
        return;
    }
    while (before->hash_next != tb)
        before = before->hash_next;
    before->hash_next = tb->hash_next;
}

static void hash_add(struct vcpu *v, struct tb *tb)
{
    const uint32_t hash = hash_of_tb(tb);
    uint64_t *head = hash_head(v, hash);
    tb->hash_next = head_first(*head);
    *head = head_with(*head, tb) | hash_mark(hash);
}

static struct tb *hash_find(const struct vcpu *v, const struct tb_key *k)
{
    struct tb *tb = hash_first(v, k);
    while (tb && !(tb->valid && key_matches(tb, k)))
        tb = tb->hash_next;
    return tb;
}

static void tb_insert(struct vcpu *v, struct tb *tb)
{
    hash_add(v, tb);
    each_page(v, tb, page_add);
}

static void jump_forget(struct vcpu *v, const struct tb *tb)
{
    const unsigned index = jump_index(tb->lin_addr, PAGE_OF(tb->phys_addr));
    for (unsigned way = 0; way < 2; way++)
        if (v->jump[index ^ way].tb == tb)
            v->jump[index ^ way] = (struct jump_entry){0};
}

static void tb_drop(struct vcpu *v, struct tb *tb)
{
    hash_remove(v, tb);
    each_page(v, tb, page_remove);
    jump_forget(v, tb);
    tb->valid = 0;
    compiled_block_dropped(v, tb);
    v->stats.tb_invalidated++;
}

/* --- blocks go --- */

static uint8_t *generation_at(const struct tbcache *c, unsigned which)
{
    return c->arena + which * c->generation_bytes;
}

static void each_in_generation(struct vcpu *v, unsigned which,
                               void (*f)(struct vcpu *v, struct tb *tb, void *ctx), void *ctx)
{
    const struct tbcache *c = v->tbs;
    for (size_t at = 0; at < c->used[which];) {
        struct tb *tb = (struct tb *)(generation_at(c, which) + at);
        f(v, tb, ctx);
        at += tb->arena_bytes;
    }
}

void tbcache_each(struct vcpu *v, void (*f)(struct vcpu *v, struct tb *tb, void *ctx), void *ctx)
{
    for (unsigned which = 0; which < TB_GENERATIONS; which++)
        each_in_generation(v, which, f, ctx);
}

static void forget_pages(struct vcpu *v, struct tb *tb, void *ctx)
{
    (void)ctx;
    for (unsigned which = 0; which < TB_PAGES; which++) {
        const struct code_range r = tb_range(tb, which);
        struct code_page *p = code_page_at(v, r.first);
        if (!p || !r.bytes)
            continue;
        *p = (struct code_page){0};
        v->watcher.pages[r.first >> PAGE_BITS] &= (uint8_t)~MEM_WATCH_CODE;
    }
}

void tbcache_flush(struct vcpu *v)
{
    struct tbcache *c = v->tbs;
    if (c->now == 0 && c->used[0] == 0)
        return; /* no block was made since the last flush */
    if (v->hot)
        hotlist_keep(v);
    tbcache_each(v, forget_pages, NULL);
    compiled_flush(v);
    memset(c->used, 0, sizeof c->used);
    c->now = 0;
    memset(c->hash, 0, sizeof c->hash);
    memset(c->movable, 0, sizeof c->movable);
    memset(v->jump, 0, sizeof v->jump);
    v->tb_flushes++;
}

/* The memory of a generation. */
struct range {
    const uint8_t *from;
    size_t bytes;
};

/* NULL is in none. */
static bool is_in(const struct range *r, const struct tb *tb)
{
    return (size_t)((const uint8_t *)tb - r->from) < r->bytes;
}

static void block_goes(struct vcpu *v, struct tb *tb, void *ctx)
{
    (void)ctx;
    if (!tb->valid)
        return;
    hash_remove(v, tb);
    tb->valid = 0;
    compiled_block_dropped(v, tb);
}

static void forget_chains(struct vcpu *v, struct tb *tb, void *ctx)
{
    (void)v;
    for (unsigned i = 0; i < tb->nexits; i++)
        if (is_in(ctx, tb->exits[i].chain))
            tb->exits[i].chain = NULL;
}

/* Takes what goes off the page's list. */
static void page_forget(struct vcpu *v, uint32_t phys_page, const struct range *goes)
{
    struct code_page *p = code_page_at(v, phys_page);
    for (struct tb *tb = p->list, *next; tb; tb = next) {
        next = page_next(tb, phys_page);
        if (is_in(goes, tb))
            page_list_remove(tb, phys_page);
    }
    p->stale = true;
    if (p->list)
        return;
    *p = (struct code_page){0};
    v->watcher.pages[phys_page >> PAGE_BITS] &= (uint8_t)~MEM_WATCH_CODE;
}

static void generation_drop(struct vcpu *v, unsigned which)
{
    struct tbcache *c = v->tbs;
    struct range goes = {generation_at(c, which), c->generation_bytes};
    if (v->native)
        compiling_recall(v);
    each_in_generation(v, which, block_goes, NULL);
    for (uint32_t page = 0; page < c->npages; page++)
        if (c->pages[page].list)
            page_forget(v, page << PAGE_BITS, &goes);
    c->used[which] = 0;
    tbcache_each(v, forget_chains, &goes);
    for (unsigned i = 0; i < sizeof c->movable / sizeof c->movable[0]; i++)
        if (is_in(&goes, c->movable[i]))
            c->movable[i] = NULL;
    memset(v->jump, 0, sizeof v->jump);
    v->tb_flushes++;
}

static unsigned generation_behind(const struct tbcache *c)
{
    return (c->now + 1) % TB_GENERATIONS;
}

/* Executions are counted, and an armed operation is forgotten (interp.c), for all blocks at once. */
static void generation_begin(struct vcpu *v)
{
    struct tbcache *c = v->tbs;
    const unsigned next = generation_behind(c);
    if (c->used[next] && (v->hot || v->inner_sample.op)) {
        tbcache_flush(v);
        return;
    }
    if (c->used[next])
        generation_drop(v, next);
    c->now = next;
}

/* Is there room without any block going? */
static bool arena_has_room(const struct tbcache *c, size_t bytes)
{
    return c->used[c->now] + bytes <= c->generation_bytes || !c->used[generation_behind(c)];
}

/* --- changes of guest code --- */

/* Narrows the gap to what lies before or behind a block that does not cover `at`. */
static void gap_narrow(struct code_page *p, const struct tb *tb, uint32_t phys_page, uint32_t at)
{
    for (unsigned which = 0; which < TB_PAGES; which++) {
        struct code_range r = tb_range(tb, which);
        uint32_t first = r.first & PAGE_OFFSET_MASK;
        if (!r.bytes || PAGE_OF(r.first) != phys_page)
            continue;
        if (first > at && first < p->gap_end)
            p->gap_end = (uint16_t)first;
        if (first <= at && first + r.bytes > p->gap_first)
            p->gap_first = (uint16_t)(first + r.bytes);
    }
}

/* Data beside code are written again and again: the list is walked once for all of them. */
static void gap_find(struct code_page *p, uint32_t phys_page, uint32_t at)
{
    p->gap_first = 0;
    p->gap_end = PAGE_BYTES;
    for (struct tb *t = p->list; t; t = page_next(t, phys_page))
        gap_narrow(p, t, phys_page, at);
}

static struct tb *first_overlap(const struct vcpu *v, uint64_t phys_addr, uint64_t bytes)
{
    uint32_t phys_page = PAGE_OF((uint32_t)phys_addr);
    struct code_page *p = code_page_at(v, phys_page);
    if (!p || !(p->chunks & chunk_bits((uint32_t)phys_addr & PAGE_OFFSET_MASK, (uint32_t)bytes)))
        return NULL;
    uint32_t at = (uint32_t)phys_addr & PAGE_OFFSET_MASK;
    if (at >= p->gap_first && at + bytes <= p->gap_end)
        return NULL;
    struct tb *tb = p->list;
    while (tb && !tb_covers(tb, phys_addr, bytes))
        tb = page_next(tb, phys_page);
    if (!tb && p->stale)
        page_recount(p, phys_page);
    if (!tb)
        gap_find(p, phys_page, at);
    return tb;
}

bool tbcache_overlaps(const struct vcpu *v, mem_addr_t at, unsigned bytes)
{
    return first_overlap(v, at, bytes) != NULL;
}

static void invalidate_in_page(struct vcpu *v, uint64_t phys_addr, uint64_t bytes)
{
    struct tb *tb;
    while ((tb = first_overlap(v, phys_addr, bytes)))
        tb_drop(v, tb);
}

void tbcache_invalidate(struct vcpu *v, mem_addr_t first, uint64_t bytes)
{
    uint64_t at = first, end = at + bytes;
    while (at < end) {
        uint64_t page_end = (at | PAGE_OFFSET_MASK) + 1;
        uint64_t n = (page_end < end ? page_end : end) - at;
        invalidate_in_page(v, at, n);
        at += n;
    }
}

/* --- finding and building blocks --- */

static size_t align_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) & ~(to - 1);
}

/* The block, its ops, exits and offsets. */
static size_t tb_plain_bytes(const struct translate_out *out)
{
    size_t bytes = sizeof(struct tb) + out->nops * sizeof(struct ir_op) +
                   out->nexits * sizeof(struct tb_exit) + (out->ninsns + 1) * sizeof out->insn_offset[0];
    return align_up(bytes, _Alignof(struct tb_span));
}

/* Those, what a block on several pages has, and counters. */
static size_t tb_bytes(const struct vcpu *v, const struct translate_out *out, bool spans)
{
    return align_up(
        tb_plain_bytes(out) + (spans ? sizeof(struct tb_span) : 0) + (v->hot ? 2 * sizeof(uint64_t) : 0), 64);
}

static struct tb *tb_alloc(struct vcpu *v, size_t bytes)
{
    struct tbcache *c = v->tbs;
    if (c->used[c->now] + bytes > c->generation_bytes)
        generation_begin(v);
    struct tb *tb = (struct tb *)(generation_at(c, c->now) + c->used[c->now]);
    c->used[c->now] += bytes;
    return tb;
}

/* Where the parts of a block lie behind it. */
static void tb_lay_out(struct tb *tb)
{
    tb->exits = (struct tb_exit *)(tb->ops + tb->nops);
    tb->insn_offset = (const int32_t *)(tb->exits + tb->nexits);
}

static struct tb *tb_fill(struct vcpu *v, const struct translate_out *out, bool spans)
{
    const size_t bytes = tb_bytes(v, out, spans);
    struct tb *tb = tb_alloc(v, bytes);
    memset(tb, 0, sizeof *tb);
    tb->arena_bytes = (uint32_t)bytes;
    tb->nops = (uint16_t)out->nops;
    tb->ninsns = (uint8_t)out->ninsns;
    tb->nexits = (uint8_t)out->nexits;
    tb->low = (int16_t)out->low;
    tb->bytes = (uint16_t)out->bytes;
    tb_lay_out(tb);
    memcpy(tb->ops, out->ops, out->nops * sizeof out->ops[0]);
    memset(tb->exits, 0, bytes - (size_t)((uint8_t *)tb->exits - (uint8_t *)tb));
    if (spans)
        tb->span = (struct tb_span *)((uint8_t *)tb + tb_plain_bytes(out));
    memcpy(tb->exits + out->nexits, out->insn_offset, (out->ninsns + 1) * sizeof out->insn_offset[0]);
    return tb;
}

/* Programs and libraries lie at other linear addresses in each process; kernels do not move. No mark is at an
 * instruction of such a block, which begins a block of its own, and none accesses a device. */
static bool may_move(const struct vcpu *v, const struct tb_key *k)
{
    const uint32_t wanted = TB_MODE_FLAT | TB_MODE_CODE32 | TB_MODE_USER;
    return v->cfg.moved_blocks != MOVED_BLOCKS_OFF && (k->mode & wanted) == wanted && !k->cs_base &&
           !(k->mode & (TB_MODE_SINGLE | TB_MODE_SHORT)) && !marks_has(v, PAGE_OF(k->lin_addr)) &&
           !marks_next(v, PAGE_OF(k->lin_addr)) && !devsites_has(v, k->phys_addr) &&
           !devsites_next(v, PAGE_OF(k->phys_addr));
}

/* Takes a block in whose key and contents are complete. */
static struct tb *tb_take_in(struct vcpu *v, struct tb *tb)
{
    tb->valid = 1;
    tb->marked = marks_has(v, tb->lin_addr);
    compiled_block_built(v, tb);
    tb_insert(v, tb);
    if (tb->movable)
        v->tbs->movable[movable_hash_of(tb->phys_addr, tb->mode)] = tb;
    v->stats.tb_built++;
    v->stats.tb_bytes += tb->bytes;
    v->stats.tb_ops += tb->nops;
    if (v->cfg.log_items)
        blocklog_built(v, tb);
    return tb;
}

static void tb_set_key(struct tb *tb, const struct tb_key *k)
{
    tb->phys_addr = k->phys_addr;
    tb->lin_addr = k->lin_addr;
    tb->cs_base = k->cs_base;
    tb->cs_limit = k->cs_limit;
    tb->mode = k->mode;
}

static bool goes_on_elsewhere(const struct translate_out *out)
{
    unsigned bytes = 0;
    for (unsigned i = 0; i < TB_PAGES - 1; i++)
        bytes |= out->more[i].bytes;
    return bytes != 0;
}

static struct tb *tb_store(struct vcpu *v, const struct tb_key *k, uint32_t phys_page2)
{
    const struct translate_out *out = &v->tbs->out;
    const uint32_t end = (k->phys_addr & PAGE_OFFSET_MASK) + (uint32_t)out->low + out->bytes;
    const bool crosses = end > PAGE_BYTES && phys_page2 != ~0u;
    struct tb *tb = tb_fill(v, out, crosses || goes_on_elsewhere(out));
    tb_set_key(tb, k);
    if (tb->span)
        memcpy(tb->span->more, out->more, sizeof out->more);
    tb->phys_page2 = crosses ? phys_page2 : ~0u;
    if (crosses)
        tb->span->more[0] = (struct tb_part){phys_page2, end - PAGE_BYTES, PAGE_OF(k->lin_addr) + PAGE_BYTES};
    tb->movable = !tb_spans(tb) && !out->fixed && may_move(v, k);
    return tb_take_in(v, tb);
}

static unsigned insns_max(uint32_t mode)
{
    const unsigned log2 = (mode & TB_MODE_SHORT) >> TB_SHORT_SHIFT;
    return mode & TB_MODE_SINGLE ? 1 : log2 ? 1u << log2 : TB_INSNS_MAX;
}

/* Offset of the first instruction behind the block's that belongs to another one; 0: none in the page. */
static uint32_t next_boundary(const struct vcpu *v, const struct tb_key *k)
{
    uint32_t mark = marks_next(v, k->lin_addr), site = devsites_next(v, k->phys_addr);
    return mark && (mark < site || !site) ? mark : site;
}

/* `host_page`: the block's page. */
static struct translate_request request(const struct vcpu *v, const struct tb_key *k,
                                        const uint8_t *host_page)
{
    uint32_t offset = k->lin_addr & PAGE_OFFSET_MASK;
    return (struct translate_request){.eip = k->lin_addr - k->cs_base,
                                      .cs_base = k->cs_base,
                                      .cs_limit = k->cs_limit,
                                      .mode = k->mode,
                                      .code = host_page + offset,
                                      .code_bytes = PAGE_BYTES - offset,
                                      .insns_max = insns_max(k->mode),
                                      .lacks = FEATURES_ALL & ~v->cfg.model.features,
                                      .mark_offset = next_boundary(v, k)};
}

static struct tb_key key_of(const struct tb *tb)
{
    return (struct tb_key){tb->phys_addr, tb->lin_addr, tb->cs_base, tb->cs_limit, tb->mode};
}

/* --- blocks at another linear address --- */

/* A block that is there for the same bytes at another linear address, or NULL. Not while a handler of some
 * block is changed for a sample (interp.c). */
static struct tb *find_movable(const struct vcpu *v, const struct tb_key *k)
{
    struct tb *tb = v->tbs->movable[movable_hash_of(k->phys_addr, k->mode)];
    const bool fits = tb && tb->valid && !v->inner_sample.op && tb->phys_addr == k->phys_addr &&
                      tb->mode == k->mode && arena_has_room(v->tbs, tb->arena_bytes);
    return fits && may_move(v, k) ? tb : NULL;
}

/* The ops are those that translating would give. A long block's need not be: it went the way that counts of
 * then showed. */
static void check_moved(struct vcpu *v, const struct tb *tb)
{
    const struct tb_key k = key_of(tb);
    struct translate_out *out = &v->tbs->out;
    const struct translate_request req = request(v, &k, v->fetch_host);
    if (tb->is_long || v->cfg.long_blocks == LONG_BLOCKS_ANY)
        return;
    CHECK(translate_block(&req, out) == TRANSLATE_OK && out->nops == tb->nops && out->ninsns == tb->ninsns &&
          memcmp(out->ops, tb->ops, tb->nops * sizeof tb->ops[0]) == 0);
}

/* The block for the key, made from one for the same bytes: its ops hold but for eips, and it is as hot. */
static struct tb *tb_move(struct vcpu *v, const struct tb_key *k, const struct tb *from)
{
    struct tb *tb = tb_alloc(v, from->arena_bytes);
    memcpy(tb, from, from->arena_bytes);
    tb_set_key(tb, k);
    tb_lay_out(tb);
    tb->requested = 0;
    tb->native = (struct tb_native){0};
    if (v->hot)
        memset(tb_executions(tb), 0, 2 * sizeof(uint64_t));
    memset(tb->exits, 0, tb->nexits * sizeof *tb->exits);
    ir_move(tb->ops, tb->nops, k->lin_addr - from->lin_addr);
    tb_take_in(v, tb);
    v->stats.tb_moved++;
    if (v->cfg.moved_blocks == MOVED_BLOCKS_CHECKED)
        check_moved(v, tb);
    compiling_copy(v, from, tb);
    return tb;
}

/* --- all blocks of a page at once --- */

/* A worker that compiles a block reads it; code without lists cannot be moved. */
static bool may_place(const struct tb *tb)
{
    return tb->movable && !tb->requested && !tb->marked && (!tb->native.code || tb->native.lists);
}

static void forget_links(struct tb *tb)
{
    for (unsigned i = 0; i < tb->nexits; i++)
        tb->exits[i].chain = NULL;
}

static void place(struct vcpu *v, struct tb *tb, uint32_t by)
{
    hash_remove(v, tb);
    jump_forget(v, tb);
    if (tb->native.code) {
        x64_unchain_spanning(v->native, tb);
        compiled_block_moves(v, tb, by);
    }
    ir_move(tb->ops, tb->nops, by);
    forget_links(tb);
    tb->lin_addr += by;
    hash_add(v, tb);
    v->stats.tb_placed++;
    if (v->cfg.moved_blocks == MOVED_BLOCKS_CHECKED) {
        check_moved(v, tb);
        compiling_check(v, tb);
    }
}

/* Those that stay behind are linked to none of those that go. */
static void page_place(struct vcpu *v, struct code_page *p, uint32_t phys_page, uint32_t from, uint32_t to)
{
    struct tb *tb;
    for (tb = p->list; tb; tb = page_next(tb, phys_page))
        if (PAGE_OF(tb->lin_addr) == from && !may_place(tb)) {
            forget_links(tb);
            if (tb->native.code)
                x64_unchain(v->native, tb);
        }
    for (tb = p->list; tb; tb = page_next(tb, phys_page))
        if (PAGE_OF(tb->lin_addr) == from && may_place(tb))
            place(v, tb, to - from);
}

/* Where the newest blocks are that may go; 0: there are none. */
static uint32_t page_source(struct code_page *p, uint32_t phys_page)
{
    struct tb *tb = p->list;
    while (tb && (PAGE_OF(tb->lin_addr) == p->kept || !may_place(tb)))
        tb = page_next(tb, phys_page);
    return tb ? PAGE_OF(tb->lin_addr) : 0;
}

/* No block is there for the key. Programs end, and what runs next has its code elsewhere: then all blocks of
 * the page go there, instead of each being made anew. If code comes back to where it was, two programs use it
 * in turn, and this address keeps its blocks from now on. The block on whose behalf we are here must not
 * change. */
static void tbcache_place(struct vcpu *v, const struct tb_key *k)
{
    const uint32_t phys_page = PAGE_OF(k->phys_addr), to = PAGE_OF(k->lin_addr);
    struct code_page *p = code_page_at(v, phys_page);
    if (!p || !may_move(v, k) || (v->tb && PAGE_OF(v->tb->phys_addr) == phys_page) || p->now == to ||
        p->kept == to)
        return;
    if (p->was == to) {
        p->kept = to;
        return;
    }
    const uint32_t from = page_source(p, phys_page);
    if (!from || from == to)
        return;
    page_place(v, p, phys_page, from, to);
    p->was = from;
    p->now = to;
}

static struct tb *translate(struct vcpu *v, const struct tb_key *k)
{
    uint32_t phys_page2 = ~0u;
    const struct tb *like = find_movable(v, k);
    if (like) {
        tbcache_place(v, k);
        struct tb *tb = hash_find(v, k);
        return tb ? tb : tb_move(v, k, like);
    }
    struct translate_request req = request(v, k, v->fetch_host);
    req.device = !(k->mode & TB_MODE_SINGLE) && devsites_has(v, k->phys_addr);
    if (v->cfg.long_blocks == LONG_BLOCKS_ANY && longblocks_may(v, k->mode, k->lin_addr, k->phys_addr)) {
        req.insns_max = TB_LONG_INSNS_MAX;
        req.follow = longblocks_follow_any;
        req.page = longblocks_page;
        req.follow_ctx = v;
    }
    if (translate_block(&req, &v->tbs->out) == TRANSLATE_NEED_PAGE2) {
        if (!mem_fetch_page(v, PAGE_OF(k->lin_addr) + PAGE_BYTES, &req.code2, &phys_page2))
            return NULL;
        CHECK(translate_block(&req, &v->tbs->out) == TRANSLATE_OK);
    }
    return tb_store(v, k, phys_page2);
}

const struct tb *tb_peek(const struct vcpu *v, const struct tb *like, uint32_t lin_addr, uint32_t phys_page)
{
    struct tb_key k = key_of(like);
    k.lin_addr = lin_addr;
    k.phys_addr = phys_page | (lin_addr & PAGE_OFFSET_MASK);
    return hash_find(v, &k);
}

bool tb_lengthen(struct vcpu *v, struct tb *tb, enum translate_follow (*follow)(void *ctx, uint32_t eip))
{
    const struct tb_key k = key_of(tb);
    const struct translate_out *out = &v->tbs->out;
    if (PAGE_OF(tb->phys_addr) >= v->cfg.mem->bytes)
        return false;
    struct translate_request req = request(v, &k, v->cfg.mem->host + PAGE_OF(tb->phys_addr));
    req.insns_max = TB_LONG_INSNS_MAX;
    req.follow = follow;
    req.page = longblocks_page;
    req.follow_ctx = v;
    uint8_t before = activity_begin(v->activity, ACTIVITY_TRANSLATE);
    bool done = translate_block(&req, &v->tbs->out) == TRANSLATE_OK && out->ninsns > tb->ninsns &&
                arena_has_room(v->tbs, tb_bytes(v, out, true));
    if (done) {
        tb_drop(v, tb);
        struct tb *longer = tb_store(v, &k, ~0u);
        longer->is_long = 1;
        longer->cold = 0;
        memcpy(longer->went_before, tb->went, sizeof tb->went);
    }
    activity_begin(v->activity, before);
    return done;
}

/* NULL: the second page's fetch faulted. */
static struct tb *tb_build(struct vcpu *v, const struct tb_key *k)
{
    uint8_t before = activity_begin(v->activity, ACTIVITY_TRANSLATE);
    struct tb *tb = translate(v, k);
    activity_begin(v->activity, before);
    return tb;
}

/* Makes the page of lin_addr the current fetch page; false: #PF recorded. */
static bool fetch_select(struct vcpu *v, uint32_t lin_addr)
{
    uint64_t tag = tlb_fetch_tag(v, lin_addr);
    if (v->fetch_tag == tag)
        return true;
    v->fetch_tag = TLB_NONE;
    if (!mem_fetch_page(v, lin_addr, &v->fetch_host, &v->fetch_phys_page))
        return false;
    v->fetch_tag = tag;
    return true;
}

enum lookup { LOOKUP_FAULT, LOOKUP_MISS, LOOKUP_HIT };

/* A block that crosses matches only while its second page is where it was. Asking for that page may set an
 * accessed bit, and that in code: the block may then be valid no more. */
static enum lookup second_page_matches(struct vcpu *v, const struct tb *tb)
{
    const uint8_t *host;
    uint32_t phys_page;
    if (tb->phys_page2 == ~0u)
        return LOOKUP_HIT;
    if (!mem_fetch_page(v, PAGE_OF(tb->lin_addr) + PAGE_BYTES, &host, &phys_page))
        return LOOKUP_FAULT;
    return phys_page == tb->phys_page2 && tb->valid ? LOOKUP_HIT : LOOKUP_MISS;
}

static enum lookup tb_lookup(struct vcpu *v, const struct tb_key *k, struct tb **found)
{
    for (struct tb *tb = hash_first(v, k); tb; tb = tb->hash_next) {
        if (!tb->valid || !key_matches(tb, k)) /* one that went while we were looking still leads on */
            continue;
        enum lookup result = second_page_matches(v, tb);
        if (result == LOOKUP_MISS)
            continue;
        *found = tb;
        return result;
    }
    return LOOKUP_MISS;
}

static struct tb_key key_of_state(const struct vcpu *v, bool single)
{
    const struct guest_state *g = &v->g;
    const struct segment *cs = &g->seg[SEG_CS];
    uint32_t lin_addr = cs->base + g->eip;
    bool flat = g->mode & TB_MODE_FLAT;
    return (struct tb_key){.phys_addr = v->fetch_phys_page | (lin_addr & PAGE_OFFSET_MASK),
                           .lin_addr = lin_addr,
                           .cs_base = cs->base,
                           .cs_limit = flat ? 0xffffffffu : cs->limit,
                           .mode = g->mode | (single ? TB_MODE_SINGLE : 0)};
}

/* The newer two of a pair stay, whoever's place it is: a block that nobody asks for any more keeps no place.
 * MATCH jump_remember */
static void jump_remember(struct vcpu *v, struct tb *tb)
{
    if (tb->phys_page2 != ~0u || (tb->mode & TB_MODE_SINGLE) || tb->marked)
        return;
    unsigned index = jump_index(tb->lin_addr, PAGE_OF(tb->phys_addr));
    if (v->jump[index].key)
        v->jump[index ^ 1] = v->jump[index];
    v->jump[index] = (struct jump_entry){jump_key(tb->lin_addr, tb->mode), tb};
}

static struct tb *find_or_build(struct vcpu *v, const struct tb_key *key)
{
    struct tb *tb = NULL;
    v->stats.tb_lookups++;
    switch (tb_lookup(v, key, &tb)) {
    case LOOKUP_FAULT:
        return NULL;
    case LOOKUP_MISS:
        return tb_build(v, key);
    case LOOKUP_HIT:
        break;
    }
    return tb;
}

/* A mark is reached before its instruction is fetched, which may fault. NULL: the run is to end here. */
static struct tb *tell_mark(struct vcpu *v, struct tb *tb)
{
    return (!tb || tb->marked) && marks_reached(v) ? NULL : tb;
}

struct tb *tb_find(struct vcpu *v, bool single)
{
    uint32_t lin_addr = v->g.seg[SEG_CS].base + v->g.eip;
    if (!fetch_select(v, lin_addr))
        return tell_mark(v, NULL);
    struct tb_key key = key_of_state(v, single);
    unsigned index = jump_index(lin_addr, v->fetch_phys_page);
    struct tb *tb = jump_get(v, index, jump_key(lin_addr, key.mode), v->fetch_phys_page);
    if (tb && key_matches(tb, &key))
        return tb;
    tb = find_or_build(v, &key);
    if (tb)
        jump_remember(v, tb);
    return tell_mark(v, tb);
}

struct tb *tb_find_short(struct vcpu *v, unsigned budget)
{
    struct tb_key key = key_of_state(v, false);
    unsigned log2 = 31 - (unsigned)__builtin_clz(budget);
    log2 = log2 < TB_SHORT_LOG2_MAX ? log2 : TB_SHORT_LOG2_MAX;
    key.mode |= log2 << TB_SHORT_SHIFT;
    return find_or_build(v, &key);
}
