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

/* --- the ring --- */

enum { CODE_ALIGN = 16 };

void code_cache_clear(struct code_cache *c)
{
    c->at = c->reserved;
    c->used = 0;
    c->oldest = c->newest = NULL;
}

struct tb *code_cache_in_the_way(struct code_cache *c, size_t bytes)
{
    for (;;) {
        bool ahead = c->oldest && c->oldest->native.place >= c->at;
        size_t end = ahead ? c->oldest->native.place : c->bytes;
        if (end - c->at >= bytes)
            return NULL;
        if (ahead)
            return c->oldest;
        c->at = c->reserved;
    }
}

void code_cache_drop_oldest(struct code_cache *c)
{
    struct tb *tb = c->oldest;
    c->oldest = tb->native.newer;
    if (!c->oldest)
        c->newest = NULL;
    c->used -= tb->native.bytes;
    tb->native.newer = NULL;
    tb->native.bytes = 0;
}

void code_cache_take(struct code_cache *c, struct tb *tb, size_t bytes)
{
    tb->native.place = (uint32_t)c->at;
    tb->native.bytes = (uint32_t)bytes;
    tb->native.newer = NULL;
    *(c->newest ? &c->newest->native.newer : &c->oldest) = tb;
    c->newest = tb;
    c->used += bytes;
    c->at = (c->at + bytes + CODE_ALIGN - 1) & ~(size_t)(CODE_ALIGN - 1);
    if (c->at > c->bytes)
        c->at = c->bytes;
}
