/* pcap.c - see pcap.h. */
#include "machine/pcap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAGIC_NS      UINT32_C(0xA1B23C4D) /* in the writer's byte order: stamps are in nanoseconds */
#define LINK_ETHERNET 1

struct pcap {
    FILE *file;
    uint32_t max_bytes;
    uint64_t last_ns;
};

struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy, max_bytes, link;
};

struct frame_header {
    uint32_t seconds, ns, kept, bytes;
};

struct pcap *pcap_create(const char *path, uint32_t max_bytes)
{
    const struct file_header h = {MAGIC_NS, 2, 4, 0, 0, max_bytes, LINK_ETHERNET};
    struct pcap *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->max_bytes = max_bytes;
    p->file = fopen(path, "we");
    if (!p->file) {
        free(p);
        return NULL;
    }
    fwrite(&h, sizeof h, 1, p->file);
    return p;
}

void pcap_frame(struct pcap *p, const uint8_t *frame, uint32_t bytes, uint64_t now_ns)
{
    p->last_ns = now_ns > p->last_ns ? now_ns : p->last_ns;
    const struct frame_header h = {(uint32_t)(p->last_ns / 1000000000), (uint32_t)(p->last_ns % 1000000000),
                                   bytes < p->max_bytes ? bytes : p->max_bytes, bytes};
    fwrite(&h, sizeof h, 1, p->file);
    fwrite(frame, 1, h.kept, p->file);
}

bool pcap_close(struct pcap *p)
{
    if (!p)
        return true;
    const bool bad = ferror(p->file);
    const bool ok = fclose(p->file) == 0 && !bad;
    if (bad)
        errno = EIO;
    free(p);
    return ok;
}
