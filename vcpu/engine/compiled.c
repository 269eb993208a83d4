/* compiled.c - compiled blocks in the vCPU: entered, chained and forgotten. compiling.c makes them.
 *
 * Both engines leave a block for the same reasons and through the same functions (interp.c), so that which of
 * them ran a block cannot be told from the state. Compiled code is entered only here; whatever may invalidate
 * or flush blocks other than through a slow path's store runs after it came back.
 *
 * Compiled blocks are chained under the rules of tb_find(): on one page freely, since a
 * translation cannot change within the engine; to another page through a table that knows what the fetch TLB
 * holds (x64.h). A block that crosses a page end checks its second page itself, where it is jumped to. */
#include <string.h>

#include "clockcore/check.h"
#include "syncq/activity.h"
#include "translator/x64/probe.h"
#include "vcpu/arch/arch.h"
#include "vcpu/engine/engine.h"
#include "vcpu/helpers.h"

#define CODE_CACHE_BYTES ((size_t)64 << 20) /* unless the configuration says otherwise */

/* --- what compiled code calls --- */

static int64_t call_load(void *state, uint32_t lin_addr, unsigned bytes, unsigned for_write)
{
    uint32_t value;
    ((struct vcpu *)state)->stats.native_slow++;
    return mem_read_slow(state, lin_addr, bytes, for_write, &value) ? (int64_t)value : -1;
}

static int64_t call_store(void *state, uint32_t lin_addr, unsigned bytes, uint32_t value)
{
    ((struct vcpu *)state)->stats.native_slow++;
    return mem_write_slow(state, lin_addr, bytes, value) ? 0 : -1;
}

static int64_t call_segment(void *state, uint32_t offset, unsigned what)
{
    uint32_t lin_addr;
    return seg_linear(state, what & 0xff, offset, what >> 8 & 0xff, what >> 16 & 1, &lin_addr)
               ? (int64_t)lin_addr
               : -1;
}

static int64_t call_touch(void *state, uint32_t lin_addr, unsigned what)
{
    struct vcpu *v = state;
    if ((what & X64_TOUCH_ALIGNED) && (lin_addr & 15)) {
        v->redo_single = true;
        return -1;
    }
    const uint8_t *at = mem_touch(v, lin_addr, what & X64_TOUCH_BYTES, what & X64_TOUCH_WRITE, v->touched);
    return at ? (int64_t)(uintptr_t)at : -1;
}

static const void *call_next(void *state);

static int64_t call_fpu_enter(void *state)
{
    return fpu_enter_host(state);
}
static int64_t call_fpu_leave(void *state)
{
    return fpu_leave_host(state);
}
static int64_t call_fpu_refuse(void *state)
{
    return fpu_refuse_host(state);
}

static const struct x64_env env = {
    .tlb = {offsetof(struct vcpu, tlb[0][TLB_DATA]), offsetof(struct vcpu, tlb[0][TLB_DATA + 1])},
    .itlb = {offsetof(struct vcpu, tlb[0][TLB_FETCH]), offsetof(struct vcpu, tlb[0][TLB_FETCH + 1])},
    .tlb_way_bytes = TLB_SETS * sizeof(struct tlb_entry),
    .tlb_bits = TLB_BITS,
    .tlb_entry_bytes = sizeof(struct tlb_entry),
    .tag_r = offsetof(struct tlb_entry, tag_r),
    .tag_w = offsetof(struct tlb_entry, tag_w),
    .fetch_at = offsetof(struct tlb_entry, fetch_at),
    .addend = offsetof(struct tlb_entry, addend),
    .phys_page = offsetof(struct tlb_entry, phys_page),
    .likely = offsetof(struct vcpu, likely.addend),
    .wants = offsetof(struct vcpu, wants),
    .jumps = offsetof(struct vcpu, jumps),
    .found = offsetof(struct vcpu, jump),
    .loads = offsetof(struct vcpu, loads),
    .running_tb = offsetof(struct vcpu, tb),
    .calls = {call_load, call_store, call_segment, call_touch, call_fpu_enter, call_fpu_leave,
              call_fpu_refuse, call_next, vcpu_helpers},
};
_Static_assert(offsetof(struct vcpu, g) == 0, "a state pointer is a struct vcpu pointer");
_Static_assert(offsetof(struct guest_state, slot) == 0, "and a pointer to the slots");
_Static_assert(sizeof(struct tb *) == 8, "stored as 64 bits");

/* --- life --- */

bool compiled_init(struct vcpu *v)
{
    if (v->cfg.translator == TRANSLATOR_INTERP)
        return true;
    v->native = x64_create(&env, v->cfg.code_cache_bytes ? v->cfg.code_cache_bytes : CODE_CACHE_BYTES);
    if (!v->native)
        return false;
    v->jumps.linked_end = v->cfg.no_chain ? 0 : (uint32_t)v->cfg.mem->bytes;
    if (!v->cfg.host_unasked)
        x64_probe(v->native, v->cfg.pretend_differs);
    return compiling_init(v);
}

void compiled_free(struct vcpu *v)
{
    compiling_free(v);
    x64_destroy(v->native);
    v->native = NULL;
}

void compiled_get_stats(const struct vcpu *v, struct vcpu_stats *out)
{
    struct x64_stats s = {0};
    if (v->native)
        x64_get_stats(v->native, &s);
    out->host_probes = v->native ? X64_PROBES : 0;
    out->host_differs = (unsigned)__builtin_popcount(s.host_differs);
    out->native_blocks = s.blocks;
    out->native_bytes = s.host_bytes;
    out->native_evicted = s.evicted;
    out->native_used_bytes = s.used_bytes;
    out->native_cache_bytes = s.cache_bytes;
}

static void jumps_clear(struct vcpu *v)
{
    memset(v->jumps.key, 0, sizeof v->jumps.key);
}

void compiled_flush(struct vcpu *v)
{
    if (!v->native)
        return;
    compiling_recall(v);
    jumps_clear(v);
    x64_reset(v->native);
}

void compiled_block_forget_jump(struct vcpu *v, const struct tb *tb)
{
    unsigned place = x64_jump_place(tb->lin_addr);
    for (unsigned way = 0; way < 2; way++)
        if (v->jumps.code[place ^ way] == tb->native.code)
            v->jumps.key[place ^ way] = 0;
}

void compiled_block_moves(struct vcpu *v, const struct tb *tb, uint32_t by)
{
    compiled_block_forget_jump(v, tb);
    x64_move(v->native, tb, by);
}

void compiled_block_dropped(struct vcpu *v, struct tb *tb)
{
    if (!tb->native.code)
        return;
    compiled_block_forget_jump(v, tb);
    x64_drop(v->native, tb);
}

static bool is_compiled(struct vcpu *v, struct tb *tb)
{
    if (v->cfg.translator == TRANSLATOR_EAGER)
        compiling_now(v, tb);
    return tb->native.code != NULL;
}

/* --- running --- */

static bool may_chain_to(const struct vcpu *v, const struct tb *to)
{
    return to->phys_addr < v->jumps.linked_end && to->valid && !(to->mode & TB_MODE_SINGLE) && !to->marked;
}

static uint32_t exit_target(const struct tb *tb, unsigned chain_exit)
{
    const struct ir_op *last = &tb->ops[tb->nops - 1];
    for (const struct ir_op *op = tb->ops; chain_exit >= 2; op++)
        if (op->op == IR_SIDE && op->imm2 == chain_exit)
            return op->imm;
    return chain_exit == 0 && last->op != IR_JMP ? last->imm2 : last->imm;
}

static struct tb *after_chain(struct vcpu *v, struct tb *tb, unsigned chain_exit)
{
    uint64_t flushes = v->tb_flushes;
    struct tb *next = find_successor(v, tb, exit_target(tb, chain_exit), chain_exit);
    if (!next || v->tb_flushes != flushes || !tb->valid || !may_chain_to(v, next))
        return next;
    if (is_compiled(v, next) && tb->native.code) {
        x64_chain(v->native, tb, chain_exit, next);
        v->stats.native_links++;
    }
    return next;
}

static void jump_set(struct vcpu *v, unsigned place, const struct tb *tb)
{
    const bool user = tb->mode & TB_MODE_USER;
    v->jumps.key[place] = x64_jump_hi(tb->mode, v->fetch_epoch[user]) | tb->lin_addr;
    v->jumps.code[place] = tb->native.code;
    v->jumps.phys_page[place] = PAGE_OF(tb->phys_addr);
}

/* The block was just looked up for the present state, so the fetch TLB has its page. The newer two of a pair
 * stay. MATCH jump_remember */
static void native_jump_remember(struct vcpu *v, const struct tb *tb)
{
    struct x64_jumps *j = &v->jumps;
    unsigned place = x64_jump_place(tb->lin_addr), other = place ^ 1;
    if (j->key[other] && j->code[other] == tb->native.code) {
        jump_set(v, other, tb);
        return;
    }
    if (j->key[place] && j->code[place] != tb->native.code) {
        j->key[other] = j->key[place];
        j->code[other] = j->code[place];
        j->phys_page[other] = j->phys_page[place];
    }
    jump_set(v, place, tb);
}

static struct tb *after_jump(struct vcpu *v, struct tb *tb, uint32_t lin_addr)
{
    struct tb *next = find_successor(v, tb, lin_addr - tb->cs_base, NO_CHAIN_EXIT);
    if (next && may_chain_to(v, next) && is_compiled(v, next))
        native_jump_remember(v, next);
    return next;
}

/* A jump came to a block that is not the one for this code segment, or crosses into a page which may have
 * moved. As find_successor() goes on. */
static struct tb *after_other(struct vcpu *v, struct tb *tb)
{
    v->tb = tb;
    v->g.eip = tb->lin_addr - v->g.seg[SEG_CS].base;
    return v->g.budget > 0 ? tb_find(v, false) : NULL;
}

/* Has the run loop nothing to do at this boundary but to look for the next block? Or-ed, the conditions need
 * one branch. MATCH run_some */
static bool run_loop_is_idle(const struct vcpu *v)
{
    const struct guest_state *g = &v->g;
    const uint32_t single = (g->eflags & FLAG_TF) | v->cfg.single_tb | v->db_pending | v->dr_active |
                            (v->until.condition != NULL);
    const uint32_t busy =
        v->exc.pending | v->redo_single | v->watcher.nchanges | g->halted | single | v->exit_reason;
    return busy == 0 && g->budget > 0 && !vcpu_is_wanted(v);
}

/* The same. Whoever goes on ends a shadow of STI or MOV SS: no interrupt can be accepted before the next
 * instruction, for one comes up only at the limit or after an access to a device. */
static bool run_loop_is_passed(const struct vcpu *v)
{
    return !v->in_single && run_loop_is_idle(v);
}

static struct tb *after_helper(struct vcpu *v)
{
    struct tb *next = run_loop_is_passed(v) ? tb_find(v, false) : NULL;
    if (next)
        v->g.int_shadow = 0;
    if (next && may_chain_to(v, next) && is_compiled(v, next))
        native_jump_remember(v, next);
    return next;
}

/* Is the block of that place the one for the key? One with an older epoch gets the present one where the
 * fetch TLB still agrees. */
static bool jump_hits(struct vcpu *v, unsigned place, uint64_t key)
{
    struct x64_jumps *j = &v->jumps;
    if (j->key[place] == key)
        return true;
    if (!x64_jump_is_stale(j->key[place], key) || !fetch_page_hits(v, (uint32_t)key) ||
        v->fetch_phys_page != j->phys_page[place])
        return false;
    j->key[place] = key;
    return true;
}

/* Code of the block that was found lately; NULL: none. */
static const void *jump_found(struct vcpu *v, uint32_t lin_addr)
{
    if (!fetch_page_hits(v, lin_addr))
        return NULL;
    const unsigned index = jump_index(lin_addr, v->fetch_phys_page);
    const struct tb *tb = jump_get(v, index, jump_key(lin_addr, v->g.mode), v->fetch_phys_page);
    if (!tb || !may_chain_to(v, tb) || !tb->native.code)
        return NULL;
    native_jump_remember(v, tb);
    return tb->native.code;
}

static const void *jump_code(struct vcpu *v, uint32_t lin_addr)
{
    const unsigned place = x64_jump_place(lin_addr);
    for (unsigned way = 0; way < 2; way++)
        if (jump_hits(v, place ^ way, v->jumps.hi | lin_addr))
            return v->jumps.code[place ^ way];
    return jump_found(v, lin_addr);
}

/* What after_helper() would find, if that is remembered: as compiled code looks up an indirect jump. */
static const void *call_next(void *state)
{
    struct vcpu *v = state;
    if (!run_loop_is_passed(v))
        return NULL;
    const void *code = jump_code(v, v->g.seg[SEG_CS].base + v->g.eip);
    if (code)
        v->g.int_shadow = 0;
    return code;
}

/* The guest works with unmasked exceptions here: from now on helpers do the block's x87 instructions, which
 * is slower than inline and faster than to leave at each. */
static void fpu_to_c(struct vcpu *v, struct tb *tb)
{
    v->fpu_refused = false;
    if (tb->fpu_in_c || !tb->native.code)
        return;
    compiled_block_dropped(v, tb);
    tb->fpu_in_c = true;
}

/* The budget does not last for the block: for a sample, as a rule, which needs no look at the world. */
static struct tb *before_limit(struct vcpu *v, struct tb *tb)
{
    leave_at_limit(v, tb);
    longblocks_sample(v, tb);
    if (!tb->valid || !run_loop_is_passed(v) || !is_only_sampled(v, tb))
        return NULL;
    return engine_across_sample(v, tb);
}

static struct tb *native_leave(struct vcpu *v, struct x64_exit e)
{
    struct tb *tb = (struct tb *)(uintptr_t)(e.tb_kind & ~(uint64_t)X64_KIND_MASK);
    unsigned kind = e.tb_kind & X64_KIND_MASK;
    if (kind <= X64_EXIT_CHAIN_LAST)
        return after_chain(v, tb, kind - X64_EXIT_CHAIN0);
    switch (kind) {
    case X64_EXIT_JUMP:
        return after_jump(v, tb, (uint32_t)e.arg);
    case X64_EXIT_OTHER:
        return after_other(v, tb);
    case X64_EXIT_LIMIT:
        return before_limit(v, tb);
    case X64_EXIT_RAISE:
        raise_op(v, &tb->ops[e.arg]);
        leave_fault(v, tb, &tb->ops[e.arg]);
        return NULL;
    case X64_EXIT_FAULT:
        leave_fault(v, tb, &tb->ops[e.arg]);
        if (v->fpu_refused)
            fpu_to_c(v, tb);
        return NULL;
    default:
        v->tb = tb;
        return after_helper(v);
    }
}

static struct tb *native_run(struct vcpu *v, struct tb *tb)
{
    activity_begin(v->activity, ACTIVITY_EXECUTE);
    struct x64_exit e = x64_run(v->native, v, tb);
    v->fetch_tag = TLB_NONE; /* compiled code does not say which page it has come to */
    activity_begin(v->activity, ACTIVITY_RUN_LOOP);
    CHECK(!v->g.fpu_on_host);
    tb = native_leave(v, e);
    v->stats.native_exits++;
    v->stats.native_misses += tb != NULL;
    return tb;
}

struct tb *engine_interpret(struct vcpu *v, struct tb *tb)
{
    activity_begin(v->activity, ACTIVITY_INTERPRET);
    tb = interp_run(v, tb);
    activity_begin(v->activity, ACTIVITY_RUN_LOOP);
    return tb;
}

void engine_run(struct vcpu *v, struct tb *tb)
{
    if (survey_is_due(v)) {
        survey_run(v, tb);
        return;
    }
    while (tb)
        tb = is_compiled(v, tb) ? native_run(v, tb) : engine_interpret(v, tb);
}
