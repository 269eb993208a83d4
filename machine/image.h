/* image.h - a file that the user names, read whole into memory.
 *
 * Kept until the machine ends: a guest reset loads the same bytes again, whatever happened to the file. */
#ifndef TANDEM_MACHINE_IMAGE_H
#define TANDEM_MACHINE_IMAGE_H

#include "machine/err.h"

#include <stddef.h>
#include <stdint.h>

struct image {
    char *name;    /* as the user wrote it, for messages; owned */
    uint8_t *data; /* owned */
    size_t bytes;
};

/* Reads regular file `path` of 1..max_bytes bytes; `what` ("-kernel") heads the messages. */
bool image_read(struct image *img, const char *what, const char *path, uint64_t max_bytes, struct err *e);
void image_free(struct image *img);

/* Little-endian fields of an image; the caller has checked the bounds. */
static inline uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t le32(const uint8_t *p)
{
    return le16(p) | (uint32_t)le16(p + 2) << 16;
}
static inline uint64_t le64(const uint8_t *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}
static inline void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)v);
    put16(p + 2, (uint16_t)(v >> 16));
}
static inline void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

#endif
