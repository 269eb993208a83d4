/* parts.c - see vcpu/parts.h.
 *
 * Tables name the state; other tables name all the rest of struct guest_state and struct vcpu, so that a
 * test finds a member that is in neither (vcpu_uncovered). What is in no state table follows from what is,
 * from memory and from the options, or is never seen by the guest:
 *   blocks, compiled code, jump tables   made again; when that happens is never seen (translate.h, tb.h)
 *   fast-path tags and host pointers     follow from tag, page, dirty log, code and table pages
 *   limit, budget                        only their difference, the tick, is state; it goes apart
 *   mode, dr_active, checks_alignment, wants, local_next
 *                                        follow from registers, from the devices on the vCPU's side
 *   faults                               what led to a shutdown, as text
 *   idle_end                             where an idle period is to end; the link says so again
 *   exit_reason, exit_value              the guest has ended itself: there is nothing to be saved
 *   temporaries, host FPU image          dead between blocks
 * The TLB is state: a guest that changes a page table without a flush may see old entries for as long as
 * real processors let it, and which ones those are must not depend on a load. So are the address spaces that
 * CR3 loads put back (spaces.c), the order of the TLB's lists (which decides what a space keeps), and the
 * page of the last fetch (when the fetch TLB is asked again, which may set an accessed bit). */
#include "vcpu/parts.h"
#include "clockcore/ticks.h"
#include "vcpu/arch/protect.h"
#include "vcpu/engine/engine.h"
#include "vcpu/mmu/tlb.h"

#include <string.h>

/* --- struct guest_state --- */

#define CPU(member)       FIELD(struct guest_state, member)
#define CPU_ARRAY(member) FIELD_ARRAY(struct guest_state, member)
#define CPU_REG(reg, index)                                                                                  \
    {                                                                                                        \
        .name = reg, .offset = offsetof(struct guest_state, slot[index]), .elem_bytes = 4, .count = 1,       \
        .stride_bytes = 4, .max = UINT64_MAX                                                                 \
    }
#define CPU_SEGMENT(s) CPU(s.sel), CPU(s.access), CPU(s.base), CPU(s.limit)
/* A named run of bytes. */
#define BYTES(type, label, from, n)                                                                          \
    {                                                                                                        \
        .name = label, .offset = (from), .elem_bytes = 1, .count = (n), .stride_bytes = 1, .max = UINT64_MAX \
    }
#define X87_REG(i) BYTES(struct guest_state, "x87.r" #i, offsetof(struct guest_state, x87.r[i]), 10)
/* What the compiler leaves free before the next member. */
#define PAD(type, member, n) BYTES(type, "padding", offsetof(type, member) + FIELD_SIZE(type, member), n)

static const struct field cpu_fields[] = {
    CPU_REG("eax", IR_EAX),
    CPU_REG("ecx", IR_ECX),
    CPU_REG("edx", IR_EDX),
    CPU_REG("ebx", IR_EBX),
    CPU_REG("esp", IR_ESP),
    CPU_REG("ebp", IR_EBP),
    CPU_REG("esi", IR_ESI),
    CPU_REG("edi", IR_EDI),
    CPU(eip),
    CPU_REG("arithmetic-flags", IR_CC_R), /* vcpu_settle brings them here */
    CPU(df),
    CPU(eflags),
    FIELD_MAX(struct guest_state, cpl, 3),
    FIELD_MAX(struct guest_state, int_shadow, SHADOW_STACK),
    FIELD_MAX(struct guest_state, halted, HALTED_SIPI),
    CPU_SEGMENT(seg[SEG_ES]),
    CPU_SEGMENT(seg[SEG_CS]),
    CPU_SEGMENT(seg[SEG_SS]),
    CPU_SEGMENT(seg[SEG_DS]),
    CPU_SEGMENT(seg[SEG_FS]),
    CPU_SEGMENT(seg[SEG_GS]),
    CPU_SEGMENT(ldtr),
    CPU_SEGMENT(tr),
    CPU(gdtr.base),
    CPU(gdtr.limit),
    CPU(idtr.base),
    CPU(idtr.limit),
    CPU(cr0),
    CPU(cr2),
    CPU(cr3),
    CPU(cr4),
    CPU_ARRAY(dr),
    CPU(sysenter_cs),
    CPU(sysenter_esp),
    CPU(sysenter_eip),
    CPU_ARRAY(pdptr),
    CPU(efer),
    CPU(tsc_offset),
    CPU(msr.apic_base),
    CPU(msr.misc_enable),
    CPU(msr.pat),
    CPU(msr.mtrr_default),
    CPU_ARRAY(msr.mtrr_fixed),
    CPU_ARRAY(msr.mtrr_variable),
    CPU(msr.mcg_status),
    CPU(msr.mcg_ctl),
    CPU_ARRAY(msr.mc_ctl),
    X87_REG(0),
    X87_REG(1),
    X87_REG(2),
    X87_REG(3),
    X87_REG(4),
    X87_REG(5),
    X87_REG(6),
    X87_REG(7),
    CPU(x87.cw),
    CPU(x87.sw),
    CPU(x87.empty),
    CPU(x87.fop),
    CPU(x87.fcs),
    CPU(x87.fds),
    CPU(x87.fip),
    CPU(x87.fdp),
    CPU_ARRAY(sse.xmm[0]),
    CPU_ARRAY(sse.xmm[1]),
    CPU_ARRAY(sse.xmm[2]),
    CPU_ARRAY(sse.xmm[3]),
    CPU_ARRAY(sse.xmm[4]),
    CPU_ARRAY(sse.xmm[5]),
    CPU_ARRAY(sse.xmm[6]),
    CPU_ARRAY(sse.xmm[7]),
    CPU(sse.mxcsr),
};

#define X87_HIGH(i)                                                                                          \
    BYTES(struct guest_state, "above the 80 bits", offsetof(struct guest_state, x87.r[i]) + 10, 6)

static const struct field cpu_rest[] = {
    CPU_REG("flags: kind", IR_CC_OP),
    CPU_REG("flags: a", IR_CC_A),
    CPU_REG("flags: b", IR_CC_B),
    BYTES(struct guest_state, "temporaries", offsetof(struct guest_state, slot[IR_ZERO]),
          4 * (IR_NSLOTS - IR_ZERO)),
    CPU(budget),
    CPU(mode),
    CPU(fpu_on_host),
    X87_HIGH(0),
    X87_HIGH(1),
    X87_HIGH(2),
    X87_HIGH(3),
    X87_HIGH(4),
    X87_HIGH(5),
    X87_HIGH(6),
    X87_HIGH(7),
    PAD(struct guest_state, x87.fdp, 12),
    PAD(struct guest_state, sse.mxcsr, 12),
    PAD(struct guest_state, msr, 8),
    BYTES(struct guest_state, "fpu_host", offsetof(struct guest_state, fpu_host), sizeof(struct fpu_host)),
};

/* --- struct vcpu --- */

#define VCPU(member) FIELD(struct vcpu, member)
#define WHOLE(member)                                                                                        \
    BYTES(struct vcpu, #member, offsetof(struct vcpu, member), FIELD_SIZE(struct vcpu, member))
#define POINTER(member) BYTES(struct vcpu, #member, offsetof(struct vcpu, member), 8)

static const struct field event_fields[] = {
    VCPU(exc.pending),   FIELD_MAX(struct vcpu, exc.vector, 31),
    VCPU(exc.has_error), VCPU(exc.is_trap),
    VCPU(exc.error),     VCPU(exc.next_eip),
    VCPU(db_pending),    VCPU(rf_tick),
    VCPU(nmi_blocked),   FIELD_MAX(struct vcpu, pins, 0xffff),
};

static const struct field figure_fields[] = {VCPU(idle_ticks)};

#define TLB_FIELD(member)                                                                                    \
    {                                                                                                        \
        .name = "entry." #member, .offset = offsetof(struct vcpu, tlb[0][0][0].member),                      \
        .elem_bytes = FIELD_SIZE(struct tlb_entry, member), .count = TLB_WAYS * TLB_SETS,                    \
        .stride_bytes = sizeof(struct tlb_entry), .max = UINT64_MAX                                          \
    }
#define TLB_LIST(member)                                                                                     \
    {                                                                                                        \
        .name = #member, .offset = offsetof(struct vcpu, member), .elem_bytes = 2, .count = TLB_SETS,        \
        .stride_bytes = 2, .max = TLB_SETS - 1                                                               \
    }

static const struct field tlb_fields[] = {
    TLB_FIELD(tag),
    TLB_FIELD(phys_page),
    FIELD_MAX(struct vcpu, tlb_local_count, TLB_SETS),
    FIELD_MAX(struct vcpu, tlb_global_count, TLB_SETS),
    TLB_LIST(tlb_local),
    TLB_LIST(tlb_global),
    FIELD_ARRAY(struct vcpu, tlb_large),
};

static const struct field vcpu_rest[] = {
    WHOLE(g), /* has tables of its own, above */
    WHOLE(cfg),
    VCPU(limit),
    WHOLE(touched),
    POINTER(activity),
    POINTER(tb),
    VCPU(in_single),
    VCPU(in_device),
    VCPU(redo_device),
    VCPU(redo_single),
    VCPU(fpu_refused),
    VCPU(wants),
    VCPU(dr_active),
    VCPU(fetch_tag), /* a cache of the fetch TLB */
    VCPU(fetch_phys_page),
    POINTER(fetch_host),
    VCPU(digest_next),
    VCPU(point_tick),
    VCPU(idle_end),
    WHOLE(until),
    VCPU(moved),
    VCPU(deliveries),
    VCPU(exit_reason),
    WHOLE(faults),
    WHOLE(devsites),
    VCPU(local_next),
    VCPU(checks_alignment),
    VCPU(exit_value),
    VCPU(progress_next),
    VCPU(sample_next),
    VCPU(inner_sample),
    VCPU(inside),
    VCPU(at_boundary),
    BYTES(struct vcpu, "padding", offsetof(struct vcpu, moved) + 1,
          offsetof(struct vcpu, deliveries) - offsetof(struct vcpu, moved) - 1),
    BYTES(struct vcpu, "padding", offsetof(struct vcpu, deliveries) + 4,
          offsetof(struct vcpu, tlb) - offsetof(struct vcpu, deliveries) - 4),
    WHOLE(tlb_stores), /* follows from the fast-path tags */
    VCPU(tlb_stores_count),
    WHOLE(tlb_listed), /* follows from the lists */
    TLB_FIELD(tag_r),
    TLB_FIELD(tag_w),
    TLB_FIELD(addend),
    WHOLE(likely),
    POINTER(spaces),
    WHOLE(watcher),
    WHOLE(jump),
    POINTER(tbs),
    VCPU(tb_flushes),
    POINTER(native),
    POINTER(compiling),
    POINTER(hot),
    WHOLE(fetch_epoch),
    WHOLE(fetch_left),
    BYTES(struct vcpu, "padding", offsetof(struct vcpu, fetch_left) + 2,
          offsetof(struct vcpu, jumps) - offsetof(struct vcpu, fetch_left) - 2),
    WHOLE(jumps),
    WHOLE(stats),
    WHOLE(survey),
    WHOLE(marks),
    BYTES(struct vcpu, "padding", offsetof(struct vcpu, marks) + sizeof(struct marks),
          sizeof(struct vcpu) - offsetof(struct vcpu, marks) - sizeof(struct marks)),
};

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* --- completeness --- */

struct tables {
    const struct field *fields;
    size_t n;
};

#define MEMBER_ALIGN 8 /* of all but those whose padding is named */

static size_t uncovered(const struct tables *t, size_t ntables, size_t bytes)
{
    struct field all[160];
    size_t n = 0;
    for (size_t i = 0; i < ntables; i++)
        for (size_t j = 0; j < t[i].n; j++) {
            CHECK(n < N(all));
            all[n++] = t[i].fields[j];
        }
    return fields_uncovered(all, n, bytes, MEMBER_ALIGN);
}

bool vcpu_uncovered(unsigned *which, size_t *byte)
{
    const struct tables g[] = {{cpu_fields, N(cpu_fields)}, {cpu_rest, N(cpu_rest)}};
    const struct tables v[] = {{event_fields, N(event_fields)},
                               {figure_fields, N(figure_fields)},
                               {tlb_fields, N(tlb_fields)},
                               {vcpu_rest, N(vcpu_rest)}};
    *which = 0;
    *byte = uncovered(g, N(g), sizeof(struct guest_state));
    if (*byte < sizeof(struct guest_state))
        return true;
    *which = 1;
    *byte = uncovered(v, N(v), sizeof(struct vcpu));
    return *byte < sizeof(struct vcpu);
}

/* --- the one form of a state --- */

void vcpu_settle(struct vcpu *v)
{
    struct guest_state *g = &v->g;
    CHECK(!g->fpu_on_host);
    guest_set_arith_flags(g, guest_eflags(g));
    if (!vcpu_rf(v)) {
        g->eflags &= ~(uint32_t)FLAG_RF;
        v->rf_tick = 0;
    }
    if (!v->exc.pending)
        v->exc = (struct pending_exc){0};
}

static bool cpu_part(struct vcpu *v, unsigned i, struct state_part *out)
{
    if (i > 1)
        return false;
    *out = i == 0 ? (struct state_part){"cpu", cpu_fields, N(cpu_fields), &v->g}
                  : (struct state_part){"cpu-events", event_fields, N(event_fields), v};
    return true;
}

static bool other_part(struct vcpu *v, unsigned i, struct state_part *out)
{
    switch (i) {
    case 0:
        *out = (struct state_part){"tlb", tlb_fields, N(tlb_fields), v};
        return true;
    case 1:
    case 2:
        return spaces_part(v, i - 1, out);
    case 3:
        *out = (struct state_part){"cpu-figures", figure_fields, N(figure_fields), v};
        return true;
    default:
        return false;
    }
}

bool vcpu_part(struct vcpu *v, enum state_group group, unsigned i, struct state_part *out)
{
    if (group == STATE_CPU)
        return cpu_part(v, i, out);
    return group == STATE_OTHER && other_part(v, i, out);
}

void vcpu_settle_caches(struct vcpu *v)
{
    v->point_tick = vcpu_tick(v);
    vcpu_take_changes(v);
    tlb_settle(v);
    spaces_settle(v->spaces);
}

size_t vcpu_state_bytes(struct vcpu *v, uint8_t *out, size_t max)
{
    struct state_part p;
    size_t used = 0;
    vcpu_settle(v);
    for (unsigned i = 0; cpu_part(v, i, &p); i++) {
        size_t n = fields_bytes(p.fields, p.nfields);
        if (used + n <= max)
            fields_put(p.fields, p.nfields, p.state, out + used);
        used += n;
    }
    return used;
}

/* --- after a load --- */

/* A field with a value that it cannot have; NULL: none. Ranges are in the tables. */
static const char *wrong(const struct vcpu *v, uint64_t tick)
{
    const struct guest_state *g = &v->g;
    if (g->df != 1 && g->df != -1)
        return "cpu.df";
    if (g->slot[IR_CC_R] & ~(uint32_t)FLAGS_ARITH)
        return "cpu.arithmetic-flags";
    if (v->idle_ticks > tick)
        return "cpu-figures.idle_ticks";
    return system_registers_wrong(v);
}

const char *vcpu_loaded(struct vcpu *v, uint64_t tick)
{
    struct guest_state *g = &v->g;
    uint32_t flags = g->slot[IR_CC_R] | (g->df < 0 ? FLAG_DF : 0);
    const char *field = wrong(v, tick);
    if (field)
        return field;
    guest_set_arith_flags(g, flags);
    v->limit = tick;
    g->budget = 0;
    v->in_single = v->in_device = v->redo_single = v->redo_device = v->fpu_refused = false;
    v->tb = NULL;
    v->idle_end = 0;
    v->point_tick = tick;
    tbcache_flush(v);
    v->dr_active = g->dr[7] & DR7_ENABLES;
    v->checks_alignment = (g->cr0 & CR0_AM) && (g->eflags & FLAG_AC);
    vcpu_update_mode(v);
    vcpu_intc_settled(v);
    v->digest_next =
        v->cfg.digest_every ? (tick / v->cfg.digest_every + 1) * v->cfg.digest_every : TICK_NEVER;
    field = spaces_loaded(v); /* fast stores must know which pages are tables */
    return field ? field : tlb_loaded(v);
}
