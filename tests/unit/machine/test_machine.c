/* test_machine.c: run control: a run that is cut anywhere, by whoever, is the run that was never cut. */
#include "clockcore/ticks.h"
#include "machine/image.h"
#include "machine/machine.h"
#include "syncq/pinning.h"

#include <criterion/criterion.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct way {
    enum link_mode mode;
    enum translator_mode translator;
    unsigned threads;
    uint64_t jitter_seed;
} ways[] = {
    {LINK_INLINE, TRANSLATOR_INTERP, 0, 0},   {LINK_THREAD, TRANSLATOR_EAGER, 0, 0},
    {LINK_ADAPTIVE, TRANSLATOR_EAGER, 0, 0},  {LINK_THREAD, TRANSLATOR_BACKGROUND, 1, 5},
    {LINK_ADAPTIVE, TRANSLATOR_INTERP, 0, 6},
};
#define WAYS (sizeof ways / sizeof *ways)

/* A guest that waits with sleep=off goes through virtual time as fast as the host does. */
#define DIGEST_BYTES_MAX (UINT64_C(1) << 30)

static char digest_path[] = "/tmp/tandem-test-XXXXXX", kernel_path[] = "/tmp/tandem-test-XXXXXX";

static void make_files(void)
{
    int d = mkstemp(digest_path), k = mkstemp(kernel_path);
    cr_assert(d >= 0 && k >= 0);
    close(d);
    close(k);
}

static void remove_files(void)
{
    unlink(digest_path);
    unlink(kernel_path);
}

TestSuite(machine, .init = make_files, .fini = remove_files);

/* The determinism guest: interrupts, accesses of every class, paging, code changes, idle. */
static struct machine *mix_machine(const struct way *w)
{
    static char mix[4096];
    struct machine_config c;
    struct err e;
    const char *guests = getenv("TANDEM_GUESTS");
    cr_assert(guests, "TANDEM_GUESTS names the folder of mix.elf");
    snprintf(mix, sizeof mix, "%s/mix.elf", guests);
    machine_config_init(&c);
    c.ram_bytes = UINT64_C(16) << 20;
    c.kernel = mix;
    c.append = "rounds=12";
    c.serial[0] = "null";
    c.debug_exit = true;
    c.debug_exit_port = 0xf4;
    c.debug_exit_ports = 4;
    c.sleep = false;
    c.mode = w->mode;
    c.translator = w->translator;
    c.translator_threads = (int)w->threads;
    c.hot = 2;
    c.jitter_seed = w->jitter_seed;
    c.digest_file = digest_path;
    c.digest_every = 20000;
    struct machine *m = machine_create(&c, &e);
    cr_assert(m, "%s", e.text);
    return m;
}

/* 16 + 16 bytes of Multiboot header with addresses, code at 0x100020; as tiny_guest in tests/lib.sh. */
static struct machine *tiny_machine(const char *code, size_t bytes, struct machine_config *c)
{
    const uint32_t head[] = {0x1badb002, 0x10003, 0u - 0x1badb002 - 0x10003, 0x100000, 0x100000, 0,
                             0,          0x100020};
    static const char zeroes[256];
    struct err e;
    FILE *f = fopen(kernel_path, "w");
    cr_assert(f && fwrite(head, sizeof head, 1, f) == 1 && fwrite(code, bytes, 1, f) == 1 &&
              fwrite(zeroes, sizeof zeroes, 1, f) == 1);
    fclose(f);
    c->ram_bytes = UINT64_C(8) << 20;
    c->kernel = kernel_path;
    struct machine *m = machine_create(c, &e);
    cr_assert(m, "%s", e.text);
    return m;
}
#define TINY(code, c) tiny_machine(code, sizeof(code) - 1, c)

static enum machine_stop run(struct machine *m, uint64_t tick)
{
    struct err e = {""};
    const struct vcpu_until until = {.tick = tick};
    enum machine_stop stop = machine_run_until(m, &until, &e);
    cr_assert(stop != MACHINE_STOP_ERROR, "%s", e.text);
    return stop;
}

/* Ends it; what its digest file says, to be freed. */
static char *finish(struct machine *m)
{
    struct machine_stats s;
    struct image text;
    struct err e = {""};
    cr_assert(machine_finish(m, &s, &e), "%s", e.text);
    machine_destroy(m);
    cr_assert(image_read(&text, "digest", digest_path, DIGEST_BYTES_MAX, &e), "%s", e.text);
    char *copy = strndup((const char *)text.data, text.bytes);
    image_free(&text);
    cr_assert(strstr(copy, "\nend "));
    return copy;
}

static char *undisturbed(void)
{
    struct machine *m = mix_machine(&ways[0]);
    cr_assert_eq(run(m, TICK_NEVER), MACHINE_STOP_DEBUG_EXIT);
    cr_assert_eq(machine_exit_value(m), 1);
    return finish(m);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

Test(machine, stands_at_any_tick_and_goes_on)
{
    char *want = undisturbed();
    uint64_t random = 0x1234567;
    for (unsigned w = 0; w < WAYS; w++) {
        struct machine *m = mix_machine(&ways[w]);
        enum machine_stop stop = MACHINE_STOP_TICK;
        for (uint64_t tick = 0; stop == MACHINE_STOP_TICK;) {
            tick += next_random(&random) % 4 ? next_random(&random) % 8000 : next_random(&random) % 4;
            stop = run(m, tick);
            cr_assert(stop != MACHINE_STOP_TICK || machine_tick(m) == tick);
        }
        cr_assert_eq(stop, MACHINE_STOP_DEBUG_EXIT);
        char *got = finish(m);
        cr_expect_str_eq(got, want, "way %u", w);
        free(got);
    }
    free(want);
}

Test(machine, the_state_at_a_tick_is_the_same_in_every_way)
{
    char want[DIGEST_HEX], got[DIGEST_HEX];
    for (uint64_t tick = 7; tick < 1000000; tick = tick * 3 + 1) {
        for (unsigned w = 0; w < WAYS; w++) {
            struct machine *m = mix_machine(&ways[w]);
            run(m, tick / 2);
            cr_assert_eq(run(m, tick), MACHINE_STOP_TICK);
            machine_state_hex(m, w ? got : want);
            if (w)
                cr_expect_str_eq(got, want, "tick %lu, way %u", tick, w);
            machine_destroy(m);
        }
    }
}

struct pauser {
    struct machine *m;
    atomic_bool done;
};

static void *pause_now_and_then(void *ctx)
{
    struct pauser *p = ctx;
    uint64_t random = 99;
    while (!atomic_load(&p->done)) {
        usleep(next_random(&random) % 300);
        machine_pause_request(p->m);
    }
    return NULL;
}

Test(machine, pauses_from_outside_change_nothing)
{
    char *want = undisturbed(), hex[DIGEST_HEX];
    unsigned pauses = 0; /* over all ways: a busy host may let one end before the other thread runs */
    for (unsigned w = 0; w < WAYS; w++) {
        struct machine *m = mix_machine(&ways[w]);
        struct pauser p = {.m = m};
        pthread_t t;
        cr_assert_eq(pthread_create(&t, NULL, pause_now_and_then, &p), 0);
        for (;;) {
            enum machine_stop stop = run(m, TICK_NEVER);
            if (stop == MACHINE_STOP_DEBUG_EXIT)
                break;
            cr_assert_eq(stop, MACHINE_STOP_PAUSE);
            machine_state_hex(m, hex); /* chips are read in place: the device thread keeps off them */
            pauses++;
        }
        atomic_store(&p.done, true);
        pthread_join(t, NULL);
        char *got = finish(m);
        cr_expect_str_eq(got, want, "way %u", w);
        free(got);
    }
    cr_expect(pauses > 0);
    free(want);
}

/* --- input from outside meets pauses from outside: what is recorded is what is replayed --- */

static char socket_path[] = "/tmp/tandem-test-XXXXXX", log_path[] = "/tmp/tandem-test-XXXXXX";

/* The guest prints a sum over all bytes and the times at which they came, and ends at q. */
static struct machine *echo_machine(enum link_mode mode, bool sleep, bool replay)
{
    static char echo[4096], spec[64];
    struct machine_config c;
    struct err e;
    snprintf(echo, sizeof echo, "%s/echo.elf", getenv("TANDEM_GUESTS"));
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", socket_path);
    machine_config_init(&c);
    c.ram_bytes = UINT64_C(16) << 20;
    c.kernel = echo;
    c.append = "pit=60000";
    c.serial[0] = replay ? "null" : spec;
    c.debug_exit = true;
    c.debug_exit_port = 0xf4;
    c.debug_exit_ports = 4;
    c.sleep = sleep;
    c.mode = mode;
    c.digest_file = digest_path;
    c.digest_every = 20000;
    c.record_file = replay ? NULL : log_path;
    c.replay_file = replay ? log_path : NULL;
    struct machine *m = machine_create(&c, &e);
    cr_assert(m, "%s", e.text);
    return m;
}

static void *type_now_and_then(void *ctx)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(a.sun_path, socket_path, sizeof socket_path);
    uint64_t random = 5;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        return NULL;
    for (unsigned i = 0; write(fd, i < 11 ? "ab" : "q", i < 11 ? 2 : 1) > 0; i++)
        usleep(3000 + next_random(&random) % 6000);
    close(fd); /* the guest has ended: it may have lost the first q, but not all */
    return NULL;
}

static char *run_with_pauses(struct machine *m)
{
    struct pauser p = {.m = m};
    enum machine_stop stop;
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, pause_now_and_then, &p), 0);
    do {
        stop = run(m, TICK_NEVER);
    } while (stop == MACHINE_STOP_PAUSE);
    atomic_store(&p.done, true);
    pthread_join(t, NULL);
    cr_expect_eq(stop, MACHINE_STOP_DEBUG_EXIT);
    return finish(m);
}

Test(machine, input_between_pauses_is_replayed)
{
    int s = mkstemp(socket_path), l = mkstemp(log_path);
    cr_assert(s >= 0 && l >= 0);
    close(s);
    close(l);
    for (unsigned mode = 0; mode < 3; mode++) {
        pthread_t typist;
        unlink(socket_path);
        struct machine *m = echo_machine((enum link_mode)mode, mode != 1, false);
        pthread_create(&typist, NULL, type_now_and_then, NULL);
        char *want = run_with_pauses(m);
        pthread_join(typist, NULL);
        for (unsigned other = 0; other < 3; other++) {
            char *got = run_with_pauses(echo_machine((enum link_mode)other, false, true));
            cr_expect_str_eq(got, want, "recorded in mode %u, replayed in mode %u", mode, other);
            free(got);
        }
        free(want);
    }
    unlink(socket_path);
    unlink(log_path);
}

/* The 8259 is set up, the UART may interrupt; sti; hlt: only input can wake it. */
#define CODE_IDLE                                                                                            \
    "\xb0\x11\xe6\x20\xb0\x20\xe6\x21\xb0\x04\xe6\x21\xb0\x01\xe6\x21\xba\xf9\x03\0\0\xb0\x01\xee"           \
    "\xba\xfc\x03\0\0\xb0\x08\xee\xfb\xf4\xeb\xfc"

static void *pause_soon(void *m)
{
    usleep(20000);
    machine_pause_request(m);
    return NULL;
}

static void *quit_soon(void *m)
{
    usleep(20000);
    machine_quit_request(m);
    return NULL;
}

/* Runs it until the other thread's request ends that. */
static enum machine_stop run_until_asked(struct machine *m, void *(*ask)(void *))
{
    pthread_t t;
    pthread_create(&t, NULL, ask, m);
    enum machine_stop stop = run(m, TICK_NEVER);
    pthread_join(t, NULL);
    return stop;
}

Test(machine, an_idle_guest_stands_when_asked)
{
    for (unsigned mode = 0; mode < 3; mode++) {
        struct machine_config c;
        machine_config_init(&c);
        c.mode = (enum link_mode)mode;
        c.serial[0] = "pty";
        c.sleep = mode != 1;
        struct machine *m = TINY(CODE_IDLE, &c);
        cr_expect_eq(run_until_asked(m, pause_soon), MACHINE_STOP_PAUSE);
        cr_expect_eq(run_until_asked(m, quit_soon), MACHINE_STOP_QUIT);
        cr_expect_eq(run(m, TICK_NEVER), MACHINE_STOP_QUIT, "for good");
        machine_destroy(m);
    }
}

/* cli; hlt: only a reset can end it. */
#define CODE_HALT "\xfa\xf4"

Test(machine, an_idle_guest_stands_where_it_is_to)
{
    for (unsigned mode = 0; mode < 3; mode++)
        for (unsigned i = 0; i < 4; i++) {
            const bool sleep = i & 1, for_good = i & 2;
            struct machine_config c;
            machine_config_init(&c);
            c.mode = (enum link_mode)mode;
            c.serial[0] = for_good ? NULL : "pty";
            c.interactive = for_good;
            c.sleep = sleep;
            c.digest_file = digest_path;
            c.digest_every = 100000;
            struct machine *m = for_good ? TINY(CODE_HALT, &c) : TINY(CODE_IDLE, &c);
            for (uint64_t tick = 1000; tick < 1000000; tick = 3 * tick + 1) {
                cr_expect_eq(run(m, tick), MACHINE_STOP_TICK, "mode %u, case %u, tick %lu", mode, i, tick);
                cr_expect_eq(machine_tick(m), tick, "mode %u, case %u, tick %lu", mode, i, tick);
            }
            char *digests = finish(m);
            cr_expect(strstr(digests, "\n700000 "), "mode %u, case %u: %s", mode, i, digests);
            free(digests);
        }
}

Test(machine, a_guest_that_waits_for_nothing_ends_before)
{
    struct machine_config c;
    machine_config_init(&c);
    struct machine *m = TINY(CODE_IDLE, &c);
    cr_expect_eq(run(m, 100000), MACHINE_STOP_HALTED);
    cr_expect_lt(machine_tick(m), 1000);
    machine_destroy(m);
}

Test(machine, input_from_any_thread_has_room)
{
    struct machine_config c;
    machine_config_init(&c);
    struct machine *m = TINY("\xeb\xfe", &c); /* jmp . */
    unsigned taken = 0;
    while (taken < 100000 && machine_key(m, (struct port_key){.code = 0x1e, .down = !(taken & 1)}))
        taken++;
    cr_expect(taken >= 100 && taken < 100000, "refused when there is no room: %u", taken);
    cr_expect_eq(run(m, 1000000), MACHINE_STOP_TICK);
    cr_expect(machine_key(m, (struct port_key){.code = 0x1e, .down = true}), "the machine has taken some");
    cr_expect(machine_pointer(m, (struct port_motion){.dx = 1}));
    cr_expect(machine_button(m, PORT_BUTTON_NMI));
    machine_destroy(m);
}

Test(machine, a_reset_from_outside_ends_any_halt)
{
    struct machine_config c;
    machine_config_init(&c);
    c.no_reboot = true;
    struct machine *m = TINY("\xfa\xf4", &c); /* cli; hlt */
    cr_expect_eq(run(m, TICK_NEVER), MACHINE_STOP_HALTED, "nobody is there who could");
    machine_destroy(m);
    c.interactive = true;
    m = TINY("\xfa\xf4", &c);
    cr_expect_eq(run(m, 1), MACHINE_STOP_TICK);
    cr_expect(machine_button(m, PORT_BUTTON_RESET));
    cr_expect_eq(run(m, TICK_NEVER), MACHINE_STOP_RESET);
    machine_destroy(m);
}

Test(machine, a_request_while_it_stands_counts_for_the_next_stretch)
{
    struct machine_config c;
    machine_config_init(&c);
    struct machine *m = TINY("\xeb\xfe", &c); /* jmp . */
    machine_pause_request(m);
    cr_expect_eq(run(m, TICK_NEVER), MACHINE_STOP_PAUSE);
    cr_expect_eq(machine_tick(m), 0);
    cr_expect_eq(run(m, 1000), MACHINE_STOP_TICK);
    cr_expect_eq(machine_tick(m), 1000);
    cr_expect_eq(run(m, 10), MACHINE_STOP_TICK, "a tick that is past");
    cr_expect_eq(machine_tick(m), 1000);
    machine_destroy(m);
}

Test(machine, resets_are_taken_inside_and_ends_are_told_again)
{
    static const struct {
        const char *code;
        size_t bytes;
        bool no_reboot;
        enum machine_stop stop;
    } cases[] = {
        {"\xba\xf9\x0c\0\0\xb0\x06\xee\xeb\xfe", 10, false, MACHINE_STOP_TICK}, /* out 0xcf9, 6 */
        {"\xba\xf9\x0c\0\0\xb0\x06\xee\xeb\xfe", 10, true, MACHINE_STOP_RESET},
        {"\x0f\x01\x1d\x80\0\x10\0\xcc", 8, false, MACHINE_STOP_TICK}, /* lidt [0x100080]; int3 */
        {"\x0f\x01\x1d\x80\0\x10\0\xcc", 8, true, MACHINE_STOP_TRIPLE_FAULT},
        {"\xfa\xf4", 2, false, MACHINE_STOP_HALTED}, /* cli; hlt */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct machine_config c;
        struct machine_stats s;
        struct err e;
        machine_config_init(&c);
        c.no_reboot = cases[i].no_reboot;
        struct machine *m = tiny_machine(cases[i].code, cases[i].bytes, &c);
        cr_expect_eq(run(m, 3000), cases[i].stop, "case %u", i);
        uint64_t tick = machine_tick(m);
        if (cases[i].stop != MACHINE_STOP_TICK) {
            cr_expect_eq(run(m, TICK_NEVER), cases[i].stop, "case %u, again", i);
            cr_expect_eq(machine_tick(m), tick);
        }
        cr_expect(machine_finish(m, &s, &e));
        cr_expect_eq(s.resets > 0, cases[i].stop == MACHINE_STOP_TICK);
        machine_destroy(m);
    }
}

/* What a debugger asks: at which instruction? Here: how often was it asked. */
static bool on_third(void *ctx)
{
    return ++*(unsigned *)ctx == 3;
}

Test(machine, a_condition_is_asked_before_each_instruction_but_the_first)
{
    struct machine_config c;
    struct err e;
    unsigned asked = 0;
    machine_config_init(&c);
    c.translator = TRANSLATOR_EAGER;
    struct machine *m = TINY("\x90\x90\x90\xeb\xfb", &c);
    const struct vcpu_until until = {.tick = TICK_NEVER, .condition = on_third, .ctx = &asked};
    cr_assert_eq(run(m, 1000), MACHINE_STOP_TICK);
    cr_expect_eq(machine_run_until(m, &until, &e), MACHINE_STOP_CONDITION);
    cr_expect_eq(machine_tick(m), 1003);
    asked = 0;
    cr_expect_eq(machine_run_until(m, &until, &e), MACHINE_STOP_CONDITION);
    cr_expect_eq(machine_tick(m), 1006);
    cr_expect_eq(run(m, 2000), MACHINE_STOP_TICK, "and without it again");
    machine_destroy(m);
}

/* Bytes of ours that the other side has not read yet. */
static int unread(int fd)
{
    int n = -1;
    cr_assert_eq(ioctl(fd, SIOCOUTQ, &n), 0);
    return n;
}

static void stand_and_be_typed_at(enum link_mode mode)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    static const char text[600];
    memcpy(a.sun_path, socket_path, sizeof socket_path);
    unlink(socket_path);
    struct machine *m = echo_machine(mode, false, false);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(run(m, 1000), MACHINE_STOP_TICK);
    cr_assert_eq(write(fd, text, sizeof text), (ssize_t)sizeof text);
    for (unsigned i = 0; i < 1000 && unread(fd); i++)
        machine_wait(m, 10000000);
    cr_expect_eq(unread(fd), 0, "mode %d", mode);
    cr_expect_eq(machine_tick(m), 1000);
    close(fd);
    machine_destroy(m);
}

Test(machine, host_io_goes_on_while_it_stands, .timeout = 60)
{
    close(mkstemp(socket_path));
    close(mkstemp(log_path));
    stand_and_be_typed_at(LINK_INLINE);
    stand_and_be_typed_at(LINK_THREAD);
    stand_and_be_typed_at(LINK_ADAPTIVE);
    unlink(log_path);
    unlink(socket_path);
}
