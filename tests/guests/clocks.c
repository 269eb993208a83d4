/* clocks.c - TSC, PM timer, PIT and RTC agree over `minutes` of virtual time (default 3), idle mostly. */
#include "rt.h"

#define PIT_HZ  1193182
#define PM_HZ   3579545
#define PM_PORT 0x608

static volatile uint32_t pit_irqs;

static void irq0(struct frame *f)
{
    (void)f;
    pit_irqs++;
    irq_eoi(0);
}

static uint8_t cmos(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static uint32_t bcd(uint8_t v)
{
    return (v >> 4) * 10u + (v & 15u);
}

static uint32_t rtc_seconds(void)
{
    while (cmos(0x0a) & 0x80)
        ;
    return (bcd(cmos(4)) * 60 + bcd(cmos(2))) * 60 + bcd(cmos(0));
}

/* Waits for a new RTC second, idling between PIT interrupts; returns its TSC. */
static uint64_t second_edge(uint32_t *seconds)
{
    uint32_t s0 = rtc_seconds(), s;
    do {
        s = rtc_seconds();
    } while (s == s0);
    *seconds = s;
    return rdtsc();
}

int guest_main(void)
{
    uint32_t minutes = option("minutes", 3), s0, s1, want = minutes * 60;
    set_isr(IRQ_BASE, irq0);
    outb(0x43, 0x34), outb(0x40, (uint8_t)11932), outb(0x40, 11932 >> 8);
    uint64_t t0 = second_edge(&s0), t1, pm_total = 0;
    irq_unmask(0);
    uint32_t pm = inl(PM_PORT) & 0xffffff, irqs0 = pit_irqs;
    uint64_t pm_t0 = rdtsc();
    sti();
    uint32_t ticks_until = irqs0 + (want - 1) * 100;
    while (pit_irqs < ticks_until) {
        hlt();
        uint32_t now = inl(PM_PORT) & 0xffffff;
        pm_total += (now - pm) & 0xffffff;
        pm = now;
    }
    uint64_t pm_t1 = rdtsc();
    cli();
    uint32_t irqs = pit_irqs - irqs0;
    t1 = second_edge(&s1);
    uint32_t seconds = (s1 + 86400 - s0) % 86400;
    uint64_t tsc_ns = t1 - t0;
    print("rtc %u s, tsc %X ns, pm %X, pit irqs %u\n", seconds, tsc_ns, pm_total, irqs);
    EXPECT(seconds >= want - 1 && seconds <= want + 1);
    /* RTC against TSC: the polling loop sees an edge a few microseconds late */
    uint64_t want_ns = (uint64_t)seconds * 1000000000;
    EXPECT(tsc_ns + 400000 > want_ns && tsc_ns < want_ns + 400000);
    /* PM timer against TSC */
    uint64_t pm_want = muldiv64(pm_t1 - pm_t0, PM_HZ, 1000000000, false);
    EXPECT(pm_total + 600 > pm_want && pm_total < pm_want + 600);
    /* PIT against TSC: 11932 / 1193182 s a tick */
    uint64_t pit_want = muldiv64(pm_t1 - pm_t0, PIT_HZ, 1000000000, false);
    uint64_t pit_got = (uint64_t)irqs * 11932;
    EXPECT(pit_got < pit_want + 24000 && pit_got + 24000 > pit_want);
    return 0;
}
