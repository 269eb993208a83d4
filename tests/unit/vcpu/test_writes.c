/* test_writes.c - every way in which an instruction writes memory, against everybody who watches memory:
 * translated code (another block's, and the running block's own), page tables in use, and the dirty log; in
 * every engine.
 *
 * A path is a snippet that stores at EDI. It runs once at an unwatched place, so that it is compiled and its
 * pages are in the TLB, then at the watched one. What is checked does not depend on what it stores: a block
 * that is found must be what a new translation gives, a translation that a CR3 load puts back must be what a
 * walk gives, a page that changed must be dirty, and code that changes itself must do what it does one
 * instruction at a time. */
#include "tests/unit/vcpu/harness.h"
#include "vcpu/mmu/tlb.h"

#include <criterion/criterion.h>
#include <string.h>

enum { P = 1, RW = 2, US = 4, PTE_A = 0x20 };
enum {
    SCRATCH = 0x70000,
    TARGET = 0x60000,
    SOURCE = 0x9000,
    IRET_STUB = 0x20000,
    TSS = 0x1200,
    TSS_SEL = 0x38
};
enum { TABLE = 0x90000, DIRECTORY_A = 0x80000, DIRECTORY_B = 0x91000, TABLE_BYTE = 0x100 };
#define LIN       0x08000000u
#define PATTERN   0x00050067u /* also a page table entry */
#define RAM_BYTES (UINT64_C(2) << 20)
#define TICKS     5000

/* --- the paths --- */

#define TO_STACK(bytes) "lea " #bytes "(%edi), %esp\n"
/* name, text;  label 9 is its first byte. */
#define PATHS(X)                                                                                             \
    X(mov_32, "mov %eax, (%edi)")                                                                            \
    X(mov_16, "mov %ax, (%edi)")                                                                             \
    X(mov_8, "mov %al, (%edi)")                                                                              \
    X(mov_imm, "movl $0x50067, (%edi)")                                                                      \
    X(mov_odd, "mov %eax, 1(%edi)")                                                                          \
    X(mov_group, "mov %eax, (%edi)\n mov %ecx, 4(%edi)\n mov %eax, 8(%edi)")                                 \
    X(add, "add %eax, (%edi)")                                                                               \
    X(xchg, "xchg %eax, (%edi)")                                                                             \
    X(xadd, "lock xadd %eax, (%edi)")                                                                        \
    X(cmpxchg, "mov (%edi), %eax\n mov $0x50067, %ecx\n cmpxchg %ecx, (%edi)")                               \
    X(cmpxchg8b,                                                                                             \
      "mov (%edi), %eax\n mov 4(%edi), %edx\n mov $0x50067, %ecx\n mov %ecx, %ebx\n cmpxchg8b (%edi)")       \
    X(shld, "shld $7, %eax, (%edi)")                                                                         \
    X(bts, "btsl $4, (%edi)")                                                                                \
    X(btc, "mov $67, %ecx\n btcl %ecx, (%edi)")                                                              \
    X(setcc, "setae (%edi)")                                                                                 \
    X(neg, "negl (%edi)")                                                                                    \
    X(push, TO_STACK(4) "push %eax")                                                                         \
    X(push_16, TO_STACK(2) "push %ax")                                                                       \
    X(push_segment, TO_STACK(4) "push %ds")                                                                  \
    X(push_memory, TO_STACK(4) "push (%esi)")                                                                \
    X(pop_memory, "mov %esi, %esp\n pop (%edi)")                                                             \
    X(pusha, TO_STACK(32) "pusha")                                                                           \
    X(pushf, TO_STACK(4) "pushf")                                                                            \
    X(enter, TO_STACK(16) "lea 32(%edi), %ebp\n enter $0, $2")                                               \
    X(call, TO_STACK(4) "call 1f\n 1:")                                                                      \
    X(call_far, TO_STACK(8) ".byte 0x9a\n .long 0x10000 + 1f - 9b\n .word 0x10\n 1:")                        \
    X(interrupt, TO_STACK(12) "int $0x30")                                                                   \
    X(task, ".byte 0xea\n .long 0\n .word 0x38")                                                             \
    X(mov_segment, "mov %ds, (%edi)")                                                                        \
    X(sgdt, "sgdt (%edi)")                                                                                   \
    X(sidt, "sidt 2(%edi)")                                                                                  \
    X(sldt, "sldt (%edi)")                                                                                   \
    X(str, "str (%edi)")                                                                                     \
    X(smsw, "smsw (%edi)")                                                                                   \
    X(arpl, "orw $3, %ax\n arpl %ax, (%edi)")                                                                \
    X(movs, "movsl")                                                                                         \
    X(stos, "stosl")                                                                                         \
    X(stos_byte, "stosb")                                                                                    \
    X(rep_movs, "mov $3, %ecx\n rep movsl")                                                                  \
    X(rep_movs_down, "std\n add $8, %edi\n add $8, %esi\n mov $3, %ecx\n rep movsl\n cld")                   \
    X(rep_stos, "mov $5, %ecx\n rep stosl")                                                                  \
    X(rep_stos_into, "sub $64, %edi\n mov $20, %ecx\n rep stosl")                                            \
    X(ins, "mov $0x10, %dx\n insl")                                                                          \
    X(rep_ins, "mov $0x10, %dx\n mov $2, %ecx\n rep insl")                                                   \
    X(loop_mov, "sub $32, %edi\n mov $10, %ecx\n 1: mov %eax, (%edi)\n add $4, %edi\n dec %ecx\n jnz 1b")    \
    X(loop_sse,                                                                                              \
      "sub $64, %edi\n mov $5, %ecx\n 1: movdqa %xmm0, (%edi)\n add $16, %edi\n dec %ecx\n jnz 1b")          \
    X(fst_32, "flds (%esi)\n fsts (%edi)")                                                                   \
    X(fstp_64, "fldl (%esi)\n fstpl (%edi)")                                                                 \
    X(fstp_80, "fldt (%esi)\n fstpt (%edi)")                                                                 \
    X(fist_16, "fildll (%esi)\n fists (%edi)")                                                               \
    X(fistp_32, "fildl (%esi)\n fistpl (%edi)")                                                              \
    X(fistp_64, "fildll (%esi)\n fistpll (%edi)")                                                            \
    X(fbstp, "fildl (%esi)\n fbstp (%edi)")                                                                  \
    X(fnstcw, "fnstcw (%edi)")                                                                               \
    X(fnstsw, "fnstsw (%edi)")                                                                               \
    X(fnstenv, "fildl (%esi)\n fnstenv (%edi)")                                                              \
    X(fnsave, "fildl (%esi)\n fnsave (%edi)")                                                                \
    X(fxsave, "fxsave (%edi)")                                                                               \
    X(stmxcsr, "stmxcsr (%edi)")                                                                             \
    X(movdqa, "movdqa %xmm0, (%edi)")                                                                        \
    X(movups, "movups %xmm0, 1(%edi)")                                                                       \
    X(movntps, "movntps %xmm0, (%edi)")                                                                      \
    X(movss, "movss %xmm0, (%edi)")                                                                          \
    X(movsd_sse, "movsd %xmm0, (%edi)")                                                                      \
    X(movhps, "movhps %xmm0, (%edi)")                                                                        \
    X(movd, "movd %xmm0, (%edi)")                                                                            \
    X(movnti_like, "movntdq %xmm0, (%edi)")                                                                  \
    X(movq_mmx, "movq (%esi), %mm0\n movq %mm0, (%edi)")                                                     \
    X(movd_mmx, "movq (%esi), %mm0\n movd %mm0, (%edi)")                                                     \
    X(movntq, "movq (%esi), %mm0\n movntq %mm0, (%edi)")                                                     \
    X(maskmovq, "movq (%esi), %mm0\n pcmpeqb %mm1, %mm1\n maskmovq %mm1, %mm0")                              \
    X(maskmovdqu, "pcmpeqb %xmm1, %xmm1\n maskmovdqu %xmm1, %xmm0")

/* Behind the snippet one-byte instructions; those from the next multiple of 16 on may be overwritten. */
#define X(name, text)                                                                                        \
    __asm__(".pushsection .rodata\n.balign 16\n.code32\n9:\npath_" #name ":\n" text                          \
            "\n.balign 16, 0x43\npath_" #name "_target:\n.fill 560, 1, 0x43\n"                               \
            "mov $0xf4, %dx\nout %eax, %dx\n99: jmp 99b\npath_" #name "_end:\n.code64\n.popsection\n");      \
    extern const uint8_t path_##name[], path_##name##_target[], path_##name##_end[];
PATHS(X)
#undef X

static const struct path {
    const char *name;
    const uint8_t *code, *target, *end;
} paths[] = {
#define X(name, text) {#name, path_##name, path_##name##_target, path_##name##_end},
    PATHS(X)
#undef X
};
enum { PATH_COUNT = sizeof paths / sizeof paths[0] };

static uint32_t own_target(const struct path *p)
{
    return HARNESS_CODE + (uint32_t)(p->target - p->code);
}

/* --- the ways of running --- */

static const struct way {
    const char *name;
    enum translator_mode mode;
    unsigned threads;
    bool single_tb;
} ways[] = {
    {"single", TRANSLATOR_INTERP, 0, true},       {"interp", TRANSLATOR_INTERP, 0, false},
    {"eager", TRANSLATOR_EAGER, 0, false},        {"background", TRANSLATOR_BACKGROUND, 0, false},
    {"workers", TRANSLATOR_BACKGROUND, 1, false}, {"single, eager", TRANSLATOR_EAGER, 0, true},
};
enum { WAY_COUNT = sizeof ways / sizeof ways[0] };
static const uint64_t quanta[] = {1000000, 1, 2, 3};
enum { QUANTUM_COUNT = sizeof quanta / sizeof quanta[0] };

static struct harness h;

static void put_new_task(uint32_t eip)
{
    static const uint8_t selectors[] = {0x18, 0x10, 0x18, 0x18, 0x18, 0x18}; /* ES CS SS DS FS GS */
    harness_poke32(&h, 0x1000 + TSS_SEL, TSS << 16 | 0x67);
    harness_poke32(&h, 0x1004 + TSS_SEL, 0x00008900);
    harness_poke32(&h, TSS + 0x1c, DIRECTORY_A);
    harness_poke32(&h, TSS + 0x20, eip);
    harness_poke32(&h, TSS + 0x24, 2);
    harness_poke32(&h, TSS + 0x38, 0x8000);
    for (unsigned i = 0; i < sizeof selectors; i++)
        harness_poke32(&h, TSS + 0x48 + 4 * i, selectors[i]);
}

static void put_tables(void)
{
    harness_paging(&h, P | RW | US);
    for (unsigned i = 0; i < 1024; i++) {
        harness_poke32(&h, TABLE + 4 * i, 0x40000 | P | RW | US);
        harness_poke32(&h, DIRECTORY_B + 4 * i, harness_peek32(&h, DIRECTORY_A + 4 * i));
    }
    harness_poke32(&h, DIRECTORY_A + (LIN >> 22) * 4, TABLE | P | RW | US);
}

static void prepare(const struct path *p, const struct way *w, uint64_t quantum)
{
    const struct harness_options o = {.ram_bytes = RAM_BYTES,
                                      .translator = w->mode,
                                      .single_tb = w->single_tb,
                                      .hot = w->mode == TRANSLATOR_BACKGROUND ? 1 : 0,
                                      .translator_threads = w->threads,
                                      .quantum_ticks = quantum,
                                      .tick_limit = TICKS};
    harness_init(&h, &o);
    harness_load32(&h, p->code, p->end);
    harness_tables(&h);
    put_tables();
    put_new_task(own_target(p));
    h.cpu->g.gdtr.limit = TSS_SEL + 7;
    harness_gate(&h, 0x30, IRET_STUB, 0);
    harness_put(&h, IRET_STUB, "\xcf", 1);
    for (unsigned i = 0; i < 64; i++) {
        harness_poke32(&h, SOURCE + 4 * i, PATTERN);
        harness_poke32(&h, TARGET - 128 + 4 * i, 0x43434343);
    }
}

/* Runs the path with EDI there, from the same registers each time. */
static void run_at(const struct path *p, uint32_t edi)
{
    struct guest_state *g = vcpu_state(h.cpu);
    g->eip = HARNESS_CODE;
    g->slot[IR_EAX] = g->slot[IR_ECX] = g->slot[IR_EDX] = PATTERN;
    g->slot[IR_EBX] = 0;
    g->slot[IR_ESI] = SOURCE;
    g->slot[IR_EDI] = edi;
    g->slot[IR_ESP] = g->slot[IR_EBP] = 0x8000;
    g->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    g->cr0 &= ~(uint32_t)CR0_TS;
    g->halted = 0;
    g->x87 = (struct x87_state){.cw = 0x37f, .empty = 0xff};
    for (unsigned i = 0; i < 16; i++)
        g->sse.xmm[0][i] = (uint8_t)(PATTERN >> 8 * (i & 3));
    g->tr = (struct segment){.sel = 0x30, .access = 0x8b, .base = edi - 0x20, .limit = 0x67};
    harness_poke32(&h, 0x1004 + 0x30, 0x00008b00);
    harness_poke32(&h, 0x1004 + TSS_SEL, 0x00008900);
    vcpu_update_mode(h.cpu);
    h.cpu->until.tick = vcpu_tick(h.cpu) + TICKS;
    vcpu_run(h.cpu);
}

/* --- the watchers --- */

static struct tb *block_at(uint32_t eip)
{
    vcpu_state(h.cpu)->eip = eip;
    struct tb *tb = tb_find(h.cpu, false);
    cr_assert_not_null(tb);
    return tb;
}

/* Blocks around the place where the path stores, compiled where the engine compiles. */
enum { BLOCKS = 3, BLOCK_STEP = 32 };

static void build_blocks(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct tb *tb = block_at(TARGET - BLOCK_STEP + i * BLOCK_STEP);
        if (h.cpu->native)
            compiling_now(h.cpu, tb);
    }
}

static uint64_t blocks_now(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        const struct tb *tb = block_at(TARGET - BLOCK_STEP + i * BLOCK_STEP);
        for (unsigned k = 0; k < tb->nops; k++)
            sum = (sum * 31 + tb->ops[k].op) * 31 + tb->ops[k].imm;
        sum = sum * 31 + tb->bytes;
    }
    return sum;
}

static void check_other_block(const struct path *p, const char *what)
{
    run_at(p, SCRATCH);
    build_blocks();
    run_at(p, TARGET);
    uint64_t found = blocks_now();
    tbcache_flush(h.cpu);
    cr_assert_eq(found, blocks_now(), "%s: a block is not what memory says", what);
}

/* What a load from each page of LIN comes to: physical page or fault. */
static uint64_t translations_now(void)
{
    uint64_t sum = 0;
    h.cpu->in_single = true;
    for (uint32_t i = 0; i < 24; i++) {
        uint32_t lin_addr = LIN + (TABLE_BYTE / 4 - 8 + i) * PAGE_BYTES;
        bool there = mem_probe_read(h.cpu, lin_addr, 1, false);
        uint32_t page = tlb_slot(h.cpu, TLB_DATA, lin_addr)->phys_page;
        sum = sum * 31 + (there ? page : 1);
        h.cpu->exc.pending = false;
    }
    h.cpu->in_single = false;
    return sum;
}

static void check_table(const struct path *p, const char *what)
{
    run_at(p, SCRATCH);
    translations_now();
    tlb_switch(h.cpu, DIRECTORY_B);
    tlb_switch(h.cpu, DIRECTORY_A);
    run_at(p, TABLE + TABLE_BYTE);
    tlb_switch(h.cpu, DIRECTORY_B);
    tlb_switch(h.cpu, DIRECTORY_A);
    uint64_t found = translations_now();
    tlb_flush(h.cpu);
    cr_assert_eq(found, translations_now(), "%s: a CR3 load put back what no walk gives", what);
}

static void ignore_page(void *ctx, uint32_t page)
{
}

/* Every page that changed since the log was cleared is in it. */
static void check_dirty(const struct path *p, const char *what)
{
    static uint8_t before[RAM_BYTES];
    run_at(p, TARGET);
    for (unsigned i = 0; i < 300; i++)
        harness_poke32(&h, TARGET - 128 + 4 * i, 0x43434340);
    physmem_log_take(&h.mem, MEM_LOG_DIGEST, 0, RAM_BYTES / PAGE_BYTES, ignore_page, NULL);
    memcpy(before, h.mem.host, RAM_BYTES);
    run_at(p, TARGET);
    cr_assert(memcmp(before + TARGET - 128, h.mem.host + TARGET - 128, 512) != 0, "%s: stores nothing", what);
    for (uint32_t at = 0; at < RAM_BYTES; at += PAGE_BYTES)
        cr_assert(memcmp(before + at, h.mem.host + at, PAGE_BYTES) == 0 ||
                      physmem_log_is_dirty(&h.mem, MEM_LOG_DIGEST, at / PAGE_BYTES),
                  "%s: page %x changed and is not dirty", what, (unsigned)at);
}

static uint64_t own_block[QUANTUM_COUNT]; /* by which all ways of running are measured */

static uint64_t run_own_block(const struct path *p)
{
    run_at(p, SCRATCH);
    run_at(p, own_target(p));
    return harness_fingerprint(&h);
}

/* Is number n of so many ways to run case i taken? Where not all are (tests/unit/every.h), each case is run
 * in one. */
static bool is_taken(unsigned i, unsigned n, unsigned ways_in_all)
{
    return test_every() == 1 || n == i % ways_in_all;
}

typedef void check_fn(const struct path *p, const char *what);

static void each_way(check_fn *check)
{
    char what[80];
    for (unsigned i = 0; i < PATH_COUNT; i++)
        for (unsigned w = 0; w < WAY_COUNT; w++) {
            if (!is_taken(i, w, WAY_COUNT))
                continue;
            snprintf(what, sizeof what, "%s, %s", paths[i].name, ways[w].name);
            prepare(&paths[i], &ways[w], quanta[0]);
            check(&paths[i], what);
            harness_free(&h);
        }
}

Test(writes, into_another_block)
{
    each_way(check_other_block);
}

Test(writes, into_a_page_table)
{
    each_way(check_table);
}

Test(writes, into_a_clean_page)
{
    each_way(check_dirty);
}

Test(writes, into_the_running_block)
{
    for (unsigned i = 0; i < PATH_COUNT; i++)
        for (unsigned w = 0; w < WAY_COUNT; w++)
            for (unsigned q = 0; q < QUANTUM_COUNT; q++) {
                const unsigned n = w * QUANTUM_COUNT + q;
                if (n > 0 && !is_taken(i, n - 1, WAY_COUNT * QUANTUM_COUNT - 1))
                    continue;
                prepare(&paths[i], &ways[w], quanta[q]);
                uint64_t result = run_own_block(&paths[i]);
                if (n == 0)
                    own_block[0] = result;
                cr_assert_eq(result, own_block[0], "%s, %s, quantum %u", paths[i].name, ways[w].name,
                             (unsigned)quanta[q]);
                harness_free(&h);
            }
}

/* --- the walker writes, too: accessed and dirty bits in what is also code --- */

/* A page that is a page table and holds code: at offset 16 a block that accesses LIN + 6 pages, whose entry
 * (offset 24) is its next instruction but one. Accessed, then dirty bit turn add into and, and into arpl. */
enum { WALK_CODE = 16, WALK_ENTRY = 24, WALK_PTE = 0x0010c003 };
static const uint8_t walk_load[] = {0x90, 0x90, 0x90, 0xa1, 0, 0x60, 0, 8}; /* mov 0x08006000, %eax */
static const uint8_t walk_store[] = {0x90, 0x90, 0x90, 0xa3, 0, 0x60, 0, 8};
static const uint8_t walk_rmw[] = {0x90, 0x90, 0xff, 0x05, 0, 0x60, 0, 8}; /* incl 0x08006000 */
static const uint8_t walk_push[] = {0x90, 0xbc, 4,    0x60,
                                    0,    8,    0x50, 0x90}; /* mov $0x08006004, %esp; push %eax */
static const uint8_t walk_sse[] = {0x0f, 0x29, 0x05, 0, 0x60, 0, 8, 0x90};  /* movaps %xmm0, 0x08006000 */
static const uint8_t walk_fist[] = {0xdb, 0x15, 0, 0x60, 0, 8, 0x90, 0x90}; /* fistl 0x08006000 */
static const uint8_t walk_stos[] = {0x90, 0xbf, 0, 0x60, 0, 8, 0xab, 0x90}; /* mov $0x08006000, %edi; stosl */
static const uint8_t walk_rep[] = {0xbf, 0, 0x60, 0, 8, 0xf3, 0xab, 0x90};  /* the same; rep stosl */
static const uint8_t walk_sgdt[] = {0x0f, 0x01, 0x05, 0, 0x60, 0, 8, 0x90}; /* sgdt 0x08006000 */
static const uint8_t *const walks[] = {walk_load, walk_store, walk_rmw, walk_push, walk_sse,
                                       walk_fist, walk_stos,  walk_rep, walk_sgdt};

static uint64_t run_walk(const uint8_t *code, const struct way *w, uint64_t quantum)
{
    uint64_t sum = 0;
    prepare(&paths[0], w, quantum);
    for (unsigned round = 0; round < 4; round++) {
        struct guest_state *g = vcpu_state(h.cpu);
        harness_put(&h, TABLE + WALK_CODE, code, 8);
        harness_poke32(&h, TABLE + WALK_ENTRY, WALK_PTE);
        harness_poke32(&h, TABLE + WALK_ENTRY + 4, 0x9090f4fa); /* cli; hlt */
        harness_poke32(&h, WALK_PTE & 0xfffff000, 0x12345678);
        vcpu_state_changed(h.cpu);
        g->eip = TABLE + WALK_CODE;
        g->halted = 0;
        g->cr4 = CR4_OSFXSR;
        g->slot[IR_EAX] = 0x100000;
        g->slot[IR_ECX] = 3;
        g->slot[IR_ESP] = 0x8000;
        g->x87 = (struct x87_state){.cw = 0x37f, .empty = 0};
        vcpu_update_mode(h.cpu);
        h.cpu->until.tick = vcpu_tick(h.cpu) + 100;
        vcpu_run(h.cpu);
        sum = sum * 31 + harness_fingerprint(&h);
    }
    harness_free(&h);
    return sum;
}

Test(writes, accessed_and_dirty_bits_into_the_running_block)
{
    for (unsigned i = 0; i < sizeof walks / sizeof walks[0]; i++) {
        uint64_t want = run_walk(walks[i], &ways[0], quanta[0]);
        for (unsigned w = 0; w < WAY_COUNT; w++)
            for (unsigned q = 0; q < QUANTUM_COUNT; q++)
                if (is_taken(i, w * QUANTUM_COUNT + q, WAY_COUNT * QUANTUM_COUNT))
                    cr_assert_eq(run_walk(walks[i], &ways[w], quanta[q]), want, "walk %u, %s, quantum %u", i,
                                 ways[w].name, (unsigned)quanta[q]);
    }
}

/* The block's first instruction crosses into a page whose table entry is that instruction's last bytes:
 * finding the block sets the accessed bit there, which makes it another one (add becomes and). */
Test(writes, accessed_bit_into_the_block_that_is_looked_up)
{
    enum {
        NEXT = 0x10c000,
        ADD_A_CLEAR = NEXT | US | P,
        OTHER = 0x92000,
        TABLE_OTHER = 0x93000,
        AT = 0x083feffc
    };
    prepare(&paths[0], &ways[1], quanta[0]);
    for (uint32_t i = 0; i < 1024; i++)
        harness_poke32(&h, OTHER + 4 * i, harness_peek32(&h, DIRECTORY_A + 4 * i));
    harness_poke32(&h, OTHER + (LIN >> 22) * 4, TABLE_OTHER | P | RW);
    for (uint32_t table = TABLE; table <= TABLE_OTHER; table += TABLE_OTHER - TABLE) {
        harness_poke32(&h, table + 0xff8, TABLE | P | RW);
        harness_poke32(&h, table + 0xffc, ADD_A_CLEAR);
    }
    harness_poke32(&h, NEXT, 0x90f4fa11);
    tlb_switch(h.cpu, OTHER); /* all bits are set elsewhere */
    uint32_t op = block_at(AT)->ops[0].op;
    tlb_switch(h.cpu, DIRECTORY_A);
    const struct tb *tb = block_at(AT);
    cr_assert(tb->valid);
    cr_assert_neq(tb->ops[0].op, op);
    cr_assert_eq(harness_peek32(&h, TABLE + 0xffc), ADD_A_CLEAR | PTE_A);
    harness_free(&h);
}
