/* memory.h - what the copying and filling phases share. */
#ifndef THROUGHPUT_MEMORY_H
#define THROUGHPUT_MEMORY_H

#include "guest.h"

#define BUFFER_BYTES (64u << 10)
#define REPEATS      64u

/* One pass with the given flavour; bytes is a multiple of 64, addresses of 4. Return the checksum. */
uint32_t copies(void (*copy)(void *to, const void *from, size_t bytes));
uint32_t fills(void (*fill)(void *to, uint8_t value, size_t bytes));

#endif
