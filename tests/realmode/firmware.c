/* firmware.c - BIOS services other than video and disk: what the ROM, the vectors and the BIOS data area
 * hold, memory, keyboard, time, serial port, PCI. The calls are those of the IBM PC/AT's technical reference
 * and of the Phoenix, ACPI (E820) and PCI BIOS 2.1 specifications. */
#include "suite.h"

#define BDA 0x40

void check_firmware(void)
{
    EXPECT_EQ(peek8(0xf000, 0xfff0), 0xea); /* the reset vector is a far jump */
    EXPECT_EQ(peek8(0xf000, 0xfffe), 0xfc); /* model: AT */
    EXPECT_EQ(peek8(0xf000, 0xfff7), '/');  /* date: mm/dd/yy */
    EXPECT_EQ(peek8(0xf000, 0xfffa), '/');
    for (uint16_t vector = 0x08; vector <= 0x1c; vector++)
        EXPECT(peek32(0, (uint16_t)(vector * 4)) != 0);
    EXPECT_EQ(peek16(0, 0x7dfe), 0xaa55); /* the boot sector is still there */
    EXPECT(boot_drive <= 1 || boot_drive >= 0x80);

    struct regs r = regs_of(0); /* INT 11h: equipment */
    bios(0x11, &r);
    EXPECT_EQ(r.eax & 0xffff, peek16(BDA, 0x10));
    EXPECT(r.eax & 2);            /* FPU */
    EXPECT_EQ(r.eax >> 4 & 3, 2); /* 80x25 in colour */
    EXPECT_EQ(r.eax >> 9 & 7,
              (peek16(BDA, 0) != 0) + (peek16(BDA, 2) != 0) + (peek16(BDA, 4) != 0) + (peek16(BDA, 6) != 0));
    EXPECT_EQ(r.eax >> 14 & 3, (peek16(BDA, 8) != 0) + (peek16(BDA, 10) != 0) + (peek16(BDA, 12) != 0));
    EXPECT_EQ(peek16(BDA, 0), 0x3f8);

    r = regs_of(0xc000); /* INT 15h, C0h: configuration */
    bios(0x15, &r);
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT_EQ(high(r.eax), 0);
    EXPECT(peek16(r.es, (uint16_t)r.ebx) >= 8);
    EXPECT_EQ(peek8(r.es, (uint16_t)(r.ebx + 2)), 0xfc);
    r = regs_of(0xc100); /* C1h: segment of the extended BIOS data area */
    bios(0x15, &r);
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT_EQ(r.es, peek16(BDA, 0x0e));
    r = regs_of(0xfe00); /* not a function */
    bios(0x15, &r);
    EXPECT(r.eflags & FLAG_CF);
    EXPECT_EQ(high(r.eax), 0x86);
}

struct e820 {
    uint32_t base, base_high, length, length_high, type;
};

/* Reads the map; returns how many entries. */
static unsigned e820_read(struct e820 *map, unsigned room)
{
    struct regs r = {0};
    unsigned n = 0;
    do {
        struct regs call = regs_of(0xe820);
        call.ebx = r.ebx, call.ecx = sizeof map[0], call.edx = 0x534d4150, call.edi = (uint32_t)&map[n];
        bios(0x15, &call);
        r = call;
        if (r.eflags & FLAG_CF)
            break;
        EXPECT_EQ(r.eax, 0x534d4150);
        EXPECT_EQ(r.ecx, 20);
        n++;
    } while (r.ebx && n < room);
    return n;
}

static void check_e820(uint32_t *above_1m)
{
    struct e820 map[32];
    unsigned n = e820_read(map, 32);
    EXPECT(n >= 4 && n < 32);
    EXPECT(map[0].base == 0 && map[0].type == 1 && map[0].length == (uint32_t)peek16(BDA, 0x13) * 1024);
    *above_1m = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i && !map[i].base_high) /* in order, without overlap */
            EXPECT(map[i].base >= map[i - 1].base + map[i - 1].length);
        if (map[i].base == 0x100000 && map[i].type == 1)
            *above_1m = map[i].length;
        if (map[i].type == 1 && !map[i].base_high) /* no RAM among the adapters */
            EXPECT(map[i].base >= 0x100000 || map[i].base + map[i].length <= 0xa0000);
    }
    EXPECT(*above_1m >= 0x100000);
}

/* INT 15h, 87h: moves words by descriptors, with memory above 1 MiB. */
bool block_move(uint32_t from, uint32_t to, unsigned words)
{
    uint8_t table[48];
    memset(table, 0, sizeof table);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t base = i ? to : from;
        uint8_t *d = table + 16 + 8 * i;
        d[0] = d[1] = 0xff, d[2] = (uint8_t)base, d[3] = (uint8_t)(base >> 8), d[4] = (uint8_t)(base >> 16),
        d[5] = 0x93, d[7] = (uint8_t)(base >> 24);
    }
    struct regs r = regs_of(0x8700);
    r.ecx = words, r.esi = (uint32_t)table;
    bios(0x15, &r);
    return !(r.eflags & FLAG_CF) && high(r.eax) == 0;
}

void check_memory(void)
{
    static uint8_t out[64], back[64];
    uint32_t above_1m;
    struct regs r = regs_of(0); /* INT 12h: KiB below the EBDA */
    bios(0x12, &r);
    EXPECT_EQ(r.eax & 0xffff, peek16(BDA, 0x13));
    EXPECT((r.eax & 0xffff) > 512 && (r.eax & 0xffff) <= 640);
    EXPECT((uint32_t)peek16(BDA, 0x0e) * 16 >= (r.eax & 0xffff) * 1024);
    check_e820(&above_1m);

    r = regs_of(0x8800); /* KiB above 1 MiB, at most 63 MiB or 64 MiB less one */
    bios(0x15, &r);
    uint32_t kib = r.eax & 0xffff;
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT(kib == above_1m / 1024 || (kib >= 63 * 1024 && above_1m / 1024 >= kib));
    r = regs_of(0xe801); /* KiB up to 16 MiB, and blocks of 64 KiB above */
    bios(0x15, &r);
    EXPECT(!(r.eflags & FLAG_CF));
    uint32_t below_16m = r.eax & 0xffff ? r.eax & 0xffff : r.ecx & 0xffff,
             above_16m = r.eax & 0xffff ? r.ebx & 0xffff : r.edx & 0xffff;
    EXPECT_EQ(below_16m * 1024 + above_16m * 65536, above_1m & ~0xffffu);
    EXPECT(below_16m <= 15 * 1024);

    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7 + 3);
    EXPECT(block_move((uint32_t)out + SUITE_BASE, 0x180000, 32));
    EXPECT(block_move(0x180000, (uint32_t)back + SUITE_BASE, 32));
    EXPECT(memcmp(out, back, sizeof out) == 0);
}

/* A keystroke that the program puts into the buffer itself: no keyboard is needed. */
void check_keyboard(void)
{
    struct regs r = regs_of(0x0100);
    bios(0x16, &r);
    EXPECT(r.eflags & FLAG_ZF); /* nothing typed */
    r = regs_of(0x0200);
    bios(0x16, &r);
    EXPECT_EQ(r.eax & 0x0f, 0); /* no shift, control or alt */
    EXPECT_EQ(r.eax & 0xff, peek8(BDA, 0x17));
    r = regs_of(0x0500);
    r.ecx = 0x1e61;
    bios(0x16, &r);
    EXPECT_EQ(r.eax & 0xff, 0);
    r = regs_of(0x0100);
    bios(0x16, &r);
    EXPECT(!(r.eflags & FLAG_ZF));
    EXPECT_EQ(r.eax & 0xffff, 0x1e61);
    r = regs_of(0x0000);
    bios(0x16, &r);
    EXPECT_EQ(r.eax & 0xffff, 0x1e61);
    r = regs_of(0x1100);
    bios(0x16, &r);
    EXPECT(r.eflags & FLAG_ZF);
    unsigned taken = 0; /* 15 fit, the 16th does not */
    do {
        r = regs_of(0x0500);
        r.ecx = 0x1e61 + taken;
        bios(0x16, &r);
    } while ((r.eax & 0xff) == 0 && ++taken < 20);
    EXPECT_EQ(taken, 15);
    for (unsigned i = 0; i < taken; i++) {
        r = regs_of(0x1000);
        bios(0x16, &r);
        EXPECT_EQ(r.eax & 0xffff, 0x1e61 + i);
    }
}

static bool bcd(uint32_t v)
{
    return (v & 0x0f) <= 9 && (v & 0xf0) <= 0x90;
}

uint32_t ticks_now(void)
{
    struct regs r = regs_of(0);
    bios(0x1a, &r);
    return (r.ecx & 0xffff) << 16 | (r.edx & 0xffff);
}

/* INT 1Ch is called with each tick of INT 08h. */
void count_ticks(void);
__asm__(".code16\ncount_ticks: pushw %ds\nmovw %cs:data_segment, %ds\nincl user_ticks\npopw "
        "%ds\niretw\n.code16gcc");
static volatile uint32_t user_ticks __asm__("user_ticks") __attribute__((used));

static void set_vector(uint16_t vector, uint16_t segment, uint16_t offset)
{
    __asm__ volatile("cli");
    poke8(0, (uint16_t)(vector * 4), (uint8_t)offset),
        poke8(0, (uint16_t)(vector * 4 + 1), (uint8_t)(offset >> 8));
    poke8(0, (uint16_t)(vector * 4 + 2), (uint8_t)segment),
        poke8(0, (uint16_t)(vector * 4 + 3), (uint8_t)(segment >> 8));
    __asm__ volatile("sti");
}

void check_time(void)
{
    uint32_t old = peek32(0, 0x1c * 4);
    set_vector(0x1c, SUITE_SEGMENT, (uint16_t)(uint32_t)count_ticks);
    uint32_t first = ticks_now();
    EXPECT(first < 0x1800b0);
    user_ticks = 0;
    struct regs r = regs_of(0x8600); /* INT 15h, 86h: waits 0.25 s, which are 4.55 ticks of 54.925 ms */
    r.ecx = 250000 >> 16, r.edx = 250000 & 0xffff;
    bios(0x15, &r);
    uint32_t ticks = ticks_now() - first, user = user_ticks;
    set_vector(0x1c, (uint16_t)(old >> 16), (uint16_t)old);
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT(ticks >= 4 && ticks <= 6);
    EXPECT(user >= 4 && user <= 6);
    EXPECT_EQ(peek32(BDA, 0x6c), ticks_now());

    r = regs_of(0x0200); /* time of the RTC */
    bios(0x1a, &r);
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT(bcd(high(r.ecx)) && high(r.ecx) <= 0x23 && bcd(r.ecx & 0xff) && (r.ecx & 0xff) <= 0x59 &&
           bcd(high(r.edx)) && high(r.edx) <= 0x59);
    r = regs_of(0x0400); /* its date */
    bios(0x1a, &r);
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT(high(r.ecx) == 0x20 && bcd(r.ecx & 0xff) && bcd(high(r.edx)) && high(r.edx) >= 1 &&
           high(r.edx) <= 0x12 && bcd(r.edx & 0xff));
}

void check_serial(void)
{
    struct regs r = regs_of(0x0300);
    r.edx = 0;
    bios(0x14, &r);
    EXPECT_EQ(high(r.eax) & 0x60, 0x60); /* transmitter empty */
    r = regs_of(0x01 << 8 | '.');
    r.edx = 0;
    bios(0x14, &r);
    EXPECT_EQ(high(r.eax) & 0x80, 0); /* sent */
    EXPECT_EQ(r.eax & 0xff, '.');
    r = regs_of(0x00e3); /* 9600 baud, 8n1 */
    r.edx = 0;
    bios(0x14, &r);
    EXPECT_EQ(high(r.eax) & 0x60, 0x60);
    outb(0x3fb, 0x83);
    EXPECT_EQ(inb(0x3f8) | inb(0x3f9) << 8, 12);
    outb(0x3fb, 0x03);
    print("\r\n");
}

void check_pci(void)
{
    struct regs r = regs_of(0xb101);
    bios(0x1a, &r);
    if (r.eflags & FLAG_CF) /* no PCI */
        return;
    EXPECT_EQ(high(r.eax), 0);
    EXPECT_EQ(r.edx, 0x20494350);
    EXPECT(r.eax & 1);   /* configuration mechanism 1 */
    r = regs_of(0xb103); /* the first ISA bridge */
    r.ecx = 0x060100;
    bios(0x1a, &r);
    EXPECT(!(r.eflags & FLAG_CF));
    uint32_t bridge = r.ebx & 0xffff;
    r = regs_of(0xb10a); /* its configuration, a double word */
    r.ebx = bridge, r.edi = 0;
    bios(0x1a, &r);
    uint32_t id = r.ecx;
    EXPECT_EQ(id & 0xffff, 0x8086);
    r = regs_of(0xb102); /* found by what it is called */
    r.ecx = id >> 16, r.edx = id & 0xffff, r.esi = 0;
    bios(0x1a, &r);
    EXPECT_EQ(r.ebx & 0xffff, bridge);
    r = regs_of(0xb109); /* a word */
    r.ebx = bridge, r.edi = 2;
    bios(0x1a, &r);
    EXPECT_EQ(r.ecx & 0xffff, id >> 16);
    r = regs_of(0xb108); /* a byte: the class */
    r.ebx = bridge, r.edi = 0x0b;
    bios(0x1a, &r);
    EXPECT_EQ(r.ecx & 0xff, 6);
    r = regs_of(0xb102); /* nobody is called that */
    r.ecx = 0x1234, r.edx = 0x5678, r.esi = 0;
    bios(0x1a, &r);
    EXPECT(r.eflags & FLAG_CF);
    EXPECT_EQ(high(r.eax), 0x86);
}
