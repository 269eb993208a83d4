#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#define A_CODE   0xc09bu /* 32-bit, 4 KiB units, present, execute/read, accessed */
#define A_DATA   0xc093u
#define A_DPL(n) ((n) << 5)

static struct guest_state marked;

void fx_gdt(struct vcpu *v, uint16_t sel, uint32_t base, uint32_t limit, uint32_t access)
{
    uint32_t addr = FX_GDT + (sel & 0xfff8u);
    uint32_t raw = access & 0x8000 ? limit >> 12 : limit;
    fx_poke(v, addr, 4, base << 16 | (raw & 0xffff));
    fx_poke(v, addr + 4, 4,
            (base & 0xff000000) | (access & 0xf000) << 8 | (raw & 0xf0000) | (access & 0xff) << 8 |
                (base >> 16 & 0xff));
}

void fx_gate(struct vcpu *v, uint32_t addr, uint16_t sel, uint32_t offset, unsigned type, unsigned dpl,
             unsigned params)
{
    fx_poke(v, addr, 4, (uint32_t)sel << 16 | (offset & 0xffff));
    fx_poke(v, addr + 4, 4, (offset & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | params);
}

void fx_idt(struct vcpu *v, unsigned vector, uint16_t sel, uint32_t offset, unsigned type, unsigned dpl)
{
    fx_gate(v, FX_IDT + vector * 8, sel, offset, type, dpl, 0);
}

uint32_t fx_handler(unsigned vector)
{
    return FX_HANDLER + vector * 16;
}

static void build_gdt(struct vcpu *v)
{
    fx_gdt(v, FX_KCODE, 0, UINT32_MAX, A_CODE);
    fx_gdt(v, FX_KDATA, 0, UINT32_MAX, A_DATA);
    fx_gdt(v, FX_UCODE, 0, UINT32_MAX, A_CODE | A_DPL(3));
    fx_gdt(v, FX_UDATA, 0, UINT32_MAX, A_DATA | A_DPL(3));
    fx_gdt(v, FX_TR, FX_TSS, 0x67, 0x8b);
    fx_gdt(v, FX_LDTSEL, FX_LDT, 0x1f, 0x82);
    fx_gdt(v, FX_CONFORMING, 0, UINT32_MAX, 0xc09f);
    fx_gdt(v, FX_CODE16, 0x30000, 0xffff, 0x009b);
    fx_gdt(v, FX_DATA16, 0x8000, 0xffff, 0x0093);
    fx_gate(v, FX_GDT + FX_CALLGATE, FX_KCODE, FX_HANDLER, SYS_CALL32, 3, 2);
    fx_gdt(v, FX_ABSENT, 0, UINT32_MAX, (A_DATA & ~0x80u) | A_DPL(3));
    fx_gdt(v, FX_DOWN, 0, 0xfff, 0x4097 | A_DPL(3));
    fx_gdt(v, FX_EXEC, 0, UINT32_MAX, 0xc099 | A_DPL(3));
    fx_gdt(v, FX_RODATA, 0, UINT32_MAX, 0xc091 | A_DPL(3));
    fx_gdt(v, FX_TR2, FX_TSS2, 0x67, 0x89);
    fx_gate(v, FX_GDT + FX_TASKGATE, FX_TR2, 0, SYS_TASK_GATE, 3, 0);
    fx_gdt(v, FX_CODE_ABSENT, 0, UINT32_MAX, A_CODE & ~0x80u);
    fx_gdt(v, FX_TR16, FX_TSS16, 0x2b, 0x81);
    fx_gate(v, FX_GDT + FX_CALLGATE16, FX_KCODE, 0x1234, SYS_CALL16, 3, 1);
    fx_gdt(v, FX_SMALL, FX_DATA, 0x1f, 0x4093);
    fx_gdt(v, FX_CODE1, 0, UINT32_MAX, A_CODE | A_DPL(1));
    fx_gdt(v, FX_DATA1, 0, UINT32_MAX, A_DATA | A_DPL(1));
    fx_gdt(v, FX_STACK_ABSENT, 0, UINT32_MAX, A_DATA & ~0x80u);
    fx_gate(v, FX_GDT + FX_GATE_ABSENT, FX_KCODE, FX_HANDLER, SYS_CALL32, 3, 0);
    fx_poke(v, FX_GDT + FX_GATE_ABSENT + 5, 1, 0x6c);
    fx_gdt(v, FX_CODE_SMALL, 0, 0xfff, 0x409b);
}

static void load_hidden(struct vcpu *v, struct segment *s, uint16_t sel)
{
    seg_set_hidden(s, sel, fx_peek(v, FX_GDT + (sel & 0xfff8u), 4),
                   fx_peek(v, FX_GDT + (sel & 0xfff8u) + 4, 4));
}

static void load_segments(struct vcpu *v, uint16_t code, uint16_t data)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        load_hidden(v, &v->g.seg[i], i == SEG_CS ? code : data);
}

static void build_tss(struct vcpu *v)
{
    fx_poke(v, FX_TSS + 4, 4, FX_STACK0);
    fx_poke(v, FX_TSS + 8, 4, FX_KDATA);
    fx_poke(v, FX_TSS + 12, 4, FX_STACK1);
    fx_poke(v, FX_TSS + 16, 4, FX_DATA1 | 1);
    fx_poke(v, FX_TSS + 0x1c, 4, v->g.cr3);
}

struct vcpu *fx_create(void)
{
    struct vcpu *v = fx_memory_create();
    struct guest_state *g = &v->g;
    build_gdt(v);
    build_tss(v);
    for (unsigned i = 0; i < 256; i++)
        fx_idt(v, i, FX_KCODE, fx_handler(i), SYS_INT32, 0);
    g->gdtr = (struct desc_table){FX_GDT, FX_END - 1};
    g->idtr = (struct desc_table){FX_IDT, 0x7ff};
    g->cr0 |= CR0_PE | CR0_ET;
    g->df = 1;
    g->dr[6] = DR6_FIXED;
    g->dr[7] = DR7_FIXED;
    load_segments(v, FX_KCODE, FX_KDATA);
    load_hidden(v, &g->tr, FX_TR);
    load_hidden(v, &g->ldtr, FX_LDTSEL);
    for (unsigned i = IR_EAX; i <= IR_EDI; i++)
        g->slot[i] = 0x11111111 * (i + 1);
    g->slot[IR_ESP] = FX_KSTACK;
    guest_set_arith_flags(g, 0);
    g->eip = FX_CODE;
    v->limit = 1000;
    g->budget = 900; /* tick 100 */
    v->cfg.shift = 3;
    cpu_model_default(&v->cfg.model);
    vcpu_set_cpl(v, 0);
    fx_mark(v);
    return v;
}

void fx_destroy(struct vcpu *v)
{
    fx_memory_destroy(v);
}

void fx_user(struct vcpu *v)
{
    load_segments(v, FX_UCODE, FX_UDATA);
    v->g.slot[IR_ESP] = FX_USTACK;
    vcpu_set_cpl(v, 3);
    fx_mark(v);
}

void fx_real(struct vcpu *v)
{
    struct guest_state *g = &v->g;
    g->cr0 &= ~(uint32_t)(CR0_PE | CR0_PG);
    tlb_flush(v);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g->seg[i] = (struct segment){.access = 0x93, .limit = 0xffff};
    g->seg[SEG_CS].sel = 0x3000;
    g->seg[SEG_CS].base = 0x30000;
    g->seg[SEG_SS].sel = 0x800;
    g->seg[SEG_SS].base = 0x8000;
    g->slot[IR_ESP] = 0x1000;
    g->eip = 0x123;
    g->idtr = (struct desc_table){0, 0x3ff};
    vcpu_set_cpl(v, 0);
    fx_mark(v);
}

void fx_tss2(struct vcpu *v)
{
    for (unsigned i = 0; i < 8; i++)
        fx_poke(v, FX_TSS2 + 0x28 + i * 4, 4, 0xa0a0a000 + i);
    fx_poke(v, FX_TSS2 + 0x1c, 4, v->g.cr3);
    fx_poke(v, FX_TSS2 + 0x20, 4, FX_CODE + 0x100);
    fx_poke(v, FX_TSS2 + 0x24, 4, FLAG_1 | FLAG_CF);
    fx_poke(v, FX_TSS2 + 0x38, 4, FX_STACK2);
    static const uint16_t sels[] = {FX_UDATA, FX_KCODE, FX_KDATA, FX_KDATA, 0, 0};
    for (unsigned i = 0; i < 6; i++)
        fx_poke(v, FX_TSS2 + 0x48 + i * 4, 4, sels[i]);
    fx_poke(v, FX_TSS2 + 0x60, 4, 0);
}

void fx_mark(struct vcpu *v)
{
    memcpy(&marked, &v->g, sizeof marked);
}

void fx_expect_fault(struct vcpu *v, enum helper_result result, unsigned vector, uint32_t error,
                     const char *what)
{
    cr_assert_eq(result, HELPER_FAULT, "%s: no fault", what);
    cr_assert(v->exc.pending, "%s: nothing recorded", what);
    cr_assert_eq(v->exc.vector, vector, "%s: vector %u, expected %u", what, v->exc.vector, vector);
    cr_assert_eq(v->exc.error, error, "%s: error %x, expected %x", what, v->exc.error, error);
    marked.cr2 = v->g.cr2; /* a page fault's address is the MMU's */
    memcpy(marked.slot + IR_T0, v->g.slot + IR_T0, sizeof marked.slot - IR_T0 * sizeof marked.slot[0]);
    cr_assert(memcmp(&marked, &v->g, sizeof marked) == 0, "%s: state changed", what);
    v->exc.pending = false;
}

void fx_expect_stack(struct vcpu *v, unsigned width, const uint32_t *want, unsigned count, const char *what)
{
    uint32_t esp = v->g.slot[IR_ESP];
    if (!(v->g.seg[SEG_SS].access & SEG_ACC_DB))
        esp &= 0xffff;
    for (unsigned i = 0; i < count; i++) {
        uint32_t got = fx_peek(v, v->g.seg[SEG_SS].base + esp + i * width, width);
        cr_assert_eq(got, want[i], "%s: stack slot %u is %x, expected %x", what, i, got, want[i]);
    }
}

struct ir_op fx_op(struct vcpu *v, unsigned size, uint32_t a, uint32_t b)
{
    v->g.slot[IR_T0] = a;
    v->g.slot[IR_T0 + 1] = b;
    return (struct ir_op){.op = IR_HELPER,
                          .size = (uint8_t)size,
                          .dst = IR_T0 + 2,
                          .a = IR_T0,
                          .b = IR_T0 + 1,
                          .imm2 = FX_NEXT};
}

/* No APIC here. */
void vcpu_apic_moved(struct vcpu *v)
{
}
