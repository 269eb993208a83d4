/* image.c - see image.h. */
#include "machine/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPTED "a readable, non-empty regular file is needed"

static bool check_kind(const struct stat *st, const char *what, const char *path, uint64_t max_bytes,
                       struct err *e)
{
    if (S_ISDIR(st->st_mode))
        return err_set(e, "%s %s: is a directory; " ACCEPTED, what, path);
    if (!S_ISREG(st->st_mode))
        return err_set(e, "%s %s: is not a regular file (a pipe or a device?); " ACCEPTED, what, path);
    if (st->st_size == 0)
        return err_set(e, "%s %s: is empty; " ACCEPTED, what, path);
    if ((uint64_t)st->st_size > max_bytes)
        return err_set(
            e, "%s %s: has %llu bytes, more than the guest's RAM of %llu MiB can hold; use a larger -m", what,
            path, (unsigned long long)st->st_size, (unsigned long long)(max_bytes >> 20));
    return true;
}

/* In huge pages where that pays and the host has them: a fault for each 2 MiB, not for each 4 KiB. */
static uint8_t *take_memory(size_t bytes)
{
    enum { HUGE_PAGE = 2 << 20 };
    if (bytes < HUGE_PAGE)
        return malloc(bytes);
    const size_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uint8_t *p = aligned_alloc(HUGE_PAGE, whole);
    if (p)
        madvise(p, whole, MADV_HUGEPAGE); /* a wish */
    return p;
}

static bool read_all(int fd, struct image *img, const char *what, const char *path, struct err *e)
{
    for (size_t done = 0; done < img->bytes;) {
        ssize_t n = read(fd, img->data + done, img->bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, "%s %s: cannot be read: %s; " ACCEPTED, what, path, strerror(errno));
        if (n == 0)
            return err_set(e, "%s %s: became shorter while it was read; " ACCEPTED, what, path);
        done += (size_t)n;
    }
    return true;
}

static bool read_fd(int fd, struct image *img, const char *what, const char *path, uint64_t max_bytes,
                    struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_set(e, "%s %s: %s; " ACCEPTED, what, path, strerror(errno));
    if (!check_kind(&st, what, path, max_bytes, e))
        return false;
    img->bytes = (size_t)st.st_size;
    img->data = take_memory(img->bytes);
    img->name = strdup(path);
    if (!img->data || !img->name)
        return err_set(e, "%s %s: no host memory for its %zu bytes", what, path, img->bytes);
    return read_all(fd, img, what, path, e);
}

bool image_read(struct image *img, const char *what, const char *path, uint64_t max_bytes, struct err *e)
{
    *img = (struct image){0};
    /* O_NONBLOCK: a FIFO without a writer must give an error, not a wait. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set(e, "%s %s: %s; " ACCEPTED, what, path, strerror(errno));
    bool ok = read_fd(fd, img, what, path, max_bytes, e);
    close(fd);
    if (!ok)
        image_free(img);
    return ok;
}

void image_free(struct image *img)
{
    free(img->data);
    free(img->name);
    *img = (struct image){0};
}
