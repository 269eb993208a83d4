/* system.h - random code as firmware and kernels have it: 16-bit, segments that are not flat, ring 0.
 *
 * Nothing runs on the real CPU here. The interpreter says what is right; every other engine must agree with
 * it in the whole vCPU, in memory, in ticks and in how the run ended. A case is a memory image (tables,
 * handlers, code) and a vCPU's state. It runs for a bounded number of ticks, in a machine with a toy board.
 * Threads: one; a case is a function of its seed. */
#ifndef TANDEM_TESTS_ORACLE_SYSTEM_H
#define TANDEM_TESTS_ORACLE_SYSTEM_H

#include "tests/oracle/gen.h"

/* Physical memory: RAM, a page of device registers, and nothing above it. */
#define SYS_RAM_BYTES (192u << 10)
#define SYS_MMIO      SYS_RAM_BYTES
#define SYS_HOLE      (SYS_MMIO + 4096u)

/* What lies where in a case's memory. */
enum system_layout {
    SYS_IVT = 0,
    SYS_GDT = 0x2000,
    SYS_LDT = 0x2400,
    SYS_TSS = 0x2800,
    SYS_TSS2 = 0x2a00, /* of the other task */
    SYS_IDT = 0x3000,
    SYS_HANDLERS = 0x4000,      /* 16 bytes a vector */
    SYS_REFLECT = 0x5000,       /* the part that the handlers of a virtual-8086 monitor share */
    SYS_HANDLERS_8086 = 0x6000, /* where that monitor sends interrupts, 16 bytes a vector */
    SYS_PAGES = 0x8000,         /* a directory, then the table of the first 4 MiB */
    SYS_PAE = 0xa000,           /* pointers, then a directory, then the table of the first 2 MiB */
    SYS_CODE = 0x10000,
    SYS_CODE_BYTES = 0x2000,
    SYS_DATA = 0x18000,
    SYS_DATA_BYTES = 0x2000,     /* so many are filled */
    SYS_TABLE_POINTERS = 0x1f00, /* offset in the data: operands for LGDT and LIDT, 8 bytes apart */
    SYS_BOUNDS = 0x1f20,         /* offset in the data: BOUND's operand */
    SYS_POINTER = 0x1f28,        /* offset in the data: a far pointer */
    SYS_STACK = 0x28000,
    SYS_STACK0 = 0x2c000, /* SS0:ESP0 */
};

/* Where a case begins. UNREAL: real mode with limits of 4 GiB left behind. PM16 and PM32: segments with bases
 * and limits. USER: ring 3. VM86: virtual-8086 mode, under a monitor that sends some interrupts back. */
enum system_mode { SYS_REAL, SYS_UNREAL, SYS_PM16, SYS_PM32, SYS_FLAT, SYS_USER, SYS_VM86, SYS_MODES };

/* Selectors are paragraph numbers. */
static inline bool sys_is_8086(enum system_mode mode)
{
    return mode <= SYS_UNREAL || mode == SYS_VM86;
}

struct system_case {
    uint64_t seed;
    enum system_mode mode;
    bool code32;
    bool pae;                 /* where paging is on, it is PAE's */
    uint32_t interrupt_ticks; /* the board interrupts so often; 0: never */
    uint64_t cut_seed;        /* of the ticks at which some engines' runs are cut */
    struct guest_state state;
    uint8_t ram[SYS_RAM_BYTES];
};

/* CR3 of the case. */
static inline uint32_t sys_pages(const struct system_case *s)
{
    return s->pae ? SYS_PAE : SYS_PAGES;
}

/* Fills *s from the generator's seed. */
void system_draw(struct gen *g, struct system_case *s);

struct system_counts {
    uint64_t passed, failed, ticks, exceptions, interrupts;
    uint64_t mode[SYS_MODES];
    uint64_t halted, triple_faults;
    uint64_t endless; /* cases that ended before deliveries that go on for ever */
};

struct coverage;
/* Runs `count` cases, seeds seed, seed + 1, ..., in every engine; prints what differs, and the tick at which
 * it begins. False: cannot start (message on stderr). */
bool systems_run(struct gen *g, uint64_t seed, uint64_t count, struct coverage *cov,
                 struct system_counts *out);

#endif
