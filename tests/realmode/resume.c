/* resume.c - resets of the CPU alone, as programs of the 286's age leave protected mode by: CMOS byte 0Fh
 * says that the BIOS shall go on at 40:67, and the chips are as they were (IBM PC/AT Technical Reference,
 * BIOS, "shutdown"). */
#include "suite.h"

#define RESUME_CODE   0x0f /* CMOS: what a reset is for */
#define RESUME_JUMP   0x0a /* by the doubleword at 40:67, and no more */
#define RESUME_EOI    0x05 /* the same behind end-of-interrupts */
#define PIC_MASK      0x21
#define DMA_SPARE     0x84 /* a page register that no channel has */
#define BY_CONTROLLER 0
#define BY_PORT_92    1
#define BY_SHUTDOWN   2

extern uint8_t reset_way, reset_from_pm;
void reset_and_resume(void), resumed(void);
/* 16-bit code throughout; in protected mode the segments have the same bases. */
__asm__(
    ".code16\n"
    ".globl reset_and_resume, resumed, reset_way, reset_from_pm\n"
    "reset_and_resume: pushal\n pushfl\n movl %esp, resume_sp\n"
    "cmpb $0, reset_from_pm\n je reset_now\n"
    "pushl $reset_now\n calll pm16_call\n" /* does not come back */
    "reset_now: cli\n"
    "cmpb $1, reset_way\n je 1f\n ja 2f\n"
    "movb $0xfe, %al\n outb %al, $0x64\n jmp 3f\n"
    "1: inb $0x92, %al\n andb $0xfe, %al\n outb %al, $0x92\n orb $1, %al\n outb %al, $0x92\n jmp 3f\n"
    "2: lidtl no_idt\n int3\n"
    "3: hlt\n jmp 3b\n"
    "resumed: movw %cs, %ax\n movw %ax, %ds\n movw %ax, %es\n movw %ax, %fs\n movw %ax, %gs\n movw %ax, %ss\n"
    "movl resume_sp, %esp\n movw %ax, data_segment\n popfl\n popal\n retl\n"
    "resume_sp: .long 0\n"
    "no_idt: .word 0\n .long 0\n"
    "reset_way: .byte 0\n reset_from_pm: .byte 0\n"
    ".code16gcc");

static uint8_t cmos_read(uint8_t at)
{
    outb(0x70, at);
    return inb(0x71);
}

static void cmos_write(uint8_t at, uint8_t value)
{
    outb(0x70, at);
    outb(0x71, value);
}

static void set_resume(uint8_t code)
{
    const uint32_t at = (uint32_t)SUITE_SEGMENT << 16 | (uint16_t)(uint32_t)resumed;
    for (uint16_t i = 0; i < 4; i++)
        poke8(0x40, (uint16_t)(0x67 + i), (uint8_t)(at >> 8 * i));
    cmos_write(RESUME_CODE, code);
}

static void check_one(uint8_t way, bool from_pm, uint8_t code)
{
    const uint8_t mask = inb(PIC_MASK);
    uint16_t msw;
    outb(PIC_MASK, mask | 0x80);
    outb(DMA_SPARE, (uint8_t)(0x50 + way));
    poke8(0x2000, 0x10, 0x77);
    reset_way = way;
    reset_from_pm = from_pm;
    set_resume(code);
    reset_and_resume();
    __asm__ volatile("smsw %0" : "=r"(msw));
    EXPECT_EQ(msw & 1, 0);
    EXPECT_EQ(cmos_read(RESUME_CODE), 0); /* the BIOS has taken it */
    EXPECT_EQ(inb(PIC_MASK), mask | 0x80);
    EXPECT_EQ(inb(DMA_SPARE), 0x50 + way);
    EXPECT_EQ(peek8(0x2000, 0x10), 0x77);
    outb(PIC_MASK, mask);
}

void check_resume(void)
{
    for (unsigned from_pm = 0; from_pm < 2; from_pm++)
        for (uint8_t way = BY_CONTROLLER; way <= BY_SHUTDOWN; way++) {
            check_one(way, from_pm, RESUME_JUMP);
            check_one(way, from_pm, RESUME_EOI);
        }
    uint32_t first = ticks_now(); /* the timer has gone on, and its interrupts come */
    while (ticks_now() == first) {
    }
}
