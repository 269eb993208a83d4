/* bench_mode16.c - the same loops in 32-bit flat code and in the 16-bit modes: mode=0 flat, 1 real, 2 16-bit
 * protected, 3 virtual-8086; loop=0 all, 1 moves and arithmetic, 2 calls, 3 segment loads, 4 far calls;
 * passes=N times 60000 rounds. */
#include "mode16.h"

#define ROUNDS "60000"
/* Instructions with registers of either width. */
#define LOOPS(NAME, A, B, C, D, SI, DI, BP, SP, FAR_CALL, OTHER)                                             \
    ".globl " NAME "_mix, " NAME "_calls, " NAME "_segments, " NAME "_far\n" NAME "_mix:\n"                  \
    "    mov $" ROUNDS ", " C "; mov $0x100, " B "; mov $3, " SI "\n"                                        \
    "1:  mov (" B "), " A "; add " SI ", " A "; mov " A ", 2(" B "); xor " D ", " A "; push " A "\n"         \
    "    add $4, " B "; and $0x3ff, " B "; pop " D "; test $1, %al; jz 2f; inc " D "\n"                      \
    "2:  dec " C "; jnz 1b; ret\n" NAME "_calls:\n"                                                          \
    "    mov $" ROUNDS ", " C "\n"                                                                           \
    "1:  push " C "; call 2f; pop " C "; dec " C "; jnz 1b; ret\n"                                           \
    "2:  push " BP "; mov " SP ", " BP "; mov 4(" BP "), " A "; add " A ", " D "; pop " BP "; ret\n" NAME    \
    "_segments:\n"                                                                                           \
    "    mov $" ROUNDS ", " C "; mov $0x200, " B "; mov " OTHER ", %ax\n"                                    \
    "1:  mov %ax, %es; mov %es:(" B "), %dx; push %ds; pop %es; add %es:(" B "), %dx\n"                      \
    "    dec " C "; jnz 1b; ret\n" NAME "_far:\n"                                                            \
    "    mov $" ROUNDS ", " C "\n"                                                                           \
    "1:  " FAR_CALL "; dec " C "; jnz 1b; ret\n"                                                             \
    "2:  add %ax, %dx; lret\n"

M16_BEGIN
LOOPS("w", "%ax", "%bx", "%cx", "%dx", "%si", "%di", "%bp", "%sp", "push %cs; call 2f", "$0x6000")
LOOPS("p", "%ax", "%bx", "%cx", "%dx", "%si", "%di", "%bp", "%sp", "push %cs; call 2f", "$0x38")
M16_END
__asm__(LOOPS("d", "%eax", "%ebx", "%ecx", "%edx", "%esi", "%edi", "%ebp", "%esp", "push %cs; call 2f",
              "$0x10"));

extern const uint8_t d_mix[], d_calls[], d_segments[], d_far[], w_mix[], w_calls[], w_segments[], w_far[],
    p_mix[], p_calls[], p_segments[], p_far[];
static const uint8_t *const loops[3][4] = {{d_mix, d_calls, d_segments, d_far},
                                           {w_mix, w_calls, w_segments, w_far},
                                           {p_mix, p_calls, p_segments, p_far}};

/* Flat code has its data at the same linear addresses that are free: 0 to 3ffh. */
static void run_flat(const void *function)
{
    __asm__ volatile("pushal\n\tpushl %%ebp\n\tcall *%0\n\tpopl %%ebp\n\tpopal" : : "a"(function) : "memory");
}

static bool run(unsigned mode, unsigned loop)
{
    if (mode == 0) {
        run_flat(loops[0][loop]);
        return true;
    }
    return m16_run((enum m16_mode)(mode - 1), loops[mode == 2 ? 2 : 1][loop]);
}

int guest_main(void)
{
    const unsigned mode = option("mode", 0), only = option("loop", 0);
    m16_setup();
    for (unsigned pass = option("passes", 20); pass; pass--)
        for (unsigned loop = 0; loop < 4; loop++)
            if (only == 0 || only == loop + 1)
                EXPECT(run(mode, loop));
    return 0;
}
