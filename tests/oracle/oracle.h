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

#include "vcpu/vcpu.h"

#define CODE_BASE     0x00600000u
#define CODE_BYTES    4096u
#define DATA_BASE     0x00400000u
#define DATA_PAGES    4u /* read-write, then ... */
#define RO_PAGES      1u /* ... read-only; unmapped around */
#define DATA_BYTES    ((DATA_PAGES + RO_PAGES) * 4096u)
#define CODE_START    (CODE_BASE + 1024u)
#define CASE_CODE_MAX 256u

struct fpu_image {    /* FNSAVE-like, in TOP-independent order as struct x87_state */
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

/* The real CPU (compatibility mode of this process). Where the kernel does not run 32-bit code, and with
 * form64 anyway, cases run in their 64-bit form (form64.h). native_init: false: this host cannot at all
 * (message on stderr). */
bool native_init(bool form64);
bool native_is_form64(void);
void native_run(const struct test_case *c, struct test_result *r);

/* Enters the case at in->eip with whatever memory holds now; r->data is not filled. Not in 64-bit form. */
void native_enter(const struct test_case *c, struct test_result *r);
enum {                       /* result->vector of cases that cannot be compared */
       NATIVE_NO_FORM = 254, /* the case has no 64-bit form, or went where 64-bit mode differs */
       NATIVE_STOPPED = 255  /* a system call, or no end in sight */
};

/* The emulator: one machine of 16 MiB. */
#define EMULATED_TABLES       0x00d40000u /* page directory, then the tables of its first 16 MiB */
#define EMULATED_TABLES_BYTES (5 * 4096u)
struct emulated;
struct emulated_config {
    bool single_tb;
    enum translator_mode mode;
    unsigned hot, threads; /* as in struct vcpu_config; 0: the default */
    size_t code_cache_bytes;
    uint64_t jitter;
    bool no_chain;
    enum long_blocks long_blocks;
    uint32_t long_blocks_seed;
    uint32_t pretend_differs; /* as in struct vcpu_config */
    uint64_t quantum_ticks;   /* the run is cut at least so often; 0: seldom */
    uint64_t ran_away_ticks;  /* a case that goes on for longer is stopped, roughly; 0: never */
};
/* NULL: no memory. */
struct emulated *emulated_create(const struct emulated_config *cfg);
void emulated_destroy(struct emulated *m);
void emulated_run(struct emulated *m, const struct test_case *c, struct test_result *r);
/* The steps of emulated_run: memory, then a run from `in`; false: it would not end, or not as cases do. */
const uint8_t *emulated_ram(const struct emulated *m);
void emulated_put(struct emulated *m, uint32_t phys_addr, const void *from, uint32_t bytes);
void emulated_map(struct emulated *m, uint32_t lin_addr, uint32_t phys_addr, uint32_t flags);
bool emulated_enter(struct emulated *m, const struct cpu_image *in, struct test_result *r);
/* The whole vCPU as it stands (vcpu_state_bytes): how many bytes. They fit into max. */
size_t emulated_state(struct emulated *m, uint8_t *out, size_t max);
uint64_t emulated_ticks(const struct emulated *m); /* that the last run took */
/* Is this one of the emulator's own supervisor pages, which the real CPU's side does not have? */
bool emulated_owns(uint32_t lin_addr);

#endif
