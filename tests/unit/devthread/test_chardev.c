/* Back ends: what goes in comes out, in order, whatever the other side does. */
#include "devthread/chardev.h"
#include "devthread/hostio.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct hostio *h;
static char dir[] = "/tmp/tandem-chr-XXXXXX";
static char err[CHARDEV_ERR_BYTES];
static char note[CHARDEV_ERR_BYTES];
static char spec[256];
static bool quit_called;

static void on_notice(void *ctx, const char *line)
{
    snprintf(note, sizeof(note), "%s", line);
}

static void on_quit(void *ctx)
{
    quit_called = true;
}

static void setup(void)
{
    h = hostio_create();
    cr_assert_not_null(h);
    cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void)
{
    char cmd[64];

    hostio_destroy(h);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    cr_expect_eq(system(cmd), 0);
}

static struct chardev *open_spec(const char *s)
{
    struct chardev_env env = {
        .hostio = h, .label = "serial0", .option = "-serial", .notice = on_notice, .quit = on_quit};

    err[0] = '\0';
    return chardev_open(s, &env, err, sizeof(err));
}

static void send_text(struct chardev *c, const char *text)
{
    for (; *text; text++)
        chardev_putc(c, (uint8_t)*text);
    chardev_flush(c);
}

/* Waits for exactly n bytes of input. */
static size_t receive(struct chardev *c, uint8_t *bytes, size_t n)
{
    size_t got = 0;

    for (unsigned turn = 0; turn < 200 && got < n; turn++) {
        hostio_wait(h, HOSTIO_SERVICE, 10000000);
        got += chardev_input_take(c, bytes + got, n - got);
    }
    return got;
}

TestSuite(chardev, .init = setup, .fini = teardown, .timeout = 60);

Test(chardev, null_and_none)
{
    struct chardev *c = open_spec("null");

    cr_assert_not_null(c);
    for (unsigned i = 0; i < 3 * CHARDEV_RING_BYTES; i++)
        chardev_putc(c, 'x');
    cr_expect_not(chardev_input_open(c));
    chardev_close(c);
    cr_expect(chardev_spec_is_none("none"));
    cr_expect_not(chardev_spec_is_none("null"));
}

static void expect_file(const char *path, const char *text)
{
    char got[256] = "";
    FILE *f = fopen(path, "r");

    cr_assert_not_null(f);
    got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
    fclose(f);
    cr_expect_str_eq(got, text);
}

Test(chardev, file_is_truncated_and_written_at_flush_and_close)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/out", dir);
    snprintf(spec, sizeof(spec), "file:%s", path);
    for (unsigned i = 0; i < 2; i++) {
        struct chardev *c = open_spec(spec);
        cr_assert_not_null(c, "%s", err);
        cr_expect_not(chardev_input_open(c));
        send_text(c, "hello ");
        expect_file(path, "hello ");
        cr_expect_not(chardev_dirty(c));
        chardev_putc(c, 'w');
        cr_expect(chardev_dirty(c));
        chardev_close(c);
        expect_file(path, "hello w");
    }
}

Test(chardev, full_disk_is_reported_once)
{
    struct chardev *c = open_spec("file:/dev/full");

    cr_assert_not_null(c);
    send_text(c, "x");
    cr_expect_not_null(strstr(chardev_error(c), "/dev/full"));
    send_text(c, "y");
    chardev_close(c);
}

Test(chardev, errors_say_what_is_accepted)
{
    static const char *const bad[] = {"",
                                      "stdout",
                                      "file:",
                                      "file:/nonexistent/x",
                                      "unix:",
                                      "unix:/nonexistent/x",
                                      "unix:/tmp/x,serve",
                                      "unix:/tmp/x,wait=off",
                                      "unix:/tmp/x,server=maybe",
                                      "tcp:localhost",
                                      "tcp:localhost:",
                                      "tcp:127.0.0.1:1",
                                      "pty:",
                                      "vc",
                                      "tcp:x:y:z,server"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_null(open_spec(bad[i]), "%s", bad[i]);
        cr_expect_eq(strncmp(err, "-serial ", 8), 0, "%s", err);
        cr_expect_null(strchr(err, '\n'));
    }
    memset(spec, 'a', sizeof(spec) - 1);
    memcpy(spec, "unix:", 5);
    cr_expect_null(open_spec(spec));
    open_spec("vc");
    cr_expect_not_null(strstr(err, "accepted: stdio"));
}

Test(chardev, pty_both_ways_and_without_a_reader)
{
    struct chardev *c = open_spec("pty");
    char name[128], got[8] = "";
    uint8_t in[4];

    cr_assert_not_null(c, "%s", err);
    cr_assert_eq(sscanf(note, "char device redirected to %100s (serial0)", name), 1);
    int fd = open(name, O_RDWR | O_NOCTTY);
    cr_assert_geq(fd, 0);
    send_text(c, "hey\n");
    cr_expect_eq(read(fd, got, sizeof(got)), 4);
    cr_expect_str_eq(got, "hey\n");
    cr_expect_eq(write(fd, "a\003\r", 3), 3);
    cr_expect_eq(receive(c, in, 3), 3);
    cr_expect_eq(memcmp(in, "a\003\r", 3), 0, "raw");
    close(fd);
    for (unsigned i = 0; i < 4 * CHARDEV_RING_BYTES; i++)
        chardev_putc(c, 'x');
    cr_expect(chardev_input_open(c));
    chardev_close(c);
}

static int client(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? fd : -1;
}

Test(chardev, unix_server_outlives_its_clients)
{
    char path[100], got[8] = "";
    uint8_t in[4];

    snprintf(path, sizeof(path), "%s/s", dir);
    snprintf(spec, sizeof(spec), "unix:%s,server=on,wait=off", path);
    struct chardev *c = open_spec(spec);
    cr_assert_not_null(c, "%s", err);
    send_text(c, "nobody hears this");
    for (unsigned round = 0; round < 3; round++) {
        int fd = client(path);
        cr_assert_geq(fd, 0);
        hostio_wait(h, HOSTIO_SERVICE, 100000000);
        send_text(c, "hi");
        cr_expect_eq(read(fd, got, sizeof(got)), 2);
        cr_expect_str_eq(got, "hi");
        cr_expect_eq(write(fd, "yo", 2), 2);
        cr_expect_eq(receive(c, in, 2), 2);
        close(fd);
        if (round == 1)
            for (unsigned i = 0; i < 3 * CHARDEV_STAGE_BYTES; i++)
                chardev_putc(c, 'x'); /* finds out by EPIPE */
        else
            hostio_wait(h, HOSTIO_SERVICE, 100000000); /* finds out by end of file */
        cr_expect(chardev_input_open(c));
    }
    chardev_close(c);
    cr_expect_eq(access(path, F_OK), -1, "the socket is removed");
}

Test(chardev, client_that_does_not_read_loses_bytes_only)
{
    char path[100];

    snprintf(path, sizeof(path), "%s/s", dir);
    snprintf(spec, sizeof(spec), "unix:%s,server,nowait", path);
    struct chardev *c = open_spec(spec);
    cr_assert_not_null(c, "%s", err);
    int fd = client(path);
    hostio_wait(h, HOSTIO_SERVICE, 100000000);
    for (unsigned i = 0; i < 2000000; i++)
        chardev_putc(c, 'x');
    chardev_flush(c);
    close(fd);
    chardev_close(c);
}

Test(chardev, unix_and_tcp_clients)
{
    char path[100];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    char got[8] = "";

    snprintf(path, sizeof(path), "%s/s", dir);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    cr_assert_eq(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(s, 1), 0);
    snprintf(spec, sizeof(spec), "unix:%s", path);
    struct chardev *c = open_spec(spec);
    cr_assert_not_null(c, "%s", err);
    int fd = accept(s, NULL, NULL);
    send_text(c, "hi");
    cr_expect_eq(read(fd, got, sizeof(got)), 2);
    cr_expect(chardev_input_open(c));
    close(fd);
    hostio_wait(h, HOSTIO_SERVICE, 100000000);
    cr_expect_not(chardev_input_open(c), "a client has one connection");
    chardev_close(c);
    close(s);

    c = open_spec("tcp:127.0.0.1:0,server=on,wait=off");
    cr_expect_not_null(c, "%s", err);
    chardev_close(c);
}

static void *late_client(void *path)
{
    int fd;

    while ((fd = client(path)) < 0)
        usleep(1000);
    return (void *)(intptr_t)fd;
}

Test(chardev, server_waits_for_its_first_client)
{
    char path[100], got[4] = "";
    pthread_t t;
    void *fd;

    snprintf(path, sizeof(path), "%s/s", dir);
    snprintf(spec, sizeof(spec), "unix:%s,server=on", path);
    pthread_create(&t, NULL, late_client, path);
    struct chardev *c = open_spec(spec);
    cr_assert_not_null(c, "%s", err);
    cr_expect_not_null(strstr(note, "waiting for connection"));
    pthread_join(t, &fd);
    send_text(c, "hi");
    cr_expect_eq(read((int)(intptr_t)fd, got, 2), 2);
    chardev_close(c);
}

/* --- stdio, with pipes in place of standard input and output --- */

struct pipes {
    int to, from; /* our ends */
};

static struct pipes redirect(void)
{
    int in[2], out[2];

    cr_assert_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    fflush(stdout);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]);
    close(out[1]);
    return (struct pipes){in[1], out[0]};
}

Test(chardev, stdio_over_pipes)
{
    struct pipes p = redirect();
    struct chardev *c = open_spec("stdio");
    char got[8] = "";
    uint8_t in[8];

    cr_assert_not_null(c, "%s", err);
    send_text(c, "out");
    cr_expect_eq(read(p.from, got, sizeof(got)), 3);
    cr_expect_eq(write(p.to, "i\001xn", 4), 4);
    cr_expect_eq(receive(c, in, 4), 4, "plain stdio has no escape keys");
    cr_expect_not(quit_called);
    cr_expect(chardev_input_open(c));
    close(p.to);
    hostio_wait(h, HOSTIO_SERVICE, 100000000);
    cr_expect_not(chardev_input_open(c));
    send_text(c, "more");
    cr_expect_eq(read(p.from, got, sizeof(got)), 4, "end of input does not end output");
    chardev_close(c);
}

/* Ctrl-A c: what is typed is the monitor's until the next one, but for the other escape keys. */
Test(chardev, mux_to_the_monitor)
{
    uint8_t in[16];
    char got[16] = "";
    int to[2], monitor[2];

    cr_assert_eq(pipe(to), 0);
    cr_assert_eq(pipe2(monitor, O_NONBLOCK), 0);
    cr_assert_eq(dup2(to[0], STDIN_FILENO), STDIN_FILENO);
    struct chardev_env env = {
        .hostio = h, .label = "serial0", .option = "-serial", .quit = on_quit, .monitor_fd = monitor[1]};
    struct chardev *c = chardev_open("mon:stdio", &env, err, sizeof(err));
    cr_assert_not_null(c, "%s", err);
    cr_assert_eq(write(to[1], "a\001cb\001\001c\001cd", 10), 10);
    cr_expect_eq(receive(c, in, 2), 2);
    cr_expect_eq(memcmp(in, "ad", 2), 0);
    cr_expect_eq(read(monitor[0], got, sizeof(got)), 4);
    cr_expect_eq(memcmp(got, "\nb\001c", 4), 0);
    /* A monitor that reads nothing holds nobody up. */
    cr_assert_eq(write(to[1], "\001c", 2), 2);
    for (unsigned i = 0; i < 100; i++) {
        static const char much[1024];
        cr_assert_eq(write(to[1], much, sizeof(much)), (ssize_t)sizeof(much));
        receive(c, in, 0);
        hostio_wait(h, HOSTIO_SERVICE, 10000000);
    }
    chardev_close(c);
}

Test(chardev, mux_escapes)
{
    struct pipes p = redirect();
    struct chardev *c = open_spec("mon:stdio");
    char got[256] = "";
    uint8_t in[8] = "";

    cr_assert_not_null(c, "%s", err);
    cr_expect_eq(write(p.to, "a\001", 2), 2);
    cr_expect_eq(receive(c, in, 1), 1);
    cr_expect_eq(write(p.to, "\001b\001q\001h", 6), 6);
    cr_expect_eq(receive(c, in + 1, 2), 2);
    cr_expect_str_eq((char *)in, "a\001b");
    cr_expect_gt(read(p.from, got, sizeof(got) - 1), 0);
    cr_expect_not_null(strstr(got, "Ctrl-A x"));
    cr_expect_not(quit_called);
    cr_expect_eq(write(p.to, "\001x", 2), 2);
    hostio_wait(h, HOSTIO_SERVICE, 100000000);
    cr_expect(quit_called);
    chardev_close(c);
}

static void *feed(void *fd)
{
    uint8_t chunk[1000];

    for (unsigned i = 0; i < 200000; i += 1000) {
        for (unsigned k = 0; k < 1000; k++)
            chunk[k] = (uint8_t)((i + k) % 251);
        cr_assert_eq(write((int)(intptr_t)fd, chunk, sizeof(chunk)), 1000);
    }
    close((int)(intptr_t)fd);
    return NULL;
}

Test(chardev, a_piped_script_loses_nothing)
{
    struct pipes p = redirect();
    struct chardev *c = open_spec("stdio");
    uint8_t byte[7];
    pthread_t t;

    pthread_create(&t, NULL, feed, (void *)(intptr_t)p.to);
    for (unsigned n = 0; n < 200000;) {
        size_t got = chardev_input_take(c, byte, 1 + n % 7);
        if (!got)
            hostio_wait(h, HOSTIO_SERVICE, 1000000);
        for (size_t k = 0; k < got; k++)
            cr_assert_eq(byte[k], (n + k) % 251);
        n += (unsigned)got;
    }
    pthread_join(t, NULL);
    chardev_close(c);
}

static void *drain_slowly(void *fd)
{
    uint8_t buf[4096];
    size_t n = 0;

    for (ssize_t got; (got = read((int)(intptr_t)fd, buf, sizeof(buf))) > 0;) {
        for (ssize_t k = 0; k < got; k++)
            cr_assert_eq(buf[k], (n + (size_t)k) % 251);
        n += (size_t)got;
        usleep(200);
    }
    return (void *)n;
}

Test(chardev, a_slow_pipe_holds_the_guest_up_and_loses_nothing)
{
    struct pipes p = redirect();
    struct chardev *c = open_spec("stdio");
    pthread_t t;
    void *n;

    pthread_create(&t, NULL, drain_slowly, (void *)(intptr_t)p.from);
    for (unsigned i = 0; i < 600000; i++)
        chardev_putc(c, (uint8_t)(i % 251));
    chardev_close(c);
    close(STDOUT_FILENO);
    pthread_join(t, &n);
    cr_expect_eq((size_t)n, 600000);
}

Test(chardev, a_plain_file_as_standard_input)
{
    char path[100];
    uint8_t in[8] = "";

    snprintf(path, sizeof(path), "%s/in", dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_expect_eq(write(fd, "script", 6), 6);
    lseek(fd, 0, SEEK_SET);
    dup2(fd, STDIN_FILENO);
    struct chardev *c = open_spec("stdio");
    cr_assert_not_null(c, "%s", err);
    cr_expect_eq(receive(c, in, 6), 6);
    cr_expect_str_eq((char *)in, "script");
    hostio_wait(h, HOSTIO_SERVICE, 0);
    cr_expect_not(chardev_input_open(c));
    chardev_close(c);
}

/* --- the terminal --- */

enum way_out { BY_CLOSE, BY_EXIT, BY_SIGTERM, BY_SIGINT, BY_ABORT, BY_SEGV };

static void leave(struct chardev *c, enum way_out how)
{
    switch (how) {
    case BY_CLOSE:
        chardev_close(c);
        _exit(0);
    case BY_EXIT:
        exit(0);
    case BY_SIGTERM:
        raise(SIGTERM);
        break;
    case BY_SIGINT:
        raise(SIGINT);
        break;
    case BY_ABORT:
        abort();
    case BY_SEGV:
        raise(SIGSEGV);
        break;
    }
    _exit(99);
}

/* In a child whose standard input and output are the slave. Tells the parent when it is raw. */
static void terminal_child(const char *slave, int ready, enum way_out how)
{
    int fd = open(slave, O_RDWR);

    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    struct chardev *c = open_spec("mon:stdio");
    struct termios t;
    tcgetattr(STDIN_FILENO, &t);
    char raw = c && !(t.c_lflag & (ICANON | ECHO | ISIG));
    if (write(ready, &raw, 1) != 1)
        _exit(98);
    leave(c, how);
}

static void terminal_case(enum way_out how, int want_signal)
{
    struct termios before, after;
    int ready[2], status;
    char raw = 0;
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 && pipe(ready) == 0);
    char *slave = ptsname(master);
    int keep = open(slave, O_RDWR | O_NOCTTY);
    tcgetattr(keep, &before);
    pid_t pid = fork();
    if (pid == 0)
        terminal_child(slave, ready[1], how);
    close(ready[1]);
    cr_expect_eq(read(ready[0], &raw, 1), 1);
    waitpid(pid, &status, 0);
    tcgetattr(keep, &after);
    cr_expect_eq(raw, 1);
    cr_expect_eq(WIFSIGNALED(status) ? WTERMSIG(status) : 0, want_signal, "way %d: status %x", how, status);
    cr_expect_eq(before.c_lflag, after.c_lflag, "way %d", how);
    cr_expect_eq(before.c_iflag, after.c_iflag, "way %d", how);
    close(keep);
    close(master);
}

Test(chardev, terminal_is_restored_on_every_way_out)
{
    terminal_case(BY_CLOSE, 0);
    terminal_case(BY_EXIT, 0);
    terminal_case(BY_SIGTERM, SIGTERM);
    terminal_case(BY_SIGINT, SIGINT);
    terminal_case(BY_ABORT, SIGABRT);
    terminal_case(BY_SEGV, SIGSEGV);
}
