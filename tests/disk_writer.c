/* disk_writer.c - writes through the back end of drives, and says what is safe: killed at any moment, nothing
 * that it has said may be missing.
 *
 *     disk_writer write FILE CACHE     writes number 1, 2, ... and prints each when it is flushed, until it
 * is killed; CACHE: writeback, or unsafe, where flushes are ignored disk_writer check FILE LAST      is
 * everything up to number LAST there?
 *
 * Number n fills slot n % SLOTS; every other one is a write with FUA, the others a write and a flush. */
#include "devthread/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64, SLOT_WORDS = 512, SLOT_BYTES = SLOT_WORDS * 4 };

static struct medium *open_image(const char *file, bool read_only, enum medium_cache cache)
{
    char err[512];
    const struct medium_config cfg = {.option = "disk_writer",
                                      .file = file,
                                      .format = "raw",
                                      .sector = 512,
                                      .read_only = read_only,
                                      .cache = cache};
    struct medium *m = medium_open(&cfg, err, sizeof err);
    if (!m)
        fprintf(stderr, "%s\n", err);
    return m;
}

static bool do_request(struct blocks_drive *d, enum blocks_op op, uint64_t offset, const uint32_t *data,
                       bool fua)
{
    const struct blocks_request r = {
        .offset = offset, .bytes = data ? SLOT_BYTES : 0, .op = (uint8_t)op, .fua = fua};
    blocks_backend.blocks_start(d, &r, (const uint8_t *)data);
    return blocks_backend.blocks_finish(d, &r, NULL) == BLOCKS_OK;
}

static int do_write(const char *file, bool unsafe)
{
    const struct blocks_config cfg = {.workers = 2};
    uint32_t data[SLOT_WORDS];
    struct medium *m = open_image(file, false, unsafe ? MEDIUM_UNSAFE : MEDIUM_WRITEBACK);
    struct blocks *b = m ? blocks_create(&cfg) : NULL;
    struct blocks_drive *d = b ? blocks_add(b, m, file, false) : NULL;
    for (uint32_t n = 1; d; n++) {
        for (unsigned i = 0; i < SLOT_WORDS; i++)
            data[i] = n;
        if (!do_request(d, BLOCKS_WRITE, n % SLOTS * SLOT_BYTES, data, n % 2) ||
            (n % 2 == 0 && !do_request(d, BLOCKS_FLUSH, 0, NULL, false)))
            break; /* the server has gone, too */
        printf("%u\n", n);
        fflush(stdout);
    }
    return 2;
}

/* A slot may hold a later number, whole or in part, which nobody had been told of. */
static int do_check(const char *file, uint32_t last)
{
    uint32_t data[SLOT_WORDS];
    struct medium *m = open_image(file, true, MEDIUM_WRITEBACK);
    for (uint32_t n = last > SLOTS ? last - SLOTS + 1 : 1; m && n <= last; n++) {
        if (medium_read(m, n % SLOTS * SLOT_BYTES, (uint8_t *)data, SLOT_BYTES) != 0)
            return 2;
        for (unsigned i = 0; i < SLOT_WORDS; i++)
            if (data[i] < n) {
                printf("number %u of %u is lost: %u is there\n", n, last, data[i]);
                return 1;
            }
    }
    medium_close(m);
    return m ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        return do_write(argv[2], strcmp(argv[3], "unsafe") == 0);
    if (argc == 4 && strcmp(argv[1], "check") == 0)
        return do_check(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
    fprintf(stderr, "disk_writer write FILE CACHE | check FILE LAST\n");
    return 2;
}
