/* login.c - stands in for an installed system, to prove the script that boots those which only the tester has
 * (tests/minix.sh): "login:" on the text screen, a line from the keyboard, a prompt, and "poweroff" by ACPI.
 * mute=1 on the command line: it shows nothing and waits. */
#include "rt.h"

#define COLUMNS  80
#define ROWS     25
#define PM1_CNT  0x604  /* where firmware puts PIIX4's block */
#define SLP_S5   0x2000 /* SLP_EN; SLP_TYP 0: S5 by the DSDT */
#define CODE_MAX 0x3A

static volatile uint16_t *const screen = (volatile uint16_t *)0xB8000;
static unsigned at;
static volatile uint8_t code; /* the last key that went down; 0: none */

/* Scan code set 1. */
static const char keys[CODE_MAX] = {
    [0x1C] = '\n', [0x39] = ' ', [0x10] = 'q', [0x11] = 'w', [0x12] = 'e', [0x13] = 'r', [0x14] = 't',
    [0x15] = 'y',  [0x16] = 'u', [0x17] = 'i', [0x18] = 'o', [0x19] = 'p', [0x1E] = 'a', [0x1F] = 's',
    [0x20] = 'd',  [0x21] = 'f', [0x22] = 'g', [0x23] = 'h', [0x24] = 'j', [0x25] = 'k', [0x26] = 'l',
    [0x2C] = 'z',  [0x2D] = 'x', [0x2E] = 'c', [0x2F] = 'v', [0x30] = 'b', [0x31] = 'n', [0x32] = 'm'};

static void irq1(struct frame *f)
{
    (void)f;
    uint8_t byte = inb(0x60);
    if (byte < CODE_MAX)
        code = byte;
    irq_eoi(1);
}

static void put(char c)
{
    if (c == '\n')
        at += COLUMNS - at % COLUMNS;
    else
        screen[at++] = (uint16_t)(0x0700 | (uint8_t)c);
    at %= COLUMNS * ROWS;
}

static void say(const char *s)
{
    while (*s)
        put(*s++);
}

static char key(void)
{
    char c;
    do {
        cli();
        while (!code)
            __asm__ volatile("sti; hlt; cli" : : : "memory");
        c = keys[code];
        code = 0;
        sti();
    } while (!c);
    return c;
}

/* A line, shown as it is typed. */
static void line(char *text, unsigned bytes)
{
    unsigned n = 0;
    for (char c; (c = key()) != '\n'; put(c))
        if (n + 1 < bytes)
            text[n++] = c;
    text[n] = '\0';
    put('\n');
}

static bool same(const char *a, const char *b)
{
    for (; *a == *b; a++, b++)
        if (!*a)
            return true;
    return false;
}

int guest_main(void)
{
    char text[32];
    irq_mask_all();
    set_isr(IRQ_BASE + 1, irq1);
    irq_unmask(1);
    sti();
    for (at = 0; at < COLUMNS * ROWS;)
        screen[at++] = 0x0720;
    at = 0;
    while (option("mute", 0))
        hlt();
    do {
        say("login: ");
        line(text, sizeof text);
    } while (!same(text, "root"));
    do {
        say("# ");
        line(text, sizeof text);
    } while (!same(text, "poweroff"));
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)SLP_S5), "Nd"((uint16_t)PM1_CNT));
    return 1;
}
