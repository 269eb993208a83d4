/* monitor.h - what the checks (16-bit code) and the monitor of virtual-8086 mode (32-bit code) both see: it
 * lies in memory. */
#ifndef TANDEM_TESTS_REALMODE_MONITOR_H
#define TANDEM_TESTS_REALMODE_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

enum {
    V86_VME = 1,
    V86_IOPL0 = 2,
    V86_GATE = 4
}; /* how the task runs: with CR4.VME; with IOPL 0; INT 13h by a gate of DPL 3 */

struct monitor {
    uint32_t options;       /* in: V86_... */
    uint32_t soft_ints;     /* out: INT n that came to the monitor as #GP */
    uint32_t gate_ints;     /* out: INT n that came through a gate of its own */
    uint32_t irqs;          /* out: hardware interrupts */
    uint32_t emulated;      /* out: other instructions that came as #GP: CLI, STI, PUSHF, POPF, IRET, HLT */
    uint32_t cr0_reads;     /* out: reads of CR0, by a BIOS that would go to protected mode */
    uint32_t bad_vector;    /* out: an exception that ended the task, + 1 */
    uint32_t bad_eip;       /* out: where it was */
    uint32_t bad_cs;        /* out: its segment */
    uint8_t bad_bytes[8];   /* out: its instruction */
    uint32_t expect_vector; /* in: an exception that the task raises on purpose, + 1; the monitor skips skip
                               bytes there */
    uint32_t expect_error;  /* out: its error code */
    uint32_t expect_count;  /* out: how often it came */
    uint32_t skip;          /* in */
};
extern struct monitor monitor;

#endif
