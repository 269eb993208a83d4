/* e1000_rx.c - the receiver of the 82540EM: filters, the FIFO, descriptors (3.2).
 *
 * Model: a frame that passes the filters goes into the FIFO. From there frames are written to memory as soon
 * as there are descriptors for a whole one; under load not before BURST_NS have passed since the last time,
 * so that several go together, as they do on a bus that takes as long for a frame as the wire. A frame that
 * needs more descriptors than the ring can have is dropped (MPC).
 *
 * NOT MODELLED: the FCS: where RCTL.SECRC leaves it in the frame, its four bytes are 0; header splits and
 * packet filters of manageability; thresholds of RXDCTL; PAUSE frames as such (e1000.h). */
#include "hw/e1000_internal.h"

#include "hw/netsum.h"
#include "mem/master.h"

#include <string.h>

#define BURST_NS     40000u /* 5 KiB at 133 MB/s, what a 32-bit PCI bus of 33 MHz moves at most */
#define BATCH_FRAMES 64u
#define FCS_BYTES    4u
#define FRAME_USUAL  1518u /* 13.4.22: without RCTL.LPE, with FCS; a VLAN tag comes on top (802.3ac) */
#define ADDRESSES    16u

enum { /* 3.2.3.1: status */
       RXD_DD = 1 << 0,
       RXD_EOP = 1 << 1,
       RXD_IXSM = 1 << 2,
       RXD_VP = 1 << 3,
       RXD_TCPCS = 1 << 5,
       RXD_IPCS = 1 << 6,
       RXD_PIF = 1 << 7,
};
enum { RXD_TCPE = 1 << 5, RXD_IPE = 1 << 6 }; /* errors */
enum { RXCSUM_IPOFL = 1 << 8, RXCSUM_TUOFL = 1 << 9 };
#define RAH_AV (1u << 31)

void e1000_rx_reset(struct e1000 *s)
{
    s->rx_ns = s->rdt_ns = s->rad_ns = NS_NEVER;
    s->rx_head = s->rx_tail = 0;
}

/* --- filters --- */

static bool is_broadcast(const uint8_t *frame)
{
    return memcmp(frame, "\xFF\xFF\xFF\xFF\xFF\xFF", 6) == 0;
}

static bool matches_exactly(const struct e1000 *s, const uint8_t *frame)
{
    uint32_t low = frame[0] | (uint32_t)frame[1] << 8 | (uint32_t)frame[2] << 16 | (uint32_t)frame[3] << 24;
    uint32_t high = frame[4] | (uint32_t)frame[5] << 8;

    for (unsigned i = 0; i < ADDRESSES; i++)
        if (s->ra[2 * i] == low && (s->ra[2 * i + 1] & 0xFFFF) == high && s->ra[2 * i + 1] & RAH_AV)
            return true;
    return false;
}

/* 13.5.1: RCTL.MO says which 12 bits of the last two bytes choose a bit of the MTA. */
static bool matches_hash(const struct e1000 *s, const uint8_t *frame)
{
    static const uint8_t shifts[] = {4, 3, 2, 0};
    uint32_t v = (frame[4] | (uint32_t)frame[5] << 8) >> shifts[s->rctl >> 12 & 3] & 0xFFF;

    return s->mta[v >> 5] >> (v & 31) & 1;
}

static bool address_passes(const struct e1000 *s, const uint8_t *frame, bool *exact)
{
    *exact = matches_exactly(s, frame);
    if (*exact)
        return true;
    if (!(frame[0] & 1))
        return s->rctl & RCTL_UPE;
    if (is_broadcast(frame) && s->rctl & RCTL_BAM)
        return true;
    return s->rctl & RCTL_MPE || matches_hash(s, frame);
}

static bool is_tagged(const struct e1000 *s, const uint8_t *frame, uint32_t bytes)
{
    return bytes >= 16 && netsum_get16(frame + 12) == (s->vet & 0xFFFF);
}

/* 9.4: the VFTA has a bit for each VLAN. */
static bool vlan_passes(const struct e1000 *s, const uint8_t *frame, uint32_t bytes)
{
    if (!(s->rctl & RCTL_VFE) || !is_tagged(s, frame, bytes))
        return true;
    uint16_t tag = netsum_get16(frame + 14);
    if (s->rctl & RCTL_CFIEN && !(tag & 0x1000) != !(s->rctl & RCTL_CFI))
        return false;
    return s->vfta[(tag & 0xFFF) >> 5] >> (tag & 31) & 1;
}

/* --- the FIFO --- */

static uint32_t fifo_free(const struct e1000 *s)
{
    return E1000_RX_FIFO_BYTES - (s->rx_tail - s->rx_head);
}

static void fifo_push(struct e1000 *s, const uint8_t *frame, uint32_t bytes, bool exact)
{
    uint32_t padded = bytes < 60 ? 60 : bytes;
    uint32_t head = padded | (uint32_t)exact << 31;

    if (s->rx_tail + E1000_LENGTH_BYTES + padded > E1000_RX_FIFO_BYTES) {
        memmove(s->rx, s->rx + s->rx_head, s->rx_tail - s->rx_head);
        s->rx_tail -= s->rx_head;
        s->rx_head = 0;
    }
    uint8_t *to = s->rx + s->rx_tail;
    memcpy(to, &head, E1000_LENGTH_BYTES);
    memcpy(to + E1000_LENGTH_BYTES, frame, bytes);
    memset(to + E1000_LENGTH_BYTES + bytes, 0, padded - bytes);
    s->rx_tail += E1000_LENGTH_BYTES + padded;
}

/* The first frame; NULL: none. */
static const uint8_t *fifo_peek(const struct e1000 *s, uint32_t *bytes, bool *exact)
{
    uint32_t head;

    if (s->rx_tail <= s->rx_head || s->rx_tail - s->rx_head <= E1000_LENGTH_BYTES)
        return NULL;
    memcpy(&head, s->rx + s->rx_head, E1000_LENGTH_BYTES);
    *bytes = head & INT32_MAX;
    *exact = head >> 31;
    if (*bytes > s->rx_tail - s->rx_head - E1000_LENGTH_BYTES) /* a damaged snapshot */
        *bytes = s->rx_tail - s->rx_head - E1000_LENGTH_BYTES;
    return s->rx + s->rx_head + E1000_LENGTH_BYTES;
}

static void fifo_pop(struct e1000 *s, uint32_t bytes)
{
    s->rx_head += E1000_LENGTH_BYTES + bytes;
    if (s->rx_head >= s->rx_tail)
        s->rx_head = s->rx_tail = 0;
}

/* --- frames that come in --- */

static bool is_on(const struct e1000 *s)
{
    return s->rctl & RCTL_EN && s->ctrl & CTRL_SLU;
}

static uint64_t ready_ns(const void *state)
{
    const struct e1000 *s = state;

    if (is_on(s) && fifo_free(s) < E1000_FRAME_MAX + E1000_LENGTH_BYTES)
        return NS_NEVER;
    return s->rx_wire_ns;
}

static uint32_t ring(const struct e1000 *s)
{
    return e1000_ring(s->rdlen, s->rdh, s->rdt);
}

/* Descriptors that are the chip's. */
static uint32_t descs_free(const struct e1000 *s)
{
    uint32_t n = ring(s);

    return n ? (s->rdt + n - s->rdh) % n : 0;
}

static void count_good(struct e1000 *s, const uint8_t *frame, uint32_t bytes)
{
    e1000_count(s, STAT_GPRC, 1);
    e1000_count64(s, STAT_GORC, bytes + FCS_BYTES);
    e1000_count_size(s, STAT_PRC64, bytes + FCS_BYTES);
    if (frame[0] & 1)
        e1000_count(s, is_broadcast(frame) ? STAT_BPRC : STAT_MPRC, 1);
    if (descs_free(s) == 0)
        e1000_count(s, STAT_RNBC, 1);
}

static bool is_too_long(const struct e1000 *s, const uint8_t *frame, uint32_t bytes)
{
    uint32_t usual = FRAME_USUAL - FCS_BYTES + (is_tagged(s, frame, bytes) ? VLAN_BYTES : 0);

    return bytes > (s->rctl & RCTL_LPE ? E1000_FRAME_MAX : usual);
}

static void put(void *state, const uint8_t *frame, uint32_t bytes, uint64_t now_ns)
{
    struct e1000 *s = state;
    bool exact;

    s->rx_wire_ns = (s->rx_wire_ns > now_ns ? s->rx_wire_ns : now_ns) + e1000_wire_ns(bytes);
    if (!is_on(s))
        return;
    e1000_count(s, STAT_TPR, 1);
    e1000_count64(s, STAT_TOR, bytes + FCS_BYTES);
    if (bytes < NETSUM_ETHER_HEADER)
        e1000_count(s, STAT_RUC, 1);
    else if (is_too_long(s, frame, bytes))
        e1000_count(s, STAT_ROC, 1);
    else if (address_passes(s, frame, &exact) && vlan_passes(s, frame, bytes) &&
             fifo_free(s) >= bytes + 60 + E1000_LENGTH_BYTES) {
        count_good(s, frame, bytes < 60 ? 60 : bytes);
        fifo_push(s, frame, bytes, exact);
        e1000_rx_arm(s, now_ns);
    }
}

const struct port_input e1000_frames_in = {.ready_ns = ready_ns, .put = put};

/* --- to memory --- */

/* 13.4.22: BSIZE, in units of 16 with BSEX. */
static uint32_t buffer_bytes(const struct e1000 *s)
{
    uint32_t bytes = 2048u >> (s->rctl >> 16 & 3);

    return s->rctl & RCTL_BSEX && bytes < 2048 ? bytes * 16 : bytes;
}

static uint32_t descs_needed(const struct e1000 *s, uint32_t bytes)
{
    return (bytes + buffer_bytes(s) - 1) / buffer_bytes(s);
}

void e1000_rx_arm(struct e1000 *s, uint64_t now_ns)
{
    if (!is_on(s) || s->rx_head == s->rx_tail || descs_free(s) == 0)
        s->rx_ns = NS_NEVER;
    else if (s->rx_ns == NS_NEVER)
        s->rx_ns = s->burst_ns > now_ns ? s->burst_ns : now_ns;
}

struct rx_frame { /* as it goes to memory */
    const uint8_t *data;
    uint32_t bytes;
    uint16_t sum, tag;
    uint8_t status, errors; /* of the last descriptor */
};

static void check(const struct e1000 *s, const uint8_t *frame, uint32_t bytes, struct rx_frame *f)
{
    struct netsum_check c = {0};
    uint32_t start = s->rxcsum & 0xFF;

    if (s->rxcsum & (RXCSUM_IPOFL | RXCSUM_TUOFL))
        c = netsum_check(frame, bytes);
    else
        f->status |= RXD_IXSM;
    if (s->rxcsum & RXCSUM_IPOFL && c.ip) {
        f->status |= RXD_IPCS;
        f->errors |= c.ip_good ? 0 : RXD_IPE;
    }
    if (s->rxcsum & RXCSUM_TUOFL && c.l4) {
        f->status |= RXD_TCPCS;
        f->errors |= c.l4_good ? 0 : RXD_TCPE;
    }
    f->sum = start < bytes ? netsum_fold(netsum_add(0, frame + start, bytes - start)) : 0;
}

/* `room`: for a frame without its tag, or with its FCS. */
static void prepare(const struct e1000 *s, const uint8_t *data, uint32_t bytes, bool exact, uint8_t *room,
                    struct rx_frame *f)
{
    bool strip = s->ctrl & CTRL_VME && is_tagged(s, data, bytes);

    *f = (struct rx_frame){.status = (uint8_t)(RXD_DD | RXD_EOP | (exact ? 0 : RXD_PIF))};
    check(s, data, bytes, f);
    memcpy(room, data, 12);
    memcpy(room + 12, data + 12 + (strip ? VLAN_BYTES : 0), bytes - 12 - (strip ? VLAN_BYTES : 0));
    f->data = room;
    f->bytes = bytes - (strip ? VLAN_BYTES : 0);
    if (strip) {
        f->status |= RXD_VP;
        f->tag = netsum_get16(data + 14);
    }
    if (!(s->rctl & RCTL_SECRC)) {
        memset(room + f->bytes, 0, FCS_BYTES);
        f->bytes += FCS_BYTES;
    }
}

/* 13.4.31: RDMTS is the part of the ring that is left when RXDMT0 comes: 1/2, 1/4, 1/8. */
static bool is_at_threshold(const struct e1000 *s)
{
    return descs_free(s) == ring(s) >> (1 + (s->rctl >> 8 & 3));
}

static void write_desc(struct e1000 *s, const struct mem_master *m, const struct rx_frame *f, uint32_t at,
                       uint32_t n, uint64_t now_ns)
{
    uint64_t desc = ((uint64_t)s->rdbah << 32 | s->rdbal) + 16u * s->rdh, buffer;
    bool last = at + n == f->bytes;
    const uint8_t back[8] = {(uint8_t)n,
                             (uint8_t)(n >> 8),
                             (uint8_t)(last ? f->sum : 0),
                             (uint8_t)(last ? f->sum >> 8 : 0),
                             last ? f->status : RXD_DD,
                             last ? f->errors : 0,
                             (uint8_t)(last ? f->tag : 0),
                             (uint8_t)(last ? f->tag >> 8 : 0)};

    mem_master_read(m, desc, &buffer, sizeof(buffer));
    mem_master_write(m, buffer, f->data + at, n);
    mem_master_write(m, desc + 8, back, sizeof(back));
    s->rdh = s->rdh + 1 >= s->rdlen / 16 ? 0 : s->rdh + 1;
    if (is_at_threshold(s))
        e1000_raise(s, ICR_RXDMT0, now_ns);
}

/* 13.4.30, 13.4.44: RXT0 waits for RDTR, anew with each frame, but no longer than RADV; a small frame (RSRPD)
 * does not wait. */
static void frame_written(struct e1000 *s, uint32_t bytes, uint64_t now_ns)
{
    uint64_t delay = (s->rdtr & DELAY_MASK) * (uint64_t)DELAY_NS;
    uint64_t most = (s->radv & DELAY_MASK) * (uint64_t)DELAY_NS;

    if (bytes <= (s->rsrpd & 0xFFF))
        e1000_raise(s, ICR_SRPD, now_ns);
    if (delay == 0) {
        e1000_raise(s, ICR_RXT0, now_ns);
        return;
    }
    s->rdt_ns = now_ns + delay;
    if (most && s->rad_ns == NS_NEVER)
        s->rad_ns = now_ns + most;
}

static void write_frame(struct e1000 *s, const struct mem_master *m, const struct rx_frame *f,
                        uint64_t now_ns)
{
    uint32_t most = buffer_bytes(s);

    for (uint32_t at = 0, n; at < f->bytes; at += n) {
        n = f->bytes - at < most ? f->bytes - at : most;
        write_desc(s, m, f, at, n, now_ns);
    }
    frame_written(s, f->bytes, now_ns);
}

/* False: there is none, or it has to wait. */
static bool one(struct e1000 *s, const struct mem_master *m, uint64_t now_ns)
{
    uint8_t room[E1000_FRAME_MAX + 64];
    uint32_t bytes, free = descs_free(s);
    bool exact;
    const uint8_t *data = fifo_peek(s, &bytes, &exact);
    struct rx_frame f;

    if (!data || free == 0)
        return false;
    if (bytes < NETSUM_ETHER_HEADER + VLAN_BYTES || bytes > E1000_FRAME_MAX) { /* a damaged snapshot */
        fifo_pop(s, bytes);
        return true;
    }
    prepare(s, data, bytes, exact, room, &f);
    uint32_t needed = descs_needed(s, f.bytes);
    if (needed >= ring(s)) { /* it will never fit */
        e1000_count(s, STAT_MPC, 1);
        fifo_pop(s, bytes);
        return true;
    }
    if (needed > free)
        return false;
    write_frame(s, m, &f, now_ns);
    fifo_pop(s, bytes);
    return true;
}

void e1000_rx_master(struct e1000 *s, const struct mem_master *m, uint64_t now_ns)
{
    bool any = false;

    s->rx_ns = NS_NEVER;
    if (!is_on(s))
        return;
    for (unsigned n = 0; n < BATCH_FRAMES && one(s, m, now_ns); n++)
        any = true;
    s->burst_ns = now_ns + BURST_NS;
    if (any) /* else it waits for descriptors */
        e1000_rx_arm(s, now_ns);
}
