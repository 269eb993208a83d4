/* firmware.c - see firmware.h. */
#include "machine/firmware.h"

#include "machine/pcmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTION_ROM_BYTES 0x20000 /* C0000-DFFFF */

/* dir/name if such a file can be read, else NULL. dir NULL: as named. */
static char *try_path(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", dir ? dir : "", dir ? "/" : "", name) < 0)
        return NULL;
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* Path of a file, owned by the caller; `option` ("-bios") heads the message. NULL: e says why. */
static char *firmware_find(const struct firmware_dirs *dirs, const char *option, const char *name,
                           struct err *e)
{
    char *path = try_path(NULL, name);
    for (unsigned i = 0; !path && i < dirs->ndirs; i++)
        path = try_path(dirs->dir[i], name);
    if (!path)
        path = try_path(FIRMWARE_DIR, name);
    if (!path)
        err_set(
            e,
            "%s: %s: no such file that can be read, neither as named nor in %s%s; a file there, or -L DIR, "
            "is needed (Debian's package seabios has " FIRMWARE_DEFAULT ")",
            option, name, dirs->ndirs ? "the directories of -L and in " : "", FIRMWARE_DIR);
    return path;
}

static bool size_is_good(const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return true; /* image_read knows what to say */
    if (st.st_size > 0 && st.st_size <= PCMEM_ROM_BYTES && st.st_size % PCMEM_ROM_UNIT == 0)
        return true;
    return err_set(
        e, "-bios %s: has %lld bytes; firmware of 64 KiB to 16 MiB, a multiple of 64 KiB, is accepted", path,
        (long long)st.st_size);
}

bool firmware_read(struct image *img, const struct firmware_dirs *dirs, const char *name, struct err *e)
{
    char *path = firmware_find(dirs, "-bios", name ? name : FIRMWARE_DEFAULT, e);
    bool ok = path && size_is_good(path, e) && image_read(img, "-bios", path, PCMEM_ROM_BYTES, e);
    free(path);
    if (ok && img->bytes % PCMEM_ROM_UNIT != 0) { /* the file has just changed */
        image_free(img);
        return err_set(e, "-bios: the file changed while it was read");
    }
    return ok;
}

bool firmware_read_vgabios(struct image *img, const struct firmware_dirs *dirs, struct err *e)
{
    char *path = firmware_find(dirs, "-vga std", FIRMWARE_VGABIOS, e);
    bool ok = path && image_read(img, "-vga std", path, OPTION_ROM_BYTES, e);
    free(path);
    return ok;
}
