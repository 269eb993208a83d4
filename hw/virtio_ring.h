/* virtio_ring.h - a split virtqueue, as the device sees it (Virtual I/O Device 1.1, section 2.6).
 *
 * The queue's state is where its three areas lie and how far the device has come. A chain is read from guest
 * memory whenever it is needed: nothing of it is kept. All of it is the guest's to spoil at any time: each
 * function is bounded by VIRTQ_SIZE_MAX descriptors, whatever memory says, and calls a queue that cannot be
 * followed broken.
 * Threads: the holder of the baton, inside `master` (chip.h). */
#ifndef TANDEM_HW_VIRTIO_RING_H
#define TANDEM_HW_VIRTIO_RING_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTQ_SIZE_MAX 128 /* descriptors of a queue, and of a table that one of them points to */
/* Segments of a chain. The fuzzer's planted error is another number here (tests/fuzz/meson.build). */
#ifndef VIRTQ_SEGMENTS_MAX
#define VIRTQ_SEGMENTS_MAX VIRTQ_SIZE_MAX
#endif

struct mem_master;

struct virtq {
    uint64_t desc, avail, used; /* physical addresses of the three areas */
    uint16_t size;              /* descriptors, a power of two up to VIRTQ_SIZE_MAX */
    uint16_t avail_index;       /* the next one to take (2.6.6: free-running) */
    uint16_t used_index;        /* the next one to give back (2.6.8) */
    uint16_t enabled;           /* 1: the three areas are there */
};

/* A part of a chain. */
struct virtq_segment {
    uint64_t address;
    uint32_t bytes;
};

/* A chain of descriptors: what the device reads, then what it writes (2.6.4.2). */
struct virtq_chain {
    struct virtq_segment segment[VIRTQ_SIZE_MAX];
    unsigned nread, n;          /* segments to read; segments in all */
    uint64_t read_bytes, bytes; /* likewise */
};

struct virtq_features {
    bool indirect;    /* VIRTIO_F_INDIRECT_DESC */
    bool event_index; /* VIRTIO_F_EVENT_IDX */
};

enum virtq_result { VIRTQ_OK, VIRTQ_EMPTY, VIRTQ_BROKEN };

/* Takes the head of the next available chain, and asks to be told of the one behind it. */
enum virtq_result virtq_take(struct virtq *q, const struct mem_master *memory, struct virtq_features f,
                             uint16_t *head);
/* The chain of a head that was taken. */
enum virtq_result virtq_chain(const struct virtq *q, const struct mem_master *memory, struct virtq_features f,
                              uint16_t head, struct virtq_chain *c);
/* Gives it back with so many bytes written. *notify: the driver wants an interrupt. */
enum virtq_result virtq_give(struct virtq *q, const struct mem_master *memory, struct virtq_features f,
                             uint16_t head, uint32_t written, bool *notify);

/* Bytes from `offset` of what the device reads, or writes, of a chain; false: not all of them are there. */
bool virtq_read(const struct virtq_chain *c, const struct mem_master *memory, uint64_t offset, void *to,
                uint32_t bytes);
bool virtq_write(const struct virtq_chain *c, const struct mem_master *memory, uint64_t offset,
                 const void *from, uint32_t bytes);

#endif
