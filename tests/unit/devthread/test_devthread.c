/* The whole device side with a toy vCPU: modes agree, runs are replayed, resets and stops work. */
#include "syncq/link.h"
#include "toyguest.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char err[768];
static struct devthread_config cfg;

static void setup(void)
{
    devthread_config_init(&cfg);
    cfg.sleep = false;
    cfg.chardev[0] = "null";
    cfg.chardev[2] = "null";
}

TestSuite(devthread, .init = setup, .timeout = 120);

static struct board board;

static struct devthread *create(void)
{
    toy_board(&board, &cfg);
    return devthread_create(&cfg, err, sizeof(err));
}

static struct devthread *start(void)
{
    struct devthread *d = create();

    cr_assert_not_null(d, "%s", err);
    cr_assert(devthread_start(d, err, sizeof(err)), "%s", err);
    return d;
}

static struct toyguest run(uint64_t seed, uint64_t ticks)
{
    struct devthread *d = start();
    struct toyguest g;

    toy_start(&g, d, seed);
    toy_program(&g);
    toy_run(&g, ticks);
    devthread_stop(d);
    cr_expect_str_empty(devthread_error(d));
    devthread_destroy(d);
    return g;
}

Test(devthread, modes_agree)
{
    static const enum link_mode modes[] = {LINK_INLINE, LINK_THREAD, LINK_ADAPTIVE};

    for (uint64_t seed = 1; seed <= 3; seed++) {
        cfg.mode = LINK_INLINE;
        cfg.jitter_seed = 0;
        struct toyguest want = run(seed, 3000000);
        cr_expect_gt(want.interrupts, 20);
        for (unsigned m = 0; m < 3; m++) {
            cfg.mode = modes[m];
            cfg.quantum_ticks = 5000 + 7919 * m;
            cfg.jitter_seed = seed * m;
            struct toyguest got = run(seed, 3000000);
            cr_expect_eq(got.tick, want.tick);
            cr_expect_eq(got.interrupts, want.interrupts);
            cr_expect_eq(got.hash, want.hash, "seed %lu mode %u", (unsigned long)seed, m);
        }
    }
}

static int to_guest;

static void redirect(void)
{
    int in[2];

    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    dup2(in[0], STDIN_FILENO);
    close(in[0]);
    to_guest = in[1];
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    close(null);
}

static void *typist(void *arg)
{
    for (unsigned i = 0; i < 60; i++) {
        if (write(to_guest, "hello, world\r", 13) != 13)
            return NULL;
        usleep(500);
    }
    return NULL;
}

static struct toyguest run_typed(enum link_mode mode)
{
    pthread_t t;

    cfg.mode = mode;
    redirect();
    cr_assert_eq(write(to_guest, "first\r", 6),
                 6); /* there is input from the start, however late the typist */
    pthread_create(&t, NULL, typist, NULL);
    struct toyguest g = run(9, 20000000);
    pthread_join(t, NULL);
    close(to_guest);
    return g;
}

Test(devthread, replay_in_any_mode_is_the_recorded_run)
{
    static const enum link_mode modes[] = {LINK_INLINE, LINK_THREAD, LINK_ADAPTIVE};
    char path[] = "/tmp/tandem-rr-XXXXXX";

    close(mkstemp(path));
    cfg.chardev[0] = "stdio";
    for (unsigned m = 0; m < 3; m++) {
        cfg.record_file = path;
        cfg.replay_file = NULL;
        struct toyguest want = run_typed(modes[m]);
        cr_expect_gt(want.characters, 0);
        cfg.record_file = NULL;
        cfg.replay_file = path;
        for (unsigned k = 0; k < 3; k++) {
            struct toyguest got = run_typed(modes[k]); /* what is typed now must not matter */
            cr_expect_eq(got.characters, want.characters);
            cr_expect_eq(got.hash, want.hash, "recorded in mode %u, replayed in mode %u", m, k);
        }
    }
    unlink(path);
}

Test(devthread, reset_starts_again_in_every_mode)
{
    uint64_t hash[3];

    for (unsigned m = 0; m < 3; m++) {
        cfg.mode = (enum link_mode)m;
        struct devthread *d = start();
        struct toyguest g;
        toy_start(&g, d, 4);
        for (unsigned round = 1; round <= 4; round++) {
            toy_program(&g);
            toy_run(&g, round * 200000);
            devthread_reset(d, g.tick);
            link_settle(devthread_link(d, 0));
            cr_expect_eq(g.pc->com[0].ier, 0);
            cr_expect_not(i8259_intr(&g.pc->pic));
            g.tick++;
        }
        hash[m] = g.hash;
        devthread_destroy(d);
    }
    cr_expect_eq(hash[0], hash[1]);
    cr_expect_eq(hash[0], hash[2]);
}

Test(devthread, guest_requests_arrive)
{
    for (unsigned m = 0; m < 3; m++) {
        cfg.mode = (enum link_mode)m;
        struct devthread *d = start();
        struct toyguest g;
        toy_start(&g, d, 4);
        toy_program(&g);
        toy_out(&g, 0x64, 0xFE);
        g.tick++;
        toy_run(&g, 10000);
        cr_expect_eq(g.resets, 1);
        devthread_destroy(d);
    }
}

static void *stop_soon(void *d)
{
    usleep(20000);
    link_stop(devthread_link(d, 0), DEVTHREAD_QUIT);
    return NULL;
}

Test(devthread, a_stop_ends_a_halt_that_waits_for_input)
{
    pthread_t t;

    redirect();
    cfg.chardev[0] = "stdio";
    for (unsigned m = 0; m < 3; m++) {
        cfg.mode = (enum link_mode)m;
        cfg.sleep = m == 1;
        struct devthread *d = start();
        struct toyguest g;
        toy_start(&g, d, 4);
        link_arrive(devthread_link(d, 0), 0);
        g.halted = true;
        pthread_create(&t, NULL, stop_soon, d);
        toy_run(&g, TICK_NEVER);
        cr_expect(link_stopping(devthread_link(d, 0)));
        pthread_join(t, NULL);
        devthread_destroy(d);
    }
}

Test(devthread, quit_key)
{
    redirect();
    cfg.chardev[0] = "mon:stdio";
    for (unsigned m = 0; m < 3; m++) {
        cfg.mode = (enum link_mode)m;
        struct devthread *d = start();
        struct toyguest g;
        toy_start(&g, d, 4);
        toy_program(&g);
        cr_expect_eq(write(to_guest, "\001x", 2), 2);
        toy_run(&g, TICK_NEVER);
        cr_expect_eq(link_stopping(devthread_link(d, 0)), DEVTHREAD_CONSOLE);
        devthread_destroy(d);
    }
}

Test(devthread, bad_configurations_are_refused_with_a_reason)
{
    cfg.chardev[1] = "bogus";
    cr_expect_null(create());
    cr_expect_not_null(strstr(err, "accepted"));
    cfg.chardev[0] = "stdio";
    cfg.chardev[1] = "mon:stdio";
    cr_expect_null(create());
    cr_expect_not_null(strstr(err, "one port"));
    cfg.chardev[0] = cfg.chardev[1] = NULL;
    cfg.replay_file = "/nonexistent";
    cr_expect_null(create());
    cr_expect_not_null(strstr(err, "/nonexistent"));
    cfg.record_file = "/tmp/x";
    cr_expect_null(create());
}

Test(devthread, replay_needs_the_recorded_shift_and_brings_its_date)
{
    char path[] = "/tmp/tandem-rr-XXXXXX";

    close(mkstemp(path));
    cfg.record_file = path;
    cfg.rtc_seconds = 1000000000;
    devthread_destroy(start());
    cfg.record_file = NULL;
    cfg.replay_file = path;
    cfg.rtc_seconds = 5;
    struct devthread *d = start();
    cr_expect_eq(devthread_rtc_seconds(d), 1000000000);
    cr_expect(devthread_replay_finished(d));
    devthread_destroy(d);
    cfg.shift = 4;
    cr_expect_null(create());
    cr_expect_not_null(strstr(err, "shift=3"));
    unlink(path);
}

static void note(void *ctx, const char *line)
{
    snprintf(ctx, 512, "%s", line);
}

Test(devthread, a_recording_that_is_cut_off_is_replayed_up_to_there)
{
    char path[] = "/tmp/tandem-rr-XXXXXX", notice[512] = "";
    int fd = mkstemp(path);

    dprintf(fd, "tandem-input-log 2\nshift 3\nrtc 0\n500 serial0 41\n900 serial0 4");
    close(fd);
    cfg.replay_file = path;
    cfg.notice = note;
    cfg.notice_ctx = notice;
    struct toyguest g = run(4, 1000000);
    cr_expect_eq(g.characters, 1);
    cr_expect_not_null(strstr(notice, "line 5"), "%s", notice);
    unlink(path);
}
