/* test_long.c - long blocks over calls, returns and pages against plain ones, stopped at every tick: returns
 * to elsewhere, code that changes in the middle of a block, pages that move, go, or lose their entry in the
 * fetch TLB, with and without interrupts. */
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>

#define LEAVE      " mov $0xf4, %dx\n out %eax, %dx\n 99: jmp 99b\n"
#define ON(n)      " .skip " #n " * 0x1000 - (. - 0b)\n" /* on page n behind that of label 0, the first */
#define AT(label)  "0x10000 + (" #label " - 0b)"
#define PTE_G      "0x81048" /* harness_pte(0x12000) */
#define HANDLER_PF 0x14000u
#define HANDLER_IO 0x14800u
/* Both handlers: the first maps page 0x12000 again, the second counts. */
#define HANDLERS                                                                                             \
    ON(4)                                                                                                    \
    " add $4, %esp\n orl $1, " PTE_G "\n iret\n .skip 0x4800 - (. - 0b)\n incl 0x9000\n iret\n"
/* The fetch TLB knows the pages of f and g before the loop's blocks are built. */
#define BEGIN "0: sti\n call 10f\n call 20f\n mov $6, %ecx\n"
#define F     ON(1) "10:"
#define G     ON(2) "20:"

GUEST_CODE(calls, BEGIN "1: add %ecx, %eax\n call 10f\n adc %eax, %ebx\n cmp $3, %ecx\n je 2f\n call 20f\n"
                        " 2: dec %ecx\n jnz 1b\n" LEAVE F
                        " inc %edx\n test $1, %dl\n jz 3f\n push %edx\n call 20f\n pop %edx\n 3: ret\n" G
                        " xor %edx, %esi\n sub %esi, %edi\n ret\n" HANDLERS);
/* f returns one byte further each other time, and takes an argument; where code is, is learnt by a call; g
 * goes back to f's caller. */
GUEST_CODE(returns,
           BEGIN "1: push %ecx\n call 10f\n inc %eax\n inc %ebx\n call 5f\n 5: pop %eax\n call 15f\n"
                 " inc %esi\n dec %ecx\n jnz 1b\n" LEAVE F
                 " test $1, %cl\n jz 3f\n incl (%esp)\n 3: cmp %eax, %ebx\n ret $4\n"
                 " 15: call 25f\n inc %edi\n ret\n" G " ret\n 25: test $2, %cl\n jz 4f\n add $4, %esp\n"
                 " 4: ret\n" HANDLERS);
/* f changes g and g changes f's caller and itself, each what comes next. */
GUEST_CODE(changes,
           BEGIN "1: call 10f\n 5: mov $1, %eax\n add %eax, %ebx\n dec %ecx\n jnz 1b\n" LEAVE F
                 " incb " AT(6f) " + 1\n call 20f\n ret\n" G
                                 " incb " AT(5b) " + 1\n 6: mov $1, %edx\n add %edx, %esi\n incb " AT(
                                     7f) " + 1\n"
                                         " 7: mov $1, %edx\n add %edx, %edi\n ret\n" HANDLERS);
/* g's page is one of two; the TLB is told each other time. */
#define MOVE " xorl $0x1000, " PTE_G "\n test $1, %cl\n jz 4f\n invlpg 0x12000\n 4:"
#define G2   ON(3) " sub $3, %esi\n ret\n"
GUEST_CODE(moves, BEGIN "1: call 10f\n call 20f\n" MOVE " dec %ecx\n jnz 1b\n" LEAVE F " call 20f\n" MOVE
                        " call 20f\n inc %eax\n ret\n" G " add $5, %esi\n ret\n" G2 HANDLERS);
GUEST_CODE(moves_by_cr3, BEGIN "1: call 10f\n xorl $0x1000, " PTE_G "\n call 10f\n mov %cr3, %eax\n"
                               " mov %eax, %cr3\n dec %ecx\n jnz 1b\n" LEAVE F
                               " call 20f\n inc %eax\n ret\n" G " add $5, %esi\n ret\n" G2 HANDLERS);
/* Address spaces in turn that have other code at g's address; that of one changes now and then. */
#define TURN(n) ON(n) " add $" #n ", %esi\n ret\n"
enum { SPACES = 4, TURNS = 256, SPACE = 0x90000, SPACE_BYTES = 0x2000, G_AT = 0x12000 };
static const uint32_t turn_page[SPACES] = {0x15000, 0x16000, 0x17000, 0xc03000};
GUEST_CODE(turns, "0: sti\n call 10f\n call 20f\n mov $256, %ecx\n 1: mov %ecx, %eax\n and $3, %eax\n"
                  " shl $13, %eax\n add $0x90000, %eax\n mov %eax, %cr3\n call 10f\n test $31, %cl\n jnz 4f\n"
                  " incb 0x16002\n 4: dec %ecx\n jnz 1b\n" LEAVE F " call 20f\n inc %ebx\n ret\n" G
                  " add $1, %esi\n ret\n" HANDLERS TURN(5) TURN(6) TURN(7));
/* g's page is not there, each other time as the TLB sees it, too. */
GUEST_CODE(faults, BEGIN "1: andl $~1, " PTE_G "\n test $1, %cl\n jz 4f\n invlpg 0x12000\n 4: call 10f\n"
                         " dec %ecx\n jnz 1b\n" LEAVE F " inc %eax\n call 20f\n inc %ebx\n ret\n" G
                         " add $5, %esi\n ret\n" HANDLERS);
/* The same pages 16 MiB further up, which have the same places in the fetch TLB. */
GUEST_CODE(evicts, BEGIN "1: call 10f\n mov $0x1011000, %eax\n call *%eax\n call 10f\n mov $0x1012000, %eax\n"
                         " call *%eax\n call 10f\n dec %ecx\n jnz 1b\n" LEAVE F
                         " inc %eax\n call 20f\n inc %ebx\n ret\n" G " add $5, %esi\n ret\n" HANDLERS);
/* g changes itself through another linear page. */
GUEST_CODE(alias,
           BEGIN "1: call 10f\n call 20f\n dec %ecx\n jnz 1b\n" LEAVE F " call 20f\n inc %ebx\n ret\n" G
                 " incb " AT(6f) " + 0x1000001\n 6: mov $1, %edx\n add %edx, %esi\n ret\n" HANDLERS);
/* No call: a loop that jumps to another page and back. */
GUEST_CODE(jumps,
           BEGIN "1: add %ecx, %eax\n jc 5f\n jmp 15f\n 5: dec %ecx\n jnz 1b\n" LEAVE F
                 " ret\n 15: sub %eax, %ebx\n js 25f\n jmp 5b\n" G " ret\n 25: inc %esi\n jmp 5b\n" HANDLERS);

/* A loop that is entered behind its exit, so that the branch which is not taken leads back to its start. */
GUEST_CODE(exits_first,
           BEGIN "mov %esp, %ebp\n jmp 2f\n 1: jz 3f\n 2: add %ecx, (%ebp)\n inc %eax\n cmp $3, %eax\n"
                 " adc %eax, %ebx\n dec %ecx\n jmp 1b\n 3: mov (%ebp), %esi\n" LEAVE F " ret\n" G
                 " ret\n" HANDLERS);

enum { RAM = 16 << 20 };
static struct harness h;
static unsigned over_pages; /* blocks that go on on another page */
static unsigned loops;      /* long blocks that go on with themselves */
static uint64_t misses;     /* returns to the run loop for the next block, in the last run */

static void count(struct vcpu *v, struct tb *tb, void *ctx)
{
    const struct ir_op *last = &tb->ops[tb->nops - 1];
    const uint32_t start = tb->lin_addr - tb->cs_base;
    (void)v, (void)ctx;
    for (unsigned i = 0; i < tb->nops; i++)
        over_pages += tb->ops[i].op == IR_CROSS;
    if (last->op != IR_JCC)
        return;
    cr_assert(last->imm2 != start || last->imm == start, "a loop by the branch that is not taken");
    loops += last->imm == start;
}

static void make_spaces(void)
{
    enum { RIGHTS = 7, PAGES = 0x200 };
    for (uint32_t i = 0; i < SPACES; i++) {
        const uint32_t directory = SPACE + i * SPACE_BYTES, table = directory + 0x1000;
        harness_poke32(&h, directory, table | RIGHTS);
        for (uint32_t page = 0; page < PAGES; page++)
            harness_poke32(&h, table + page * 4, page << 12 | RIGHTS);
        harness_poke32(&h, table + (G_AT >> 12) * 4, turn_page[i] | RIGHTS);
    }
    harness_poke32(&h, turn_page[3], 0xc308c683); /* add $8, %esi; ret */
    cr_assert_leq(jump_index(G_AT, turn_page[1]) ^ jump_index(G_AT, turn_page[3]), 1, "are to share a pair");
}

static uint64_t run(const uint8_t *code, const uint8_t *end, const struct harness_options *o)
{
    enum { P = 1, RW = 2, TABLE = 0x81000, FIFTH = 0x80010 };
    harness_init(&h, o);
    harness_load32(&h, code, end);
    harness_tables(&h);
    harness_gate(&h, 14, HANDLER_PF, 0);
    harness_gate(&h, 0x20, HANDLER_IO, 0);
    harness_paging(&h, P | RW);
    harness_poke32(&h, FIFTH, TABLE | P | RW);
    make_spaces();
    vcpu_run(h.cpu);
    tbcache_each(h.cpu, count, NULL);
    struct vcpu_stats s;
    vcpu_get_stats(h.cpu, &s);
    misses = s.native_misses;
    const uint64_t result = harness_fingerprint(&h);
    harness_free(&h);
    return result;
}

static void compare_at(const char *name, const uint8_t *code, const uint8_t *end, uint64_t ticks,
                       unsigned seed, uint64_t timer)
{
    struct harness_options o = {
        .tick_limit = ticks, .ram_bytes = RAM, .timer_ticks = timer, .long_blocks = LONG_BLOCKS_OFF};
    const uint64_t plain = run(code, end, &o);
    o.long_blocks = LONG_BLOCKS_ANY;
    o.long_blocks_seed = seed;
    cr_assert_eq(run(code, end, &o), plain, "%s, interpreted, tick %u, seed %u", name, (unsigned)ticks, seed);
    o.translator = TRANSLATOR_EAGER;
    cr_assert_eq(run(code, end, &o), plain, "%s, tick %u, seed %u", name, (unsigned)ticks, seed);
}

static void compare(const char *name, const uint8_t *code, const uint8_t *end)
{
    over_pages = 0;
    for (unsigned seed = 0; seed < 16; seed++)
        compare_at(name, code, end, 30000, seed, seed % 2 ? 5 + seed : 0);
    cr_assert_gt(over_pages, 0, "%s forms no block over pages", name);
    for (unsigned tick = 1; tick < 150; tick += test_every())
        compare_at(name, code, end, tick, (tick + tick / 7) % 7, tick % 3 ? 0 : 9);
}
#define COMPARE(name) compare(#name, name, name##_end)

Test(long_blocks, calls_and_returns)
{
    COMPARE(calls);
    COMPARE(returns);
    COMPARE(jumps);
}

Test(long_blocks, loop_by_the_branch_not_taken)
{
    loops = 0;
    for (unsigned seed = 0; seed < 16; seed++)
        compare_at("exits_first", exits_first, exits_first_end, 30000, seed, seed % 2 ? 5 + seed : 0);
    cr_assert_gt(loops, 0, "no block goes on with itself");
    for (unsigned tick = 1; tick < 100; tick += test_every())
        compare_at("exits_first", exits_first, exits_first_end, tick, tick % 7, tick % 3 ? 0 : 9);
}

Test(long_blocks, code_changes)
{
    COMPARE(changes);
    COMPARE(alias);
}

Test(long_blocks, pages_change)
{
    COMPARE(moves);
    COMPARE(moves_by_cr3);
    COMPARE(faults);
    COMPARE(evicts);
}

/* Jumps find the code of the page that is mapped now, without the run loop. */
Test(long_blocks, spaces_take_turns)
{
    COMPARE(turns);
    const struct harness_options o = {.tick_limit = 30000,
                                      .ram_bytes = RAM,
                                      .long_blocks = LONG_BLOCKS_OFF,
                                      .translator = TRANSLATOR_EAGER};
    run(turns, turns_end, &o);
    cr_assert_lt(misses, TURNS / 4, "%u jumps went to the run loop", (unsigned)misses);
}
