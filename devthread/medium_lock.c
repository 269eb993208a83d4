/* medium_lock.c - locks of image files, as QEMU has them (file-posix), so that both keep out of each other's
 * way.
 *
 * A lock of QEMU's is a shared lock of one byte for each permission that a program has of an image (from byte
 * 100 on), and one for each that it grants nobody else (from byte 200 on). Whoever wants a permission must
 * find nobody who does not grant it, and whoever does not grant one nobody who has it. Of the permissions
 * three matter here: 0 reads what it expects to be consistent, 1 writes, 3 changes the size. A drive that is
 * read alone keeps writers out; readers share.
 *
 * Locks belong to the open file (F_OFD_SETLK), so two drives of one machine exclude each other, too. */
#include "devthread/medium_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { HAS = 100, GRANTS_NOT = 200 };
enum { CONSISTENT_READ = 0, WRITE = 1, RESIZE = 3 };

/* 0 or an errno. */
static int lock_byte(int fd, off_t byte)
{
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &l) == 0 ? 0 : errno;
}

/* Does another open file hold it? */
static bool is_locked(int fd, off_t byte)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* First all locks, then a look at the others': of two at once, one or both see the other. */
int medium_lock(int fd, bool read_only)
{
    const off_t mine[] = {HAS + CONSISTENT_READ, GRANTS_NOT + WRITE, GRANTS_NOT + RESIZE, HAS + WRITE};
    const off_t others[] = {GRANTS_NOT + CONSISTENT_READ, HAS + WRITE, HAS + RESIZE, GRANTS_NOT + WRITE};
    const unsigned n = read_only ? 3 : 4;
    int error = 0;

    for (unsigned i = 0; i < n && error == 0; i++)
        error = lock_byte(fd, mine[i]);
    for (unsigned i = 0; i < n && error == 0; i++)
        if (is_locked(fd, others[i]))
            error = EAGAIN;
    return error;
}
