/* probe.h - the host's CPU, asked once whether it does what compiled code takes from it (probe.def).
 *
 * A probe runs instructions as blocks have them and compares with the expected answer. Where the host answers
 * otherwise, the instructions that the row guards are called in C (fpu.c, sse.c): slower, with the same
 * result. Threads: while no block is being compiled. */
#ifndef TANDEM_TRANSLATOR_X64_PROBE_H
#define TANDEM_TRANSLATOR_X64_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum x64_probe {
#define PROBE(name, ...) PROBE_##name,
#include "translator/x64/probe.def"
#undef PROBE
    X64_PROBES
};

/* What of the host differs. All zero: it is as expected, or was not asked. */
struct x64_host {
    uint32_t differs;         /* bit: enum x64_probe */
    uint64_t x87_mem_in_c;    /* memory forms in C: bit (opcode & 7) * 8 + ModRM.reg */
    uint64_t x87_reg_in_c[8]; /* register forms in C, by opcode & 7: bit ModRM & 63 */
    uint8_t sse_in_c;         /* SSE_IS_*: rows of one of these classes are in C */
};

struct x64;
/* Fills x->host. `pretend`: probes (bits) that count as answered otherwise, for tests. */
void x64_probe(struct x64 *x, uint32_t pretend);

#endif
