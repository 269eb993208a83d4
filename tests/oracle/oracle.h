/* oracle.h - one instruction (or a short sequence) run on the real CPU and in the emulator.
 *
 * Both sides see the same linear addresses: a code page, data pages (the last one read-only), nothing
 * else below 4 GiB. A case starts with all registers given and ends with an exception: INT3 behind
 * the instructions when nothing faulted earlier. What is compared: vector, error code, CR2, eip, GPRs,
 * defined flags, the data pages, the x87, MMX and SSE state.
 * Threads: one. */
#ifndef TANDEM_TESTS_ORACLE_H
#define TANDEM_TESTS_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define CODE_BASE 0x00600000u
#define CODE_BYTES 4096u
#define DATA_BASE 0x00400000u
#define DATA_PAGES 4u              /* read-write, then ... */
#define RO_PAGES 1u                /* ... read-only; unmapped around */
#define DATA_BYTES ((DATA_PAGES + RO_PAGES) * 4096u)
#define CODE_START (CODE_BASE + 1024u)
#define CASE_CODE_MAX 256u

struct fpu_image { /* FNSAVE-like, in TOP-independent order as struct x87_state */
    uint8_t r[8][10]; /* physical registers */
    uint16_t cw, sw;
    uint8_t empty;
};

struct sse_image {
    uint8_t xmm[8][16];
    uint32_t mxcsr;
};

struct cpu_image {
    uint32_t gpr[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
    uint32_t eip, eflags;
    struct fpu_image fpu; /* the MMX registers too */
    struct sse_image sse;
};

struct test_case {
    struct cpu_image in;
    uint8_t code[CASE_CODE_MAX]; /* INT3 behind `code_bytes` is added by both sides */
    unsigned code_bytes;
    uint8_t data[DATA_BYTES];
};

struct test_result {
    struct cpu_image out;
    unsigned vector;
    uint32_t error, cr2;
    uint8_t data[DATA_BYTES];
    bool fetch_fault; /* #PF on an instruction fetch (NX hosts only say so) */
};

/* The real CPU (compatibility mode of this process). native_init: false: this host cannot (message on stderr). */
bool native_init(void);
void native_run(const struct test_case *c, struct test_result *r);

/* The emulator. */
bool emulated_init(bool single_tb, bool compiled);
void emulated_run(const struct test_case *c, struct test_result *r);
void emulated_end(void);
/* Is this one of the emulator's own supervisor pages, which the real CPU's side does not have? */
bool emulated_owns(uint32_t lin_addr);

#endif
