/* chain.c - direct jumps between compiled blocks: made, and undone when a block goes. See x64_chain() in
 * x64.h.
 *
 * Every chain exit that continues in a block is in that block's list `in`, so that a block can be unchained
 * exactly.
 */
#include "clockcore/check.h"
#include "translator/x64/compile.h"
#include "translator/x64/control.h"

static void patch_site(struct x64 *x, uint32_t site, uint32_t to)
{
    x_patch(x->cache.write + site, x->cache.write + to);
}

static uint32_t chained_entry(const struct tb *tb)
{
    return tb->native.offset + tb->native.chained;
}

void x64_chain(struct x64 *x, struct tb *from, unsigned chain_exit, struct tb *to)
{
    struct tb_native *n = &from->native;
    struct tb_exit *e = &from->exits[chain_exit];
    bool loops = chain_exit == 1 && n->loop;
    if (!e->jump || e->to || (loops && to != from))
        return;
    patch_site(x, e->jump, loops ? n->loop : chained_entry(to));
    if (loops && n->loop_jump)
        patch_site(x, n->loop_jump, n->loop_next ? n->loop_next : chained_entry(to));
    e->to = to;
    e->in_next = to->native.in;
    to->native.in = (uintptr_t)from | chain_exit;
}

static void exit_unchain(struct x64 *x, struct tb *from, unsigned chain_exit)
{
    struct tb_exit *e = &from->exits[chain_exit];
    patch_site(x, e->jump, e->exit);
    if (chain_exit == 1 && from->native.loop_jump)
        patch_site(x, from->native.loop_jump, from->native.loop_exit);
    e->to = NULL;
}

static struct tb *chained_from(uintptr_t in)
{
    return (struct tb *)(in & ~(uintptr_t)X64_KIND_MASK);
}

static struct tb_exit *exit_of(uintptr_t in)
{
    return &chained_from(in)->exits[in & X64_KIND_MASK];
}

static void remove_in(struct tb *to, uintptr_t which)
{
    uintptr_t *at = &to->native.in;
    while (*at != which) {
        CHECK(*at);
        at = &exit_of(*at)->in_next;
    }
    *at = exit_of(which)->in_next;
}

void x64_unchain(struct x64 *x, struct tb *tb)
{
    for (uintptr_t in = tb->native.in; in;) {
        const uintptr_t which = in;
        in = exit_of(in)->in_next;
        exit_unchain(x, chained_from(which), which & X64_KIND_MASK);
    }
    tb->native.in = 0;
    for (unsigned chain_exit = 0; chain_exit < tb->nexits; chain_exit++)
        if (tb->exits[chain_exit].to) {
            remove_in(tb->exits[chain_exit].to, (uintptr_t)tb | chain_exit);
            exit_unchain(x, tb, chain_exit);
        }
}

void x64_unchain_spanning(struct x64 *x, struct tb *tb)
{
    for (uintptr_t in = tb->native.in; in;) {
        const uintptr_t which = in;
        in = exit_of(in)->in_next;
        if (!tb_spans(chained_from(which)))
            continue;
        remove_in(tb, which);
        exit_unchain(x, chained_from(which), which & X64_KIND_MASK);
    }
}
