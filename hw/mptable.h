/* mptable.h - the MP configuration table (MP specification 1.4) of this board, for a machine booted without
 * firmware. Threads: a pure function. Memory: writes only into the caller's buffer. */
#ifndef TANDEM_HW_MPTABLE_H
#define TANDEM_HW_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

#define MPTABLE_BYTES_MAX 512

/* The floating pointer and the table behind it, for physical address phys_base (a multiple of 16; to be
 * found, in F0000h..FFFFFh); `signature` and `features`: EAX and EDX of CPUID leaf 1. Returns the bytes used;
 * 0: `bytes` is less than MPTABLE_BYTES_MAX, or a bad base. */
size_t mptable_build(uint8_t *buf, size_t bytes, uint32_t phys_base, uint32_t signature, uint32_t features);

#endif
