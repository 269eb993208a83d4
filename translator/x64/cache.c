/* cache.c - see cache.h. */
#include "translator/x64/cache.h"

#include <sys/mman.h>
#include <unistd.h>

/* One view, to write and to run: of private memory, which the host may give in huge pages. That is 6 % of a
 * boot of Linux. */
static uint8_t *map_huge(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

static uint8_t *map_view(int fd, size_t bytes, int prot)
{
    void *p = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Two views of the same memory, where the host allows none that is both written and run. */
static bool map_views(struct code_cache *c)
{
    int fd = memfd_create("tandem code", MFD_CLOEXEC);
    if (fd < 0)
        return false;
    if (ftruncate(fd, (off_t)c->bytes) == 0) {
        c->write = map_view(fd, c->bytes, PROT_READ | PROT_WRITE);
        c->exec = map_view(fd, c->bytes, PROT_READ | PROT_EXEC);
    }
    close(fd); /* the views keep the memory */
    return c->write && c->exec;
}

bool code_cache_init(struct code_cache *c, size_t bytes)
{
    *c = (struct code_cache){.mapped = bytes, .bytes = bytes};
    c->write = c->exec = map_huge(bytes);
    if (c->exec || map_views(c))
        return true;
    code_cache_free(c);
    return false;
}

void code_cache_free(struct code_cache *c)
{
    if (c->write)
        munmap(c->write, c->mapped);
    if (c->exec && c->exec != c->write)
        munmap(c->exec, c->mapped);
    *c = (struct code_cache){0};
}

void code_cache_split(struct code_cache *c, struct code_cache *behind, size_t at)
{
    *behind = *c;
    behind->mapped = 0;
    behind->reserved = c->bytes = at;
    code_cache_clear(c);
    code_cache_clear(behind);
}

/* --- the ring --- */

struct code_header {
    struct tb *tb;  /* NULL: given up */
    uint64_t bytes; /* with the header, rounded up */
};
_Static_assert(sizeof(struct code_header) == CODE_HEADER_BYTES, "CODE_HEADER_BYTES");

static struct code_header *header_at(const struct code_cache *c, size_t offset)
{
    return (struct code_header *)(void *)(c->write + offset);
}

static size_t with_header(size_t bytes)
{
    return (bytes + CODE_HEADER_BYTES + CODE_ALIGN - 1) & ~(size_t)(CODE_ALIGN - 1);
}

void code_cache_clear(struct code_cache *c)
{
    c->head = c->tail = c->reserved;
    c->lap_end = SIZE_MAX;
    c->blocks = c->used = 0;
}

bool code_cache_could_hold(const struct code_cache *c, size_t bytes)
{
    return with_header(bytes) <= c->bytes - c->reserved;
}

bool code_cache_has_room(struct code_cache *c, size_t bytes)
{
    size_t need = with_header(bytes);
    if (c->blocks == 0)
        code_cache_clear(c);
    bool ahead = c->blocks && c->tail >= c->head;
    if ((ahead ? c->tail : c->bytes) - c->head >= need)
        return true;
    if (ahead)
        return false;
    c->lap_end = c->head;
    c->head = c->reserved;
    return c->tail - c->head >= need;
}

struct tb *code_cache_oldest(const struct code_cache *c)
{
    return header_at(c, c->tail)->tb;
}

void code_cache_drop_oldest(struct code_cache *c)
{
    const struct code_header *h = header_at(c, c->tail);
    c->tail += h->bytes;
    c->used -= h->bytes;
    c->blocks--;
    if (c->tail == c->lap_end) {
        c->tail = c->reserved;
        c->lap_end = SIZE_MAX;
    }
}

uint32_t code_cache_take(struct code_cache *c, struct tb *tb, size_t bytes)
{
    struct code_header *h = header_at(c, c->head);
    *h = (struct code_header){tb, with_header(bytes)};
    c->head += h->bytes;
    c->used += h->bytes;
    c->blocks++;
    return (uint32_t)(c->head - h->bytes + CODE_HEADER_BYTES);
}

void code_cache_give_up(struct code_cache *c, uint32_t offset)
{
    header_at(c, offset - CODE_HEADER_BYTES)->tb = NULL;
}
