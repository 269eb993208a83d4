/* bench_screen.c - a screen of 1024 x 768 x 32 that is painted anew 60 times a virtual second while frames
 * come in by an e1000 and the CPU computes.
 *
 * frames=N: so many pictures (0: as many as it takes); bytes=N: so many bytes of Ethernet frames of type
 * 88B5h (0: no network), which are summed up. It ends when there have been as many of both. hz=N: pictures a
 * second, 0 for none; lines=N: how many of the screen's 768 are painted. compute=0: it polls, and computes
 * nothing. A picture is copied from a larger one, a line lower each time, so all of it changes. */
#include "rt.h"

#define WIDTH        1024u
#define HEIGHT       768u
#define FRAME        0xE0000000u
#define CARD         0xE2000000u
#define WORLD        0x800000u /* the larger picture: WIDTH x (HEIGHT + 256) */
#define RING         0x400000u
#define BUFFERS      0x410000u
#define DESCS        256u
#define BUFFER_BYTES 2048u
#define SECOND_NS    1000000000u /* the time-stamp counter counts ns */

enum { RCTL = 0x100, RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818 };
enum { XRES = 1, YRES, BPP, ENABLE };

struct desc {
    uint32_t address, address_high;
    uint16_t bytes, checksum;
    uint8_t status, errors;
    uint16_t special;
};

static uint32_t received, sum, head;

static uint32_t config(uint32_t function, uint32_t reg)
{
    outl(0xCF8, 0x80000000u | function << 8 | reg);
    return inl(0xCFC);
}

static void config_set(uint32_t function, uint32_t reg, uint32_t v)
{
    outl(0xCF8, 0x80000000u | function << 8 | reg);
    outl(0xCFC, v);
}

/* Of this vendor and device, with its memory at `at`, and as a bus master. */
static bool place(uint32_t vendor_device, uint32_t at)
{
    for (uint32_t function = 0; function < 256; function++)
        if (config(function, 0) == vendor_device) {
            config_set(function, 0x10, at);
            config_set(function, 0x04, 7);
            return true;
        }
    return false;
}

/* --- the network card --- */

static volatile uint32_t *card(uint32_t reg)
{
    return (volatile uint32_t *)(CARD + reg);
}

static void start_card(void)
{
    struct desc *d = (struct desc *)RING;

    memset(d, 0, DESCS * sizeof *d);
    for (uint32_t i = 0; i < DESCS; i++)
        d[i].address = BUFFERS + i * BUFFER_BYTES;
    *card(RDBAL) = RING;
    *card(RDBAL + 4) = 0;
    *card(RDLEN) = DESCS * sizeof *d;
    *card(RDH) = 0;
    *card(RDT) = DESCS - 1;
    *card(RCTL) = 0x0000801Au; /* on, everything for anybody, 2048 bytes a buffer */
}

/* What has come; the card is told of every 64th buffer that is free again. */
static void receive(void)
{
    volatile struct desc *d = (volatile struct desc *)RING + head;

    while (d->status & 1) {
        const uint32_t *words = (const uint32_t *)(BUFFERS + head * BUFFER_BYTES);
        uint32_t bytes = d->bytes;
        for (uint32_t i = 4; i < bytes / 4; i++)
            sum += words[i];
        if ((words[3] & 0xFFFF) == 0xB588)
            received += bytes;
        d->status = 0;
        if (head % 64 == 63)
            *card(RDT) = head;
        head = (head + 1) % DESCS;
        d = (volatile struct desc *)RING + head;
    }
}

/* --- the screen --- */

static void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static void dispi(uint16_t index, uint16_t v)
{
    outw(0x1CE, index);
    outw(0x1CF, v);
}

static void start_screen(void)
{
    uint32_t *p = (uint32_t *)WORLD;

    dispi(ENABLE, 0);
    dispi(XRES, WIDTH);
    dispi(YRES, HEIGHT);
    dispi(BPP, 32);
    dispi(ENABLE, 0x41);
    for (uint32_t y = 0; y < HEIGHT + 256; y++)
        for (uint32_t x = 0; x < WIDTH; x++)
            *p++ = (x / 16 + y / 16) % 7 * 0x241810 + (y & 255) * 0x10000 + ((x * y) >> 12);
}

static void copy_words(uint32_t to, uint32_t from, uint32_t words)
{
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* --- the rest --- */

static uint32_t compute(uint32_t v)
{
    for (uint32_t i = 1; i < 500; i++)
        v = v * 33 + (v >> 5) + i;
    return v;
}

int guest_main(void)
{
    const uint32_t frames = option("frames", 0), bytes = option("bytes", 0), hz = option("hz", 60);
    const uint32_t lines = option("lines", HEIGHT), computes = option("compute", 1);
    uint32_t painted = 0, v = 1;

    EXPECT(place(0x11111234u, FRAME) && lines <= HEIGHT);
    start_screen();
    if (bytes) {
        EXPECT(place(0x100E8086u, CARD));
        start_card();
    }
    print("ready\n");
    uint64_t next = rdtsc();
    while (!failures && (painted < frames || received < bytes)) {
        if (rdtsc() >= next) {
            copy_words(FRAME, WORLD + painted % 256 * WIDTH * 4, hz ? lines * WIDTH : 0);
            next += SECOND_NS / (hz ? hz : 60);
            painted++;
        }
        if (bytes)
            receive();
        if (computes)
            v = compute(v);
    }
    print("%u pictures, %u bytes\n", painted, received);
    return (int)failures + (v == 0);
}
