/* pcmisc.c - small PC ports (IBM PS/2 Hardware Interface Technical Reference for 92h; the emulators'
 * conventions for 8900h and the debug exit).
 *
 * Model: port 80h keeps the last POST code. Port 92h has A20 (bit 1, off after reset; on where
 * the machine boots without firmware) and fast reset (a rise of bit 0). The letters "Shutdown" written to
 * port 8900h power the machine off. A write to the debug exit port asks to leave with that value.
 *
 * NOT MODELLED: the other bits of port 92h (disk LEDs, security lock). */
#include "hw/pcmisc.h"

#define PORTA_FAST_RESET 0x01
#define PORTA_A20        0x02

static const char shutdown_word[] = "Shutdown";

static void write_porta(struct pcmisc *s, uint8_t v)
{
    if (v & ~s->porta & PORTA_FAST_RESET)
        s->request |= HW_REQUEST_RESET;
    s->porta = v & (PORTA_FAST_RESET | PORTA_A20);
}

static void write_shutdown(struct pcmisc *s, uint8_t v)
{
    if (v != (uint8_t)shutdown_word[s->shutdown_length & 7])
        s->shutdown_length = 0;
    if (v == (uint8_t)shutdown_word[s->shutdown_length & 7])
        s->shutdown_length++;
    if (s->shutdown_length == sizeof shutdown_word - 1) {
        s->shutdown_length = 0;
        s->request |= HW_REQUEST_POWEROFF;
    }
}
_Static_assert(sizeof shutdown_word - 1 == 8, "the index above is masked with 7");

static void write_debug_exit(struct pcmisc *s, unsigned size, uint32_t value)
{
    s->exit_value = size >= 4 ? value : value & ((1u << (8 * size)) - 1);
    s->request |= HW_REQUEST_DEBUG_EXIT;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct pcmisc *s = state;

    (void)size;
    (void)now_ns;
    switch (offset) {
    case PCMISC_OFF_POST:
        return s->post;
    case PCMISC_OFF_PORTA:
        return s->porta;
    default:
        return offset >= PCMISC_OFF_DEBUG_EXIT ? 0 : UINT32_MAX;
    }
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return pure_read(state, offset, size, now_ns);
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct pcmisc *s = state;

    (void)now_ns;
    switch (offset) {
    case PCMISC_OFF_POST:
        s->post = (uint8_t)value;
        break;
    case PCMISC_OFF_PORTA:
        write_porta(s, (uint8_t)value);
        break;
    case PCMISC_OFF_SHUTDOWN:
        write_shutdown(s, (uint8_t)value);
        break;
    default: /* any byte of the debug exit port will do */
        if (offset >= PCMISC_OFF_DEBUG_EXIT && offset < PCMISC_OFF_NOTHING)
            write_debug_exit(s, size, value);
        break;
    }
}

uint32_t pcmisc_take_request(struct pcmisc *s)
{
    uint32_t request = s->request;

    s->request = 0;
    return request;
}

uint32_t pcmisc_exit_value(const struct pcmisc *s)
{
    return s->exit_value;
}

bool pcmisc_a20(const struct pcmisc *s)
{
    return s->porta & PORTA_A20;
}

static void reset(void *state, uint64_t now_ns)
{
    struct pcmisc *s = state;

    (void)now_ns;
    *s = (struct pcmisc){.porta = PORTA_A20};
}

static void reset_for_firmware(void *state, uint64_t now_ns)
{
    (void)now_ns;
    *(struct pcmisc *)state = (struct pcmisc){0};
}

static const struct field fields[] = {
    FIELD(struct pcmisc, exit_value), FIELD(struct pcmisc, post),
    FIELD(struct pcmisc, porta),      FIELD_MAX(struct pcmisc, shutdown_length, 7),
    FIELD(struct pcmisc, request),
};

#define CLASS(reset_fn)                                                                                      \
    {                                                                                                        \
        .name = "pcmisc", .state_bytes = sizeof(struct pcmisc), .fields = fields,                            \
        .nfields = sizeof fields / sizeof fields[0], .reset = (reset_fn), .read = read_reg,                  \
        .write = write_reg, .pure_read = pure_read                                                           \
    }

const struct chip_class pcmisc_class = CLASS(reset);
const struct chip_class pcmisc_firmware_class = CLASS(reset_for_firmware);
