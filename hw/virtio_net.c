/* virtio_net.c - see virtio_net.h; section numbers are those of Virtual I/O Device (VIRTIO) 1.1.
 *
 * Model: queues are used in bounded batches. What is sent leaves when it has been read; the next batch begins
 * when the wire has carried it. A frame that comes in goes through the filter into a FIFO, and from there to
 * the driver as soon as there are buffers for all of it; under load not before BURST_NS have passed since the
 * last time, so that several go together. While the FIFO is full, the other end waits; before the driver is
 * ready, frames are lost.
 *
 * NOT MODELLED: segmentation (HOST_TSO4, GUEST_TSO4 and so on), several pairs of queues, VLAN filters,
 * announcements, a link that goes down. */
#include "hw/virtio_net.h"

#include "clockcore/ticks.h"
#include "hw/netsum.h"
#include "mem/master.h"

#include <string.h>

#define BATCH        32u
#define BURST_NS     20000u /* 16 long frames at 10 Gb/s: a third of the FIFO */
#define IDLE_NS      1000u  /* from one batch to the next where none of it went to the wire */
#define LENGTH_BYTES 4u
#define CONFIG_BYTES 8u
#define HEADER_MAX   12u
#define FRAME_MIN    60u
#define ISR_QUEUE    1u

enum { /* 5.1.3 */
       F_CSUM = 1 << 0,
       F_GUEST_CSUM = 1 << 1,
       F_MAC = 1 << 5,
       F_MRG_RXBUF = 1 << 15,
       F_STATUS = 1 << 16,
       F_CTRL_VQ = 1 << 17,
       F_CTRL_RX = 1 << 18,
       F_CTRL_MAC_ADDR = 1 << 23,
};
#define FEATURES                                                                                             \
    (F_CSUM | F_GUEST_CSUM | F_MAC | F_MRG_RXBUF | F_STATUS | F_CTRL_VQ | F_CTRL_RX | F_CTRL_MAC_ADDR |      \
     VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)
enum { STATUS_LINK_UP = 1 };                     /* 5.1.4 */
enum { HDR_NEEDS_CSUM = 1, HDR_DATA_VALID = 2 }; /* 5.1.6: flags */
enum { HDR_CSUM_START = 6, HDR_CSUM_OFFSET = 8, HDR_NUM_BUFFERS = 10 };

/* --- configuration space of PCI (4.1.2: a transitional device) --- */

static const struct pci_reg regs[] = {VIRTIO_PCI_REGS(0x00, 0x02, 0x01, CONFIG_BYTES)}; /* a network card */

#define FUNCTION(n)                                                                                          \
    {                                                                                                        \
        .devfn = PCI_DEVFN(NIC_SLOT(n), 0), .regs = regs, .nregs = sizeof(regs) / sizeof(regs[0]), .bar = {  \
            [0] = {.bytes = VIRTIO_LEGACY_BYTES, .io = true},                                                \
            [4] = {.bytes = VIRTIO_MODERN_BYTES}                                                             \
        }                                                                                                    \
    }
const struct pci_function virtio_net_function[NIC_SLOTS] = {FUNCTION(0), FUNCTION(1), FUNCTION(2),
                                                            FUNCTION(3)};

/* --- registers --- */

static uint32_t config_read(const struct virtio_net *s, uint32_t at, unsigned size)
{
    uint8_t c[CONFIG_BYTES] = {0};
    uint32_t v = 0;

    memcpy(c, s->mac, NIC_MAC_BYTES);
    c[6] = STATUS_LINK_UP;
    for (unsigned i = 0; i < size && i < 4; i++)
        v |= (uint32_t)(at + i < CONFIG_BYTES ? c[at + i] : 0) << 8 * i;
    return v;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct virtio_net *s = state;

    (void)now_ns;
    if (offset >= VIRTIO_LEGACY_CONFIG_AT && offset < VIRTIO_COMMON_AT)
        return config_read(s, offset - VIRTIO_LEGACY_CONFIG_AT, size);
    if (offset >= VIRTIO_DEVICE_AT && offset < VIRTIO_NOTIFY_AT)
        return config_read(s, offset - VIRTIO_DEVICE_AT, size);
    return virtio_pci_read(&s->v, s->q, VIRTIO_NET_QUEUES, offset, size);
}

static bool read_changes(const void *state, uint32_t offset)
{
    return virtio_pci_is_isr(offset) && ((const struct virtio_net *)state)->v.isr;
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct virtio_net *s = state;
    uint32_t v = pure_read(s, offset, size, now_ns);

    if (virtio_pci_is_isr(offset))
        s->v.isr = 0;
    return v;
}

static void device_reset(struct virtio_net *s)
{
    virtio_pci_reset(&s->v, FEATURES, s->q, VIRTIO_NET_QUEUES);
    s->tx_ns = s->rx_ns = NS_NEVER;
    s->burst_ns = 0;
    s->out_head = s->out_tail = s->rx_head = s->rx_tail = 0;
    memcpy(s->mac, s->fitted_mac, NIC_MAC_BYTES);
    s->promiscuous = 1; /* until the driver says what it wants, if it ever does */
    s->all_multicast = s->all_unicast = s->nmacs = 0;
    memset(s->table, 0, sizeof(s->table));
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void tx_arm(struct virtio_net *s, uint64_t now_ns)
{
    if (s->tx_ns == NS_NEVER)
        s->tx_ns = later(s->tx_wire_ns, now_ns);
}

static void rx_arm(struct virtio_net *s, uint64_t now_ns)
{
    if (s->rx_head != s->rx_tail && s->rx_ns == NS_NEVER)
        s->rx_ns = later(s->burst_ns, now_ns);
}

static void notify(struct virtio_net *s, uint32_t queue, uint64_t now_ns)
{
    if (!virtio_pci_runs(&s->v))
        return;
    if (queue == VIRTIO_NET_RX)
        rx_arm(s, now_ns);
    else if (queue < VIRTIO_NET_QUEUES)
        tx_arm(s, now_ns);
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct virtio_net *s = state;

    if (virtio_pci_is_notify(offset))
        notify(s, value & 0xFFFF, now_ns);
    else if (virtio_pci_write(&s->v, s->q, VIRTIO_NET_QUEUES, offset, size, value))
        device_reset(s);
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct virtio_net *s = state;

    (void)size;
    return virtio_pci_write_error(&s->v, s->q, VIRTIO_NET_QUEUES, offset, value);
}

static uint32_t outputs(const void *state)
{
    return ((const struct virtio_net *)state)->v.isr ? 1 : 0;
}

/* --- what all queues need --- */

struct work { /* what a use of memory has at hand */
    struct virtio_net *s;
    const struct mem_master *m;
    struct virtq_features f;
    struct virtq_chain chain; /* in hand */
};

/* 5.1.6.1: the field num_buffers is there with MRG_RXBUF, and always for a modern driver. */
static uint32_t header_bytes(const struct virtio_net *s)
{
    return s->v.driver & (F_MRG_RXBUF | VIRTIO_F_VERSION_1) ? HEADER_MAX : HEADER_MAX - 2;
}

static void broken(struct virtio_net *s)
{
    virtio_pci_broken(&s->v);
    s->tx_ns = s->rx_ns = NS_NEVER;
    s->rx_head = s->rx_tail = 0;
}

static bool give(struct work *w, unsigned queue, uint16_t head, uint32_t written)
{
    bool wanted;

    if (virtq_give(&w->s->q[queue], w->m, w->f, head, written, &wanted) != VIRTQ_OK)
        return false;
    w->s->v.isr |= wanted ? ISR_QUEUE : 0;
    return true;
}

/* The next chain of a queue. */
static enum virtq_result take(struct work *w, unsigned queue, uint16_t *head)
{
    enum virtq_result r = virtq_take(&w->s->q[queue], w->m, w->f, head);

    return r == VIRTQ_OK ? virtq_chain(&w->s->q[queue], w->m, w->f, *head, &w->chain) : r;
}

static uint64_t wire_ns(uint32_t bytes)
{
    return ((uint64_t)(bytes < FRAME_MIN ? FRAME_MIN : bytes) + 24) * 8 / 10; /* as e1000_wire_ns */
}

/* --- sending --- */

static bool out_has_room(const struct virtio_net *s)
{
    return s->out_tail + LENGTH_BYTES + VIRTIO_NET_FRAME_MAX <= VIRTIO_NET_OUT_BYTES;
}

/* 5.1.6.2: the driver has left the sum of the pseudo header where the checksum goes. */
static void insert_checksum(const struct virtio_net *s, const uint8_t *header, uint8_t *frame, uint32_t bytes)
{
    uint32_t start = header[HDR_CSUM_START] | (uint32_t)header[HDR_CSUM_START + 1] << 8;
    uint32_t at = start + (header[HDR_CSUM_OFFSET] | (uint32_t)header[HDR_CSUM_OFFSET + 1] << 8);

    if (s->v.driver & F_CSUM && header[0] & HDR_NEEDS_CSUM && start < bytes && at + 2 <= bytes)
        netsum_put16(frame + at, (uint16_t)~netsum_fold(netsum_add(0, frame + start, bytes - start)));
}

/* A frame that is too long, or none, is taken and dropped. False: the queue is broken. */
static bool send_chain(struct work *w, uint64_t now_ns)
{
    struct virtio_net *s = w->s;
    uint8_t header[HEADER_MAX], *to = s->out + s->out_tail + LENGTH_BYTES;
    uint32_t head = header_bytes(s);

    if (w->chain.read_bytes < head || !virtq_read(&w->chain, w->m, 0, header, head))
        return false;
    uint64_t length = w->chain.read_bytes - head;
    if (length < NETSUM_ETHER_HEADER || length > VIRTIO_NET_FRAME_MAX)
        return true;
    uint32_t bytes = (uint32_t)length;
    if (!virtq_read(&w->chain, w->m, head, to, bytes))
        return false;
    insert_checksum(s, header, to, bytes);
    if (bytes < FRAME_MIN) {
        memset(to + bytes, 0, FRAME_MIN - bytes);
        bytes = FRAME_MIN;
    }
    memcpy(to - LENGTH_BYTES, &bytes, LENGTH_BYTES);
    s->out_tail += LENGTH_BYTES + bytes;
    s->tx_wire_ns = later(s->tx_wire_ns, now_ns) + wire_ns(bytes);
    return true;
}

/* VIRTQ_EMPTY: all is sent. */
static enum virtq_result send_batch(struct work *w, uint64_t now_ns)
{
    uint16_t head;

    for (unsigned i = 0; i < BATCH && out_has_room(w->s); i++) {
        enum virtq_result r = take(w, VIRTIO_NET_TX, &head);
        if (r != VIRTQ_OK)
            return r;
        if (!send_chain(w, now_ns) || !give(w, VIRTIO_NET_TX, head, 0))
            return VIRTQ_BROKEN;
    }
    return VIRTQ_OK;
}

static uint32_t frames_take(void *state, uint8_t *entry, uint32_t max)
{
    struct virtio_net *s = state;
    uint32_t bytes = 0, at = s->out_head + LENGTH_BYTES;

    if (at <= s->out_tail)
        memcpy(&bytes, s->out + s->out_head, LENGTH_BYTES);
    if (bytes == 0 || bytes > s->out_tail - at || bytes > max) { /* empty, or of a damaged snapshot */
        s->out_head = s->out_tail = 0;
        return 0;
    }
    memcpy(entry, s->out + at, bytes);
    s->out_head = at + bytes;
    return bytes;
}

const struct port_output virtio_net_frames_out = {.take = frames_take};

/* --- the control queue (5.1.6.5) --- */

enum { CTRL_RX = 0, CTRL_MAC = 1 };
enum { RX_PROMISC = 0, RX_ALLMULTI = 1 };
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1 };
enum { CTRL_OK = 0, CTRL_ERR = 1 };

static bool set_rx_mode(struct work *w, uint8_t command)
{
    uint8_t on;

    if (command > RX_ALLMULTI || !virtq_read(&w->chain, w->m, 2, &on, 1))
        return false;
    *(command == RX_PROMISC ? &w->s->promiscuous : &w->s->all_multicast) = on != 0;
    return true;
}

/* One of the two lists at `at`: a count and as many addresses. The table has both, for an address says itself
 * which kind it is; what does not fit into it makes all of the kind pass. */
static bool read_macs(struct work *w, uint64_t *at, uint8_t *all)
{
    struct virtio_net *s = w->s;
    uint32_t n;

    if (!virtq_read(&w->chain, w->m, *at, &n, sizeof(n)))
        return false;
    *at += sizeof(n);
    uint32_t room = VIRTIO_NET_MACS - s->nmacs;
    if (n > room)
        *all = 1;
    else if (!virtq_read(&w->chain, w->m, *at, s->table + s->nmacs * NIC_MAC_BYTES, n * NIC_MAC_BYTES))
        return false;
    else
        s->nmacs = (uint8_t)(s->nmacs + n);
    *at += (uint64_t)n * NIC_MAC_BYTES;
    return true;
}

static bool set_macs(struct work *w)
{
    uint64_t at = 2;
    uint8_t all_multicast = 0;

    w->s->nmacs = w->s->all_unicast = 0;
    if (!read_macs(w, &at, &w->s->all_unicast) || !read_macs(w, &at, &all_multicast))
        return false;
    w->s->all_multicast |= all_multicast;
    return true;
}

static bool command(struct work *w)
{
    uint8_t what[2];

    if (!virtq_read(&w->chain, w->m, 0, what, sizeof(what)))
        return false;
    if (what[0] == CTRL_RX)
        return set_rx_mode(w, what[1]);
    if (what[0] == CTRL_MAC && what[1] == MAC_TABLE_SET)
        return set_macs(w);
    return what[0] == CTRL_MAC && what[1] == MAC_ADDR_SET &&
           virtq_read(&w->chain, w->m, 2, w->s->mac, NIC_MAC_BYTES);
}

static enum virtq_result control_batch(struct work *w)
{
    uint16_t head;

    for (unsigned i = 0; i < BATCH; i++) {
        enum virtq_result r = take(w, VIRTIO_NET_CTRL, &head);
        if (r != VIRTQ_OK)
            return r;
        uint8_t ack = command(w) ? CTRL_OK : CTRL_ERR;
        if (!virtq_write(&w->chain, w->m, 0, &ack, 1) || !give(w, VIRTIO_NET_CTRL, head, 1))
            return VIRTQ_BROKEN;
    }
    return VIRTQ_OK;
}

/* --- receiving --- */

static bool in_table(const struct virtio_net *s, const uint8_t *frame)
{
    for (unsigned i = 0; i < s->nmacs && i < VIRTIO_NET_MACS; i++)
        if (memcmp(frame, s->table + i * NIC_MAC_BYTES, NIC_MAC_BYTES) == 0)
            return true;
    return false;
}

static bool passes(const struct virtio_net *s, const uint8_t *frame)
{
    if (s->promiscuous || memcmp(frame, "\xFF\xFF\xFF\xFF\xFF\xFF", NIC_MAC_BYTES) == 0 ||
        memcmp(frame, s->mac, NIC_MAC_BYTES) == 0 || in_table(s, frame))
        return true;
    return frame[0] & 1 ? s->all_multicast : s->all_unicast;
}

static uint32_t fifo_free(const struct virtio_net *s)
{
    return VIRTIO_NET_FIFO_BYTES - (s->rx_tail - s->rx_head);
}

static bool is_on(const struct virtio_net *s)
{
    return s->q[VIRTIO_NET_RX].enabled && virtio_pci_runs(&s->v);
}

static uint64_t ready_ns(const void *state)
{
    const struct virtio_net *s = state;

    if (is_on(s) && fifo_free(s) < LENGTH_BYTES + VIRTIO_NET_FRAME_MAX)
        return NS_NEVER;
    return s->rx_wire_ns;
}

static void fifo_push(struct virtio_net *s, const uint8_t *frame, uint32_t bytes)
{
    if (s->rx_tail + LENGTH_BYTES + bytes > VIRTIO_NET_FIFO_BYTES) {
        memmove(s->rx, s->rx + s->rx_head, s->rx_tail - s->rx_head);
        s->rx_tail -= s->rx_head;
        s->rx_head = 0;
    }
    memcpy(s->rx + s->rx_tail, &bytes, LENGTH_BYTES);
    memcpy(s->rx + s->rx_tail + LENGTH_BYTES, frame, bytes);
    s->rx_tail += LENGTH_BYTES + bytes;
}

static void put(void *state, const uint8_t *frame, uint32_t bytes, uint64_t now_ns)
{
    struct virtio_net *s = state;

    s->rx_wire_ns = later(s->rx_wire_ns, now_ns) + wire_ns(bytes);
    if (!is_on(s) || bytes < NETSUM_ETHER_HEADER || bytes > VIRTIO_NET_FRAME_MAX || !passes(s, frame) ||
        fifo_free(s) < LENGTH_BYTES + bytes)
        return;
    fifo_push(s, frame, bytes);
    rx_arm(s, now_ns);
}

const struct port_input virtio_net_frames_in = {.ready_ns = ready_ns, .put = put};

/* The first frame; NULL: none. */
static const uint8_t *fifo_peek(const struct virtio_net *s, uint32_t *bytes)
{
    if (s->rx_tail <= s->rx_head || s->rx_tail - s->rx_head <= LENGTH_BYTES)
        return NULL;
    memcpy(bytes, s->rx + s->rx_head, LENGTH_BYTES);
    if (*bytes > s->rx_tail - s->rx_head - LENGTH_BYTES) /* a damaged snapshot */
        *bytes = s->rx_tail - s->rx_head - LENGTH_BYTES;
    return s->rx + s->rx_head + LENGTH_BYTES;
}

static void fifo_pop(struct virtio_net *s, uint32_t bytes)
{
    s->rx_head += LENGTH_BYTES + bytes;
    if (s->rx_head >= s->rx_tail)
        s->rx_head = s->rx_tail = 0;
}

/* The chains that one frame goes to: one, or with MRG_RXBUF as many as it needs (5.1.6.4). */
struct buffers {
    uint16_t head[VIRTQ_SIZE_MAX];
    uint32_t bytes[VIRTQ_SIZE_MAX]; /* of it in each, with the header in the first one */
    unsigned n;
    bool too_small; /* without MRG_RXBUF: the frame does not fit, and is dropped */
};

static enum virtq_result take_buffers(struct work *w, uint32_t total, struct buffers *b)
{
    bool merge = w->s->v.driver & F_MRG_RXBUF;
    uint32_t head = header_bytes(w->s);

    *b = (struct buffers){0};
    for (uint32_t left = total; left > 0;) {
        if (b->n == VIRTQ_SIZE_MAX || (b->n > 0 && !merge)) {
            b->too_small = true;
            return VIRTQ_OK;
        }
        enum virtq_result r = take(w, VIRTIO_NET_RX, &b->head[b->n]);
        if (r != VIRTQ_OK)
            return r;
        uint64_t room = w->chain.bytes - w->chain.read_bytes;
        if (room == 0 || (b->n == 0 && room < head))
            return VIRTQ_BROKEN;
        b->bytes[b->n] = room < left ? (uint32_t)room : left;
        left -= b->bytes[b->n++];
    }
    return VIRTQ_OK;
}

static bool fill_buffers(struct work *w, const struct buffers *b, const uint8_t *data)
{
    uint32_t at = 0;

    for (unsigned i = 0; i < b->n; i++) {
        if (virtq_chain(&w->s->q[VIRTIO_NET_RX], w->m, w->f, b->head[i], &w->chain) != VIRTQ_OK ||
            !virtq_write(&w->chain, w->m, 0, data + at, b->bytes[i]) ||
            !give(w, VIRTIO_NET_RX, b->head[i], b->bytes[i]))
            return false;
        at += b->bytes[i];
    }
    return true;
}

/* Header and frame, as the driver gets them. */
static uint32_t prepare(const struct virtio_net *s, const uint8_t *frame, uint32_t bytes, uint8_t *data)
{
    uint32_t head = header_bytes(s);

    memset(data, 0, head);
    if (s->v.driver & F_GUEST_CSUM) {
        struct netsum_check c = netsum_check(frame, bytes);
        data[0] = c.l4 && c.l4_good ? HDR_DATA_VALID : 0;
    }
    memcpy(data + head, frame, bytes);
    return head + bytes;
}

/* VIRTQ_EMPTY: there is no frame, or the driver has no buffers for it. */
static enum virtq_result receive(struct work *w)
{
    struct virtio_net *s = w->s;
    uint8_t data[HEADER_MAX + VIRTIO_NET_FIFO_BYTES];
    struct virtq before = s->q[VIRTIO_NET_RX];
    struct buffers b;
    uint32_t bytes;
    const uint8_t *frame = fifo_peek(s, &bytes);

    if (!frame)
        return VIRTQ_EMPTY;
    enum virtq_result r = take_buffers(w, header_bytes(s) + bytes, &b);
    if (r == VIRTQ_EMPTY || b.too_small)
        s->q[VIRTIO_NET_RX].avail_index = before.avail_index;
    if (r != VIRTQ_OK)
        return r;
    if (!b.too_small) {
        prepare(s, frame, bytes, data);
        if (header_bytes(s) == HEADER_MAX)
            data[HDR_NUM_BUFFERS] = (uint8_t)b.n; /* VIRTQ_SIZE_MAX at most */
        if (!fill_buffers(w, &b, data))
            return VIRTQ_BROKEN;
    }
    fifo_pop(s, bytes);
    return VIRTQ_OK;
}

static enum virtq_result receive_batch(struct work *w)
{
    enum virtq_result r = VIRTQ_OK;

    for (unsigned i = 0; i < BATCH && r == VIRTQ_OK; i++)
        r = receive(w);
    return r;
}

/* --- memory --- */

static uint64_t next_master(const void *state)
{
    const struct virtio_net *s = state;

    return s->tx_ns < s->rx_ns ? s->tx_ns : s->rx_ns;
}

static bool transmit(struct work *w, uint64_t now_ns)
{
    struct virtio_net *s = w->s;
    uint64_t wire_ns = s->tx_wire_ns;

    s->tx_ns = NS_NEVER;
    enum virtq_result c = control_batch(w);
    if (c == VIRTQ_BROKEN)
        return false;
    enum virtq_result r = send_batch(w, now_ns);
    if (r == VIRTQ_OK || c == VIRTQ_OK)
        tx_arm(s, s->tx_wire_ns == wire_ns ? now_ns + IDLE_NS : now_ns);
    return r != VIRTQ_BROKEN;
}

static bool take_frames(struct work *w, uint64_t now_ns)
{
    struct virtio_net *s = w->s;

    s->rx_ns = NS_NEVER;
    enum virtq_result r = receive_batch(w);
    s->burst_ns = now_ns + BURST_NS;
    if (r == VIRTQ_OK)
        rx_arm(s, now_ns);
    return r != VIRTQ_BROKEN;
}

/* Without memory (bus mastering is off) everything waits for the driver's next word. */
static void master(void *state, const struct chip_master *m, uint64_t now_ns)
{
    struct virtio_net *s = state;
    struct work w = {.s = s, .m = m->memory, .f = virtio_pci_queue_features(&s->v)};

    if (!m->memory || !virtio_pci_runs(&s->v)) {
        s->tx_ns = s->rx_ns = NS_NEVER;
        return;
    }
    if (s->tx_ns <= now_ns && !transmit(&w, now_ns))
        broken(s);
    if (s->rx_ns <= now_ns && !take_frames(&w, now_ns))
        broken(s);
}

/* --- life --- */

static void reset(void *state, uint64_t now_ns)
{
    (void)now_ns;
    memset(state, 0, sizeof(struct virtio_net));
    device_reset(state);
}

void virtio_net_fit(struct virtio_net *s, const uint8_t mac[NIC_MAC_BYTES])
{
    reset(s, 0);
    memcpy(s->fitted_mac, mac, NIC_MAC_BYTES);
    device_reset(s);
}

void virtio_net_reset_pin(struct virtio_net *s)
{
    device_reset(s);
}

#define F(member)       FIELD(struct virtio_net, member)
#define M(member, most) FIELD_MAX(struct virtio_net, member, most)
static const struct field fields[] = {
    VIRTIO_PCI_FIELDS(struct virtio_net, v),
    VIRTQ_FIELDS(struct virtio_net, q[VIRTIO_NET_RX]),
    VIRTQ_FIELDS(struct virtio_net, q[VIRTIO_NET_TX]),
    VIRTQ_FIELDS(struct virtio_net, q[VIRTIO_NET_CTRL]),
    F(tx_ns),
    F(rx_ns),
    F(tx_wire_ns),
    F(rx_wire_ns),
    F(burst_ns),
    M(out_head, VIRTIO_NET_OUT_BYTES),
    M(out_tail, VIRTIO_NET_OUT_BYTES),
    M(rx_head, VIRTIO_NET_FIFO_BYTES),
    M(rx_tail, VIRTIO_NET_FIFO_BYTES),
    FIELD_ARRAY(struct virtio_net, fitted_mac),
    FIELD_ARRAY(struct virtio_net, mac),
    M(promiscuous, 1),
    M(all_multicast, 1),
    M(all_unicast, 1),
    M(nmacs, VIRTIO_NET_MACS),
    FIELD_ARRAY(struct virtio_net, table),
    FIELD_ARRAY(struct virtio_net, out),
    FIELD_ARRAY(struct virtio_net, rx),
};

const struct chip_class virtio_net_class = {
    .name = "virtio-net",
    .state_bytes = sizeof(struct virtio_net),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .read_changes = read_changes,
    .outputs = outputs,
    .next_master = next_master,
    .master = master,
};
