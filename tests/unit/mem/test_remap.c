/* remap.c: A20, shadow RAM, windows: what is seen where, whatever addresses the guest writes into them. */
#include "mem/remap.h"
#include "tests/unit/mem/mem_test.h"

static struct physmem pm;
static struct counting c;

static mem_target_t reads(phys_addr_t addr)
{
    return physmem_lookup(&pm, addr).read;
}

Test(remap, a20)
{
    start(&pm, &c);
    cr_assert(physmem_attach(&pm, 0, &c.w));
    unsigned a20 = (unsigned)physmem_add_a20(&pm);
    cr_assert(same_target(reads(0x100000), MEM_RAM, 0x100000), "open at start");
    cr_assert(physmem_remap(&pm, a20, 0));
    cr_assert(same_target(reads(0x100000), MEM_RAM, 0));
    cr_assert(same_target(reads(0x3fffff), MEM_RAM, 0x2ff000), "every odd megabyte");
    cr_assert_eq(c.remaps, 1);
    cr_assert(!physmem_remap(&pm, a20, 0), "nothing new");
    cr_assert_eq(c.remaps, 1);
    physmem_clear(&pm);
    cr_assert_eq(physmem_remap_value(&pm, a20), 1, "a reset opens it");
    cr_assert(same_target(reads(0x100000), MEM_RAM, 0x100000));
    physmem_detach(&pm, 0);
    physmem_free(&pm);
}

Test(remap, shadow)
{
    start(&pm, &c);
    mem_addr_t rom = physmem_add(&pm, MEM_ROM, 0x10000);
    unsigned pam = (unsigned)physmem_add_shadow(&pm, 0xf0000, 0x10000, mem_target(MEM_ROM, rom), 0);
    struct map_entry s = physmem_lookup(&pm, 0xff000);
    cr_assert(same_target(s.read, MEM_ROM, rom + 0xf000) && s.read == s.write);
    physmem_remap(&pm, pam, MEM_SHADOW_WRITE);
    s = physmem_lookup(&pm, 0xff000);
    cr_assert(same_target(s.read, MEM_ROM, rom + 0xf000) && same_target(s.write, MEM_RAM, 0xff000));
    physmem_remap(&pm, pam, MEM_SHADOW_READ);
    s = physmem_lookup(&pm, 0xf0000);
    cr_assert(same_target(s.write, MEM_ROM, rom) && same_target(s.read, MEM_RAM, 0xf0000));
    cr_assert(!physmem_write(&pm, 0xf0000, "x", 1), "its writes go elsewhere");
    physmem_remap(&pm, pam, MEM_SHADOW_READ | MEM_SHADOW_WRITE);
    cr_assert(physmem_write(&pm, 0xf0000, "x", 1));
    cr_assert(same_target(reads(0xeffff), MEM_RAM, 0xef000) &&
              same_target(reads(0x100000), MEM_RAM, 0x100000));
    unsigned hole = (unsigned)physmem_add_shadow(&pm, 0xc0000, 0x4000, MEM_HOLE, 3);
    cr_assert(same_target(reads(0xc0000), MEM_RAM, 0xc0000));
    physmem_remap(&pm, hole, 0);
    cr_assert_eq(reads(0xc3fff), MEM_HOLE);
    physmem_free(&pm);
}

enum { BUS1 = 0x10000, BUS2 = 0x20000 };

Test(remap, windows)
{
    const uint64_t bus = UINT64_C(1) << 40;
    start(&pm, &c);
    unsigned first = (unsigned)physmem_add_window(&pm, 4 * PAGE_BYTES, mem_target(MEM_BUS, bus + BUS1)),
             second = (unsigned)physmem_add_window(&pm, 2 * PAGE_BYTES, mem_target(MEM_BUS, bus + BUS2));
    cr_assert_eq(reads(0xe0000000), 0);
    physmem_remap(&pm, second, 0xe0002000 | MEM_WINDOW_ON);
    cr_assert(same_target(reads(0xe0003fff), MEM_BUS, bus + BUS2 + 0x1000));
    physmem_remap(&pm, first, 0xe0000000 | MEM_WINDOW_ON);
    cr_assert(same_target(reads(0xe0003000), MEM_BUS, bus + BUS1 + 0x3000), "the lower number is seen");
    physmem_remap(&pm, first, 0xe0001000 | MEM_WINDOW_ON);
    cr_assert_eq(reads(0xe0000000), 0);
    cr_assert(same_target(reads(0xe0003000), MEM_BUS, bus + BUS1 + 0x2000));
    physmem_remap(&pm, first, 0xe0001000);
    cr_assert(same_target(reads(0xe0002000), MEM_BUS, bus + BUS2), "what it hid is seen again");
    cr_assert_eq(reads(0xe0001000), 0);
    physmem_remap(&pm, second, 0);
    cr_assert_eq(reads(0xe0002000), 0);
    physmem_free(&pm);
}

Test(remap, windows_anywhere)
{
    start(&pm, &c);
    mem_addr_t vram = physmem_add(&pm, MEM_VRAM, 16 * PAGE_BYTES);
    unsigned w = (unsigned)physmem_add_window(&pm, 16 * PAGE_BYTES, mem_target(MEM_VRAM, vram));
    physmem_remap(&pm, w, 0xfffff000 | MEM_WINDOW_ON);
    cr_assert(same_target(reads(0xfffff000), MEM_VRAM, vram));
    cr_assert_eq(reads(UINT64_C(1) << 32), 0, "no further than 4 GiB");
    physmem_remap(&pm, w, (uint32_t)(RAM - 2 * PAGE_BYTES) | MEM_WINDOW_ON);
    cr_assert(same_target(reads(RAM - 1), MEM_RAM, RAM - PAGE_BYTES), "RAM is never hidden");
    cr_assert(same_target(reads(RAM), MEM_VRAM, vram + 2 * PAGE_BYTES));
    cr_assert_eq(reads(0xfffff000), 0);
    physmem_remap(&pm, w, 0 | MEM_WINDOW_ON);
    cr_assert(same_target(reads(0), MEM_RAM, 0));
    cr_assert_eq(reads(RAM), 0);
    physmem_free(&pm);
}

Test(remap, there_is_a_bound)
{
    start(&pm, &c);
    for (int i = 0; i < MEM_REMAPS_MAX; i++)
        cr_assert_eq(physmem_add_window(&pm, PAGE_BYTES, mem_target(MEM_BUS, UINT64_C(1) << 40)), i);
    cr_assert_eq(physmem_add_a20(&pm), -1);
    physmem_free(&pm);
}

/* --- against a model that searches --- */

enum { WINDOWS = 6 };
static const uint64_t pages[WINDOWS] = {1, 2, 16, 16, 1024, 4096};
static uint32_t value[WINDOWS];
static uint64_t rng = 88172645463325252u;

static uint32_t draw(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 20);
}

/* A place that matters: near RAM's end, near 4 GiB, near 0, near where windows are. */
static uint32_t place(void)
{
    static const uint32_t at[] = {RAM, 0xffffffff, 0, 0xe0000000};
    uint32_t near = draw() % 5 == 0 ? value[draw() % WINDOWS] : at[draw() % 4];
    return near + (draw() % 0x8000 - 0x4000) * (draw() % 3 == 0 ? PAGE_BYTES : 1);
}

static mem_target_t window_base(unsigned i)
{
    return mem_target(MEM_BUS, (UINT64_C(1) << 40) + ((uint64_t)i << 32));
}

static mem_target_t expected(uint32_t addr)
{
    uint64_t page = addr / PAGE_BYTES;
    if (addr < RAM)
        return mem_target(MEM_RAM, page * PAGE_BYTES);
    for (unsigned i = 0; i < WINDOWS; i++) {
        uint64_t base = value[i] / PAGE_BYTES;
        if ((value[i] & MEM_WINDOW_ON) && page >= base && page < base + pages[i])
            return (window_base(i) + (page - base) * PAGE_BYTES) | MEM_TARGET_WINDOW;
    }
    return 0;
}

Test(remap, random_windows)
{
    start(&pm, &c);
    for (unsigned i = 0; i < WINDOWS; i++)
        cr_assert_eq(physmem_add_window(&pm, (uint32_t)pages[i] * PAGE_BYTES, window_base(i)), (int)i);
    for (unsigned step = 0; step < 5000; step++) {
        unsigned i = draw() % WINDOWS;
        uint32_t now = draw() % 4 == 0 ? value[i] ^ MEM_WINDOW_ON : place();
        physmem_remap(&pm, i, now);
        value[i] = now;
        for (unsigned n = 0; n < 50; n++) {
            uint32_t addr = place();
            cr_assert_eq(reads(addr), expected(addr), "step %u, %x", step, (unsigned)addr);
        }
    }
    for (uint64_t addr = UINT64_C(1) << 32; addr < (UINT64_C(1) << 32) + (32u << 20); addr += PAGE_BYTES)
        cr_assert_eq(reads(addr), 0, "beyond 4 GiB");
    physmem_free(&pm);
}
