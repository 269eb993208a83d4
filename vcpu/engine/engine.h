/* engine.h - what the files of engine/ share: the table of blocks, the two engines, compiled code. Threads:
 * the vCPU's. */
#ifndef TANDEM_VCPU_ENGINE_ENGINE_H
#define TANDEM_VCPU_ENGINE_ENGINE_H

#include "translator/translate.h"
#include "vcpu/mmu/tlb.h"

/* --- INIT and SIPI, at a boundary (state.c) --- */
/* `wait`: stands until a SIPI. */
void vcpu_init(struct vcpu *v, bool wait);
void vcpu_start(struct vcpu *v, uint8_t vector);

/* --- blocks (tbcache.c) --- */
bool tbcache_init(struct vcpu *v);
void tbcache_free(struct vcpu *v);
void tbcache_flush(struct vcpu *v);
/* Calls `f` for each block that has its memory, also those that are not valid any more. */
void tbcache_each(struct vcpu *v, void (*f)(struct vcpu *v, struct tb *tb, void *ctx), void *ctx);
/* Block for the current eip and mode; single: of one instruction. NULL: exception recorded (fetch fault). */
struct tb *tb_find(struct vcpu *v, bool single);
/* Behind tb_find, whose block has more instructions than `budget`, at least 2: one that has not. Samples,
 * horizons and digest points end a stretch anywhere in a block. */
struct tb *tb_find_short(struct vcpu *v, unsigned budget);

/* The block in one of the two places that key may be in, or NULL. It may be of another code segment.
 * MATCH jump_get */
static inline struct tb *jump_get(const struct vcpu *v, unsigned index, uint64_t key, uint32_t phys_page)
{
    for (unsigned way = 0; way < 2; way++) {
        const struct jump_entry *j = &v->jump[index ^ way];
        if (j->key == key && PAGE_OF(j->tb->phys_addr) == phys_page)
            return j->tb;
    }
    return NULL;
}

/* The block at lin_addr, on that page of memory and in the mode of `like`; NULL: there is none. Changes
 * nothing. */
const struct tb *tb_peek(const struct vcpu *v, const struct tb *like, uint32_t lin_addr, uint32_t phys_page);
/* Puts a long block in the place of tb, which is left invalid; false: it would be no longer, or there is no
 * room. The vCPU is about to enter tb, and is what `follow` is called with. */
bool tb_lengthen(struct vcpu *v, struct tb *tb, enum translate_follow (*follow)(void *ctx, uint32_t eip));

/* --- long blocks (longblocks.c) --- */
/* May blocks of that page and mode be long? */
bool longblocks_may(const struct vcpu *v, uint32_t mode, uint32_t lin_addr, mem_addr_t at);
/* The run was stopped before a block with host code, so it is probably a hot one. */
void longblocks_sample(struct vcpu *v, struct tb *tb);
/* For translate_request.page: the pages that the fetch TLB of the vCPU has, if blocks there may be long. */
bool longblocks_page(void *ctx, uint32_t eip, struct translate_page *out);
/* For translate_request.follow, of the vCPU: as cfg.long_blocks_seed says. */
enum translate_follow longblocks_follow_any(void *ctx, uint32_t eip);

/* --- instructions that access devices (devsites.c), by mem_addr_t --- */
void devsites_clear(struct vcpu *v);
bool devsites_has(const struct vcpu *v, mem_addr_t at);
/* How far behind `at` the next one in the page is; 0: there is none. */
uint32_t devsites_next(const struct vcpu *v, mem_addr_t at);
/* The running block was left because its instruction at EIP accesses a device. */
void devsites_learn(struct vcpu *v);

/* --- marks (marks.c) --- */
bool marks_has(const struct vcpu *v, uint32_t lin_addr);
/* How far behind lin_addr the next mark in its page is; 0: there is none. */
uint32_t marks_next(const struct vcpu *v, uint32_t lin_addr);
/* The instruction at CS:EIP comes next: tells the observer, if it is marked and not restarted. True: the run
 * is to end here. */
bool marks_reached(struct vcpu *v);
/* The next instruction was begun before and is run once more, or its rest is: no mark is told of it. */
void marks_pass(struct vcpu *v);

/* --- engine --- */
/* Runs the block and its successors until a boundary that the run loop must look at. On return g->eip is
 * exact and budget counts exactly the retired instructions. */
void engine_run(struct vcpu *v, struct tb *tb);
/* Interprets from tb on. The block to go on with in compiled code, or NULL. */
struct tb *engine_interpret(struct vcpu *v, struct tb *tb);
/* The interpreter's part of it: until then (NULL), or until a block that has host code (returned, not
 * entered). */
struct tb *interp_run(struct vcpu *v, struct tb *tb);
/* A sample's tick lies in the block, which the budget does not last for: is it all that there is to do before
 * the block's end (run.c)? Then this interprets the block, and what comes then as engine_interpret does. */
bool is_only_sampled(const struct vcpu *v, const struct tb *tb);
struct tb *engine_across_sample(struct vcpu *v, struct tb *tb);
/* What both engines do at a fault and at the end of a block without a link to its successor (interp.c). */
enum { NO_CHAIN_EXIT = TB_EXITS };
struct tb *find_successor(struct vcpu *v, struct tb *tb, uint32_t eip, unsigned chain_exit);
void leave_fault(struct vcpu *v, struct tb *tb, const struct ir_op *op);
void leave_at_limit(struct vcpu *v, struct tb *tb);
void raise_op(struct vcpu *v, const struct ir_op *op);

/* --- compiled code (compiled.c) --- */
bool compiled_init(struct vcpu *v);
void compiled_free(struct vcpu *v);
/* An interpreted stretch that counts (survey.c). survey_run: as engine_run, and counts; survey_block: a
 * compiled block is entered. */
bool survey_is_due(struct vcpu *v);
void survey_run(struct vcpu *v, struct tb *tb);
void survey_block(struct vcpu *v, struct tb *tb);
void compiled_get_stats(const struct vcpu *v, struct vcpu_stats *out); /* its part */
/* A new block: when does it count as hot? */
void compiled_block_built(struct vcpu *v, struct tb *tb);
/* It was entered so often in the interpreter that its code may be there, or should be. True: it has code. */
bool compiled_block_hot(struct vcpu *v, struct tb *tb);
/* The block was invalidated; all blocks are about to go. */
void compiled_block_dropped(struct vcpu *v, struct tb *tb);
void compiled_flush(struct vcpu *v);
/* The block, which has host code, is about to become that of a linear address `by` higher. */
void compiled_block_moves(struct vcpu *v, const struct tb *tb, uint32_t by);
/* The block's code is about to go: no indirect jump finds it any more. */
void compiled_block_forget_jump(struct vcpu *v, const struct tb *tb);

/* --- making it (compiling.c) --- */
bool compiling_init(struct vcpu *v); /* false: no memory, no threads; compiling_free is still to be called */
void compiling_free(struct vcpu *v);
/* Gives the block host code, unless it is invalid or cannot have any. May evict other blocks' code. */
void compiling_now(struct vcpu *v, struct tb *tb);
/* `to` was made from `from` (tb_move): it is as hot, and gets a copy of its host code, where there is any.
 * May evict other blocks' code. */
void compiling_copy(struct vcpu *v, const struct tb *from, struct tb *to);
/* With MOVED_BLOCKS_CHECKED: the block's host code is what would be compiled. */
void compiling_check(struct vcpu *v, const struct tb *tb);
/* Calls in all jobs and drops their results, before blocks' memory is reused. */
void compiling_recall(struct vcpu *v);

/* The block's code, and what each byte is for. The result lasts until the next call here. */
void compiling_parts(struct vcpu *v, const struct tb *tb, struct x64_block_parts *out);

/* --- the hottest blocks (hotlist.c); only with cfg.hot_list --- */
bool hotlist_init(struct vcpu *v); /* behind compiled_init */
void hotlist_free(struct vcpu *v);
/* The blocks are about to go. */
void hotlist_keep(struct vcpu *v);

/* --- the log of blocks (blocklog.c); only with cfg.log_items --- */
/* Its guest code. */
void blocklog_guest(FILE *out, const struct vcpu *v, const struct tb *tb);
void blocklog_built(const struct vcpu *v, const struct tb *tb);
/* Its host code has just become enterable. */
void blocklog_installed(const struct vcpu *v, const struct tb *tb);

#endif
