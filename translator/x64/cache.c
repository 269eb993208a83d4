/* cache.c - see cache.h. */
#include "translator/x64/cache.h"

#include <sys/mman.h>
#include <unistd.h>

static uint8_t *map_view(int fd, size_t bytes, int prot)
{
    void *p = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

bool code_cache_init(struct code_cache *c, size_t bytes)
{
    *c = (struct code_cache){.bytes = bytes};
    int fd = memfd_create("tandem code", MFD_CLOEXEC);
    if (fd < 0)
        return false;
    if (ftruncate(fd, (off_t)bytes) == 0) {
        c->write = map_view(fd, bytes, PROT_READ | PROT_WRITE);
        c->exec = map_view(fd, bytes, PROT_READ | PROT_EXEC);
    }
    close(fd); /* the views keep the memory */
    if (c->write && c->exec)
        return true;
    code_cache_free(c);
    return false;
}

void code_cache_free(struct code_cache *c)
{
    if (c->write)
        munmap(c->write, c->bytes);
    if (c->exec)
        munmap(c->exec, c->bytes);
    *c = (struct code_cache){0};
}
