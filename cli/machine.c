/* machine.c - see machine.h.
 *
 * Order of life: everything that can fail for the host's or the user's sake happens before the device thread
 * starts; then the run loop, one turn for each guest reset; then the end in order (device thread, digest,
 * terminal, statistics), whatever ended the run. */
#include "cli/machine.h"

#include "cli/sampler.h"
#include "cli/signals.h"
#include "cli/stats.h"
#include "cli/status.h"
#include "clockcore/clock.h"
#include "clockcore/ticks.h"
#include "devthread/chardev.h"
#include "devthread/devthread.h"
#include "hw/acpi.h"
#include "hw/pc.h"
#include "machine/boot.h"
#include "machine/digest.h"
#include "syncq/place.h"
#include "vcpu/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <xxhash.h>

_Static_assert(SERIALS_MAX == PC_SERIAL_MAX, "as many -serial as ports");

struct machine {
    const struct options *o;
    struct boot_source source;
    struct ram ram;
    struct place place;
    struct board board;
    struct devthread *dev;
    struct vcpu *vcpu;
    struct digest *digest;
    FILE *stats_file; /* NULL: stderr */
    FILE *log_file;   /* NULL: stderr */
    struct status status;
    uint8_t acpi[ACPI_BYTES_MAX];
    struct boot_acpi boot_acpi;
    struct boot_entry entry;
    uint64_t start_ns;
    struct sampler *sampler; /* NULL: no -stats */
    struct run_stats stats;
    bool triple_fault_told;
};

/* --- callbacks, on the vCPU's thread --- */

static void on_digest(void *ctx, uint64_t tick)
{
    struct machine *m = ctx;
    link_settle(devthread_link(m->dev));
    digest_point(m->digest, tick);
}

static void on_progress(void *ctx, uint64_t tick)
{
    struct machine *m = ctx;
    struct vcpu_stats s;
    if (!m->status.on)
        return;
    vcpu_get_stats(m->vcpu, &s);
    status_update(&m->status, tick, s.icount);
}

static void on_notice(void *ctx, const char *line)
{
    status_erase(&((struct machine *)ctx)->status);
    fprintf(stderr, "tandem: %s\n", line);
}

static size_t digest_cpu(void *ctx, uint8_t *out, size_t max)
{
    return vcpu_state_bytes(((struct machine *)ctx)->vcpu, out, max);
}

static const struct chip_class *digest_chip(void *ctx, unsigned i, const void **state)
{
    struct devthread_chip c;
    if (!devthread_chip(((struct machine *)ctx)->dev, i, &c))
        return NULL;
    *state = c.state;
    return c.chip;
}

static void digest_rearm(void *ctx)
{
    vcpu_dirty_rearm(((struct machine *)ctx)->vcpu);
}

/* --- start --- */

/* RAM is allocated on touch, so the host would notice too late that it has not that much. */
static bool create_ram(struct machine *m, struct err *e)
{
    struct sysinfo host;
    unsigned long long mib = m->o->ram_bytes >> 20;
    if (sysinfo(&host) == 0) {
        uint64_t have = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
        if (m->o->ram_bytes > have)
            return err_set(e, "-m: %llu MiB is more than this host's memory of %llu MiB", mib,
                           (unsigned long long)have >> 20);
    }
    int rc = ram_init(&m->ram, m->o->ram_bytes);
    return rc == 0 || err_set(e, "-m: the host does not give %llu MiB of memory: %s", mib, strerror(rc));
}

/* Back end of serial port i; NULL: none. */
static const char *serial_spec(const struct options *o, unsigned i)
{
    if (o->nserial == 0 && i == 0 && !o->nodefaults)
        return o->nographic ? "mon:stdio" : "null";
    return i < o->nserial && !chardev_spec_is_none(o->serial[i]) ? o->serial[i] : NULL;
}

static unsigned serial_mask(const struct options *o)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < SERIALS_MAX; i++)
        mask |= (unsigned)(serial_spec(o, i) != NULL) << i;
    return mask;
}

static bool create_board(struct machine *m, struct err *e)
{
    const struct options *o = m->o;
    struct pc_config pc;
    pc_config_init(&pc);
    pc.ram_bytes = o->ram_bytes;
    pc.debug_exit = o->debug_exit;
    pc.debug_exit_iobase = (uint16_t)o->debug_exit_port;
    pc.debug_exit_iosize = (uint8_t)o->debug_exit_ports;
    for (unsigned i = 0; i < SERIALS_MAX; i++)
        pc.com[i] = serial_spec(o, i) != NULL;
    return pc_board(&m->board, &pc) ||
           err_set(
               e,
               "-device isa-debug-exit: iobase=0x%x,iosize=%u (accepted: iosize 1, 2 or 4, and ports that "
               "no other device has)",
               pc.debug_exit_iobase, pc.debug_exit_iosize);
}

static void device_config(struct machine *m, struct devthread_config *cfg)
{
    const struct options *o = m->o;
    devthread_config_init(cfg);
    cfg->board = &m->board;
    cfg->mode = o->mode;
    cfg->shift = o->shift;
    cfg->sleep = o->sleep;
    cfg->quantum_ticks = o->quantum_ticks;
    for (unsigned i = 0; i < SERIALS_MAX; i++)
        cfg->chardev[PC_PORT_SERIAL0 + i] = serial_spec(o, i);
    cfg->rtc_seconds = o->rtc.seconds;
    cfg->record_file = o->rr == RR_RECORD ? o->rrfile : NULL;
    cfg->replay_file = o->rr == RR_REPLAY ? o->rrfile : NULL;
    cfg->host_cpu = m->place.dev_cpu;
    cfg->spin_iterations = m->place.spin_iterations;
    cfg->jitter_seed = o->jitter_seed;
    cfg->plant_late = o->plant_late;
    cfg->notice = on_notice;
    cfg->notice_ctx = m;
}

static bool choose_place(struct machine *m, struct err *e)
{
    const struct options *o = m->o;
    char why[ERR_BYTES / 2];
    if (!place_choose(o->vcpu_cpu, o->device_cpu, &m->place, why, sizeof why))
        return err_set(e, "%s", why);
    return true;
}

static bool create_devices(struct machine *m, struct err *e)
{
    struct devthread_config cfg;
    char why[ERR_BYTES - 1];
    device_config(m, &cfg);
    m->dev = devthread_create(&cfg, why, sizeof why);
    return m->dev ? true : err_set(e, "%s", why);
}

static bool create_vcpu(struct machine *m, struct err *e)
{
    const struct options *o = m->o;
    struct vcpu_config cfg = {
        .ram = &m->ram,
        .link = devthread_link(m->dev),
        .bus = devthread_busmap(m->dev),
        .shift = o->shift,
        .intc = {devthread_state(m->dev), m->board.intc.set_line, m->board.intc.intr,
                 m->board.intc.acknowledge, m->board.intc.can_interrupt},
        .single_tb = o->single_tb,
        .digest_every = o->digest_file ? o->digest_every : 0,
        .digest = on_digest,
        .translator = (enum translator_mode)o->translator_mode,
        .hot = o->hot,
        .code_cache_bytes = o->code_cache_bytes,
        .no_chain = !o->chain,
        .translator_threads =
            o->translator_threads < 0 ? place_spare_cpus(&m->place) : (unsigned)o->translator_threads,
        .translator_not_on_cpu = m->place.vcpu_cpu,
        .translator_jitter = o->jitter_seed,
        .survey = o->stats,
        .log_items = o->log_items,
        .log_file = m->log_file ? m->log_file : stderr,
        .digest_ctx = m,
        .progress = on_progress,
        .progress_ctx = m,
        .tick_limit = o->tick_limit,
    };
    m->vcpu = vcpu_create(&cfg);
    return m->vcpu ? true
                   : err_set(e, "no host memory for the vCPU and its translator; -translator cache=SIZE "
                                "makes it smaller, mode=interp needs "
                                "none");
}

static uint64_t image_hash(const struct image *img)
{
    return img->data ? XXH3_64bits(img->data, img->bytes) : 0;
}

/* What the guest's state is a function of, and nothing else: two runs of one machine have one header. */
static bool create_digest(struct machine *m, struct err *e)
{
    const struct options *o = m->o;
    const struct digest_source src = {&m->ram, m, digest_cpu, digest_chip, digest_rearm};
    uint64_t modules = 0;
    for (unsigned i = 0; i < m->source.nmodules; i++)
        modules = modules * 31 + image_hash(&m->source.module[i].image);
    char header[512];
    snprintf(header, sizeof header,
             "version=%s ram=%" PRIu64 " shift=%u every=%" PRIu64 " rtc=%" PRId64
             " serial=%#x exit=%#x kernel=%016" PRIx64 " initrd=%016" PRIx64 " append=%016" PRIx64,
             TANDEM_VERSION, o->ram_bytes, o->shift, o->digest_every, devthread_rtc_seconds(m->dev),
             serial_mask(o), o->debug_exit ? o->debug_exit_port : 0, image_hash(&m->source.kernel), modules,
             (uint64_t)XXH3_64bits(m->source.append, strlen(m->source.append)));
    m->digest = digest_open(o->digest_file, header, &src, e);
    return m->digest != NULL;
}

static bool create_stats_file(struct machine *m, struct err *e)
{
    if (!m->o->stats_file)
        return true;
    m->stats_file = fopen(m->o->stats_file, "we");
    return m->stats_file ? true
                         : err_set(e, "-stats: file=%s: %s; a file that can be written is needed",
                                   m->o->stats_file, strerror(errno));
}

static bool create_log_file(struct machine *m, struct err *e)
{
    if (!m->o->log_file)
        return true;
    m->log_file = fopen(m->o->log_file, "we");
    return m->log_file ? true
                       : err_set(e, "-D %s: %s; a file that can be written is needed", m->o->log_file,
                                 strerror(errno));
}

/* RAM and CPU as the loader leaves them; the vCPU has just been created or reset. */
static bool load_guest(struct machine *m, struct err *e)
{
    if (!boot_load(&m->ram, &m->source, &m->boot_acpi, &m->entry, e))
        return false;
    vcpu_set_flat32(m->vcpu, m->entry.eip, BOOT_CS, BOOT_DS);
    struct guest_state *g = vcpu_state(m->vcpu);
    g->slot[IR_EAX] = m->entry.eax;
    g->slot[IR_EBX] = m->entry.ebx;
    g->slot[IR_ESI] = m->entry.esi;
    g->gdtr = (struct desc_table){m->entry.gdt_addr, BOOT_GDT_BYTES - 1};
    vcpu_state_changed(m->vcpu);
    return true;
}

static bool create(struct machine *m, struct err *e)
{
    const struct options *o = m->o;
    m->boot_acpi.tables = m->acpi;
    m->boot_acpi.bytes = acpi_build(m->acpi, sizeof m->acpi, BOOT_ACPI, &m->boot_acpi.rsdp_addr);
    return boot_source_read(&m->source, o->kernel, o->initrd, o->append, o->ram_bytes, e) &&
           create_ram(m, e) && create_stats_file(m, e) && create_log_file(m, e) && choose_place(m, e) &&
           create_board(m, e) && create_devices(m, e) && create_vcpu(m, e) && load_guest(m, e) &&
           create_digest(m, e);
}

static bool start(struct machine *m, struct err *e)
{
    char why[ERR_BYTES - 1];
    if (!devthread_start(m->dev, why, sizeof why))
        return err_set(e, "%s", why);
    /* Last: a thread inherits the CPUs of the one that starts it. */
    return place_bind_self(m->place.vcpu_cpu) ||
           err_set(e, "-devthread: vcpu-cpu=%d: %s", m->place.vcpu_cpu, strerror(errno));
}

static void sample(struct machine *m)
{
    struct link *link = devthread_link(m->dev);
    char name[SAMPLER_NAME_BYTES];
    m->sampler = m->o->stats ? sampler_create() : NULL;
    if (!m->sampler)
        return;
    sampler_add(m->sampler, "vCPU", link_vcpu_activity(link));
    if (m->o->mode != LINK_INLINE)
        sampler_add(m->sampler, "devices", link_device_activity(link));
    for (unsigned i = 0; i < vcpu_workers(m->vcpu); i++) {
        snprintf(name, sizeof name, "translator %u", i);
        sampler_add(m->sampler, name, vcpu_worker_activity(m->vcpu, i));
    }
    sampler_start(m->sampler);
}

/* --- run --- */

static bool reset(struct machine *m, enum vcpu_exit why, struct err *e)
{
    if (why == VCPU_EXIT_TRIPLE_FAULT && !m->triple_fault_told) {
        m->triple_fault_told = true;
        on_notice(m, "triple fault: the machine resets (-no-reboot ends instead; told once)");
    }
    m->stats.resets++;
    devthread_reset(m->dev, vcpu_tick(m->vcpu));
    ram_clear(&m->ram);
    vcpu_reset(m->vcpu);
    return load_guest(m, e);
}

static bool is_reset(const struct machine *m, enum vcpu_exit why)
{
    return !m->o->no_reboot && (why == VCPU_EXIT_RESET || why == VCPU_EXIT_TRIPLE_FAULT);
}

static bool run(struct machine *m, enum vcpu_exit *why, struct err *e)
{
    sample(m);
    m->start_ns = clock_realtime_ns();
    *why = vcpu_run(m->vcpu);
    while (is_reset(m, *why) && !link_stopping(devthread_link(m->dev))) {
        if (!reset(m, *why, e))
            return false;
        *why = vcpu_run(m->vcpu);
    }
    if (is_reset(m, *why)) /* asked to stop while it reset */
        *why = VCPU_EXIT_STOPPED;
    return true;
}

/* --- end --- */

static const struct {
    const char *reason;
    int status;
} endings[] = {
    [VCPU_EXIT_POWEROFF] = {"the guest powered off", MACHINE_OK},
    [VCPU_EXIT_RESET] = {"the guest asked for a reset (-no-reboot)", MACHINE_OK},
    [VCPU_EXIT_DEBUG] = {"the guest left through isa-debug-exit", MACHINE_OK},
    [VCPU_EXIT_HALTED] = {"the guest halted and nothing can wake it", MACHINE_OK},
    [VCPU_EXIT_TRIPLE_FAULT] = {"triple fault (-no-reboot)", MACHINE_TRIPLE_FAULT},
    [VCPU_EXIT_STOPPED] = {"stopped", MACHINE_OK},
    [VCPU_EXIT_TICK_LIMIT] = {"the tick limit was reached", MACHINE_OK},
};

static void note_ending(struct machine *m, enum vcpu_exit why)
{
    struct run_stats *s = &m->stats;
    s->reason = endings[why].reason;
    s->status = endings[why].status;
    if (why == VCPU_EXIT_DEBUG)
        s->status = (int)(vcpu_exit_value(m->vcpu) & 0xff);
    if (why == VCPU_EXIT_STOPPED && signals_received()) {
        s->reason = signals_received() == SIGINT ? "ended by SIGINT" : "ended by a signal";
        s->status = EXIT_BY_SIGNAL + signals_received();
    } else if (why == VCPU_EXIT_STOPPED && devthread_quit_requested(m->dev)) {
        s->reason = "ended from the console (Ctrl-A x)";
    }
}

static void collect_stats(struct machine *m)
{
    struct run_stats *s = &m->stats;
    s->tick = vcpu_tick(m->vcpu);
    s->virtual_ns = vcpu_now_ns(m->vcpu);
    vcpu_get_stats(m->vcpu, &s->vcpu);
    link_get_stats(devthread_link(m->dev), &s->link);
}

/* After a stop from outside the last posted accesses may never be taken; otherwise they must be in the
 * digest. */
static void stop(struct machine *m, enum vcpu_exit why)
{
    m->stats.wall_ns = clock_realtime_ns() - m->start_ns;
    if (m->sampler)
        sampler_stop(m->sampler);
    m->stats.sampler = m->sampler;
    if (why != VCPU_EXIT_STOPPED)
        link_settle(devthread_link(m->dev));
    devthread_stop(m->dev);
    collect_stats(m);
    digest_end(m->digest, m->stats.tick, m->stats.state_hex);
    status_erase(&m->status);
}

static bool close_stats_file(struct machine *m, struct err *e)
{
    FILE *f = m->stats_file;
    m->stats_file = NULL;
    if (!f)
        return true;
    bool bad = ferror(f);
    return fclose(f) == 0 && !bad
               ? true
               : err_set(e, "-stats: file=%s: could not be written: %s", m->o->stats_file, strerror(errno));
}

static bool close_log_file(struct machine *m, struct err *e)
{
    FILE *f = m->log_file;
    m->log_file = NULL;
    if (!f)
        return true;
    bool bad = ferror(f);
    return fclose(f) == 0 && !bad
               ? true
               : err_set(e, "-D %s: could not be written: %s", m->o->log_file, strerror(errno));
}

/* Says how it ended and writes what was asked for. False: the host failed. */
static bool report(struct machine *m, struct err *e)
{
    char why[ERR_BYTES - 1];
    snprintf(why, sizeof why, "%s", devthread_error(m->dev));
    devthread_destroy(m->dev); /* all output first, and the terminal as it was */
    m->dev = NULL;
    fprintf(stderr, "tandem: %s at tick %" PRIu64 " (%.3f s of virtual time)\n", m->stats.reason,
            m->stats.tick, (double)m->stats.virtual_ns / 1e9);
    if (m->o->stats)
        stats_print(m->stats_file ? m->stats_file : stderr, m->o, &m->stats);
    bool digest_ok = digest_close(m->digest, e);
    m->digest = NULL;
    bool log_ok = close_log_file(m, e);
    return digest_ok && log_ok && close_stats_file(m, e) && (!why[0] || err_set(e, "%s", why));
}

static void destroy(struct machine *m)
{
    struct err ignored;
    signals_aim(NULL);
    sampler_destroy(m->sampler);
    if (m->digest)
        digest_close(m->digest, &ignored);
    if (m->vcpu)
        vcpu_destroy(m->vcpu);
    devthread_destroy(m->dev);
    if (m->stats_file)
        fclose(m->stats_file);
    if (m->log_file)
        fclose(m->log_file);
    if (m->ram.host)
        ram_free(&m->ram);
    boot_source_free(&m->source);
}

static int run_and_report(struct machine *m, struct err *e)
{
    enum vcpu_exit why;
    if (!start(m, e))
        return MACHINE_HOST_ERROR;
    signals_aim(devthread_link(m->dev));
    bool ran = run(m, &why, e);
    if (!ran) {
        devthread_stop(m->dev);
        return MACHINE_HOST_ERROR;
    }
    note_ending(m, why);
    stop(m, why);
    signals_aim(NULL);
    return report(m, e) ? m->stats.status : MACHINE_HOST_ERROR;
}

int machine_run(const struct options *o, struct err *e)
{
    struct machine m = {.o = o};
    status_init(&m.status, o);
    int status = create(&m, e) ? run_and_report(&m, e) : MACHINE_HOST_ERROR;
    destroy(&m);
    return status;
}
