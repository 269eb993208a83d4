/* Input and pacing: where a halted vCPU may go, and when bytes from outside arrive. */
#include "clockcore/clock.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rig rig;
static struct hostio *h;
static struct chardev *serial;
static int to_guest = -1, from_guest = -1;

/* com1 on pipes. */
static void setup_with(bool sleep_on)
{
    struct bus_config c;
    struct chardev_env env;
    char err[CHARDEV_ERR_BYTES];
    int in[2], out[2];

    cr_assert_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]);
    close(out[1]);
    to_guest = in[1];
    from_guest = out[0];
    h = hostio_create();
    env = (struct chardev_env){.hostio = h, .label = "serial0", .option = "-serial"};
    serial = chardev_open("stdio", &env, err, sizeof(err));
    cr_assert_not_null(serial, "%s", err);
    rig_config(&rig, &c);
    c.hostio = h;
    c.sleep = sleep_on;
    c.backend[0] = (struct backend){.class = &chardev_backend, .ctx = serial};
    cr_assert(rig_init(&rig, &c));
}

static void setup(void)
{
    setup_with(false);
}

static void setup_sleep(void)
{
    setup_with(true);
}

static void teardown(void)
{
    chardev_close(serial);
    hostio_destroy(h);
    bus_fini(&rig.bus);
}

static void type(const char *text)
{
    cr_expect_eq(write(to_guest, text, strlen(text)), (ssize_t)strlen(text));
}

Test(idle, without_sleep_warps_at_once, .init = setup, .fini = teardown, .timeout = 20)
{
    uint64_t start_ns = clock_realtime_ns();

    cr_expect_eq(bus_idle(&rig.bus, 10, 10 + 125000000ull * 3600, TICK_NEVER), 10 + 125000000ull * 3600);
    cr_expect_lt(clock_realtime_ns() - start_ns, NS_PER_SEC);
}

Test(idle, with_sleep_takes_host_time, .init = setup_sleep, .fini = teardown, .timeout = 20)
{
    uint64_t start_ns = clock_realtime_ns();

    cr_expect_eq(bus_idle(&rig.bus, 1000, 1000 + 125000 * 20, TICK_NEVER), 1000 + 125000 * 20);
    cr_expect_geq(clock_realtime_ns() - start_ns, 20000000);
}

static void *type_later(void *text)
{
    usleep(30000);
    type(text);
    return NULL;
}

Test(idle, input_ends_a_paced_warp, .init = setup_sleep, .fini = teardown, .timeout = 20)
{
    pthread_t t;

    pthread_create(&t, NULL, type_later, "k");
    uint64_t to = bus_idle(&rig.bus, 1000, 1000 + 125000000ull * 600, TICK_NEVER);
    cr_expect_gt(to, 1000);
    cr_expect_lt(to, 1000 + 125000000ull * 60);
    cr_expect(bus_input_waiting(&rig.bus));
    pthread_join(t, NULL);
}

Test(idle, nothing_to_come_but_input, .init = setup, .fini = teardown, .timeout = 20)
{
    pthread_t t;

    pthread_create(&t, NULL, type_later, "k");
    cr_expect_eq(bus_idle(&rig.bus, 1000, TICK_NEVER, TICK_NEVER), 1000, "input waits at this tick");
    pthread_join(t, NULL);
    bus_step(&rig.bus, 1000);
    cr_expect_not(bus_input_waiting(&rig.bus));
    close(to_guest);
    cr_expect_eq(bus_idle(&rig.bus, 2000, TICK_NEVER, TICK_NEVER), TICK_NEVER,
                 "end of file: nothing can come");
}

Test(idle, whoever_wants_it_to_stand_is_no_reason_to_go_on, .init = setup, .fini = teardown, .timeout = 20)
{
    cr_expect_eq(bus_idle(&rig.bus, 1000, TICK_NEVER, 5000), 5000, "input may come: it waits until there");
    cr_expect_eq(bus_idle(&rig.bus, 1000, 4000, 5000), 4000);
    cr_expect_eq(bus_idle(&rig.bus, 1000, 6000, 5000), 5000);
    type("k");
    usleep(30000);
    bus_host_io(&rig.bus, 0);
    cr_expect_eq(bus_idle(&rig.bus, 1000, TICK_NEVER, 5000), 1000, "input does not wait until there");
    bus_step(&rig.bus, 1000);
    close(to_guest);
    cr_expect_eq(bus_idle(&rig.bus, 6000, TICK_NEVER, 7000), TICK_NEVER, "nothing can come");
}

Test(idle, standing_takes_host_time, .init = setup_sleep, .fini = teardown, .timeout = 20)
{
    const uint64_t start_ns = clock_realtime_ns();
    cr_expect_eq(bus_idle(&rig.bus, 1000, TICK_NEVER, 1000 + 125000 * 20), 1000 + 125000 * 20);
    cr_expect_eq(bus_idle(&rig.bus, 1000, 125000000ull * 3600, 1000 + 125000 * 20), 1000 + 125000 * 20);
    cr_expect_geq(clock_realtime_ns() - start_ns, 40000000);
    cr_expect_lt(clock_realtime_ns() - start_ns, 10 * NS_PER_SEC);
}

static void *stop_later(void *arg)
{
    usleep(30000);
    rig.stop = true;
    bus_wake(&rig.bus);
    return NULL;
}

Test(idle, a_stop_ends_it, .init = setup, .fini = teardown, .timeout = 20)
{
    pthread_t t;

    pthread_create(&t, NULL, stop_later, NULL);
    cr_expect_eq(bus_idle(&rig.bus, 1000, TICK_NEVER, TICK_NEVER), 1000);
    pthread_join(t, NULL);
}

Test(idle, a_wake_is_not_lost_before_the_wait, .init = setup, .fini = teardown, .timeout = 20)
{
    rig.stop = true;
    bus_wake(&rig.bus);
    bus_host_io(&rig.bus, UINT64_MAX);
    cr_expect_eq(bus_idle(&rig.bus, 5, TICK_NEVER, TICK_NEVER), 5);
}

/* --- bytes from outside --- */

static void poll_host(void)
{
    for (unsigned i = 0; i < 100 && !bus_input_waiting(&rig.bus); i++)
        bus_host_io(&rig.bus, 10000000);
}

Test(input, arrives_at_wire_speed_after_its_stamp, .init = setup, .fini = teardown, .timeout = 20)
{
    char got[8] = "";

    rig_out(&rig, 0x3FB, 0x83); /* 115200 8n1: 86.8 us a character */
    rig_out(&rig, 0x3F8, 1);
    rig_out(&rig, 0x3F9, 0);
    rig_out(&rig, 0x3FB, 0x03);
    type("abc");
    poll_host();
    uint64_t t = rig.tick + 1000;
    bus_step(&rig.bus, t);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t limit = t + (i + 1) * 11000;
        rig_run_to(&rig, limit);
        cr_assert_eq(rig_in(&rig, 0x3FD) & 1, 1, "character %u", i);
        got[i] = (char)rig_in(&rig, 0x3F8);
        cr_expect_eq(rig_in(&rig, 0x3FD) & 1, 0, "one at a time");
    }
    cr_expect_str_eq(got, "abc");
    cr_expect_eq(rig.bus.queue[0]->count, 0);
}

static void *type_all(void *text)
{
    type(text);
    return NULL;
}

/* Steps until the queue is full: a back end hands over a part at a time. */
static void fill_queue(uint64_t tick)
{
    while (rig.bus.queue[0]->count < BUS_QUEUE_BYTES) {
        poll_host();
        bus_step(&rig.bus, ++tick);
    }
}

Test(input, waits_for_a_guest_that_does_not_read, .init = setup, .fini = teardown, .timeout = 60)
{
    static char text[BUS_QUEUE_BYTES + 301];
    pthread_t t;

    for (unsigned i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('a' + i * 7 % 26);
    pthread_create(&t, NULL, type_all, text);
    fill_queue(1000);
    rig_run_to(&rig, 125000000);
    cr_expect_eq(rig.bus.queue[0]->count, BUS_QUEUE_BYTES, "the receiver has had its byte");
    bus_step(&rig.bus, 125000001);
    cr_expect_eq(rig.bus.queue[0]->count, BUS_QUEUE_BYTES);
    cr_expect_not(bus_input_waiting(&rig.bus), "no room: idle must not come back for it");
    cr_expect_eq(bus_next_event(&rig.bus), TICK_NEVER);
    unsigned n = 0;
    for (rig.tick = 130000000; n < sizeof(text) - 1;) {
        if (rig_in(&rig, 0x3FD) & 1) {
            cr_assert_eq(rig_in(&rig, 0x3F8), (uint8_t)text[n]);
            n++;
        }
        bus_host_io(&rig.bus, 0);
        bus_step(&rig.bus, rig.tick);
        rig_run_to(&rig, rig.tick + 10000);
    }
    pthread_join(t, NULL);
    cr_expect_eq(rig.bus.queue[0]->count, 0);
}

static void echo_guest(struct rig *r, uint64_t step_ticks, uint64_t end)
{
    while (r->tick < end) {
        rig_run_to(r, r->tick + 5000);
        if (r->tick % step_ticks == 0)
            bus_step(&r->bus, r->tick);
        if (rig_access(r, 0x3FD, 0, 1, false) & 1)
            rig_access(r, 0x3F8, rig_access(r, 0x3F8, 0, 1, false), 1, true);
    }
}

Test(input, replay_is_the_recorded_run, .init = setup, .fini = teardown, .timeout = 20)
{
    char path[] = "/tmp/tandem-rr-XXXXXX", err[512];
    struct inputlog_header hdr = {.shift = 3};
    static struct rig again;
    struct bus_config c = rig.bus.cfg;

    close(mkstemp(path));
    c.record = inputlog_record_open(path, &hdr, &rig.board, err, sizeof(err));
    cr_assert(rig_init(&rig, &c));
    rig.tick = 0;
    type("first");
    poll_host();
    echo_guest(&rig, 1000000, 20000000);
    type("second");
    poll_host();
    echo_guest(&rig, 1000000, 40000000);
    inputlog_close(c.record);

    c.record = NULL;
    c.backend[0] = (struct backend){0};
    c.ctx = &again;
    again.cfg = rig.cfg;
    c.replay = inputlog_replay_open(path, &hdr, &rig.board, err, sizeof(err));
    cr_assert_not_null(c.replay, "%s", err);
    cr_assert(rig_init(&again, &c));
    again.tick = 0;
    echo_guest(&again, 250000, 40000000);
    cr_expect_eq(bus_next_event(&again.bus) == TICK_NEVER, bus_next_event(&rig.bus) == TICK_NEVER);
    cr_expect_not(again.bus.replay_strayed);
    cr_expect_eq(memcmp(&rig.pc, &again.pc, sizeof(rig.pc)), 0);
    cr_expect_eq(memcmp(&rig.bus.st, &again.bus.st, sizeof(rig.bus.st)), 0);
    cr_expect_eq(memcmp(rig.bus.queue[0], again.bus.queue[0], sizeof(*rig.bus.queue[0])), 0);
    cr_expect_eq(inputlog_next_tick(c.replay), TICK_NEVER);
    inputlog_close(c.replay);
    bus_fini(&again.bus);
    unlink(path);
}

Test(input, a_log_of_another_machine_strays_but_ends, .init = setup, .fini = teardown, .timeout = 20)
{
    char path[] = "/tmp/tandem-rr-XXXXXX", err[512];
    struct inputlog_header hdr;
    struct bus_config c = rig.bus.cfg;
    int fd = mkstemp(path);

    dprintf(fd, "tandem-input-log 2\nshift 3\nrtc 0\n5 serial1 00\n5 serial2 00\n9 serial3 00\n");
    close(fd);
    c.replay = inputlog_replay_open(path, &hdr, &rig.board, err, sizeof(err));
    cr_assert_not_null(c.replay, "%s", err);
    cr_assert(rig_init(&rig, &c));
    rig_run_to(&rig, 100);
    cr_expect(rig.bus.replay_strayed);
    cr_expect_eq(inputlog_next_tick(c.replay), TICK_NEVER);
    cr_expect_eq(bus_idle(&rig.bus, 100, TICK_NEVER, TICK_NEVER), TICK_NEVER, "a replay takes no live input");
    inputlog_close(c.replay);
    unlink(path);
}
