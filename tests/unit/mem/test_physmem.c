/* physmem.c, watch.c: what is where, dirty logs, who is told of writes; addresses from guests at every
 * boundary. */
#include "tests/unit/mem/mem_test.h"

static struct physmem pm;
static struct counting c;

Test(physmem, ram_then_the_bus_then_nothing)
{
    start(&pm, &c);
    struct map_entry s = physmem_lookup(&pm, 0x5000);
    cr_assert(same_target(s.read, MEM_RAM, 0x5000) && s.write == s.read);
    cr_assert(same_target(physmem_lookup(&pm, RAM - 1).read, MEM_RAM, RAM - PAGE_BYTES));
    cr_assert_eq(physmem_lookup(&pm, RAM).read, 0);
    cr_assert_eq(mem_target_kind(physmem_lookup(&pm, 0xfffffff0u).read), MEM_BUS);
    const uint64_t last = (UINT64_C(1) << MEM_PHYS_BITS) - 1;
    cr_assert_eq(mem_target_kind(physmem_lookup(&pm, last).write), MEM_BUS);
    cr_assert_eq(mem_target_kind(physmem_lookup(&pm, last + 1).write), MEM_HOLE);
    cr_assert_eq(mem_target_kind(physmem_lookup(&pm, UINT64_MAX).read), MEM_HOLE);
    physmem_free(&pm);
}

Test(physmem, other_memories)
{
    start(&pm, &c);
    mem_addr_t rom = physmem_add(&pm, MEM_ROM, 2 * PAGE_BYTES), vram = physmem_add(&pm, MEM_VRAM, 0x20000);
    cr_assert_eq(rom, RAM);
    cr_assert_eq(vram, RAM + 2 * PAGE_BYTES);
    cr_assert_eq(pm.bytes, RAM + 2 * PAGE_BYTES + 0x20000);
    physmem_put(&pm, rom + PAGE_BYTES - 1, "ab", 2);
    physmem_map(&pm, 0xffffe000u, 2 * PAGE_BYTES, mem_target(MEM_ROM, rom), mem_target(MEM_ROM, rom));
    physmem_map(&pm, 0xa0000, 0x20000, mem_target(MEM_VRAM, vram), mem_target(MEM_VRAM, vram));
    char text[2];
    cr_assert(physmem_read(&pm, 0xffffefff, text, 2) && memcmp(text, "ab", 2) == 0);
    cr_assert(!physmem_write(&pm, 0xffffefff, "x", 1), "a ROM");
    cr_assert(physmem_write(&pm, 0x9ffff, "cd", 2), "from RAM into video RAM");
    cr_assert(pm.host[0x9ffff] == 'c' && pm.host[vram] == 'd' && pm.host[0xa0000] == 0);
    cr_assert_eq(physmem_add(&pm, MEM_VRAM, MEM_ADDED_MAX), MEM_NOWHERE);
    physmem_free(&pm);
}

Test(physmem, from_outside_all_or_nothing)
{
    uint8_t bytes[2 * PAGE_BYTES];
    start(&pm, &c);
    memset(bytes, 0x5a, sizeof bytes);
    cr_assert(physmem_write(&pm, 70 * PAGE_BYTES + 4095, bytes, PAGE_BYTES + 2));
    for (uint32_t page = 69; page <= 73; page++)
        cr_assert_eq(physmem_log_is_dirty(&pm, MEM_LOG_DIGEST, page), page >= 70 && page <= 72);
    cr_assert(physmem_write(&pm, RAM - 16, bytes, 16));
    cr_assert(!physmem_write(&pm, RAM - 15, bytes, 16));
    cr_assert_eq(pm.host[RAM - 17], 0);
    cr_assert(!physmem_read(&pm, UINT64_MAX - 7, bytes, 16));
    cr_assert(!physmem_read(&pm, UINT64_MAX, bytes, 1));
    cr_assert(!physmem_read(&pm, (UINT64_C(1) << MEM_PHYS_BITS) - 1, bytes, 2));
    cr_assert(!physmem_read(&pm, (UINT64_C(1) << 32) + 0x1000, bytes, 1), "no second copy above 4 GiB");
    cr_assert(physmem_read(&pm, RAM, bytes, 0));
    physmem_free(&pm);
}

static uint32_t taken[8];
static unsigned ntaken;

static void take_page(void *ctx, uint32_t page)
{
    if (ntaken < 8)
        taken[ntaken] = page;
    ntaken++;
}

static unsigned take(enum mem_log log, uint32_t first, uint32_t pages)
{
    ntaken = 0;
    physmem_log_take(&pm, log, first, pages, take_page, NULL);
    return ntaken;
}

Test(physmem, each_log_has_its_own_pages)
{
    const uint32_t pages = RAM / PAGE_BYTES;
    start(&pm, &c);
    cr_assert(physmem_attach(&pm, 0, &c.w));
    cr_assert_eq(take(MEM_LOG_DIGEST, 0, pages), 0, "all is zero at first");
    physmem_log_start(&pm, MEM_LOG_SNAPSHOT);
    cr_assert_eq(take(MEM_LOG_SNAPSHOT, 0, pages), pages, "a log begins with everything");
    cr_assert_eq(c.rearms, 2);
    physmem_store(&pm, 0, 64 * PAGE_BYTES, 4, 1, 0);
    cr_assert_eq(mem_watchers(&pm, &c.w, 64 * PAGE_BYTES + 8), 0, "later stores are fast");
    cr_assert_eq(mem_watchers(&pm, &c.w, 63 * PAGE_BYTES), MEM_WATCH_CLEAN);
    cr_assert_eq(take(MEM_LOG_DIGEST, 0, pages), 1);
    cr_assert_eq(taken[0], 64);
    cr_assert_eq(mem_watchers(&pm, &c.w, 64 * PAGE_BYTES), MEM_WATCH_CLEAN,
                 "clean for one, dirty for the other");
    physmem_store(&pm, 0, 63 * PAGE_BYTES, 4, 1, 0);
    cr_assert_eq(take(MEM_LOG_SNAPSHOT, 64, 100), 1, "a part");
    cr_assert_eq(take(MEM_LOG_SNAPSHOT, 0, 64), 1);
    cr_assert_eq(taken[0], 63);
    cr_assert_eq(take(MEM_LOG_SNAPSHOT, 0, pages), 0);
    cr_assert_eq(take(MEM_LOG_DIGEST, 0, pages), 1);
    physmem_log_stop(&pm, MEM_LOG_SNAPSHOT);
    physmem_store(&pm, 0, 7 * PAGE_BYTES, 4, 1, 0);
    cr_assert_eq(mem_watchers(&pm, &c.w, 7 * PAGE_BYTES), 0);
    physmem_detach(&pm, 0);
    physmem_free(&pm);
}

Test(physmem, a_store_tells_who_watches)
{
    start(&pm, &c);
    cr_assert(physmem_attach(&pm, 0, &c.w));
    c.w.pages[5] = MEM_WATCH_TABLE;
    c.w.pages[6] = MEM_WATCH_CODE;
    pm.host[0x5ffc] = 0x77;
    physmem_store(&pm, 0, 0x5ffc, 4, 0x12345678, MEM_WATCH_TABLE | MEM_WATCH_CODE);
    cr_assert(c.table_stores == 1 && c.code_stores == 0 && c.at == 0x5ffc && c.bytes == 4);
    cr_assert_eq(c.seen, 0x77, "told before it changes");
    cr_assert_eq(pm.host[0x5fff], 0x12);
    physmem_store(&pm, 0, 0x5ffc, 4, 1, MEM_WATCH_CODE);
    cr_assert_eq(c.table_stores, 1);
    physmem_store(&pm, 0, 0x6001, 3, 0xaabbcc, MEM_WATCH_TABLE | MEM_WATCH_CODE);
    cr_assert(c.code_stores == 1 && c.bytes == 3 && pm.host[0x6003] == 0xaa && pm.host[0x6004] == 0);
    struct mem_range r;
    cr_assert(!physmem_change_take(&c.w, &r), "its own stores are no news");
    physmem_detach(&pm, 0);
    physmem_free(&pm);
}

Test(physmem, what_others_write_is_listed)
{
    struct mem_range r;
    start(&pm, &c);
    cr_assert(physmem_attach(&pm, 0, &c.w));
    physmem_write(&pm, 0x5000, "abc", 3);
    cr_assert(!physmem_change_take(&c.w, &r), "nobody watches the page");
    for (unsigned i = 0; i < 4096; i++)
        c.w.pages[i] = MEM_WATCH_CODE;
    physmem_write(&pm, 0x5ffe, "abcd", 4);
    cr_assert(physmem_change_take(&c.w, &r));
    cr_assert(r.first == 0x5ffe && r.bytes == 4, "one piece though two pages");
    for (uint32_t i = 0; i < 200; i++)
        physmem_write(&pm, i * 3 * PAGE_BYTES, "x", 1);
    static bool covered[600];
    unsigned n = 0;
    while (physmem_change_take(&c.w, &r)) {
        n++;
        for (uint64_t page = r.first / PAGE_BYTES; page * PAGE_BYTES < r.first + r.bytes; page++)
            covered[page] = true;
    }
    cr_assert_leq(n, MEM_CHANGES_MAX);
    for (uint32_t i = 0; i < 200; i++)
        cr_assert(covered[i * 3], "page %u", i * 3);
    physmem_detach(&pm, 0);
    physmem_free(&pm);
}

Test(physmem, clear)
{
    start(&pm, &c);
    mem_addr_t rom = physmem_add(&pm, MEM_ROM, PAGE_BYTES), vram = physmem_add(&pm, MEM_VRAM, PAGE_BYTES);
    cr_assert(physmem_attach(&pm, 0, &c.w));
    physmem_put(&pm, rom, "r", 1);
    physmem_put(&pm, vram, "v", 1);
    physmem_put(&pm, 123, "x", 1);
    physmem_clear(&pm);
    cr_assert(pm.host[123] == 0 && pm.host[vram] == 0 && pm.host[rom] == 'r');
    cr_assert(physmem_log_is_dirty(&pm, MEM_LOG_DIGEST, 0) &&
              physmem_log_is_dirty(&pm, MEM_LOG_DIGEST, 1023));
    physmem_detach(&pm, 0);
    physmem_free(&pm);
}
