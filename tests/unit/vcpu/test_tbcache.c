/* tbcache.c: lookup keys, pages, invalidation; and code that changes itself. */
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#define LEAVE " mov $0xf4, %dx\n out %eax, %dx\n 99: jmp 99b\n"

static struct harness h;

static void start(const uint8_t *code, const uint8_t *end)
{
    harness_init(&h, &(struct harness_options){.tick_limit = 1000000});
    harness_load32(&h, code, end);
    harness_tables(&h);
}
#define START(name) start(name, name##_end)

static bool page_has_code(mem_addr_t page)
{
    return h.cpu->watcher.pages[page >> PAGE_BITS] & MEM_WATCH_CODE;
}

static struct tb *find_at(uint32_t eip)
{
    vcpu_state(h.cpu)->eip = eip;
    struct tb *tb = tb_find(h.cpu, false);
    cr_assert_not_null(tb);
    return tb;
}

GUEST_CODE(plain, "inc %eax\n inc %ebx\n jmp 1f\n 1: nop\n jmp 1b\n");

Test(tbcache, finds_what_it_built)
{
    START(plain);
    struct tb *tb = find_at(HARNESS_CODE);
    cr_assert_eq(tb->ninsns, 3);
    cr_assert_eq(find_at(HARNESS_CODE), tb);
    cr_assert_neq(tb_find(h.cpu, true), tb);
    cr_assert_eq(tb_find(h.cpu, true)->ninsns, 1);
    harness_free(&h);
}

Test(tbcache, mode_and_limit_are_part_of_the_key)
{
    START(plain);
    struct tb *tb = find_at(HARNESS_CODE);
    h.cpu->g.seg[SEG_CS].limit = 0x1ffff;
    vcpu_update_mode(h.cpu);
    struct tb *limited = find_at(HARNESS_CODE);
    cr_assert_neq(limited, tb);
    h.cpu->g.seg[SEG_CS].limit = 0x2ffff;
    cr_assert_neq(find_at(HARNESS_CODE), limited);
    harness_free(&h);
}

Test(tbcache, invalidates_by_exact_bytes)
{
    START(plain);
    struct tb *tb = find_at(HARNESS_CODE);
    cr_assert(page_has_code(HARNESS_CODE));
    cr_assert(tbcache_overlaps(h.cpu, HARNESS_CODE + tb->bytes - 1, 1));
    cr_assert(!tbcache_overlaps(h.cpu, HARNESS_CODE + tb->bytes, 1));
    tbcache_invalidate(h.cpu, HARNESS_CODE + tb->bytes, 64);
    cr_assert(tb->valid);
    tbcache_invalidate(h.cpu, HARNESS_CODE - 3, 4);
    cr_assert(!tb->valid);
    cr_assert(!page_has_code(HARNESS_CODE));
    cr_assert_neq(find_at(HARNESS_CODE), tb);
    harness_free(&h);
}

/* What was a gap between blocks is none any more once a block lies there. */
Test(tbcache, gaps_end_with_new_code)
{
    START(plain);
    enum { FIRST = 0x10000, MIDDLE = 0x10010, LAST = 0x10020 };
    harness_put(&h, FIRST, "\xeb\xfe", 2); /* jmp $ */
    harness_put(&h, MIDDLE, "\xeb\xfe", 2);
    harness_put(&h, LAST, "\xeb\xfe", 2);
    find_at(FIRST);
    find_at(LAST);
    for (unsigned at = FIRST - 2; at < LAST + 4; at++)
        cr_assert_eq(tbcache_overlaps(h.cpu, at, 1), at / 2 == FIRST / 2 || at / 2 == LAST / 2, "%x", at);
    cr_assert(tbcache_overlaps(h.cpu, MIDDLE, LAST + 1 - MIDDLE), "over the gap's end");
    cr_assert(tbcache_overlaps(h.cpu, FIRST + 1, MIDDLE - FIRST), "over its start");
    cr_assert_not(tbcache_overlaps(h.cpu, MIDDLE, 4));
    find_at(MIDDLE);
    cr_assert(tbcache_overlaps(h.cpu, MIDDLE, 4));
    tbcache_invalidate(h.cpu, MIDDLE, 1);
    cr_assert_not(tbcache_overlaps(h.cpu, MIDDLE, 4));
    harness_free(&h);
}

Test(tbcache, a_block_over_two_pages_hangs_on_both)
{
    START(plain);
    harness_put(&h, 0x10ffe, "\xb8\x01\x02\x03\x04\xeb\xfe", 7); /* mov eax, 0x04030201; jmp $ */
    struct tb *tb = find_at(0x10ffe);
    cr_assert_eq(tb->phys_page2, 0x11000);
    cr_assert(tbcache_overlaps(h.cpu, 0x11002, 1));
    tbcache_invalidate(h.cpu, 0x11001, 1);
    cr_assert(!tb->valid);
    cr_assert(!page_has_code(0x10000));
    cr_assert(!page_has_code(0x11000));
    harness_free(&h);
}

Test(tbcache, second_page_may_move)
{
    START(plain);
    harness_paging(&h, 3);
    harness_put(&h, 0x10ffe, "\xb8\x01\x02\x03\x04\xeb\xfe", 7);
    harness_put(&h, 0x13000, "\x33\x44\x55\xeb\xfe", 5);
    struct tb *tb = find_at(0x10ffe);
    harness_poke32(&h, harness_pte(0x11000), 0x13003);
    tlb_flush(h.cpu);
    struct tb *moved = find_at(0x10ffe);
    cr_assert_neq(moved, tb);
    cr_assert_eq(moved->phys_page2, 0x13000);
    harness_free(&h);
}

/* --- blocks for the same bytes at other linear addresses --- */

enum { HERE = 0x11000, THERE = 0x12000, ELSEWHERE = 0x13000, PAGE_IN_MEMORY = 0x14000 };

/* One page of memory at three addresses, for programs. */
static void start_moving(void)
{
    START(plain);
    harness_paging(&h, 7);
    for (uint32_t at = HERE; at <= ELSEWHERE; at += PAGE_BYTES)
        harness_poke32(&h, harness_pte(at), PAGE_IN_MEMORY | 7);
    harness_put(&h, PAGE_IN_MEMORY, "\xe8\x02\0\0\0\x90\x90\xeb\xfe", 9); /* call 1f; nop; nop; 1: jmp 1b */
    tlb_flush(h.cpu);
    h.cpu->g.mode |= TB_MODE_USER;
}

static uint64_t placed(void)
{
    struct vcpu_stats st;
    vcpu_get_stats(h.cpu, &st);
    return st.tb_placed;
}

Test(tbcache, blocks_go_where_their_page_is_seen)
{
    start_moving();
    struct tb *tb = find_at(HERE), *target = find_at(HERE + 7);
    cr_assert_eq(find_at(THERE), tb);
    cr_assert_eq(tb->lin_addr, THERE);
    cr_assert_eq(tb->ops[0].imm2, THERE + 5, "what CALL pushes");
    cr_assert_eq(tb->ops[tb->nops - 1].imm, THERE + 7, "and where it goes");
    cr_assert_eq(find_at(THERE + 7), target, "all blocks of the page went");
    cr_assert_eq(placed(), 2);
    tbcache_invalidate(h.cpu, PAGE_IN_MEMORY + 1, 1);
    cr_assert_not(tb->valid);
    cr_assert_neq(find_at(THERE), tb);
    harness_free(&h);
}

/* Two programs in turn: each has blocks of its own in the end, and nothing goes to and fro. */
Test(tbcache, blocks_of_an_address_that_comes_back_stay)
{
    start_moving();
    struct tb *tb = find_at(HERE);
    cr_assert_eq(find_at(THERE), tb);
    struct tb *other = find_at(HERE);
    cr_assert_neq(other, tb);
    cr_assert_eq(other->ops[0].imm2, HERE + 5);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(find_at(THERE), tb);
        cr_assert_eq(find_at(HERE), other);
    }
    cr_assert_eq(placed(), 1);
    cr_assert_eq(find_at(ELSEWHERE), tb, "a third one takes those that are not kept");
    cr_assert_eq(find_at(HERE), other);
    harness_free(&h);
}

/* The block that runs keeps its address, also where its page is at two addresses of one program. */
Test(tbcache, the_running_block_stays_where_it_is)
{
    start_moving();
    struct tb *tb = find_at(HERE);
    h.cpu->tb = tb;
    cr_assert_neq(find_at(THERE), tb);
    cr_assert_eq(tb->lin_addr, HERE);
    cr_assert_eq(placed(), 0);
    harness_free(&h);
}

Test(tbcache, flush_forgets_all)
{
    START(plain);
    find_at(HARNESS_CODE);
    tbcache_flush(h.cpu);
    cr_assert(!page_has_code(HARNESS_CODE));
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    harness_free(&h);
}

Test(tbcache, full_arena_is_emptied_and_the_run_goes_on)
{
    START(plain);
    struct vcpu_stats st;
    for (uint32_t i = 0; i < 800000; i++) {
        h.cpu->g.eip = 0x100000 + i * 2; /* add [eax], al: all zero bytes */
        cr_assert_not_null(tb_find(h.cpu, true));
    }
    vcpu_get_stats(h.cpu, &st);
    cr_assert_eq(st.tb_built, 800000);
    cr_assert_gt(h.cpu->tb_flushes, 1);
    h.cpu->g.eip = HARNESS_CODE;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    harness_free(&h);
}

static void build_until(uint32_t *at, uint64_t flushes)
{
    for (; h.cpu->tb_flushes < flushes; *at += 2) {
        h.cpu->g.eip = *at; /* add [eax], al: all zero bytes */
        cr_assert_not_null(tb_find(h.cpu, true));
    }
}

/* The oldest blocks go, and with them every way to them; the others stay. */
Test(tbcache, full_arena_loses_its_oldest_generation)
{
    START(plain);
    uint32_t at = 0x100000;
    const uint64_t flushes = h.cpu->tb_flushes;
    struct tb *oldest = find_at(HARNESS_CODE);
    build_until(&at, flushes + 1);
    struct tb *next_oldest = find_at(HARNESS_CODE), *young = find_at(HARNESS_CODE + 1);
    cr_assert_neq(next_oldest, oldest, "its memory is another block's");
    build_until(&at, flushes + 4);
    cr_assert_eq(find_at(HARNESS_CODE), next_oldest, "in the oldest generation, but there");
    struct tb *newest = find_at(HARNESS_CODE + 2);
    newest->exits[0].chain = next_oldest;
    build_until(&at, flushes + 5);
    cr_assert_null(newest->exits[0].chain);
    find_at(at);
    find_at(at + 2);
    cr_assert_neq(young->lin_addr, HARNESS_CODE + 1, "its memory is another block's");
    cr_assert_eq(find_at(HARNESS_CODE + 2), newest);
    cr_assert(page_has_code(HARNESS_CODE));
    cr_assert(!page_has_code(0x100000), "nothing that is left was made there");
    h.cpu->g.eip = HARNESS_CODE;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    harness_free(&h);
}

/* A store into the very block that runs, just ahead of itself. */
GUEST_CODE(ahead, "call 1f\n 1: pop %edx\n movb $7, (2f - 1b + 1)(%edx)\n 2: mov $1, %eax\n" LEAVE);

Test(tbcache, code_may_patch_the_next_instruction)
{
    START(ahead);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(vcpu_exit_value(h.cpu), 7);
    harness_free(&h);
}

/* A loop whose body is patched each time round, by a read-modify-write and a string store. */
GUEST_CODE(loops, "xor %ecx, %ecx\n call 1f\n 1: pop %edx\n lea (2f - 1b + 1)(%edx), %edi\n"
                  " 2: mov $1, %eax\n add %eax, %ecx\n incl (%edi)\n cmp $100, %ecx\n jb 2b\n"
                  " mov $5, %eax\n stosl\n sub $4, %edi\n cmp $200, %ecx\n jb 2b\n mov %ecx, %eax\n" LEAVE);

Test(tbcache, loops_that_patch_themselves)
{
    START(loops);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    uint32_t ecx = 0, body = 1;
    do {
        do {
            ecx += body++;
        } while (ecx < 100);
        body = 5;
    } while (ecx < 200);
    cr_assert_eq(vcpu_exit_value(h.cpu), ecx);
    harness_free(&h);
}

/* Data beside code in one page stays possible. */
GUEST_CODE(beside, "mov $1000, %ecx\n 1: incl 0x10800\n dec %ecx\n jnz 1b\n mov 0x10800, %eax\n" LEAVE);

Test(tbcache, data_in_a_code_page)
{
    START(beside);
    struct vcpu_stats st;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(vcpu_exit_value(h.cpu), 1000);
    vcpu_get_stats(h.cpu, &st);
    cr_assert_eq(st.tb_invalidated, 0);
    harness_free(&h);
}

Test(tbcache, memory_changed_by_others)
{
    START(plain);
    struct tb *tb = find_at(HARNESS_CODE);
    harness_put(&h, HARNESS_CODE, "\xf4", 1);
    vcpu_take_changes(h.cpu);
    cr_assert(!tb->valid);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    harness_free(&h);
}
