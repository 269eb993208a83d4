/* suite.h - the real-mode suite: a boot sector and 16-bit C that checks a PC's BIOS and the CPU's modes from
 * inside.
 *
 * Everything is one segment: CS = DS = SS = 1000h in real and virtual-8086 mode; in protected mode the
 * segments have the base 10000h, so that an offset means the same in each mode. C is compiled for 16-bit code
 * (-m16), the monitor of virtual-8086 mode (monitor.c) for 32-bit code. Output goes to COM1 by its registers;
 * the verdict also to ports 0xf4 and 0x501 (isa-debug-exit). */
#ifndef TANDEM_TESTS_REALMODE_SUITE_H
#define TANDEM_TESTS_REALMODE_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUITE_SEGMENT 0x1000
#define SUITE_BASE    0x10000u
#define FLAG_CF       0x001u
#define FLAG_ZF       0x040u
#define FLAG_IF       0x200u

/* Registers of a BIOS call, in and out. entry.S knows the layout. */
struct regs {
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp;
    uint16_t ds, es;
    uint32_t eflags;
};
_Static_assert(offsetof(struct regs, ds) == 28 && offsetof(struct regs, eflags) == 32, "entry.S");

/* --- entry.S --- */
void bios(uint32_t vector, struct regs *r); /* INT vector; the caller's flags come back */
int try_call(void (*fn)(void));             /* calls fn; -1, or the vector that fn raised */
void pm16_call(void (*fn)(void));           /* calls fn in 16-bit protected mode, interrupts off */
void unreal_enter(void);                    /* FS gets a limit of 4 GiB and keeps it in real mode */
void v86_enter(void (*fn)(void));           /* calls fn in virtual-8086 mode, under monitor.c */
void traps_real(bool on);                   /* exceptions go to try_call, or back to the BIOS */
extern uint16_t trap_frame[8];              /* the stack that the last exception found, from its top */
extern uint8_t boot_drive;
extern uint64_t gdt[];
enum {
    SEL_CODE16 = 0x08,
    SEL_DATA16 = 0x10,
    SEL_CODE32 = 0x18,
    SEL_DATA32 = 0x20,
    SEL_FLAT = 0x28,
    SEL_TSS = 0x30,
    SEL_TEST = 0x38,
    SEL_GATE = 0x40
};

/* --- runtime.c --- */
void print(const char *fmt, ...); /* %d %x %s %c */
void expect_failed(const char *what, const char *file, int line, uint32_t got, uint32_t want);
extern unsigned checks, failures;
#define EXPECT(cond) (checks++, (cond) ? (void)0 : expect_failed(#cond, __FILE__, __LINE__, 0, 1))
#define EXPECT_EQ(got, want)                                                                                 \
    do {                                                                                                     \
        uint32_t got_ = (uint32_t)(got), want_ = (uint32_t)(want);                                           \
        checks++;                                                                                            \
        if (got_ != want_)                                                                                   \
            expect_failed(#got " == " #want, __FILE__, __LINE__, got_, want_);                               \
    } while (0)
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* --- the checks --- */
void check_firmware(void);
void check_video(void);
void check_memory(void);
void check_keyboard(void);
void check_time(void);
void check_serial(void);
void check_pci(void);
void check_disk(void);
void check_disk_v86(void); /* also called in virtual-8086 mode */
void check_a20(void);
void check_exceptions(void);
void check_unreal(void);
void check_pm16(void);
void check_v86(void);
void check_resume(void);

uint32_t ticks_now(void);                                    /* INT 1Ah: 18.2 a second */
bool block_move(uint32_t from, uint32_t to, unsigned words); /* INT 15h, 87h: linear addresses */

/* A BIOS call with AX, interrupts on; the result is in r. */
static inline struct regs regs_of(uint32_t eax)
{
    struct regs r = {.eax = eax, .ds = SUITE_SEGMENT, .es = SUITE_SEGMENT, .eflags = FLAG_IF | 2};
    return r;
}
static inline uint8_t high(uint32_t v)
{
    return (uint8_t)(v >> 8);
}

/* --- ports and far memory --- */
static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline uint8_t peek8(uint16_t segment, uint16_t offset)
{
    uint8_t v;
    __asm__ volatile("movw %1, %%es\n\tmovb %%es:(%2), %0\n\tmovw %%cs:data_segment, %%es"
                     : "=q"(v)
                     : "r"(segment), "r"((uint32_t)offset)
                     : "memory");
    return v;
}
static inline uint16_t peek16(uint16_t segment, uint16_t offset)
{
    return (uint16_t)(peek8(segment, offset) | peek8(segment, (uint16_t)(offset + 1)) << 8);
}
static inline uint32_t peek32(uint16_t segment, uint16_t offset)
{
    return peek16(segment, offset) | (uint32_t)peek16(segment, (uint16_t)(offset + 2)) << 16;
}
static inline void poke8(uint16_t segment, uint16_t offset, uint8_t v)
{
    __asm__ volatile("movw %1, %%es\n\tmovb %0, %%es:(%2)\n\tmovw %%cs:data_segment, %%es"
                     :
                     : "q"(v), "r"(segment), "r"((uint32_t)offset)
                     : "memory");
}

#endif
