/* bench_screen.c - a screen of 1024 x 768 x 32 that is painted anew 60 times a virtual second while frames
 * come in by an e1000, or with card=1 by a virtio card in its legacy form, and the CPU computes.
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
#define VIRTIO       0xC000u   /* I/O ports */
#define WORLD        0x800000u /* the larger picture: WIDTH x (HEIGHT + 256) */
#define RING         0x400000u
#define BUFFERS      0x410000u
#define HEADERS      0x500000u
#define HEADER_BYTES 10u
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

struct virtio_desc {
    uint32_t address, address_high, bytes;
    uint16_t flags, next;
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

static void take_frame(uint32_t at, uint32_t bytes)
{
    const uint32_t *words = (const uint32_t *)at;

    for (uint32_t i = 4; i < bytes / 4; i++)
        sum += words[i];
    if ((words[3] & 0xFFFF) == 0xB588)
        received += bytes;
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
        take_frame(BUFFERS + head * BUFFER_BYTES, d->bytes);
        d->status = 0;
        if (head % 64 == 63)
            *card(RDT) = head;
        head = (head + 1) % DESCS;
        d = (volatile struct desc *)RING + head;
    }
}

/* --- the virtio card: Virtual I/O Device 1.1, 4.1.4.8 and 2.6, each chain a header and a buffer --- */

static void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static uint16_t inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static struct {
    unsigned size;
    volatile uint16_t *avail, *used; /* flags, index, entries */
    uint16_t available, seen;
} queue;

static void offer_buffers(void)
{
    struct virtio_desc *d = (struct virtio_desc *)RING;

    for (unsigned i = 0; i + 1 < queue.size; i += 2) {
        d[i] = (struct virtio_desc){HEADERS + 8 * i, 0, HEADER_BYTES, 3, (uint16_t)(i + 1)}; /* WRITE, NEXT */
        d[i + 1] = (struct virtio_desc){BUFFERS + i / 2 * BUFFER_BYTES, 0, BUFFER_BYTES, 2, 0};
        queue.avail[2 + queue.available++] = (uint16_t)i;
    }
    queue.avail[1] = queue.available;
}

static void start_virtio(void)
{
    outb(VIRTIO + 0x12, 0);
    outb(VIRTIO + 0x12, 3); /* ACKNOWLEDGE, DRIVER */
    outl(VIRTIO + 4, 0);    /* no feature */
    outw(VIRTIO + 0x0E, 0); /* the receive queue */
    queue.size = inw(VIRTIO + 0x0C);
    EXPECT(queue.size >= 64 && queue.size <= DESCS);
    memset((void *)RING, 0, BUFFERS - RING);
    queue.avail = (volatile uint16_t *)(RING + 16 * queue.size);
    queue.used = (volatile uint16_t *)((RING + 18 * queue.size + 6 + 4095) & ~4095u);
    outl(VIRTIO + 8, RING / 4096);
    offer_buffers();
    outb(VIRTIO + 0x12, 7); /* DRIVER_OK */
    outw(VIRTIO + 0x10, 0);
}

/* The card is told of every 16th buffer that is free again. */
static void receive_virtio(void)
{
    while (queue.seen != queue.used[1]) {
        const volatile uint32_t *entry =
            (const volatile uint32_t *)(queue.used + 2) + 2 * (queue.seen++ % queue.size);
        take_frame(BUFFERS + entry[0] / 2 * BUFFER_BYTES, entry[1] - HEADER_BYTES);
        queue.avail[2 + queue.available++ % queue.size] = (uint16_t)entry[0];
        __asm__ volatile("" : : : "memory");
        queue.avail[1] = queue.available;
        if (queue.seen % 16 == 0)
            outw(VIRTIO + 0x10, 0);
    }
}

/* --- the screen --- */

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
    const uint32_t virtio = option("card", 0);
    uint32_t painted = 0, v = 1;

    EXPECT(place(0x11111234u, FRAME) && lines <= HEIGHT);
    start_screen();
    if (bytes) {
        EXPECT(virtio ? place(0x10001AF4u, VIRTIO) : place(0x100E8086u, CARD));
        (virtio ? start_virtio : start_card)();
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
            (virtio ? receive_virtio : receive)();
        if (computes)
            v = compute(v);
    }
    print("%u pictures, %u bytes\n", painted, received);
    return (int)failures + (v == 0);
}
