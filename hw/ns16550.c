/* ns16550.c - UART with FIFOs (National Semiconductor PC16550D data sheet).
 *
 * On an infinitely fast line (the default) a character goes to the back end, or in loopback to the
 * receiver, as it is written: THR is always empty, LSR says so, and the next character from outside comes as
 * soon as there is room. THRE's interrupt is that of a THR that was full for a moment: where it was pending
 * already, INTR falls and rises again.
 *
 * At wire speed a character takes start + data + parity + stop bits of divisor * 16 / 1843200 s each, both
 * ways. The transmitter is THR (or a 16-byte FIFO) before a shift register; a character goes to
 * the back end as it enters the shift register, one character time after its predecessor.
 *
 * The back end delivers characters no faster than the line and only while there is room, so overruns
 * come from loopback or a careless back end only. CTS, DSR and DCD are always on, RI off. The receiver's
 * timeout is four characters of the programmed speed on any line.
 *
 * A read of LSR forgets the errors that it shows; without errors it changes nothing, so that a polling
 * guest (which reads little else) need not wait for the device thread. The delta bits of MSR are never
 * set, since outside loopback no modem line ever changes: MSR has no side effect at all.
 *
 * NOT MODELLED: parity and framing errors; MSR deltas and the modem status interrupt; DMA mode
 * (RXRDY, TXRDY pins); the effect of set-break on the other side; a divisor of 0 counts as 65536. */
#include "hw/ns16550.h"

#include "clockcore/ticks.h"

#include <string.h>

enum { REG_RBR_THR, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_ERBFI      0x01
#define IER_ETBEI      0x02
#define IER_ELSI       0x04
#define IIR_NONE       0x01
#define IIR_THRE       0x02
#define IIR_RDA        0x04
#define IIR_LINE       0x06
#define IIR_TIMEOUT    0x0C
#define IIR_FIFOS      0xC0
#define FCR_ENABLE     0x01
#define FCR_CLEAR_RX   0x02
#define FCR_CLEAR_TX   0x04
#define FCR_KEPT       0xC9
#define LCR_STB        0x04
#define LCR_PEN        0x08
#define LCR_DLAB       0x80
#define MCR_DTR        0x01
#define MCR_RTS        0x02
#define MCR_OUT1       0x04
#define MCR_OUT2       0x08
#define MCR_LOOP       0x10
#define LSR_DR         0x01
#define LSR_OE         0x02
#define LSR_BI         0x10
#define LSR_THRE       0x20
#define LSR_TEMT       0x40
#define LSR_FIFO_ERROR 0x80
#define MSR_CTS        0x10
#define MSR_DSR        0x20
#define MSR_RI         0x40
#define MSR_DCD        0x80

_Static_assert(NS16550_FIFO_BYTES == sizeof(((struct ns16550 *)0)->rx), "FIFO size");
_Static_assert(NS16550_OUT_BYTES == sizeof(((struct ns16550 *)0)->out), "out buffer size");

static bool fifos(const struct ns16550 *s)
{
    return s->fcr & FCR_ENABLE;
}

static unsigned fifo_capacity(const struct ns16550 *s)
{
    return fifos(s) ? NS16550_FIFO_BYTES : 1;
}

/* Time of one character. In half bits, because 5-bit characters have one and a half stop bits. */
static uint64_t character_ns(const struct ns16550 *s)
{
    unsigned data = 5 + (s->lcr & 3u), divisor = s->dll | (unsigned)s->dlm << 8;
    unsigned stop_halves = !(s->lcr & LCR_STB) ? 2 : data == 5 ? 3 : 4;
    unsigned halves = 2 + 2 * data + (s->lcr & LCR_PEN ? 2 : 0) + stop_halves;

    return count_ns((uint64_t)halves * 8 * (divisor ? divisor : 65536), NS16550_CLOCK_HZ);
}

static unsigned trigger_level(const struct ns16550 *s)
{
    static const uint8_t level[4] = {1, 4, 8, 14};

    return fifos(s) ? level[s->fcr >> 6] : 1;
}

/* Highest-priority interrupt (data sheet, table IV): the IIR value without the FIFO bits. */
static uint8_t interrupt(const struct ns16550 *s)
{
    if ((s->ier & IER_ELSI) && s->line_errors)
        return IIR_LINE;
    if ((s->ier & IER_ERBFI) && s->rx_count >= trigger_level(s))
        return IIR_RDA;
    if ((s->ier & IER_ERBFI) && s->timeout_pending)
        return IIR_TIMEOUT;
    if ((s->ier & IER_ETBEI) && s->thre_pending)
        return IIR_THRE;
    return IIR_NONE;
}

/* --- receiver --- */

/* The timeout runs while the FIFO holds anything: four character times from the last move. */
static void restart_rx_timeout(struct ns16550 *s, uint64_t now_ns)
{
    s->timeout_pending = 0;
    s->rx_timeout_ns = fifos(s) && s->rx_count ? now_ns + 4 * character_ns(s) : NS_NEVER;
}

/* The errors of a character are shown when it is the next to be read. */
static void reveal_errors(struct ns16550 *s)
{
    s->line_errors |= s->rx_error[0];
    s->rx_error[0] = 0;
}

static void rx_push(struct ns16550 *s, uint8_t byte, uint8_t error, uint64_t now_ns)
{
    if (s->rx_count >= fifo_capacity(s)) {
        s->line_errors |= LSR_OE;
        if (!fifos(s)) { /* the new character replaces the unread one; a full FIFO keeps its own */
            s->rx[0] = byte;
            s->line_errors |= error;
        }
        return;
    }
    s->rx[s->rx_count] = byte;
    s->rx_error[s->rx_count] = error;
    s->rx_count++;
    reveal_errors(s);
    restart_rx_timeout(s, now_ns);
}

static uint8_t read_rbr(struct ns16550 *s, uint64_t now_ns)
{
    uint8_t byte = s->rx[0];

    if (!s->rx_count)
        return byte;
    s->rx_count--;
    if (s->rx_count) {
        memmove(s->rx, s->rx + 1, sizeof s->rx - 1);
        memmove(s->rx_error, s->rx_error + 1, sizeof s->rx_error - 1);
        reveal_errors(s);
    }
    restart_rx_timeout(s, now_ns);
    return byte;
}

static void rx_clear(struct ns16550 *s)
{
    memset(s->rx, 0, sizeof s->rx);
    memset(s->rx_error, 0, sizeof s->rx_error);
    s->rx_count = s->line_errors = s->timeout_pending = 0;
    s->rx_timeout_ns = NS_NEVER;
}

/* --- transmitter --- */

/* Never full: the board drains it after each call, and a call starts one character. */
static void send(struct ns16550 *s, uint8_t byte)
{
    if (s->out_count < NS16550_OUT_BYTES)
        s->out[s->out_count++] = byte;
}

/* The next character enters the shift register at `at_ns`, when there is one. */
static void tx_start(struct ns16550 *s, uint64_t at_ns)
{
    s->tx_done_ns = NS_NEVER;
    if (!s->tx_count)
        return;
    s->tsr = s->tx[0];
    s->tsr_loop = (s->mcr & MCR_LOOP) != 0;
    memmove(s->tx, s->tx + 1, sizeof s->tx - 1);
    s->tx[sizeof s->tx - 1] = 0;
    s->tx_count--;
    s->tx_done_ns = at_ns + character_ns(s);
    if (!s->tx_count)
        s->thre_pending = 1;
    if (!s->tsr_loop)
        send(s, s->tsr);
}

/* THR was full for a moment, too short to be seen but by the 8259, which wants an edge: where the interrupt
 * was pending already, INTR falls, and an event raises it. */
static void thr_emptied(struct ns16550 *s, bool was_pending, uint64_t now_ns)
{
    s->thre_pending = !was_pending && s->thre_ns == NS_NEVER;
    if (was_pending)
        s->thre_ns = now_ns + 1;
}

static void write_thr_at_once(struct ns16550 *s, uint8_t byte, uint64_t now_ns)
{
    if (s->mcr & MCR_LOOP)
        rx_push(s, byte, 0, now_ns);
    else
        send(s, byte);
    thr_emptied(s, (s->ier & IER_ETBEI) && s->thre_pending, now_ns);
}

static void write_thr_at_wire_speed(struct ns16550 *s, uint8_t byte, uint64_t now_ns)
{
    bool was_pending = (s->ier & IER_ETBEI) && s->thre_pending;

    s->thre_pending = 0;
    s->thre_ns = NS_NEVER;
    if (s->tx_count < fifo_capacity(s))
        s->tx[s->tx_count++] = byte;
    else if (!fifos(s))
        s->tx[0] = byte; /* THR is overwritten; a full FIFO ignores the write */
    if (s->tx_done_ns != NS_NEVER)
        return;
    tx_start(s, now_ns);
    if (!s->tx_count)
        thr_emptied(s, was_pending, now_ns);
}

static void write_thr(struct ns16550 *s, uint8_t byte, uint64_t now_ns)
{
    if (s->wire)
        write_thr_at_wire_speed(s, byte, now_ns);
    else
        write_thr_at_once(s, byte, now_ns);
}

static void tx_done(struct ns16550 *s, uint64_t now_ns)
{
    uint64_t done_ns = s->tx_done_ns;

    if (s->tsr_loop)
        rx_push(s, s->tsr, 0, now_ns);
    tx_start(s, done_ns); /* back to back, however late the tick came */
    /* A character shorter than a tick: at most one a tick, so that next_event stays ahead. */
    if (s->tx_done_ns <= now_ns)
        s->tx_done_ns = now_ns + 1;
}

static void tx_clear(struct ns16550 *s)
{
    memset(s->tx, 0, sizeof s->tx);
    if (s->tx_count)
        s->thre_pending = 1;
    s->tx_count = 0;
}

/* --- registers --- */

static void write_ier(struct ns16550 *s, uint8_t v)
{
    /* Enabling THRE's interrupt with THR empty raises it at once. */
    if ((v & ~s->ier & IER_ETBEI) && !s->tx_count) {
        s->thre_pending = 1;
        s->thre_ns = NS_NEVER;
    }
    s->ier = v & 0x0F;
}

static void write_fcr(struct ns16550 *s, uint8_t v)
{
    bool change = (v ^ s->fcr) & FCR_ENABLE;

    if (change || ((v & FCR_ENABLE) && (v & FCR_CLEAR_RX)))
        rx_clear(s);
    if (change || ((v & FCR_ENABLE) && (v & FCR_CLEAR_TX)))
        tx_clear(s);
    s->fcr = v & FCR_ENABLE ? v & FCR_KEPT : 0;
}

static uint8_t read_iir(struct ns16550 *s)
{
    uint8_t cause = interrupt(s);

    if (cause == IIR_THRE)
        s->thre_pending = 0;
    return cause | (fifos(s) ? IIR_FIFOS : 0);
}

static uint8_t lsr(const struct ns16550 *s)
{
    uint8_t v = s->line_errors, error = s->line_errors & LSR_BI;

    if (s->rx_count)
        v |= LSR_DR;
    for (unsigned i = 0; i < s->rx_count && i < sizeof s->rx; i++)
        error |= s->rx_error[i];
    if (fifos(s) && error)
        v |= LSR_FIFO_ERROR;
    if (!s->tx_count)
        v |= LSR_THRE;
    if (!s->tx_count && s->tx_done_ns == NS_NEVER)
        v |= LSR_TEMT;
    return v;
}

static uint8_t read_lsr(struct ns16550 *s)
{
    uint8_t v = lsr(s);

    s->line_errors = 0;
    return v;
}

static bool read_changes(const void *state, uint32_t offset)
{
    return offset == REG_LSR && ((const struct ns16550 *)state)->line_errors;
}

/* In loopback the modem outputs come back as inputs: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD. */
static uint8_t msr(const struct ns16550 *s)
{
    if (!(s->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
           (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct ns16550 *s = state;

    (void)size;
    (void)now_ns;
    switch (offset) {
    case REG_IER:
        return s->lcr & LCR_DLAB ? s->dlm : s->ier;
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        return lsr(s);
    case REG_MSR:
        return msr(s);
    case REG_SCR:
        return s->scr;
    default:
        return 0xFF;
    }
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct ns16550 *s = state;

    if (offset == REG_RBR_THR)
        return s->lcr & LCR_DLAB ? s->dll : read_rbr(s, now_ns);
    if (offset == REG_IIR_FCR)
        return read_iir(s);
    if (offset == REG_LSR)
        return read_lsr(s);
    return pure_read(s, offset, size, now_ns);
}

static void write_divisor(struct ns16550 *s, uint32_t offset, uint8_t v)
{
    if (offset == REG_RBR_THR)
        s->dll = v;
    else
        s->dlm = v;
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct ns16550 *s = state;
    uint8_t v = (uint8_t)value;

    (void)size;
    if ((s->lcr & LCR_DLAB) && offset <= REG_IER) {
        write_divisor(s, offset, v);
        return;
    }
    switch (offset) {
    case REG_RBR_THR:
        write_thr(s, v, now_ns);
        break;
    case REG_IER:
        write_ier(s, v);
        break;
    case REG_IIR_FCR:
        write_fcr(s, v);
        break;
    case REG_LCR:
        s->lcr = v;
        break;
    case REG_MCR:
        s->mcr = v & 0x1F;
        break;
    case REG_SCR:
        s->scr = v;
        break;
    default: /* LSR and MSR are read-only */
        break;
    }
}

/* PC16550D data sheet, table II: bits that are always 0; LSR: "intended for read operations only". */
static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct ns16550 *s = state;

    (void)size;
    if (offset == REG_LSR)
        return "LSR is read-only";
    if (offset == REG_IIR_FCR && (value & 0x30))
        return "FCR with reserved bits set";
    if ((offset == REG_MCR && (value & 0xE0)) ||
        (offset == REG_IER && !(s->lcr & LCR_DLAB) && (value & 0xF0)))
        return "IER or MCR with bits set that are always 0";
    return NULL;
}

static void advance(void *state, uint64_t now_ns)
{
    struct ns16550 *s = state;

    if (s->tx_done_ns <= now_ns)
        tx_done(s, now_ns);
    if (s->thre_ns <= now_ns) {
        s->thre_pending = 1;
        s->thre_ns = NS_NEVER;
    }
    if (s->rx_timeout_ns <= now_ns) {
        s->timeout_pending = 1;
        s->rx_timeout_ns = NS_NEVER;
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_event(const void *state)
{
    const struct ns16550 *s = state;

    return least(s->thre_ns, least(s->tx_done_ns, s->rx_timeout_ns));
}

static uint32_t outputs(const void *state)
{
    const struct ns16550 *s = state;

    /* OUT2 gates the PC's interrupt line; in loopback the pin itself is inactive. */
    return (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && interrupt(s) != IIR_NONE;
}

unsigned ns16550_unsent(const struct ns16550 *s, uint8_t *bytes, unsigned max)
{
    unsigned n = s->mcr & MCR_LOOP ? 0 : s->tx_count < max ? s->tx_count : max;

    memcpy(bytes, s->tx, n);
    return n;
}

bool ns16550_take_tx(struct ns16550 *s, uint8_t *byte)
{
    if (!s->out_count)
        return false;
    *byte = s->out[0];
    s->out_count--;
    memmove(s->out, s->out + 1, sizeof s->out - 1);
    s->out[sizeof s->out - 1] = 0;
    return true;
}

bool ns16550_can_receive(const struct ns16550 *s)
{
    return !(s->mcr & MCR_LOOP) && s->rx_count < fifo_capacity(s);
}

uint64_t ns16550_receive_ready_ns(const struct ns16550 *s)
{
    return s->rx_ready_ns;
}

static void receive(struct ns16550 *s, uint8_t byte, uint8_t error, uint64_t now_ns)
{
    if (s->mcr & MCR_LOOP)
        return; /* the input pin is disconnected */
    s->rx_ready_ns = now_ns + (s->wire ? character_ns(s) : 0);
    rx_push(s, byte, error, now_ns);
}

void ns16550_receive(struct ns16550 *s, uint8_t byte, uint64_t now_ns)
{
    receive(s, byte, 0, now_ns);
}

void ns16550_break(struct ns16550 *s, uint64_t now_ns)
{
    receive(s, 0, LSR_BI, now_ns);
}

static void reset_line(struct ns16550 *s, bool wire, uint64_t now_ns)
{
    *s = (struct ns16550){.wire = wire};
    s->tx_done_ns = s->thre_ns = s->rx_timeout_ns = NS_NEVER;
    s->rx_ready_ns = now_ns;
    s->dll = 12; /* 9600 baud until programmed; the data sheet leaves the divisor undefined */
}

static void reset(void *state, uint64_t now_ns)
{
    reset_line(state, false, now_ns);
}

static void reset_wire(void *state, uint64_t now_ns)
{
    reset_line(state, true, now_ns);
}

static const struct field fields[] = {
    FIELD(struct ns16550, tx_done_ns),
    FIELD(struct ns16550, thre_ns),
    FIELD(struct ns16550, rx_timeout_ns),
    FIELD(struct ns16550, rx_ready_ns),
    FIELD_ARRAY(struct ns16550, rx),
    FIELD_ARRAY(struct ns16550, rx_error),
    FIELD_ARRAY(struct ns16550, tx),
    FIELD_ARRAY(struct ns16550, out),
    FIELD_MAX(struct ns16550, rx_count, NS16550_FIFO_BYTES),
    FIELD_MAX(struct ns16550, tx_count, NS16550_FIFO_BYTES),
    FIELD_MAX(struct ns16550, out_count, NS16550_OUT_BYTES),
    FIELD(struct ns16550, tsr),
    FIELD(struct ns16550, tsr_loop),
    FIELD(struct ns16550, ier),
    FIELD(struct ns16550, fcr),
    FIELD(struct ns16550, lcr),
    FIELD(struct ns16550, mcr),
    FIELD(struct ns16550, scr),
    FIELD(struct ns16550, dll),
    FIELD(struct ns16550, dlm),
    FIELD(struct ns16550, line_errors),
    FIELD(struct ns16550, thre_pending),
    FIELD(struct ns16550, timeout_pending),
    FIELD(struct ns16550, wire),
};

#define CLASS(reset_fn)                                                                                      \
    {                                                                                                        \
        .name = "ns16550", .state_bytes = sizeof(struct ns16550), .fields = fields,                          \
        .nfields = sizeof fields / sizeof fields[0], .reset = (reset_fn), .read = read_reg,                  \
        .write = write_reg, .write_error = write_error, .pure_read = pure_read,                              \
        .read_changes = read_changes, .advance = advance, .next_event = next_event, .outputs = outputs       \
    }

const struct chip_class ns16550_class = CLASS(reset);
const struct chip_class ns16550_wire_class = CLASS(reset_wire);
