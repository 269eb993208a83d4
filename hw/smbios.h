/* smbios.h - the SMBIOS tables of this board (DMTF DSP0134), for firmware to place.
 *
 * Threads: a pure function. Memory: writes only into the caller's struct. */
#ifndef TANDEM_HW_SMBIOS_H
#define TANDEM_HW_SMBIOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMBIOS_BYTES_MAX    2048
#define SMBIOS_ANCHOR_BYTES 31

struct smbios {
    uint8_t tables[SMBIOS_BYTES_MAX];
    size_t tables_bytes;
    uint8_t anchor[SMBIOS_ANCHOR_BYTES]; /* entry point; whoever places the tables fills in address and
                                            checksums */
};

/* ram_bytes: whole KiB. False: no room (our tables have grown). */
bool smbios_build(struct smbios *s, uint64_t ram_bytes);

#endif
