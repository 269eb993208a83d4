/* nic.h - what a network card is told by its board. */
#ifndef TANDEM_HW_NIC_H
#define TANDEM_HW_NIC_H

#include <stdbool.h>
#include <stdint.h>

#define NIC_MAC_BYTES 6
#define NIC_SLOTS     4
#define NIC_SLOT(n)   ((n) == 0 ? 3 : 8 + (n)) /* PCI device number of card n */

enum nic_model { NIC_E1000, NIC_VIRTIO };

struct nic_config {
    bool present;
    uint8_t model; /* enum nic_model */
    uint8_t mac[NIC_MAC_BYTES];
    const uint8_t *rom; /* image of the expansion ROM, borrowed; NULL: none */
    uint32_t rom_bytes;
};

#endif
