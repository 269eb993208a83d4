/* passage.c - see passage.h. Whatever is not at hand in the TLB is done in full by others, with its faults
 * and fills in their order. */
#include "vcpu/arch/passage.h"

enum { FRAME_SLOTS = 6, TSS_ESP0 = 4, TSS_STACK_BYTES = 6 };

/* Flat, on a 32-bit stack. */
static bool is_plain_mode(uint32_t mode)
{
    const uint32_t wanted = TB_MODE_PE | TB_MODE_FLAT | TB_MODE_STACK32;
    return (mode & (wanted | TB_MODE_VM86)) == wanted;
}

/* Where the host has supervisor data in one page that needs no second look, or NULL. */
static const uint8_t *at_hand(const struct vcpu *v, uint32_t lin_addr, unsigned bytes)
{
    const uint32_t page_mask = ~(uint32_t)(PAGE_BYTES - 1);
    const struct tlb_entry *e = &v->tlb[0][TLB_DATA][lin_addr >> PAGE_BITS & (TLB_ENTRIES - 1)];
    const bool hit = e->tag_r == (lin_addr & page_mask) && e->tag_r == ((lin_addr + bytes - 1) & page_mask);
    return hit ? (const uint8_t *)(e->addend + lin_addr) : NULL;
}

static bool bits_at(const struct vcpu *v, uint32_t lin_addr, uint64_t *bits)
{
    const uint8_t *host = at_hand(v, lin_addr, sizeof *bits);
    if (host)
        memcpy(bits, host, sizeof *bits);
    return host != NULL;
}

static bool descriptor_at_hand(struct vcpu *v, uint16_t sel, uint64_t *bits)
{
    const uint32_t offset = sel & 0xfff8u;
    return !(sel & SEL_TI) && offset + 7 <= v->g.gdtr.limit && bits_at(v, v->g.gdtr.base + offset, bits);
}

static bool has_descriptor(struct vcpu *v, uint16_t sel, uint64_t wanted)
{
    uint64_t bits;
    return descriptor_at_hand(v, sel, &bits) && bits == wanted;
}

static bool has_gate(const struct vcpu *v, const struct passage *p)
{
    uint64_t bits;
    return p->vector * 8u + 7 <= v->g.idtr.limit && bits_at(v, v->g.idtr.base + p->vector * 8u, &bits) &&
           bits == p->gate;
}

/* ESP of the inner stack, if that is the passage's. */
static bool inner_stack(struct vcpu *v, const struct passage *p, uint32_t *esp)
{
    const struct segment *tr = &v->g.tr;
    uint16_t sel;
    if (!(tr->access & SEG_ACC_P) || !(tr->access & SYS_32BIT) || TSS_ESP0 + 5 > tr->limit)
        return false;
    const uint8_t *host = at_hand(v, tr->base + TSS_ESP0, TSS_STACK_BYTES);
    if (!host)
        return false;
    memcpy(&sel, host + 4, sizeof sel);
    if (sel != p->stack_sel || !has_descriptor(v, sel, p->stack))
        return false;
    memcpy(esp, host, sizeof *esp);
    return true;
}

/* From the top downwards, as they are pushed. */
static unsigned frame_of(const struct guest_state *g, const struct event *e, bool inner, uint32_t *value)
{
    unsigned n = 0;
    if (inner) {
        value[n++] = g->seg[SEG_SS].sel;
        value[n++] = g->slot[IR_ESP];
    }
    value[n++] = e->eflags;
    value[n++] = g->seg[SEG_CS].sel;
    value[n++] = e->eip;
    if (e->has_error)
        value[n++] = e->error;
    return n;
}

static bool push(struct vcpu *v, const struct event *e, bool inner, uint32_t *esp)
{
    uint32_t value[FRAME_SLOTS];
    const unsigned n = frame_of(&v->g, e, inner, value), bytes = 4 * n;
    uint8_t *host = *esp < bytes ? NULL : mem_fast_run(v, *esp - bytes, bytes, false);
    if (!host)
        return false;
    for (unsigned i = n; i-- > 0; host += 4)
        memcpy(host, &value[i], 4);
    *esp -= bytes;
    return true;
}

void passage_commit(struct vcpu *v, const struct passage *p)
{
    struct guest_state *g = &v->g;
    if (p->stack)
        g->seg[SEG_SS] = p->ss;
    g->seg[SEG_CS] = p->cs;
    g->cpl = SEL_RPL(p->cs.sel);
    g->mode = (g->mode & MODE_OF_CONTROL) | p->mode;
    v->jumps.hi = x64_jump_hi(g->mode, v->fetch_epoch[mem_is_user(v)]);
}

static struct passage *entry_place(struct vcpu *v, unsigned vector)
{
    return &v->entries[vector % (sizeof v->entries / sizeof v->entries[0])];
}

bool passage_enter(struct vcpu *v, const struct event *e)
{
    struct guest_state *g = &v->g;
    const struct passage *p = entry_place(v, e->vector);
    uint32_t esp = g->slot[IR_ESP];
    if (!p->known || p->vector != e->vector || p->software != e->software || p->from_cpl != g->cpl ||
        !is_plain_mode(g->mode) || !has_gate(v, p) || !has_descriptor(v, p->code_sel, p->code))
        return false;
    if ((p->stack && !inner_stack(v, p, &esp)) || !push(v, e, p->stack != 0, &esp))
        return false;
    g->slot[IR_ESP] = esp;
    g->eip = gate_offset((struct desc){(uint32_t)p->gate, (uint32_t)(p->gate >> 32)});
    g->eflags &= ~p->flags_cleared;
    passage_commit(v, p);
    return true;
}

/* What was made is the state now. */
static void learn(struct vcpu *v, struct passage *p, uint32_t from_mode)
{
    p->known = is_plain_mode(from_mode) && is_plain_mode(v->g.mode) && !(p->code_sel & SEL_TI);
    p->cs = v->g.seg[SEG_CS];
    p->ss = v->g.seg[SEG_SS];
    p->mode = v->g.mode & ~(uint32_t)MODE_OF_CONTROL;
}

static uint64_t bits_of(struct desc d)
{
    return (uint64_t)d.hi << 32 | d.lo;
}

bool passage_made_from(struct vcpu *v, struct desc gate, struct desc code, uint16_t stack_sel,
                       struct passage *p)
{
    p->gate = bits_of(gate);
    p->code = bits_of(code);
    p->stack_sel = stack_sel;
    return !stack_sel || descriptor_at_hand(v, stack_sel, &p->stack);
}

void passage_entered(struct vcpu *v, const struct event *e, uint32_t from_mode, struct passage *p)
{
    const struct desc gate = {(uint32_t)p->gate, (uint32_t)(p->gate >> 32)};
    if (v->g.cpl != 0 || gate_width(gate) != 4)
        return;
    p->vector = e->vector;
    p->software = e->software;
    p->code_sel = gate_selector(gate);
    p->flags_cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (desc_type(gate) == SYS_INT32 ? FLAG_IF : 0);
    learn(v, p, from_mode);
    *entry_place(v, e->vector) = *p;
}

static struct passage *return_place(struct vcpu *v, uint16_t cs)
{
    return &v->returns[(cs >> 3) % (sizeof v->returns / sizeof v->returns[0])];
}

const struct passage *passage_of_return(struct vcpu *v, uint16_t cs, uint16_t ss)
{
    const struct passage *p = return_place(v, cs);
    if (!p->known || p->code_sel != cs || v->g.cpl != 0 || !is_plain_mode(v->g.mode) ||
        !has_descriptor(v, cs, p->code))
        return NULL;
    if (!p->stack)
        return p;
    const bool same = ss == p->stack_sel && has_descriptor(v, ss, p->stack);
    return same && !seg_has_inner(&v->g, SEL_RPL(cs)) ? p : NULL;
}

void passage_returned(struct vcpu *v, uint32_t from_mode, uint16_t cs, struct desc code)
{
    struct passage p = {.code = bits_of(code), .code_sel = cs};
    if (!(from_mode & TB_MODE_CPL0))
        return;
    if (v->g.cpl != 0) {
        p.stack_sel = v->g.seg[SEG_SS].sel;
        if (!descriptor_at_hand(v, p.stack_sel, &p.stack))
            return;
    }
    learn(v, &p, from_mode);
    *return_place(v, cs) = p;
}
