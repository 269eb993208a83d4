/* e1000.h - Intel 82540EM Gigabit Ethernet controller (PCI/PCI-X Family of Gigabit Ethernet Controllers
 * Software Developer's Manual, order 317453; section numbers are its).
 *
 * Chip offsets are those of the registers in memory (BAR 0, 128 KiB, of which the first E1000_REGS_BYTES have
 * registers); E1000_OFF_IO: IOADDR and IODATA (BAR 2). Output bit 0: INTA#.
 *
 * Access: dwords; all writes are posted. All reads are pure, but for those that clear what they read, and
 * are synchronous while there is something to clear: ICR and the statistics (also through IODATA).
 *
 * Frames: PORT_FRAMES entries are frames from the destination address to the last byte before the FCS.
 * The wire runs at 1 Gb/s in both directions. A frame that is sent leaves the chip when it has been read from
 * memory; the chip reads as much as its FIFO holds and goes on when the wire has carried that. A frame that
 * comes in takes its time on the wire before the next one. While the FIFO is full, the other end waits, as
 * one that obeys PAUSE frames does. While the receiver is off, frames are lost, as on a real wire. */
#ifndef TANDEM_HW_E1000_H
#define TANDEM_HW_E1000_H

#include "hw/chip.h"
#include "hw/nic.h"
#include "hw/pci.h"
#include "hw/port.h"

#define E1000_BAR_BYTES     0x20000
#define E1000_REGS_BYTES    0xFF00
#define E1000_OFF_IO        0xFF00 /* 64 I/O ports */
#define E1000_IO_BYTES      64
#define E1000_IO_BAR        2
#define E1000_FRAME_MAX     16128 /* 13.4.22 (RCTL.LPE): bytes of the longest frame, without FCS */
#define E1000_RX_FIFO_BYTES 49152 /* 13.4.14 (PBA): 48 KiB of the 64 are the receiver's */
#define E1000_TX_FIFO_BYTES 16384
/* Frames wait here until the bus takes them, right after each use of memory: a FIFO and one more frame, each
 * behind its length. */
#define E1000_LENGTH_BYTES 4
#define E1000_OUT_BYTES    (3 * E1000_TX_FIFO_BYTES)
#define E1000_HEADER_MAX   256 /* bytes in front of each segment of TCP segmentation: HDRLEN is a byte */

enum { /* counters, by their register: 0x4000 + 4 * number */
       E1000_STATS = 64,
       E1000_EEPROM_WORDS = 64,
       E1000_PHY_REGS = 32,
};

struct e1000 {
    /* --- when something happens next, absolute virtual ns; NS_NEVER: not at all --- */
    uint64_t tx_ns, rx_ns;           /* descriptors are read, frames written */
    uint64_t tx_wire_ns, rx_wire_ns; /* the wire has carried what there was, in each direction */
    uint64_t burst_ns;               /* frames are not written to memory before this */
    uint64_t rdt_ns, rad_ns;         /* RDTR, RADV run out */
    uint64_t tid_ns, tad_ns;         /* TIDV, TADV run out */
    uint64_t itr_ns;                 /* no interrupt before this */
    /* --- registers that the map in e1000.c names --- */
    uint32_t ctrl, ctrl_ext, eecd, eerd, mdic, fcal, fcah, fct, fcttv, vet, icr, ims, itr, rctl, tctl, txcw,
        tipg, ait, ledctl, pba, fcrtl, fcrth, rdbal, rdbah, rdlen, rdh, rdt, rdtr, rxdctl, radv, rsrpd, tdbal,
        tdbah, tdlen, tdh, tdt, tidv, txdctl, tadv, tspmt, rxcsum, wuc, wufc, ipav, manc;
    uint32_t ioaddr;
    uint32_t mta[128], vfta[128];
    uint32_t ra[32]; /* RAL and RAH of 16 addresses */
    uint32_t stats[E1000_STATS];
    /* --- the EEPROM, the PHY --- */
    uint32_t ee_in;     /* bits shifted in since chip select */
    uint32_t ee_clocks; /* of them; 0: not selected, or nothing yet */
    uint16_t eeprom[E1000_EEPROM_WORDS];
    uint16_t phy[E1000_PHY_REGS];
    /* --- transmit --- */
    uint32_t context[4];  /* the last context descriptor */
    uint32_t tx_first[2]; /* words 2 and 3 of the packet's first descriptor */
    uint32_t tx_used;     /* bytes of the descriptor at TDH that are in tx[] already */
    uint32_t tx_bytes; /* of the frame being read; more than E1000_FRAME_MAX: too long, it will be dropped */
    uint32_t tx_segment;   /* how many segments of the packet have left */
    uint32_t tx_in_packet; /* 1: descriptors of a packet have been read, its last one has not */
    uint32_t out_head, out_tail;
    /* --- receive: [rx_head, rx_tail) holds frames, each behind its length --- */
    uint32_t rx_head, rx_tail;
    uint32_t asserted; /* 1: INTA# is */
    uint32_t reserved; /* always 0 */
    uint8_t tx_header[E1000_HEADER_MAX];
    uint8_t tx[E1000_FRAME_MAX + 64];
    uint8_t out[E1000_OUT_BYTES];
    uint8_t rx[E1000_RX_FIFO_BYTES];
};

extern const struct chip_class e1000_class;
extern const struct port_input e1000_frames_in;
extern const struct port_output e1000_frames_out;
extern const struct pci_function e1000_function[NIC_SLOTS];

/* Its address goes into the EEPROM; then as after power-on. */
void e1000_fit(struct e1000 *s, const uint8_t mac[NIC_MAC_BYTES]);
/* Reset of the machine: the EEPROM stays. */
void e1000_reset_pin(struct e1000 *s, uint64_t now_ns);

#endif
