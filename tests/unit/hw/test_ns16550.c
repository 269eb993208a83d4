/* test_ns16550.c - UART interrupts, FIFOs, lines with and without speed. */
#include "hw/ns16550.h"
#include "hw_test.h"

static const struct chip_class *const C = &ns16550_class, *const W = &ns16550_wire_class;
#define CHAR_NS 86806 /* 10 bits at 115200 baud, rounded up */
enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static void start_line(const struct chip_class *c, struct ns16550 *s)
{
    c->reset(s, 0);
    chip_out(C, s, LCR, 0x83, 0);
    chip_out(C, s, 0, 1, 0);
    chip_out(C, s, 1, 0, 0);
    chip_out(C, s, LCR, 0x03, 0);
    chip_out(C, s, MCR, 0x0B, 0);
}

static void start(struct ns16550 *s)
{
    start_line(C, s);
}

static void start_wire(struct ns16550 *s)
{
    start_line(W, s);
}

static int take(struct ns16550 *s)
{
    uint8_t b;

    return ns16550_take_tx(s, &b) ? b : -1;
}

static uint32_t irq(struct ns16550 *s)
{
    return C->outputs(s);
}

Test(ns16550, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 8, 1);
    chip_check_fields(W);
    chip_check_replay(W, 8, 1);
}

Test(ns16550, idle_registers)
{
    struct ns16550 s;

    start(&s);
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0x60);
    cr_assert_eq(chip_in(C, &s, MSR, 0), 0xB0);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0x01);
    chip_out(C, &s, SCR, 0x5A, 0);
    cr_assert_eq(chip_in(C, &s, SCR, 0), 0x5A);
    chip_out(C, &s, LCR, 0x80, 0);
    cr_assert_eq(chip_in(C, &s, 0, 0), 1);
    cr_assert_eq(chip_in(C, &s, 1, 0), 0);
}

Test(ns16550, wire_time)
{
    struct ns16550 s;

    start_wire(&s);
    chip_out(C, &s, RBR, 'a', 1000);
    cr_assert_eq(take(&s), 'a');
    cr_assert_eq(chip_in(C, &s, LSR, 1000), 0x20); /* in the shift register; THR empty */
    chip_out(C, &s, RBR, 'b', 1000);
    cr_assert_eq(take(&s), -1);
    cr_assert_eq(chip_in(C, &s, LSR, 1000), 0x00);
    cr_assert_eq(C->next_event(&s), 1000 + CHAR_NS);
    chip_run_to(C, &s, 1000 + CHAR_NS);
    cr_assert_eq(take(&s), 'b');
    cr_assert_eq(chip_in(C, &s, LSR, 1000 + 2 * CHAR_NS - 1), 0x20);
    cr_assert_eq(chip_in(C, &s, LSR, 1000 + 2 * CHAR_NS), 0x60);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
}

Test(ns16550, character_formats)
{
    struct ns16550 s;

    start_wire(&s);
    chip_out(C, &s, LCR, 0x1F, 0); /* 8 data, even parity, 2 stop: 12 bits */
    chip_out(C, &s, RBR, 'x', 0);
    cr_assert_eq(C->next_event(&s), count_ns(12 * 16, NS16550_CLOCK_HZ));
    start_wire(&s);
    chip_out(C, &s, LCR, 0x04, 0); /* 5 data, 1.5 stop: 7.5 bits */
    chip_out(C, &s, RBR, 'x', 0);
    cr_assert_eq(C->next_event(&s), count_ns(15 * 8, NS16550_CLOCK_HZ));
}

Test(ns16550, thre_interrupt_at_wire_speed)
{
    struct ns16550 s;

    start_wire(&s);
    cr_assert_eq(irq(&s), 0);
    chip_out(C, &s, IER, 0x02, 0); /* THR is empty: at once */
    cr_assert_eq(irq(&s), 1);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0x02);
    cr_assert_eq(irq(&s), 0);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0x01);
    chip_out(C, &s, IER, 0x02, 0); /* no change, no interrupt */
    cr_assert_eq(irq(&s), 0);
    chip_out(C, &s, RBR, 'a', 0); /* straight to the shift register: empty again */
    cr_assert_eq(irq(&s), 1);
    chip_out(C, &s, RBR, 'b', 0);
    cr_assert_eq(irq(&s), 0);
    chip_run_to(C, &s, CHAR_NS);
    cr_assert_eq(irq(&s), 1);
    chip_out(C, &s, MCR, 0x03, CHAR_NS); /* OUT2 gates the line */
    cr_assert_eq(irq(&s), 0);
}

/* A handler that does not read IIR: the first character goes on to the shift register, INTR pulses; the
 * second waits in THR, and INTR with it. */
Test(ns16550, thre_edges_at_wire_speed)
{
    struct ns16550 s;

    start_wire(&s);
    chip_out(W, &s, IER, 0x02, 0);
    cr_assert_eq(irq(&s), 1);
    chip_out(W, &s, RBR, 'a', 10);
    cr_assert_eq(irq(&s), 0);
    chip_run_to(W, &s, 11);
    cr_assert_eq(irq(&s), 1);
    chip_out(W, &s, RBR, 'b', 20);
    cr_assert_eq(irq(&s), 0);
    chip_run_to(W, &s, 9 + CHAR_NS);
    cr_assert_eq(irq(&s), 0);
    chip_run_to(W, &s, 10 + CHAR_NS);
    cr_assert_eq(irq(&s), 1);
}

/* The character is gone as it is written; where the interrupt was pending, INTR falls and rises. */
Test(ns16550, thre_interrupt)
{
    struct ns16550 s;

    start(&s);
    chip_out(C, &s, RBR, 'x', 0);
    cr_assert_eq(take(&s), 'x');
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0x60);
    cr_assert_eq(irq(&s), 0);
    cr_assert_eq(C->next_event(&s), NS_NEVER, "polling costs no event");
    chip_out(C, &s, IER, 0x02, 0);
    cr_assert_eq(irq(&s), 1);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0x02);
    cr_assert_eq(irq(&s), 0);
    chip_out(C, &s, RBR, 'a', 10);
    cr_assert_eq(take(&s), 'a');
    cr_assert_eq(irq(&s), 1, "an edge at once");
    chip_out(C, &s, RBR, 'b', 20);
    cr_assert_eq(take(&s), 'b');
    cr_assert_eq(irq(&s), 0);
    cr_assert_eq(C->pure_read(&s, LSR, 1, 20), 0x60, "empty all the same");
    chip_run_to(C, &s, 21);
    cr_assert_eq(irq(&s), 1);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    chip_out(C, &s, RBR, 'c', 30);
    chip_out(C, &s, IER, 0x00, 30); /* the pulse is under way */
    chip_run_to(C, &s, 31);
    chip_out(C, &s, IER, 0x02, 40);
    cr_assert_eq(irq(&s), 1);
}

Test(ns16550, minix_setup)
{
    struct ns16550 s;

    C->reset(&s, 0);
    chip_out(C, &s, MCR, 0x09, 0);
    chip_out(C, &s, LCR, 0x80, 0);
    chip_out(C, &s, 0, 96, 0);
    chip_out(C, &s, 1, 0, 0);
    chip_out(C, &s, LCR, 0x03, 0);
    chip_out(C, &s, IER, 0, 0);
    chip_in(C, &s, LSR, 0);
    chip_in(C, &s, RBR, 0);
    chip_out(C, &s, IER, 0x0F, 0);
    chip_out(C, &s, MCR, 0x0B, 0);
    cr_assert_eq(irq(&s), 1);
    unsigned turns = 0;
    while (!(chip_in(C, &s, IIR, 0) & 1))
        turns++;
    cr_assert_leq(turns, 2);
}

Test(ns16550, receive_without_fifo)
{
    struct ns16550 s;

    start(&s);
    chip_out(C, &s, IER, 0x01, 0);
    cr_assert(ns16550_can_receive(&s));
    ns16550_receive(&s, 'q', 500);
    cr_assert_eq(irq(&s), 1);
    cr_assert(!ns16550_can_receive(&s));
    cr_assert_leq(ns16550_receive_ready_ns(&s), 500, "room is all that the next one waits for");
    cr_assert_eq(chip_in(C, &s, IIR, 600), 0x04);
    cr_assert_eq(chip_in(C, &s, LSR, 600), 0x61);
    cr_assert_eq(chip_in(C, &s, RBR, 600), 'q');
    cr_assert_eq(irq(&s), 0);
    cr_assert_eq(chip_in(C, &s, LSR, 600), 0x60);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
}

Test(ns16550, receive_at_wire_speed)
{
    struct ns16550 s;

    start_wire(&s);
    ns16550_receive(&s, 'q', 500);
    cr_assert_eq(ns16550_receive_ready_ns(&s), 500 + CHAR_NS);
}

Test(ns16550, fifo_trigger_and_timeout)
{
    struct ns16550 s;

    start(&s);
    chip_out(C, &s, IIR, 0x87, 0); /* trigger at 8 */
    chip_out(C, &s, IER, 0x01, 0);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0xC1);
    for (unsigned i = 0; i < 7; i++)
        ns16550_receive(&s, (uint8_t)i, i);
    cr_assert_eq(irq(&s), 0);
    chip_run_to(C, &s, 6 + 4 * CHAR_NS - 1);
    cr_assert_eq(irq(&s), 0);
    chip_run_to(C, &s, 6 + 4 * CHAR_NS);
    cr_assert_eq(irq(&s), 1);
    cr_assert_eq(chip_in(C, &s, IIR, 400 * US), 0xCC);
    cr_assert_eq(chip_in(C, &s, RBR, 400 * US), 0); /* reading ends it, and starts a new one */
    cr_assert_eq(irq(&s), 0);
    cr_assert_eq(C->next_event(&s), 400 * US + 4 * CHAR_NS);
    ns16550_receive(&s, 7, 500 * US);
    ns16550_receive(&s, 8, 500 * US);
    cr_assert_eq(irq(&s), 1);
    cr_assert_eq(chip_in(C, &s, IIR, 500 * US), 0xC4);
    for (unsigned i = 1; i <= 8; i++)
        cr_assert_eq(chip_in(C, &s, RBR, 500 * US), i);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
}

Test(ns16550, fifo_overrun)
{
    struct ns16550 s;

    start(&s);
    chip_out(C, &s, IIR, 0x07, 0);
    chip_out(C, &s, IER, 0x05, 0);
    for (unsigned i = 0; i < 16; i++)
        ns16550_receive(&s, (uint8_t)i, 0);
    cr_assert(!ns16550_can_receive(&s));
    ns16550_receive(&s, 99, 0);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0xC6);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0xC6); /* acknowledged by LSR, not by IIR */
    cr_assert(C->read_changes(&s, LSR));
    cr_assert_eq(chip_in(C, &s, LSR, 0) & 0x02, 0x02);
    cr_assert_not(C->read_changes(&s, LSR));
    cr_assert_eq(chip_in(C, &s, LSR, 0) & 0x02, 0);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0xC4);
    cr_assert_eq(chip_in(C, &s, RBR, 0), 0); /* the FIFO kept its own */
    ns16550_receive(&s, 16, 0);
    ns16550_receive(&s, 17, 0);
    chip_in(C, &s, RBR, 0); /* does not take the error along */
    cr_assert_eq(chip_in(C, &s, LSR, 0) & 0x02, 0x02);
}

Test(ns16550, transmit_fifo)
{
    struct ns16550 s;

    start_wire(&s);
    chip_out(C, &s, IIR, 0x07, 0);
    chip_out(C, &s, IER, 0x02, 0);
    chip_in(C, &s, IIR, 0);
    for (unsigned i = 0; i < 20; i++) /* one in the shift register, 16 in the FIFO, 3 lost */
        chip_out(C, &s, RBR, 'A' + i, 0);
    cr_assert_eq(irq(&s), 0);
    for (unsigned i = 0; i < 17; i++) {
        chip_run_to(C, &s, i * CHAR_NS);
        cr_assert_eq(take(&s), 'A' + (int)i);
        cr_assert_eq(take(&s), -1);
        cr_assert_eq(irq(&s), i == 16);
    }
    chip_out(C, &s, IIR, 0x00, 17 * CHAR_NS);
    cr_assert_eq(chip_in(C, &s, IIR, 17 * CHAR_NS) & 0xC0, 0);
}

Test(ns16550, break_is_seen_once)
{
    struct ns16550 s;

    start(&s);
    chip_out(C, &s, IER, 0x05, 0);
    ns16550_break(&s, 0);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0x06);
    cr_assert_eq(C->pure_read(&s, LSR, 1, 0), 0x71); /* looking at it has no side effect */
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0x71);
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0x61);
    cr_assert_eq(chip_in(C, &s, IIR, 0), 0x04);
    cr_assert_eq(chip_in(C, &s, RBR, 0), 0);
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0x60);
    cr_assert_eq(irq(&s), 0);
}

/* Data sheet: an error is shown when its character is at the top of the FIFO; bit 7 while any is inside. */
Test(ns16550, break_in_the_fifo)
{
    struct ns16550 s;

    start(&s);
    chip_out(C, &s, IIR, 0x07, 0);
    chip_out(C, &s, IER, 0x04, 0);
    ns16550_receive(&s, 'a', 0);
    ns16550_break(&s, 0);
    cr_assert_eq(irq(&s), 0);
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0xE1);
    cr_assert_eq(chip_in(C, &s, RBR, 0), 'a');
    cr_assert_eq(irq(&s), 1);
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0xF1);
    cr_assert_eq(chip_in(C, &s, LSR, 0), 0x61);
    cr_assert_eq(irq(&s), 0);
}

Test(ns16550, loopback)
{
    struct ns16550 s;

    start(&s);
    chip_out(C, &s, MCR, 0x1A, 0); /* Linux's probe */
    cr_assert_eq(chip_in(C, &s, MSR, 0) & 0xF0, 0x90);
    cr_assert(!ns16550_can_receive(&s));
    chip_out(C, &s, RBR, 0xA5, 0);
    cr_assert_eq(take(&s), -1);
    cr_assert_eq(chip_in(C, &s, LSR, 0) & 1, 1);
    cr_assert_eq(chip_in(C, &s, RBR, 0), 0xA5);
}

Test(ns16550, loopback_at_wire_speed)
{
    struct ns16550 s;

    start_wire(&s);
    chip_out(C, &s, MCR, 0x1A, 0); /* Linux's probe */
    cr_assert_eq(chip_in(C, &s, MSR, 0) & 0xF0, 0x90);
    cr_assert(!ns16550_can_receive(&s));
    chip_out(C, &s, RBR, 0xA5, 0);
    cr_assert_eq(take(&s), -1);
    cr_assert_eq(chip_in(C, &s, LSR, CHAR_NS - 1) & 1, 0);
    cr_assert_eq(chip_in(C, &s, LSR, CHAR_NS) & 1, 1);
    cr_assert_eq(chip_in(C, &s, RBR, CHAR_NS), 0xA5);
}

/* A tick longer than a character, and a board that does not drain: nothing overflows. */
Test(ns16550, bounded)
{
    struct ns16550 s;

    start_wire(&s);
    chip_out(C, &s, LCR, 0x00, 0);
    chip_out(C, &s, IIR, 0x07, 0);
    for (uint64_t ns = 0; ns < 100 * MS; ns += MS) {
        if (C->next_event(&s) <= ns)
            C->advance(&s, ns);
        cr_assert_gt(C->next_event(&s), ns);
        for (unsigned i = 0; i < 20; i++)
            C->write(&s, RBR, 1, i, ns);
    }
    unsigned n = 0;
    while (take(&s) >= 0)
        n++;
    cr_assert_eq(n, NS16550_OUT_BYTES);
}
