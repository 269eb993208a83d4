/* medium_nbd.c - block servers (libnbd): those of nbd URLs, and a qemu-nbd child for every format but raw.
 *
 * The child gets a listening socket (systemd's socket activation) to which we have connected before it
 * exists, so that nothing has to be waited for and nothing is left in the file system. It serves one client
 * and ends with it: however we end, the connection does. It is in a process group of its own, for Ctrl-C is
 * our business.
 *
 * A handle of libnbd does one request at a time; threads that use it wait for one another in the library. */
#include "devthread/medium_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVER     "qemu-nbd"
#define LISTEN_FD  3 /* sd_listen_fds(3) */
#define ZERO_MAX   (UINT64_C(256) << 20)
#define END_MS     5000 /* a child that has lost its client may write so long, then it is told to end */
#define PID_DIGITS 20
#define SAID_BYTES 200

struct server {
    struct medium m; /* first */
    struct nbd_handle *nbd;
    uint64_t size; /* as the server says; m.bytes is padded */
    uint8_t cache; /* enum medium_cache */
    bool unmap;
    pid_t child; /* 0: not ours */
    int said;    /* what the child writes to its stderr; -1: none */
};

static struct server *server_of(struct medium *m)
{
    return (struct server *)m;
}

/* --- use --- */

/* errno of the call that failed just now. */
static int nbd_error(struct server *s)
{
    int error = nbd_get_errno();

    if (nbd_aio_is_dead(s->nbd) || nbd_aio_is_closed(s->nbd))
        return ESHUTDOWN;
    return error ? error : EIO;
}

/* Bytes that the server has of those that the medium has. */
static uint32_t clip(const struct server *s, uint64_t offset, uint32_t bytes)
{
    uint64_t room = offset < s->size ? s->size - offset : 0;

    return bytes < room ? bytes : (uint32_t)room;
}

static int server_read(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    struct server *s = server_of(m);
    uint32_t n = clip(s, offset, bytes);

    memset(to + n, 0, bytes - n);
    return n == 0 || nbd_pread(s->nbd, to, n, offset, 0) == 0 ? 0 : nbd_error(s);
}

static int server_flush(struct medium *m)
{
    struct server *s = server_of(m);

    if (s->cache == MEDIUM_UNSAFE || nbd_can_flush(s->nbd) != 1)
        return 0;
    return nbd_flush(s->nbd, 0) == 0 ? 0 : nbd_error(s);
}

/* What the server has no place for, behind its end, is lost. */
static int server_write(struct medium *m, uint64_t offset, const uint8_t *from, uint32_t bytes)
{
    struct server *s = server_of(m);
    uint32_t n = clip(s, offset, bytes);

    for (uint32_t i = n; i < bytes; i++)
        if (from[i])
            return ENOSPC;
    if (n && nbd_pwrite(s->nbd, from, n, offset, 0) != 0)
        return nbd_error(s);
    return s->cache == MEDIUM_WRITETHROUGH ? server_flush(m) : 0;
}

static int write_zeroes(struct medium *m, uint64_t offset, uint64_t bytes)
{
    static const uint8_t zeroes[65536];

    for (uint32_t n; bytes > 0; offset += n, bytes -= n) {
        n = bytes < sizeof(zeroes) ? (uint32_t)bytes : sizeof(zeroes);
        int error = server_write(m, offset, zeroes, n);
        if (error)
            return error;
    }
    return 0;
}

static int server_zero(struct medium *m, uint64_t offset, uint64_t bytes)
{
    struct server *s = server_of(m);

    if (nbd_can_zero(s->nbd) != 1)
        return write_zeroes(m, offset, bytes);
    bytes = offset >= s->size ? 0 : bytes < s->size - offset ? bytes : s->size - offset;
    for (uint64_t n; bytes > 0; offset += n, bytes -= n) {
        n = bytes < ZERO_MAX ? bytes : ZERO_MAX;
        if (nbd_zero(s->nbd, n, offset, s->unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE) != 0)
            return nbd_error(s);
    }
    return s->cache == MEDIUM_WRITETHROUGH ? server_flush(m) : 0;
}

/* --- the child --- */

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

/* It has lost its client, so it ends by itself; if it does not, it is ended. */
static void end_child(pid_t child)
{
    for (unsigned ms = 0; waitpid(child, NULL, WNOHANG) == 0; ms += 10) {
        if (ms == END_MS)
            kill(child, SIGTERM);
        if (ms == 2 * END_MS)
            kill(child, SIGKILL);
        sleep_ms(10);
    }
}

static void server_close(struct medium *m)
{
    struct server *s = server_of(m);

    if (nbd_aio_is_ready(s->nbd))
        nbd_shutdown(s->nbd, 0);
    nbd_close(s->nbd);
    if (s->child)
        end_child(s->child);
    if (s->said >= 0)
        close(s->said);
    free(s);
}

static const struct medium_class server_class = {.read = server_read,
                                                 .write = server_write,
                                                 .flush = server_flush,
                                                 .zero = server_zero,
                                                 .close = server_close};

/* All that the child needs, made before the fork: afterwards nothing may be allocated. */
struct launch {
    char *argv[12];
    char **env;          /* ours, and LISTEN_FDS and LISTEN_PID */
    char listen_pid[32]; /* "LISTEN_PID=", filled in by the child */
    char cache[32], discard[32], format[48];
    int listening, said; /* the socket; where its stderr goes */
};

static void fill_argv(struct launch *l, const struct medium_config *cfg, const char *format)
{
    static const char *const caches[] = {"writeback", "writethrough", "unsafe"}; /* MATCH enum medium_cache */
    unsigned n = 0;

    snprintf(l->format, sizeof(l->format), "--format=%s", format);
    snprintf(l->cache, sizeof(l->cache), "--cache=%s", caches[cfg->cache]);
    snprintf(l->discard, sizeof(l->discard), "--discard=%s", cfg->unmap ? "unmap" : "ignore");
    l->argv[n++] = (char *)SERVER;
    l->argv[n++] = l->format;
    l->argv[n++] = l->cache;
    l->argv[n++] = l->discard;
    if (cfg->read_only)
        l->argv[n++] = (char *)"--read-only";
    l->argv[n++] = (char *)"--";
    l->argv[n++] = (char *)cfg->file;
}

static bool fill_env(struct launch *l)
{
    size_t n = 0, used = 0;

    while (environ[n])
        n++;
    l->env = calloc(n + 3, sizeof(*l->env));
    if (!l->env)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "LISTEN_", 7) != 0)
            l->env[used++] = environ[i];
    l->env[used++] = (char *)"LISTEN_FDS=1";
    l->env[used] = l->listen_pid;
    return true;
}

/* In the child, where not even snprintf is allowed. */
static void put_pid(char *to, pid_t pid)
{
    char digits[PID_DIGITS];
    unsigned n = 0;

    for (; pid > 0; pid /= 10)
        digits[n++] = (char)('0' + pid % 10);
    while (n > 0)
        *to++ = digits[--n];
    *to = '\0';
}

static void be_server(struct launch *l)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(l->said, STDERR_FILENO);
    if (l->listening == LISTEN_FD)
        fcntl(LISTEN_FD, F_SETFD, 0);
    else
        dup2(l->listening, LISTEN_FD);
    put_pid(l->listen_pid + strlen(l->listen_pid), getpid());
    environ = l->env;
    execvp(SERVER, l->argv);
    const char text[] = SERVER " cannot be started (Debian: package qemu-utils)";
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(126);
    _exit(127);
}

/* A socket that listens, and one that is connected to it; their directory is gone again. 0 or an errno. */
static int make_sockets(int *listening, int *connected)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/tmp/tandem-nbd-XXXXXX"};

    *listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listening < 0 || *connected < 0 || !mkdtemp(at.sun_path))
        return errno;
    size_t dir = strlen(at.sun_path);
    strcat(at.sun_path, "/s");
    bool ok = bind(*listening, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(*listening, 1) == 0 &&
              connect(*connected, (struct sockaddr *)&at, sizeof(at)) == 0;
    int error = ok ? 0 : errno;
    unlink(at.sun_path);
    at.sun_path[dir] = '\0';
    rmdir(at.sun_path);
    return error;
}

/* Forks; *said: where its messages can be read. 0: errno says why not. */
static pid_t launch_child(struct launch *l, int *said)
{
    int pipes[2];

    if (!fill_env(l) || pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0)
        return 0;
    l->said = pipes[1];
    pid_t child = fork();
    if (child == 0)
        be_server(l);
    close(pipes[1]);
    *said = pipes[0];
    return child > 0 ? child : 0;
}

/* The first line that the child has said, up to its end; "": none. */
static void heard(int said, char text[SAID_BYTES])
{
    ssize_t n = said >= 0 ? read(said, text, SAID_BYTES - 1) : 0;

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

/* --- opening --- */

static struct medium *refuse(struct server *s, const struct medium_config *cfg, const char *why, char *err,
                             size_t err_bytes)
{
    char text[SAID_BYTES] = "";
    const char *nbd = nbd_get_error();

    if (s->child) {
        pid_t child = s->child;
        s->child = 0;
        nbd_close(s->nbd);
        s->nbd = nbd_create();
        end_child(child); /* all that it says has been said then */
        heard(s->said, text);
    }
    snprintf(err, err_bytes, "%s %.300s: %s", cfg->option, cfg->file,
             text[0] ? text
             : why   ? why
             : nbd   ? nbd
                     : "no block server");
    if (s->nbd)
        server_close(&s->m);
    return NULL;
}

static struct medium *check_server(struct server *s, const struct medium_config *cfg, char *err,
                                   size_t err_bytes)
{
    int64_t size = nbd_get_size(s->nbd);

    if (size <= 0 || (uint64_t)size > MEDIUM_BYTES_MAX - cfg->sector)
        return refuse(s, cfg,
                      size < 0 ? NULL : "the block server has no bytes, or too many; 1 to 2^57 are accepted",
                      err, err_bytes);
    if (!cfg->read_only && nbd_is_read_only(s->nbd) == 1)
        return refuse(s, cfg, "can be read alone; readonly=on or snapshot=on is accepted", err, err_bytes);
    s->size = (uint64_t)size;
    s->m.bytes = (s->size + cfg->sector - 1) / cfg->sector * cfg->sector;
    s->m.read_only = cfg->read_only;
    return &s->m;
}

static struct server *new_server(const struct medium_config *cfg, const char *format, bool alone, char *err,
                                 size_t err_bytes)
{
    struct server *s = calloc(1, sizeof(*s));

    if (s && (s->nbd = nbd_create())) {
        s->m = (struct medium){.class = &server_class, .format = format, .alone = alone};
        s->cache = cfg->cache;
        s->unmap = cfg->unmap;
        s->said = -1;
        return s;
    }
    snprintf(err, err_bytes, "%s %.300s: no host memory", cfg->option, cfg->file);
    free(s);
    return NULL;
}

struct medium *medium_nbd_open_file(const struct medium_config *cfg, const char *format, bool alone,
                                    char *err, size_t err_bytes)
{
    struct server *s = new_server(cfg, format, alone, err, err_bytes);
    struct launch l = {.listening = -1, .listen_pid = "LISTEN_PID="};
    int connected = -1, error;

    if (!s)
        return NULL;
    fill_argv(&l, cfg, format);
    error = make_sockets(&l.listening, &connected);
    if (!error && !(s->child = launch_child(&l, &s->said)))
        error = errno;
    if (l.listening >= 0)
        close(l.listening);
    free(l.env);
    if (error) {
        if (connected >= 0)
            close(connected);
        return refuse(s, cfg, strerror(error), err, err_bytes);
    }
    return nbd_connect_socket(s->nbd, connected) == 0 ? check_server(s, cfg, err, err_bytes)
                                                      : refuse(s, cfg, NULL, err, err_bytes);
}

/* QEMU's older names: nbd:unix:PATH[:exportname=NAME] and nbd:HOST:PORT[:exportname=NAME]. */
static int connect_old_name(struct nbd_handle *nbd, char *name)
{
    char *export = strstr(name, ":exportname=");

    if (export) {
        *export = '\0';
        if (nbd_set_export_name(nbd, export + strlen(":exportname=")) != 0)
            return -1;
    }
    if (strncmp(name, "unix:", 5) == 0)
        return nbd_connect_unix(nbd, name + 5);
    char *port = strrchr(name, ':');
    if (port)
        *port++ = '\0';
    return nbd_connect_tcp(nbd, name, port ? port : "10809");
}

struct medium *medium_nbd_open_url(const struct medium_config *cfg, char *err, size_t err_bytes)
{
    struct server *s = new_server(cfg, "nbd", false, err, err_bytes);
    char *copy = strdup(cfg->file);
    int rc = -1;

    if (!s || !copy) {
        free(copy);
        return s ? refuse(s, cfg, strerror(ENOMEM), err, err_bytes) : NULL;
    }
    if (strncmp(copy, "nbd:", 4) == 0 && strncmp(copy, "nbd://", 6) != 0)
        rc = connect_old_name(s->nbd, copy + 4);
    else
        rc = nbd_connect_uri(s->nbd, copy);
    free(copy);
    return rc == 0 ? check_server(s, cfg, err, err_bytes) : refuse(s, cfg, NULL, err, err_bytes);
}
