/* test_codegen.c - guest bytes to host instructions, as reviewed listings: codegen/<name>.txt (golden.h).
 *
 * The guest instructions first, then the block's host code: main path and far code (translator/x64/disas.h).
 * The block runs nowhere, so the C functions that it names need not be the real ones. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "random_code.h"
#include "translator/disas.h"
#include "translator/x64/disas.h"

/* An owner's state: what struct x64_env names, somewhere. */
struct tlb_line {
    _Alignas(X64_TLB_ENTRY_BYTES) uint64_t tag_r;
    uint64_t tag_w, addend;
    uint32_t phys_page, tag;
};
struct owner {
    struct guest_state g;
    uint64_t running_tb, likely_addend, wants;
    struct tlb_line tlb[2][1024], itlb[2][1024], second[4][1024];
    struct x64_jumps jumps;
    struct jump_entry found[1u << JUMP_BITS];
};

static int64_t load(void *state, uint32_t lin_addr, unsigned bytes, unsigned for_write)
{
    return -1;
}
static int64_t store(void *state, uint32_t lin_addr, unsigned bytes, uint32_t value)
{
    return -1;
}
static int64_t segment(void *state, uint32_t offset, unsigned seg_bytes_write)
{
    return -1;
}
static int64_t touch(void *state, uint32_t lin_addr, unsigned bytes_write)
{
    return -1;
}
static int64_t fpu_enter(void *state)
{
    return -1;
}
static int64_t fpu_leave(void *state)
{
    return -1;
}
static int64_t fpu_refuse(void *state)
{
    return -1;
}
static const void *next(void *state)
{
    return NULL;
}

/* Addresses that differ from one another; never called. */
static ir_helper_fn const *helper_table(void)
{
    static ir_helper_fn table[HELPER_COUNT];
    for (uintptr_t i = 0; i < HELPER_COUNT; i++)
        table[i] = (ir_helper_fn)(UINT64_C(0x123456789000) + i * 16);
    return table;
}

static struct x64 *back_end(void)
{
    static struct x64 *x;
    const struct x64_env env = {
        .tlb = {offsetof(struct owner, tlb[0]), offsetof(struct owner, tlb[1])},
        .itlb = {offsetof(struct owner, itlb[0]), offsetof(struct owner, itlb[1])},
        .tlb_bits = 10,
        .tlb_way_bytes = offsetof(struct owner, second) - offsetof(struct owner, tlb),
        .tlb_entry_bytes = sizeof(struct tlb_line),
        .tag_r = offsetof(struct tlb_line, tag_r),
        .tag_w = offsetof(struct tlb_line, tag_w),
        .addend = offsetof(struct tlb_line, addend),
        .fetch_at = offsetof(struct tlb_line, tag_w),
        .likely = offsetof(struct owner, likely_addend),
        .wants = offsetof(struct owner, wants),
        .phys_page = offsetof(struct tlb_line, phys_page),
        .jumps = offsetof(struct owner, jumps),
        .found = offsetof(struct owner, found),
        .running_tb = offsetof(struct owner, running_tb),
        .calls = {load, store, segment, touch, fpu_enter, fpu_leave, fpu_refuse, next, helper_table()},
    };
    if (!x)
        x = x64_create(&env, (size_t)16 << 20);
    cr_assert_not_null(x);
    return x;
}

static struct x64_compiler *compiler(void)
{
    static struct x64_compiler *z;
    if (!z)
        z = x64_compiler_create(back_end());
    cr_assert_not_null(z);
    return z;
}

/* The compiler's input; blocks are 64-byte aligned (x64.h). */
static struct tb *make_block(const struct translate_out *t, uint32_t mode)
{
    const size_t exits = sizeof(struct tb) + t->nops * sizeof t->ops[0],
                 offsets = exits + t->nexits * sizeof(struct tb_exit),
                 bytes = (offsets + sizeof t->insn_offset + 63) & ~(size_t)63;
    struct tb *tb = aligned_alloc(64, bytes);
    cr_assert_not_null(tb);
    memset(tb, 0, bytes);
    tb->lin_addr = tb->phys_addr = GOLDEN_EIP;
    tb->cs_limit = mode & TB_MODE_CODE32 ? 0xffffffff : 0xffff;
    tb->mode = mode;
    tb->phys_page2 = ~0u;
    tb->low = (int16_t)t->low;
    tb->bytes = (uint16_t)t->bytes;
    tb->nops = (uint16_t)t->nops;
    tb->ninsns = (uint8_t)t->ninsns;
    tb->valid = 1;
    tb->movable = !t->fixed && mode & TB_MODE_FLAT && !(mode & TB_MODE_SINGLE);
    tb->nexits = (uint8_t)t->nexits;
    tb->exits = (struct tb_exit *)((char *)tb + exits);
    tb->insn_offset = memcpy((char *)tb + offsets, t->insn_offset, sizeof t->insn_offset);
    memcpy(tb->ops, t->ops, t->nops * sizeof t->ops[0]);
    return tb;
}

static void print_code(FILE *out, uint32_t mode, const uint8_t *bytes, unsigned count)
{
    static struct translate_out t;
    golden_translate(&t, mode, bytes, count);
    for (unsigned i = 0; i < t.ninsns; i++) {
        const unsigned at = t.insn_offset[i];
        disas_guest(out, mode, GOLDEN_EIP + at, bytes + at, count - at);
        fputc('\n', out);
    }
    struct tb *tb = make_block(&t, mode);
    struct x64_code code;
    x64_reset(back_end());
    x64_compile(compiler(), tb, &code);
    cr_assert(x64_has_room(back_end(), &code));
    x64_install(back_end(), tb, &code);
    x64_disas(out, back_end(), tb, X64_DISAS_LABELS);
    free(tb);
}

Test(codegen, listings)
{
    golden_check("codegen", print_code);
}

/* Whatever the guest's bytes are, the block's code keeps to the compiler's bounds: registers, far code,
 * bytes. */
static enum translate_follow follow_any(void *state, uint32_t eip)
{
    const uint64_t way = random_below(state, 8);
    return way == 0 ? FOLLOW_END : way < 4 ? FOLLOW_ELSE : FOLLOW_TAKEN;
}

static struct translate_request random_request(const uint8_t *bytes, unsigned count, uint32_t mode)
{
    return (struct translate_request){.eip = GOLDEN_EIP,
                                      .cs_limit = mode & TB_MODE_CODE32 ? 0xffffffff : 0xffff,
                                      .mode = mode,
                                      .code = bytes,
                                      .code_bytes = count,
                                      .insns_max = mode & TB_MODE_FLAT ? TB_LONG_INSNS_MAX : TB_INSNS_MAX};
}

static void compile_random(uint64_t *state, uint32_t mode)
{
    static struct translate_out t;
    uint8_t bytes[256];
    struct x64_code code;
    random_code(state, bytes, sizeof bytes);
    struct translate_request req = random_request(bytes, sizeof bytes, mode);
    req.follow = mode & TB_MODE_FLAT ? follow_any : NULL;
    req.follow_ctx = state;
    cr_assert_eq(translate_block(&req, &t), TRANSLATE_OK);
    struct tb *tb = make_block(&t, mode);
    for (unsigned in_c = 0; in_c < 2; in_c++) {
        tb->fpu_in_c = (uint8_t)in_c;
        x64_compile(compiler(), tb, &code);
        cr_assert_gt(code.nbytes, 0);
    }
    free(tb);
}

Test(codegen, any_bytes_compile, .timeout = 120)
{
    static const uint32_t modes[] = {
        TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_CPL0,
        TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_USER,
        TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_PE | TB_MODE_CPL0,
        TB_MODE_PE | TB_MODE_CPL0,
        TB_MODE_CPL0,
        TB_MODE_CPL0 | TB_MODE_PLAIN,
        TB_MODE_USER | TB_MODE_VM86 | TB_MODE_PLAIN,
        TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_CPL0 | TB_MODE_SINGLE};
    uint64_t state = 20;
    const uint64_t n = test_scale(60000);
    for (uint64_t i = 0; i < n; i++)
        compile_random(&state, modes[i % (sizeof modes / sizeof modes[0])]);
}

/* --- blocks at another linear address --- */

static struct x64_compiler *second_compiler(void)
{
    static struct x64_compiler *z;
    if (!z)
        z = x64_compiler_create(back_end());
    cr_assert_not_null(z);
    return z;
}

static void install(struct tb *tb)
{
    struct x64_code code;
    x64_compile(compiler(), tb, &code);
    while (!x64_has_room(back_end(), &code))
        x64_evict_oldest(back_end());
    x64_install(back_end(), tb, &code);
}

/* The same way each time, at whichever address the block lies. */
static enum translate_follow follow_by_offset(void *ctx, uint32_t eip)
{
    const uint32_t seed = *(const uint32_t *)ctx, way = ((eip & 0xfff) * 2654435761u ^ seed) >> 29;
    return way == 0 ? FOLLOW_END : way < 4 ? FOLLOW_ELSE : FOLLOW_TAKEN;
}

/* A block of random bytes at GOLDEN_EIP + by. */
static struct tb *block_at(const uint8_t *bytes, unsigned count, uint32_t mode, uint32_t seed, uint32_t by)
{
    static struct translate_out t;
    struct translate_request req = random_request(bytes, count, mode);
    req.eip += by;
    req.follow = follow_by_offset;
    req.follow_ctx = &seed;
    cr_assert_eq(translate_block(&req, &t), TRANSLATE_OK);
    struct tb *tb = make_block(&t, mode);
    tb->lin_addr += by;
    return tb;
}

/* Returns whether there was something to compare. Links of the first block must not be copied. */
static bool move_random(uint64_t *state, uint32_t mode)
{
    uint8_t bytes[256];
    struct x64_code copied, compiled;
    random_code(state, bytes, sizeof bytes);
    const uint32_t seed = (uint32_t)random_below(state, UINT32_MAX);
    const uint32_t by = (uint32_t)random_below(state, 1u << 20) << 12;
    struct tb *from = block_at(bytes, sizeof bytes, mode, seed, 0);
    struct tb *to = block_at(bytes, sizeof bytes, mode, seed, by);
    const bool movable = from->movable;
    if (movable) {
        install(from);
        for (unsigned i = 0; i < from->nexits; i++)
            x64_chain(back_end(), from, i, from);
        cr_assert(x64_copy(compiler(), from, to, &copied));
        x64_compile(second_compiler(), to, &compiled);
        cr_assert(x64_code_equals(&copied, &compiled));
        ir_move(from->ops, from->nops, by);
        cr_assert_eq(from->nops, to->nops);
        cr_assert_arr_eq(from->ops, to->ops, from->nops * sizeof from->ops[0]);
        x64_move(back_end(), from, by);
        from->lin_addr += by;
        cr_assert(x64_copy(compiler(), from, from, &copied));
        x64_compile(second_compiler(), from, &compiled);
        cr_assert(x64_code_equals(&copied, &compiled));
        x64_drop(back_end(), from);
    }
    free(from);
    free(to);
    return movable;
}

Test(codegen, moved_blocks_are_what_would_be_compiled, .timeout = 120)
{
    const uint32_t mode = TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_USER;
    uint64_t state = 21;
    const uint64_t n = test_scale(30000);
    uint64_t moved = 0;
    x64_reset(back_end());
    for (uint64_t i = 0; i < n; i++)
        moved += move_random(&state, mode);
    cr_assert_gt(moved, n / 2);
}

/* A target that is cut to 16 bits does not move with the code. */
Test(codegen, blocks_with_16_bit_targets_are_fixed)
{
    static const uint8_t jump[] = {0x66, 0xeb, 0x10}, call[] = {0x66, 0xe8, 0x10, 0x00},
                         indirect[] = {0x66, 0xff, 0xd0}, near[] = {0xe8, 0x10, 0, 0, 0};
    const uint32_t mode = TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_USER;
    static struct translate_out t;
    golden_translate(&t, mode, jump, sizeof jump);
    cr_assert(t.fixed);
    golden_translate(&t, mode, call, sizeof call);
    cr_assert(t.fixed);
    golden_translate(&t, mode, indirect, sizeof indirect);
    cr_assert(t.fixed);
    golden_translate(&t, mode, near, sizeof near);
    cr_assert_not(t.fixed);
}
