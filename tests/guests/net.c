/* net.c - drives a network card over its rings, as a driver does and as none may: card=0 (default): e1000,
 * 1: virtio by its legacy registers, 2: virtio by the modern ones.
 *
 * The network is the computed one of restrict=on, which has a TFTP file. Frames of all lengths go out in
 * pieces and come back; rings wrap; buffers run out; the card is driven into an error, reset, and used again.
 * The read of its causes lowers the interrupt line, a level, and the handler ends the interrupt at once: none
 * may come without a cause. pings=N (default 300) frames make the rings wrap. */
#include "netcard_e1000.h"
#include "netcard_virtio.h"
#include "netstack.h"

static const struct netcard *card;
static volatile uint32_t irqs, without_cause, all_causes;
static uint32_t hash, pieces;

static void interrupt(struct frame *f)
{
    (void)f;
    const uint32_t causes = card->causes();
    irq_eoi(NETCARD_IRQ);
    irqs++;
    without_cause += !causes;
    all_causes |= causes;
    hash = hash * 31 + causes + (uint32_t)rdtsc();
}

/* In 1 to 5 pieces by turns, none of them empty. */
static void net_send(const uint8_t *frame, unsigned bytes)
{
    struct piece piece[NETCARD_PIECES];
    const unsigned n = 1 + pieces++ % NETCARD_PIECES;
    for (unsigned i = 0; i < n; i++) {
        const unsigned from = bytes * i / n, to = bytes * (i + 1) / n;
        piece[i] = (struct piece){frame + from, to - from};
    }
    card->send(piece, n);
}

static unsigned net_receive(uint8_t frame[FRAME_MAX])
{
    const unsigned n = card->receive(frame, FRAME_MAX);
    for (unsigned i = 0; i < n; i++)
        hash = (hash << 5 | hash >> 27) ^ frame[i];
    return n;
}

static void use(unsigned pings)
{
    uint32_t sum = 0;
    EXPECT(dhcp());
    EXPECT_EQ(my_ip, 0x0A00020F);
    EXPECT(resolve(host_ip));
    for (unsigned bytes = 8; bytes <= 1480; bytes += 46)
        EXPECT(ping(host_ip, bytes, bytes));
    for (unsigned i = 1; i <= pings; i++)
        EXPECT(ping(host_ip, i, 8 + i % 64));
    EXPECT_EQ((unsigned)tftp("file", &sum), 20000);
    print("sum %x\n", sum);
}

static void wait(unsigned us)
{
    const uint64_t end = rdtsc() + us * 1000u; /* 1 GHz */
    while (rdtsc() < end) {
    }
}

/* Answers that come while no buffer is free wait, or are lost; behind them the card goes on. */
static void run_out_of_buffers(void)
{
    unsigned kept = 0, late = 0;
    hold = true;
    for (unsigned i = 0; i < 300; i++) {
        memset(out + 34, 0, 64);
        out[34] = 8;
        to_be16(out + 36, checksum(out + 34, 64));
        send_ip(host_mac, my_ip, host_ip, 1, 64);
        wait(50);
        kept += net_receive(in) > 0;
    }
    EXPECT(kept > 0 && kept < 300);
    hold = false;
    card->start(false);
    while (receive(10))
        late++;
    print("%u answers, then %u\n", kept, late);
    EXPECT(ping(host_ip, 1, 100));
}

int guest_main(void)
{
    static const struct netcard *const cards[] = {&e1000_card, &virtio_legacy_card, &virtio_modern_card};
    card = cards[option("card", 0) % 3];
    cli();
    EXPECT(find_card(card));
    route_card(interrupt);
    card->start(true);
    sti();
    use(option("pings", 300));
    EXPECT(irqs > option("pings", 300));
    run_out_of_buffers();
    card->break_ring();
    wait(100);
    card->start(false);
    use(20);
    EXPECT_EQ(without_cause, 0);
    print("irqs %u causes %x hash %x tsc %X\n", irqs, all_causes, hash, rdtsc());
    return (int)failures;
}
