/* compile.c - a block's IR to host code: main path, then far code. */
#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/control.h"
#include "translator/x64/flags.h"
#include "translator/x64/ops.h"
#include "translator/x64/stubs.h"

/* An op without an emitter does not link. */
static emit_fn *const emitters[IR_OPCODE_COUNT] = {
#define IROP(name, kinds, doc) [IR_##name] = emit_##name,
#include "translator/ir_ops.def"
#undef IROP
};

enum { OP_BYTES_MAX = 512, BLOCK_BYTES_MAX = OP_BYTES_MAX * (TB_OPS_MAX + 2), CODE_ALIGN = 16 };

_Static_assert(offsetof(struct guest_state, slot) == 0, "mem_slot");
_Static_assert(sizeof(((struct guest_state *)0)->slot) == X64_STATE_BIAS, "slots below the bias");
_Static_assert(sizeof(((struct guest_state *)0)->budget) == 8, "budget is subtracted as 64 bits");
_Static_assert(sizeof(((struct guest_state *)0)->cpl) == 1 && sizeof(((struct segment *)0)->access) == 2, "SEGADDR");
_Static_assert((int)X64_EXIT_RAISE <= (int)X64_KIND_MASK, "exit word");
_Static_assert(X64_EXIT_CHAIN1 == X64_EXIT_CHAIN0 + 1, "chain exits are numbered by slot");

struct x64 *x64_create(const struct x64_env *env, size_t cache_bytes)
{
    CHECK(env->tlb_entry_bytes == X64_TLB_ENTRY_BYTES);
    CHECK(cache_bytes > 2 * BLOCK_BYTES_MAX && cache_bytes < UINT32_MAX / 2);
    struct x64 *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->env = *env;
    x->compile = malloc(sizeof *x->compile);
    if (!x->compile || !code_cache_init(&x->cache, cache_bytes)) {
        x64_destroy(x);
        return NULL;
    }
    stubs_emit(x);
    return x;
}

void x64_destroy(struct x64 *x)
{
    if (!x)
        return;
    code_cache_free(&x->cache);
    free(x->compile);
    free(x);
}

void x64_reset(struct x64 *x)
{
    x->cache.used = x->cache.reserved;
    x->stats.resets++;
}

static void emit_far(struct compile *c)
{
    for (unsigned i = 0; i < c->nfar; i++) { /* far code may add more */
        const struct far_code *f = &c->far[i];
        for (unsigned j = 0; j < sizeof f->from / sizeof f->from[0]; j++)
            if (f->from[j])
                x_patch_here(&c->b, f->from[j]);
        f->emit(c, f);
    }
}

static void emit_ops(struct compile *c)
{
    for (unsigned i = 0; i < c->tb->nops; i++) {
        reg_begin_op(c, i);
        emitters[c->op->op](c, c->op);
    }
}

enum x64_result x64_compile(struct x64 *x, struct tb *tb)
{
    struct compile *c = x->compile;
    size_t start = (x->cache.used + CODE_ALIGN - 1) & ~(size_t)(CODE_ALIGN - 1);
    if (start + BLOCK_BYTES_MAX > x->cache.bytes)
        return X64_FULL;
    c->b = (struct x64_buf){.at = x->cache.write + start};
    c->x = x;
    c->tb = tb;
    c->nfar = 0;
    c->stored = false;
    c->group.active = false;
    memset(&tb->native, 0, sizeof tb->native);
    reg_begin(c);
    flags_begin(c);
    emit_entry(c);
    emit_ops(c);
    emit_far(c);
    x->cache.used = (size_t)(c->b.at - x->cache.write);
    CHECK(x->cache.used <= start + BLOCK_BYTES_MAX);
    x->stats.blocks++;
    x->stats.host_bytes += x->cache.used - start;
    tb->native.code = x->cache.exec + start;
    return X64_OK;
}

struct x64_exit x64_run(struct x64 *x, void *state, const struct tb *tb)
{
    typedef struct x64_exit enter_fn(void *biased_state, const void *code);
    enter_fn *enter = (enter_fn *)(uintptr_t)code_cache_exec(&x->cache, x->stubs.enter);
    return enter((uint8_t *)state + X64_STATE_BIAS, tb->native.code);
}

void x64_get_stats(const struct x64 *x, struct x64_stats *out)
{
    *out = x->stats;
    out->used_bytes = x->cache.used;
    out->cache_bytes = x->cache.bytes;
}
