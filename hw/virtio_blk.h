/* virtio_blk.h - a disk as a virtio device on PCI (Virtual I/O Device 1.1, section 5.2).
 *
 * Chip offsets are those of virtio_pci.h. Output bit 0: INTA#. The board tells it its disk by
 * virtio_blk_fit, which a reset of the machine does not change. */
#ifndef TANDEM_HW_VIRTIO_BLK_H
#define TANDEM_HW_VIRTIO_BLK_H

#include "hw/chip.h"
#include "hw/drive.h"
#include "hw/virtio_pci.h"

#define VIRTIO_BLK_BYTES_MAX (16u << 20) /* of one request; a longer one fails */

/* A request that the disk works on. */
struct virtio_blk_request {
    uint64_t done_ns; /* when it is done */
    uint64_t sector;
    uint32_t bytes;
    uint16_t head;  /* of its chain */
    uint8_t type;   /* 5.2.6 */
    uint8_t status; /* what it comes to, unless its end says worse */
};

struct virtio_blk {
    struct virtio_pci v;
    struct virtq q;
    uint64_t sectors;   /* of the disk, 512 bytes each; 0: no disk */
    uint64_t master_ns; /* next use of memory; NS_NEVER: none */
    struct drive_clock clock;
    uint16_t first, count; /* request[first] is done next; requests in the ring */
    uint8_t notified;      /* 1: the driver has said that there is something */
    uint8_t read_only;
    uint8_t reserved[2];                    /* always 0 */
    uint8_t serial[DRIVE_SERIAL_BYTES + 4]; /* the last 4 are 0 */
    struct virtio_blk_request request[VIRTQ_SIZE_MAX];
};

extern const struct chip_class virtio_blk_class;
#define VIRTIO_BLK_FUNCTIONS 4
/* Its function in each of the slots that a board has for it. */
extern const struct pci_function virtio_blk_function[VIRTIO_BLK_FUNCTIONS];
#define VIRTIO_BLK_SLOT(n) (5 + (n)) /* PCI device number */

void virtio_blk_fit(struct virtio_blk *s, const struct drive_config *disk);
/* Reset of the machine: the disk stays. */
void virtio_blk_reset_pin(struct virtio_blk *s);

#endif
