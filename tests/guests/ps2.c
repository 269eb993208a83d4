/* ps2.c - keyboard and mouse by interrupts, pressed and moved by a recording (tests/ps2.sh).
 *
 * It switches translation off and selects a scan code set (option set=N, default 2), knocks for a mouse with
 * five buttons, and prints every byte with the time at which its interrupt came, until Escape goes up. The
 * last line is a sum over all that, which no way of running the guest may change. */
#include "rt.h"

static volatile uint32_t sum, kbd_bytes, mouse_bytes;
static volatile bool done;
static volatile uint8_t ring[4096];
static volatile uint32_t ring_n;
static uint8_t set;

static void note(uint8_t byte, bool mouse)
{
    sum = sum * 31 + byte + (uint32_t)rdtsc() + mouse;
    if (ring_n + 2 <= sizeof ring) {
        ring[ring_n++] = mouse;
        ring[ring_n++] = byte;
    }
}

/* Escape is 76h in set 2 and 08h in set 3, behind F0h when it goes up; 81h in set 1. */
static bool escape_up(uint8_t byte)
{
    static uint8_t before;
    bool yes = set == 1 ? byte == 0x81 : before == 0xf0 && byte == (set == 2 ? 0x76 : 0x08);

    before = byte;
    return yes;
}

static void irq1(struct frame *f)
{
    (void)f;
    EXPECT_EQ(inb(0x64) & 0x21, 0x01);
    uint8_t byte = inb(0x60);
    note(byte, false);
    kbd_bytes++;
    done |= escape_up(byte);
    irq_eoi(1);
}

static void irq12(struct frame *f)
{
    (void)f;
    EXPECT_EQ(inb(0x64) & 0x21, 0x21);
    note(inb(0x60), true);
    mouse_bytes++;
    irq_eoi(12);
}

static uint8_t answer(void)
{
    while (!(inb(0x64) & 1))
        ;
    return inb(0x60);
}

static void kbd(uint8_t v)
{
    outb(0x60, v);
    EXPECT_EQ(answer(), 0xfa);
}

static void mouse(uint8_t v)
{
    outb(0x64, 0xd4);
    outb(0x60, v);
    EXPECT_EQ(answer(), 0xfa);
}

static void start_kbd(void)
{
    outb(0x64, 0x60);
    outb(0x60, 0x04); /* no interrupts yet, no translation */
    kbd(0xff);
    EXPECT_EQ(answer(), 0xaa);
    kbd(0xf0);
    kbd(set);
    if (set == 3)
        kbd(0xfa); /* all keys repeat and have break codes */
    kbd(0xf3);
    kbd(0x00); /* 30 a second after a quarter */
}

static void start_mouse(void)
{
    static const uint8_t rates[] = {200, 100, 80, 200, 200, 80, 100};

    mouse(0xff);
    EXPECT_EQ(answer(), 0xaa);
    EXPECT_EQ(answer(), 0x00);
    for (unsigned i = 0; i < sizeof rates; i++) {
        mouse(0xf3);
        mouse(rates[i]);
    }
    mouse(0xf2);
    EXPECT_EQ(answer(), 4);
    mouse(0xf4);
}

static void start_irqs(void)
{
    set_isr(IRQ_BASE + 1, irq1);
    set_isr(IRQ_BASE + 12, irq12);
    outb(0x64, 0x60);
    outb(0x60, 0x07);
    irq_unmask(1);
    irq_unmask(2);
    irq_unmask(12);
}

static void print_bytes(bool of_mouse)
{
    print(of_mouse ? "mouse" : "keys");
    for (uint32_t i = 0; i < ring_n; i += 2)
        if (ring[i] == of_mouse)
            print(" %x", ring[i + 1]);
    print("\n");
}

int guest_main(void)
{
    set = (uint8_t)option("set", 2);
    irq_mask_all();
    start_kbd();
    start_mouse();
    start_irqs();
    print("ready\n");
    while (!done) {
        cli();
        if (!done)
            __asm__ volatile("sti\n\thlt" : : : "memory");
    }
    cli();
    print_bytes(false);
    print_bytes(true);
    print("sum %x keys %u mouse %u\n", sum, kbd_bytes, mouse_bytes);
    return (int)failures;
}
