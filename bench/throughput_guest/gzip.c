/* gzip.c - a file compressed and expanded again by zlib. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "guest.h"

#define FILE_BYTES  (1u << 20)
#define CHUNK_BYTES (32u << 10)

static char name_plain[] = "/tmp/throughput.XXXXXX", name_packed[] = "/tmp/throughput.XXXXXX";

/* Text of a kind: words from a small vocabulary, so that there is something to compress. */
static void make_text(char *text, size_t bytes)
{
    static const char *const words[] = {"tick ",  "horizon ", "baton ", "the ",
                                        "guest ", "retires ", "one ",   "instruction\n"};
    uint32_t seed = 31;
    for (size_t at = 0; at < bytes;) {
        uint32_t random = random_next(&seed);
        const char *word = words[random % 8];
        char number[16];
        if (random >> 8 & 1)
            word = number, snprintf(number, sizeof number, "%x ", random >> 12);
        size_t length = strlen(word);
        length = length < bytes - at ? length : bytes - at;
        memcpy(text + at, word, length);
        at += length;
    }
}

static int make_file(char *name)
{
    int fd = mkstemp(name);
    if (fd < 0)
        die(name);
    return fd;
}

static void prepare(void)
{
    static char text[FILE_BYTES];
    int fd = make_file(name_plain);
    make_text(text, sizeof text);
    if (write(fd, text, sizeof text) != sizeof text)
        die(name_plain);
    close(fd);
    close(make_file(name_packed));
}

static void compress_file(void)
{
    static uint8_t chunk[CHUNK_BYTES];
    int fd = open(name_plain, O_RDONLY);
    gzFile packed = gzopen(name_packed, "wb6");
    if (fd < 0 || !packed)
        die(name_packed);
    for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0;)
        if (gzwrite(packed, chunk, (unsigned)n) != n)
            die(name_packed);
    gzclose(packed);
    close(fd);
}

static uint32_t expand_file(void)
{
    static uint8_t chunk[CHUNK_BYTES];
    uint32_t hash = HASH_START;
    gzFile packed = gzopen(name_packed, "rb");
    if (!packed)
        die(name_packed);
    for (int n; (n = gzread(packed, chunk, sizeof chunk)) > 0;)
        hash = hash_word(hash, hash_bytes(chunk, (size_t)n));
    gzclose(packed);
    return hash;
}

uint32_t pass_gzip(void)
{
    prepare();
    compress_file();
    uint32_t hash = expand_file();
    unlink(name_plain);
    unlink(name_packed);
    strcpy(strrchr(name_plain, '.'), ".XXXXXX");
    strcpy(strrchr(name_packed, '.'), ".XXXXXX");
    return hash;
}
