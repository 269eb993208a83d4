/* The virtio network card against Virtual I/O Device 1.1, 5.1: queues, merged buffers, checksums, filters. */
#include "nic_test.h"

#include "hw/virtio_net.h"

#define NEXT  1u
#define WRITE 2u
#define SIZE  VIRTQ_SIZE_MAX
#define DATA  0x100000u

#define F_CSUM       1u
#define F_GUEST_CSUM 2u
#define F_MRG        (1u << 15)
#define F_CTRL_VQ    (1u << 17)

static struct virtio_net s;
static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
static unsigned avail[VIRTIO_NET_QUEUES];
static uint32_t head_bytes;

static uint32_t ring(unsigned q)
{
    return 0x10000 + 0x10000 * q;
}

static uint32_t avail_at(unsigned q)
{
    return ring(q) + 0x1000;
}

static uint32_t used_at(unsigned q)
{
    return ring(q) + 0x2000;
}

static void run(uint64_t ns)
{
    nic_run_to(&virtio_net_class, &virtio_net_frames_out, &s, now_ns + ns);
}

static uint32_t rd(uint32_t reg, unsigned size)
{
    return virtio_net_class.read(&s, reg, size, now_ns);
}

static void wr(uint32_t reg, unsigned size, uint32_t v)
{
    virtio_net_class.write(&s, reg, size, v, now_ns);
}

static bool pin(void)
{
    return virtio_net_class.outputs(&s) & 1;
}

static void put16(uint64_t at, uint32_t v)
{
    put(at, &v, 2);
}

static void desc(unsigned q, unsigned n, uint64_t address, uint32_t bytes, uint32_t flags, unsigned next)
{
    put(ring(q) + 16 * n, &address, 8);
    put32(ring(q) + 16 * n + 8, bytes);
    put32(ring(q) + 16 * n + 12, flags | next << 16);
}

static void available(unsigned q, unsigned head)
{
    put16(avail_at(q) + 4 + 2 * (avail[q]++ % SIZE), head);
    put16(avail_at(q) + 2, avail[q]);
}

static void kick(unsigned q)
{
    wr(VIRTIO_NOTIFY_AT, 2, q);
    run(0);
}

static uint32_t used(unsigned q)
{
    return get32(used_at(q)) >> 16;
}

static uint32_t used_bytes(unsigned q, unsigned n)
{
    return get32(used_at(q) + 4 + 8 * n + 4);
}

/* A modern driver with these features besides VERSION_1. */
static void start(uint32_t features)
{
    wr(VIRTIO_COMMON_AT + 0x14, 1, 0);
    wr(VIRTIO_COMMON_AT + 0x14, 1, 3);
    wr(VIRTIO_COMMON_AT + 8, 4, 0);
    wr(VIRTIO_COMMON_AT + 12, 4, features);
    wr(VIRTIO_COMMON_AT + 8, 4, 1);
    wr(VIRTIO_COMMON_AT + 12, 4, 1);
    wr(VIRTIO_COMMON_AT + 0x14, 1, 11);
    cr_assert_eq(rd(VIRTIO_COMMON_AT + 0x14, 1) & 8, 8, "FEATURES_OK");
    for (unsigned q = 0; q < VIRTIO_NET_QUEUES; q++) {
        wr(VIRTIO_COMMON_AT + 0x16, 2, q);
        wr(VIRTIO_COMMON_AT + 0x20, 4, ring(q));
        wr(VIRTIO_COMMON_AT + 0x28, 4, avail_at(q));
        wr(VIRTIO_COMMON_AT + 0x30, 4, used_at(q));
        wr(VIRTIO_COMMON_AT + 0x1C, 2, 1);
    }
    wr(VIRTIO_COMMON_AT + 0x14, 1, 15);
    memset(avail, 0, sizeof(avail));
    head_bytes = 12;
    nsent = 0;
}

static void setup(void)
{
    cr_assert_eq(physmem_init(&pm, 8u << 20), 0);
    memset(&s, 0xA5, sizeof(s));
    virtio_net_fit(&s, mac);
    now_ns = 1000;
    start(F_MRG);
}

static void teardown(void)
{
    physmem_free(&pm);
}

TestSuite(virtio_net, .init = setup, .fini = teardown);

Test(virtio_net, fields)
{
    chip_check_fields(&virtio_net_class);
}

Test(virtio_net, configuration)
{
    cr_expect_eq(rd(VIRTIO_DEVICE_AT, 4), 0x12005452);
    cr_expect_eq(rd(VIRTIO_DEVICE_AT + 4, 2) & 0xFFFF, 0x5634);
    cr_expect_eq(rd(VIRTIO_DEVICE_AT + 6, 2) & 0xFFFF, 1, "link up");
    cr_expect_eq(rd(VIRTIO_LEGACY_CONFIG_AT, 4), 0x12005452);
    cr_expect_eq(rd(VIRTIO_COMMON_AT + 0x12, 2), 3, "queues");
    cr_expect_eq(rd(0, 4) & (1u << 5 | 1u << 16), 1u << 5 | 1u << 16, "MAC, STATUS");
}

/* --- sending --- */

static void send_frame(const uint8_t *header, const uint8_t *f, uint32_t n)
{
    put(DATA, header, head_bytes);
    put(DATA + 0x1000, f, n);
    desc(VIRTIO_NET_TX, 0, DATA, head_bytes, NEXT, 1);
    desc(VIRTIO_NET_TX, 1, DATA + 0x1000, n, 0, 0);
    available(VIRTIO_NET_TX, 0);
    kick(VIRTIO_NET_TX);
}

Test(virtio_net, send)
{
    static const uint8_t header[12];
    uint8_t f[200];
    uint32_t n = make_frame(f, 17, 100);

    send_frame(header, f, n);
    cr_assert_eq(nsent, 1);
    cr_expect_eq(sent[0].bytes, n);
    cr_expect_arr_eq(sent[0].data, f, n);
    cr_expect_eq(used(VIRTIO_NET_TX), 1);
    cr_expect(pin());
    cr_expect(virtio_net_class.read_changes(&s, VIRTIO_ISR_AT));
    cr_expect_eq(rd(VIRTIO_ISR_AT, 1), 1);
    cr_expect_not(pin());
    run(1000000);
    send_frame(header, f, 20);
    cr_assert_eq(nsent, 2);
    cr_expect_eq(sent[1].bytes, 60, "the wire has no shorter ones");
}

Test(virtio_net, checksum_of_the_driver)
{
    uint8_t header[12] = {1, 0, 0, 0, 0, 0, TCP, 0, 16}, f[200];
    uint32_t n = make_frame(f, 6, 101);

    set16(f + TCP + 16, pseudo(f, n - TCP));
    send_frame(header, f, n);
    cr_assert_eq(nsent, 1);
    cr_expect_not(l4_is_good(sent[0].data), "not negotiated");
    run(1000000);
    start(F_MRG | F_CSUM);
    put32(used_at(VIRTIO_NET_TX), 0);
    send_frame(header, f, n);
    cr_assert_eq(nsent, 1);
    cr_expect(l4_is_good(sent[0].data));
    header[7] = 0xFF; /* starts behind the frame */
    run(1000000);
    send_frame(header, f, n);
    cr_expect_eq(nsent, 2);
    cr_expect_arr_eq(sent[1].data, f, n);
}

/* 10 Gb/s: 1538 bytes are 1230 ns. */
Test(virtio_net, wire_time)
{
    for (unsigned i = 0; i < 40; i++) {
        desc(VIRTIO_NET_TX, i, DATA, 1514 + 12, 0, 0);
        available(VIRTIO_NET_TX, i);
    }
    uint64_t start_ns = now_ns;
    kick(VIRTIO_NET_TX);
    unsigned first = nsent;
    cr_expect_lt(first, 33);
    cr_expect_gt(first, 20);
    run(1000000);
    cr_assert_eq(nsent, 40);
    cr_expect_eq(sent[first].at_ns - start_ns, first * UINT64_C(1230));
}

Test(virtio_net, what_cannot_be_sent)
{
    desc(VIRTIO_NET_TX, 0, DATA, 12 + 13, 0, 0);
    desc(VIRTIO_NET_TX, 1, DATA, 12 + VIRTIO_NET_FRAME_MAX + 1, 0, 0);
    available(VIRTIO_NET_TX, 0);
    available(VIRTIO_NET_TX, 1);
    kick(VIRTIO_NET_TX);
    cr_expect_eq(nsent, 0);
    cr_expect_eq(used(VIRTIO_NET_TX), 2, "dropped, and given back");
    desc(VIRTIO_NET_TX, 2, DATA, 11, 0, 0);
    available(VIRTIO_NET_TX, 2);
    run(10000);
    kick(VIRTIO_NET_TX);
    cr_expect_eq(rd(VIRTIO_COMMON_AT + 0x14, 1) & 64, 64, "no header: the device needs a reset");
    cr_expect_eq(virtio_net_class.next_master(&s), NS_NEVER);
}

/* --- receiving --- */

static void in(const uint8_t *f, uint32_t n)
{
    uint64_t ready = virtio_net_frames_in.ready_ns(&s);

    cr_assert_neq(ready, NS_NEVER);
    run(ready > now_ns ? ready - now_ns : 0);
    virtio_net_frames_in.put(&s, f, n, now_ns);
    run(0);
}

static void buffers(unsigned n, uint32_t bytes)
{
    for (unsigned i = 0; i < n; i++) {
        desc(VIRTIO_NET_RX, i, DATA + 0x1000 * i, bytes, WRITE, 0);
        available(VIRTIO_NET_RX, i);
    }
    kick(VIRTIO_NET_RX);
}

Test(virtio_net, receive)
{
    uint8_t f[200], back[200];
    uint32_t n = make_frame(f, 17, 100);

    buffers(2, 2048);
    in(f, n);
    cr_expect(pin());
    cr_expect_eq(used(VIRTIO_NET_RX), 1);
    cr_expect_eq(used_bytes(VIRTIO_NET_RX, 0), n + 12);
    cr_assert(physmem_read(&pm, DATA, back, 12));
    cr_expect_eq(back[0], 0);
    cr_expect_eq(back[10], 1, "num_buffers");
    cr_assert(physmem_read(&pm, DATA + 12, back, n));
    cr_expect_arr_eq(back, f, n);
}

Test(virtio_net, merged_buffers)
{
    uint8_t f[1514], back[1600];
    uint32_t n = make_frame(f, 17, 1472);

    buffers(3, 400);
    in(f, n);
    run(100000);
    cr_expect_eq(used(VIRTIO_NET_RX), 0, "three are not enough");
    desc(VIRTIO_NET_RX, 3, DATA + 0x3000, 400, WRITE, 0);
    available(VIRTIO_NET_RX, 3);
    kick(VIRTIO_NET_RX);
    cr_expect_eq(used(VIRTIO_NET_RX), 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_eq(used_bytes(VIRTIO_NET_RX, i), i < 3 ? 400 : n + 12 - 1200);
        cr_assert(physmem_read(&pm, DATA + 0x1000 * i, back + 400 * i, 400));
    }
    cr_expect_eq(back[10], 4);
    cr_expect_arr_eq(back + 12, f, n);
}

Test(virtio_net, one_buffer_without_merging)
{
    uint8_t f[1514];
    uint32_t n = make_frame(f, 17, 1472);

    start(0);
    buffers(2, 400);
    in(f, n);
    run(100000);
    cr_expect_eq(used(VIRTIO_NET_RX), 0, "dropped");
    in(f, 100);
    run(100000);
    cr_expect_eq(used(VIRTIO_NET_RX), 1);
}

Test(virtio_net, good_checksums_are_told)
{
    uint8_t f[200];
    uint32_t n = make_frame(f, 6, 100);

    start(F_MRG | F_GUEST_CSUM);
    buffers(3, 2048);
    fill_checksums(f);
    in(f, n);
    cr_expect_eq(get32(DATA) & 0xFF, 2);
    f[n - 1]++;
    run(50000);
    in(f, n);
    cr_expect_eq(get32(DATA + 0x1000) & 0xFF, 0);
    cr_expect_eq(used(VIRTIO_NET_RX), 2);
}

Test(virtio_net, waits_while_the_fifo_is_full)
{
    uint8_t f[1514];
    uint32_t n = make_frame(f, 17, 1472), frames = 0;

    for (; virtio_net_frames_in.ready_ns(&s) != NS_NEVER && frames < 100; frames++)
        in(f, n);
    cr_expect_geq(frames, 20);
    cr_expect_lt(frames, 34);
    buffers(SIZE, 2048);
    run(1000000);
    cr_expect_eq(used(VIRTIO_NET_RX), frames, "in order, none is lost");
    wr(VIRTIO_COMMON_AT + 0x14, 1, 0);
    virtio_net_frames_in.put(&s, f, n, now_ns);
    cr_expect_eq(s.rx_tail, 0, "no driver: lost");
}

/* --- the control queue --- */

static uint8_t control(const uint8_t *bytes, uint32_t n)
{
    put(DATA + 0x80000, bytes, n);
    put32(DATA + 0x81000, 0xFF);
    desc(VIRTIO_NET_CTRL, 0, DATA + 0x80000, n, NEXT, 1);
    desc(VIRTIO_NET_CTRL, 1, DATA + 0x81000, 1, WRITE, 0);
    available(VIRTIO_NET_CTRL, 0);
    run(10000);
    kick(VIRTIO_NET_CTRL);
    return (uint8_t)get32(DATA + 0x81000);
}

static bool arrives(const uint8_t *address)
{
    uint8_t f[64] = {0};
    uint32_t before = used(VIRTIO_NET_RX);

    memcpy(f, address, 6);
    run(100000);
    in(f, 64);
    return used(VIRTIO_NET_RX) == before + 1;
}

Test(virtio_net, filters)
{
    static const uint8_t other[6] = {2, 0, 0, 0, 0, 9}, all[6] = {255, 255, 255, 255, 255, 255},
                         group[6] = {1, 0, 0x5E, 0, 0, 1};
    static const uint8_t table[] = {1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0x5E, 0, 0, 1};
    static const uint8_t many[] = {1, 0, 0, 0, 0, 0, 33, 0, 0, 0};

    start(F_MRG | F_CTRL_VQ | 1u << 18 | 1u << 23);
    buffers(64, 2048);
    cr_expect(arrives(other), "until the driver says something");
    cr_expect_eq(control((const uint8_t[]){0, 0, 0}, 3), 0);
    cr_expect_not(arrives(other));
    cr_expect_not(arrives(group));
    cr_expect(arrives(mac));
    cr_expect(arrives(all));
    cr_expect_eq(control((const uint8_t[]){0, 1, 1}, 3), 0);
    cr_expect(arrives(group), "ALLMULTI");
    cr_expect_eq(control((const uint8_t[]){0, 1, 0}, 3), 0);
    cr_expect_not(arrives(group));
    cr_expect_eq(control(table, sizeof(table)), 0);
    cr_expect(arrives(other));
    cr_expect(arrives(group));
    cr_expect_eq(control(many, sizeof(many)), 0);
    cr_expect(arrives(group), "too many for the table: all");
    cr_expect_not(arrives(other));
    cr_expect_eq(control((const uint8_t[]){1, 1, 2, 0, 0, 0, 0, 9}, 8), 0);
    cr_expect(arrives(other), "its address now");
    cr_expect_not(arrives(mac));
    cr_expect_eq(control((const uint8_t[]){9, 0, 0}, 3), 1, "an unknown class");
    cr_expect_eq(control((const uint8_t[]){0, 7, 0}, 3), 1);
    cr_expect_eq(control((const uint8_t[]){1, 0, 5, 0, 0, 0}, 6), 1, "the list is not there");
}

Test(virtio_net, legacy_header)
{
    uint8_t f[200], back[200];
    uint32_t n = make_frame(f, 17, 100);

    wr(0x12, 1, 0);
    wr(4, 4, 0);
    wr(0x0E, 2, VIRTIO_NET_RX);
    wr(8, 4, 0x40);
    wr(0x12, 1, 7);
    uint64_t at = 0x40000;
    put(at, &(uint64_t){DATA}, 8);
    put32(at + 8, 2048);
    put32(at + 12, WRITE);
    put16(at + 16 * SIZE + 4, 0);
    put16(at + 16 * SIZE + 2, 1);
    wr(0x10, 2, VIRTIO_NET_RX);
    in(f, n);
    cr_assert(physmem_read(&pm, DATA + 10, back, n));
    cr_expect_arr_eq(back, f, n);
    cr_expect(pin());
    cr_expect_eq(rd(0x13, 1), 1);
    cr_expect_not(pin());
}

Test(virtio_net, broken_queues)
{
    uint8_t f[200];
    uint32_t n = make_frame(f, 17, 100);

    put16(avail_at(VIRTIO_NET_RX) + 2, SIZE + 1);
    in(f, n);
    cr_expect_eq(rd(VIRTIO_COMMON_AT + 0x14, 1) & 64, 64);
    start(F_MRG);
    cr_expect_eq(rd(VIRTIO_COMMON_AT + 0x14, 1) & 64, 0);
    desc(VIRTIO_NET_TX, 0, DATA, 100, NEXT, 0); /* a loop */
    available(VIRTIO_NET_TX, 0);
    run(10000);
    kick(VIRTIO_NET_TX);
    cr_expect_eq(rd(VIRTIO_COMMON_AT + 0x14, 1) & 64, 64);
    virtio_net_reset_pin(&s);
    cr_expect_eq(rd(VIRTIO_COMMON_AT + 0x14, 1), 0);
}
