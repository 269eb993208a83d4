/* vendor.c - see vendor.h: one function a row of vendor.def. Each returns false, and changes nothing, unless
 * the case has what the row is about and the real CPU's result shows the effect. */
#include "tests/oracle/vendor.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "tests/oracle/compare.h"
#include "tests/oracle/gen_sse.h"
#include "translator/sse.h"

enum {
    SW_IE = 1,
    SW_UE = 0x10,
    SW_SF = 0x40,
    SW_ES = 0x8080, /* ES and B */
    SW_C1 = 0x200,
    SW_CODES = 0x4500,
    SW_TOP = 0x3800,
    CW_STORE = 0x19, /* #I, #O, #U */
};

static bool is_row(const struct vendor_case *v, const char *mnemonic)
{
    return v->row && !strcmp(v->row->mnemonic, mnemonic);
}

static bool is_memory_fault(const struct test_result *r)
{
    return r->vector >= 12 && r->vector <= 14;
}

/* The case's instruction at eip; false: none. */
static bool insn_at(const struct test_case *c, uint32_t eip, struct insn *in)
{
    const uint32_t at = eip - c->in.eip;
    return at < c->code_bytes && decode_insn(c->code + at, CASE_CODE_MAX - at, true, in) == DECODE_OK;
}

static bool is_mmx_store(const struct insn *in)
{
    return in->mod != 3 && in->row && in->row->prefix == PFX_NP &&
           (in->opcode == 0xf7e || in->opcode == 0xf7f || in->opcode == 0xfe7);
}

/* FST, FSTP, FIST, FISTP, FISTTP, FBSTP: not the control words, nor loads with such digits. */
static bool is_x87_store(const struct insn *in)
{
    const bool is_wide = (in->opcode == 0xdb && in->reg == 7) || (in->opcode == 0xdf && in->reg >= 6);
    const bool truncates = in->opcode != 0xd9 && in->reg == 1;
    return in->mod != 3 && (in->opcode & ~6u) == 0xd9 &&
           (in->reg == 2 || in->reg == 3 || truncates || is_wide);
}

static bool is_rep_compare(const struct insn *in)
{
    return in->rep && in->row && (!strcmp(in->row->mnemonic, "CMPS") || !strcmp(in->row->mnemonic, "SCAS"));
}

static uint8_t *data_at(struct test_result *r, uint32_t lin_addr, uint32_t bytes)
{
    const uint32_t at = lin_addr - DATA_BASE;
    return at <= DATA_BYTES - bytes ? r->data + at : NULL;
}

static void copy_fault(struct test_result *e, const struct test_result *n)
{
    e->vector = n->vector, e->error = n->error & ~0x10u, e->cr2 = n->cr2;
}

/* --- the rows --- */

static bool vendor_push_selector(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    uint8_t *upper = data_at(e, v->c->in.gpr[4] - 2, 2);
    if (!is_row(v, "PUSH_SREG") || e->vector != 3 || !upper || !insn_at(v->c, v->c->in.eip, &in) ||
        in.opsize != 2)
        return false;
    memset(upper, 0, 2);
    return true;
}

static bool vendor_mmx_store_fault(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    if (!is_memory_fault(v->cpu) || !insn_at(v->c, v->cpu->out.eip, &in) || !is_mmx_store(&in))
        return false;
    e->out.fpu.sw &= (uint16_t)~SW_TOP;
    return true;
}

/* The emulator's state in front of the store is that of the case cut there. */
static bool vendor_blocked_store_fault(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    const uint32_t eip = v->cpu->out.eip;
    if (!is_memory_fault(v->cpu) || !insn_at(v->c, eip, &in) || !is_x87_store(&in) ||
        !(CW_STORE & ~v->cpu->out.fpu.cw)) /* a FLDCW may stand in front of it */
        return false;
    struct test_case cut = *v->c;
    cut.code_bytes = eip - v->c->in.eip;
    memset(cut.code + cut.code_bytes, 0xcc, sizeof cut.code - cut.code_bytes);
    emulated_run(v->machine, &cut, e);
    copy_fault(e, v->cpu);
    e->out.eip = eip;
    e->out.eflags |= FLAG_RF;
    return true;
}

static bool vendor_rep_compare_flags(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    if (!is_memory_fault(v->cpu) || !insn_at(v->c, v->cpu->out.eip, &in) || !is_rep_compare(&in))
        return false;
    e->out.eflags = (e->out.eflags & ~FLAGS_ARITH) | (v->cpu->out.eflags & FLAGS_ARITH);
    return true;
}

static bool vendor_cmps_operand(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    if (!is_memory_fault(v->cpu) || !is_memory_fault(e) || !insn_at(v->c, v->cpu->out.eip, &in) || !in.row ||
        strcmp(in.row->mnemonic, "CMPS") != 0)
        return false;
    copy_fault(e, v->cpu);
    return true;
}

static bool vendor_remainder_denormal(const struct vendor_case *v, struct test_result *e)
{
    const unsigned top = e->out.fpu.sw >> 11 & 7;
    uint8_t *r = e->out.fpu.r[top];
    uint64_t sig;
    memcpy(&sig, r, 8);
    if ((!is_row(v, "FPREM") && !is_row(v, "FPREM1")) || (v->c->in.fpu.cw & SW_UE) || (r[9] & 0x7f) || r[8] ||
        !sig || sig >> 63)
        return false;
    const unsigned shift = (unsigned)__builtin_clzll(sig), exp = 1 + 24576 - shift;
    sig <<= shift;
    memcpy(r, &sig, 8);
    r[8] = (uint8_t)exp, r[9] = (uint8_t)((r[9] & 0x80) | exp >> 8);
    e->out.fpu.sw |= SW_UE | SW_ES;
    return true;
}

/* The operand's last two bytes lie on the page that faults, or one of them does. What FBSTP writes is taken
 * from the real CPU; whole stores check the value. */
static bool vendor_split_store_80(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    if (v->cpu->vector != 14 || !insn_at(v->c, v->cpu->out.eip, &in) || in.mod == 3 ||
        !((in.opcode == 0xdb && in.reg == 7) || (in.opcode == 0xdf && in.reg == 6)))
        return false;
    const uint32_t page = v->cpu->cr2 & ~4095u;
    uint8_t *before = data_at(e, page - 9, 9);
    if (!before)
        return false;
    const uint8_t *cpu = v->cpu->data + (before - e->data);
    const unsigned shift = *before == *cpu; /* the operand begins 8 or 9 bytes before the page's end */
    if (in.opcode == 0xdb && memcmp(cpu + shift, e->out.fpu.r[e->out.fpu.sw >> 11 & 7], 8) != 0)
        return false;
    memcpy(before + shift, cpu + shift, 8);
    return true;
}

static bool vendor_compare_c1(const struct vendor_case *v, struct test_result *e)
{
    if (!v->row || !v->row->x87_compare || !strstr(v->row->mnemonic, "COMI") ||
        ((e->out.fpu.sw & SW_SF) && (e->out.fpu.sw & SW_IE) && !(v->c->in.fpu.sw & SW_SF)))
        return false;
    e->out.fpu.sw = (uint16_t)((e->out.fpu.sw & ~SW_C1) | (v->c->in.fpu.sw & SW_C1));
    return true;
}

static bool is_unmasked_comparison(const struct vendor_case *v)
{
    return v->row && v->row->x87_compare && (v->cpu->out.fpu.sw & SW_IE) && !(v->cpu->out.fpu.cw & SW_IE);
}

static void set_codes(struct test_result *e, const struct vendor_case *v, uint16_t codes, uint32_t flags)
{
    if (strstr(v->row->mnemonic, "COMI"))
        e->out.eflags = (e->out.eflags & ~FLAGS_ARITH) | flags;
    else
        e->out.fpu.sw = (uint16_t)((e->out.fpu.sw & ~SW_CODES) | codes);
}

static bool vendor_compare_unmasked(const struct vendor_case *v, struct test_result *e)
{
    if (!is_unmasked_comparison(v))
        return false;
    set_codes(e, v, SW_CODES, FLAG_ZF | FLAG_PF | FLAG_CF);
    return true;
}

static bool vendor_compare_unmasked_any(const struct vendor_case *v, struct test_result *e)
{
    if (!is_unmasked_comparison(v))
        return false;
    set_codes(e, v, v->cpu->out.fpu.sw & SW_CODES, v->cpu->out.eflags & FLAGS_ARITH);
    return true;
}

/* As if the x87 had nothing pending; its state stays. */
static bool vendor_cvtpi2ps_memory(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    if (!is_row(v, "CVTPI2PS") || !insn_at(v->c, v->c->in.eip, &in) || in.mod == 3)
        return false;
    struct test_case calm = *v->c;
    calm.in.fpu.sw &= (uint16_t) ~(SW_ES | 0x7f);
    emulated_run(v->machine, &calm, e);
    e->out.fpu = v->c->in.fpu;
    return true;
}

static bool vendor_mxcsr_mask_mm(const struct vendor_case *v, struct test_result *e)
{
    uint8_t *mask = v->u->mxcsr_mask ? data_at(e, v->u->mxcsr_mask, 4) : NULL;
    if (e->vector != 3 || !mask)
        return false;
    mask[2] |= 2;
    return true;
}

static bool is_image(const struct vendor_case *v)
{
    return is_row(v, "FXSAVE") || is_row(v, "FXRSTOR");
}

static bool vendor_image_fault(const struct vendor_case *v, struct test_result *e)
{
    if (!is_image(v) || v->cpu->vector != 14 || e->vector != 14 || v->cpu->cr2 - e->cr2 >= 512)
        return false;
    copy_fault(e, v->cpu);
    return true;
}

static bool vendor_image_alignment(const struct vendor_case *v, struct test_result *e)
{
    if (!is_image(v) || v->cpu->vector != 13 || e->vector != 12 || e->error)
        return false;
    e->vector = 13;
    return true;
}

static bool vendor_environment_fault(const struct vendor_case *v, struct test_result *e)
{
    if (!v->row || !v->row->x87_env || v->cpu->vector != 14 || e->vector != 14 ||
        v->cpu->cr2 >> 12 != e->cr2 >> 12 || v->cpu->cr2 - e->cr2 >= 108)
        return false;
    e->cr2 = v->cpu->cr2;
    return true;
}

static bool vendor_sysexit(const struct vendor_case *v, struct test_result *e)
{
    if (!is_row(v, "SYSEXIT") || v->cpu->vector != 6 || e->vector != 13)
        return false;
    e->vector = 6;
    return true;
}

static bool wraps(const struct test_result *segment, const struct test_result *page, uint32_t bytes)
{
    return (segment->vector == 13 || segment->vector == 12) && segment->error == 0 && page->vector == 14 &&
           (page->cr2 >= 0u - bytes || page->cr2 < bytes);
}

static bool vendor_wrap(const struct vendor_case *v, struct test_result *e)
{
    const uint32_t bytes = is_image(v) ? 512 : 32;
    if (!wraps(v->cpu, e, bytes) && !wraps(e, v->cpu, bytes))
        return false;
    copy_fault(e, v->cpu);
    return true;
}

static uint32_t load(const uint8_t *data, uint32_t lin_addr, uint32_t bytes)
{
    uint32_t v = 0;
    if (lin_addr - DATA_BASE <= DATA_BYTES - bytes)
        memcpy(&v, data + (lin_addr - DATA_BASE), bytes);
    return v;
}

/* What the instruction pushes in slot n, from the top, of `bytes` bytes: SDM 2A ENTER, 2B PUSHA. The slots
 * above it, which ENTER may read, are in `e`. */
static uint32_t pushed(const struct vendor_case *v, const struct test_result *e, const struct insn *in,
                       unsigned n, uint32_t bytes)
{
    const uint32_t *gpr = v->c->in.gpr;
    if (is_row(v, "PUSHA"))
        return gpr[n];
    if (n == 0)
        return gpr[5];
    return n == (in->imm2 & 31) ? gpr[4] - bytes : load(e->data, gpr[5] - bytes * n, bytes);
}

/* Bytes that the real CPU has written: those that are what the instruction pushes there. */
static bool write_slot(const struct vendor_case *v, struct test_result *e, uint32_t lin_addr, uint32_t value,
                       uint32_t bytes)
{
    bool any = false;
    for (uint32_t i = 0; i < bytes; i++) {
        uint8_t *byte = data_at(e, lin_addr + i, 1);
        const uint8_t written = (uint8_t)(value >> 8 * i);
        if (!byte || *byte == written || v->cpu->data[byte - e->data] != written)
            continue;
        *byte = written;
        any = true;
    }
    return any;
}

static bool vendor_enter_frame(const struct vendor_case *v, struct test_result *e)
{
    struct insn in;
    if ((!is_row(v, "ENTER") && !is_row(v, "PUSHA")) || v->cpu->vector == 3 ||
        !insn_at(v->c, v->c->in.eip, &in))
        return false;
    const uint32_t bytes = in.opsize == 1 ? 2 : 4, slots = is_row(v, "PUSHA") ? 8 : 1 + (in.imm2 & 31);
    bool any = false;
    for (uint32_t n = 0; n < slots; n++)
        any |= write_slot(v, e, v->c->in.gpr[4] - bytes * (n + 1), pushed(v, e, &in, n, bytes), bytes);
    return any;
}

/* --- the table --- */

static const struct {
    const char *name, *effect;
    enum vendor vendors;
    bool (*apply)(const struct vendor_case *v, struct test_result *e);
} differences[VENDOR_DIFFERENCES] = {
#define DIFFERENCE(name, vendors, effect, source) {#name, effect, VENDOR_##vendors, vendor_##name},
#include "tests/oracle/vendor.def"
#undef DIFFERENCE
};

bool vendor_explains(enum vendor vendor, const struct vendor_case *v, const struct test_result *emulated,
                     struct vendor_counts *counts)
{
    static struct test_result e;
    bool applied[VENDOR_DIFFERENCES] = {false};
    e = *emulated;
    for (unsigned i = 0; i < VENDOR_DIFFERENCES; i++) {
        if (!(differences[i].vendors & vendor))
            continue;
        applied[i] = differences[i].apply(v, &e);
        if (!applied[i] || compare_results(v->cpu, &e, v->u, false) != 0)
            continue;
        for (unsigned j = 0; j <= i; j++)
            counts->explained[j] += applied[j];
        return true;
    }
    return false;
}

bool vendor_adjust_end(enum vendor vendor, const uint8_t *insn, const struct test_result *cpu,
                       struct test_result *e)
{
    struct insn in;
    if (!is_memory_fault(cpu) || decode_insn(insn, INSN_BYTES_MAX, true, &in) != DECODE_OK)
        return false;
    if ((vendor & VENDOR_INTEL) && is_mmx_store(&in)) {
        e->out.fpu.sw &= (uint16_t)~SW_TOP;
        return true;
    }
    if ((vendor & VENDOR_AMD) && is_rep_compare(&in)) {
        e->out.eflags = (e->out.eflags & ~FLAGS_ARITH) | (cpu->out.eflags & FLAGS_ARITH);
        copy_fault(e, cpu);
        return true;
    }
    if ((vendor & VENDOR_AMD) && is_memory_fault(e) && in.row && !strcmp(in.row->mnemonic, "CMPS")) {
        copy_fault(e, cpu);
        return true;
    }
    return false;
}

bool vendor_store_may_differ(enum vendor vendor, const uint8_t *insn, const struct test_result *cpu)
{
    struct insn in;
    return (vendor & VENDOR_AMD) && is_memory_fault(cpu) && (CW_STORE & ~cpu->out.fpu.cw) &&
           decode_insn(insn, INSN_BYTES_MAX, true, &in) == DECODE_OK && is_x87_store(&in);
}

void vendor_print(const struct vendor_counts *counts)
{
    for (unsigned i = 0; i < VENDOR_DIFFERENCES; i++)
        if (counts->explained[i])
            printf("vendor difference %-22s %8lu  %s\n", differences[i].name, counts->explained[i],
                   differences[i].effect);
}

enum vendor vendor_of_host(char name[49])
{
    unsigned a, b = 0, c, d, words[12] = {0};
    if (__get_cpuid(0x80000004, &a, &b, &c, &d))
        for (unsigned i = 0; i < 3; i++)
            __get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                        &words[4 * i + 3]);
    memcpy(name, words, 48);
    name[48] = 0;
    __get_cpuid(0, &a, &b, &c, &d);
    return b == signature_INTEL_ebx ? VENDOR_INTEL : b == signature_AMD_ebx ? VENDOR_AMD : VENDOR_ANY;
}
