/* virtio_pci.h - what every virtio device on PCI has: registers, features, status, its queues.
 *
 * A transitional device (Virtual I/O Device 1.1, section 4.1): BAR 0 has the legacy registers as I/O ports
 * (4.1.4.8), BAR 4 the modern ones in memory, where its capabilities say (4.1.4). A device of a kind
 * (virtio_blk.c) embeds struct virtio_pci, sends the offsets below VIRTIO_DEVICE_AT here, and looks at what
 * they say of its queues.
 *
 * Registers by chip offset; a board puts windows over them:
 *   000 legacy     BAR 0, VIRTIO_LEGACY_BYTES; from 014 on the device's own configuration
 *   100 common     BAR 4 + 0000
 *   140 ISR        BAR 4 + 1000
 *   180 device     BAR 4 + 2000: the device's own configuration
 *   1C0 notify     BAR 4 + 3000
 * All reads are pure, but for ISR while it is not 0, for the read clears it; writes are posted.
 *
 * NOT MODELLED: MSI-X (INTA# only), packed rings, accesses by way of VIRTIO_PCI_CAP_PCI_CFG (the capability
 * is there, as 4.1.4.9 demands and iPXE checks; its data read as 0), changes of the configuration while the
 * device runs. */
#ifndef TANDEM_HW_VIRTIO_PCI_H
#define TANDEM_HW_VIRTIO_PCI_H

#include "hw/pci.h"
#include "hw/virtio_ring.h"

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_LEGACY_BYTES 0x80
#define VIRTIO_MODERN_BYTES 0x4000
enum {
    VIRTIO_LEGACY_AT = 0x000,
    VIRTIO_LEGACY_CONFIG_AT = 0x014,
    VIRTIO_COMMON_AT = 0x100,
    VIRTIO_ISR_AT = 0x140,
    VIRTIO_DEVICE_AT = 0x180,
    VIRTIO_NOTIFY_AT = 0x1C0,
};

#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)
#define VIRTIO_F_ANY_LAYOUT    (UINT64_C(1) << 27)

enum { /* 2.1: device status */
       VIRTIO_DRIVER_OK = 4,
       VIRTIO_FEATURES_OK = 8,
       VIRTIO_NEEDS_RESET = 64,
};

struct virtio_pci {
    uint64_t offered; /* feature bits of this device */
    uint64_t driver;  /* those that the driver took */
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;
    uint8_t status, isr;
    uint32_t reserved; /* always 0 */
};

#define VIRTIO_PCI_FIELDS(type, member)                                                                      \
    FIELD(type, member.offered), FIELD(type, member.driver), FIELD(type, member.device_feature_select),      \
        FIELD(type, member.driver_feature_select), FIELD(type, member.queue_select),                         \
        FIELD(type, member.status), FIELD(type, member.isr), FIELD(type, member.reserved)
#define VIRTQ_FIELDS(type, member)                                                                           \
    FIELD(type, member.desc), FIELD(type, member.avail), FIELD(type, member.used),                           \
        FIELD_MAX(type, member.size, VIRTQ_SIZE_MAX), FIELD(type, member.avail_index),                       \
        FIELD(type, member.used_index), FIELD_MAX(type, member.enabled, 1)

/* Register of the first capability in the configuration space. */
#define VIRTIO_PCI_CAPABILITY 0x40
#define VIRTIO_PCI_CFG_AT     0x84
/* clang-format off */
#define VIRTIO_PCI_CAP(at, next, bytes, type, page, length)                                                   \
    {(at), 0x09, 0}, {(at) + 1, (next), 0}, {(at) + 2, (bytes), 0}, {(at) + 3, (type), 0}, {(at) + 4, 4, 0},  \
    {(at) + 9, (page), 0}, {(at) + 12, (length), 0}
/* The last capability, VIRTIO_PCI_CAP_PCI_CFG (4.1.4.9): bar, offset and length are the driver's. */
#define VIRTIO_PCI_CFG_REGS                                                                                   \
    {VIRTIO_PCI_CFG_AT, 0x09, 0}, {VIRTIO_PCI_CFG_AT + 2, 20, 0}, {VIRTIO_PCI_CFG_AT + 3, 5, 0},              \
    {VIRTIO_PCI_CFG_AT + 4, 0, 0xFF}, {VIRTIO_PCI_CFG_AT + 8, 0, 0xFF}, {VIRTIO_PCI_CFG_AT + 9, 0, 0xFF},     \
    {VIRTIO_PCI_CFG_AT + 10, 0, 0xFF}, {VIRTIO_PCI_CFG_AT + 11, 0, 0xFF}, {VIRTIO_PCI_CFG_AT + 12, 0, 0xFF},  \
    {VIRTIO_PCI_CFG_AT + 13, 0, 0xFF}, {VIRTIO_PCI_CFG_AT + 14, 0, 0xFF}, {VIRTIO_PCI_CFG_AT + 15, 0, 0xFF}
/* Registers of a transitional device 1AF4:10xx (4.1.2) of a class, whose configuration has so many bytes:
 * capabilities for the common configuration, ISR, the device's own, and notification (one for all queues). */
#define VIRTIO_PCI_REGS(device, class_code, subsystem, config_bytes)                                          \
    {PCI_VENDOR, 0xF4, 0}, {PCI_VENDOR + 1, 0x1A, 0}, {PCI_DEVICE, (device), 0}, {PCI_DEVICE + 1, 0x10, 0},   \
    {PCI_COMMAND, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER}, {PCI_COMMAND + 1, 0, 0x04},   \
    {PCI_STATUS, 0x10, 0}, {PCI_CLASS + 1, (class_code), 0},                                                  \
    {0x2C, 0xF4, 0}, {0x2D, 0x1A, 0}, {0x2E, (subsystem), 0}, {0x34, VIRTIO_PCI_CAPABILITY, 0},               \
    {PCI_INTERRUPT_LINE, 0, 0xFF}, {PCI_INTERRUPT_PIN, 1, 0},                                                 \
    VIRTIO_PCI_CAP(0x40, 0x50, 16, 1, 0x00, 0x38), VIRTIO_PCI_CAP(0x50, 0x60, 16, 3, 0x10, 0x01),             \
    VIRTIO_PCI_CAP(0x60, 0x70, 16, 4, 0x20, (config_bytes)),                                                  \
    VIRTIO_PCI_CAP(0x70, VIRTIO_PCI_CFG_AT, 20, 2, 0x30, 0x04), VIRTIO_PCI_CFG_REGS
/* clang-format on */

/* Back to power-on, with these features. */
void virtio_pci_reset(struct virtio_pci *s, uint64_t offered, struct virtq *queue, unsigned nqueues);
/* Offsets below VIRTIO_DEVICE_AT but the legacy part of the device's configuration. */
uint32_t virtio_pci_read(const struct virtio_pci *s, const struct virtq *queue, unsigned nqueues,
                         uint32_t offset, unsigned size);
/* True: the driver has reset the device; the caller resets the rest (virtio_pci_reset). */
bool virtio_pci_write(struct virtio_pci *s, struct virtq *queue, unsigned nqueues, uint32_t offset,
                      unsigned size, uint32_t value);
/* What the specification has against a write (chip_class.write_error), of any offset: registers,
 * configuration and notifications. */
const char *virtio_pci_write_error(const struct virtio_pci *s, const struct virtq *queue, unsigned nqueues,
                                   uint32_t offset, uint32_t value);
/* Is this the register that a read of clears? */
static inline bool virtio_pci_is_isr(uint32_t offset)
{
    return offset == 0x13 || offset == VIRTIO_ISR_AT;
}
/* Is this a queue's notification? */
static inline bool virtio_pci_is_notify(uint32_t offset)
{
    return offset == 0x10 || offset == VIRTIO_NOTIFY_AT;
}
struct virtq_features virtio_pci_queue_features(const struct virtio_pci *s);
/* The driver is ready, and nothing is broken. */
bool virtio_pci_runs(const struct virtio_pci *s);
/* 2.1.2: the device cannot go on. */
void virtio_pci_broken(struct virtio_pci *s);

#endif
