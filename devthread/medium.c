/* medium.c - see medium.h: which kind of medium a file is. */
#include "devthread/medium.h"

#include "devthread/medium_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPTED "an image file or a block device is needed"

/* --- the format, by content --- */

/* First bytes of formats (at `offset` of the file), in the words of qemu-img. */
static const struct {
    const char *format;
    uint32_t offset, bytes;
    const char *magic;
} magics[] = {
    {"qcow2", 0, 8, "QFI\xfb\0\0\0\2"},
    {"qcow2", 0, 8, "QFI\xfb\0\0\0\3"},
    {"qcow", 0, 8, "QFI\xfb\0\0\0\1"},
    {"qed", 0, 4, "QED\0"},
    {"vmdk", 0, 4, "KDMV"},
    {"vmdk", 0, 4, "COWD"},
    {"vmdk", 0, 21, "# Disk DescriptorFile"},
    {"vdi", 64, 4, "\x7f\x10\xda\xbe"},
    {"vhdx", 0, 8, "vhdxfile"},
    {"vpc", 0, 8, "conectix"},
    {"luks", 0, 6, "LUKS\xba\xbe"},
    {"parallels", 0, 16, "WithoutFreeSpace"},
    {"parallels", 0, 16, "WithouFreSpacExt"},
    {"bochs", 0, 22, "Bochs Virtual HD Image"},
    {"cloop", 0, 11, "#!/bin/sh\n#"},
};

const char *medium_probe(const uint8_t *head, size_t bytes)
{
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if (magics[i].offset + magics[i].bytes <= bytes &&
            memcmp(head + magics[i].offset, magics[i].magic, magics[i].bytes) == 0)
            return magics[i].format;
    return "raw";
}

/* Of an open file; NULL: it cannot be read. */
static const char *probe_file(int fd)
{
    uint8_t head[MEDIUM_PROBE_BYTES];
    ssize_t n = pread(fd, head, sizeof(head), 0);

    return n < 0 ? NULL : medium_probe(head, (size_t)n);
}

/* --- opening --- */

static void tell_probed(const struct medium_config *cfg)
{
    char line[512];

    if (!cfg->notice || cfg->read_only)
        return;
    snprintf(
        line, sizeof(line),
        "%s: the format of %.200s was not given and is taken to be raw, by its content; the guest cannot "
        "turn its first sector into that of another format (format=raw says that it is raw)",
        cfg->option, cfg->file);
    cfg->notice(cfg->notice_ctx, line);
}

static int open_file(const struct medium_config *cfg, char *err, size_t err_bytes)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO without a writer must give an error, not a wait. */
    int fd = open(cfg->file, (cfg->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        bool hint = !cfg->read_only && (errno == EACCES || errno == EROFS || errno == EPERM);
        snprintf(err, err_bytes, "%s %.300s: %s; " ACCEPTED "%s", cfg->option, cfg->file, strerror(errno),
                 hint ? " that can be written (readonly=on and snapshot=on only read it)" : "");
        return -1;
    }
    if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
        return fd;
    snprintf(err, err_bytes, "%s %.300s: is neither a file nor a block device; " ACCEPTED, cfg->option,
             cfg->file);
    close(fd);
    return -1;
}

struct medium *medium_open(const struct medium_config *cfg, char *err, size_t err_bytes)
{
    int fd = open_file(cfg, err, err_bytes);

    if (fd < 0)
        return NULL;
    const char *format = cfg->format ? cfg->format : probe_file(fd);
    if (format && strcmp(format, "raw") == 0) {
        struct medium *m = medium_raw_open(cfg, fd, !cfg->format, err, err_bytes);
        if (m && !cfg->format)
            tell_probed(cfg);
        return m;
    }
    if (format)
        snprintf(err, err_bytes, "%s %.300s: format %s is not supported yet; raw is accepted", cfg->option,
                 cfg->file, format);
    else
        snprintf(err, err_bytes, "%s %.300s: cannot be read: %s; " ACCEPTED, cfg->option, cfg->file,
                 strerror(errno));
    close(fd);
    return NULL;
}

void medium_close(struct medium *m)
{
    if (m)
        m->class->close(m);
}

/* --- use --- */

static bool is_inside(const struct medium *m, uint64_t offset, uint64_t bytes)
{
    return offset <= m->bytes && bytes <= m->bytes - offset;
}

int medium_read(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    return is_inside(m, offset, bytes) ? m->class->read(m, offset, to, bytes) : EIO;
}

int medium_write(struct medium *m, uint64_t offset, const uint8_t *from, uint32_t bytes)
{
    if (m->read_only)
        return EROFS;
    return is_inside(m, offset, bytes) ? m->class->write(m, offset, from, bytes) : EIO;
}

int medium_zero(struct medium *m, uint64_t offset, uint64_t bytes)
{
    if (m->read_only)
        return EROFS;
    return is_inside(m, offset, bytes) ? m->class->zero(m, offset, bytes) : EIO;
}

int medium_flush(struct medium *m)
{
    return m->read_only ? 0 : m->class->flush(m);
}

uint64_t medium_next_data(struct medium *m, uint64_t offset)
{
    return m->class->next_data ? m->class->next_data(m, offset) : offset;
}
