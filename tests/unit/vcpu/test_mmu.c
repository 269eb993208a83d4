/* mmu.c: walks, rights, fault codes, accessed and dirty bits, accesses over two pages. */
#include "tests/unit/vcpu/harness.h"
#include "vcpu/helpers.h"

#include <criterion/criterion.h>

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };

static struct harness h;
static struct vcpu *v;

static void start(uint32_t flags)
{
    static const uint8_t nop = 0x90;
    harness_init(&h, &(struct harness_options){0});
    harness_load32(&h, &nop, &nop + 1);
    harness_paging(&h, flags);
    v = h.cpu;
}

static bool read32(uint32_t lin_addr, bool user, uint32_t *value)
{
    uint64_t wide = 0;
    v->exc.pending = false;
    bool ok = mem_read(v, lin_addr, 4, user, &wide);
    *value = (uint32_t)wide;
    return ok;
}

static bool write32(uint32_t lin_addr, bool user, uint32_t value)
{
    v->exc.pending = false;
    return mem_write(v, lin_addr, 4, user, value);
}

static void expect_fault(uint32_t cr2, uint32_t code)
{
    cr_assert(v->exc.pending);
    cr_assert_eq(v->exc.vector, EXC_PF);
    cr_assert_eq(v->exc.error, code, "error code %x", v->exc.error);
    cr_assert_eq(v->g.cr2, cr2);
}

static void set_pte(uint32_t lin_addr, uint32_t pte)
{
    harness_poke32(&h, harness_pte(lin_addr), pte);
    tlb_flush_page(v, lin_addr);
}

static uint32_t pte_bits(uint32_t lin_addr)
{
    return harness_peek32(&h, harness_pte(lin_addr)) & 0xfff;
}

Test(mmu, walk_sets_accessed_then_dirty)
{
    uint32_t value;
    start(P | RW);
    cr_assert(read32(0x5000, false, &value));
    cr_assert_eq(pte_bits(0x5000), P | RW | A);
    cr_assert(write32(0x5000, false, 7));
    cr_assert_eq(pte_bits(0x5000), P | RW | A | D);
    cr_assert_eq(harness_peek32(&h, 0x5000), 7);
    cr_assert_eq(harness_peek32(&h, 0x80000) & A, A);
    harness_free(&h);
}

Test(mmu, faults_say_why_and_set_no_bits)
{
    uint32_t value;
    start(P | RW | US);
    set_pte(0x5000, 0x5000 | RW | US);
    cr_assert(!read32(0x5008, false, &value));
    expect_fault(0x5008, 0);
    cr_assert(!write32(0x5ffc, true, 0));
    expect_fault(0x5ffc, 6);
    set_pte(0x5000, 0x5000 | P | RW);
    cr_assert(!read32(0x5000, true, &value));
    expect_fault(0x5000, 5);
    set_pte(0x5000, 0x5000 | P | US);
    cr_assert(!write32(0x5000, true, 0));
    expect_fault(0x5000, 7);
    cr_assert(!write32(0x5000, false, 0)); /* CR0.WP */
    expect_fault(0x5000, 3);
    cr_assert_eq(pte_bits(0x5000), P | US);
    cr_assert(read32(0x5000, true, &value));
    cr_assert_eq(pte_bits(0x5000), P | US | A);
    harness_free(&h);
}

Test(mmu, supervisor_writes_anything_without_wp)
{
    start(P | RW);
    v->g.cr0 &= ~(uint32_t)CR0_WP;
    vcpu_state_changed(v);
    set_pte(0x5000, 0x5000 | P);
    cr_assert(write32(0x5000, false, 9));
    cr_assert_eq(pte_bits(0x5000), P | A | D);
    harness_free(&h);
}

Test(mmu, directory_rights_count)
{
    uint32_t value;
    start(P | RW | US);
    harness_poke32(&h, 0x80000, 0x81000 | P | RW);
    tlb_flush(v);
    cr_assert(!read32(0x5000, true, &value));
    expect_fault(0x5000, 5);
    cr_assert(read32(0x5000, false, &value));
    harness_free(&h);
}

/* SDM 3A 4.10.4.1: INVLPG drops all of the page that holds the address, of whatever size; and of other pages
 * nothing. */
static void invlpg_of_large_page(uint32_t flags)
{
    uint32_t value;
    start(P | RW);
    v->g.cr4 |= CR4_PSE | CR4_PGE;
    harness_poke32(&h, 0x805000, 1);
    harness_poke32(&h, 0xc05000, 2);
    for (unsigned i = 0x100; i < 0x102; i++)
        harness_poke32(&h, 0x80000 + i * 4, 0x800000 | PS | RW | P | flags);
    tlb_flush(v);
    cr_assert(read32(0x40000000, false, &value) && read32(0x40005000, false, &value) &&
              read32(0x40405000, false, &value));
    for (unsigned i = 0x100; i < 0x102; i++)
        harness_poke32(&h, 0x80000 + i * 4, 0xc00000 | PS | RW | P | flags);
    tlb_flush_page(v, 0x403ff000);
    cr_assert(read32(0x40005000, false, &value));
    cr_assert_eq(value, 2);
    cr_assert(read32(0x40405000, false, &value));
    cr_assert_eq(value, 1);
    harness_free(&h);
}

Test(mmu, invlpg_of_large_pages)
{
    invlpg_of_large_page(0);
    invlpg_of_large_page(G);
}

Test(mmu, large_pages)
{
    uint32_t value;
    start(P | RW);
    v->g.cr4 |= CR4_PSE;
    harness_poke32(&h, 0x800000, 0x1234);
    harness_poke32(&h, 0x80000 + 0x100 * 4, 0x800000 | PS | RW | P);
    tlb_flush(v);
    cr_assert(read32(0x40000000, false, &value));
    cr_assert_eq(value, 0x1234);
    cr_assert(write32(0x40001000, false, 5));
    cr_assert_eq(harness_peek32(&h, 0x801000), 5);
    cr_assert_eq(harness_peek32(&h, 0x80000 + 0x100 * 4), 0x800000 | PS | RW | P | A | D);
    harness_poke32(&h, 0x80000 + 0x101 * 4, 0x820000 | PS | RW | P);
    cr_assert(!read32(0x40400000, false, &value));
    expect_fault(0x40400000, 9);
    harness_free(&h);
}

Test(mmu, stale_until_flushed)
{
    uint32_t value;
    start(P | RW);
    harness_poke32(&h, 0x5000, 5);
    harness_poke32(&h, 0x6000, 6);
    cr_assert(read32(0x5000, false, &value));
    harness_poke32(&h, harness_pte(0x5000), 0x6000 | P | RW);
    cr_assert(read32(0x5000, false, &value));
    cr_assert_eq(value, 5);
    tlb_flush_page(v, 0x5000);
    cr_assert(read32(0x5000, false, &value));
    cr_assert_eq(value, 6);
    harness_free(&h);
}

Test(mmu, two_pages_read_in_order)
{
    uint32_t value;
    start(P | RW);
    set_pte(0x5000, 0x9000 | P | RW);
    set_pte(0x6000, 0x7000 | P | RW);
    harness_poke32(&h, 0x9ffc, 0x44332211);
    harness_poke32(&h, 0x7000, 0x88776655);
    cr_assert(read32(0x5fff, false, &value));
    cr_assert_eq(value, 0x77665544);
    cr_assert(write32(0x5ffe, false, 0xddccbbaa));
    cr_assert_eq(harness_peek32(&h, 0x9ffc), 0xbbaa2211);
    cr_assert_eq(harness_peek32(&h, 0x7000), 0x8877ddcc);
    harness_free(&h);
}

Test(mmu, no_partial_write_when_the_second_page_faults)
{
    start(P | RW);
    set_pte(0x6000, 0);
    cr_assert(!write32(0x5ffe, false, 0xddccbbaa));
    expect_fault(0x6000, 2);
    cr_assert_eq(harness_peek32(&h, 0x5ffc), 0);
    harness_free(&h);
}

static void ignore_page(void *ctx, uint32_t page)
{
}

static void take_dirty(void)
{
    physmem_log_take(&h.mem, MEM_LOG_DIGEST, 0, (uint32_t)(h.mem.bytes / PAGE_BYTES), ignore_page, NULL);
}

Test(mmu, first_store_to_a_page_is_slow_and_marks_it)
{
    start(P | RW);
    take_dirty();
    cr_assert_null(mem_fast_write(v, 0x5000));
    cr_assert(write32(0x5000, false, 1));
    cr_assert(physmem_log_is_dirty(&h.mem, MEM_LOG_DIGEST, 5));
    cr_assert_eq(mem_fast_write(v, 0x5004), h.mem.host + 0x5004);
    take_dirty();
    cr_assert_null(mem_fast_write(v, 0x5000));
    cr_assert_eq(mem_fast_read(v, 0x5000), h.mem.host + 0x5000);
    harness_free(&h);
}

Test(mmu, mmio_needs_a_block_of_one_instruction)
{
    uint32_t value;
    start(P | RW);
    cr_assert(!read32(HARNESS_MMIO, false, &value));
    cr_assert(v->redo_single && !v->exc.pending);
    harness_free(&h);
}

Test(mmu, beyond_ram_reads_ones)
{
    uint32_t value;
    start(P | RW);
    v->g.cr0 &= ~CR0_PG;
    vcpu_state_changed(v);
    v->in_single = true;
    cr_assert(write32(0x20000000, false, 0));
    cr_assert(read32(0x20000000, false, &value));
    cr_assert_eq(value, 0xffffffff);
    harness_free(&h);
}

/* --- global pages: SDM 3A 4.10.2.4 --- */

/* 0x5000 global, 0x6000 not; both read once, then mapped elsewhere behind the TLB's back. */
static void start_globals(uint32_t cr4)
{
    uint32_t value;
    start(P | RW);
    v->g.cr4 |= cr4;
    for (uint32_t page = 0x5000; page <= 0x8000; page += 0x1000)
        harness_poke32(&h, page, page);
    set_pte(0x5000, 0x5000 | P | RW | G);
    set_pte(0x6000, 0x6000 | P | RW);
    cr_assert(read32(0x5000, false, &value) && read32(0x6000, false, &value));
    cr_assert(write32(harness_pte(0x5000), false, 0x7000 | P | RW | G));
    cr_assert(write32(harness_pte(0x6000), false, 0x8000 | P | RW));
}

static void expect_mapped(uint32_t lin_addr, uint32_t phys_page)
{
    uint32_t value = 0;
    cr_assert(read32(lin_addr, false, &value));
    cr_assert_eq(value, phys_page, "%x is at %x", lin_addr, value);
}

Test(mmu, cr3_loads_keep_global_pages)
{
    start_globals(CR4_PGE);
    tlb_switch(v, v->g.cr3);
    expect_mapped(0x5000, 0x5000);
    expect_mapped(0x6000, 0x8000);
    harness_free(&h);
}

Test(mmu, nothing_is_global_without_pge)
{
    start_globals(0);
    tlb_switch(v, v->g.cr3);
    expect_mapped(0x5000, 0x7000);
    harness_free(&h);
}

Test(mmu, invlpg_takes_global_pages_too)
{
    start_globals(CR4_PGE);
    tlb_flush_page(v, 0x5000);
    expect_mapped(0x5000, 0x7000);
    expect_mapped(0x6000, 0x6000);
    harness_free(&h);
}

static void write_cr(unsigned reg, uint32_t value)
{
    struct ir_op op = {.aux = (uint8_t)reg, .a = IR_EAX};
    v->g.slot[IR_EAX] = value;
    cr_assert_eq(helper_MOV_TO_CR(v, &op), HELPER_OK);
}

Test(mmu, pge_and_pg_changes_flush_globals)
{
    start_globals(CR4_PGE);
    write_cr(4, v->g.cr4 & ~(uint32_t)CR4_PGE);
    write_cr(4, v->g.cr4 | CR4_PGE);
    expect_mapped(0x5000, 0x7000);
    harness_free(&h);
    start_globals(CR4_PGE);
    write_cr(0, v->g.cr0 & ~CR0_PG);
    write_cr(0, v->g.cr0 | CR0_PG);
    expect_mapped(0x5000, 0x7000);
    harness_free(&h);
}

Test(mmu, global_large_pages_stay)
{
    start(P | RW);
    v->g.cr4 |= CR4_PSE | CR4_PGE;
    harness_poke32(&h, 0x800000, 0x800000);
    harness_poke32(&h, 0xc00000, 0xc00000);
    harness_poke32(&h, 0x80000 + 0x100 * 4, 0x800000 | PS | RW | P | G);
    tlb_flush(v);
    expect_mapped(0x40000000, 0x800000);
    harness_poke32(&h, 0x80000 + 0x100 * 4, 0xc00000 | PS | RW | P | G);
    tlb_switch(v, v->g.cr3);
    expect_mapped(0x40000000, 0x800000);
    harness_free(&h);
}

/* An entry's place may hold a global and a local page in turn. */
Test(mmu, one_place_for_local_and_global_pages)
{
    const uint32_t other = 0x6000 + TLB_ENTRIES * PAGE_BYTES, table = 0xa0000;
    cr_assert_geq(TLB_ENTRIES, 1024, "other is in the region of another page table");
    start_globals(CR4_PGE);
    harness_poke32(&h, 0x80000 + (other >> 22) * 4, table | P | RW);
    harness_poke32(&h, table + 6 * 4, 0x7000 | P | RW | G);
    expect_mapped(other, 0x7000);
    tlb_switch(v, v->g.cr3);
    expect_mapped(other, 0x7000);
    expect_mapped(0x6000, 0x8000);
    cr_assert(write32(harness_pte(0x6000), false, 0x6000 | P | RW));
    tlb_switch(v, v->g.cr3);
    expect_mapped(0x6000, 0x6000);
    cr_assert(write32(table + 6 * 4, false, 0x5000 | P | RW | G));
    write_cr(4, v->g.cr4 & ~(uint32_t)CR4_PGE);
    expect_mapped(other, 0x5000);
    harness_free(&h);
}

/* --- pages of one set --- */

static uint64_t fills_of_read(uint32_t lin_addr)
{
    uint32_t value;
    uint64_t before = v->stats.tlb_fills;
    cr_assert(read32(lin_addr, false, &value));
    return v->stats.tlb_fills - before;
}

enum { SET_BYTES = TLB_ENTRIES * PAGE_BYTES, SET_PAGES = 4 };

static uint32_t set_page(unsigned i)
{
    return 0x6000 + i * SET_BYTES;
}

/* Pages that have one set of the TLB, at 0x6000 and SET_BYTES apart. */
static void start_set(void)
{
    const uint32_t table = 0xa0000;
    start(P | RW);
    harness_poke32(&h, table + 6 * 4, 0x7000 | P | RW);
    for (unsigned i = 1; i < SET_PAGES; i++)
        harness_poke32(&h, 0x80000 + (set_page(i) >> 22) * 4, table | P | RW);
    tlb_flush(v);
}

Test(ways, two_pages_of_a_set_stay)
{
    start_set();
    cr_assert_eq(fills_of_read(set_page(0)) + fills_of_read(set_page(1)), 2);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(fills_of_read(set_page(i % 2)), 0);
    harness_free(&h);
}

/* Accesses do not decide who goes: compiled code makes fewer of them. */
Test(ways, of_three_pages_the_first_goes)
{
    for (unsigned last = 0; last < 2; last++) {
        start_set();
        fills_of_read(set_page(0));
        fills_of_read(set_page(1));
        fills_of_read(set_page(last));
        cr_assert_eq(fills_of_read(set_page(2)), 1);
        fills_of_read(set_page(2 - last));
        cr_assert_eq(fills_of_read(set_page(1)) + fills_of_read(set_page(2)), 0);
        cr_assert_eq(fills_of_read(set_page(3)), 1);
        cr_assert_eq(fills_of_read(set_page(2)), 0);
        cr_assert_eq(fills_of_read(set_page(1)), 1);
        harness_free(&h);
    }
}

/* A page that becomes writable stays as old as it was. */
Test(ways, a_store_makes_no_page_newer)
{
    start_set();
    fills_of_read(set_page(0));
    fills_of_read(set_page(1));
    cr_assert(write32(set_page(0), false, 1));
    fills_of_read(set_page(2));
    cr_assert_eq(fills_of_read(set_page(1)), 0);
    cr_assert_eq(fills_of_read(set_page(0)), 1);
    harness_free(&h);
}

Test(ways, each_way_is_flushed)
{
    for (unsigned which = 0; which < 4; which++) {
        start_set();
        fills_of_read(set_page(0));
        fills_of_read(set_page(1));
        fills_of_read(set_page(which / 2));
        tlb_flush_page(v, set_page(which % 2));
        cr_assert_eq(fills_of_read(set_page(!(which % 2))), 0);
        cr_assert_eq(fills_of_read(set_page(which % 2)), 1);
        cr_assert_eq(fills_of_read(set_page(!(which % 2))), 0);
        tlb_flush(v);
        cr_assert_eq(fills_of_read(set_page(0)) + fills_of_read(set_page(1)), 2);
        harness_free(&h);
    }
}

/* Code pages have no write tag, in whichever way they are. */
Test(ways, each_way_is_protected)
{
    for (unsigned which = 0; which < 4; which++) {
        start_set();
        cr_assert(write32(set_page(0), false, 1) && write32(set_page(1), false, 1));
        fills_of_read(set_page(which / 2));
        mem_addr_t page = which % 2 ? 0x7000 : 0x6000;
        v->watcher.pages[page >> PAGE_BITS] |= MEM_WATCH_CODE;
        tlb_protect_page(v, page);
        cr_assert_null(mem_fast_write(v, set_page(which % 2)));
        cr_assert_not_null(mem_fast_write(v, set_page(!(which % 2))));
        harness_free(&h);
    }
}

/* Both are put back by a switch of spaces, and the older one is the older one still. */
Test(ways, a_switch_back_keeps_the_order)
{
    for (unsigned last = 0; last < 2; last++) {
        start_set();
        for (uint32_t i = 0; i < 4096; i += 4)
            harness_poke32(&h, 0x90000 + i, harness_peek32(&h, 0x80000 + i));
        fills_of_read(set_page(0));
        fills_of_read(set_page(1));
        fills_of_read(set_page(last));
        tlb_switch(v, 0x90000);
        cr_assert_eq(fills_of_read(set_page(3)), 1);
        tlb_switch(v, 0x80000);
        cr_assert_eq(fills_of_read(set_page(0)) + fills_of_read(set_page(1)), 0);
        cr_assert_eq(fills_of_read(set_page(2)), 1);
        cr_assert_eq(fills_of_read(set_page(1)), 0);
        cr_assert_eq(fills_of_read(set_page(0)), 1);
        harness_free(&h);
    }
}

/* What a snapshot says of a set does not depend on what was accessed last. */
Test(ways, a_saved_set_has_one_order)
{
    uint32_t tag[2][TLB_WAYS];
    for (unsigned last = 0; last < 2; last++) {
        start_set();
        fills_of_read(set_page(0));
        fills_of_read(set_page(1));
        fills_of_read(set_page(last));
        tlb_settle(v);
        for (unsigned way = 0; way < TLB_WAYS; way++)
            tag[last][way] = tlb_way(v, tlb_index(0x6000), way)->tag;
        cr_assert_eq(fills_of_read(set_page(0)) + fills_of_read(set_page(1)), 0);
        harness_free(&h);
    }
    cr_assert_arr_eq(tag[0], tag[1], sizeof tag[0]);
}

/* Compiled code would exchange them for ever. */
Test(ways, a_page_in_both_ways_is_not_loaded)
{
    start_set();
    fills_of_read(set_page(0));
    fills_of_read(set_page(1));
    cr_assert_null(tlb_loaded(v));
    *tlb_way(v, tlb_index(0x6000), 1) = *tlb_way(v, tlb_index(0x6000), 0);
    cr_assert_not_null(tlb_loaded(v));
    harness_free(&h);
}

/* --- what CR3 loads put back (spaces.c) --- */

enum { OTHER_SPACE = 0x90000, TABLE_OF_CODE = 0x81000 };

/* 0x5000 and 0x6000 were read in the first space; then the second, with the same tables, became current. */
static void start_two_spaces(void)
{
    uint32_t value;
    start(P | RW);
    for (uint32_t page = 0x5000; page <= 0x8000; page += 0x1000)
        harness_poke32(&h, page, page);
    for (uint32_t i = 0; i < 4096; i += 4)
        harness_poke32(&h, OTHER_SPACE + i, harness_peek32(&h, 0x80000 + i));
    tlb_flush(v);
    cr_assert(read32(0x5000, false, &value) && read32(0x6000, false, &value));
    tlb_switch(v, OTHER_SPACE);
}

Test(spaces, a_switch_back_needs_no_walks)
{
    start_two_spaces();
    cr_assert_eq(fills_of_read(0x5000), 1);
    tlb_switch(v, 0x80000);
    cr_assert_eq(fills_of_read(0x5000) + fills_of_read(0x6000), 0);
    tlb_switch(v, OTHER_SPACE);
    cr_assert_eq(fills_of_read(0x5000), 0);
    cr_assert_eq(fills_of_read(0x6000), 1);
    harness_free(&h);
}

Test(spaces, a_changed_table_entry_is_seen_after_the_switch)
{
    start_two_spaces();
    cr_assert(write32(harness_pte(0x6000), false, 0x8000 | P | RW));
    tlb_switch(v, 0x80000);
    expect_mapped(0x6000, 0x8000);
    expect_mapped(0x5000, 0x5000);
    harness_free(&h);
}

Test(spaces, one_byte_of_an_entry_is_a_change)
{
    start_two_spaces();
    v->exc.pending = false;
    cr_assert(mem_write(v, harness_pte(0x6000) + 1, 1, false, 0x80));
    tlb_switch(v, 0x80000);
    expect_mapped(0x6000, 0x8000);
    harness_free(&h);
}

Test(spaces, a_changed_directory_entry_is_seen_after_the_switch)
{
    start_two_spaces();
    for (uint32_t i = 0; i < 4096; i += 4)
        harness_poke32(&h, 0xa0000 + i, harness_peek32(&h, TABLE_OF_CODE + i));
    harness_poke32(&h, 0xa0000 + 6 * 4, 0x7000 | P | RW);
    cr_assert(write32(0x80000, false, 0xa0000 | P | RW));
    tlb_switch(v, 0x80000);
    expect_mapped(0x6000, 0x7000);
    harness_free(&h);
}

/* A cleared A bit would otherwise never be set again. */
Test(spaces, accessed_and_dirty_bits_are_set_again)
{
    start_two_spaces();
    cr_assert(write32(0x5000, false, 0x5000));
    tlb_switch(v, 0x80000);
    cr_assert(write32(0x5000, false, 0x5000));
    cr_assert(write32(harness_pte(0x5000), false, 0x5000 | P | RW));
    tlb_switch(v, 0x80000);
    cr_assert_eq(pte_bits(0x5000), P | RW);
    cr_assert(write32(0x5000, false, 0x5000));
    cr_assert_eq(pte_bits(0x5000), P | RW | A | D);
    harness_free(&h);
}

/* As on hardware: what the current space has in the TLB stays until it is flushed, ... */
Test(spaces, the_current_space_stays_stale_until_flushed)
{
    start_two_spaces();
    tlb_switch(v, 0x80000);
    cr_assert(write32(harness_pte(0x6000), false, 0x8000 | P | RW));
    expect_mapped(0x6000, 0x6000);
    tlb_switch(v, 0x80000);
    expect_mapped(0x6000, 0x8000);
    harness_free(&h);
}

/* ... and is then not put back either. */
Test(spaces, stale_translations_are_not_kept)
{
    start_two_spaces();
    tlb_switch(v, 0x80000);
    cr_assert(write32(harness_pte(0x6000), false, 0x8000 | P | RW));
    tlb_switch(v, OTHER_SPACE);
    tlb_switch(v, 0x80000);
    expect_mapped(0x6000, 0x8000);
    harness_free(&h);
}

Test(spaces, dma_into_a_table_counts)
{
    start_two_spaces();
    harness_poke32(&h, harness_pte(0x6000), 0x8000 | P | RW);
    vcpu_take_changes(v);
    tlb_switch(v, 0x80000);
    expect_mapped(0x6000, 0x8000);
    harness_free(&h);
}

/* Stores to a table page are slow until it has been written often without a walk. */
Test(spaces, a_page_that_is_no_table_any_more_gets_fast_stores)
{
    start_two_spaces();
    cr_assert(write32(TABLE_OF_CODE + 4000, false, 0));
    cr_assert_null(mem_fast_write(v, TABLE_OF_CODE));
    cr_assert_null(mem_fast_write(v, 0x80000));
    for (unsigned i = 0; i < 40; i++)
        cr_assert(write32(TABLE_OF_CODE + 4000, false, 0));
    cr_assert_not_null(mem_fast_write(v, TABLE_OF_CODE));
    tlb_switch(v, 0x80000);
    cr_assert_eq(fills_of_read(0x6000), 1);
    cr_assert_null(mem_fast_write(v, TABLE_OF_CODE));
    harness_free(&h);
}

Test(mmu, without_paging_no_bit_of_cr0_flushes)
{
    start(P | RW);
    write_cr(0, v->g.cr0 & ~(uint32_t)(CR0_PG | CR0_WP));
    cr_assert_eq(fills_of_read(0x5000), 1);
    write_cr(0, v->g.cr0 & ~(uint32_t)CR0_PE);
    write_cr(0, v->g.cr0 | CR0_PE | CR0_WP);
    cr_expect_eq(fills_of_read(0x5000), 0, "PE and WP: no translation depends on them");
    write_cr(0, v->g.cr0 | CR0_PG);
    cr_expect_eq(fills_of_read(0x5000), 1, "PG does");
    write_cr(0, v->g.cr0 & ~(uint32_t)CR0_WP);
    cr_expect_eq(fills_of_read(0x5000), 1, "and with PG, WP");
    harness_free(&h);
}

Test(spaces, many_spaces_and_paging_changes)
{
    start_two_spaces();
    for (uint32_t i = 0; i < 100; i++)
        tlb_switch(v, 0x200000 + i * 4096); /* none of them has been used */
    tlb_switch(v, 0x80000);
    cr_assert_eq(fills_of_read(0x6000), 1);
    tlb_switch(v, OTHER_SPACE);
    write_cr(0, v->g.cr0 & ~CR0_PG);
    cr_assert_eq(fills_of_read(0x7000), 1);
    tlb_switch(v, 0x80000);
    write_cr(0, v->g.cr0 | CR0_PG);
    cr_assert_eq(fills_of_read(0x7000) + fills_of_read(0x6000), 2);
    harness_free(&h);
}
