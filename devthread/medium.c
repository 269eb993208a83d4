/* medium.c - see medium.h: which kind of medium a file is. */
#include "devthread/medium.h"

#include "devthread/medium_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

/* A qcow2 image that needs no other file: no backing file, no external data file (bit 2 of the incompatible
 * features of version 3). docs/interop/qcow2.txt of QEMU has the header. */
static bool is_alone(const char *format, const uint8_t head[MEDIUM_PROBE_BYTES])
{
    static const uint8_t none[8];

    return strcmp(format, "qcow2") == 0 && memcmp(head + 8, none, 8) == 0 &&
           (head[7] == 2 || !(head[79] & 4));
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

static bool lock(const struct medium_config *cfg, int fd, char *err, size_t err_bytes)
{
    char line[512];
    int error = medium_lock(fd, cfg->read_only);

    if (error == 0)
        return true;
    if (error == EAGAIN || error == EACCES) {
        snprintf(err, err_bytes, "%s %.300s: another program %s; an image that nobody else %s is accepted",
                 cfg->option, cfg->file,
                 cfg->read_only ? "writes to it" : "uses it (or another drive of this machine)",
                 cfg->read_only ? "writes to" : "uses");
        return false;
    }
    snprintf(line, sizeof(line), "%s %.200s: cannot be locked against a second writer: %s", cfg->option,
             cfg->file, strerror(error));
    if (cfg->notice)
        cfg->notice(cfg->notice_ctx, line);
    return true;
}

static struct medium *open_raw(const struct medium_config *cfg, int fd, char *err, size_t err_bytes)
{
    if (!lock(cfg, fd, err, err_bytes)) {
        close(fd);
        return NULL;
    }
    struct medium *m = medium_raw_open(cfg, fd, !cfg->format, err, err_bytes);
    if (m && !cfg->format)
        tell_probed(cfg);
    return m;
}

static bool is_url(const char *file)
{
    static const char *const schemes[] = {"nbd:", "nbds:", "nbd+unix:", "nbds+unix:"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(file, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

static struct medium *open_url(const struct medium_config *cfg, char *err, size_t err_bytes)
{
    if (!cfg->format || strcmp(cfg->format, "raw") == 0)
        return medium_nbd_open_url(cfg, err, err_bytes);
    snprintf(err, err_bytes,
             "%s %.300s: format=%s: a block server's bytes are taken as they are; format=raw is accepted",
             cfg->option, cfg->file, cfg->format);
    return NULL;
}

struct medium *medium_open(const struct medium_config *cfg, char *err, size_t err_bytes)
{
    uint8_t head[MEDIUM_PROBE_BYTES] = {0};

    if (is_url(cfg->file))
        return open_url(cfg, err, err_bytes);
    int fd = open_file(cfg, err, err_bytes);
    if (fd < 0)
        return NULL;
    ssize_t n = pread(fd, head, sizeof(head), 0);
    if (n < 0) {
        snprintf(err, err_bytes, "%s %.300s: cannot be read: %s; " ACCEPTED, cfg->option, cfg->file,
                 strerror(errno));
        close(fd);
        return NULL;
    }
    const char *format = cfg->format ? cfg->format : medium_probe(head, (size_t)n);
    if (strcmp(format, "raw") == 0)
        return open_raw(cfg, fd, err, err_bytes);
    close(fd);
    return medium_nbd_open_file(cfg, format, is_alone(format, head), err, err_bytes);
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

int medium_read_now(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    return m->class->read_now && is_inside(m, offset, bytes) ? m->class->read_now(m, offset, to, bytes)
                                                             : EAGAIN;
}

int medium_pread_now(int fd, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    const struct iovec io = {to, bytes};

    return preadv2(fd, &io, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)bytes ? 0 : EAGAIN;
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
