/* harness.c - see harness.h. The native side is a stub of machine code, one per call pattern, patched
 * with the opcode: load state, flags and EAX; the instruction; store them. */
#include "tests/unit/fpu/harness.h"
#include "clockcore/check.h"
#include "translator/cc.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>

const struct form forms[] = {
#define X87_MEM(opcode, reg, name, operand, access, class, ...) {opcode, reg << 3, 1, #name, operand, class},
#define X87_REG(opcode, modrm, count, name, operands, class, ...)                                            \
    {opcode, modrm, count, #name, no_memory, class},
#include "translator/insns_x87.def"
#undef X87_MEM
#undef X87_REG
};
const unsigned form_count = sizeof forms / sizeof forms[0];

/* --- images --- */

struct f80 image_reg(const struct image *m, unsigned i)
{
    struct f80 a = {0};
    memcpy(&a, m->b + IMG_REGS + 10 * i, 10);
    return a;
}

void image_set_reg(struct image *m, unsigned i, struct f80 a)
{
    memcpy(m->b + IMG_REGS + 10 * i, &a, 10);
}

void image_to_state(const struct image *m, struct x87_state *x)
{
    memset(x, 0, sizeof *x);
    x->cw = (image_word(m, IMG_CW) & 0x1f3f) | 0x40;
    x->sw = image_word(m, IMG_SW);
    uint16_t tags = image_word(m, IMG_TAG);
    for (unsigned i = 0; i < 8; i++) {
        x->empty |= (uint8_t)(((tags >> 2 * i & 3) == 3) << i);
        memcpy(x->r[((x->sw >> 11 & 7) + i) & 7], m->b + IMG_REGS + 10 * i, 10);
    }
    fpu_update_summary(x);
}

void state_to_image(const struct x87_state *x, struct image *m)
{
    struct x87_state saved = fake.g.x87;
    fake.g.x87 = *x;
    fpu_store_env(&fake, 0x2000, true, true);
    memcpy(m->b, fake_mem + 0x2000, IMAGE_BYTES);
    fake.g.x87 = saved;
}

/* --- native --- */

struct frame { /* what the stub addresses from RDI */
    struct image in;
    uint8_t pad[20];
    uint64_t rflags; /* 0x80 */
    uint64_t rax;    /* 0x88 */
    uint8_t pad2[0x70];
    uint8_t mem[128]; /* 0x100 */
    uint8_t pad3[128];
    struct image out; /* 0x200 */
};
_Static_assert(offsetof(struct frame, rflags) == 0x80 && offsetof(struct frame, mem) == 0x100 &&
                   offsetof(struct frame, out) == 0x200,
               "the displacements in stub_head and stub_tail");

static const uint8_t stub_head[] = {
    0xdd, 0x27,                               /* frstor [rdi] */
    0x48, 0x8d, 0xb7, 0x00, 0x01, 0x00, 0x00, /* lea rsi, [rdi + 0x100] */
    0x8b, 0x87, 0x88, 0x00, 0x00, 0x00,       /* mov eax, [rdi + 0x88] */
    0xff, 0xb7, 0x80, 0x00, 0x00, 0x00, 0x9d, /* push [rdi + 0x80]; popfq */
};
static const uint8_t stub_tail[] = {
    0x9c, 0x8f, 0x87, 0x80, 0x00, 0x00, 0x00, /* pushfq; pop [rdi + 0x80] */
    0x89, 0x87, 0x88, 0x00, 0x00, 0x00,       /* mov [rdi + 0x88], eax */
    0xdd, 0xb7, 0x00, 0x02, 0x00, 0x00,       /* fnsave [rdi + 0x200] */
    0xc3,
};

static uint8_t *stub_page(void)
{
    static uint8_t *page;
    if (!page) {
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(page != MAP_FAILED);
        memcpy(page, stub_head, sizeof stub_head);
    }
    return page;
}

static void call_stub(struct frame *f, uint8_t opcode, uint8_t modrm, bool narrow)
{
    static uint8_t *page;
    static unsigned last = ~0u;
    unsigned key = (unsigned)opcode << 9 | modrm << 1 | narrow;
    page = stub_page();
    if (key != last) { /* self-modifying code is slow */
        uint8_t *p = page + sizeof stub_head;
        if (narrow)
            *p++ = 0x66;
        *p++ = opcode;
        *p++ = modrm < 0xc0 ? modrm | 6 : modrm; /* [rsi] */
        memcpy(p, stub_tail, sizeof stub_tail);
        last = key;
    }
    void (*fn)(struct frame *);
    memcpy(&fn, &page, sizeof fn);
    fn(f);
}

void run_native(struct machine *m, uint8_t opcode, uint8_t modrm, bool narrow)
{
    struct frame f = {.in = m->image, .rflags = m->eflags | 0x202, .rax = m->eax};
    memcpy(f.mem, m->mem, sizeof f.mem);
    call_stub(&f, opcode, modrm, narrow);
    m->image = f.out;
    memcpy(m->mem, f.mem, sizeof f.mem);
    m->eflags = (uint32_t)f.rflags & FLAGS_ARITH;
    m->eax = (uint32_t)f.rax;
}

static sigjmp_buf on_sigill;
static void sigill(int sig)
{
    siglongjmp(on_sigill, sig);
}

bool native_exists(uint8_t opcode, uint8_t modrm)
{
    struct sigaction act = {.sa_handler = sigill}, old;
    struct frame f = {.rflags = 0x202};
    image_set_word(&f.in, IMG_CW, FCW_INIT);
    image_set_word(&f.in, IMG_TAG, 0xffff);
    sigaction(SIGILL, &act, &old);
    volatile bool exists = false;
    if (sigsetjmp(on_sigill, 1) == 0) {
        call_stub(&f, opcode, modrm, false);
        exists = true;
    }
    __asm__ volatile("fninit");
    sigaction(SIGILL, &old, NULL);
    return exists;
}

/* --- fake vCPU --- */

struct vcpu fake;
uint8_t fake_mem[MEM_BYTES];
uint32_t fake_fault_from;
static struct tb fake_tb;

void fake_reset(void)
{
    memset(&fake.g, 0, sizeof fake.g);
    memset(&fake.exc, 0, sizeof fake.exc);
    fake.g.mode = TB_MODE_FLAT | TB_MODE_PE;
    fake.g.cr0 = CR0_PE | CR0_NE;
    fake.g.seg[SEG_CS].sel = 0x23;
    fake.g.seg[SEG_DS].sel = 0x2b;
    /* MATCH fake_tb */
    static const int32_t offsets[] = {0, 7};
    fake_tb = (struct tb){.lin_addr = 0x4000, .cs_base = 0x1000, .insn_offset = offsets};
    fake.tb = &fake_tb;
    fake_fault_from = MEM_BYTES;
    fpu_init(&fake.g.x87);
    for (unsigned i = 0; i < TLB_ENTRIES; i++) /* no fast way */
        fake.tlb[0][TLB_DATA][i].tag_r = fake.tlb[0][TLB_DATA + 1][i].tag_r = TLB_NONE;
}

/* No pins here: set_ferr is NULL. */
void vcpu_intc_settled(struct vcpu *v)
{
}

enum helper_result vcpu_raise(struct vcpu *v, unsigned vector)
{
    v->exc = (struct pending_exc){.pending = true, .vector = (uint8_t)vector};
    return HELPER_FAULT;
}

static bool page_fault(struct vcpu *v, uint32_t lin_addr)
{
    v->g.cr2 = lin_addr < fake_fault_from ? fake_fault_from : lin_addr;
    vcpu_raise(v, EXC_PF);
    return false;
}

bool mem_read_parts(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value)
{
    if (lin_addr + bytes > fake_fault_from)
        return page_fault(v, lin_addr);
    *value = 0;
    memcpy(value, fake_mem + lin_addr, bytes);
    return true;
}

bool mem_probe_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    return lin_addr + bytes > fake_fault_from ? page_fault(v, lin_addr) : true;
}

bool mem_probe_write_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    return mem_probe_write(v, lin_addr, bytes, user);
}

bool mem_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t value)
{
    if (!mem_probe_write(v, lin_addr, bytes, user))
        return false;
    memcpy(fake_mem + lin_addr, &value, bytes);
    return true;
}

bool seg_linear(struct vcpu *v, unsigned seg, uint32_t offset, unsigned bytes, bool write, uint32_t *lin_addr)
{
    *lin_addr = v->g.seg[seg].base + offset;
    if (offset + bytes - 1 <= v->g.seg[seg].limit)
        return true;
    vcpu_raise(v, EXC_GP);
    return false;
}

enum helper_result fake_exec(uint8_t opcode, uint8_t modrm, uint32_t addr, bool narrow)
{
    struct ir_op op = {.op = IR_HELPER,
                       .a = IR_T0,
                       .b = IR_T0 + 1,
                       .aux = SEG_DS,
                       .size = narrow ? 1 : 2,
                       .insn = 1,
                       .imm2 = (opcode & 7u) << 8 | modrm};
    fake.g.slot[IR_T0] = addr;
    fake.g.slot[IR_T0 + 1] = addr - fake.g.seg[SEG_DS].base;
    return modrm < 0xc0 ? helper_X87_MEM(&fake, &op) : helper_X87_REG(&fake, &op);
}

enum helper_result run_emulated(struct machine *m, uint8_t opcode, uint8_t modrm, bool narrow)
{
    struct guest_state *g = &fake.g;
    image_to_state(&m->image, &g->x87);
    g->slot[IR_CC_OP] = CC_EFLAGS;
    g->slot[IR_CC_R] = m->eflags;
    g->slot[IR_EAX] = m->eax;
    memcpy(fake_mem + OPERAND_ADDR, m->mem, sizeof m->mem);
    enum helper_result result = fake_exec(opcode, modrm, OPERAND_ADDR, narrow);
    memcpy(m->mem, fake_mem + OPERAND_ADDR, sizeof m->mem);
    m->eflags = g->slot[IR_CC_R];
    m->eax = g->slot[IR_EAX];
    state_to_image(&g->x87, &m->image);
    return result;
}

/* --- random values --- */

static uint64_t rnd_state = 1;
void rnd_seed(uint64_t seed)
{
    rnd_state = seed * 2 + 1;
}

uint64_t rnd(void)
{
    rnd_state ^= rnd_state << 13; /* xorshift64* */
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned below(unsigned n)
{
    return (unsigned)(rnd() >> 33) % n;
}

/* Runs of ones and zeros, halfway cases of the three precisions, few bits, or noise. */
static uint64_t rnd_bits(void)
{
    static const uint8_t edges[] = {0, 1, 10, 11, 12, 31, 32, 39, 40, 41, 62, 63};
    uint64_t a = UINT64_C(1) << edges[below(sizeof edges)], b = UINT64_C(1) << below(64);
    switch (below(8)) {
    case 0:
        return a - 1;
    case 1:
        return a;
    case 2:
        return ~(a - 1);
    case 3:
        return a | b;
    case 4:
        return (a - 1) ^ (b - 1);
    case 5:
        return rnd() & ~(b - 1);
    default:
        return rnd();
    }
}

static unsigned rnd_exp(void)
{
    switch (below(10)) {
    case 0:
        return below(70);
    case 1:
        return 0x7ffe - below(70);
    case 2:
        return below(0x8000);
    case 3:
        return F80_BIAS - 1 + below(3);
    case 4:
        return F80_BIAS + 60 + below(8);
    case 5:
        return F80_BIAS - 1080 + below(90); /* around m64fp's smallest */
    case 6:
        return (below(2) ? F80_BIAS - 160 : F80_BIAS + 120) + below(40); /* m32fp's range */
    case 7:
        return F80_BIAS + 1020 + below(8);
    default:
        return F80_BIAS - 40 + below(80);
    }
}

struct f80 rnd_f80(void)
{
    unsigned sign = below(2), kind = below(24);
    switch (kind) {
    case 0:
        return f80_make(sign, 0, 0);
    case 1:
        return f80_make(sign, F80_EXP_MAX, F80_INTEGER);
    case 2:
        return f80_make(sign, F80_EXP_MAX, F80_INTEGER | F80_QUIET | rnd_bits());
    case 3:
        return f80_make(sign, F80_EXP_MAX, F80_INTEGER | (rnd_bits() & ~F80_QUIET) | below(2));
    case 4:
    case 5:
        return f80_make(sign, 0, rnd_bits()); /* denormals, pseudo-denormals */
    case 6:
        return f80_make(sign, below(4) ? rnd_exp() : F80_EXP_MAX, rnd_bits() & ~F80_INTEGER);
    case 7:
        return f80_make(sign, F80_BIAS + below(4), F80_INTEGER | UINT64_C(1) << (60 + below(4)));
    default:
        return f80_make(sign, rnd_exp() & F80_EXP_MAX, F80_INTEGER | rnd_bits());
    }
}

static uint64_t rnd_fp(unsigned exp_bits, unsigned fraction_bits)
{
    unsigned max = (1u << exp_bits) - 1;
    static const uint8_t weights[] = {0, 1, 2, 3, 3, 3, 3};
    unsigned kind = weights[below(sizeof weights)];
    uint64_t exp = kind == 0 ? 0 : kind == 1 ? max : kind == 2 ? below(max + 1) : max / 2 - 20 + below(40);
    uint64_t fraction = below(4) ? rnd_bits() & ((UINT64_C(1) << fraction_bits) - 1) : 0;
    return (uint64_t)below(2) << (exp_bits + fraction_bits) | exp << fraction_bits | fraction;
}

static uint64_t rnd_digits(void)
{
    uint64_t v = 0;
    for (int i = 0; i < 16; i++)
        v = v << 4 | below(10);
    return below(4) ? v >> 4 * below(17) % 64 : 0;
}

void rnd_operand(enum operand kind, uint8_t *mem)
{
    struct f80 a = rnd_f80();
    uint64_t v = rnd_bits();
    for (unsigned i = 0; i < 128; i += 8) {
        uint64_t noise = rnd();
        memcpy(mem + i, &noise, 8);
    }
    switch (kind) {
    case m32fp:
        v = rnd_fp(8, 23);
        break;
    case m64fp:
        v = rnd_fp(11, 52);
        break;
    case m80fp:
        memcpy(mem, &a, 10);
        return;
    case m80bcd:
        v = rnd_digits();
        mem[8] = (uint8_t)(below(10) << 4 | below(10));
        mem[9] = (uint8_t)rnd();
        break;
    default:
        break;
    }
    memcpy(mem, &v, 8);
}

static void rnd_environment(struct image *m, bool pending)
{
    uint16_t cw = (uint16_t)rnd(), sw = (uint16_t)rnd(), tags = (uint16_t)rnd();
    memset(m, 0, sizeof *m);
    if (below(2))
        cw |= FCW_EXC;
    sw &= (uint16_t) ~(FSW_ES | FSW_B);
    if (!pending)
        sw &= (uint16_t) ~(FSW_EXC & ~cw);
    else if (sw & ~cw & FSW_EXC)
        sw |= FSW_ES | FSW_B;
    for (unsigned i = 0; i < 16; i += 2) /* most registers are full */
        if (below(4) && (tags >> i & 3) == 3)
            tags &= (uint16_t) ~(3u << i);
    if (below(2)) { /* room for a push */
        unsigned st7 = ((sw >> 11) + 7) & 7;
        tags |= (uint16_t)(3u << 2 * st7);
    }
    image_set_word(m, IMG_CW, cw);
    image_set_word(m, IMG_SW, sw);
    image_set_word(m, IMG_TAG, tags);
}

/* A second operand that is related to the first: neighbours, equal magnitudes, same payloads. */
static struct f80 rnd_related(struct f80 a)
{
    struct f80 b = a;
    switch (below(5)) {
    case 0:
        b.sig ^= rnd_bits();
        break;
    case 1:
        b.sig += below(5) - 2u;
        break;
    case 2:
        b.se = (uint16_t)(b.se + below(130) - 65);
        break;
    case 3:
        b.se ^= 0x8000;
        break;
    default:
        break;
    }
    return b;
}

void rnd_machine(struct machine *m, enum operand kind, bool pending)
{
    rnd_environment(&m->image, pending);
    for (unsigned i = 0; i < 8; i++)
        image_set_reg(&m->image, i, rnd_f80());
    if (below(3) == 0)
        image_set_reg(&m->image, 1, rnd_related(image_reg(&m->image, 0)));
    rnd_operand(kind, m->mem);
    if (kind == m14_28byte || kind == m94_108byte) {
        struct image other;
        rnd_environment(&other, true);
        memcpy(m->mem, &other, 28);
    }
    m->eflags = (uint32_t)rnd() & FLAGS_ARITH;
    m->eax = (uint32_t)rnd();
}

void print_machine(const char *title, const struct machine *m)
{
    fprintf(stderr, "%s: cw %04x sw %04x tag %04x eflags %03x eax %08x mem ", title,
            image_word(&m->image, IMG_CW), image_word(&m->image, IMG_SW), image_word(&m->image, IMG_TAG),
            m->eflags, m->eax);
    for (unsigned i = 10; i-- > 0;)
        fprintf(stderr, "%02x", m->mem[i]);
    fprintf(stderr, "\n");
    for (unsigned i = 0; i < 8; i++) {
        struct f80 a = image_reg(&m->image, i);
        fprintf(stderr, "  st%u %04x %016llx", i, a.se, (unsigned long long)a.sig);
    }
    fprintf(stderr, "\n");
}
