/* ide_test.h - an IDE channel with media in memory, driven as a bus would drive it. */
#ifndef TANDEM_TESTS_IDE_TEST_H
#define TANDEM_TESTS_IDE_TEST_H

#include "hw_test.h"

#include "hw/piix_ide.h"
#include "mem/master.h"

#include <stdio.h>

#define RIG_BYTES (2u << 20) /* of a medium that has contents; beyond that it reads as zeroes */

enum { DATA, ERROR, COUNT, LOW, MID, HIGH, DEVICE, STATUS, CONTROL, BMIC = 16, BMIS = 18, BMIDTP = 20 };
enum { LBA = 0xE0, SLAVE = 0x10 };

struct rig {
    struct piix_ide ide;
    uint64_t ns;
    uint8_t *medium[2];
    uint64_t bad[2]; /* offset of a byte that the host cannot read or write; UINT64_MAX: none */
    unsigned flushes, fua, reads, discards; /* requests that have started */
    struct physmem mem;
    bool master_enabled;
    uint8_t buffer[BLOCKS_BYTES_MAX];
};

static inline uint8_t *rig_buffer(void *ctx, unsigned drive)
{
    (void)drive;
    return ((struct rig *)ctx)->buffer;
}

static inline bool rig_bad(const struct rig *r, unsigned drive, const struct blocks_request *q)
{
    return r->bad[drive] >= q->offset && r->bad[drive] - q->offset < (q->bytes ? q->bytes : 1);
}

static inline void rig_start(void *ctx, unsigned drive, const struct blocks_request *q)
{
    struct rig *r = ctx;

    cr_assert_leq(q->bytes, BLOCKS_BYTES_MAX);
    r->flushes += q->op == BLOCKS_FLUSH;
    r->fua += q->fua;
    r->reads += q->op == BLOCKS_READ;
    r->discards += q->op == BLOCKS_DISCARD;
    if (q->op == BLOCKS_DISCARD && q->offset < RIG_BYTES && q->bytes <= RIG_BYTES - q->offset)
        memset(r->medium[drive] + q->offset, 0, q->bytes);
    if (q->op == BLOCKS_WRITE && q->offset < RIG_BYTES && q->bytes <= RIG_BYTES - q->offset)
        memcpy(r->medium[drive] + q->offset, r->buffer, q->bytes);
}

static inline enum blocks_status rig_finish(void *ctx, unsigned drive, const struct blocks_request *q,
                                            const uint8_t **data)
{
    struct rig *r = ctx;

    if (q->op == BLOCKS_READ) {
        memset(r->buffer, 0, q->bytes);
        if (q->offset < RIG_BYTES && q->bytes <= RIG_BYTES - q->offset)
            memcpy(r->buffer, r->medium[drive] + q->offset, q->bytes);
    }
    if (data)
        *data = r->buffer;
    return rig_bad(r, drive, q) ? BLOCKS_IO_ERROR : BLOCKS_OK;
}

/* Goes on by one event of the drives; false: there is none. */
static inline bool rig_event(struct rig *r)
{
    const struct chip_blocks blocks = {r, rig_buffer, rig_start, rig_finish};
    struct mem_master mm = {.pm = &r->mem};
    struct chip_master m = {.memory = r->master_enabled ? &mm : NULL, .blocks = &blocks};
    uint64_t at = piix_ide_class.next_master(&r->ide);

    if (at == NS_NEVER)
        return false;
    if (at > r->ns)
        r->ns = at;
    mem_masters_begin(&r->mem);
    piix_ide_class.master(&r->ide, &m, r->ns);
    mem_masters_end(&r->mem);
    return true;
}

static inline uint32_t rig_in(struct rig *r, uint32_t offset, unsigned size)
{
    r->ns += 1000;
    return piix_ide_class.read(&r->ide, offset, size, r->ns);
}

static inline uint8_t in(struct rig *r, uint32_t offset)
{
    return (uint8_t)rig_in(r, offset, 1);
}

static inline void out(struct rig *r, uint32_t offset, uint32_t value)
{
    r->ns += 1000;
    piix_ide_class.write(&r->ide, offset, 1, value, r->ns);
}

static inline void out_32(struct rig *r, uint32_t offset, uint32_t value)
{
    r->ns += 1000;
    piix_ide_class.write(&r->ide, offset, 4, value, r->ns);
}

static inline bool rig_irq(const struct rig *r)
{
    return piix_ide_class.outputs(&r->ide) & 1;
}

/* Until no drive has anything to do by itself. */
static inline void settle(struct rig *r)
{
    for (unsigned n = 0; rig_event(r); n++)
        cr_assert_lt(n, 100000u, "it never ends");
}

static inline void fit(struct rig *r, unsigned n, bool cdrom, uint64_t bytes)
{
    struct drive_config cfg = {.present = true, .cdrom = cdrom, .medium = bytes != 0, .bytes = bytes};

    piix_ide_fit(&r->ide, n, &cfg, n + 1);
    r->medium[n] = calloc(1, RIG_BYTES);
    for (uint32_t i = 0; i < RIG_BYTES; i += 4) {
        uint32_t word = i * 2654435761u + n;
        memcpy(r->medium[n] + i, &word, 4);
    }
}

static inline struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof(*r));

    memset(&r->ide, 0x5A, sizeof(r->ide));
    piix_ide_class.reset(&r->ide, 0);
    r->bad[0] = r->bad[1] = UINT64_MAX;
    r->master_enabled = true;
    cr_assert_eq(physmem_init(&r->mem, 16u << 20), 0);
    return r;
}

static inline void rig_free(struct rig *r)
{
    free(r->medium[0]);
    free(r->medium[1]);
    physmem_free(&r->mem);
    free(r);
}

/* A disk as device 0. */
static inline struct rig *rig_disk(uint64_t bytes)
{
    struct rig *r = rig_new();

    fit(r, 0, false, bytes);
    return r;
}

static inline void task_file(struct rig *r, uint8_t count, uint32_t lba, uint8_t device)
{
    out(r, DEVICE, device | (lba >> 24 & 15));
    out(r, COUNT, count);
    out(r, LOW, lba);
    out(r, MID, lba >> 8);
    out(r, HIGH, lba >> 16);
}

/* The upper halves first (ATA/ATAPI-6, 6.20). */
static inline void task_file_48(struct rig *r, uint16_t count, uint64_t lba)
{
    out(r, DEVICE, LBA);
    out(r, COUNT, count >> 8);
    out(r, COUNT, count & 0xFF);
    out(r, LOW, lba >> 24 & 0xFF);
    out(r, LOW, lba & 0xFF);
    out(r, MID, lba >> 32 & 0xFF);
    out(r, MID, lba >> 8 & 0xFF);
    out(r, HIGH, lba >> 40 & 0xFF);
    out(r, HIGH, lba >> 16 & 0xFF);
}

/* A command until the drive waits for the host or is done. */
static inline uint8_t command(struct rig *r, uint8_t code)
{
    out(r, STATUS, code);
    cr_assert(in(r, CONTROL) & 0x80, "command %02x: not busy", code);
    settle(r);
    return in(r, CONTROL);
}

static inline void read_block(struct rig *r, uint8_t *to, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i += 2) {
        uint32_t word = rig_in(r, DATA, 2);
        to[i] = (uint8_t)word;
        to[i + 1] = (uint8_t)(word >> 8);
    }
    settle(r);
}

static inline void write_block(struct rig *r, const uint8_t *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i += 2) {
        r->ns += 100;
        piix_ide_class.write(&r->ide, DATA, 2, from[i] | (uint32_t)from[i + 1] << 8, r->ns);
    }
    settle(r);
}

/* Memory of the guest. */
static inline uint8_t *ram(struct rig *r, uint32_t at)
{
    return r->mem.host + at;
}

static inline void prd(struct rig *r, uint32_t at, uint32_t address, uint32_t count_flags)
{
    memcpy(ram(r, at), &address, 4);
    memcpy(ram(r, at) + 4, &count_flags, 4);
}

#define EOT 0x80000000u

#endif
