/* bootorder.c - see bootorder.h. The nibbles: SeaBIOS, which took them from Bochs: 1 floppy, 2 disk, 3 CD, 4
 * network; the first one in the low half of CMOS 3Dh. Bit 0 of 38h: a boot sector of a floppy needs no
 * signature. */
#include "machine/bootorder.h"

#include "hw/virtio_blk.h"
#include "machine/drives.h"
#include "machine/kernelrom.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool bootorder_flags(const char *letters, uint16_t *flags)
{
    static const char known[] = "abcdn";
    static const uint8_t nibbles[] = {1, 1, 2, 3, 4};
    const size_t n = strlen(letters);
    *flags = 0;
    if (n == 0 || n > BOOTORDER_LETTERS)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *at = strchr(known, letters[i]);
        if (!at || strchr(letters + i + 1, letters[i]))
            return false;
        *flags |= (uint16_t)(nibbles[at - known] << (i < 2 ? 4 * i : 12));
    }
    return true;
}

bool bootorder_path(unsigned port, char path[BOOTORDER_PATH_BYTES])
{
    const size_t max = BOOTORDER_PATH_BYTES;
    if (port >= PC_PORT_IDE0 && port < PC_PORT_IDE0 + PC_IDE_DRIVES)
        snprintf(path, max, "/pci@i0cf8/ide@1,1/drive@%x/disk@%x", (port - PC_PORT_IDE0) / 2,
                 (port - PC_PORT_IDE0) % 2);
    else if (port >= PC_PORT_FLOPPY0 && port < PC_PORT_FLOPPY0 + PC_FLOPPY_DRIVES)
        snprintf(path, max, "/pci@i0cf8/isa@1/fdc@03f0/floppy@%x", port - PC_PORT_FLOPPY0);
    else if (port >= PC_PORT_VIRTIO0 && port < PC_PORT_VIRTIO0 + PC_VIRTIO_DRIVES)
        snprintf(path, max, "/pci@i0cf8/scsi@%x/disk@0,0", VIRTIO_BLK_SLOT(port - PC_PORT_VIRTIO0));
    else
        return false;
    return true;
}

/* The drive with the least index of at least `least`, the first one of several; NULL: none. */
static const struct machine_drive *next_drive(const struct machine_drive *drive, unsigned n, int least)
{
    const struct machine_drive *best = NULL;
    for (unsigned i = 0; i < n; i++)
        if (drive[i].bootindex >= least && (!best || drive[i].bootindex < best->bootindex))
            best = &drive[i];
    return best;
}

static size_t append(char *text, size_t max, size_t at, const char *line)
{
    const int n = snprintf(text + at, max - at, "%s%s", at ? "\n" : "", line);
    return n > 0 && (size_t)n < max - at ? at + (size_t)n : at;
}

size_t bootorder_file(const struct machine_drive *drive, unsigned n, bool kernel, bool strict, char *text,
                      size_t max)
{
    const struct machine_drive *d;
    char path[BOOTORDER_PATH_BYTES];
    size_t at = kernel ? append(text, max, 0, "/rom@" KERNELROM_FILE) : 0;
    for (int least = 0; (d = next_drive(drive, n, least)); least = d->bootindex + 1) {
        if (bootorder_path(d->port, path))
            at = append(text, max, at, path);
        if (d->bootindex == INT_MAX)
            break;
    }
    if (strict)
        at = append(text, max, at, "HALT");
    return at ? at + 1 : 0;
}
