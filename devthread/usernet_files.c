/* usernet_files.c - the files that the computed network serves by TFTP: read once, as the machine is made.
 *
 * So they are part of the machine, as its images are: known by their hash, and whatever becomes of them on
 * the host while the guest runs changes nothing. */
#include "devthread/usernet_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_whole(int fd, struct usernet_file *f)
{
    for (uint32_t at = 0; at < f->bytes;) {
        const ssize_t n = read(fd, f->data + at, f->bytes - at);
        if (n < 0)
            return false;
        if (n == 0) { /* it has become shorter */
            f->bytes = at;
            return true;
        }
        at += (uint32_t)n;
    }
    return true;
}

/* False with errno: EFBIG, it is larger than `room`. */
static bool read_file(struct usernet_file *f, const char *path, uint64_t room)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return false;
    bool ok = fstat(fd, &st) == 0;
    if (ok && (uint64_t)st.st_size > room) {
        errno = EFBIG;
        ok = false;
    }
    if (ok) {
        f->bytes = (uint32_t)st.st_size;
        f->data = malloc(f->bytes ? f->bytes : 1);
        ok = f->data && read_whole(fd, f);
    }
    const int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

static bool add_file(struct usernet *n, const char *name, const char *path, uint64_t *room)
{
    struct usernet_file f = {0};

    if (n->nfiles == USERNET_FILES_MAX) {
        errno = EFBIG;
        return false;
    }
    if (!read_file(&f, path, *room) || !(f.name = strdup(name))) {
        free(f.data);
        return false;
    }
    *room -= f.bytes;
    n->file[n->nfiles++] = f;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct usernet_file *)a)->name, ((const struct usernet_file *)b)->name);
}

/* Links are followed: Debian's netboot directory has some. False with errno. */
static bool walk(struct usernet *n, FTS *fts, size_t prefix)
{
    uint64_t room = USERNET_FILES_BYTES;
    FTSENT *entry;

    errno = 0;
    while ((entry = fts_read(fts))) {
        if ((entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS) && entry->fts_level <= 0) {
            errno = entry->fts_errno;
            return false;
        }
        if (entry->fts_info == FTS_F && entry->fts_level > 0 &&
            !add_file(n, entry->fts_path + prefix + 1, entry->fts_path, &room))
            return false;
        errno = 0;
    }
    return errno == 0;
}

bool usernet_read_files(struct usernet *n, const char *dir, char *err, size_t err_bytes)
{
    char *const paths[] = {(char *)dir, NULL};
    struct stat st;
    size_t prefix = strlen(dir);
    FTS *fts = NULL;

    n->file = calloc(USERNET_FILES_MAX, sizeof *n->file);
    bool ok = n->file && stat(dir, &st) == 0;
    if (ok && !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        ok = false;
    }
    if (ok) /* one that is never read is not freed whole */
        ok = (fts = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, NULL)) != NULL;
    while (prefix > 1 && dir[prefix - 1] == '/') /* fts takes one slash away, but for the root's */
        prefix--;
    ok = ok && walk(n, fts, prefix);
    if (!ok && errno == EFBIG)
        snprintf(err, err_bytes, "tftp=%.200s: at most %d files, %u MiB in all, are accepted", dir,
                 USERNET_FILES_MAX, USERNET_FILES_BYTES >> 20);
    else if (!ok)
        snprintf(err, err_bytes, "tftp=%.200s: %s; a directory whose files can be read is accepted", dir,
                 strerror(errno));
    if (fts)
        fts_close(fts);
    if (n->nfiles)
        qsort(n->file, n->nfiles, sizeof *n->file, by_name);
    return ok;
}

void usernet_free_files(struct usernet *n)
{
    for (unsigned i = 0; i < n->nfiles; i++) {
        free(n->file[i].name);
        free(n->file[i].data);
    }
    free(n->file);
}
