/* test_control.c - connections of monitors: requests in order, answers out, whatever clients do. */
#include "cli/control.h"
#include "cli/monitor.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A protocol of lines: "echo" answers the line, "flood" more than may wait, "hold" holds the answer. */
struct rig {
    struct control *c;
    atomic_int asked, open, closed, executed;
    struct control_client *held;
};

static struct rig rig;

static void *on_open(void *ctx, struct control_client *k)
{
    atomic_fetch_add(&rig.open, 1);
    control_printf(k, "hello\n");
    return ctx;
}

static void on_close(void *state)
{
    atomic_fetch_add(&rig.closed, 1);
}

static bool on_feed(void *state, char byte)
{
    return byte == '\n';
}

static void on_execute(void *state, struct control_client *k, char *request, size_t bytes)
{
    atomic_fetch_add(&rig.executed, 1);
    cr_assert_eq(strlen(request), bytes);
    if (strcmp(request, "hold\n") == 0) {
        control_hold(k);
        rig.held = k;
    } else if (strcmp(request, "flood\n") == 0) {
        char *much = calloc(1, CONTROL_OUTPUT_MAX);
        control_write(k, much, CONTROL_OUTPUT_MAX);
        control_write(k, much, CONTROL_OUTPUT_MAX);
        free(much);
    } else {
        control_write(k, request, bytes);
    }
}

static void on_event(void *state, struct control_client *k, const char *name, const char *json)
{
    control_printf(k, "event %s\n", name);
}

static const struct control_class lines = {
    .open = on_open, .close = on_close, .feed = on_feed, .execute = on_execute, .event = on_event};

static void on_ask(void *ctx)
{
    atomic_fetch_add(&rig.asked, 1);
}

/* Executes what comes until n requests have been. */
static void execute(int n)
{
    for (int i = 0; i < 5000 && atomic_load(&rig.executed) < n; i++) {
        control_execute(rig.c);
        usleep(1000);
    }
    cr_assert_eq(atomic_load(&rig.executed), n);
}

static int start(void)
{
    struct err e;
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    rig.c = control_create(&e);
    cr_assert(control_add_fds(rig.c, pair[1], pair[1], &lines, &rig, &e));
    cr_assert(control_start(rig.c, on_ask, NULL, &e));
    return pair[0];
}

static void expect_text(int fd, const char *text)
{
    char got[256] = "";
    size_t n = 0;
    while (n < strlen(text)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&p, 1, 5000), 1, "got \"%s\", waiting for \"%s\"", got, text);
        const ssize_t r = read(fd, got + n, strlen(text) - n);
        cr_assert_gt(r, 0, "got \"%s\"", got);
        n += (size_t)r;
        got[n] = '\0';
    }
    cr_assert_str_eq(got, text);
}

Test(control, requests_in_order)
{
    const int fd = start();
    cr_assert_eq(write(fd, "one\ntwo\nthr", 11), 11);
    execute(2);
    expect_text(fd, "hello\none\ntwo\n");
    cr_assert_eq(write(fd, "ee\n", 3), 3);
    execute(3);
    expect_text(fd, "three\n");
    control_event(rig.c, "STOP", NULL);
    expect_text(fd, "event STOP\n");
    cr_assert_eq(atomic_load(&rig.asked), 3);
    control_destroy(rig.c);
    cr_assert_eq(atomic_load(&rig.closed), 1);
}

Test(control, held_requests_wait)
{
    const int fd = start();
    cr_assert_eq(write(fd, "hold\nnext\n", 10), 10);
    execute(1);
    for (int i = 0; i < 50; i++, usleep(1000))
        control_execute(rig.c);
    cr_assert_eq(atomic_load(&rig.executed), 1);
    control_printf(rig.held, "done\n");
    control_release(rig.held);
    execute(2);
    expect_text(fd, "hello\ndone\nnext\n");
    control_destroy(rig.c);
}

Test(control, what_was_sent_before_the_end_is_answered)
{
    const int fd = start();
    cr_assert_eq(write(fd, "a\nb\nc", 5), 5);
    shutdown(fd, SHUT_WR);
    execute(2);
    expect_text(fd, "hello\na\nb\n");
    for (int i = 0; i < 5000 && !atomic_load(&rig.closed); i++)
        usleep(1000);
    cr_assert_eq(atomic_load(&rig.closed), 1);
    control_destroy(rig.c);
}

Test(control, answers_of_the_last_request_leave_at_the_end)
{
    const int fd = start();
    cr_assert_eq(write(fd, "bye\n", 4), 4);
    execute(1);
    control_stop(rig.c);
    expect_text(fd, "hello\nbye\n");
    control_destroy(rig.c);
}

/* --- sockets --- */

static char path[64];

static void start_server(void)
{
    struct err e;
    char spec[128];
    snprintf(path, sizeof path, "/tmp/test_control.%d", (int)getpid());
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", path);
    rig.c = control_create(&e);
    cr_assert(control_add(rig.c, "-monitor", spec, &lines, &rig, NULL, NULL, &e), "%s", e.text);
    cr_assert(control_start(rig.c, on_ask, NULL, &e));
}

static int client(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void expect_closed(int n)
{
    for (int i = 0; i < 5000 && atomic_load(&rig.closed) < n; i++)
        usleep(1000);
    cr_assert_eq(atomic_load(&rig.closed), n);
}

Test(control, clients_come_and_go)
{
    start_server();
    const int a = client(), b = client();
    cr_assert_eq(write(a, "from a\n", 7), 7);
    execute(1);
    cr_assert_eq(write(b, "from b\n", 7), 7);
    execute(2);
    expect_text(a, "hello\nfrom a\n");
    expect_text(b, "hello\nfrom b\n");
    close(a);
    expect_closed(1);
    cr_assert_eq(write(b, "still\n", 6), 6);
    execute(3);
    expect_text(b, "still\n");
    control_destroy(rig.c);
    cr_assert_neq(access(path, F_OK), 0);
}

/* Neither is in the way of another client. */
Test(control, a_client_that_does_not_read_and_one_without_end)
{
    static char endless[CONTROL_REQUEST_MAX];
    start_server();
    const int deaf = client(), wordy = client(), good = client();
    cr_assert_eq(write(deaf, "flood\n", 6), 6);
    execute(1);
    memset(endless, 'x', sizeof endless);
    for (size_t n = 0; n < sizeof endless;) {
        const ssize_t w = send(wordy, endless + n, sizeof endless - n, MSG_NOSIGNAL);
        cr_assert_gt(w, 0);
        n += (size_t)w;
    }
    expect_closed(2);
    cr_assert_eq(write(good, "good\n", 5), 5);
    execute(2);
    expect_text(good, "hello\ngood\n");
    control_destroy(rig.c);
}

Test(control, further_clients_wait)
{
    int fd[CONTROL_CLIENTS_MAX + 1];
    start_server();
    for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++)
        fd[i] = client();
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        expect_text(fd[i], "hello\n");
    struct pollfd p = {.fd = fd[CONTROL_CLIENTS_MAX], .events = POLLIN};
    cr_assert_eq(poll(&p, 1, 50), 0);
    close(fd[3]);
    expect_text(fd[CONTROL_CLIENTS_MAX], "hello\n");
    control_destroy(rig.c);
}

Test(control, bad_places)
{
    static const char *const bad[] = {"bogus",
                                      "unix:",
                                      "unix:/tmp/x,speed=3",
                                      "tcp:nohost",

                                      "vc",
                                      "unix:/nowhere/at/all,server,nowait",
                                      "unix:/tmp/x,nowait",
                                      "file:/x",
                                      "unix:/nobody/listens"};
    struct err e;
    rig.c = control_create(&e);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e.text[0] = '\0';
        cr_assert_not(control_add(rig.c, "-monitor", bad[i], &lines, &rig, NULL, NULL, &e), "%s", bad[i]);
        cr_assert(strstr(e.text, "-monitor ") && strstr(e.text, bad[i]), "%s: \"%s\"", bad[i], e.text);
    }
    cr_assert(control_add(rig.c, "-monitor", "none", &lines, &rig, NULL, NULL, &e));
    control_destroy(rig.c);
}
