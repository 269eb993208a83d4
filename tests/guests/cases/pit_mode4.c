/* pit_mode4.c - mode 4 on counter 0 gives one IRQ 0 a load (BSD one-shots), N + 1 counts after it; mode 0
 * likewise; no second one without a new count; a count of the LSB alone re-arms with 16#10. */
#include "pm.h"
#include "rt.h"
static volatile uint32_t n, t1;
static uint16_t pm;
static void irq0(struct frame *f)
{
    t1 = inl(pm);
    n++;
    irq_eoi(0);
}
static void spin(unsigned k)
{
    for (unsigned i = 0; i < k; i++)
        __asm__ volatile("nop");
}
int guest_main(void)
{
    acpi_find();
    pm = pm_port();
    set_isr(IRQ_BASE, irq0);
    static const unsigned modes[] = {4, 0, 4};
    for (unsigned k = 0; k < 3; k++) {
        cli();
        outb(0x43, (uint8_t)(0x30 | modes[k] << 1));
        outb(0x20, 0x20);
        irq_unmask(0);
        sti();
        spin(20000);
        n = 0; /* no count: nothing */
        for (unsigned j = 0; j < 4; j++) {
            unsigned c = 1193 + 500 * j;
            n = 0;
            cli();
            outb(0x40, c & 0xff);
            uint32_t t0 = inl(pm);
            outb(0x40, c >> 8);
            sti();
            while (!n)
                hlt();
            uint32_t d = (t1 - t0) & 0xffffff;
            if (j == 0)
                print("mode %u: count %u: %u PM ticks\n", modes[k], c, d);
            EXPECT(d + 12 >= 3 * (c + 1) && d <= 3 * (c + 1) + 30);
            spin(600000);
            EXPECT_EQ(n, 1);
        }
    }
    irq_mask_all();
    return 0;
}
