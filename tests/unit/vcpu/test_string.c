/* string.c: repeated string instructions against a model that does one element at a time. */
#include "tests/unit/vcpu/harness.h"
#include "translator/cc.h"

#include <criterion/criterion.h>
#include <string.h>

#define DATA       0x100000u
#define DATA_BYTES 0x4000u

static struct harness h;

struct string_case {
    uint8_t prefix, opcode; /* opcode of the byte form */
    unsigned size;          /* 0, 1, 2 */
    bool down, repeat;
    uint32_t esi, edi, ecx, eax;
};

/* Flags as they can be compared: CF PF AF ZF SF OF. */
struct model {
    uint8_t mem[DATA_BYTES];
    uint32_t esi, edi, ecx, eax;
    uint32_t a, b;
    bool compared;
    uint64_t ticks;
};

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static uint32_t model_load(const struct model *m, uint32_t at, unsigned bytes)
{
    uint32_t value = 0;
    memcpy(&value, m->mem + (at - DATA), bytes);
    return value;
}

static void model_element(struct model *m, const struct string_case *c)
{
    unsigned bytes = 1u << c->size;
    uint32_t step = c->down ? 0u - bytes : bytes, mask = 0xffffffffu >> (32 - 8 * bytes);
    bool uses_esi = c->opcode == 0xa4 || c->opcode == 0xa6 || c->opcode == 0xac;
    bool uses_edi = c->opcode != 0xac;
    uint32_t source = uses_esi ? model_load(m, m->esi, bytes) : m->eax & mask;
    switch (c->opcode) {
    case 0xa4:
    case 0xaa:
        memcpy(m->mem + (m->edi - DATA), &source, bytes);
        break;
    case 0xac:
        m->eax = (m->eax & ~mask) | source;
        break;
    default:
        m->a = source;
        m->b = model_load(m, m->edi, bytes);
        m->compared = true;
    }
    m->esi += uses_esi ? step : 0;
    m->edi += uses_edi ? step : 0;
}

static void model_run(struct model *m, const struct string_case *c)
{
    m->ticks = 1;
    if (!c->repeat) {
        model_element(m, c);
        return;
    }
    for (uint64_t n = 0; m->ecx; n++) {
        m->ticks = n + 1;
        model_element(m, c);
        m->ecx--;
        if (m->compared && (m->a == m->b) != (c->prefix == 0xf3))
            break;
    }
}

/* Zero, what other elements hold, one byte over and over, four different ones: fills differ. */
static uint32_t draw_accumulator(void)
{
    switch (draw(8)) {
    case 0:
        return draw(0x10000) * 0x10001u;
    case 1:
        return draw(0x100) * 0x01010101u;
    case 2:
        return draw(0x10000) << 16 | draw(0x10000);
    default:
        return 0;
    }
}

static struct string_case draw_case(void)
{
    static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
    struct string_case c = {
        .opcode = opcodes[draw(5)], .size = draw(3), .down = draw(2), .repeat = draw(8) != 0};
    c.prefix = draw(2) ? 0xf3 : 0xf2;
    c.ecx = draw(4) ? draw(1500) : draw(4);
    uint32_t room = c.ecx * 4 + 8;
    c.esi = DATA + (c.down ? room : 0) + draw(DATA_BYTES - 2 * room > 0x3000 ? DATA_BYTES - room - 8 : 64);
    c.edi = draw(2) ? c.esi + draw(16) - 8 : DATA + (c.down ? room : 0) + draw(64);
    uint32_t low = DATA + (c.down ? room : 8), high = DATA + DATA_BYTES - (c.down ? 8 : room);
    c.esi = c.esi < low ? low : c.esi > high ? high : c.esi;
    c.edi = c.edi < low ? low : c.edi > high ? high : c.edi;
    c.eax = draw_accumulator();
    return c;
}

static size_t encode(const struct string_case *c, uint8_t *code)
{
    size_t n = 0;
    if (c->size == 1)
        code[n++] = 0x66;
    if (c->repeat)
        code[n++] = c->prefix;
    code[n++] = c->opcode + (c->size > 0);
    return n;
}

static void fill(uint8_t *mem)
{
    bool sparse = draw(2);
    for (unsigned i = 0; i < DATA_BYTES; i++)
        mem[i] = sparse ? (draw(600) == 0) : (uint8_t)draw(256);
}

static void load_case(const struct string_case *c, const uint8_t *mem)
{
    struct guest_state *g = vcpu_state(h.cpu);
    uint8_t code[4];
    size_t n = encode(c, code);
    code[n++] = 0xf4;
    harness_load32(&h, code, code + n);
    harness_put(&h, DATA, mem, DATA_BYTES);
    vcpu_take_changes(h.cpu);
    g->slot[IR_ESI] = c->esi;
    g->slot[IR_EDI] = c->edi;
    g->slot[IR_ECX] = c->ecx;
    g->slot[IR_EAX] = c->eax;
    g->df = c->down ? -1 : 1;
}

static void check_case(const struct model *m, const struct string_case *c, uint64_t ticks, unsigned number)
{
    const struct guest_state *g = vcpu_state(h.cpu);
    cr_assert_eq(g->slot[IR_ESI], m->esi, "case %u opcode %x", number, c->opcode);
    cr_assert_eq(g->slot[IR_EDI], m->edi, "case %u opcode %x", number, c->opcode);
    cr_assert_eq(g->slot[IR_ECX], m->ecx, "case %u opcode %x", number, c->opcode);
    cr_assert_eq(g->slot[IR_EAX], m->eax, "case %u opcode %x", number, c->opcode);
    cr_assert_eq(ticks, m->ticks + 1, "case %u opcode %x: %lu ticks", number, c->opcode,
                 (unsigned long)ticks);
    cr_assert_eq(memcmp(h.mem.host + DATA, m->mem, DATA_BYTES), 0, "case %u opcode %x", number, c->opcode);
    if (m->compared) {
        uint32_t mask = 0xffffffffu >> (32 - (8u << c->size));
        uint32_t flags = cc_flags(CC_OP(CC_KIND_SUB, c->size), m->a, m->b, (m->a - m->b) & mask);
        cr_assert_eq(guest_eflags(g) & FLAGS_ARITH, flags, "case %u", number);
    }
}

static void run_cases(const struct harness_options *o, unsigned cases)
{
    static struct model m;
    harness_init(&h, o);
    for (unsigned i = 0; i < cases; i++) {
        struct string_case c = draw_case();
        memset(&m, 0, sizeof m);
        fill(m.mem);
        m.esi = c.esi, m.edi = c.edi, m.ecx = c.ecx, m.eax = c.eax;
        load_case(&c, m.mem);
        uint64_t before = vcpu_tick(h.cpu);
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
        model_run(&m, &c);
        check_case(&m, &c, vcpu_tick(h.cpu) - before, i);
    }
    harness_free(&h);
}

Test(string, agrees_with_one_element_at_a_time)
{
    run_cases(&(struct harness_options){0}, 3000);
}

Test(string, agrees_in_compiled_code)
{
    run_cases(&(struct harness_options){.translator = TRANSLATOR_EAGER}, 3000);
    run_cases(&(struct harness_options){.translator = TRANSLATOR_EAGER, .quantum_ticks = 37}, 1500);
}

Test(string, agrees_when_cut_into_short_quanta)
{
    run_cases(&(struct harness_options){.quantum_ticks = 37}, 1500);
}

GUEST_CODE(copy, "rep movsl\n hlt\n");

Test(string, fault_in_the_middle_is_exact)
{
    harness_init(&h, &(struct harness_options){0});
    HARNESS_LOAD(&h, copy);
    harness_tables(&h);
    harness_paging(&h, 3);
    harness_poke32(&h, harness_pte(0x102000), 0);
    harness_gate(&h, EXC_PF, HARNESS_CODE + (uint32_t)(copy_end - copy) - 1, 0); /* the HLT */
    struct guest_state *g = vcpu_state(h.cpu);
    g->slot[IR_ESI] = 0x100000;
    g->slot[IR_EDI] = 0x101002;
    g->slot[IR_ECX] = 2000;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    /* The element at 0x101ffe would cross into the missing page. */
    cr_assert_eq(g->slot[IR_EDI], 0x101ffe);
    cr_assert_eq(g->slot[IR_ECX], 2000 - 1023);
    cr_assert_eq(g->slot[IR_ESI], 0x100000 + 1023 * 4);
    cr_assert_eq(g->cr2, 0x102000);
    cr_assert_eq(vcpu_tick(h.cpu), 1023 + 1);
    cr_assert_eq(harness_peek32(&h, 0x8000 - 12), HARNESS_CODE); /* pushed eip */
    harness_free(&h);
}

/* SDM 2B REP: a fault in a repeated comparison leaves EFLAGS as they were before the instruction; here also
 * where the run is cut between two iterations. */
GUEST_CODE(search, "stc\n repne scasb\n hlt\n");

static void faulting_search(uint64_t quantum_ticks)
{
    harness_init(&h, &(struct harness_options){.quantum_ticks = quantum_ticks});
    HARNESS_LOAD(&h, search);
    harness_tables(&h);
    harness_paging(&h, 3);
    harness_poke32(&h, harness_pte(0x102000), 0);
    harness_gate(&h, EXC_PF, HARNESS_CODE + (uint32_t)(search_end - search) - 1, 0);
    struct guest_state *g = vcpu_state(h.cpu);
    g->slot[IR_EAX] = 0xff; /* memory is 0: each comparison sets neither CF nor ZF */
    g->slot[IR_EDI] = 0x101000;
    g->slot[IR_ECX] = 5000;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_assert_eq(g->slot[IR_ECX], 5000 - 4096);
    cr_assert_eq(harness_peek32(&h, 0x8000 - 4) & (FLAG_CF | FLAG_ZF | FLAG_SF), FLAG_CF); /* pushed EFLAGS */
    harness_free(&h);
}

Test(string, a_fault_restores_the_flags)
{
    faulting_search(0);
    faulting_search(7);
}

/* Where both operands of CMPS fault, the one at ES:EDI is reported. */
GUEST_CODE(compare_both, "cmpsl\n hlt\n");
GUEST_CODE(repeat_both, "repe cmpsl\n hlt\n");

static void compare_absent(const uint8_t *code, const uint8_t *end)
{
    harness_init(&h, &(struct harness_options){0});
    harness_load32(&h, code, end);
    harness_tables(&h);
    harness_paging(&h, 3);
    harness_poke32(&h, harness_pte(0x102000), 0);
    harness_poke32(&h, harness_pte(0x103000), 0);
    harness_gate(&h, EXC_PF, HARNESS_CODE + (uint32_t)(end - code) - 1, 0);
    struct guest_state *g = vcpu_state(h.cpu);
    g->slot[IR_ESI] = 0x102000, g->slot[IR_EDI] = 0x103000, g->slot[IR_ECX] = 1;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_assert_eq(g->cr2, 0x103000);
    harness_free(&h);
}

Test(string, cmps_reports_its_destination)
{
    compare_absent(compare_both, compare_both_end);
    compare_absent(repeat_both, repeat_both_end);
}

/* Real mode: SI and DI wrap at 64 KiB, the upper halves of the registers stay. */
GUEST_CODE16(wrap, "cld\n rep movsb\n hlt\n");

Test(string, sixteen_bit_offsets_wrap)
{
    harness_init(&h, &(struct harness_options){0});
    HARNESS_LOAD16(&h, wrap);
    struct guest_state *g = vcpu_state(h.cpu);
    g->seg[SEG_DS].base = 0x20000;
    g->seg[SEG_ES].base = 0x40000;
    g->slot[IR_ESI] = 0x1234fff0;
    g->slot[IR_EDI] = 0xabcd0010;
    g->slot[IR_ECX] = 0x77770020;
    harness_put(&h, 0x2fff0, "0123456789abcdef", 16);
    harness_put(&h, 0x20000, "ghijklmnopqrstuv", 16);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_assert_eq(memcmp(h.mem.host + 0x40010, "0123456789abcdefghijklmnopqrstuv", 32), 0);
    cr_assert_eq(g->slot[IR_ESI], 0x12340010);
    cr_assert_eq(g->slot[IR_EDI], 0xabcd0030);
    cr_assert_eq(g->slot[IR_ECX], 0x77770000);
    harness_free(&h);
}

/* Limits: the element that passes the segment's end faults, those before it are done. */
GUEST_CODE(store, "rep stosl\n hlt\n");

Test(string, segment_limit_faults_exactly)
{
    harness_init(&h, &(struct harness_options){0});
    HARNESS_LOAD(&h, store);
    harness_tables(&h);
    harness_gate(&h, EXC_GP, HARNESS_CODE + (uint32_t)(store_end - store) - 1, 0);
    struct guest_state *g = vcpu_state(h.cpu);
    g->seg[SEG_ES].base = 0x100000;
    g->seg[SEG_ES].limit = 0x102;
    vcpu_state_changed(h.cpu);
    g->slot[IR_EAX] = 0x5a5a5a5a;
    g->slot[IR_ECX] = 100;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_assert_eq(g->slot[IR_EDI], 0x100);
    cr_assert_eq(g->slot[IR_ECX], 100 - 64);
    cr_assert_eq(harness_peek32(&h, 0x1000fc), 0x5a5a5a5a);
    cr_assert_eq(harness_peek32(&h, 0x100100), 0);
    harness_free(&h);
}

/* The CPU checks the port before it looks at ECX. */
GUEST_CODE(no_iterations, "rep insb\n hlt\n");

Test(string, port_permission_without_iterations)
{
    harness_init(&h, &(struct harness_options){0});
    HARNESS_LOAD(&h, no_iterations);
    harness_tables(&h);
    harness_gate(&h, EXC_GP, HARNESS_CODE + (uint32_t)(no_iterations_end - no_iterations) - 1, 0);
    struct guest_state *g = vcpu_state(h.cpu);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g->seg[i] = (struct segment){.sel = 0x2b, .access = 0xc0f3, .limit = UINT32_MAX};
    g->seg[SEG_CS] = (struct segment){.sel = 0x23, .access = 0xc0fb, .limit = UINT32_MAX};
    harness_poke32(&h, 0x1164, 0xffff0000); /* no permission map in the TSS */
    g->cpl = 3;
    vcpu_state_changed(h.cpu);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_assert_eq(harness_peek32(&h, 0x7000 - 24), 0);            /* error code */
    cr_assert_eq(harness_peek32(&h, 0x7000 - 20), HARNESS_CODE); /* eip */
    harness_free(&h);
}
