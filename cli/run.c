/* run.c - see run.h.
 *
 * Order of life: everything that can fail for the host's or the user's sake happens before the guest's first
 * instruction; then the run; then the end in order (device thread, digest, terminal, last line, statistics),
 * whatever ended the run. */
#include "cli/run.h"

#include "cli/control.h"
#include "cli/display.h"
#include "cli/instruments.h"
#include "cli/media.h"
#include "cli/monitor.h"
#include "cli/qmp.h"
#include "cli/sampler.h"
#include "cli/screendump.h"
#include "cli/signals.h"
#include "cli/snapshots.h"
#include "cli/stats.h"
#include "cli/status.h"
#include "cli/steer.h"
#include "cli/terminal.h"
#include "clockcore/clock.h"
#include "clockcore/ticks.h"
#include "devthread/chardev.h"
#include "machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(SERIALS_MAX == MACHINE_SERIALS_MAX, "as many -serial as ports");
_Static_assert(SAMPLER_NAME_BYTES == MACHINE_THREAD_BYTES, "names of threads");

struct run {
    const struct options *o;
    struct machine *machine;
    struct instruments *instruments;
    FILE *stats_file; /* NULL: stderr */
    FILE *log_file;   /* NULL: stderr */
    FILE *hot_file;   /* -d hot: the list as JSON; NULL: none */
    struct status status;
    struct sampler *sampler; /* NULL: no -stats */
    struct link_figures figures;
    struct run_stats stats;
    bool made[SNAPSHOTS_MAX];             /* snapshots */
    char loadvm[PATH_MAX];                /* -loadvm, once it is looked up */
    const struct snapshot_option *missed; /* the run ended before it; NULL: none */
    const char *until_reason;             /* of MACHINE_STOP_TICK */
    uint64_t random;                      /* of -x-pause */
    struct control *control;              /* NULL: nobody steers */
    struct steer steer;
    struct terminal *terminal; /* NULL: no line is edited */
    bool stdio;                /* standard input and output serve a monitor */
    int mux[2];                /* from mon:stdio to the monitor; -1: none */
    int seat[2];               /* the monitor's and the display's end of curses' monitor; -1: none */
    struct display *display;   /* NULL: none */
    struct keymap *keymap;     /* with a display */
};

/* --- callbacks --- */

static void on_progress(void *ctx, uint64_t tick, uint64_t icount)
{
    status_update(&((struct run *)ctx)->status, tick, icount);
}

static void on_notice(void *ctx, const char *text)
{
    status_erase(&((struct run *)ctx)->status);
    fprintf(stderr, "tandem: %s\n", text);
}

static void on_io_error(void *ctx, const struct blocks_error *e)
{
    media_tell_error(((struct run *)ctx)->control, e);
}

static void on_viewer(void *ctx, enum display_moment moment, const struct display_viewer *server,
                      const struct display_viewer *viewer)
{
    struct run *r = ctx;
    if (r->control)
        qmp_tell_viewer(r->control, &r->o->display, moment, server, viewer);
}

static void on_reset(void *ctx)
{
    steer_was_reset(&((struct run *)ctx)->steer);
}

/* --- start --- */

/* Back end of serial port i; NULL: none. */
static const char *serial_spec(const struct options *o, unsigned i)
{
    if (o->nserial == 0 && i == 0 && !o->nodefaults)
        return o->nographic ? "mon:stdio" : "null";
    return i < o->nserial && !chardev_spec_is_none(o->serial[i]) ? o->serial[i] : NULL;
}

static void machine_of_options(struct run *r, struct machine_config *c)
{
    const struct options *o = r->o;
    machine_config_init(c);
    c->ram_bytes = o->ram_bytes;
    c->bios = o->bios;
    c->firmware_dir = o->firmware_dir;
    c->nfirmware_dirs = o->nfirmware_dirs;
    c->boot = o->boot;
    c->fw_cfg = o->fw_cfg;
    c->nfw_cfg = o->nfw_cfg;
    c->graphics = o->graphics;
    c->kernel = o->kernel;
    c->initrd = o->initrd;
    c->append = o->append;
    for (unsigned i = 0; i < SERIALS_MAX; i++)
        c->serial[i] = serial_spec(o, i);
    memcpy(c->drive, o->drive, sizeof c->drive);
    c->ndrives = o->ndrives;
    memcpy(c->nic, o->nic, sizeof c->nic);
    c->nnics = o->nnics;
    memcpy(c->dump, o->dump, sizeof c->dump);
    c->ndumps = o->ndumps;
    c->debugcon = o->debugcon && !chardev_spec_is_none(o->debugcon) ? o->debugcon : NULL;
    c->debugcon_port = (uint16_t)o->debugcon_port;
    c->vga = (enum machine_vga)o->vga;
    c->marker = o->marker;
    c->marker_port = (uint16_t)o->marker_port;
    c->display = o->display.kind != DISPLAY_NONE;
    c->interactive = o->ncontrols > 0 || c->display;
    c->rtc_seconds = o->rtc.seconds;
    c->shift = o->shift;
    c->cpu = o->cpu;
    c->serial_wire_speed = o->serial_wire_speed;
    c->debug_exit = o->debug_exit;
    c->debug_exit_port = (uint16_t)o->debug_exit_port;
    c->debug_exit_ports = (uint8_t)o->debug_exit_ports;
    c->no_reboot = o->no_reboot;
    c->sleep = o->sleep;
    c->record_file = o->rr == RR_RECORD ? o->rrfile : NULL;
    c->replay_file = o->rr == RR_REPLAY ? o->rrfile : NULL;
    c->loadvm = o->loadvm ? r->loadvm : NULL;
    if (o->loadvm)
        snapshots_path(o, o->loadvm, r->loadvm);
    if (o->snapshots)
        c->snapshots_option = "-snapshots";
    for (unsigned i = 0; i < o->nsnapshots; i++)
        if (!o->snapshot[i].screen)
            c->snapshots_option = "-snapshot-at";
    c->rtc_default = !o->rtc.repeatable || o->rtc.seconds == RTC_BASE_DEFAULT;
    c->mode = o->mode;
    c->vcpu_cpu = o->vcpu_cpu;
    c->device_cpu = o->device_cpu;
    c->translator = (enum translator_mode)o->translator_mode;
    c->hot = o->hot;
    c->translator_threads = o->translator_threads;
    c->code_cache_bytes = o->code_cache_bytes;
    c->chain = o->chain;
    c->long_blocks = (enum long_blocks)o->long_blocks;
    c->moved_blocks = (enum moved_blocks)o->moved_blocks;
    c->digest_file = o->digest_file;
    c->digest_every = o->digest_every;
    c->survey = o->stats;
    c->figures = o->stats && !o->stats_no_latency ? &r->figures : NULL;
    c->log_items = o->log_items;
    c->hot_list = o->hot_list;
    c->log_file = r->log_file ? r->log_file : stderr;
    c->notice = on_notice;
    c->was_reset = on_reset;
    c->io_error = on_io_error;
    c->progress = r->status.on ? on_progress : NULL;
    c->ctx = r;
    c->quantum_ticks = o->quantum_ticks;
    c->jitter_seed = o->jitter_seed;
    c->host_delay_seed = o->host_delay_seed;
    c->host_delay_one_in = o->host_delay_one_in;
    c->plant_late = o->plant_late;
    c->single_tb = o->single_tb;
    c->pretend_differs = (uint32_t)o->pretend_differs;
    c->pretend_lacks = (uint32_t)o->pretend_lacks;
    c->host_unasked = !o->ask_host;
    c->toypci = o->toypci;
}

/* NULL path: no file, and that is fine. */
static bool create_file(const char *option, const char *path, FILE **f, struct err *e)
{
    if (!path)
        return true;
    *f = fopen(path, "we");
    return *f ? true
              : err_set(e, "%s%s: %s; a file that can be written is needed", option, path, strerror(errno));
}

/* -d hot with -D FILE: FILE.hot.json. */
static bool create_hot_file(struct run *r, struct err *e)
{
    char path[PATH_MAX];
    if (!r->o->hot_list || !r->o->log_file)
        return true;
    if (snprintf(path, sizeof path, "%s.hot.json", r->o->log_file) >= (int)sizeof path)
        return err_set(e, "-D %s: with -d hot=N a name that leaves room for .hot.json is needed",
                       r->o->log_file);
    return create_file("-d hot: ", path, &r->hot_file, e);
}

static bool has_monitor(const struct options *o)
{
    for (unsigned i = 0; i < o->ncontrols; i++)
        if (!o->control[i].qmp)
            return true;
    return false;
}

/* Ctrl-A c leads to a monitor, unless there is another one, or none is wanted. */
static bool has_mux(const struct options *o)
{
    for (unsigned i = 0; i < SERIALS_MAX && !has_monitor(o); i++) {
        const char *spec = serial_spec(o, i);
        if (spec && strcmp(spec, "mon:stdio") == 0)
            return true;
    }
    return false;
}

static bool serial_has_stdio(const struct options *o)
{
    for (unsigned i = 0; i < SERIALS_MAX; i++) {
        const char *spec = serial_spec(o, i);
        if (spec && (strcmp(spec, "mon:stdio") == 0 || strcmp(spec, "stdio") == 0))
            return true;
    }
    return false;
}

/* A line that can be edited, with the keys from `keys`. */
static bool open_terminal(struct run *r, int keys, bool asleep, struct err *e)
{
    r->terminal = terminal_create(keys, asleep, e);
    return r->terminal && control_add_fds(r->control, terminal_lines(r->terminal),
                                          terminal_lines(r->terminal), &monitor_edit_class, &r->steer, e);
}

static bool open_mux(struct run *r, struct err *e)
{
    if (pipe2(r->mux, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set(e, "-serial mon:stdio: %s", strerror(errno));
    if (terminal_is_one())
        return open_terminal(r, r->mux[0], true, e);
    return control_add_fds(r->control, r->mux[0], STDOUT_FILENO, &monitor_mux_class, &r->steer, e);
}

/* -display curses shows a monitor, unless there is another one, or none is wanted. */
static bool has_seat(const struct options *o)
{
    return o->display.kind == DISPLAY_CURSES && !has_monitor(o);
}

static bool open_seat(struct run *r, struct err *e)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, r->seat) != 0)
        return err_set(e, "-display curses: %s", strerror(errno));
    return control_add_fds(r->control, r->seat[0], r->seat[0], &monitor_class, &r->steer, e);
}

static const struct control_class *class_of(const struct control_option *o)
{
    return !o->qmp ? &monitor_class : o->pretty ? &qmp_pretty_class : &qmp_class;
}

static bool open_stdio(struct run *r, const struct control_option *c, struct err *e)
{
    if (serial_has_stdio(r->o))
        return err_set(
            e, "%s stdio: standard input and output serve a serial port; mon:stdio there has a monitor too",
            c->option);
    if (r->stdio)
        return err_set(e, "%s stdio: standard input and output serve another monitor already", c->option);
    r->stdio = true;
    if (c->qmp || !terminal_is_one() || r->terminal)
        return control_add(r->control, c->option, "stdio", class_of(c), &r->steer, on_notice, r, e);
    if (!chardev_tty_raw(STDIN_FILENO, true))
        return err_set(e, "%s stdio: terminal: %s", c->option, strerror(errno));
    return open_terminal(r, STDIN_FILENO, false, e);
}

static bool open_control(struct run *r, const struct control_option *c, struct err *e)
{
    if (strcmp(c->spec, "stdio") == 0)
        return open_stdio(r, c, e);
    return control_add(r->control, c->option, c->spec, class_of(c), &r->steer, on_notice, r, e);
}

/* Those who steer may have to come before anything runs. */
static bool open_controls(struct run *r, struct err *e)
{
    const struct options *o = r->o;
    const bool mux = has_mux(o), seat = has_seat(o);
    r->control = o->ncontrols || mux || seat ? control_create(e) : NULL;
    if ((o->ncontrols || mux || seat) && !r->control)
        return false;
    if ((mux && !open_mux(r, e)) || (seat && !open_seat(r, e)))
        return false;
    for (unsigned i = 0; i < o->ncontrols; i++)
        if (!open_control(r, &o->control[i], e))
            return false;
    return true;
}

/* The terminal is curses'. */
static bool display_fits(const struct options *o, struct err *e)
{
    bool stdio = o->nographic && !o->nodefaults && !o->nserial;
    for (unsigned i = 0; i < o->nserial; i++)
        stdio |= strstr(o->serial[i], "stdio") != NULL;
    for (unsigned i = 0; i < o->ncontrols; i++)
        stdio |= strcmp(o->control[i].spec, "stdio") == 0;
    return o->display.kind != DISPLAY_CURSES || !stdio ||
           err_set(e,
                   "-display curses: the terminal is also that of -nographic, -serial or -monitor; each of "
                   "them needs one of its own");
}

static bool open_display(struct run *r, struct err *e)
{
    const char *layout = r->o->keyboard_layout;
    if (r->o->display.kind == DISPLAY_NONE)
        return true;
    r->keymap = keymap_create(layout ? layout : "us", e);
    if (!r->keymap || !display_fits(r->o, e))
        return false;
    r->display = display_open(&r->o->display, r->seat[1], e);
    if (!r->display)
        return false;
    r->display->tell = on_viewer;
    r->display->tell_ctx = r;
    return true;
}

static void close_display(struct run *r)
{
    r->steer.display = NULL;
    display_close(r->display);
    r->display = NULL;
}

static void on_request(void *machine)
{
    machine_pause_request(machine);
}

static bool waits_for_host(void *machine)
{
    return machine_io_waits(machine);
}

static bool create(struct run *r, struct err *e)
{
    struct machine_config cfg;
    if (!create_file("-stats: file=", r->o->stats_file, &r->stats_file, e) ||
        !create_file("-D ", r->o->log_file, &r->log_file, e) || !create_hot_file(r, e))
        return false;
    r->instruments = instruments_create(r->o, e);
    if (!r->instruments)
        return false;
    if (!open_controls(r, e))
        return false;
    if (!open_display(r, e))
        return false;
    machine_of_options(r, &cfg);
    cfg.monitor_fd = r->mux[1] > 0 ? r->mux[1] : 0;
    cfg.observer = instruments_observer(r->instruments);
    r->machine = machine_create(&cfg, e);
    return r->machine != NULL;
}

static void sample(struct run *r)
{
    char name[MACHINE_THREAD_BYTES];
    const struct activity *a;
    r->sampler = r->o->stats ? sampler_create() : NULL;
    if (!r->sampler)
        return;
    for (unsigned i = 0; (a = machine_activity(r->machine, i, name)); i++)
        sampler_add(r->sampler, name, a);
    sampler_start(r->sampler);
}

/* --- end --- */

static const struct {
    const char *reason;
    int status;
} endings[] = {
    [MACHINE_STOP_TICK] = {"the tick limit was reached", RUN_OK},
    [MACHINE_STOP_QUIT] = {"ended by a signal", EXIT_BY_SIGNAL},
    [MACHINE_STOP_CONSOLE] = {"ended from the console (Ctrl-A x)", RUN_OK},
    [MACHINE_STOP_POWEROFF] = {"the guest powered off", RUN_OK},
    [MACHINE_STOP_RESET] = {"the guest asked for a reset (-no-reboot)", RUN_OK},
    [MACHINE_STOP_DEBUG_EXIT] = {"the guest left through isa-debug-exit", RUN_OK},
    [MACHINE_STOP_HALTED] = {"the guest halted and nothing can wake it", RUN_OK},
    [MACHINE_STOP_TRIPLE_FAULT] = {"triple fault (-no-reboot)", RUN_TRIPLE_FAULT},
};

static void note_ending(struct run *r, enum machine_stop why)
{
    struct run_stats *s = &r->stats;
    s->reason = endings[why].reason;
    s->status = endings[why].status;
    if (why == MACHINE_STOP_TICK)
        s->reason = r->until_reason;
    if (why == MACHINE_STOP_DEBUG_EXIT)
        s->status = (int)(machine_exit_value(r->machine) & 0xff);
    if (why == MACHINE_STOP_QUIT)
        s->status += signals_received();
    if (why == MACHINE_STOP_QUIT && signals_received() == SIGINT)
        s->reason = "ended by SIGINT";
}

/* option: "-D FILE" up to the file's name. */
static bool close_file(const char *option, const char *path, FILE **file, struct err *e)
{
    FILE *f = *file;
    *file = NULL;
    if (!f)
        return true;
    bool bad = ferror(f);
    return fclose(f) == 0 && !bad
               ? true
               : err_set(e, "%s%s: could not be written: %s", option, path, strerror(errno));
}

static const char *moment_option(const struct snapshot_option *s)
{
    return s->screen ? "-screendump-at" : "-snapshot-at";
}

static bool tell_missed(const struct run *r, struct err *e)
{
    const struct snapshot_option *s = r->missed;
    const uint64_t tick = r->stats.machine.tick;
    if (s->mark || s->text)
        return err_set(e, "%s %s=%s: the run ended before, at tick %" PRIu64, moment_option(s),
                       s->mark ? "mark" : "text", s->mark ? s->mark : s->text, tick);
    return err_set(e, "%s %" PRIu64 ": the run ended before, at tick %" PRIu64, moment_option(s), s->tick,
                   tick);
}

/* Says how it ended and writes what was asked for. False: the host failed. */
static bool finish(struct run *r, struct err *e)
{
    struct err why = {0};
    const bool watched = instruments_end(r->instruments, &why);
    bool ok = machine_finish(r->machine, &r->stats.machine, e);
    if (ok && !watched) {
        *e = why;
        ok = false;
    }
    status_erase(&r->status);
    fprintf(stderr, "tandem: %s at tick %" PRIu64 " (%.3f s of virtual time)\n", r->stats.reason,
            r->stats.machine.tick, (double)r->stats.machine.virtual_ns / 1e9);
    if (r->o->stats)
        stats_print(r->stats_file ? r->stats_file : stderr, r->o, &r->stats);
    machine_list_hot(r->machine, r->log_file ? r->log_file : stderr, r->hot_file);
    if (ok && r->missed)
        ok = tell_missed(r, e);
    return ok && close_file("-D FILE.hot.json ", r->o->log_file, &r->hot_file, e) &&
           close_file("-D ", r->o->log_file, &r->log_file, e) &&
           close_file("-stats: file=", r->o->stats_file, &r->stats_file, e);
}

static void destroy(struct run *r)
{
    close_display(r);
    keymap_destroy(r->keymap);
    sampler_destroy(r->sampler);
    control_destroy(r->control);
    terminal_destroy(r->terminal);
    machine_destroy(r->machine);
    instruments_destroy(r->instruments);
    for (unsigned i = 0; i < 2; i++)
        if (r->mux[i] >= 0)
            close(r->mux[i]);
    for (unsigned i = 0; i < 2; i++)
        if (r->seat[i] >= 0)
            close(r->seat[i]);
    if (r->stats_file)
        fclose(r->stats_file);
    if (r->log_file)
        fclose(r->log_file);
    if (r->hot_file)
        fclose(r->hot_file);
}

static enum machine_stop run_to(struct run *r, uint64_t tick, struct err *e)
{
    struct vcpu_until until = {.tick = tick};
    instruments_until(r->instruments, &until);
    return machine_run_until(r->machine, &until, e);
}

/* --- -snapshot-at and -until --- */

/* Why the run ends here. NULL: it does not. */
static const char *until_reached(const struct run *r)
{
    const uint64_t tick = machine_tick(r->machine);
    if (instruments_mark_came(r->instruments))
        return "the mark of -until was reached";
    if (instruments_text_came(r->instruments))
        return "the guest sent the text of -until";
    if (tick >= r->o->marks.until.tick)
        return "the tick of -until was reached";
    return tick >= r->o->tick_limit ? endings[MACHINE_STOP_TICK].reason : NULL;
}

/* The next tick at which something is to be done. */
static uint64_t next_stand(const struct run *r)
{
    uint64_t next = r->o->marks.until.tick;
    next = r->o->tick_limit < next ? r->o->tick_limit : next;
    next = steer_next_tick(&r->steer) < next ? steer_next_tick(&r->steer) : next;
    for (unsigned i = 0; i < r->o->nsnapshots; i++)
        if (!r->made[i] && r->o->snapshot[i].tick < next &&
            r->o->snapshot[i].tick >= machine_tick(r->machine))
            next = r->o->snapshot[i].tick;
    return next;
}

static bool snapshot_is_due(const struct run *r, unsigned i)
{
    return !r->made[i] && (r->o->snapshot[i].tick == machine_tick(r->machine) ||
                           instruments_snapshot_came(r->instruments, i));
}

static bool make_snapshot(struct run *r, const struct snapshot_option *s, struct err *e)
{
    struct err why;
    if (s->screen)
        return screendump_write(r->machine, s->file, SCREENDUMP_BY_NAME, &why) ||
               err_set(e, "-screendump-at: file=%s", why.text);
    return machine_save(r->machine, s->file, &why) || err_set(e, "-snapshot-at: %s", why.text);
}

static bool make_snapshots(struct run *r, struct err *e)
{
    for (unsigned i = 0; i < r->o->nsnapshots; i++) {
        if (!snapshot_is_due(r, i))
            continue;
        r->made[i] = true;
        if (!make_snapshot(r, &r->o->snapshot[i], e))
            return false;
    }
    return true;
}

/* The screens of -screendump-at end. */
static bool make_last_screens(struct run *r, struct err *e)
{
    for (unsigned i = 0; i < r->o->nsnapshots; i++)
        if (r->o->snapshot[i].at_end && !make_snapshot(r, &r->o->snapshot[i], e))
            return false;
    return true;
}

static bool first_ticks_are_ahead(const struct run *r, struct err *e)
{
    const uint64_t tick = machine_tick(r->machine);
    if (r->o->nsnapshots && r->o->snapshot[0].tick < tick)
        return err_set(e, "%s %" PRIu64 ": the run begins at tick %" PRIu64, moment_option(r->o->snapshot),
                       r->o->snapshot[0].tick, tick);
    return true;
}

static void note_missed(struct run *r)
{
    for (unsigned i = r->o->nsnapshots; i-- > 0;)
        if (!r->made[i] && !r->o->snapshot[i].at_end)
            r->missed = &r->o->snapshot[i];
}

/* -x-pause: stands at ticks that the seed chooses, and each time looks at the whole state. */
static uint64_t next_pause(struct run *r)
{
    char hex[DIGEST_HEX];
    if (!r->o->pause_every)
        return TICK_NEVER;
    machine_state_hex(r->machine, hex);
    r->random = r->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return machine_tick(r->machine) + 1 + (r->random >> 33) % (2 * r->o->pause_every);
}

/* A request is no end; under -no-shutdown the guest's power-off is none either. */
static enum machine_stop run_stretch(struct run *r, struct err *e)
{
    const uint64_t next = next_stand(r), pause = next_pause(r);
    const enum machine_stop stop = run_to(r, next < pause ? next : pause, e);
    if (stop == MACHINE_STOP_POWEROFF && r->o->no_shutdown) {
        on_notice(r, "the guest powered off; the machine stands (-no-shutdown) until Ctrl-A x or a signal");
        steer_shutdown(&r->steer);
        return MACHINE_STOP_TICK;
    }
    return stop == MACHINE_STOP_PAUSE ? MACHINE_STOP_TICK : stop;
}

/* Stands wherever something is to be done, and goes on. */
static enum machine_stop run_guest(struct run *r, struct err *e)
{
    enum machine_stop stop = MACHINE_STOP_TICK;
    r->random = r->o->pause_seed * 2 + 1;
    if (!first_ticks_are_ahead(r, e))
        return MACHINE_STOP_ERROR;
    while (!r->until_reason && (stop = steer_stand(&r->steer)) == MACHINE_STOP_TICK && !r->steer.quit) {
        stop = run_stretch(r, e);
        if (stop != MACHINE_STOP_TICK)
            break;
        if (!make_snapshots(r, e))
            return MACHINE_STOP_ERROR;
        r->until_reason = until_reached(r);
    }
    if (r->steer.quit)
        r->until_reason = r->steer.quit;
    steer_end(&r->steer);
    note_missed(r);
    return stop;
}

static int run_and_report(struct run *r, struct err *e)
{
    sample(r);
    if (!instruments_begin(r->instruments, r->machine, e))
        return RUN_HOST_ERROR;
    uint64_t start_ns = clock_realtime_ns();
    signals_aim(r->machine);
    steer_init(&r->steer, r->o, r->machine, r->control);
    if (r->control)
        control_waits(r->control, waits_for_host, r->machine);
    if (r->control && !control_start(r->control, on_request, r->machine, e))
        return RUN_HOST_ERROR;
    if (r->display && !display_start(r->display, r->machine, r->keymap, e))
        return RUN_HOST_ERROR;
    r->steer.display = r->display;
    enum machine_stop why = run_guest(r, e);
    signals_aim(NULL);
    close_display(r);
    steer_ends(&r->steer, why);
    if (r->control)
        control_stop(r->control);
    terminal_stop(r->terminal);
    r->stats.wall_ns = clock_realtime_ns() - start_ns;
    if (r->sampler)
        sampler_stop(r->sampler);
    r->stats.sampler = r->sampler;
    r->stats.figures = r->o->stats_no_latency ? NULL : &r->figures;
    if (why == MACHINE_STOP_ERROR)
        return RUN_HOST_ERROR;
    note_ending(r, why);
    if (!make_last_screens(r, e))
        return RUN_HOST_ERROR;
    return finish(r, e) ? r->stats.status : RUN_HOST_ERROR;
}

int run(const struct options *o, struct err *e)
{
    struct run r = {.o = o, .mux = {-1, -1}, .seat = {-1, -1}};
    status_init(&r.status, o);
    int status = create(&r, e) ? run_and_report(&r, e) : RUN_HOST_ERROR;
    destroy(&r);
    return status;
}
