/* task.c - hardware task switches: SDM 3A chapter 7.
 *
 * Order: (1) all checks and probes, faults belong to the old task; (2) the switch: state saved, busy bits,
 * TR, registers with unusable segments; (3) segment loads, faults belong to the new task. From (2) on the
 * instruction counts as retired, so faults of (3) are recorded as traps with the new task's eip.
 *
 * Registers' upper halves after a switch to a 16-bit TSS (undefined) are all ones. */
#include "vcpu/arch/protect.h"

#define TSS16_LIMIT_MIN 0x2bu
#define TSS32_LIMIT_MIN 0x67u

/* Where things lie in a TSS: SDM 3A figures 7-2 and 7-10. Registers and selectors are consecutive. */
struct tss_layout {
    uint8_t width, cr3, eip, eflags, gpr, sreg, sregs, ldt, trap;
};
static const struct tss_layout tss16 = {2, 0, 0x0e, 0x10, 0x12, 0x22, 4, 0x2a, 0};
static const struct tss_layout tss32 = {4, 0x1c, 0x20, 0x24, 0x28, 0x48, 6, 0x60, 0x64};

struct tss_image {
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t sreg[SEG_COUNT], ldt;
    bool trap;
};

/* The new task while it is being entered. */
struct new_task {
    uint16_t sel;
    struct desc desc;
    uint32_t base;
    const struct tss_layout *layout;
    struct tss_image image;
};

static const struct tss_layout *tss_layout(unsigned type)
{
    return type & SYS_32BIT ? &tss32 : &tss16;
}

static bool tss_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes, uint32_t *value)
{
    uint64_t bits;
    if (!mem_read(v, lin_addr, bytes, false, &bits))
        return false;
    *value = (uint32_t)bits;
    return true;
}

static bool tss_read_sel(struct vcpu *v, uint32_t lin_addr, uint16_t *sel)
{
    uint32_t value;
    if (!tss_read(v, lin_addr, 2, &value))
        return false;
    *sel = (uint16_t)value;
    return true;
}

/* --- (1) checks --- */

static bool tss_read_gprs(struct vcpu *v, struct new_task *n)
{
    unsigned width = n->layout->width;
    for (unsigned i = 0; i < 8; i++) {
        if (!tss_read(v, n->base + n->layout->gpr + i * width, width, &n->image.gpr[i]))
            return false;
        if (width == 2)
            n->image.gpr[i] |= 0xffff0000;
    }
    return true;
}

static bool tss_read_selectors(struct vcpu *v, struct new_task *n)
{
    unsigned width = n->layout->width;
    for (unsigned i = 0; i < n->layout->sregs; i++) {
        if (!tss_read_sel(v, n->base + n->layout->sreg + i * width, &n->image.sreg[i]))
            return false;
    }
    return tss_read_sel(v, n->base + n->layout->ldt, &n->image.ldt);
}

static bool tss_read_image(struct vcpu *v, struct new_task *n)
{
    unsigned width = n->layout->width;
    uint32_t trap = 0;
    n->image = (struct tss_image){.cr3 = v->g.cr3};
    if (!tss_read(v, n->base + n->layout->eip, width, &n->image.eip) ||
        !tss_read(v, n->base + n->layout->eflags, width, &n->image.eflags) || !tss_read_gprs(v, n) ||
        !tss_read_selectors(v, n))
        return false;
    if (n->layout == &tss32 &&
        (!tss_read(v, n->base + tss32.cr3, 4, &n->image.cr3) || !tss_read(v, n->base + tss32.trap, 2, &trap)))
        return false;
    n->image.trap = trap & 1;
    return true;
}

/* Type, presence and limit of the new TSS's descriptor. */
static bool tss_check(struct vcpu *v, const struct task_switch *t, struct new_task *n)
{
    bool back = t->cause == TASK_IRET;
    unsigned vector = back ? EXC_TS : EXC_GP;
    n->sel = t->sel;
    if (SEL_IS_NULL(t->sel) || (t->sel & SEL_TI))
        return raise_sel(v, vector, t->sel);
    if (!desc_read(v, t->sel, &n->desc, vector))
        return false;
    unsigned type = desc_type(n->desc);
    bool known =
        back ? type == SYS_TSS16_BUSY || type == SYS_TSS32_BUSY : type == SYS_TSS16 || type == SYS_TSS32;
    if (!known)
        return raise_sel(v, vector, t->sel);
    if (!(n->desc.hi & DESC_P))
        return raise_sel(v, EXC_NP, t->sel);
    n->layout = tss_layout(type);
    n->base = desc_base(n->desc);
    if (desc_limit(n->desc) < (n->layout == &tss32 ? TSS32_LIMIT_MIN : TSS16_LIMIT_MIN))
        return raise_sel(v, EXC_TS, t->sel);
    return true;
}

static uint32_t gdt_address(const struct guest_state *g, uint16_t sel)
{
    return g->gdtr.base + (sel & 0xfff8u);
}

/* Everything that step (2) writes: the old state, two busy bits, the link. */
static bool switch_probe(struct vcpu *v, const struct task_switch *t, const struct new_task *n)
{
    const struct guest_state *g = &v->g;
    const struct tss_layout *old = tss_layout(g->tr.access);
    uint32_t bytes = (uint32_t)(old->sreg + old->sregs * old->width - old->eip);
    if (!mem_probe_write(v, g->tr.base + old->eip, bytes, false))
        return false;
    if (!mem_probe_write(v, gdt_address(g, g->tr.sel) + 5, 1, false) ||
        !mem_probe_write(v, gdt_address(g, n->sel) + 5, 1, false))
        return false;
    return t->cause == TASK_JMP || t->cause == TASK_IRET || mem_probe_write(v, n->base, 2, false);
}

/* --- (2) the switch: every write was probed --- */

/* Fails only for a guest whose TSS overlaps the page tables that map it: then that write is lost. */
static void put(struct vcpu *v, uint32_t lin_addr, unsigned bytes, uint32_t value)
{
    if (!mem_write(v, lin_addr, bytes, false, value))
        v->exc.pending = false;
}

static void save_old(struct vcpu *v, const struct task_switch *t)
{
    const struct guest_state *g = &v->g;
    const struct tss_layout *l = tss_layout(g->tr.access);
    uint32_t base = g->tr.base;
    uint32_t eflags = t->cause == TASK_IRET ? t->eflags & ~(uint32_t)FLAG_NT : t->eflags;
    put(v, base + l->eip, l->width, t->eip);
    put(v, base + l->eflags, l->width, eflags);
    for (unsigned i = 0; i < 8; i++)
        put(v, base + l->gpr + i * l->width, l->width, g->slot[IR_EAX + i]);
    for (unsigned i = 0; i < l->sregs; i++)
        put(v, base + l->sreg + i * l->width, 2, g->seg[i].sel);
}

/* Bit 9 of the descriptor's second dword is bit 1 of its byte 5. */
static void set_busy(struct vcpu *v, uint16_t sel, bool busy)
{
    uint64_t access;
    uint32_t lin_addr = gdt_address(&v->g, sel) + 5;
    if (mem_read(v, lin_addr, 1, false, &access))
        put(v, lin_addr, 1, busy ? (uint32_t)access | 2 : (uint32_t)access & ~2u);
    else
        v->exc.pending = false; /* as in put */
}

static void load_registers(struct vcpu *v, const struct task_switch *t, const struct new_task *n)
{
    struct guest_state *g = &v->g;
    bool nested = t->cause == TASK_CALL || t->cause == TASK_EVENT;
    uint32_t eflags = nested ? n->image.eflags | FLAG_NT : n->image.eflags;
    for (unsigned i = 0; i < 8; i++)
        g->slot[IR_EAX + i] = n->image.gpr[i];
    eflags_write(g, eflags, FLAGS_SYSTEM | FLAGS_ARITH | FLAG_DF);
    g->eip = n->image.eip;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g->seg[i] = (struct segment){.sel = n->image.sreg[i]};
    g->ldtr = (struct segment){.sel = n->image.ldt};
    g->cpl = in_vm86(g) ? 3 : (uint8_t)SEL_RPL(n->image.sreg[SEG_CS]);
    g->int_shadow = 0;
    v->rf_tick = v->limit - (uint64_t)g->budget;
}

/* False: #GP(0) recorded; the address space is still that of the old task. */
static bool switch_commit(struct vcpu *v, const struct task_switch *t, const struct new_task *n)
{
    struct guest_state *g = &v->g;
    bool nested = t->cause == TASK_CALL || t->cause == TASK_EVENT;
    save_old(v, t);
    if (nested)
        put(v, n->base, 2, g->tr.sel);
    else
        set_busy(v, g->tr.sel, false);
    set_busy(v, n->sel, true);
    seg_set_hidden(&g->tr, n->sel, n->desc.lo, n->desc.hi | DESC_BUSY);
    g->cr0 |= CR0_TS;
    load_registers(v, t, n);
    if (g->dr[7] & DR7_LOCAL_ENABLES) { /* SDM 3A 17.2.4 */
        g->dr[7] &= ~(uint32_t)DR7_LOCAL_ENABLES;
        debug_changed(v);
    }
    const bool space = !(g->cr0 & CR0_PG) || n->layout != &tss32 || tlb_switch(v, n->image.cr3);
    cr3_loaded(v);
    vcpu_update_mode(v);
    return space || raise_zero(v, EXC_GP);
}

/* --- (3) segment loads of the new task: #TS where a MOV would have #GP (SDM 3A table 7-1) --- */

static bool load_ldt(struct vcpu *v, uint16_t sel)
{
    struct desc d;
    if (SEL_IS_NULL(sel))
        return true;
    if (sel & SEL_TI)
        return raise_sel(v, EXC_TS, sel);
    if (!desc_read(v, sel, &d, EXC_TS))
        return false;
    if (desc_type(d) != SYS_LDT || !(d.hi & DESC_P))
        return raise_sel(v, EXC_TS, sel);
    seg_set_hidden(&v->g.ldtr, sel, d.lo, d.hi);
    return true;
}

static bool load_checked(struct vcpu *v, unsigned seg, uint16_t sel, struct desc *d)
{
    if (!(d->hi & DESC_P))
        return raise_sel(v, EXC_NP, sel);
    if (!desc_mark_accessed(v, sel, d))
        return false;
    seg_set_hidden(&v->g.seg[seg], sel, d->lo, d->hi);
    return true;
}

static bool load_code(struct vcpu *v, uint16_t sel)
{
    struct desc d;
    unsigned rpl = SEL_RPL(sel);
    if (SEL_IS_NULL(sel))
        return raise_sel(v, EXC_TS, sel);
    if (!desc_read(v, sel, &d, EXC_TS))
        return false;
    bool allowed = desc_is_conforming(d) ? desc_dpl(d) <= rpl : desc_dpl(d) == rpl;
    if (!desc_is_code(d) || !allowed)
        return raise_sel(v, EXC_TS, sel);
    return load_checked(v, SEG_CS, sel, &d);
}

static bool load_data(struct vcpu *v, unsigned seg, uint16_t sel)
{
    struct desc d;
    if (SEL_IS_NULL(sel))
        return true;
    if (!desc_read(v, sel, &d, EXC_TS))
        return false;
    unsigned dpl = desc_dpl(d);
    if (!desc_is_readable(d) || (!desc_is_conforming(d) && (SEL_RPL(sel) > dpl || v->g.cpl > dpl)))
        return raise_sel(v, EXC_TS, sel);
    return load_checked(v, seg, sel, &d);
}

static void load_vm86(struct guest_state *g, const struct tss_image *image)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        seg_load_8086(g, &g->seg[i], image->sreg[i]);
}

static bool load_segments(struct vcpu *v, const struct tss_image *image)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    struct segment *ss = &v->g.seg[SEG_SS];
    if (!load_ldt(v, image->ldt))
        return false;
    if (in_vm86(&v->g)) {
        load_vm86(&v->g, image);
        return true;
    }
    if (!load_code(v, image->sreg[SEG_CS]) || !seg_check_stack(v, image->sreg[SEG_SS], v->g.cpl, EXC_TS, ss))
        return false;
    for (unsigned i = 0; i < sizeof data; i++) {
        if (!load_data(v, data[i], image->sreg[data[i]]))
            return false;
    }
    return true;
}

static bool push_error(struct vcpu *v, const struct task_switch *t, const struct new_task *n)
{
    struct frame f = {.width = n->layout->width};
    if (!t->has_error)
        return true;
    struct stack st = stack_current(v);
    frame_add(&f, t->error);
    if (!stack_push(v, &st, &f))
        return false;
    v->g.slot[IR_ESP] = st.esp;
    return true;
}

static bool debug_trap(struct vcpu *v, const struct new_task *n)
{
    if (!n->image.trap)
        return true;
    v->db_pending |= DR6_BT;
    vcpu_raise_trap(v, EXC_DB, v->g.eip);
    return false;
}

static bool enter_task(struct vcpu *v, const struct task_switch *t, const struct new_task *n)
{
    bool ok = load_segments(v, &n->image);
    vcpu_update_mode(v);
    return ok && push_error(v, t, n) && cs_eip_ok(v, v->g.seg[SEG_CS].limit, v->g.eip) && debug_trap(v, n);
}

bool task_switch(struct vcpu *v, const struct task_switch *t)
{
    struct new_task n;
    if (!tss_check(v, t, &n) || !tss_read_image(v, &n) || !switch_probe(v, t, &n))
        return false;
    /* The probes said that no write needs a TB of its own, and from here on nothing can be redone. */
    bool in_single = v->in_single;
    v->in_single = true;
    bool ok = switch_commit(v, t, &n) && enter_task(v, t, &n);
    v->in_single = in_single;
    if (!ok) {
        v->exc.is_trap = true;
        v->exc.next_eip = v->g.eip;
    }
    return ok;
}

bool task_return(struct vcpu *v, uint32_t next_eip)
{
    const struct segment *tr = &v->g.tr;
    struct task_switch t = {
        .cause = TASK_IRET, .eip = next_eip, .eflags = guest_eflags(&v->g) & ~(uint32_t)FLAG_RF};
    if (!(tr->access & SEG_ACC_P) || tr->limit < 1)
        return raise_sel(v, EXC_TS, tr->sel);
    return tss_read_sel(v, tr->base, &t.sel) && task_switch(v, &t);
}
