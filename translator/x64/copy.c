/* copy.c - the host code of a block, made into that of the same guest code at another linear address.
 *
 * Systems place programs and libraries somewhere else at each start, so the same bytes in memory are met at
 * ever new linear addresses. A block that may move (tb.h) keeps beside its code the lists of those fields
 * that depend on where the code lies, at which linear address its guest code does, and which block it is.
 * What comes of it is what x64_compile would make of the other block, to the byte.
 *
 * The lists are 16-bit numbers behind the far code: how many there are of each kind, then the offsets of
 * references to stubs, of jumps between main path and far code, and the moves as X64_MOVE_ has them. */
#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/compile.h"
#include "translator/x64/copy.h"

enum { LISTS = 3, OFFSET_MAX = 0xffff >> X64_MOVE_SHIFT };

static bool is_kept(const struct x64_code *code)
{
    return code->movable && code->nbytes <= OFFSET_MAX;
}

size_t copy_lists_bytes(const struct x64_code *code)
{
    const size_t entries = code->nrefs + code->ninner + code->nmoves;
    return is_kept(code) ? (LISTS + entries) * sizeof(uint16_t) + 1 : 0; /* a byte to align them */
}

uint32_t copy_place_of(const struct tb_native *n, uint32_t offset)
{
    return offset < n->far ? n->offset + offset : n->far_offset + (offset - n->far);
}

static uint32_t offset_of(const struct tb_native *n, uint32_t place)
{
    return place - n->offset < n->far ? place - n->offset : place - n->far_offset + n->far;
}

static uint32_t offset_or_none(const struct tb_native *n, uint32_t place)
{
    return place ? offset_of(n, place) : 0;
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

bool copy_crosses(const struct x64_code *code, uint32_t at)
{
    const uint32_t to = at + 4 + get32(code->bytes + at);
    return (at < code->far) != (to < code->far);
}

/* --- keeping the lists --- */

void copy_keep_lists(struct x64 *x, struct tb_native *n, const struct x64_code *code)
{
    if (!is_kept(code))
        return;
    n->lists = (n->far_offset + (code->nbytes - code->far) + 1) & ~1u;
    uint16_t *list = (uint16_t *)(void *)(x->cache.write + n->lists), *to = list + LISTS;
    for (uint32_t i = 0; i < code->nrefs; i++)
        *to++ = (uint16_t)code->refs[i];
    const uint16_t *inner = to;
    for (uint32_t i = 0; i < code->ninner; i++)
        if (copy_crosses(code, code->inner[i]))
            *to++ = (uint16_t)code->inner[i];
    list[0] = (uint16_t)code->nrefs;
    list[1] = (uint16_t)(to - inner);
    list[2] = (uint16_t)code->nmoves;
    for (uint32_t i = 0; i < code->nmoves; i++)
        *to++ = (uint16_t)code->moves[i];
}

/* --- the code as it was before it was installed --- */

/* Where the rel32 field at `offset` of the installed code leads to, as a place in the cache. */
static uint32_t leads_to(const struct x64_compiler *z, const struct tb_native *n, uint32_t offset)
{
    return copy_place_of(n, offset) + 4 + get32(z->code + offset);
}

static uint32_t take_list(uint32_t *to, const uint16_t **from, uint16_t count)
{
    for (unsigned i = 0; i < count; i++)
        to[i] = (*from)[i];
    *from += count;
    return count;
}

static void take_lists(struct x64_compiler *z, const struct tb_native *n, struct x64_code *out)
{
    const uint16_t *list = (const uint16_t *)(const void *)(z->c.x->cache.write + n->lists);
    const uint16_t *from = list + LISTS;
    out->nrefs = take_list(z->refs.at, &from, list[0]);
    out->ninner = take_list(z->refs.inner, &from, list[1]);
    out->nmoves = take_list(z->refs.moves, &from, list[2]);
}

static void take_exits(struct x64_compiler *z, const struct tb *tb, struct x64_code *out)
{
    const struct tb_native *n = &tb->native;
    for (unsigned i = 0; i < tb->nexits; i++) {
        out->jump[i] = offset_or_none(n, tb->exits[i].jump);
        out->exit[i] = offset_or_none(n, tb->exits[i].exit);
        if (out->jump[i])
            x_patch(z->code + out->jump[i], z->code + out->exit[i]);
    }
    out->loop = offset_or_none(n, n->loop);
    out->loop_jump = offset_or_none(n, n->loop_jump);
    out->loop_exit = offset_or_none(n, n->loop_exit);
    out->loop_next = offset_or_none(n, n->loop_next);
    if (out->loop_jump)
        x_patch(z->code + out->loop_jump, z->code + out->loop_exit);
}

static void take_code(struct x64_compiler *z, const struct tb *tb, struct x64_code *out)
{
    const struct tb_native *n = &tb->native;
    const uint8_t *cache = z->c.x->cache.write;
    *out = (struct x64_code){.bytes = z->code,
                             .refs = z->refs.at,
                             .inner = z->refs.inner,
                             .moves = z->refs.moves,
                             .nbytes = n->bytes,
                             .far = n->far,
                             .movable = true,
                             .chained = n->chained,
                             .enter = n->enter};
    memcpy(z->code, cache + n->offset, n->far);
    memcpy(z->code + n->far, cache + n->far_offset, n->bytes - n->far);
    take_lists(z, n, out);
    for (uint32_t i = 0; i < out->nrefs; i++)
        put32(z->code + z->refs.at[i], leads_to(z, n, z->refs.at[i]));
    for (uint32_t i = 0; i < out->ninner; i++) {
        const uint32_t at = z->refs.inner[i];
        put32(z->code + at, offset_of(n, leads_to(z, n, at)) - (at + 4));
    }
    take_exits(z, tb, out);
}

/* --- at the new address --- */

/* Of the fields in order: `lin` is that of the last X64_MOVE_LIN before it was moved. */
struct mover {
    uint64_t tb_by;
    uint32_t lin_by, lin;
};

static void move_field(struct mover *m, uint8_t *at, enum x64_move kind)
{
    uint64_t pointer;
    switch (kind) {
    case X64_MOVE_TB:
        memcpy(&pointer, at, sizeof pointer);
        pointer += m->tb_by;
        memcpy(at, &pointer, sizeof pointer);
        break;
    case X64_MOVE_LIN:
        m->lin = get32(at);
        put32(at, m->lin + m->lin_by);
        break;
    case X64_MOVE_PLACE:
        put32(at, get32(at) + (x64_jump_place(m->lin + m->lin_by) - x64_jump_place(m->lin)) * X64_JUMP_BYTES);
        break;
    }
}

bool x64_copy(struct x64_compiler *z, const struct tb *from, const struct tb *to, struct x64_code *out)
{
    struct mover m = {.tb_by = (uint64_t)((uintptr_t)to - (uintptr_t)from),
                      .lin_by = to->lin_addr - from->lin_addr};
    if (!from->native.lists)
        return false;
    take_code(z, from, out);
    for (uint32_t i = 0; i < out->nmoves; i++)
        move_field(&m, z->code + (z->refs.moves[i] >> X64_MOVE_SHIFT),
                   (enum x64_move)(z->refs.moves[i] & X64_MOVE_MASK));
    return true;
}

void x64_move(struct x64 *x, const struct tb *tb, uint32_t by)
{
    const struct tb_native *n = &tb->native;
    struct mover m = {.lin_by = by};
    if (!n->lists)
        return;
    const uint16_t *list = (const uint16_t *)(const void *)(x->cache.write + n->lists);
    const uint16_t *moves = list + LISTS + list[0] + list[1];
    for (unsigned i = 0; i < list[2]; i++)
        move_field(&m, x->cache.write + copy_place_of(n, (uint32_t)moves[i] >> X64_MOVE_SHIFT),
                   (enum x64_move)(moves[i] & X64_MOVE_MASK));
}

bool x64_code_equals(const struct x64_code *a, const struct x64_code *b)
{
    return a->nbytes == b->nbytes && a->far == b->far && a->nrefs == b->nrefs && a->nmoves == b->nmoves &&
           a->chained == b->chained && a->enter == b->enter && a->loop == b->loop &&
           a->loop_jump == b->loop_jump && a->loop_exit == b->loop_exit && a->loop_next == b->loop_next &&
           memcmp(a->jump, b->jump, sizeof a->jump) == 0 && memcmp(a->exit, b->exit, sizeof a->exit) == 0 &&
           memcmp(a->bytes, b->bytes, a->nbytes) == 0;
}
