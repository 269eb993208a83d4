/* task16_ldt.c - JMP to an available 286 TSS whose CS is 4 (slot 0 of the LDT: not a null selector) and whose
 * LDT selector is loaded first; DS = 4 is not null either when slot 0 is data... here slot 1. 286 TSS layout:
 * SDM 3, 7.6. Back by JMP to the 386 TSS. */
#include "rt.h"
static uint16_t t16[22];
static uint64_t ldt[4];
static uint8_t stack16[1024] __attribute__((aligned(16)));
static struct tss32 home;
static uint16_t seen_cs, seen_ldt, seen_ds, seen_tr, seen_sp, seen_fl;
static volatile uint32_t vec = 99, err;
static void rec(struct frame *f)
{
    print("vector %u error %x eip %x cs %x\n", f->vector, f->error, f->eip, f->cs);
    failures++;
    outb(0xf4, 3);
}
static void desc(unsigned i, uint32_t base, uint32_t limit, uint8_t type)
{
    gdt[i] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 |
             (uint64_t)(base >> 24) << 56;
}
extern char task[];
static volatile uint32_t code_copy;
int guest_main(void)
{
    for (unsigned v = 0; v < 32; v++)
        set_isr(v, rec);
    uint8_t *low = (uint8_t *)0x70000; /* below 1 MiB so that 16-bit EIP and a 32-bit base work */
    extern char task_end[];
    memcpy(low, task, (size_t)(task_end - task));
    /* LDT slot 0: 16-bit code, base 0x70000; slot 1: data, flat 64K at 0x70000; slot 2: stack */
    ldt[0] = UINT64_C(0x00009b070000ffff);
    ldt[1] = UINT64_C(0x000093070000ffff);
    uint32_t s = (uint32_t)stack16;
    ldt[2] = (sizeof stack16 - 1) | (uint64_t)(s & 0xffffff) << 16 | UINT64_C(0x93) << 40 |
             (uint64_t)(s >> 24) << 56;
    desc(6, (uint32_t)ldt, sizeof ldt - 1, 0x82);
    desc(7, (uint32_t)t16, sizeof t16 - 1, 0x81);
    desc(8, (uint32_t)&home, sizeof home - 1, 0x89);
    t16[7] = 0; /* IP */
    t16[8] = 2; /* FLAGS */
    t16[9] = 0xaaaa, t16[10] = 0xcccc;
    t16[13] = sizeof stack16; /* SP */
    t16[17] = 4 + 8;          /* ES: slot 1 */
    t16[18] = 4;              /* CS: slot 0 */
    t16[19] = 4 + 16;         /* SS: slot 2 */
    t16[20] = 4 + 8;          /* DS */
    t16[21] = 6 * 8;          /* LDT */
    for (unsigned k = 0; k < 3; k++) {
        memset(low + 0x100, 0, 32);
        t16[7] = 0, t16[13] = sizeof stack16, t16[18] = 4;
        gdt[7] = (gdt[7] & ~(UINT64_C(0xff) << 40)) | UINT64_C(0x81) << 40;
        gdt[8] = (gdt[8] & ~(UINT64_C(0xff) << 40)) | UINT64_C(0x89) << 40;
        __asm__ volatile(
            "pushal\n\tltr %w0\n\tljmp $0x38, $0\n\tpopal\n\tjmp 2f\n"
            "task:\t.code16\n\tmovw %%cs, %%ax\n\tmovw %%ax, (0x100)\n\tsldt %%ax\n\tmovw %%ax, "
            "(0x102)\n\tmovw %%ds, %%ax\n\tmovw %%ax, (0x104)\n\tstr %%ax\n\tmovw %%ax, (0x106)\n\tmovw "
            "%%sp, (0x108)\n\tmovw %%cx, (0x10a)\n\tljmpw $0x40, $0\n\t.code32\ntask_end:\n2:"
            :
            : "r"(0x40)
            : "memory");
        uint16_t *r = (uint16_t *)(low + 0x100);
        EXPECT_EQ(r[0], 4);
        EXPECT_EQ(r[1], 0x30);
        EXPECT_EQ(r[2], 12);
        EXPECT_EQ(r[3], 0x38);
        EXPECT_EQ(r[4], sizeof stack16);
        EXPECT_EQ(r[5], 0xcccc);
        EXPECT_EQ(t16[9], 0x38);
        EXPECT_EQ(t16[18], 4); /* saved back: AX = TR, CS */
        EXPECT_EQ(gdt[7] >> 40 & 0xff, 0x81);
        EXPECT_EQ(gdt[8] >> 40 & 0xff, 0x8b);
    }
    return 0;
}
