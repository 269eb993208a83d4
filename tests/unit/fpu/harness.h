/* harness.h - one x87 instruction, on the host's own unit and in vcpu/arch/fpu*.c, from the same state.
 *
 * States travel as the 108-byte image of FNSAVE (32-bit protected mode layout), which the host loads
 * with FRSTOR and the emulated side through the same fields. The vCPU around the code under test is a
 * fake: flat memory of MEM_BYTES at linear address 0 with a bound past which accesses fault.
 * Threads: one. */
#ifndef TANDEM_TESTS_FPU_HARNESS_H
#define TANDEM_TESTS_FPU_HARNESS_H

#include "vcpu/arch/fpu_internal.h"

enum form_class { LOADSTORE, ARITH, COMPARE, STACK, TRANSCENDENTAL, CONTROL, NOWAIT, ENV, ENV_NOWAIT };
enum operand {
    m32fp,
    m64fp,
    m80fp,
    m16int,
    m32int,
    m64int,
    m80bcd,
    m2byte,
    m14_28byte,
    m94_108byte,
    no_memory
};

struct form {
    uint8_t opcode, modrm, count; /* memory forms: modrm is reg << 3, count 1 */
    const char *name;
    enum operand operand;
    enum form_class class;
};
extern const struct form forms[];
extern const unsigned form_count;

#define IMAGE_BYTES 108
struct image {
    uint8_t b[IMAGE_BYTES];
};
enum { IMG_CW = 0, IMG_SW = 4, IMG_TAG = 8, IMG_IP = 12, IMG_REGS = 28 };
static inline uint16_t image_word(const struct image *m, unsigned at)
{
    return (uint16_t)(m->b[at] | m->b[at + 1] << 8);
}
static inline void image_set_word(struct image *m, unsigned at, uint16_t w)
{
    m->b[at] = (uint8_t)w;
    m->b[at + 1] = (uint8_t)(w >> 8);
}
struct f80 image_reg(const struct image *m, unsigned i);
void image_set_reg(struct image *m, unsigned i, struct f80 a);

struct machine {
    struct image image;
    uint8_t mem[128];
    uint32_t eflags; /* arithmetic flags only */
    uint32_t eax;
};

/* Executes in place. narrow: 16-bit operand size. Native: must not find a pending exception if it waits. */
void run_native(struct machine *m, uint8_t opcode, uint8_t modrm, bool narrow);
enum helper_result run_emulated(struct machine *m, uint8_t opcode, uint8_t modrm, bool narrow);
/* Does the host know the opcode? (memory forms: executed on zeros) */
bool native_exists(uint8_t opcode, uint8_t modrm);

/* --- the fake vCPU --- */
#define MEM_BYTES    0x4000
#define OPERAND_ADDR 0x1000
extern struct vcpu fake;
extern uint8_t fake_mem[MEM_BYTES];
extern uint32_t fake_fault_from; /* accesses that touch this address or later raise #PF */
void fake_reset(void);
/* Executes one form on the fake as it stands; memory operand at `addr`. */
enum helper_result fake_exec(uint8_t opcode, uint8_t modrm, uint32_t addr, bool narrow);
void image_to_state(const struct image *m, struct x87_state *x);
void state_to_image(const struct x87_state *x, struct image *m);

/* --- random values --- */
uint64_t rnd(void);
void rnd_seed(uint64_t seed);
struct f80 rnd_f80(void);
void rnd_operand(enum operand kind, uint8_t *mem);
/* A whole state; `pending` allows unmasked exception bits. */
void rnd_machine(struct machine *m, enum operand kind, bool pending);
void print_machine(const char *title, const struct machine *m);

#endif
