/* link.c - direct jumps between compiled blocks: made, and undone when a block goes. See x64_link() in x64.h.
 *
 * Every slot that continues in a block is in that block's list `in`, so that a block can be unlinked exactly.
 */
#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/control.h"

static void patch_site(struct x64 *x, uint32_t site, uint32_t to)
{
    x_patch(x->cache.write + site, x->cache.write + to);
}

static void patch_phys(struct x64 *x, const struct tb *from, unsigned slot, uint32_t phys_page)
{
    if (from->native.phys[slot])
        memcpy(x->cache.write + from->native.phys[slot], &phys_page, sizeof phys_page);
}

void x64_link(struct x64 *x, struct tb *from, unsigned slot, struct tb *to)
{
    struct tb_native *n = &from->native;
    bool loops = slot == 1 && n->loop;
    if (!n->jump[slot] || n->to[slot] || (loops && to != from))
        return;
    patch_phys(x, from, slot, to->phys_addr & ~X64_PAGE_MASK);
    patch_site(x, n->jump[slot], loops ? n->loop : to->native.offset);
    if (loops && n->loop_jump)
        patch_site(x, n->loop_jump, n->loop_next ? n->loop_next : to->native.offset);
    n->to[slot] = to;
    n->in_next[slot] = to->native.in;
    to->native.in = (uintptr_t)from | slot;
}

static void slot_unlink(struct x64 *x, struct tb *from, unsigned slot)
{
    patch_site(x, from->native.jump[slot], from->native.exit[slot]);
    if (slot == 1 && from->native.loop_jump)
        patch_site(x, from->native.loop_jump, from->native.loop_exit);
    patch_phys(x, from, slot, X64_PHYS_UNLINKED);
    from->native.to[slot] = NULL;
}

static struct tb *link_from(uintptr_t in)
{
    return (struct tb *)(in & ~(uintptr_t)X64_KIND_MASK);
}

static void remove_in(struct tb *to, uintptr_t which)
{
    uintptr_t *link = &to->native.in;
    while (*link != which) {
        CHECK(*link);
        link = &link_from(*link)->native.in_next[*link & 1];
    }
    *link = link_from(which)->native.in_next[which & 1];
}

void x64_unlink(struct x64 *x, struct tb *tb)
{
    for (uintptr_t in = tb->native.in; in;) {
        struct tb *from = link_from(in);
        unsigned slot = in & 1;
        in = from->native.in_next[slot];
        slot_unlink(x, from, slot);
    }
    tb->native.in = 0;
    for (unsigned slot = 0; slot < 2; slot++)
        if (tb->native.to[slot]) {
            remove_in(tb->native.to[slot], (uintptr_t)tb | slot);
            slot_unlink(x, tb, slot);
        }
}
