/* The 82540EM against its manual (order 317453): registers, EEPROM, PHY, interrupts, both rings, offloads. */
#include "nic_test.h"

#include "hw/e1000.h"

enum {
    CTRL = 0,
    STATUS = 8,
    EECD = 0x10,
    EERD = 0x14,
    MDIC = 0x20,
    ICR = 0xC0,
    ITR = 0xC4,
    ICS = 0xC8,
    IMS = 0xD0,
    IMC = 0xD8,
    RCTL = 0x100,
    TCTL = 0x400,
    RDBAL = 0x2800,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    RDTR = 0x2820,
    RADV = 0x282C,
    TDBAL = 0x3800,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    TIDV = 0x3820,
    TADV = 0x382C,
    RXCSUM = 0x5000,
    MTA = 0x5200,
    RAL = 0x5400,
    VFTA = 0x5600,
    GPRC = 0x4074,
    GPTC = 0x4080,
    RNBC = 0x40A0,
    TSCTC = 0x40F8,
};

#define TX_RING 0x1000u
#define RX_RING 0x2000u
#define DATA    0x10000u
#define BUFFERS 0x100000u
#define DESCS   8u
#define TXDW    1u
#define RXT0    0x80u
#define RXDMT0  0x10u
#define EN_BAM  0x8002u
#define SECRC   0x4000000u
#define EOP     (1u << 24)
#define IFCS    (1u << 25)
#define TSE     (1u << 26)
#define RS      (1u << 27)
#define DEXT    (1u << 29)
#define VLE     (1u << 30)
#define IDE     (1u << 31)
#define DTYP_D  (1u << 20)

static struct e1000 s;
static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static void run(uint64_t ns)
{
    nic_run_to(&e1000_class, &e1000_frames_out, &s, now_ns + ns);
}

static uint32_t rd(uint32_t reg)
{
    if (e1000_class.read_changes(&s, reg))
        return e1000_class.read(&s, reg, 4, now_ns);
    uint32_t v = e1000_class.pure_read(&s, reg, 4, now_ns);
    cr_assert_eq(e1000_class.read(&s, reg, 4, now_ns), v);
    return v;
}

static void wr(uint32_t reg, uint32_t v)
{
    e1000_class.write(&s, reg, 4, v, now_ns);
}

static bool pin(void)
{
    return e1000_class.outputs(&s) & 1;
}

static void setup(void)
{
    cr_assert_eq(physmem_init(&pm, 8u << 20), 0);
    memset(&s, 0xA5, sizeof(s));
    e1000_fit(&s, mac);
    now_ns = 1000;
}

static void teardown(void)
{
    physmem_free(&pm);
}

TestSuite(e1000, .init = setup, .fini = teardown);

Test(e1000, fields)
{
    chip_check_fields(&e1000_class);
}

Test(e1000, after_reset)
{
    cr_expect_eq(rd(STATUS), 0x283); /* full duplex, link, 1000 Mb/s as set and as detected */
    cr_expect_eq(rd(CTRL), 0x241);
    cr_expect_eq(rd(RAL), 0x12005452);
    cr_expect_eq(rd(RAL + 4), 0x80005634);
    cr_expect_eq(rd(0x38), 0x8100);
    wr(RAL, 1);
    wr(RCTL, EN_BAM);
    wr(CTRL, rd(CTRL) | 1u << 26);
    cr_expect_eq(rd(RAL), 0x12005452, "CTRL.RST loads the address from the EEPROM");
    cr_expect_eq(rd(RCTL), 0);
    cr_expect_not(rd(CTRL) >> 26 & 1);
}

Test(e1000, link_follows_slu)
{
    wr(IMS, 4);
    wr(CTRL, 1);
    cr_expect_eq(rd(STATUS) & 2, 0);
    cr_expect_not(pin());
    wr(CTRL, 0x41);
    cr_expect_eq(rd(STATUS) & 2, 2);
    cr_expect(pin());
    cr_expect_eq(rd(ICR), 4);
    cr_expect_not(pin());
}

Test(e1000, eeprom_by_eerd)
{
    uint16_t sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        wr(EERD, 1 | i << 8);
        cr_expect_eq(rd(EERD) & 0xFF11, i << 8 | 0x10);
        sum = (uint16_t)(sum + (rd(EERD) >> 16));
        if (i < 3)
            cr_expect_eq(rd(EERD) >> 16, mac[2 * i] | (uint32_t)mac[2 * i + 1] << 8);
    }
    cr_expect_eq(sum, 0xBABA);
}

static void ee_bit(unsigned di)
{
    wr(EECD, 0x42 | di << 2);
    wr(EECD, 0x43 | di << 2);
    wr(EECD, 0x42 | di << 2);
}

static unsigned ee_read(unsigned address)
{
    unsigned v = 0, command = 6u << 6 | address;

    wr(EECD, 0x40);
    cr_expect_eq(rd(EECD) & 0x180, 0x180, "granted, present");
    wr(EECD, 0x42);
    for (unsigned i = 9; i-- > 0;)
        ee_bit(command >> i & 1);
    cr_expect_eq(rd(EECD) & 8, 0, "the bit before the word");
    for (unsigned i = 0; i < 16; i++) {
        wr(EECD, 0x43);
        v = v << 1 | (rd(EECD) >> 3 & 1);
        wr(EECD, 0x42);
    }
    wr(EECD, 0);
    return v;
}

Test(e1000, eeprom_bit_by_bit)
{
    for (unsigned i = 0; i < 64; i++) {
        wr(EERD, 1 | i << 8);
        cr_expect_eq(ee_read(i), rd(EERD) >> 16, "word %u", i);
    }
}

static uint32_t mdic(unsigned op, unsigned phy, unsigned reg, unsigned value)
{
    wr(MDIC, op << 26 | phy << 21 | reg << 16 | value);
    return rd(MDIC);
}

Test(e1000, phy)
{
    cr_expect_eq(mdic(2, 1, 2, 0) & 0xFFFF, 0x0141);
    cr_expect_eq(mdic(2, 1, 3, 0) & 0xFFF0, 0x0C20);
    cr_expect_eq(mdic(2, 1, 1, 0) & 0x24, 0x24, "link, negotiated");
    cr_expect_eq(mdic(2, 1, 1, 0) >> 28, 1, "ready, no error");
    cr_expect_eq(mdic(2, 2, 1, 0) >> 28, 5, "nobody at address 2");
    mdic(1, 1, 4, 0x1E1);
    cr_expect_eq(mdic(2, 1, 4, 0) & 0xFFFF, 0x1E1);
    mdic(1, 1, 2, 7);
    cr_expect_eq(mdic(2, 1, 2, 0) & 0xFFFF, 0x0141, "read-only");
    mdic(1, 1, 0, 0x9140);
    cr_expect_eq(mdic(2, 1, 0, 0) & 0xFFFF, 0x1140, "reset is over");
    cr_expect_eq(mdic(2, 1, 4, 0) & 0xFFFF, 0x0DE1);
    wr(MDIC, 1u << 29 | 2u << 26 | 1u << 21);
    cr_expect_eq(rd(ICR), 0x200, "MDAC");
}

Test(e1000, causes_and_masks)
{
    wr(ICS, TXDW | RXT0);
    cr_expect_not(pin());
    wr(IMS, RXT0);
    cr_expect(pin());
    wr(IMC, RXT0);
    cr_expect_not(pin());
    cr_expect_eq(rd(IMS), 0);
    wr(IMS, RXT0 | TXDW);
    wr(ICR, RXT0); /* written ones clear */
    cr_expect(pin());
    cr_expect(e1000_class.read_changes(&s, ICR));
    cr_expect_eq(rd(ICR), TXDW);
    cr_expect_not(e1000_class.read_changes(&s, ICR));
    cr_expect_not(pin());
}

/* 13.4.18: 256 ns a unit, from one assertion to the next. */
Test(e1000, throttle)
{
    wr(ITR, 100);
    wr(IMS, TXDW);
    wr(ICS, TXDW);
    cr_expect(pin());
    uint64_t first = now_ns;
    rd(ICR);
    wr(ICS, TXDW);
    cr_expect_not(pin());
    cr_expect_eq(e1000_class.next_event(&s), first + 25600);
    run(25599);
    cr_expect_not(pin());
    run(1);
    cr_expect(pin());
    rd(ICR);
    wr(ICS, TXDW);
    wr(ITR, 0);
    cr_expect(pin(), "no interval any more");
}

Test(e1000, io_window)
{
    e1000_class.write(&s, E1000_OFF_IO, 4, RAL, now_ns);
    cr_expect_eq(e1000_class.pure_read(&s, E1000_OFF_IO, 4, now_ns), RAL);
    cr_expect_eq(e1000_class.pure_read(&s, E1000_OFF_IO + 4, 4, now_ns), 0x12005452);
    e1000_class.write(&s, E1000_OFF_IO, 4, ICS, now_ns);
    e1000_class.write(&s, E1000_OFF_IO + 4, 4, TXDW, now_ns);
    e1000_class.write(&s, E1000_OFF_IO, 4, ICR, now_ns);
    cr_expect(e1000_class.read_changes(&s, E1000_OFF_IO + 4));
    cr_expect_eq(e1000_class.read(&s, E1000_OFF_IO + 4, 4, now_ns), TXDW);
    cr_expect_eq(rd(ICR), 0);
}

/* --- transmit --- */

static unsigned tail;

static void tx_on(void)
{
    tail = 0;
    nsent = 0;
    wr(TDBAL, TX_RING);
    wr(TDLEN, DESCS * 16);
    wr(TDH, 0);
    wr(TDT, 0);
    wr(TCTL, 0xA);
}

static void tx_desc(uint64_t address, uint32_t word2, uint32_t word3)
{
    put(TX_RING + 16 * tail, &address, 8);
    put32(TX_RING + 16 * tail + 8, word2);
    put32(TX_RING + 16 * tail + 12, word3);
    tail = (tail + 1) % DESCS;
}

static uint32_t tx_status(unsigned n)
{
    return get32(TX_RING + 16 * n + 12) & 15;
}

Test(e1000, legacy_frame_in_two_parts)
{
    uint8_t f[200];
    uint32_t n = make_frame(f, 17, 100);

    tx_on();
    put(DATA, f, n);
    wr(IMS, TXDW);
    tx_desc(DATA, 50, 0);
    tx_desc(DATA + 50, (n - 50) | EOP | RS | IFCS, 0);
    wr(TDT, tail);
    run(1);
    cr_assert_eq(nsent, 1);
    cr_expect_eq(sent[0].bytes, n);
    cr_expect_arr_eq(sent[0].data, f, n);
    cr_expect_eq(tx_status(0), 0, "it did not ask for a report");
    cr_expect_eq(tx_status(1), 1);
    cr_expect_eq(rd(TDH), 2);
    cr_expect(pin());
    cr_expect_eq(rd(ICR), TXDW | 2);
    cr_expect_eq(rd(GPTC), 1);
    cr_expect_eq(rd(GPTC), 0, "a read clears");
}

Test(e1000, short_frames_are_padded)
{
    tx_on();
    tx_desc(DATA, 20 | EOP, 0);
    wr(TDT, tail);
    run(1);
    cr_assert_eq(nsent, 1);
    cr_expect_eq(sent[0].bytes, 60);
}

/* A full frame has 1514 + 24 bytes on the wire, 8 ns each; 16 KiB of FIFO are sent ahead. */
Test(e1000, wire_time)
{
    tx_on();
    for (unsigned i = 0; i < 7; i++)
        tx_desc(DATA, 1514 | EOP | RS, 0);
    wr(TDT, tail);
    uint64_t start = now_ns, frame = (1514 + 24) * 8;
    run(20 * frame);
    cr_expect_eq(nsent, 7);
    cr_expect_eq(sent[6].at_ns, start);
    tx_desc(DATA, 1514 | EOP | RS, 0);
    nsent = 0;
    wr(TDT, tail);
    run(0);
    for (unsigned i = 0; i < 3; i++) { /* the ring again and again: the rate is that of the wire */
        for (unsigned k = 0; k < 7; k++)
            tx_desc(DATA, 1514 | EOP, 0);
        wr(TDT, tail);
        run(7 * frame);
    }
    cr_expect_eq(nsent, 22);
    cr_expect_geq(sent[21].at_ns - sent[0].at_ns, 14 * frame);
}

Test(e1000, interrupt_delays)
{
    tx_on();
    wr(TIDV, 10);
    wr(TADV, 15);
    uint64_t start = now_ns;
    for (unsigned i = 0; i < 3; i++) {
        tx_desc(DATA, 60 | EOP | RS | IDE, 0);
        wr(TDT, tail);
        run(7000);
    }
    cr_expect_eq(e1000_class.next_event(&s), NS_NEVER);
    cr_expect_eq(rd(ICR) & TXDW, TXDW, "TADV: 15.36 us after the first, although TIDV began anew");
    tx_desc(DATA, 60 | EOP | RS | IDE, 0);
    wr(TDT, tail);
    run(0);
    start = now_ns;
    cr_expect_eq(e1000_class.next_event(&s), start + 10240);
    wr(TIDV, 10u | 1u << 31); /* FPD */
    cr_expect_eq(rd(ICR) & TXDW, TXDW);
}

Test(e1000, legacy_checksum)
{
    uint8_t f[200];
    uint32_t n = make_frame(f, 17, 99);

    tx_on();
    set16(f + TCP + 6, pseudo(f, n - TCP));
    set16(f + IP + 10, (uint16_t)~sum16(f + IP, 20, 0));
    put(DATA, f, n);
    tx_desc(DATA, n | EOP | TSE /* IC */ | (TCP + 6) << 16, TCP << 8);
    wr(TDT, tail);
    run(1);
    cr_assert_eq(nsent, 1);
    cr_expect(l4_is_good(sent[0].data));
}

static void context(uint32_t payload, uint32_t tucmd, uint32_t header, uint32_t mss, unsigned checksum)
{
    tx_desc(IP | (IP + 10) << 8 | (TCP - 1) << 16 | (uint64_t)(TCP | checksum << 8) << 32,
            payload | DEXT | tucmd << 24, header << 8 | mss << 16);
}

Test(e1000, context_checksums)
{
    uint8_t f[200];
    uint32_t n = make_frame(f, 6, 101);

    tx_on();
    set16(f + TCP + 16, pseudo(f, n - TCP));
    put(DATA, f, n);
    context(0, 3, 0, 0, TCP + 16);
    tx_desc(DATA, 30 | DEXT | DTYP_D, 3 << 8);
    tx_desc(DATA + 30, (n - 30) | DEXT | DTYP_D | EOP | RS, 0);
    wr(TDT, tail);
    run(1);
    cr_assert_eq(nsent, 1);
    cr_expect(ip_is_good(sent[0].data));
    cr_expect(l4_is_good(sent[0].data));
    cr_expect_eq(tx_status(2), 1);
}

/* 3.5: 2500 bytes in segments of 1000. */
Test(e1000, segmentation)
{
    static uint8_t f[3000];
    uint32_t n = make_frame(f, 6, 2500), header = TCP + 20;

    tx_on();
    set16(f + IP + 2, 0);
    set16(f + TCP + 16, pseudo(f, 0));
    put(DATA, f, n);
    context(2500, 7, header, 1000, TCP + 16);
    tx_desc(DATA, header | DEXT | DTYP_D | TSE, 3 << 8);
    tx_desc(DATA + header, 1700 | DEXT | DTYP_D | TSE, 0);
    tx_desc(DATA + header + 1700, 800 | DEXT | DTYP_D | TSE | EOP | RS, 0);
    wr(TDT, tail);
    run(1);
    cr_assert_eq(nsent, 3);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *p = sent[i].data;
        uint32_t data = i < 2 ? 1000 : 500;
        cr_expect_eq(sent[i].bytes, header + data);
        cr_expect_eq(be16(p + IP + 2), 40 + data);
        cr_expect_eq(be16(p + IP + 4), 0x1234 + i);
        cr_expect_eq(be32(p + TCP + 4), 0x0102FFF0 + 1000 * i);
        cr_expect_eq(p[TCP + 13], i < 2 ? 0x10 : 0x19, "PSH and FIN are the last one's");
        cr_expect(ip_is_good(p), "segment %u", i);
        cr_expect(l4_is_good(p), "segment %u", i);
        cr_expect_arr_eq(p + header, f + header + 1000 * i, data);
    }
    cr_expect_eq(rd(TSCTC), 1);
}

/* Far more than the FIFO holds, from one descriptor: the wire paces it. */
Test(e1000, segmentation_of_much)
{
    static uint8_t f[60000];
    uint32_t n = make_frame(f, 6, 50000), header = TCP + 20;

    tx_on();
    set16(f + TCP + 16, pseudo(f, 0));
    put(DATA, f, n);
    context(50000, 7, header, 1460, TCP + 16);
    tx_desc(DATA, n | DEXT | DTYP_D | TSE | EOP | RS, 3 << 8);
    wr(TDT, tail);
    run(0);
    cr_expect_lt(nsent, 16);
    run(50000 * 10);
    cr_assert_eq(nsent, 35);
    for (unsigned i = 0; i < nsent; i++) {
        uint32_t data = i < 34 ? 1460 : 50000 - 34 * 1460;
        cr_assert_eq(sent[i].bytes, header + data);
        cr_assert(l4_is_good(sent[i].data), "segment %u", i);
        cr_assert_arr_eq(sent[i].data + header, f + header + 1460 * i, data);
    }
}

Test(e1000, vlan_insert)
{
    uint8_t f[200];
    uint32_t n = make_frame(f, 17, 100);

    tx_on();
    put(DATA, f, n);
    wr(CTRL, rd(CTRL) | 1u << 30);
    tx_desc(DATA, n | EOP | VLE, 0x2064u << 16);
    wr(TDT, tail);
    run(1);
    cr_assert_eq(nsent, 1);
    cr_expect_eq(sent[0].bytes, n + 4);
    cr_expect_eq(be32(sent[0].data + 12), 0x81002064);
    cr_expect_arr_eq(sent[0].data + 16, f + 12, n - 12);
}

/* --- receive --- */

static void rx_on(uint32_t rctl, unsigned descs)
{
    for (unsigned i = 0; i < DESCS; i++) {
        uint64_t at = BUFFERS + 0x4000 * i;
        put(RX_RING + 16 * i, &at, 8);
        put(RX_RING + 16 * i + 8, &(uint64_t){0}, 8);
    }
    wr(RDBAL, RX_RING);
    wr(RDLEN, DESCS * 16);
    wr(RDH, 0);
    wr(RDT, descs);
    wr(RCTL, rctl);
}

static void in(const uint8_t *f, uint32_t n)
{
    cr_assert_neq(e1000_frames_in.ready_ns(&s), NS_NEVER);
    run(e1000_frames_in.ready_ns(&s) > now_ns ? e1000_frames_in.ready_ns(&s) - now_ns : 0);
    e1000_frames_in.put(&s, f, n, now_ns);
    run(0);
}

struct rxd {
    uint32_t bytes, sum, status, errors, tag;
};

static struct rxd rxd(unsigned n)
{
    uint32_t a = get32(RX_RING + 16 * n + 8), b = get32(RX_RING + 16 * n + 12);

    return (struct rxd){a & 0xFFFF, a >> 16, b & 0xFF, b >> 8 & 0xFF, b >> 16};
}

Test(e1000, receive)
{
    uint8_t f[200], back[200];
    uint32_t n = make_frame(f, 17, 100);

    rx_on(EN_BAM | SECRC, 4);
    wr(IMS, RXT0);
    fill_checksums(f);
    in(f, n);
    cr_expect(pin());
    cr_expect_eq(rd(ICR) & RXT0, RXT0);
    cr_expect_eq(rd(RDH), 1);
    struct rxd d = rxd(0);
    cr_expect_eq(d.bytes, n);
    cr_expect_eq(d.status, 0x63, "DD, EOP, both checksums looked at");
    cr_expect_eq(d.errors, 0);
    cr_expect_eq(d.sum, sum16(f, n, 0));
    cr_assert(physmem_read(&pm, BUFFERS, back, n));
    cr_expect_arr_eq(back, f, n);
    cr_expect_eq(rd(GPRC), 1);
    f[n - 1] ^= 1;
    f[IP + 8]--;
    run(50000);
    in(f, n);
    cr_expect_eq(rxd(1).errors, 0x60, "both are wrong");
    wr(RXCSUM, 0);
    run(50000);
    in(f, n);
    cr_expect_eq(rxd(2).status, 7, "IXSM");
    cr_expect_eq(rxd(2).errors, 0);
}

Test(e1000, fcs_bytes_without_secrc)
{
    uint8_t f[200];
    uint32_t n = make_frame(f, 17, 100);

    rx_on(EN_BAM, 4);
    in(f, n);
    cr_expect_eq(rxd(0).bytes, n + 4);
    in(f, 30);
    run(50000);
    cr_expect_eq(rxd(1).bytes, 64, "no frame on the wire is shorter");
}

static bool arrives(const uint8_t *address, uint32_t rctl)
{
    uint8_t f[64] = {0};

    memcpy(f, address, 6);
    rx_on(rctl, 4);
    rd(GPRC);
    in(f, 64);
    run(50000);
    return rd(GPRC) && rd(RDH) == 1;
}

Test(e1000, filters)
{
    static const uint8_t other[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x57},
                         all[6] = {255, 255, 255, 255, 255, 255}, group[6] = {1, 0, 0x5E, 0, 0xAC, 0x12};

    cr_expect(arrives(mac, 2));
    cr_expect_not(arrives(other, 2));
    cr_expect(arrives(other, 2 | 8), "UPE");
    cr_expect_not(arrives(all, 2));
    cr_expect(arrives(all, EN_BAM));
    cr_expect_not(arrives(group, EN_BAM));
    cr_expect(arrives(group, EN_BAM | 16), "MPE");
    for (unsigned mo = 0; mo < 4; mo++) { /* 13.5.1: bits 47..36, 46..35, 45..34, 43..32 of the address */
        static const unsigned bit[] = {0x12A, 0x255, 0x4AB, 0x2AC};
        wr(MTA + 4 * (bit[mo] / 32), 1u << bit[mo] % 32);
        cr_expect(arrives(group, EN_BAM | mo << 12), "offset %u", mo);
        wr(MTA + 4 * (bit[mo] / 32), 0);
        cr_expect_not(arrives(group, EN_BAM | mo << 12), "offset %u", mo);
    }
    wr(RAL + 8, 0x12005452);
    wr(RAL + 12, 0x5734);
    cr_expect_not(arrives(other, 2), "AV is clear");
    wr(RAL + 12, 0x80005734);
    cr_expect(arrives(other, 2));
    cr_expect_not(arrives(mac, 0), "off");
}

Test(e1000, vlans)
{
    uint8_t f[200], back[200];
    uint32_t n = make_frame(f, 17, 100);

    memmove(f + 16, f + 12, n - 12);
    memcpy(f + 12, "\x81\x00\x20\x64", 4);
    rx_on(EN_BAM | SECRC | 1u << 18, 4);
    in(f, n + 4);
    cr_expect_eq(rd(RDH), 0, "VLAN 64h is not in the table");
    wr(VFTA + 4 * (0x64 / 32), 1u << 0x64 % 32);
    in(f, n + 4);
    cr_expect_eq(rxd(0).bytes, n + 4);
    wr(CTRL, rd(CTRL) | 1u << 30);
    run(50000);
    in(f, n + 4);
    cr_expect_eq(rxd(1).bytes, n);
    cr_expect_eq(rxd(1).status & 8, 8);
    cr_expect_eq(rxd(1).tag, 0x2064);
    cr_assert(physmem_read(&pm, BUFFERS + 0x4000, back, n));
    cr_expect_arr_eq(back + 12, f + 16, n - 12);
}

Test(e1000, buffer_sizes)
{
    static const struct {
        uint32_t bits, bytes;
    } sizes[] = {{0, 2048},
                 {1u << 16, 1024},
                 {2u << 16, 512},
                 {3u << 16, 256},
                 {1u << 25 | 1u << 16, 16384},
                 {1u << 25 | 2u << 16, 8192},
                 {1u << 25 | 3u << 16, 4096}};
    uint8_t f[1514];
    uint32_t n = make_frame(f, 17, 1472);

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t whole = n / sizes[i].bytes, rest = n % sizes[i].bytes;
        rx_on(EN_BAM | SECRC | sizes[i].bits, 7);
        in(f, n);
        run(50000);
        cr_expect_eq(rd(RDH), whole + 1, "size %u", i);
        for (unsigned k = 0; k < whole; k++) {
            cr_expect_eq(rxd(k).bytes, sizes[i].bytes);
            cr_expect_eq(rxd(k).status, 1);
        }
        cr_expect_eq(rxd(whole).bytes, rest);
        cr_expect_eq(rxd(whole).status & 3, 3);
    }
}

Test(e1000, no_descriptors)
{
    uint8_t f[1514];
    uint32_t n = make_frame(f, 17, 1472), frames = 0;

    rx_on(EN_BAM | SECRC, 0);
    while (e1000_frames_in.ready_ns(&s) != NS_NEVER && frames < 100) {
        in(f, n);
        frames++;
    }
    cr_expect_geq(frames, 20, "the FIFO has 48 KiB");
    cr_expect_lt(frames, 34);
    cr_expect_eq(rd(RNBC), frames);
    cr_expect_eq(rd(RDH), 0);
    wr(RDT, 7);
    run(0);
    cr_expect_eq(rd(RDH), 7, "as many as there are descriptors");
    cr_expect_neq(e1000_frames_in.ready_ns(&s), NS_NEVER, "there is room again");
    wr(RCTL, 0);
    cr_expect_neq(e1000_frames_in.ready_ns(&s), NS_NEVER, "off: frames are lost, not kept");
}

Test(e1000, frames_take_time_and_go_together)
{
    uint8_t f[1514];
    uint32_t n = make_frame(f, 17, 1472);
    uint64_t frame = (1514 + 24) * 8;

    rx_on(EN_BAM | SECRC, 7);
    uint64_t start = now_ns;
    for (unsigned i = 0; i < 4; i++) {
        in(f, n);
        cr_expect_eq(e1000_frames_in.ready_ns(&s), start + (i + 1) * frame);
        cr_expect_eq(rd(RDH), 1, "the first one at once, the others with it");
    }
    run(40000);
    cr_expect_eq(rd(RDH), 4);
}

Test(e1000, receive_delays)
{
    uint8_t f[64];
    make_frame(f, 17, 22);

    rx_on(EN_BAM | SECRC, 7);
    wr(RDTR, 10);
    wr(RADV, 15);
    in(f, 64);
    cr_expect_eq(rd(ICR) & RXT0, 0);
    cr_expect_eq(e1000_class.next_event(&s), now_ns + 10240);
    run(10240);
    cr_expect_eq(rd(ICR) & RXT0, RXT0);
    run(50000);
    in(f, 64);
    wr(RDTR, 10u | 1u << 31);
    cr_expect_eq(rd(ICR) & RXT0, RXT0, "FPD");
}

Test(e1000, threshold)
{
    uint8_t f[64];
    make_frame(f, 17, 22);

    rx_on(EN_BAM | SECRC, 7); /* RDMTS 0: half of 8 */
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(rd(ICR) & RXDMT0, 0);
        in(f, 64);
        run(50000);
    }
    cr_expect_eq(rd(ICR) & RXDMT0, RXDMT0);
}

/* --- hostile --- */

Test(e1000, rings_that_are_none)
{
    uint8_t f[64];
    make_frame(f, 17, 22);

    tx_on();
    wr(TDT, 60000);
    cr_expect_eq(e1000_class.next_master(&s), NS_NEVER);
    wr(TDLEN, 0);
    wr(TDT, 1);
    cr_expect_eq(e1000_class.next_master(&s), NS_NEVER);
    wr(TDLEN, 0xFFF80);
    wr(TDBAL, 0xFFFFFF00); /* no memory there: descriptors of ones */
    wr(TDT, 60000);
    run(10000000);
    rx_on(EN_BAM, 7);
    wr(RDBAL, 0xFFFFFF00);
    in(f, 64);
    run(100000);
    rx_on(EN_BAM | 3u << 16 | 0x20, 7);
    wr(RDLEN, 128);
    static uint8_t long_frame[16128];
    memcpy(long_frame, mac, 6);
    in(long_frame, sizeof(long_frame));
    run(100000);
    cr_expect_eq(rd(0x4010), 1, "MPC: the ring can never take it");
}

Test(e1000, too_long_frames_are_dropped)
{
    static uint8_t f[20000];

    tx_on();
    tx_desc(DATA, 16000, 0);
    tx_desc(DATA, 16000 | EOP | RS, 0);
    tx_desc(DATA, 100 | EOP | RS, 0);
    wr(TDT, tail);
    run(1000000);
    cr_expect_eq(nsent, 1);
    cr_expect_eq(sent[0].bytes, 100);
    memcpy(f, mac, 6);
    rx_on(EN_BAM, 7);
    in(f, 1515);
    cr_expect_eq(rd(0x40AC), 1, "ROC");
    in(f, 20000);
    cr_expect_eq(rd(0x40AC), 1);
    in(f, 13);
    cr_expect_eq(rd(0x40A4), 1, "RUC");
}

Test(e1000, without_bus_mastering)
{
    struct chip_master m = {0};

    tx_on();
    tx_desc(DATA, 100 | EOP, 0);
    wr(TDT, tail);
    e1000_class.master(&s, &m, now_ns);
    cr_expect_eq(e1000_class.next_master(&s), NS_NEVER);
    cr_expect_eq(rd(TDH), 0);
}

/* A run that is saved and loaded anywhere, with frames under way, goes on as one that is not. */
Test(e1000, save_and_load_at_any_time)
{
    static uint8_t f[3000], bytes[sizeof(struct e1000) + 64];
    static struct e1000 straight;
    uint32_t header = TCP + 20;

    for (unsigned at = 0; at < 40; at++) {
        for (unsigned pass = 0; pass < 2; pass++) {
            e1000_fit(&s, mac);
            now_ns = 0;
            tx_on();
            put(DATA, f, make_frame(f, 6, 2500));
            rx_on(EN_BAM | SECRC, 3);
            wr(ITR, 30);
            wr(IMS, 0xFF);
            wr(RDTR, 3);
            context(20000, 7, header, 1000, TCP + 16);
            tx_desc(DATA, 20000 | DEXT | DTYP_D | TSE | EOP | RS | IDE, 3 << 8);
            wr(TIDV, 2);
            wr(TDT, tail);
            for (unsigned step = 0; step < 40; step++) {
                if (pass && step == at) {
                    fields_put(e1000_class.fields, e1000_class.nfields, &s, bytes);
                    memset(&s, 0x5A, sizeof(s));
                    const uint8_t *p = bytes;
                    for (size_t i = 0; i < e1000_class.nfields; i++) {
                        cr_assert(field_get(&e1000_class.fields[i], &s, p));
                        p += field_bytes(&e1000_class.fields[i]);
                    }
                }
                if (step % 5 == 0 && e1000_frames_in.ready_ns(&s) <= now_ns)
                    e1000_frames_in.put(&s, f, 1000 + step, now_ns);
                if (step == 20)
                    rd(ICR);
                run(6000);
            }
            if (pass)
                cr_assert_eq(memcmp(&s, &straight, sizeof(s)), 0, "loaded at step %u", at);
            straight = s;
        }
    }
}

Test(e1000, write_errors)
{
    cr_expect_null(e1000_class.write_error(&s, TDT, 4, 0));
    cr_expect_not_null(e1000_class.write_error(&s, TDT, 2, 0));
    cr_expect_not_null(e1000_class.write_error(&s, STATUS, 4, 0));
    cr_expect_not_null(e1000_class.write_error(&s, GPRC, 4, 0));
    cr_expect_not_null(e1000_class.write_error(&s, 0x7000, 4, 0));
    cr_expect_not_null(e1000_class.write_error(&s, TDBAL, 4, 8));
    cr_expect_not_null(e1000_class.write_error(&s, TDLEN, 4, 64));
    tx_on();
    cr_expect_null(e1000_class.write_error(&s, TDT, 4, DESCS - 1));
    cr_expect_not_null(e1000_class.write_error(&s, TDT, 4, DESCS));
    cr_expect_not_null(e1000_class.write_error(&s, TDH, 4, 0));
    cr_expect_not_null(e1000_class.write_error(&s, E1000_OFF_IO, 4, 0x20000));
}
