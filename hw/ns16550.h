/* ns16550.h - 16550A UART, on an infinitely fast line or at wire speed.
 *
 * Output bit 0: INTR gated by MCR OUT2, as the PC wires it.
 * Access: reads of offsets 0 and 2 synchronous (RBR pops, IIR acknowledges), of 1 and 3..7 pure, LSR only
 * while it has no error to forget; writes posted.
 * Back end: after every call on the chip the board drains ns16550_take_tx. It calls
 * ns16550_receive only while ns16550_can_receive, and no earlier than ns16550_receive_ready_ns. */
#ifndef TANDEM_HW_NS16550_H
#define TANDEM_HW_NS16550_H

#include "hw/chip.h"

#include <stdbool.h>

#define NS16550_CLOCK_HZ   1843200
#define NS16550_FIFO_BYTES 16
#define NS16550_OUT_BYTES  32

struct ns16550 {
    uint64_t tx_done_ns; /* the character in the shift register has left; NS_NEVER: idle */
    uint64_t
        thre_ns; /* THRE interrupt comes back, so that INTR has an edge; NS_NEVER: it is not on its way */
    uint64_t rx_timeout_ns; /* character timeout is due; NS_NEVER: none */
    uint64_t rx_ready_ns;   /* the wire is free for another character from outside */
    uint8_t rx[16];         /* receive FIFO, [0] is next; only [0] without FIFOs */
    uint8_t rx_error[16];   /* LSR error bits of each character in rx, until it becomes the next one */
    uint8_t tx[16];         /* transmit FIFO, [0] is next; only [0] (THR) without FIFOs */
    uint8_t out[32];        /* characters on their way to the back end, [0] is next */
    uint8_t rx_count;       /* characters in rx */
    uint8_t tx_count;       /* characters in tx */
    uint8_t out_count;      /* characters in out */
    uint8_t tsr;            /* character in the transmit shift register */
    uint8_t tsr_loop;       /* 1: that character goes to the receiver (loopback) */
    uint8_t ier;            /* interrupt enable, bits 0..3 */
    uint8_t fcr;            /* FIFO control: bit 0 enable, bits 6, 7 trigger level */
    uint8_t lcr;            /* line control */
    uint8_t mcr;            /* modem control, bits 0..4 */
    uint8_t scr;            /* scratch */
    uint8_t dll, dlm;       /* divisor latch */
    uint8_t line_errors;    /* LSR OE and BI: of what was lost, and of the next character as it became that */
    uint8_t thre_pending;   /* 1: THRE interrupt latched */
    uint8_t timeout_pending; /* 1: character timeout interrupt */
    uint8_t wire;            /* 1: characters take their time; constant */
};

extern const struct chip_class ns16550_class;      /* a line on which a character takes no time */
extern const struct chip_class ns16550_wire_class; /* a line with the speed that the divisor says */

/* Next character sent by the guest; false: none. */
bool ns16550_take_tx(struct ns16550 *s, uint8_t *byte);
/* Copies the characters that wait in THR or the transmit FIFO (none in loopback); returns how many. */
unsigned ns16550_unsent(const struct ns16550 *s, uint8_t *bytes, unsigned max);
/* The receiver has room (never in loopback). */
bool ns16550_can_receive(const struct ns16550 *s);
/* Earliest time at which the next character may have arrived. */
uint64_t ns16550_receive_ready_ns(const struct ns16550 *s);
/* A character, or a break, has arrived at now_ns; without room it is an overrun. */
void ns16550_receive(struct ns16550 *s, uint8_t byte, uint64_t now_ns);
void ns16550_break(struct ns16550 *s, uint64_t now_ns);

#endif
