/* devthread.c - puts the device side together; see devthread.h. */
#include "devthread/devthread.h"

#include "devthread/bus.h"
#include "devthread/chardev.h"
#include "devthread/inputqueue.h"
#include "devthread/net.h"
#include "syncq/link.h"
#include "syncq/link_state.h"
#include "syncq/pinning.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRAY_ENTRIES 64 /* that wait to be taken in */

struct devthread {
    struct devthread_config cfg; /* constant after create; its strings belong to the caller by then */
    struct board board;          /* constant after create */
    void *state;                 /* the board's */
    struct bus bus;
    bool bus_ready;
    struct link *link[LINK_VCPUS_MAX]; /* by vCPU number */
    struct hostio *hostio;
    struct chardev *chardev[BOARD_PORTS_MAX];
    struct inputqueue *input[BOARD_PORTS_MAX];
    struct net *net[BOARD_PORTS_MAX];
    struct inputlog *record, *replay;
    struct inputlog_position position; /* as saved or loaded; without a log: nothing */
    pthread_t thread;
    bool started; /* `thread` runs */
    bool drained; /* the transmitters' rest went out */
    char error[CHARDEV_ERR_BYTES];
};

void devthread_config_init(struct devthread_config *cfg)
{
    *cfg = (struct devthread_config){
        .mode = LINK_ADAPTIVE,
        .shift = ICOUNT_SHIFT_DEFAULT,
        .sleep = true,
        .host_cpu = PIN_ANY,
        .screen_port = -1,
        .spin_iterations = -1,
    };
}

/* --- hooks of the parts --- */

static void on_effect(void *ctx, const struct effect *e)
{
    link_effect(((struct devthread *)ctx)->link[e->vcpu], e);
}

/* Reasons to stand that any vCPU has; none before there is a link: a back end may wait while it opens. */
static uint32_t reasons(const struct devthread *d)
{
    uint32_t why = 0;

    for (unsigned i = 0; i < LINK_VCPUS_MAX; i++)
        if (d->link[i])
            why |= link_stopping(d->link[i]);
    return why;
}

static bool on_stopping(void *ctx)
{
    return reasons(ctx) != 0;
}

static bool on_ending(void *ctx)
{
    return (reasons(ctx) & ~(uint32_t)DEVTHREAD_PAUSE) != 0;
}

static void on_notice(void *ctx, const char *line)
{
    struct devthread *d = ctx;

    if (d->cfg.notice)
        d->cfg.notice(d->cfg.notice_ctx, line);
}

static void on_quit(void *ctx)
{
    struct devthread *d = ctx;

    if (d->cfg.leaving)
        d->cfg.leaving(d->cfg.leaving_ctx);
    for (unsigned i = 0; i < LINK_VCPUS_MAX; i++)
        link_stop(d->link[i], DEVTHREAD_CONSOLE);
}

/* --- create --- */

static bool is_stdio(const char *spec)
{
    return spec && (strcmp(spec, "stdio") == 0 || strcmp(spec, "mon:stdio") == 0);
}

static bool check_config(const struct devthread_config *cfg, char *err, size_t err_bytes)
{
    unsigned nstdio = 0;

    for (unsigned i = 0; i < BOARD_PORTS_MAX; i++)
        nstdio += is_stdio(cfg->chardev[i]);
    if (nstdio > 1)
        snprintf(err, err_bytes, "-serial: standard input and output can serve one port only");
    else if (cfg->record_file && cfg->replay_file)
        snprintf(err, err_bytes, "-icount: rr=record and rr=replay exclude each other");
    else if (cfg->shift > ICOUNT_SHIFT_MAX)
        snprintf(err, err_bytes, "-icount shift=%u: accepted are 0 to %u", cfg->shift, ICOUNT_SHIFT_MAX);
    else
        return true;
    return false;
}

static void tell_torn(struct devthread *d)
{
    char line[512];

    if (!inputlog_torn(d->replay))
        return;
    snprintf(line, sizeof(line), "rrfile=%.200s: line %llu is cut off; the recording is replayed up to there",
             d->cfg.replay_file, (unsigned long long)inputlog_torn(d->replay));
    on_notice(d, line);
}

/* The first line in which two lists differ, from `a`; NULL: they are equal. */
static const char *first_difference(const char *a, const char *b)
{
    const char *line = a;

    for (; *a == *b; a++, b++) {
        if (!*a)
            return NULL;
        if (*a == '\n')
            line = a + 1;
    }
    return line;
}

static bool same_images(const struct devthread *d, const struct inputlog_header *h, char *err,
                        size_t err_bytes)
{
    const char *now = d->cfg.images ? d->cfg.images : "";
    const char *was = first_difference(h->images, now), *is = first_difference(now, h->images);

    if (!was)
        return true;
    snprintf(err, err_bytes,
             "rrfile=%.200s: recorded with other images than this run has: %.*s then, %.*s now",
             d->cfg.replay_file, *was ? (int)strcspn(was, "\n") : 4, *was ? was : "none",
             *is ? (int)strcspn(is, "\n") : 4, *is ? is : "none");
    return false;
}

static bool open_logs(struct devthread *d, char *err, size_t err_bytes)
{
    struct inputlog_header h = {.shift = d->cfg.shift, .rtc_seconds = d->cfg.rtc_seconds};

    snprintf(h.images, sizeof(h.images), "%s", d->cfg.images ? d->cfg.images : "");
    if (d->cfg.record_file)
        return (d->record = inputlog_record_open(d->cfg.record_file, &h, &d->board, err, err_bytes)) != NULL;
    if (!d->cfg.replay_file)
        return true;
    d->replay = inputlog_replay_open(d->cfg.replay_file, &h, &d->board, err, err_bytes);
    if (!d->replay)
        return false;
    tell_torn(d);
    d->cfg.rtc_seconds = h.rtc_seconds;
    if (!same_images(d, &h, err, err_bytes))
        return false;
    if (h.shift == d->cfg.shift)
        return true;
    snprintf(err, err_bytes,
             "rrfile=%.200s: recorded with shift=%u, which this machine needs too (it has %u)",
             d->cfg.replay_file, h.shift, d->cfg.shift);
    return false;
}

static bool open_chardevs(struct devthread *d, char *err, size_t err_bytes)
{
    struct chardev_env env = {.hostio = d->hostio,
                              .notice = on_notice,
                              .quit = on_quit,
                              .monitor_fd = d->cfg.monitor_fd,
                              .stopping = on_ending,
                              .ctx = d};

    for (unsigned i = 0; i < d->board.nports; i++) {
        if (!d->board.port[i].present || !d->cfg.chardev[i])
            continue;
        env.label = d->board.port[i].name;
        env.option = d->cfg.chardev_option[i] ? d->cfg.chardev_option[i] : "-serial";
        d->chardev[i] = chardev_open(d->cfg.chardev[i], &env, err, err_bytes);
        if (!d->chardev[i])
            return false;
        d->bus.cfg.backend[i] = (struct backend){.class = &chardev_backend, .ctx = d->chardev[i]};
        if (d->replay)
            chardev_input_discard(d->chardev[i]);
    }
    return true;
}

static bool open_inputs(struct devthread *d, char *err, size_t err_bytes)
{
    for (unsigned i = 0; i < d->board.nports; i++) {
        const struct board_port *p = &d->board.port[i];
        if (!p->present || !bus_port_is_small(p) || d->cfg.backend[i].class)
            continue;
        const bool tray = p->kind == PORT_TRAY;
        d->input[i] =
            inputqueue_create(d->hostio, d->cfg.interactive, tray ? TRAY_ENTRIES : INPUTQUEUE_ENTRIES,
                              tray ? DEVTHREAD_TRAY_BYTES : PORT_SMALL_BYTES);
        if (!d->input[i]) {
            snprintf(err, err_bytes, "input: %s", strerror(errno));
            return false;
        }
        d->bus.cfg.backend[i] = (struct backend){.class = &inputqueue_backend, .ctx = d->input[i]};
    }
    return true;
}

/* In a replay the frames are the log's. */
static bool open_nets(struct devthread *d, char *err, size_t err_bytes)
{
    const struct net_env env = {.hostio = d->hostio, .notice = on_notice, .ctx = d};

    for (unsigned i = 0; i < d->board.nports; i++) {
        if (!d->board.port[i].present || !d->cfg.net[i] || d->replay)
            continue;
        d->net[i] = net_open(d->cfg.net[i], &env, err, err_bytes);
        if (!d->net[i])
            return false;
        d->cfg.backend[i] = (struct backend){.class = &net_backend, .ctx = d->net[i]};
    }
    return true;
}

struct net *devthread_net(struct devthread *d, unsigned port)
{
    return d->net[port];
}

static bool open_bus(struct devthread *d, char *err, size_t err_bytes)
{
    struct bus_config c = {.shift = d->cfg.shift,
                           .sleep = d->cfg.sleep,
                           .board = &d->board,
                           .memory = d->cfg.memory,
                           .hostio = d->hostio,
                           .record = d->record,
                           .replay = d->replay,
                           .emit = on_effect,
                           .stopping = on_stopping,
                           .ctx = d,
                           .write_error = d->cfg.write_error,
                           .write_error_ctx = d->cfg.write_error_ctx,
                           .frame = d->cfg.frame,
                           .frame_ctx = d->cfg.frame_ctx,
                           .trays = d->cfg.trays,
                           .trays_ctx = d->cfg.trays_ctx};

    memcpy(c.backend, d->cfg.backend, sizeof(c.backend));
    c.state = d->state = calloc(1, d->board.state_bytes);
    if (d->state) {
        d->board.power_on(d->state, &d->board, d->cfg.rtc_seconds);
        d->bus_ready = bus_init(&d->bus, &c);
    }
    if (!d->bus_ready)
        snprintf(err, err_bytes, "devices: %s", strerror(ENOMEM));
    return d->bus_ready;
}

static bool open_screen(struct devthread *d, char *err, size_t err_bytes)
{
    if (d->cfg.screen_port < 0)
        return true;
    d->bus.cfg.screen = screen_create(&d->board, (unsigned)d->cfg.screen_port, d->cfg.memory, d->hostio);
    if (!d->bus.cfg.screen)
        snprintf(err, err_bytes,
                 "-display: the machine has no graphics card; -vga std is needed, which is the default where "
                 "firmware starts");
    return d->bus.cfg.screen != NULL;
}

static bool open_link(struct devthread *d, char *err, size_t err_bytes)
{
    const struct devthread_config *c = &d->cfg;
    struct link_config lc = {
        .mode = c->mode,
        .ops = &bus_ops,
        .ctx = &d->bus,
        .quantum_ticks = c->quantum_ticks ? c->quantum_ticks : ticks_ceil(DEVTHREAD_QUANTUM_NS, c->shift),
        .spin_iterations = c->spin_iterations < 0 ? link_default_spin() : (uint32_t)c->spin_iterations,
        .jitter_seed = c->jitter_seed,
        .plant_late = c->plant_late,
        .figures = c->figures,
    };

    for (; lc.vcpu < LINK_VCPUS_MAX; lc.vcpu++)
        if (!(d->link[lc.vcpu] = link_create(&lc))) {
            snprintf(err, err_bytes, "device link: %s", strerror(errno));
            return false;
        }
    return true;
}

static bool open_hostio(struct devthread *d, char *err, size_t err_bytes)
{
    d->hostio = hostio_create();
    if (!d->hostio)
        snprintf(err, err_bytes, "host I/O: %s", strerror(errno));
    return d->hostio != NULL;
}

struct devthread *devthread_create(const struct devthread_config *cfg, char *err, size_t err_bytes)
{
    struct devthread *d;

    if (!check_config(cfg, err, err_bytes))
        return NULL;
    d = calloc(1, sizeof(*d));
    if (!d) {
        snprintf(err, err_bytes, "device side: %s", strerror(errno));
        return NULL;
    }
    d->cfg = *cfg;
    d->board = *cfg->board;
    d->cfg.board = &d->board;
    /* In this order: each part may call those before it, if only to be stopped. */
    if (open_hostio(d, err, err_bytes) && open_logs(d, err, err_bytes) && open_nets(d, err, err_bytes) &&
        open_bus(d, err, err_bytes) && open_screen(d, err, err_bytes) && open_link(d, err, err_bytes) &&
        open_inputs(d, err, err_bytes) && open_chardevs(d, err, err_bytes))
        return d;
    devthread_destroy(d);
    return NULL;
}

bool devthread_input(struct devthread *d, unsigned port, const uint8_t *entry, uint32_t bytes)
{
    return port < BOARD_PORTS_MAX && d->input[port] &&
           (d->replay || inputqueue_put(d->input[port], entry, bytes));
}

/* --- the thread --- */

/* Signals are the main thread's business, but for those that report an error of this thread itself. */
static void block_signals(sigset_t *before)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t set;

    sigfillset(&set);
    for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&set, own[i]);
    pthread_sigmask(SIG_SETMASK, &set, before);
}

static void *thread_main(void *arg)
{
    struct devthread *d = arg;

    pthread_setname_np(pthread_self(), "tandem-dev");
    pin_self(d->cfg.host_cpu); /* a hint: it was checked when it was chosen */
    link_device_loop(d->link[0]);
    return NULL;
}

bool devthread_start(struct devthread *d, char *err, size_t err_bytes)
{
    sigset_t before;

    if (d->cfg.mode == LINK_INLINE || d->started)
        return true;
    block_signals(&before);
    int rc = pthread_create(&d->thread, NULL, thread_main, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    d->started = rc == 0;
    if (rc != 0)
        snprintf(err, err_bytes, "device thread: %s", strerror(rc));
    return d->started;
}

static void note_errors(struct devthread *d)
{
    const char *e = "";

    for (unsigned i = 0; !*e && i < BOARD_PORTS_MAX; i++)
        if (d->chardev[i])
            e = chardev_error(d->chardev[i]);
    if (!*e && d->record)
        e = inputlog_error(d->record);
    if (!*e && d->replay)
        e = inputlog_error(d->replay);
    if (!*e && d->bus.replay_host_failed)
        e = "rr=replay: a drive failed on this host that had not failed when the run was recorded: from "
            "there on "
            "this is another run";
    if (!*e && d->bus.replay_strayed)
        e = "rr=replay: the recording has input that this machine could not take (another machine's?)";
    snprintf(d->error, sizeof(d->error), "%s", e);
}

void devthread_stop(struct devthread *d)
{
    for (unsigned i = 0; i < LINK_VCPUS_MAX; i++)
        if (d->link[i])
            link_end(d->link[i]);
    if (d->started)
        pthread_join(d->thread, NULL);
    d->started = false;
    if (!d->drained) /* once: destroy stops again */
        bus_drain_output(&d->bus);
    d->drained = true;
    note_errors(d);
}

void devthread_destroy(struct devthread *d)
{
    if (!d)
        return;
    if (d->link[0])
        devthread_stop(d);
    for (unsigned i = BOARD_PORTS_MAX; i-- > 0;)
        chardev_close(d->chardev[i]);
    for (unsigned i = 0; i < BOARD_PORTS_MAX; i++) {
        inputqueue_destroy(d->input[i]);
        net_close(d->net[i]);
    }
    inputlog_close(d->record);
    inputlog_close(d->replay);
    for (unsigned i = 0; i < LINK_VCPUS_MAX; i++)
        link_destroy(d->link[i]);
    hostio_destroy(d->hostio);
    screen_destroy(d->bus.cfg.screen);
    if (d->bus_ready)
        bus_fini(&d->bus);
    free(d->state);
    free(d);
}

/* --- what others ask for --- */

struct link *devthread_link(struct devthread *d, unsigned vcpu)
{
    return d->link[vcpu];
}

struct busmap *devthread_busmap(struct devthread *d)
{
    return &d->bus.map;
}

int devthread_apic_remap(const struct devthread *d)
{
    for (unsigned n = 0; n < d->board.nwindows && d->bus.cfg.memory; n++)
        if (d->board.window[n].local)
            return d->bus.window_remap[n];
    return -1;
}

uint32_t devthread_queued(const struct devthread *d, unsigned port)
{
    return d->bus.queue[port] ? d->bus.queue[port]->count : 0;
}

void *devthread_state(struct devthread *d)
{
    return d->state;
}

int64_t devthread_rtc_seconds(const struct devthread *d)
{
    return d->cfg.rtc_seconds;
}

uint64_t devthread_panel_until(const struct devthread *d)
{
    if (d->replay)
        return inputlog_end_tick(d->replay);
    return d->cfg.interactive ? TICK_NEVER : 0;
}

void devthread_flush(struct devthread *d)
{
    bus_flush_output(&d->bus);
}

/* In the role of a halted vCPU: input and displays that wait for a picture end it, too. */
void devthread_wait(struct devthread *d, uint64_t tick, uint64_t ns)
{
    bus_serve_screen(&d->bus, tick);
    hostio_wait(d->hostio, HOSTIO_IDLE, ns);
}

struct screen *devthread_screen(struct devthread *d)
{
    return d->bus.cfg.screen;
}

bool devthread_replay_finished(struct devthread *d)
{
    return d->replay && inputlog_next_tick(d->replay) == TICK_NEVER;
}

const char *devthread_error(struct devthread *d)
{
    return d->error;
}

static const struct field position_fields[] = {
    FIELD(struct inputlog_position, entries),
    FIELD(struct inputlog_position, hash),
};

/* Not when the part is asked for: a load asks for it again and again. */
void devthread_settle(struct devthread *d)
{
    const struct inputlog *log = d->record ? d->record : d->replay;

    if (log)
        d->position = *inputlog_position(log);
}

static bool input_part(struct devthread *d, unsigned i, struct state_part *out)
{
    if (i > 0)
        return false;
    *out = (struct state_part){"input-log", position_fields,
                               sizeof(position_fields) / sizeof(position_fields[0]), &d->position};
    return true;
}

bool devthread_part(struct devthread *d, enum state_group group, unsigned i, struct state_part *out)
{
    if (group == STATE_DEVICES)
        return bus_part(&d->bus, i, out);
    return group == STATE_OTHER && input_part(d, i, out);
}

void devthread_seize(struct devthread *d)
{
    link_settle(d->link[0]);
    link_seize(d->link[0]);
}

void devthread_release(struct devthread *d)
{
    link_release(d->link[0]);
}

bool devthread_loaded(struct devthread *d, uint64_t tick, char *err, size_t err_bytes)
{
    if (d->replay && !inputlog_skip(d->replay, &d->position, tick)) {
        snprintf(
            err, err_bytes,
            "rrfile=%.200s: not a recording of the run that the snapshot was made in, nor one that began "
            "at the snapshot",
            d->cfg.replay_file);
        return false;
    }
    const struct physmem *memory = d->bus.cfg.memory;
    unsigned nremaps = memory ? memory->nremaps : 0;
    const char *field = bus_loaded(&d->bus, tick);
    if (!field)
        field = link_loaded(d->link[0], tick, nremaps, d->bus.board->nwindows);
    if (field)
        snprintf(err, err_bytes, "the snapshot is damaged: %s has a value that it cannot have", field);
    return !field;
}

void devthread_end_recording(struct devthread *d, uint64_t tick)
{
    if (!d->record)
        return;
    inputlog_record_end(d->record, tick);
    if (!d->error[0])
        note_errors(d);
}

void devthread_end_connections(struct devthread *d)
{
    for (unsigned i = 0; i < BOARD_PORTS_MAX; i++)
        if (d->net[i])
            net_loaded(d->net[i]);
}

/* The vCPU left its loop at `tick`, perhaps with effects due there: lines are set, the rest is moot. */
static void take_effects(struct devthread *d, uint64_t tick)
{
    struct link *l = d->link[0]; /* a reset is the first vCPU's business */
    struct effect e;

    while (tick >= link_limit(l)) {
        link_arrive(l, tick);
        while (link_effect_take(l, tick, &e))
            if (e.kind == EFFECT_IRQ)
                d->board.intc.set_line(d->state, e.line, e.value);
    }
}

static void reset_local(struct devthread *d, uint64_t tick)
{
    for (unsigned dev = 0; dev < d->board.ndevices; dev++) {
        const struct board_device *b = &d->board.device[dev];
        if (b->present && b->local)
            (b->reset ? b->reset : b->chip->reset)((uint8_t *)d->state + b->state_offset,
                                                   ticks_to_ns(tick, d->cfg.shift));
    }
}

void devthread_settle_own(struct devthread *d)
{
    bus_settle_own(&d->bus);
}

/* The devices are reset by an access like any other, in its place among the others, by whoever holds the
 * baton; the 8259 pair here, on the vCPU's thread. Its lines are told again one tick later. */
void devthread_reset(struct devthread *d, uint64_t tick)
{
    struct access a = {.tick = tick,
                       .addr = BUS_RESET_ADDR,
                       .range = d->bus.reset_range,
                       .size = 4,
                       .kind = ACCESS_MMIO_WRITE};

    take_effects(d, tick);
    link_sync(d->link[0], &a, 1);
    reset_local(d, tick);
}
