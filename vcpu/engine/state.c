/* state.c - a vCPU's life. */
#include "clockcore/ticks.h"
#include "syncq/link.h"
#include "vcpu/arch/protect.h"
#include "vcpu/engine/engine.h"
#include "vcpu/parts.h"

#include <stdlib.h>
#include <string.h>

#include "translator/sse.h"

#define VCPU_ALIGN 64

/* --- reset: SDM 3A table 9-1 --- */

#define RESET_CR0      (CR0_CD | CR0_NW | CR0_ET)
#define SEG_RESET_DATA 0x93 /* present, writable, accessed */

static void segments_reset(struct guest_state *g)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g->seg[i] = (struct segment){.access = SEG_RESET_DATA, .limit = 0xffff};
    g->seg[SEG_CS] =
        (struct segment){.sel = 0xf000, .access = SEG_RESET_DATA, .base = 0xffff0000u, .limit = 0xffff};
    g->ldtr = (struct segment){.access = SEG_ACC_P | SYS_LDT, .limit = 0xffff};
    g->tr = (struct segment){.access = SEG_ACC_P | SYS_TSS32_BUSY, .limit = 0xffff};
    g->gdtr = g->idtr = (struct desc_table){.limit = 0xffff};
}

/* The budget (and with it the tick) is the only part of the state that a reset leaves alone. */
static void state_reset(struct vcpu *v)
{
    struct guest_state *g = &v->g;
    int64_t budget = g->budget;
    *g = (struct guest_state){.budget = budget, .eip = 0xfff0, .df = 1, .cr0 = RESET_CR0};
    segments_reset(g);
    guest_set_arith_flags(g, 0);
    g->slot[IR_EDX] = v->cfg.model.signature;
    g->dr[6] = DR6_FIXED;
    g->dr[7] = DR7_FIXED;
    g->x87.cw = 0x40;
    g->sse.mxcsr = MXCSR_INIT;
    msr_reset(&g->msr, &v->cfg.model);
    g->tsc_offset = 0u - vcpu_now_ns(v);
}

static void forget_everything(struct vcpu *v)
{
    v->exc = (struct pending_exc){0};
    v->nmi_blocked = false;
    v->pins = v->wants = 0;
    v->redo_single = v->redo_device = v->in_single = v->in_device = v->dr_active = false;
    v->db_pending = 0;
    v->tb = NULL;
    tbcache_flush(v);
    tlb_flush(v);
    vcpu_update_mode(v);
}

void vcpu_forget(struct vcpu *v)
{
    vcpu_take_changes(v);
    forget_everything(v);
    v->progress_next = 0;
}

static void tell_reset(struct vcpu *v)
{
    struct vcpu_event e = {.kind = VCPU_EVENT_RESET, .tick = vcpu_tick(v)};
    if (vcpu_observed(v))
        v->cfg.observer.event(v->cfg.observer.ctx, &v->g, &e);
}

void vcpu_reset(struct vcpu *v)
{
    if (v->cfg.log_items & VCPU_LOG_CPU_RESET)
        eventlog_reset(v);
    state_reset(v);
    forget_everything(v);
    vcpu_apic_moved(v);
    tell_reset(v);
}

/* SDM 3A table 9-1, column INIT: what it leaves alone. */
static void keep_over_init(struct guest_state *g, const struct guest_state *old)
{
    g->cr0 = CR0_ET | (old->cr0 & (CR0_CD | CR0_NW));
    g->x87 = old->x87;
    g->sse = old->sse;
    g->sysenter_cs = old->sysenter_cs;
    g->sysenter_esp = old->sysenter_esp;
    g->sysenter_eip = old->sysenter_eip;
    g->tsc_offset = old->tsc_offset;
    g->efer = old->efer;
    g->msr = old->msr;
}

void vcpu_init(struct vcpu *v, bool wait)
{
    struct guest_state old = v->g;
    uint32_t nmi = v->pins & VCPU_PIN_NMI;
    if (v->cfg.log_items & VCPU_LOG_CPU_RESET)
        eventlog_reset(v);
    state_reset(v);
    keep_over_init(&v->g, &old);
    forget_everything(v);
    v->pins = nmi;
    v->g.halted = wait ? HALTED_SIPI : 0;
    tell_reset(v);
}

void vcpu_init_at_shutdown(struct vcpu *v)
{
    vcpu_init(v, false);
    vcpu_intc_settled(v);
}

/* SDM 3A 8.4.3: real mode at vector * 1000H. */
void vcpu_start(struct vcpu *v, uint8_t vector)
{
    struct segment *cs = &v->g.seg[SEG_CS];
    v->g.halted = 0;
    v->g.eip = 0;
    cs->sel = (uint16_t)(vector << 8);
    cs->base = (uint32_t)vector << 12;
    vcpu_update_mode(v);
}

void vcpu_set_flat32(struct vcpu *v, uint32_t eip, uint16_t code_sel, uint16_t data_sel)
{
    struct guest_state *g = &v->g;
    const uint16_t flat = SEG_ACC_G | SEG_ACC_DB;
    state_reset(v);
    g->slot[IR_EDX] = 0;
    g->cr0 = CR0_PE | CR0_ET;
    g->eip = eip;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g->seg[i] = (struct segment){.sel = data_sel, .access = flat | 0x93, .limit = UINT32_MAX};
    g->seg[SEG_CS] = (struct segment){.sel = code_sel, .access = flat | 0x9b, .limit = UINT32_MAX};
    forget_everything(v);
}

/* --- create and destroy --- */

struct vcpu *vcpu_create(const struct vcpu_config *cfg)
{
    CHECK(cfg->digest_every == 0 || cfg->digest);
    size_t bytes = (sizeof(struct vcpu) + VCPU_ALIGN - 1) / VCPU_ALIGN * VCPU_ALIGN;
    struct vcpu *v = aligned_alloc(VCPU_ALIGN, bytes);
    if (!v)
        return NULL;
    memset(v, 0, bytes);
    v->cfg = *cfg;
    if (v->cfg.model.signature == 0)
        cpu_model_default(&v->cfg.model);
    v->activity = link_vcpu_activity(cfg->link);
    v->until.tick = v->marks.tick = TICK_NEVER;
    devsites_clear(v);
    v->sample_next = cfg->observer.sample ? cfg->observer.sample_first : TICK_NEVER;
    v->digest_next = cfg->digest_every ? cfg->digest_every : TICK_NEVER;
    if (!mmu_init(v) || !tbcache_init(v) || !compiled_init(v) || !hotlist_init(v)) {
        hotlist_free(v);
        compiled_free(v);
        tbcache_free(v);
        mmu_free(v);
        free(v);
        return NULL;
    }
    state_reset(v);
    forget_everything(v);
    return v;
}

void vcpu_destroy(struct vcpu *v)
{
    if (!v)
        return;
    hotlist_free(v);
    compiled_free(v);
    tbcache_free(v);
    mmu_free(v);
    free(v);
}

/* --- from outside --- */

struct guest_state *vcpu_state(struct vcpu *v)
{
    return &v->g;
}

void vcpu_state_changed(struct vcpu *v)
{
    v->dr_active = v->g.dr[7] & DR7_ENABLES;
    tlb_flush(v);
    vcpu_update_mode(v);
}

uint32_t vcpu_exit_value(const struct vcpu *v)
{
    return v->exit_value;
}

void vcpu_set_log(struct vcpu *v, unsigned items)
{
    v->cfg.log_items = items;
}

void vcpu_get_stats(const struct vcpu *v, struct vcpu_stats *out)
{
    *out = v->stats;
    out->idle_ticks = v->idle_ticks;
    out->icount = vcpu_tick(v) - v->idle_ticks;
    compiled_get_stats(v, out);
}
