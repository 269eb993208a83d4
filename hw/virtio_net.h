/* virtio_net.h - a network card as a virtio device on PCI (Virtual I/O Device 1.1, section 5.1).
 *
 * Chip offsets are those of virtio_pci.h. Output bit 0: INTA#. The board tells it its address by
 * virtio_net_fit, which a reset of the machine does not change.
 *
 * Frames: as for e1000.h. The wire runs at 10 Gb/s in both directions (IEEE 802.3ae): the device has no rate
 * of its own, and this is the rate that Linux's hosts are commonly given for it. */
#ifndef TANDEM_HW_VIRTIO_NET_H
#define TANDEM_HW_VIRTIO_NET_H

#include "hw/chip.h"
#include "hw/nic.h"
#include "hw/port.h"
#include "hw/virtio_pci.h"

#define VIRTIO_NET_FRAME_MAX  16128 /* without FCS; longer ones are dropped */
#define VIRTIO_NET_FIFO_BYTES 49152
#define VIRTIO_NET_OUT_BYTES  49152
#define VIRTIO_NET_MACS       32 /* of the table of addresses; with more, all pass */

enum { VIRTIO_NET_RX, VIRTIO_NET_TX, VIRTIO_NET_CTRL, VIRTIO_NET_QUEUES };

struct virtio_net {
    struct virtio_pci v;
    struct virtq q[VIRTIO_NET_QUEUES];
    uint64_t tx_ns, rx_ns; /* next use of the queues (tx: and of the control queue); NS_NEVER: none */
    uint64_t tx_wire_ns, rx_wire_ns; /* the wire has carried what there was */
    uint64_t burst_ns;               /* frames are not given to the driver before this */
    uint32_t out_head, out_tail;     /* [out_head, out_tail) of out[]: frames, each behind its length */
    uint32_t rx_head, rx_tail;       /* likewise of rx[] */
    uint8_t fitted_mac[NIC_MAC_BYTES], mac[NIC_MAC_BYTES]; /* the board's; the driver's */
    uint8_t promiscuous, all_multicast;                    /* 1: pass */
    uint8_t all_unicast;                                   /* 1: too many for the table */
    uint8_t nmacs;                                         /* in the table */
    uint8_t table[VIRTIO_NET_MACS * NIC_MAC_BYTES];
    uint8_t out[VIRTIO_NET_OUT_BYTES];
    uint8_t rx[VIRTIO_NET_FIFO_BYTES];
};

extern const struct chip_class virtio_net_class;
extern const struct port_input virtio_net_frames_in;
extern const struct port_output virtio_net_frames_out;
extern const struct pci_function virtio_net_function[NIC_SLOTS];

void virtio_net_fit(struct virtio_net *s, const uint8_t mac[NIC_MAC_BYTES]);
/* Reset of the machine: its address stays. */
void virtio_net_reset_pin(struct virtio_net *s);

#endif
