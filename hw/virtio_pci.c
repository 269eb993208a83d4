/* virtio_pci.c - see virtio_pci.h; section numbers are those of Virtual I/O Device (VIRTIO) 1.1. */
#include "hw/virtio_pci.h"

#define LEGACY_ALIGN 4096u /* 2.6.2: of the used ring */
#define ISR_QUEUE    1u
#define ISR_CONFIG   2u
#define NO_VECTOR    0xFFFFu

enum { /* 4.1.4.8 */
       LEGACY_DEVICE_FEATURES = 0x00,
       LEGACY_DRIVER_FEATURES = 0x04,
       LEGACY_QUEUE_ADDRESS = 0x08,
       LEGACY_QUEUE_SIZE = 0x0C,
       LEGACY_QUEUE_SELECT = 0x0E,
       LEGACY_STATUS = 0x12,
       LEGACY_ISR = 0x13,
};

enum { /* 4.1.4.3, from VIRTIO_COMMON_AT on */
       COMMON_DEVICE_FEATURE_SELECT = 0x00,
       COMMON_DEVICE_FEATURE = 0x04,
       COMMON_DRIVER_FEATURE_SELECT = 0x08,
       COMMON_DRIVER_FEATURE = 0x0C,
       COMMON_MSIX = 0x10,
       COMMON_NUM_QUEUES = 0x12,
       COMMON_STATUS = 0x14,
       COMMON_QUEUE_SELECT = 0x16,
       COMMON_QUEUE_SIZE = 0x18,
       COMMON_QUEUE_MSIX = 0x1A,
       COMMON_QUEUE_ENABLE = 0x1C,
       COMMON_QUEUE_NOTIFY_OFF = 0x1E,
       COMMON_QUEUE_DESC = 0x20,
       COMMON_QUEUE_DRIVER = 0x28,
       COMMON_QUEUE_DEVICE = 0x30,
};

void virtio_pci_reset(struct virtio_pci *s, uint64_t offered, struct virtq *queue, unsigned nqueues)
{
    *s = (struct virtio_pci){.offered = offered};
    for (unsigned i = 0; i < nqueues; i++)
        queue[i] = (struct virtq){.size = VIRTQ_SIZE_MAX};
}

struct virtq_features virtio_pci_queue_features(const struct virtio_pci *s)
{
    return (struct virtq_features){.indirect = s->driver & VIRTIO_F_INDIRECT_DESC,
                                   .event_index = s->driver & VIRTIO_F_EVENT_IDX};
}

/* A legacy driver may use its queues before it says DRIVER_OK (3.1.2 tells of such). */
bool virtio_pci_runs(const struct virtio_pci *s)
{
    return !(s->status & VIRTIO_NEEDS_RESET) &&
           (s->status & VIRTIO_DRIVER_OK || !(s->driver & VIRTIO_F_VERSION_1));
}

void virtio_pci_broken(struct virtio_pci *s)
{
    s->status |= VIRTIO_NEEDS_RESET;
    if (s->status & VIRTIO_DRIVER_OK)
        s->isr |= ISR_CONFIG;
}

static uint32_t half(uint64_t v, uint32_t select)
{
    return select == 0 ? (uint32_t)v : select == 1 ? (uint32_t)(v >> 32) : 0;
}

static void set_half(uint64_t *v, uint32_t select, uint32_t value)
{
    if (select == 0)
        *v = (*v & ~UINT64_C(0xFFFFFFFF)) | value;
    else if (select == 1)
        *v = (*v & 0xFFFFFFFF) | (uint64_t)value << 32;
}

/* --- reads --- */

static uint32_t legacy_read(const struct virtio_pci *s, const struct virtq *q, uint32_t offset)
{
    switch (offset) {
    case LEGACY_DEVICE_FEATURES:
        return (uint32_t)s->offered;
    case LEGACY_DRIVER_FEATURES:
        return (uint32_t)s->driver;
    case LEGACY_QUEUE_ADDRESS:
        return q && q->enabled ? (uint32_t)(q->desc / LEGACY_ALIGN) : 0;
    case LEGACY_QUEUE_SIZE:
        return q ? VIRTQ_SIZE_MAX : 0;
    case LEGACY_QUEUE_SELECT:
        return s->queue_select;
    case LEGACY_STATUS:
        return s->status;
    case LEGACY_ISR:
        return s->isr;
    default:
        return 0;
    }
}

static uint32_t queue_register(const struct virtq *q, uint32_t offset)
{
    switch (offset) {
    case COMMON_QUEUE_SIZE:
        return q->size;
    case COMMON_QUEUE_ENABLE:
        return q->enabled;
    case COMMON_QUEUE_DESC:
    case COMMON_QUEUE_DESC + 4:
        return half(q->desc, offset / 4 % 2);
    case COMMON_QUEUE_DRIVER:
    case COMMON_QUEUE_DRIVER + 4:
        return half(q->avail, offset / 4 % 2);
    case COMMON_QUEUE_DEVICE:
    case COMMON_QUEUE_DEVICE + 4:
        return half(q->used, offset / 4 % 2);
    default:
        return 0;
    }
}

static uint32_t common_read(const struct virtio_pci *s, const struct virtq *q, unsigned nqueues,
                            uint32_t offset)
{
    switch (offset) {
    case COMMON_DEVICE_FEATURE_SELECT:
        return s->device_feature_select;
    case COMMON_DEVICE_FEATURE:
        return half(s->offered, s->device_feature_select);
    case COMMON_DRIVER_FEATURE_SELECT:
        return s->driver_feature_select;
    case COMMON_DRIVER_FEATURE:
        return half(s->driver, s->driver_feature_select);
    case COMMON_MSIX:
    case COMMON_QUEUE_MSIX:
        return NO_VECTOR;
    case COMMON_NUM_QUEUES:
        return nqueues;
    case COMMON_STATUS:
        return s->status;
    case COMMON_QUEUE_SELECT:
        return s->queue_select;
    default:
        return q ? queue_register(q, offset) : 0;
    }
}

/* A narrower read of a register than the register is, or one from its middle, gets those bytes. */
static uint32_t cut(uint32_t (*read)(const struct virtio_pci *, const struct virtq *, unsigned, uint32_t),
                    const struct virtio_pci *s, const struct virtq *q, unsigned nqueues, uint32_t offset)
{
    uint32_t at = offset >= 0x10 && offset < 0x20 ? offset & ~1u : offset & ~3u; /* 16-bit registers there */

    return read(s, q, nqueues, at) >> 8 * (offset - at);
}

uint32_t virtio_pci_read(const struct virtio_pci *s, const struct virtq *queue, unsigned nqueues,
                         uint32_t offset, unsigned size)
{
    const struct virtq *q = s->queue_select < nqueues ? &queue[s->queue_select] : NULL;

    (void)size; /* the bus takes the low bytes */
    if (offset < VIRTIO_LEGACY_CONFIG_AT)
        return legacy_read(s, q, offset);
    if (offset == VIRTIO_ISR_AT)
        return s->isr;
    if (offset >= VIRTIO_COMMON_AT && offset < VIRTIO_ISR_AT)
        return cut(common_read, s, q, nqueues, offset - VIRTIO_COMMON_AT);
    return 0;
}

/* --- writes --- */

static bool write_status(struct virtio_pci *s, uint32_t value)
{
    uint8_t v = (uint8_t)value;

    if (v == 0)
        return true;
    /* 2.2.1: what was not offered is refused by leaving FEATURES_OK clear. */
    if (v & VIRTIO_FEATURES_OK && s->driver & ~s->offered)
        v &= (uint8_t)~VIRTIO_FEATURES_OK;
    s->status = v | (s->status & VIRTIO_NEEDS_RESET);
    return false;
}

/* 2.6.2: the three areas of a legacy queue lie behind each other; page 0 takes the queue away. */
static void set_legacy_address(struct virtq *q, uint32_t page)
{
    uint64_t desc = (uint64_t)page * LEGACY_ALIGN;
    uint64_t avail = desc + 16u * VIRTQ_SIZE_MAX;
    uint64_t end = avail + 2u * (3u + VIRTQ_SIZE_MAX);

    *q = (struct virtq){.size = VIRTQ_SIZE_MAX};
    if (!page)
        return;
    q->desc = desc;
    q->avail = avail;
    q->used = (end + LEGACY_ALIGN - 1) / LEGACY_ALIGN * LEGACY_ALIGN;
    q->enabled = 1;
}

static bool legacy_write(struct virtio_pci *s, struct virtq *q, uint32_t offset, uint32_t value)
{
    if (offset == LEGACY_DRIVER_FEATURES)
        s->driver = value & (uint32_t)s->offered;
    else if (offset == LEGACY_QUEUE_ADDRESS && q)
        set_legacy_address(q, value);
    else if (offset == LEGACY_QUEUE_SELECT)
        s->queue_select = (uint16_t)value;
    else if (offset == LEGACY_STATUS)
        return write_status(s, value);
    return false;
}

/* 4.1.4.3.2: the driver sets a queue up before it enables it, once. */
static void write_queue(struct virtq *q, uint32_t offset, uint32_t value)
{
    if (q->enabled)
        return;
    if (offset == COMMON_QUEUE_SIZE && value <= VIRTQ_SIZE_MAX && (value & (value - 1)) == 0)
        q->size = (uint16_t)value;
    else if (offset == COMMON_QUEUE_ENABLE)
        q->enabled = value == 1;
    else if (offset == COMMON_QUEUE_DESC || offset == COMMON_QUEUE_DESC + 4)
        set_half(&q->desc, offset / 4 % 2, value);
    else if (offset == COMMON_QUEUE_DRIVER || offset == COMMON_QUEUE_DRIVER + 4)
        set_half(&q->avail, offset / 4 % 2, value);
    else if (offset == COMMON_QUEUE_DEVICE || offset == COMMON_QUEUE_DEVICE + 4)
        set_half(&q->used, offset / 4 % 2, value);
}

static bool common_write(struct virtio_pci *s, struct virtq *q, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case COMMON_DEVICE_FEATURE_SELECT:
        s->device_feature_select = value;
        break;
    case COMMON_DRIVER_FEATURE_SELECT:
        s->driver_feature_select = value;
        break;
    case COMMON_DRIVER_FEATURE:
        if (!(s->status & VIRTIO_FEATURES_OK))
            set_half(&s->driver, s->driver_feature_select, value);
        break;
    case COMMON_STATUS:
        return write_status(s, value);
    case COMMON_QUEUE_SELECT:
        s->queue_select = (uint16_t)value;
        break;
    default:
        if (q)
            write_queue(q, offset, value);
    }
    return false;
}

bool virtio_pci_write(struct virtio_pci *s, struct virtq *queue, unsigned nqueues, uint32_t offset,
                      unsigned size, uint32_t value)
{
    struct virtq *q = s->queue_select < nqueues ? &queue[s->queue_select] : NULL;

    (void)size; /* a driver writes a register with its own width (4.1.3.1) */
    if (offset < VIRTIO_LEGACY_CONFIG_AT)
        return legacy_write(s, q, offset, value);
    if (offset >= VIRTIO_COMMON_AT && offset < VIRTIO_ISR_AT)
        return common_write(s, q, offset - VIRTIO_COMMON_AT, value);
    return false;
}

/* --- what the specification has against a write --- */

static const char *const read_only = "a register that is read-only";
static const char *const no_queue = "a register of a queue that is not there";

/* 2.1.1: bits are set one after the other; only a reset takes them back. */
static const char *status_error(const struct virtio_pci *s, uint32_t value)
{
    uint8_t set = s->status & (uint8_t)~VIRTIO_NEEDS_RESET;

    if (value != 0 && set & ~value)
        return "a bit of the status is taken back without a reset";
    return value & VIRTIO_FEATURES_OK && s->driver & ~s->offered ? "a feature that was not offered" : NULL;
}

static const char *legacy_error(const struct virtio_pci *s, const struct virtq *q, uint32_t offset,
                                uint32_t value)
{
    switch (offset) {
    case LEGACY_DRIVER_FEATURES:
        return value & ~(uint32_t)s->offered ? "a feature that was not offered" : NULL;
    case LEGACY_QUEUE_ADDRESS:
        return q ? NULL : no_queue;
    case LEGACY_QUEUE_SELECT:
        return NULL;
    case LEGACY_STATUS:
        return status_error(s, value);
    default:
        return read_only;
    }
}

/* 2.6: how the low half of an area's address is aligned; 0: `offset` is none. */
static uint32_t queue_align(uint32_t offset)
{
    return offset == COMMON_QUEUE_DESC     ? 16
           : offset == COMMON_QUEUE_DRIVER ? 2
           : offset == COMMON_QUEUE_DEVICE ? 4
                                           : 0;
}

static const char *queue_error(const struct virtq *q, uint32_t offset, uint32_t value)
{
    uint32_t align = queue_align(offset);

    if (!q)
        return no_queue;
    if (q->enabled)
        return "a queue is set up that is enabled";
    if (offset == COMMON_QUEUE_SIZE && (value == 0 || value > VIRTQ_SIZE_MAX || value & (value - 1)))
        return "a size of a queue that is no power of two up to the device's";
    if (offset == COMMON_QUEUE_ENABLE && value != 1)
        return "a queue is enabled with a value that is not 1";
    return align && value % align ? "an area of a queue that is not aligned" : NULL;
}

static const char *common_error(const struct virtio_pci *s, const struct virtq *q, uint32_t offset,
                                uint32_t value)
{
    switch (offset) {
    case COMMON_DEVICE_FEATURE_SELECT:
    case COMMON_DRIVER_FEATURE_SELECT:
    case COMMON_MSIX:
    case COMMON_QUEUE_SELECT:
        return NULL;
    case COMMON_DRIVER_FEATURE:
        return s->status & VIRTIO_FEATURES_OK ? "features after FEATURES_OK" : NULL;
    case COMMON_STATUS:
        return status_error(s, value);
    case COMMON_QUEUE_MSIX:
        return q ? NULL : no_queue;
    default:
        return offset == COMMON_QUEUE_SIZE || offset == COMMON_QUEUE_ENABLE || offset >= COMMON_QUEUE_DESC
                   ? queue_error(q, offset, value)
                   : read_only;
    }
}

static const char *notify_error(const struct virtio_pci *s, const struct virtq *queue, unsigned nqueues,
                                uint32_t value)
{
    if (value >= nqueues)
        return "a notification of a queue that is not there";
    if (!queue[value].enabled)
        return "a notification of a queue that is not set up";
    return virtio_pci_runs(s) ? NULL : "a notification before DRIVER_OK, or of a device that needs a reset";
}

const char *virtio_pci_write_error(const struct virtio_pci *s, const struct virtq *queue, unsigned nqueues,
                                   uint32_t offset, uint32_t value)
{
    const struct virtq *q = s->queue_select < nqueues ? &queue[s->queue_select] : NULL;

    if (virtio_pci_is_notify(offset))
        return notify_error(s, queue, nqueues, value & 0xFFFF);
    if (offset < VIRTIO_LEGACY_CONFIG_AT)
        return legacy_error(s, q, offset, value);
    if (offset >= VIRTIO_COMMON_AT && offset < VIRTIO_ISR_AT)
        return common_error(s, q, offset - VIRTIO_COMMON_AT, value);
    return read_only;
}
