/* fuzz_chips_toypci.c - pokes of the toy PCI device: its registers, lists of descriptors, frames. See
 * fuzz_chips.h. */
#include "tests/fuzz/fuzz_chips.h"

#include "clockcore/ticks.h"
#include "hw/toypci.h"

#define LIST_AT UINT32_C(0x3000)
#define DATA_AT UINT32_C(0x4000)

/* Every register, with values that mean something to some of them. */
static uint32_t registers(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint32_t values[] = {0, 1, 31, 0x3000, 0x1003, 60, 0xFFFFFFFF, 5};
    const struct chip_class *c = &toypci_class;
    uint32_t sum = 0;

    for (uint32_t at = 0; at < 64; at += 4, r = fuzz_next(r)) {
        if (r >> 40 & 1 && at != TOYPCI_REG_START)
            c->write(s, at, 4, values[r >> 41 & 7], now_ns);
        if (r >> 44 & 1)
            sum += c->read(s, at, 4, now_ns);
    }
    return sum;
}

/* Descriptors between memory, the card and the disk. Few of them are wrong. */
static void put_list(uint64_t r)
{
    static const uint32_t bytes[] = {0, 16, 512, 2048, 16128, 1, 100, 0x7FFFFFFF};

    for (unsigned n = 0; n < 4; n++, r = fuzz_next(r)) {
        put_guest(LIST_AT + 16 * n, r >> 32 & 15 ? DATA_AT + (r >> 36 & 0xFFF) : (uint32_t)r, 4);
        put_guest(LIST_AT + 16 * n + 4, bytes[r >> 48 & 7], 4);
        put_guest(LIST_AT + 16 * n + 8, r >> 51 & 7 ? r >> 54 & 0xFF : (uint32_t)(r >> 16), 4);
        put_guest(LIST_AT + 16 * n + 12, r >> 61, 4);
    }
}

static void run_list(void *s, uint64_t r, uint64_t now_ns)
{
    const struct chip_class *c = &toypci_class;

    put_list(r);
    c->write(s, TOYPCI_REG_LIST, 4, r >> 8 & 31 ? LIST_AT : (uint32_t)(r >> 16), now_ns);
    c->write(s, TOYPCI_REG_COUNT, 4, r >> 13 & 7, now_ns);
    c->write(s, TOYPCI_REG_RATE, 4, r >> 16 & 3, now_ns);
    c->write(s, TOYPCI_REG_START, 4, 1, now_ns);
    for (unsigned i = 0; i < 16 && c->next_master(s) != NS_NEVER; i++, r = fuzz_next(r))
        use_memory(c, s, r >> 40 & 31 ? 0x100 : r, now_ns > c->next_master(s) ? now_ns : c->next_master(s));
}

static uint32_t frames_and_motions(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t entry[PORT_ENTRY_BYTES] = {1, 2, 3};
    static uint8_t sent[PORT_ENTRY_BYTES];
    uint32_t bytes = r >> 8 & (PORT_ENTRY_BYTES - 1);
    struct port_picture p;

    if (toypci_frames_in.ready_ns(s) <= now_ns)
        toypci_frames_in.put(s, entry, bytes + 1, now_ns);
    if (r >> 32 & 1 && toypci_pointer_in.ready_ns(s) <= now_ns)
        toypci_pointer_in.put(s, entry, bytes % 8, now_ns);
    if (r >> 33 & 1)
        toypci_class.write(s, TOYPCI_REG_FRAME, 4, 0, now_ns);
    bool shown = toypci_pixels.picture(s, &p);
    return toypci_frames_out.take(s, sent, bytes) + shown + p.width * p.height;
}

uint32_t poke_toypci(void *s, uint64_t r, uint64_t now_ns)
{
    switch (r & 3) {
    case 0:
        return registers(s, r, now_ns);
    case 1:
        run_list(s, r, now_ns);
        return toypci_class.outputs(s);
    case 2:
        return frames_and_motions(s, r, now_ns);
    default:
        if (toypci_class.next_master(s) <= now_ns)
            use_memory(&toypci_class, s, r, now_ns);
        return 0;
    }
}
