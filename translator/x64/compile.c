/* compile.c - a block's IR to host code: main path, then far code; and the place where code is kept.
 *
 * Compiling is a function of the block's IR alone, run by any thread, into a buffer of that thread. Only the
 * thread that runs the code installs it. */
#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/compile.h"
#include "translator/x64/control.h"
#include "translator/x64/copy.h"
#include "translator/x64/flags.h"
#include "translator/x64/mem.h"
#include "translator/x64/ops.h"
#include "translator/x64/strip.h"
#include "translator/x64/stubs.h"

/* An op without an emitter does not link. */
static emit_fn *const emitters[IR_OPCODE_COUNT] = {
#define IROP(name, ...) [IR_##name] = emit_##name,
#include "translator/ir_ops.def"
#undef IROP
};

_Static_assert(offsetof(struct guest_state, slot) == 0, "mem_slot");
_Static_assert(sizeof(((struct guest_state *)0)->slot) == X64_STATE_BIAS, "slots below the bias");
_Static_assert(sizeof(((struct guest_state *)0)->budget) == 8, "budget is subtracted as 64 bits");
_Static_assert(sizeof(((struct guest_state *)0)->cpl) == 1 && sizeof(((struct segment *)0)->access) == 2,
               "SEGADDR");
_Static_assert((int)X64_EXIT_OTHER <= (int)X64_KIND_MASK, "exit word");
_Static_assert(X64_EXIT_CHAIN1 == X64_EXIT_CHAIN0 + 1, "chain exits are numbered");

/* --- the code's home --- */

/* Main paths are a third of the code. */
static size_t main_end(const struct x64 *x, size_t cache_bytes)
{
    return x->cache.reserved + ((cache_bytes - x->cache.reserved) / 8 * 3 & ~(size_t)(CODE_ALIGN - 1));
}

struct x64 *x64_create(const struct x64_env *env, size_t cache_bytes)
{
    CHECK(env->tlb_entry_bytes == X64_TLB_ENTRY_BYTES);
    CHECK(cache_bytes >= X64_CACHE_BYTES_MIN && cache_bytes <= X64_CACHE_BYTES_MAX);
    struct x64 *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->env = *env;
    if (!code_cache_init(&x->cache, cache_bytes)) {
        free(x);
        return NULL;
    }
    stubs_emit(x);
    code_cache_split(&x->cache, &x->far_cache, main_end(x, cache_bytes));
    return x;
}

void x64_destroy(struct x64 *x)
{
    if (!x)
        return;
    code_cache_free(&x->cache);
    free(x);
}

void x64_count_executions(struct x64 *x)
{
    x->counts = true;
}

void x64_reset(struct x64 *x)
{
    code_cache_clear(&x->cache);
    code_cache_clear(&x->far_cache);
}

static size_t far_bytes(const struct x64_code *code)
{
    return code->nbytes - code->far + copy_lists_bytes(code);
}

bool x64_could_hold(const struct x64 *x, const struct x64_code *code)
{
    return code_cache_could_hold(&x->cache, code->far) &&
           code_cache_could_hold(&x->far_cache, far_bytes(code));
}

bool x64_has_room(struct x64 *x, const struct x64_code *code)
{
    return code_cache_has_room(&x->cache, code->far) && code_cache_has_room(&x->far_cache, far_bytes(code));
}

struct tb *x64_oldest(const struct x64 *x)
{
    return code_cache_oldest(&x->cache);
}

void x64_evict_oldest(struct x64 *x)
{
    struct tb *tb = code_cache_oldest(&x->cache);
    if (tb) {
        x64_drop(x, tb);
        x->stats.evicted++;
    }
    code_cache_drop_oldest(&x->cache);
    code_cache_drop_oldest(&x->far_cache);
}

void x64_drop(struct x64 *x, struct tb *tb)
{
    x64_unchain(x, tb);
    code_cache_give_up(&x->cache, tb->native.offset);
    code_cache_give_up(&x->far_cache, tb->native.far_offset);
    tb->native = (struct tb_native){0};
    for (unsigned i = 0; i < tb->nexits; i++)
        tb->exits[i] = (struct tb_exit){.chain = tb->exits[i].chain};
}

static uint32_t moved(const struct tb_native *n, uint32_t offset)
{
    return offset ? copy_place_of(n, offset) : 0;
}

/* Jumps between the two parts. */
static void install_inner(struct x64 *x, const struct tb_native *n, const struct x64_code *code)
{
    for (unsigned i = 0; i < code->ninner; i++) {
        const uint32_t at = code->inner[i];
        uint32_t rel;
        memcpy(&rel, code->bytes + at, sizeof rel);
        if (copy_crosses(code, at))
            x_patch(x->cache.write + copy_place_of(n, at), x->cache.write + copy_place_of(n, at + 4 + rel));
    }
}

static void install_refs(struct x64 *x, const struct tb_native *n, const struct x64_code *code)
{
    for (unsigned i = 0; i < code->nrefs; i++) {
        uint32_t target;
        memcpy(&target, code->bytes + code->refs[i], sizeof target);
        x_patch(x->cache.write + copy_place_of(n, code->refs[i]), x->cache.write + target);
    }
}

static void install_exits(struct tb *tb, const struct x64_code *code)
{
    struct tb_native *n = &tb->native;
    for (unsigned chain_exit = 0; chain_exit < tb->nexits; chain_exit++) {
        tb->exits[chain_exit].jump = moved(n, code->jump[chain_exit]);
        tb->exits[chain_exit].exit = moved(n, code->exit[chain_exit]);
    }
    n->loop = moved(n, code->loop);
    n->loop_jump = moved(n, code->loop_jump);
    n->loop_exit = moved(n, code->loop_exit);
    n->loop_next = moved(n, code->loop_next);
}

void x64_install(struct x64 *x, struct tb *tb, const struct x64_code *code)
{
    struct tb_native *n = &tb->native;
    CHECK(n->bytes == 0);
    n->bytes = code->nbytes;
    n->far = code->far;
    n->offset = code_cache_take(&x->cache, tb, code->far);
    n->far_offset = code_cache_take(&x->far_cache, tb, far_bytes(code));
    memcpy(x->cache.write + n->offset, code->bytes, code->far);
    memcpy(x->cache.write + n->far_offset, code->bytes + code->far, code->nbytes - code->far);
    install_inner(x, n, code);
    install_refs(x, n, code);
    install_exits(tb, code);
    copy_keep_lists(x, n, code);
    n->code = x->cache.exec + n->offset;
    n->chained = (uint16_t)code->chained;
    n->enter = (uint16_t)code->enter;
    x->stats.blocks++;
    x->stats.host_bytes += code->nbytes;
}

/* --- compiling --- */

struct x64_compiler *x64_compiler_create(const struct x64 *x)
{
    struct x64_compiler *z = malloc(sizeof *z);
    if (!z)
        return NULL;
    z->c.x = x;
    z->refs.origin = x->cache.write;
    return z;
}

void x64_compiler_destroy(struct x64_compiler *z)
{
    free(z);
}

bool x64_code_keep(struct x64_code *code)
{
    const size_t refs = code->nrefs * sizeof *code->refs, inner = code->ninner * sizeof *code->inner;
    const size_t moves = code->nmoves * sizeof *code->moves, lists = refs + inner + moves;
    uint8_t *kept = malloc(lists + code->nbytes);
    if (!kept) {
        *code = (struct x64_code){0}; /* the compiler's memory is not the code's to free */
        return false;
    }
    memcpy(kept, code->refs, refs);
    memcpy(kept + refs, code->inner, inner);
    memcpy(kept + refs + inner, code->moves, moves);
    memcpy(kept + lists, code->bytes, code->nbytes);
    code->refs = (const uint32_t *)(const void *)kept;
    code->inner = code->refs + code->nrefs;
    code->moves = code->inner + code->ninner;
    code->bytes = kept + lists;
    return true;
}

void x64_code_free(struct x64_code *code)
{
    free((void *)(uintptr_t)code->refs);
    *code = (struct x64_code){0};
}

static void emit_far(struct compile *c)
{
    for (unsigned i = 0; i < c->nfar; i++) { /* far code may add more */
        const struct far_code *f = &c->far[i];
        for (unsigned j = 0; j < sizeof f->from / sizeof f->from[0]; j++)
            if (f->from[j])
                x_patch_here(&c->b, f->from[j]);
        c->careful.emitting = f->careful;
        f->emit(c, f);
    }
}

static void emit_op(struct compile *c, unsigned i)
{
    const bool done = c->done_ahead;
    c->done_ahead = false;
    reg_begin_op(c, i);
    if (!done && !op_is_for_dead_flags(c, c->op))
        emitters[c->op->op](c, c->op);
}

static void emit_ops(struct compile *c)
{
    for (unsigned i = 0; i < c->nops; i++) {
        part_begin(&c->b, X64_PART_WORK);
        emit_op(c, i);
    }
}

/* Others come here with all in memory that the copy may have in registers. */
static void emit_careful_way_in(struct compile *c, unsigned i)
{
    flags_flush(c);
    fpu_flush(c);
    reg_spill_temps(c);
    flags_unknown(c);
    c->b.flags_for = 0;
    c->fpu_on_host = false;
    c->careful.at[i] = c->b.at;
}

static void emit_careful_copy(struct compile *c)
{
    unsigned i = 0;
    while (i < c->nops && !c->careful.wanted[i])
        i++;
    if (i == c->nops)
        return;
    c->careful.emitting = true;
    c->stored = false;
    reg_begin(c);
    flags_unknown(c);
    for (; i < c->nops; i++) {
        if (c->careful.wanted[i])
            emit_careful_way_in(c, i);
        emit_op(c, i);
    }
}

/* The block's second copy as a strip, where that can be. */
static bool emit_strip(struct compile *c)
{
    uint8_t *at = c->b.at;
    uint32_t nrefs = c->b.refs->n, ninner = c->b.refs->ninner, nmoves = c->b.refs->nmoves;
    unsigned nfar = c->nfar;
    uint16_t reserved = c->regs.reserved;
    if (!strip_possible(c))
        return false;
    c->out->loop = (uint32_t)(at - c->b.start);
    c->loop.strip = true;
    c->loop.strip_in_c = false;
    emit_strip_begin(c);
    emit_ops(c);
    c->loop.strip = false; /* the far code to come is the first copy's */
    c->regs.reserved = reserved;
    if (c->loop.strip_fits)
        return true;
    c->b.at = at;
    c->b.refs->n = nrefs;
    c->b.refs->ninner = ninner;
    c->b.refs->nmoves = nmoves;
    c->nfar = nfar;
    return false;
}

/* `parts`: NULL, or where they are noted. Returns where the far code begins. */
static const uint8_t *compile(struct x64_compiler *z, const struct tb *tb, struct x64_code *out,
                              struct x64_parts *parts)
{
    struct compile *c = &z->c;
    *out = (struct x64_code){
        .bytes = z->code, .refs = z->refs.at, .inner = z->refs.inner, .moves = z->refs.moves};
    z->refs.n = z->refs.ninner = z->refs.nmoves = 0;
    c->b = (struct x64_buf){.at = z->code, .start = z->code, .refs = &z->refs, .parts = parts};
    c->tb = tb;
    c->ops = tb->ops;
    c->nops = tb->nops;
    c->out = out;
    c->nfar = 0;
    c->nfault_tails = 0;
    c->stored = false;
    c->done_ahead = false;
    memset(c->side, 0, sizeof c->side);
    c->fpu_on_host = false;
    c->fpu = (struct fpu_pending){0};
    c->loop = (struct loop_state){0};
    mem_begin_block(c);
    reg_begin(c);
    flags_begin(c);
    emit_code_segment_check(c);
    emit_entry(c);
    emit_ops(c);
    if (c->loop.wanted && !emit_strip(c)) {
        emit_loop_begin(c);
        emit_ops(c);
    }
    const uint8_t *far = c->b.at;
    part_begin(&c->b, X64_PART_WORK);
    emit_careful_copy(c);
    emit_far(c);
    out->nbytes = (uint32_t)(c->b.at - c->b.start);
    out->nrefs = z->refs.n;
    out->ninner = z->refs.ninner;
    out->nmoves = z->refs.nmoves;
    out->far = (uint32_t)(far - c->b.start);
    out->movable = tb->movable;
    CHECK(out->nbytes <= BLOCK_BYTES_MAX);
    return far;
}

void x64_compile(struct x64_compiler *z, const struct tb *tb, struct x64_code *out)
{
    compile(z, tb, out, NULL);
}

const char *const x64_part_names[X64_PART_COUNT] = {"work", "guard", "flags", "ticks",  "move",
                                                    "jump", "call",  "fpu",   "counter"};

void x64_compile_parts(struct x64_compiler *z, const struct tb *tb, struct x64_block_parts *out)
{
    struct x64_code code;
    z->parts = (struct x64_parts){.now = X64_PART_JUMP, .from = z->code, .of = z->part_of};
    const uint8_t *far = compile(z, tb, &code, &z->parts);
    part_begin(&z->c.b, X64_PART_WORK);
    *out = (struct x64_block_parts){.code = z->code,
                                    .of = z->part_of,
                                    .nbytes = code.nbytes,
                                    .copy = code.loop,
                                    .copy_head = code.loop ? z->c.loop.head : 0,
                                    .far = (uint32_t)(far - z->code)};
}

/* --- running --- */

struct x64_exit x64_run(struct x64 *x, void *state, const struct tb *tb)
{
    typedef struct x64_exit enter_fn(void *biased_state, const void *code);
    enter_fn *enter = (enter_fn *)(uintptr_t)code_cache_exec(&x->cache, x->stubs.enter);
    return enter((uint8_t *)state + X64_STATE_BIAS, (const uint8_t *)tb->native.code + tb->native.enter);
}

void x64_get_stats(const struct x64 *x, struct x64_stats *out)
{
    *out = x->stats;
    out->used_bytes = x->cache.reserved + x->cache.used + x->far_cache.used;
    out->cache_bytes = x->cache.mapped;
    out->host_differs = x->host.differs;
}
