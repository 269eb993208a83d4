/* stack.c - see stack.h. */
#include "observe/stack.h"

#include <string.h>

#define LINK_BYTES  8   /* EBP of the caller, return address */
#define SAVED_BYTES 256 /* registers that a handler saves lie so near to what the entry pushed */

struct walk {
    const struct stack_memory *m;
    const struct guest_state *g;
    struct sample *s;
};

/* A stretch of stack that one chain may lie in; offsets in SS. */
struct level {
    uint64_t low, high; /* first byte, and the one behind the last */
    uint32_t ebp;       /* where the chain begins */
    uint32_t outer_ebp; /* EBP that the entry found: the chain's end; 0: none */
    uint32_t entry_esp; /* ESP when the entry's handler began; 0: no entry */
    bool user;
};

/* False: there is no more room. */
static bool add_frame(struct walk *w, uint32_t lin_addr, unsigned flags)
{
    struct sample *s = w->s;
    if (s->frames == SAMPLE_FRAMES_MAX) {
        s->flags |= SAMPLE_FULL;
        return false;
    }
    s->frame[s->frames++] = (struct sample_frame){lin_addr, (uint8_t)flags};
    return true;
}

static bool add_return(struct walk *w, uint32_t eip, bool user)
{
    return add_frame(w, w->g->seg[SEG_CS].base + eip, user ? FRAME_USER : 0);
}

static bool read_words(const struct walk *w, uint32_t offset, uint32_t *to, unsigned words)
{
    size_t bytes = words * sizeof *to;
    return w->m->peek(w->m->ctx, w->s->cr3, w->g->seg[SEG_SS].base + offset, to, bytes) == bytes;
}

/* --- one chain --- */

static bool is_within(const struct level *l, uint64_t low, uint32_t ebp)
{
    return ebp >= low && (uint64_t)ebp + LINK_BYTES <= l->high;
}

/* Linux's mark of the registers that an entry saved; `ebp` with its highest bit set is their address. They
 * lie further up on this stack, or below what the entry pushed, if the handler has a stack of its own. */
static bool is_mark(const struct level *l, uint64_t low, uint32_t ebp)
{
    const uint32_t regs = ebp | 0x80000000u;
    if (l->user || regs == ebp)
        return false;
    return (regs >= low && regs < low + STACK_KERNEL_MAX) ||
           (l->entry_esp && l->entry_esp - regs <= SAVED_BYTES);
}

static bool is_end(const struct level *l, uint64_t low, uint32_t ebp)
{
    return ebp == 0 || (l->outer_ebp && ebp == l->outer_ebp) || is_mark(l, low, ebp);
}

/* A handler that went to a stack of its own began on that of the entry: the chain goes back there, once. */
static bool goes_back(struct level *l, uint32_t ebp)
{
    if (!l->entry_esp || ebp >= l->entry_esp || l->entry_esp - ebp > STACK_KERNEL_MAX)
        return false;
    l->low = ebp;
    l->high = l->entry_esp;
    return true;
}

/* Each link lies above the last, so it ends. False: not at a proper end. */
static bool follow_chain(struct walk *w, struct level *l)
{
    uint64_t low = l->low;
    uint32_t link[2] = {l->ebp};
    bool back = false;
    while (!is_end(l, low, link[0])) {
        const uint32_t ebp = link[0];
        if (!is_within(l, low, ebp) && !back && goes_back(l, ebp)) {
            back = true;
            low = ebp;
        }
        if (!is_within(l, low, ebp) || !read_words(w, ebp, link, 2))
            return false;
        if (link[1] == 0)
            return true;
        if (!add_return(w, link[1], l->user))
            return false;
        low = (uint64_t)ebp + LINK_BYTES;
    }
    return true;
}

/* --- where a chain may lie --- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static struct level level_at(const struct walk *w, uint32_t low, uint32_t ebp, bool user)
{
    const uint64_t bytes = user ? STACK_USER_MAX : STACK_KERNEL_MAX;
    const uint64_t limit = (uint64_t)w->g->seg[SEG_SS].limit + 1;
    return (struct level){.low = low, .high = least(low + bytes, limit), .ebp = ebp, .user = user};
}

/* SDM 3A figure 8-2: ESP0 is at 4, ESP1 and ESP2 8 bytes on each. */
static void bound_by_tss(const struct walk *w, struct level *l, unsigned cpl)
{
    const struct guest_state *g = w->g;
    uint32_t esp;
    const uint32_t at = g->tr.base + 4 + 8 * cpl;
    if (cpl < 3 && w->m->peek(w->m->ctx, w->s->cr3, at, &esp, sizeof esp) == sizeof esp && esp > l->low)
        l->high = least(l->high, esp);
}

/* The stretch of code that runs in the handler of this entry. */
static void bound_by_entry(const struct walk *w, struct level *l, const struct open_entry *o, unsigned cpl)
{
    l->outer_ebp = o->from_ebp;
    l->entry_esp = o->esp;
    if (o->from_cpl > cpl)
        bound_by_tss(w, l, cpl);
    else if (o->esp >= l->low)
        l->high = least(l->high, o->esp);
}

/* --- the first caller --- */

/* Where above ESP the return address is that no frame leads to; -1: it has a frame. */
static int bare_return(const uint8_t *code, size_t bytes)
{
    static const uint8_t nops[][5] = {{0x0f, 0x1f, 0x44, 0x00, 0x00}, {0x3e, 0x8d, 0x74, 0x26, 0x00}};
    for (unsigned i = 0; i < 2; i++) /* room for a call of a tracer, at a function's first byte */
        if (bytes > sizeof nops[i] && memcmp(code, nops[i], sizeof nops[i]) == 0) {
            code += sizeof nops[i];
            bytes -= sizeof nops[i];
            break;
        }
    if (bytes < 2)
        return -1;
    if (code[0] == 0x55 || code[0] == 0xc3 || code[0] == 0xc2) /* PUSH EBP, RET, RET imm16 */
        return 0;
    const bool mov = (code[0] == 0x89 && code[1] == 0xe5) || (code[0] == 0x8b && code[1] == 0xec);
    return mov ? 4 : -1; /* MOV EBP,ESP */
}

static bool add_bare_return(struct walk *w, const uint8_t *code, size_t bytes, bool user)
{
    uint32_t eip;
    const int at = bare_return(code, bytes);
    if (at < 0 || !read_words(w, w->g->slot[IR_ESP] + (uint32_t)at, &eip, 1))
        return true;
    return add_return(w, eip, user);
}

/* --- all of it --- */

static bool follow_outwards(struct walk *w, const struct context_process *p)
{
    const struct guest_state *g = w->g;
    struct level l = level_at(w, g->slot[IR_ESP], g->slot[IR_EBP], g->cpl == 3);
    unsigned cpl = g->cpl;
    bool whole = true;
    for (unsigned i = cpl == 3 ? 0 : p->depth; i-- > 0;) {
        const struct open_entry *o = &p->open[i];
        const bool user = o->from_cpl == 3;
        bound_by_entry(w, &l, o, cpl);
        whole = follow_chain(w, &l) && whole;
        if (!add_frame(w, o->from, FRAME_INSN | (user ? FRAME_USER : 0)))
            return false;
        l = level_at(w, o->from_cpl > cpl ? o->from_ebp : o->esp, o->from_ebp, user);
        cpl = o->from_cpl;
        if (user) {
            follow_chain(w, &l);
            return whole;
        }
    }
    return follow_chain(w, &l) && whole;
}

void stack_follow(const struct stack_memory *m, const struct context *c, const struct guest_state *g,
                  const uint8_t *code, size_t code_bytes, struct sample *s)
{
    struct walk w = {m, g, s};
    if (!(g->seg[SEG_SS].access & SEG_ACC_DB))
        return;
    if (add_bare_return(&w, code, code_bytes, g->cpl == 3) && follow_outwards(&w, context_process(c)))
        s->flags |= SAMPLE_WHOLE;
}
