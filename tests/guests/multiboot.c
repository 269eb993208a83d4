/* multiboot.c - what a Multiboot kernel without firmware finds (MINIX 3's list): information structure,
 * modules, memory map, BIOS data area, floating ports, UART, 8042, VGA text memory, CPUID. Run with -initrd
 * "a arg one,b" where a holds "first module" and b "second". */
#include "rt.h"

struct module {
    uint32_t start, end, string, reserved;
};
struct mmap_entry {
    uint32_t size;
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

extern char _end_of_image[];

static bool text_is(uint32_t at, const char *want)
{
    const char *s = (const char *)at;
    while (*want && *s == *want)
        s++, want++;
    return *want == 0;
}

static bool ends_with(uint32_t at, const char *want)
{
    const char *s = (const char *)at;
    size_t n = 0, w = 0;
    while (s[n])
        n++;
    while (want[w])
        w++;
    return n >= w && memcmp(s + n - w, want, w) == 0;
}

static void check_modules(const uint32_t *info)
{
    const struct module *m = (const struct module *)info[6];
    EXPECT((info[0] & 0x4d) == 0x4d); /* MEMORY, CMDLINE, MODS, MMAP */
    EXPECT_EQ(info[5], 2);
    EXPECT_EQ(m[0].start & 0xfff, 0);
    EXPECT_EQ(m[1].start & 0xfff, 0);
    EXPECT_EQ(m[0].end - m[0].start, 12);
    EXPECT_EQ(m[1].end - m[1].start, 6);
    EXPECT(text_is(m[0].start, "first module"));
    EXPECT(text_is(m[1].start, "second"));
    EXPECT(ends_with(m[0].string, " arg one"));
    EXPECT(m[1].start >= m[0].end || m[0].start >= m[1].end);
    EXPECT(m[0].start >= (uint32_t)_end_of_image && m[1].start >= (uint32_t)_end_of_image);
}

static void check_memory(const uint32_t *info)
{
    uint32_t ram_kib = option("mib", 16) * 1024, seen = 0;
    EXPECT(info[1] >= 600 && info[1] <= 640);
    EXPECT_EQ(info[2], ram_kib - 1024);
    for (uint32_t at = info[12]; at < info[12] + info[11];) {
        const struct mmap_entry *e = (const struct mmap_entry *)at;
        EXPECT(e->size >= 20);
        if (e->type == 1 && e->base == 0x100000)
            seen = (uint32_t)(e->length >> 10);
        at += e->size + 4;
    }
    EXPECT_EQ(seen, ram_kib - 1024);
    for (uint32_t i = 0; i < 1024; i++) /* MINIX copies 1024 bytes whatever the length */
        (void)((const volatile uint8_t *)info[4])[i];
}

static void check_firmware_words(void)
{
    uint32_t zero = 0;
    __asm__("" : "+r"(zero)); /* the compiler must not see a null pointer */
    EXPECT_EQ(*(volatile uint16_t *)(zero + 0x44a), 80);
    EXPECT_EQ(*(volatile uint16_t *)(zero + 0x463), 0x3d4);
    EXPECT_EQ(*(volatile uint8_t *)(zero + 0x484), 24);
    EXPECT_EQ(*(volatile uint16_t *)(zero + 0x485), 16);
    volatile uint16_t *text = (volatile uint16_t *)0xb8000;
    for (uint32_t i = 0; i < 16384; i++)
        text[i] = (uint16_t)(0x0700 | (i & 0xff));
    for (uint32_t i = 0; i < 16384; i++)
        if (text[i] != (0x0700 | (i & 0xff)))
            EXPECT_EQ(text[i], 0x0700 | (i & 0xff));
}

static void check_ports(void)
{
    static const uint16_t floating[] = {0x2f8, 0x2fa, 0x2fd, 0x3e8, 0x3ea, 0x2e8, 0x2ea, 0x300, 0x3d5};
    static const uint16_t no_drive[] = {0x1f7, 0x177, 0x3f6}; /* IDE channels without one: not BSY, no DRQ */
    for (unsigned i = 0; i < sizeof floating / sizeof *floating; i++)
        EXPECT_EQ(inb(floating[i]), 0xff);
    for (unsigned i = 0; i < sizeof no_drive / sizeof *no_drive; i++)
        EXPECT_EQ(inb(no_drive[i]) & 0x88, 0);
    outb(0x3d4, 0x0c), outb(0x3d5, 0);  /* CRTC: ignored */
    EXPECT_EQ(inb(0x3fe) & 0xf0, 0xb0); /* CTS, DSR, DCD */
    outl(0xcf8, 0x80000000 | 1 << 11);
    EXPECT_EQ(inl(0xcfc), 0x70008086); /* PIIX3 */
    outl(0xcf8, 0x80000000 | 9 << 11);
    EXPECT_EQ(inl(0xcfc), 0xffffffff);
    outl(0xcf8, 0);
}

static uint8_t kbd_reply(void)
{
    for (uint32_t i = 0; i < 1000000; i++)
        if (inb(0x64) & 1)
            return inb(0x60);
    return 0xee;
}

static void kbd_command(uint8_t c)
{
    while (inb(0x64) & 2)
        ;
    outb(0x64, c);
}

static void kbd_data(uint8_t v)
{
    while (inb(0x64) & 2)
        ;
    outb(0x60, v);
}

static void check_8042(void)
{
    kbd_command(0xad), kbd_command(0xa7);
    while (inb(0x64) & 1)
        inb(0x60);
    kbd_command(0x20);
    uint8_t config = kbd_reply();
    kbd_command(0xaa);
    EXPECT_EQ(kbd_reply(), 0x55);
    kbd_command(0x60), kbd_data(config & ~0x30);
    kbd_command(0xae), kbd_command(0xa8);
    kbd_command(0xd4), kbd_data(0xf6);
    EXPECT_EQ(kbd_reply(), 0xfa);
    kbd_command(0xd4), kbd_data(0xf4);
    EXPECT_EQ(kbd_reply(), 0xfa);
    kbd_data(0xed);
    EXPECT_EQ(kbd_reply(), 0xfa);
    kbd_data(0x02);
    EXPECT_EQ(kbd_reply(), 0xfa);
}

/* EOI with an empty ISR changes nothing; mask registers read back. */
static void check_8259(void)
{
    for (unsigned i = 0; i < 4; i++)
        outb(0x20, 0x20), outb(0xa0, 0x20);
    outb(0x21, 0xa5);
    EXPECT_EQ(inb(0x21), 0xa5);
    irq_mask_all();
    outb(0x20, 0x0b);
    EXPECT_EQ(inb(0x20), 0);
}

static void check_cpuid(void)
{
    uint32_t a, b, c, d;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0));
    EXPECT(b == 0x756e6547 && d == 0x49656e69 && c == 0x6c65746e); /* GenuineIntel: SYSENTER for MINIX */
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
    EXPECT((d & 1u << 3) && (d & 1u << 4) && (d & 1u << 8) && (d & 1u << 11) && (d & 1u << 13) &&
           (d & 1u << 15));
    EXPECT((d & 1u << 6) && (d & 1u << 9)); /* PAE, APIC */
    EXPECT((d & 1u << 19) && (d & 1u << 23) && (d & 1u << 24) && (d & 1u << 25) &&
           (d & 1u << 26)); /* to SSE2 */
    EXPECT((a >> 8 & 15) == 6 && (a >> 4 & 15) >= 3);
    uint16_t sw = 0x5a5a, cw = 0;
    __asm__ volatile("fninit\n\tfnstsw %0\n\tfnstcw %1" : "=m"(sw), "=m"(cw));
    EXPECT_EQ(sw & 0xff, 0);
    EXPECT_EQ(cw & 0x103f, 0x3f);
}

int guest_main(void)
{
    check_modules(multiboot_info);
    check_memory(multiboot_info);
    check_firmware_words();
    check_ports();
    check_8042();
    check_8259();
    check_cpuid();
    return 0;
}
