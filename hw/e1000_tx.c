/* e1000_tx.c - the transmitter of the 82540EM: descriptors, checksums, TCP segmentation (3.3 to 3.5).
 *
 * Model: descriptors are read in batches. A batch ends when its frames fill the FIFO; the next one begins
 * when the wire has carried them. A packet may lie in any number of descriptors and may be cut by the end of
 * the ring or of a batch anywhere, even within a descriptor (tx_used), for a segmented one may have far more
 * bytes than the FIFO.
 * Memory that is not there reads as ones.
 *
 * NOT MODELLED: thresholds of TXDCTL (descriptors are read and written back as soon as can be), half duplex,
 * TXD_LOW, SNAP frames. */
#include "hw/e1000_internal.h"

#include "hw/netsum.h"
#include "mem/master.h"

#include <string.h>

#define BATCH_DESCS 128u
#define IDLE_NS     1000u /* from one batch to the next where none of it went to the wire: 128 reads by PCI */
#define FRAME_MIN   60u

enum { /* word 2 of a descriptor: 3.3.3, 3.3.6, 3.3.7 */
       TXD_EOP = 1u << 24,
       TXD_IC = 1u << 26,  /* legacy: insert a checksum */
       TXD_TSE = 1u << 26, /* extended */
       TXD_RS = 1u << 27,
       TXD_RPS = 1u << 28,
       TXD_DEXT = 1u << 29,
       TXD_VLE = 1u << 30,
};
#define TXD_IDE        (1u << 31)
#define TXD_DTYP(w)    ((w) >> 20 & 15)
#define TXD_LENGTH     0xFFFFFu
#define TXD_LEGACY_LEN 0xFFFFu
enum { DTYP_CONTEXT = 0, DTYP_DATA = 1 };
enum { TXD_DD = 1 };                                /* word 3 */
enum { POPTS_IXSM = 1 << 8, POPTS_TXSM = 1 << 9 };  /* of the first data descriptor */
enum { TUCMD_TCP = 1 << 24, TUCMD_IPV4 = 1 << 25 }; /* context, word 2 */

enum { TCP_SEQ = 4, TCP_FLAGS = 13, TCP_FIN = 1, TCP_PSH = 8 };

void e1000_tx_reset(struct e1000 *s)
{
    s->tx_ns = s->tid_ns = s->tad_ns = NS_NEVER;
    memset(s->context, 0, sizeof(s->context));
    memset(s->tx_first, 0, sizeof(s->tx_first));
    s->tx_used = s->tx_bytes = s->tx_segment = s->tx_in_packet = 0;
    s->out_head = s->out_tail = 0;
}

void e1000_tx_arm(struct e1000 *s, uint64_t now_ns)
{
    if (!(s->tctl & TCTL_EN) || s->tdh == s->tdt || !e1000_ring(s->tdlen, s->tdh, s->tdt))
        s->tx_ns = NS_NEVER;
    else if (s->tx_ns == NS_NEVER)
        s->tx_ns = s->tx_wire_ns > now_ns ? s->tx_wire_ns : now_ns;
}

/* --- frames that are ready --- */

static bool out_has_room(const struct e1000 *s)
{
    return s->out_tail + E1000_LENGTH_BYTES + E1000_FRAME_MAX + VLAN_BYTES <= E1000_OUT_BYTES;
}

static void count_frame(struct e1000 *s, const uint8_t *frame, uint32_t bytes)
{
    e1000_count(s, STAT_GPTC, 1);
    e1000_count(s, STAT_TPT, 1);
    e1000_count64(s, STAT_GOTC, bytes + 4);
    e1000_count64(s, STAT_TOT, bytes + 4);
    e1000_count_size(s, STAT_PTC64, bytes + 4);
    if (frame[0] & 1)
        e1000_count(s, memcmp(frame, "\xFF\xFF\xFF\xFF\xFF\xFF", 6) ? STAT_MPTC : STAT_BPTC, 1);
}

/* 3.3.7.1: the tag goes behind the addresses. */
static uint32_t put_tagged(struct e1000 *s, uint8_t *to, const uint8_t *frame, uint32_t bytes)
{
    bool tag = s->tx_first[0] & TXD_VLE && s->ctrl & CTRL_VME && bytes >= 12;

    if (!tag) {
        memcpy(to, frame, bytes);
        return bytes;
    }
    memcpy(to, frame, 12);
    netsum_put16(to + 12, (uint16_t)s->vet);
    netsum_put16(to + 14, (uint16_t)(s->tx_first[1] >> 16));
    memcpy(to + 16, frame + 12, bytes - 12);
    return bytes + VLAN_BYTES;
}

/* A frame to the wire. Short ones are padded (TCTL.PSP), for the wire has no others. */
static void emit(struct e1000 *s, const uint8_t *frame, uint32_t bytes, uint64_t now_ns)
{
    uint8_t *to = s->out + s->out_tail + E1000_LENGTH_BYTES;

    if (bytes == 0 || bytes > E1000_FRAME_MAX || !out_has_room(s))
        return;
    bytes = put_tagged(s, to, frame, bytes);
    if (bytes < FRAME_MIN) {
        memset(to + bytes, 0, FRAME_MIN - bytes);
        bytes = FRAME_MIN;
    }
    memcpy(to - E1000_LENGTH_BYTES, &bytes, E1000_LENGTH_BYTES);
    s->out_tail += E1000_LENGTH_BYTES + bytes;
    count_frame(s, to, bytes);
    s->tx_wire_ns = (s->tx_wire_ns > now_ns ? s->tx_wire_ns : now_ns) + e1000_wire_ns(bytes);
}

static uint32_t frames_take(void *state, uint8_t *entry, uint32_t max)
{
    struct e1000 *s = state;
    uint32_t bytes;

    if (s->out_head >= s->out_tail || s->out_tail > E1000_OUT_BYTES) {
        s->out_head = s->out_tail = 0;
        return 0;
    }
    memcpy(&bytes, s->out + s->out_head, E1000_LENGTH_BYTES);
    uint32_t at = s->out_head + E1000_LENGTH_BYTES;
    if (bytes == 0 || at > s->out_tail || bytes > s->out_tail - at || bytes > max) { /* a damaged snapshot */
        s->out_head = s->out_tail = 0;
        return 0;
    }
    memcpy(entry, s->out + at, bytes);
    s->out_head = at + bytes;
    return bytes;
}

const struct port_output e1000_frames_out = {.take = frames_take};

/* --- checksums --- */

/* 3.5: the ones' complement of the sum from `start` to `end` (0: the frame's last byte) goes to `at`. */
static void insert_checksum(uint8_t *frame, uint32_t bytes, uint32_t start, uint32_t at, uint32_t end)
{
    uint32_t stop = end && end + 1 < bytes ? end + 1 : bytes;

    if (start >= stop || at + 2 > bytes)
        return;
    netsum_put16(frame + at, (uint16_t)~netsum_fold(netsum_add(0, frame + start, stop - start)));
}

static void insert_checksums(const struct e1000 *s, uint8_t *frame, uint32_t bytes)
{
    const uint32_t *c = s->context;

    if (s->tx_first[1] & POPTS_TXSM)
        insert_checksum(frame, bytes, c[1] & 0xFF, c[1] >> 8 & 0xFF, c[1] >> 16);
    if (s->tx_first[1] & POPTS_IXSM)
        insert_checksum(frame, bytes, c[0] & 0xFF, c[0] >> 8 & 0xFF, c[0] >> 16);
}

static bool is_extended(const struct e1000 *s)
{
    return s->tx_first[0] & TXD_DEXT;
}

/* 3.3.3: CSO is in word 2, CSS in word 3 of the packet's last descriptor. */
static void insert_legacy(const struct e1000 *s, uint8_t *frame, uint32_t bytes)
{
    if (s->tx_first[0] & TXD_IC)
        insert_checksum(frame, bytes, s->tx_first[1] >> 8 & 0xFF, s->tx_first[0] >> 16 & 0xFF, 0);
}

/* --- TCP segmentation (3.5.2 to 3.5.7) --- */

static uint32_t header_bytes(const struct e1000 *s)
{
    return s->context[3] >> 8 & 0xFF;
}

static uint32_t segment_bytes(const struct e1000 *s)
{
    return s->context[3] >> 16;
}

static bool is_segmented(const struct e1000 *s)
{
    return is_extended(s) && s->tx_first[0] & TXD_TSE && segment_bytes(s) > 0 && header_bytes(s) > 0;
}

/* Bytes at which a frame is full. */
static uint32_t frame_limit(const struct e1000 *s)
{
    uint32_t limit = header_bytes(s) + segment_bytes(s);

    return is_segmented(s) && limit < E1000_FRAME_MAX ? limit : E1000_FRAME_MAX;
}

static void add16(uint8_t *p, uint32_t v)
{
    netsum_put16(p, (uint16_t)(netsum_get16(p) + v));
}

static void add32(uint8_t *p, uint32_t v)
{
    uint32_t sum = (uint32_t)netsum_get16(p) << 16 | netsum_get16(p + 2);

    sum += v;
    netsum_put16(p, (uint16_t)(sum >> 16));
    netsum_put16(p + 2, (uint16_t)sum);
}

/* IPv4: total length, and an identification of its own; IPv6: the length behind its header. */
static void fit_ip(const struct e1000 *s, uint8_t *frame, uint32_t bytes)
{
    uint32_t ip = s->context[0] & 0xFF;

    if (ip + 20 > bytes)
        return;
    if (s->context[2] & TUCMD_IPV4) {
        netsum_put16(frame + ip + 2, (uint16_t)(bytes - ip));
        add16(frame + ip + 4, s->tx_segment);
    } else if (ip + 40 <= bytes) {
        netsum_put16(frame + ip + 4, (uint16_t)(bytes - ip - 40));
    }
}

static void fit_tcp(const struct e1000 *s, uint8_t *frame, uint32_t bytes, bool last)
{
    uint32_t tcp = s->context[1] & 0xFF;

    if (!(s->context[2] & TUCMD_TCP)) {
        if (tcp + 8 <= bytes)
            netsum_put16(frame + tcp + 4, (uint16_t)(bytes - tcp)); /* UDP: its length */
        return;
    }
    if (tcp + 20 > bytes)
        return;
    add32(frame + tcp + TCP_SEQ, s->tx_segment * segment_bytes(s));
    if (!last)
        frame[tcp + TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
}

/* The driver has left the sum of the pseudo header without a length where the checksum goes. */
static void fit_pseudo_header(const struct e1000 *s, uint8_t *frame, uint32_t bytes)
{
    uint32_t start = s->context[1] & 0xFF, at = s->context[1] >> 8 & 0xFF;

    if (s->tx_first[1] & POPTS_TXSM && start < bytes && at + 2 <= bytes)
        netsum_put16(frame + at, netsum_fold((uint64_t)netsum_get16(frame + at) + bytes - start));
}

static void emit_segment(struct e1000 *s, bool last, uint64_t now_ns)
{
    uint32_t bytes = s->tx_bytes, header = header_bytes(s);

    if (s->tx_segment == 0)
        memcpy(s->tx_header, s->tx, header);
    fit_ip(s, s->tx, bytes);
    fit_tcp(s, s->tx, bytes, last);
    fit_pseudo_header(s, s->tx, bytes);
    insert_checksums(s, s->tx, bytes);
    emit(s, s->tx, bytes, now_ns);
    s->tx_segment++;
    memcpy(s->tx, s->tx_header, header);
    s->tx_bytes = header;
}

/* --- descriptors --- */

/* Bytes of the descriptor, from tx_used on, to the frame. False: the batch is full, and the descriptor not at
 * its end. */
static bool take_data(struct e1000 *s, const struct mem_master *m, uint64_t address, uint32_t length,
                      uint64_t now_ns)
{
    const uint32_t limit = frame_limit(s);

    while (s->tx_used < length) {
        if (s->tx_bytes >= limit && is_segmented(s)) {
            if (!out_has_room(s) || s->tx_wire_ns > now_ns + e1000_wire_ns(E1000_TX_FIFO_BYTES))
                return false;
            emit_segment(s, false, now_ns);
        }
        if (s->tx_bytes >= limit) { /* too long a frame: it will be dropped */
            s->tx_bytes = E1000_FRAME_MAX + 1;
            break;
        }
        uint32_t n = length - s->tx_used;
        n = n < limit - s->tx_bytes ? n : limit - s->tx_bytes;
        mem_master_read(m, address + s->tx_used, s->tx + s->tx_bytes, n);
        s->tx_bytes += n;
        s->tx_used += n;
    }
    return true;
}

static void finish_packet(struct e1000 *s, uint64_t now_ns)
{
    uint32_t bytes = s->tx_bytes <= E1000_FRAME_MAX ? s->tx_bytes : 0;

    if (is_segmented(s)) {
        if (bytes >= header_bytes(s)) {
            emit_segment(s, true, now_ns);
            e1000_count(s, STAT_TSCTC, 1);
        }
    } else {
        if (is_extended(s))
            insert_checksums(s, s->tx, bytes);
        else
            insert_legacy(s, s->tx, bytes);
        emit(s, s->tx, bytes, now_ns);
    }
    s->tx_bytes = s->tx_segment = s->tx_in_packet = 0;
}

/* 3.4.3: with IDE the interrupt waits for TIDV, but no longer than TADV. */
static void report(struct e1000 *s, uint32_t word2, uint64_t now_ns)
{
    uint64_t delay = (s->tidv & DELAY_MASK) * (uint64_t)DELAY_NS,
             most = (s->tadv & DELAY_MASK) * (uint64_t)DELAY_NS;

    if (!(word2 & TXD_IDE) || delay == 0) {
        e1000_raise(s, ICR_TXDW, now_ns);
        return;
    }
    s->tid_ns = now_ns + delay;
    if (most && s->tad_ns == NS_NEVER)
        s->tad_ns = now_ns + most;
}

static uint64_t ring_address(const struct e1000 *s)
{
    return ((uint64_t)s->tdbah << 32 | s->tdbal) + 16u * s->tdh;
}

static void done(struct e1000 *s, const struct mem_master *m, const uint32_t *d, uint64_t now_ns)
{
    uint32_t word3 = d[3] | TXD_DD;

    if (d[2] & (TXD_RS | TXD_RPS)) {
        mem_master_write(m, ring_address(s) + 12, &word3, sizeof(word3));
        report(s, d[2], now_ns);
    }
    s->tx_used = 0;
    s->tdh = s->tdh + 1 >= s->tdlen / 16 ? 0 : s->tdh + 1;
}

/* False: it is not at its end. */
static bool take_packet_part(struct e1000 *s, const struct mem_master *m, const uint32_t *d, uint64_t now_ns)
{
    uint64_t address = (uint64_t)d[1] << 32 | d[0];

    if (!s->tx_in_packet) {
        s->tx_in_packet = 1;
        s->tx_first[0] = d[2];
        s->tx_first[1] = d[3];
        s->tx_bytes = s->tx_segment = 0;
    }
    if (!take_data(s, m, address, d[2] & (d[2] & TXD_DEXT ? TXD_LENGTH : TXD_LEGACY_LEN), now_ns))
        return false;
    if (d[2] & TXD_EOP && !is_extended(s)) { /* 3.3.3: what they ask for counts in the last one */
        s->tx_first[0] = d[2] & ~TXD_DEXT;
        s->tx_first[1] = d[3];
    }
    if (d[2] & TXD_EOP)
        finish_packet(s, now_ns);
    return true;
}

/* False: it is not at its end. */
static bool one(struct e1000 *s, const struct mem_master *m, uint64_t now_ns)
{
    uint32_t d[4];

    mem_master_read(m, ring_address(s), d, sizeof(d));
    if (d[2] & TXD_DEXT && TXD_DTYP(d[2]) == DTYP_CONTEXT)
        memcpy(s->context, d, sizeof(d));
    else if (!(d[2] & TXD_DEXT) || TXD_DTYP(d[2]) == DTYP_DATA) {
        if (!take_packet_part(s, m, d, now_ns))
            return false;
    }
    done(s, m, d, now_ns);
    return true;
}

static bool goes_on(const struct e1000 *s, uint64_t now_ns)
{
    return s->tdh != s->tdt && out_has_room(s) &&
           s->tx_wire_ns <= now_ns + e1000_wire_ns(E1000_TX_FIFO_BYTES);
}

void e1000_tx_master(struct e1000 *s, const struct mem_master *m, uint64_t now_ns)
{
    uint64_t wire_ns = s->tx_wire_ns;

    s->tx_ns = NS_NEVER;
    if (!(s->tctl & TCTL_EN) || !e1000_ring(s->tdlen, s->tdh, s->tdt))
        return;
    for (unsigned n = 0; n < BATCH_DESCS && goes_on(s, now_ns); n++)
        if (!one(s, m, now_ns))
            break;
    if (s->tdh == s->tdt)
        e1000_raise(s, ICR_TXQE, now_ns);
    e1000_tx_arm(s, s->tx_wire_ns == wire_ns ? now_ns + IDLE_NS : now_ns);
}
