/* kernelrom.h - the option ROM that starts -kernel from firmware (kernelrom.S).
 *
 * Threads: a pure function. Memory: the caller's buffer. */
#ifndef TANDEM_MACHINE_KERNELROM_H
#define TANDEM_MACHINE_KERNELROM_H

#include <stdint.h>

#define KERNELROM_BYTES 512
#define KERNELROM_FILE  "genroms/tandem-kernel.bin"

/* MATCH kernelrom memory */
#define KERNELROM_SETUP       0x10000u
#define KERNELROM_STACK_TOP   0xe000u /* in the setup's segment */
#define KERNELROM_CMDLINE     0x1e000u
#define KERNELROM_CMDLINE_MAX 0x1fffu

/* The ROM with its length and checksums. */
void kernelrom_make(uint8_t rom[KERNELROM_BYTES]);

#endif
