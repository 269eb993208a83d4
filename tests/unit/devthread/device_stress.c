/* Stress of the whole device side without a test framework, so that it also runs under ThreadSanitizer:
 * every mode, with and without jitter, live input, a recording of it and its replay in every mode.
 *     device_stress [rounds [ticks]]
 * Exit status 0: all hashes agree. */
#include "toyguest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const mode_name[] = {"thread", "inline", "adaptive"};
static int failures;

static struct toyguest run(const struct devthread_config *config, uint64_t seed, uint64_t ticks)
{
    struct devthread_config with_board = *config, *cfg = &with_board;
    struct board board;
    char err[768];
    struct toyguest g = {0};

    toy_board(&board, cfg);
    struct devthread *d = devthread_create(cfg, err, sizeof(err));

    if (!d || !devthread_start(d, err, sizeof(err))) {
        fprintf(stderr, "device_stress: %s\n", err);
        exit(2);
    }
    toy_start(&g, d, seed);
    toy_program(&g);
    toy_run(&g, ticks);
    devthread_stop(d);
    if (*devthread_error(d))
        fprintf(stderr, "device_stress: %s\n", devthread_error(d));
    devthread_destroy(d);
    return g;
}

static void compare(const char *what, const struct toyguest *got, const struct toyguest *want,
                    const struct devthread_config *cfg, uint64_t seed)
{
    if (got->hash == want->hash && got->tick == want->tick)
        return;
    failures++;
    fprintf(stderr, "device_stress: %s: mode %s, seed %llu, jitter %llu: hash %llx, not %llx\n", what,
            mode_name[cfg->mode], (unsigned long long)seed, (unsigned long long)cfg->jitter_seed,
            (unsigned long long)got->hash, (unsigned long long)want->hash);
}

static void modes_round(uint64_t seed, uint64_t ticks)
{
    struct devthread_config cfg;
    struct toyguest want;

    devthread_config_init(&cfg);
    cfg.sleep = false;
    cfg.chardev[0] = cfg.chardev[2] = "null";
    cfg.mode = LINK_INLINE;
    want = run(&cfg, seed, ticks);
    for (unsigned k = 0; k < 4; k++) {
        cfg.mode = k & 1 ? LINK_ADAPTIVE : LINK_THREAD;
        cfg.quantum_ticks = 3000 * (k + 1);
        cfg.jitter_seed = k & 2 ? seed : 0;
        struct toyguest got = run(&cfg, seed, ticks);
        compare("modes", &got, &want, &cfg, seed);
    }
}

static int to_guest;

static void redirect(void)
{
    int in[2];

    if (pipe2(in, O_CLOEXEC) != 0)
        exit(2);
    dup2(in[0], STDIN_FILENO);
    close(in[0]);
    to_guest = in[1];
}

static void *typist(void *arg)
{
    for (unsigned i = 0; i < 40; i++) {
        if (write(to_guest, "hello, world\r", 13) != 13)
            break;
        usleep(300);
    }
    return NULL;
}

static struct toyguest run_typed(const struct devthread_config *cfg, uint64_t seed, uint64_t ticks)
{
    pthread_t t;

    redirect();
    pthread_create(&t, NULL, typist, NULL);
    struct toyguest g = run(cfg, seed, ticks);
    pthread_join(t, NULL);
    close(to_guest);
    return g;
}

static void replay_round(uint64_t seed, uint64_t ticks)
{
    char path[] = "/tmp/tandem-stress-XXXXXX";
    struct devthread_config cfg;
    int fd = mkstemp(path);

    if (fd >= 0)
        close(fd);
    devthread_config_init(&cfg);
    cfg.sleep = seed & 1;
    cfg.chardev[0] = "stdio";
    cfg.mode = (enum link_mode)(seed % 3);
    cfg.record_file = path;
    struct toyguest want = run_typed(&cfg, seed, ticks);
    cfg.record_file = NULL;
    cfg.replay_file = path;
    cfg.sleep = false;
    for (unsigned m = 0; m < 3; m++) {
        cfg.mode = (enum link_mode)m;
        cfg.jitter_seed = seed;
        struct toyguest got = run_typed(&cfg, seed, ticks);
        compare("replay", &got, &want, &cfg, seed);
    }
    unlink(path);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 3;
    uint64_t ticks = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000;

    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO); /* what the guest sends */
    for (unsigned long r = 1; r <= rounds; r++) {
        modes_round(r, ticks);
        replay_round(r, ticks);
    }
    return failures ? 1 : 0;
}
