/* machine.c - see machine.h. */
#include "machine/machine.h"

#include "clockcore/rtcbase.h"
#include "clockcore/ticks.h"
#include "devthread/screen.h"
#include "hw/acpi.h"
#include "hw/mptable.h"
#include "hw/pc.h"
#include "hw/pcintc.h"
#include "machine/boot.h"
#include "machine/bootorder.h"
#include "machine/firmware.h"
#include "machine/pcmem.h"
#include "machine/snapshot.h"
#include "machine/state.h"
#include "machine/vgafont.h"
#include "mem/own.h"
#include "mem/remap.h"
#include "syncq/activity.h"
#include "syncq/pinning.h"
#include "vcpu/parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <xxhash.h>

#define RAM_BYTES_DEFAULT (UINT64_C(128) << 20)
#define LOAD_NS_MAX       (UINT64_C(1) << 62) /* of virtual time, 146 years: sums of ticks do not overflow */

/* MATCH cpu_pins */
_Static_assert((int)BOARD_PIN_NMI == (int)VCPU_PIN_NMI && (int)BOARD_PIN_INIT == (int)VCPU_PIN_INIT &&
                   (int)BOARD_PIN_WAIT == (int)VCPU_PIN_WAIT && (int)BOARD_PIN_SIPI == (int)VCPU_PIN_SIPI,
               "one value for both");

struct machine {
    struct machine_config cfg;
    struct boot_source source;
    struct image rom;     /* firmware; empty: none */
    struct image vgabios; /* for its font, where there is no firmware; empty: none */
    struct firmware_items items;
    struct physmem mem;
    struct pinning pinning;
    struct board board;
    struct drives drives;
    struct nics nics;
    struct image nic_rom[PC_NICS]; /* expansion ROMs; empty: none */
    struct devthread *dev;
    struct vcpu *vcpu;
    struct digest *digest;
    uint8_t acpi[ACPI_BYTES_MAX], mp[MPTABLE_BYTES_MAX];
    struct boot_acpi boot_acpi;
    uint64_t resets;
    bool triple_fault_told;
    struct machine_parts parts;
    struct snapshot_reader *loadvm;             /* until it is loaded */
    char identity[SNAPSHOT_IDENTITY_BYTES / 2]; /* what the guest's state is a function of */
    enum machine_stop ended;                    /* the guest ended itself; MACHINE_STOP_ERROR: not yet */
};

void machine_config_init(struct machine_config *cfg)
{
    *cfg = (struct machine_config){
        .ram_bytes = RAM_BYTES_DEFAULT,
        .rtc_seconds = RTC_BASE_DEFAULT,
        .shift = ICOUNT_SHIFT_DEFAULT,
        .sleep = true,
        .mode = LINK_ADAPTIVE,
        .vcpu_cpu = PIN_ANY,
        .device_cpu = PIN_ANY,
        .translator = TRANSLATOR_BACKGROUND,
        .translator_threads = -1,
        .chain = true,
    };
    firmware_boot_init(&cfg->boot);
    cpu_model_default(&cfg->cpu);
}

/* --- callbacks, on the vCPU's thread --- */

static void on_digest(void *ctx, uint64_t tick)
{
    struct machine *m = ctx;
    link_settle(devthread_link(m->dev, 0));
    digest_point(m->digest, tick);
}

static void on_progress(void *ctx, uint64_t tick)
{
    struct machine *m = ctx;
    struct vcpu_stats s;
    if (!m->cfg.progress)
        return;
    vcpu_get_stats(m->vcpu, &s);
    m->cfg.progress(m->cfg.ctx, tick, s.icount);
}

/* On whichever thread serves the devices. */
static void on_write_error(void *ctx, const struct access *a, const char *device, const char *text)
{
    struct machine *m = ctx;
    if (m->cfg.log_items & VCPU_LOG_GUEST_ERRORS)
        vcpu_log_write_error(m->vcpu, a, device, text);
}

static void notice(struct machine *m, const char *text)
{
    if (m->cfg.notice)
        m->cfg.notice(m->cfg.ctx, text);
}

static bool digest_source_part(void *ctx, enum state_group group, unsigned i, struct state_part *out)
{
    return machine_part(&((struct machine *)ctx)->parts, group, i, out);
}

static void digest_settle(void *ctx)
{
    vcpu_settle(((struct machine *)ctx)->vcpu);
}

/* --- create --- */

static bool has_vga(const struct machine *m)
{
    return m->cfg.vga == MACHINE_VGA_STD || (m->cfg.vga == MACHINE_VGA_DEFAULT && m->rom.bytes > 0);
}

/* RAM is allocated on touch, so the host would notice too late that it has not that much. */
static bool create_ram(struct machine *m, struct err *e)
{
    struct sysinfo host;
    unsigned long long mib = m->cfg.ram_bytes >> 20;
    if (sysinfo(&host) == 0) {
        uint64_t have = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
        if (m->cfg.ram_bytes > have)
            return err_set(e, "-m: %llu MiB is more than this host's memory of %llu MiB", mib,
                           (unsigned long long)have >> 20);
    }
    int rc = pcmem_init(&m->mem, m->cfg.ram_bytes, m->rom.data, (uint32_t)m->rom.bytes, has_vga(m));
    return rc == 0 || err_set(e, "-m: the host does not give %llu MiB of memory: %s", mib, strerror(rc));
}

static bool choose_pinning(struct machine *m, struct err *e)
{
    char why[ERR_BYTES / 2];
    return pinning_choose(m->cfg.vcpu_cpu, m->cfg.device_cpu, &m->pinning, why, sizeof why) ||
           err_set(e, "%s", why);
}

/* What the CPU says decides what the board has. */
static bool has_apic(const struct machine *m)
{
    return cpu_model_has(&m->cfg.cpu, FEATURE_APIC);
}

/* Letters were checked where they were given. */
static void set_boot_order(const struct firmware_boot *b, struct pc_config *pc)
{
    bootorder_flags(b->order[0] ? b->order : BOOTORDER_DEFAULT, &pc->boot_flags);
    if (b->once[0])
        bootorder_flags(b->once, &pc->boot_flags_once);
}

static void set_nic_roms(const struct machine *m, struct pc_config *pc)
{
    for (unsigned i = 0; i < PC_NICS; i++) {
        pc->nic[i].rom = m->nic_rom[i].data;
        pc->nic[i].rom_bytes = (uint32_t)m->nic_rom[i].bytes;
    }
}

static bool create_board(struct machine *m, struct err *e)
{
    const struct machine_config *c = &m->cfg;
    struct pc_config pc;
    pc_config_init(&pc);
    pc.ram_bytes = c->ram_bytes;
    pc.firmware = m->rom.bytes ? &m->items.fw_cfg : NULL;
    pc.apic = has_apic(m);
    set_boot_order(&c->boot, &pc);
    pc.debugcon = c->debugcon != NULL;
    pc.debugcon_iobase = c->debugcon_port;
    pc.marker = c->marker;
    pc.marker_iobase = c->marker_port;
    pc.toypci = c->toypci;
    pc.vga = has_vga(m);
    pc.debug_exit = c->debug_exit;
    pc.debug_exit_iobase = c->debug_exit_port;
    pc.debug_exit_iosize = c->debug_exit_ports;
    for (unsigned i = 0; i < MACHINE_SERIALS_MAX; i++)
        pc.com[i] = c->serial[i] != NULL;
    pc.serial_wire_speed = c->serial_wire_speed;
    drives_configure(&m->drives, c, &pc);
    nics_configure(c, &pc);
    set_nic_roms(m, &pc);
    if (pc_board(&m->board, &pc))
        return true;
    if (pc.marker)
        return err_set(e,
                       "-device: a port of tandem-marker, 0x%x to 0x%x, of the debug console or of "
                       "isa-debug-exit belongs to another device; ports that none has are accepted",
                       pc.marker_iobase, pc.marker_iobase + MARKER_PORTS - 1);
    if (pc.debugcon)
        return err_set(
            e,
            "-debugcon, -device: the debug console's port 0x%x, or one of isa-debug-exit's, belongs to "
            "another device; ports that none has are accepted",
            pc.debugcon_iobase);
    return err_set(
        e,
        "-device isa-debug-exit: iobase=0x%x,iosize=%u (accepted: iosize 1, 2 or 4, and ports that "
        "no other device has)",
        pc.debug_exit_iobase, pc.debug_exit_iosize);
}

static void is_leaving(void *ctx)
{
    drives_end_soon(&((struct machine *)ctx)->drives);
}

static void device_config(struct machine *m, struct devthread_config *cfg)
{
    const struct machine_config *c = &m->cfg;
    devthread_config_init(cfg);
    cfg->board = &m->board;
    cfg->memory = &m->mem;
    cfg->mode = c->mode;
    cfg->shift = c->shift;
    cfg->sleep = c->sleep;
    cfg->quantum_ticks = c->quantum_ticks;
    for (unsigned i = 0; i < MACHINE_SERIALS_MAX; i++)
        cfg->chardev[PC_PORT_SERIAL0 + i] = c->serial[i];
    cfg->interactive = c->interactive;
    cfg->monitor_fd = c->monitor_fd;
    cfg->screen_port = c->display ? (int)PC_PORT_SCREEN : -1;
    cfg->chardev[PC_PORT_DEBUGCON] = c->debugcon;
    cfg->chardev_option[PC_PORT_DEBUGCON] = "-debugcon";
    cfg->rtc_seconds = c->rtc_seconds;
    cfg->record_file = c->record_file;
    cfg->replay_file = c->replay_file;
    cfg->host_cpu = m->pinning.dev_cpu;
    cfg->spin_iterations = m->pinning.spin_iterations;
    cfg->jitter_seed = c->jitter_seed;
    cfg->plant_late = c->plant_late;
    cfg->figures = c->figures;
    cfg->write_error =
        c->interactive || c->monitor_fd > 0 || c->log_items & VCPU_LOG_GUEST_ERRORS ? on_write_error : NULL;
    cfg->write_error_ctx = m;
    cfg->notice = c->notice;
    cfg->notice_ctx = c->ctx;
    cfg->leaving = is_leaving;
    cfg->leaving_ctx = m;
}

static bool create_devices(struct machine *m, struct err *e)
{
    struct devthread_config cfg;
    char why[ERR_BYTES - 1];
    device_config(m, &cfg);
    if (!drives_connect(&m->drives, &m->cfg, &cfg, e) || !nics_connect(&m->nics, &cfg, e))
        return false;
    const size_t used = strlen(m->drives.images);
    nics_list(&m->nics, m->drives.images + used, sizeof m->drives.images - used);
    cfg.images = m->drives.images;
    m->dev = devthread_create(&cfg, why, sizeof why);
    nics_connected(&m->nics, m->dev);
    media_connected(&m->drives, m->dev, &m->board);
    return m->dev ? true : err_set(e, "%s", why);
}

static bool check_host(struct machine *m, struct err *e)
{
    char why[ERR_BYTES / 2];
    return m->cfg.host_unasked || vcpu_host_check(m->cfg.pretend_lacks, why, sizeof why) ||
           err_set(e, "%s; a guest's results would not be those of other hosts", why);
}

static bool create_vcpu(struct machine *m, struct err *e)
{
    const struct machine_config *c = &m->cfg;
    struct vcpu_config cfg = {
        .mem = &m->mem,
        .link = devthread_link(m->dev, 0),
        .bus = devthread_busmap(m->dev),
        .shift = c->shift,
        .panel_until = devthread_panel_until(m->dev),
        .model = c->cpu,
        .intc = {.ctx = devthread_state(m->dev),
                 .set_line = m->board.intc.set_line,
                 .intr = m->board.intc.intr,
                 .acknowledge = m->board.intc.acknowledge,
                 .can_interrupt = m->board.intc.can_interrupt,
                 .set_ferr = m->board.intc.set_ferr,
                 .ignne = m->board.intc.ignne,
                 .next_event = m->board.intc.next_event,
                 .advance = m->board.intc.advance,
                 .settle = m->board.intc.settle,
                 .pins = m->board.intc.pins,
                 .nmi = m->board.intc.nmi,
                 .apic_base = m->board.intc.apic_base,
                 .set_apic_base = m->board.intc.set_apic_base},
        .apic_remap = devthread_apic_remap(m->dev),
        .single_tb = c->single_tb,
        .digest_every = c->digest_file ? c->digest_every : 0,
        .digest = on_digest,
        .digest_ctx = m,
        .translator = c->translator,
        .hot = c->hot,
        .code_cache_bytes = c->code_cache_bytes,
        .long_blocks = c->long_blocks,
        .moved_blocks = c->moved_blocks,
        .long_blocks_seed = (uint32_t)c->jitter_seed,
        .no_chain = !c->chain,
        .translator_threads =
            c->translator_threads < 0 ? pinning_spare_cpus(&m->pinning) : (unsigned)c->translator_threads,
        .translator_not_on_cpu = m->pinning.vcpu_cpu,
        .translator_jitter = c->jitter_seed,
        .observer = c->observer,
        .pretend_differs = c->pretend_differs,
        .host_unasked = c->host_unasked,
        .survey = c->survey,
        .log_items = c->log_items,
        .log_file = c->log_file,
        .hot_list = c->hot_list,
        .progress = on_progress,
        .progress_ctx = m,
    };
    m->vcpu = vcpu_create(&cfg);
    return m->vcpu ? true
                   : err_set(e, "no host memory for the vCPU and its translator; -translator cache=SIZE "
                                "makes it smaller, mode=interp needs none");
}

static uint64_t image_hash(const struct image *img)
{
    return img->data ? XXH3_64bits(img->data, img->bytes) : 0;
}

/* What the guest's state is a function of, and nothing else: two runs of one machine have one identity. */
static void identify(struct machine *m)
{
    const struct machine_config *c = &m->cfg;
    uint64_t modules = 0;
    unsigned serials = 0;
    char cpu[CPU_MODEL_TEXT];
    cpu_model_text(&c->cpu, cpu);
    for (unsigned i = 0; i < m->source.nmodules; i++)
        modules = modules * 31 + image_hash(&m->source.module[i].image);
    for (unsigned i = 0; i < MACHINE_SERIALS_MAX; i++)
        serials |= (unsigned)(c->serial[i] != NULL) << i;
    snprintf(m->identity, sizeof m->identity,
             "version=%s cpu=%s ram=%" PRIu64 " shift=%u rtc=%" PRId64
             " serial=%#x,%s debugcon=%#x exit=%#x,%u toypci=%d marker=%d vga=%d kernel=%016" PRIx64
             " initrd=%016" PRIx64 " append=%016" PRIx64 " bios=%016" PRIx64 " fwcfg=%016" PRIx64,
             TANDEM_VERSION, cpu, c->ram_bytes, c->shift, devthread_rtc_seconds(m->dev), serials,
             c->serial_wire_speed ? "wire" : "infinite", c->debugcon ? c->debugcon_port : 0,
             c->debug_exit ? c->debug_exit_port : 0, c->debug_exit ? c->debug_exit_ports : 0, c->toypci,
             c->marker ? c->marker_port : -1, has_vga(m), image_hash(&m->source.kernel), modules,
             (uint64_t)XXH3_64bits(m->source.append, strlen(m->source.append)), image_hash(&m->rom),
             firmware_items_hash(&m->items));
    size_t used = strlen(m->identity);
    drives_identity(&m->drives, m->identity + used, sizeof m->identity - used);
    used = strlen(m->identity);
    nics_identity(&m->nics, m->identity + used, sizeof m->identity - used);
    used = strlen(m->identity);
    if (m->vgabios.data)
        snprintf(m->identity + used, sizeof m->identity - used, " vgabios=%016" PRIx64,
                 image_hash(&m->vgabios));
    for (unsigned i = 0; i < PC_NICS; i++) {
        used = strlen(m->identity);
        if (m->nic_rom[i].data)
            snprintf(m->identity + used, sizeof m->identity - used, " nicrom%u=%016" PRIx64, i,
                     image_hash(&m->nic_rom[i]));
    }
}

/* Inline mode has none: it is what the others are compared with. */
static bool has_digest_worker(const struct machine *m)
{
    return m->cfg.digest_file && m->cfg.mode != LINK_INLINE && pinning_spare_cpus(&m->pinning) > 0;
}

static bool create_digest(struct machine *m, struct err *e)
{
    const struct machine_config *c = &m->cfg;
    const struct digest_source src = {.ram = {.mem = &m->mem,
                                              .worker = has_digest_worker(m),
                                              .not_on_cpu = m->pinning.vcpu_cpu,
                                              .jitter_seed = c->jitter_seed},
                                      .ctx = m,
                                      .part = digest_source_part,
                                      .settle = digest_settle};
    char header[sizeof m->identity + 32];
    identify(m);
    snprintf(header, sizeof header, "every=%" PRIu64 " %s", c->digest_every, m->identity);
    m->digest = digest_open(c->digest_file, header, c->digest_file ? c->digest_every : 0, &src, e);
    m->parts = (struct machine_parts){
        .vcpu = m->vcpu, .dev = m->dev, .mem = &m->mem, .digest = m->digest, .drives = &m->drives};
    return m->digest != NULL;
}

/* Opened first: the snapshot knows the calendar, which is set when the devices are made. */
static bool open_snapshot(struct machine *m, struct err *e)
{
    if (!m->cfg.loadvm)
        return true;
    m->loadvm = snapshot_open("-loadvm", m->cfg.loadvm, e);
    if (m->loadvm && m->cfg.rtc_default)
        state_identity_value(snapshot_identity(m->loadvm), "rtc", &m->cfg.rtc_seconds);
    return m->loadvm != NULL;
}

/* Is it one of this machine, with these images? */
static bool snapshot_fits(const struct machine *m, const struct snapshot_reader *r, struct err *e)
{
    if (snapshot_tick(r) > LOAD_NS_MAX >> m->cfg.shift)
        return err_set(e, "the snapshot is damaged: its tick is beyond all time");
    return drives_same_images(&m->drives, &m->cfg, snapshot_identity(r), e) &&
           state_same_identity(snapshot_identity(r), m->identity, e);
}

static bool load_snapshot(struct machine *m, struct err *e)
{
    struct err why;
    if (!m->loadvm)
        return true;
    if (!snapshot_fits(m, m->loadvm, &why) || !state_load(&m->parts, m->loadvm, &why))
        return err_set(e, "-loadvm %.200s: %s", m->cfg.loadvm, why.text);
    snapshot_close(m->loadvm);
    m->loadvm = NULL;
    return true;
}

/* A screen as a VGA BIOS leaves it. */
static void begin_text(struct machine *m)
{
    const struct mem_area a = physmem_area(&m->mem, MEM_VRAM);
    const struct mem_own video = {&m->mem, a.first, a.bytes};
    if (has_vga(m))
        vga_text_begin(&machine_board(m)->vga, &video, vgafont_find(&m->vgabios));
}

/* RAM and CPU as the loader leaves them; the vCPU has just been created or reset, which is all that firmware
 * asks for. */
static bool load_guest(struct machine *m, struct err *e)
{
    struct boot_entry entry;
    if (m->rom.bytes)
        return true;
    if (!boot_load(&m->mem, &m->source, &m->boot_acpi, &entry, e))
        return false;
    begin_text(m);
    vcpu_set_flat32(m->vcpu, entry.eip, BOOT_CS, BOOT_DS);
    struct guest_state *g = vcpu_state(m->vcpu);
    g->slot[IR_EAX] = entry.eax;
    g->slot[IR_EBX] = entry.ebx;
    g->slot[IR_ESI] = entry.esi;
    g->gdtr = (struct desc_table){entry.gdt_addr, BOOT_GDT_BYTES - 1};
    vcpu_state_changed(m->vcpu);
    return true;
}

static bool start(struct machine *m, struct err *e)
{
    char why[ERR_BYTES - 1];
    if (!devthread_start(m->dev, why, sizeof why))
        return err_set(e, "%s", why);
    /* Last: a thread inherits the CPUs of the one that starts it. */
    return pin_self(m->pinning.vcpu_cpu) ||
           err_set(e, "-devthread: vcpu-cpu=%d: %s", m->pinning.vcpu_cpu, strerror(errno));
}

/* Firmware alone would start them. */
static bool read_nic_roms(struct machine *m, const struct firmware_dirs *dirs, struct err *e)
{
    for (unsigned i = 0; i < m->cfg.nnics; i++) {
        const struct machine_nic *nic = &m->cfg.nic[i];
        if (nic->port >= PC_PORT_NIC0 && nic->port < PC_PORT_NIC0 + PC_NICS &&
            !firmware_nic_rom_read(&m->nic_rom[nic->port - PC_PORT_NIC0], dirs, nic->model, nic->romfile, e))
            return false;
    }
    return true;
}

static bool read_firmware(struct machine *m, struct err *e)
{
    const struct machine_config *c = &m->cfg;
    const struct firmware_dirs dirs = {c->firmware_dir, c->nfirmware_dirs};
    const struct firmware_settings s = {.ram_bytes = c->ram_bytes,
                                        .serial_port = c->serial[0] && !c->graphics ? PC_COM1_IOBASE : 0,
                                        .nographic = !c->graphics,
                                        .apic = has_apic(m),
                                        .vga = c->vga != MACHINE_VGA_NONE,
                                        .user = c->fw_cfg,
                                        .nuser = c->nfw_cfg,
                                        .kernel = &m->source,
                                        .dirs = &dirs,
                                        .boot = &c->boot,
                                        .drive = c->drive,
                                        .ndrives = c->ndrives};
    return firmware_read(&m->rom, &dirs, c->bios, e) && firmware_items_make(&m->items, &s, e) &&
           read_nic_roms(m, &dirs, e);
}

/* Without the file, or a font in it, a kernel has a text screen all the same: only its picture is blank. */
static void read_font(struct machine *m)
{
    const struct firmware_dirs dirs = {m->cfg.firmware_dir, m->cfg.nfirmware_dirs};
    struct err ignored;
    if (!m->rom.bytes && has_vga(m) && !firmware_read_vgabios(&m->vgabios, &dirs, &ignored))
        m->vgabios = (struct image){0};
}

/* A kernel is started without firmware, unless firmware is named or the kernel needs it. */
static bool wants_firmware(const struct machine *m)
{
    return !m->cfg.kernel || m->cfg.bios || linux_needs_firmware(&m->source.kernel);
}

static bool read_images(struct machine *m, struct err *e)
{
    const struct machine_config *c = &m->cfg;
    bool ok = boot_source_read(&m->source, c->kernel, c->initrd, c->append, c->ram_bytes, e) &&
              (!wants_firmware(m) || read_firmware(m, e));
    if (ok)
        read_font(m);
    return ok;
}

static void build_tables(struct machine *m)
{
    const struct cpu_model *cpu = &m->cfg.cpu;
    struct boot_acpi *t = &m->boot_acpi;
    t->tables = m->acpi;
    t->bytes = acpi_build(m->acpi, sizeof m->acpi, BOOT_ACPI, has_apic(m), &t->rsdp_addr);
    t->mp = m->mp;
    if (has_apic(m))
        t->mp_bytes =
            mptable_build(m->mp, sizeof m->mp, BOOT_MP, cpu->signature, cpu_model_word(cpu, CPUID_1D));
}

static bool compose(struct machine *m, struct err *e)
{
    build_tables(m);
    return check_host(m, e) && open_snapshot(m, e) && read_images(m, e) && create_ram(m, e) &&
           choose_pinning(m, e) &&
           drives_open(&m->drives, &m->cfg, (uint32_t)m->pinning.spin_iterations, e) &&
           nics_open(&m->nics, &m->cfg, e) && create_board(m, e) && create_devices(m, e) &&
           create_vcpu(m, e) && load_guest(m, e) && create_digest(m, e) && load_snapshot(m, e) && start(m, e);
}

struct machine *machine_create(const struct machine_config *cfg, struct err *e)
{
    struct machine *m = calloc(1, sizeof *m);
    if (!m) {
        err_set(e, "no host memory for the machine");
        return NULL;
    }
    m->cfg = *cfg;
    if (compose(m, e))
        return m;
    machine_destroy(m);
    return NULL;
}

/* --- run --- */

/* Once: a guest may do nothing else. */
static void tell_triple_fault(struct machine *m)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = m->triple_fault_told ? NULL : open_memstream(&text, &bytes);
    if (!f)
        return;
    m->triple_fault_told = true;
    vcpu_print_triple_fault(m->vcpu, f);
    fputs(m->cfg.no_reboot ? "\n" : "; the machine resets (-no-reboot ends instead; told once)\n", f);
    vcpu_print_registers(m->vcpu, f);
    if (fclose(f) == 0 && bytes > 0) {
        text[bytes - 1] = 0; /* the last newline */
        notice(m, text);
    }
    free(text);
}

/* Firmware finds RAM as the guest left it (docs/decisions.md); a loader finds none of the last guest's. */
static bool reset(struct machine *m, struct err *e)
{
    m->resets++;
    devthread_reset(m->dev, vcpu_tick(m->vcpu));
    if (m->rom.bytes)
        physmem_remaps_reset(&m->mem);
    else
        physmem_clear(&m->mem);
    devthread_settle_own(m->dev);
    vcpu_reset(m->vcpu);
    if (m->cfg.was_reset)
        m->cfg.was_reset(m->cfg.ctx);
    return load_guest(m, e);
}

/* A shutdown that the BIOS is to make a program's way to real mode of. */
static bool is_init(struct machine *m, enum vcpu_exit why)
{
    if (why != VCPU_EXIT_TRIPLE_FAULT || !m->rom.bytes)
        return false;
    link_settle(devthread_link(m->dev, 0));
    return pc_resumes(devthread_state(m->dev));
}

static bool is_reset(const struct machine *m, enum vcpu_exit why)
{
    return !m->cfg.no_reboot && (why == VCPU_EXIT_RESET || why == VCPU_EXIT_TRIPLE_FAULT);
}

/* Of a request from outside. A pause is over once it is told; the end is for good. */
static enum machine_stop requested(struct machine *m)
{
    struct link *l = devthread_link(m->dev, 0);
    uint32_t why = link_stopping(l);
    if (why & DEVTHREAD_QUIT)
        return MACHINE_STOP_QUIT;
    if (why & DEVTHREAD_CONSOLE)
        return MACHINE_STOP_CONSOLE;
    link_resume(l, DEVTHREAD_PAUSE);
    return MACHINE_STOP_PAUSE;
}

static enum machine_stop stop_reason(struct machine *m, enum vcpu_exit why)
{
    static const enum machine_stop stop[] = {
        [VCPU_EXIT_POWEROFF] = MACHINE_STOP_POWEROFF,         [VCPU_EXIT_RESET] = MACHINE_STOP_RESET,
        [VCPU_EXIT_DEBUG] = MACHINE_STOP_DEBUG_EXIT,          [VCPU_EXIT_HALTED] = MACHINE_STOP_HALTED,
        [VCPU_EXIT_TICK_LIMIT] = MACHINE_STOP_TICK,           [VCPU_EXIT_CONDITION] = MACHINE_STOP_CONDITION,
        [VCPU_EXIT_TRIPLE_FAULT] = MACHINE_STOP_TRIPLE_FAULT,
    };
    return why == VCPU_EXIT_STOPPED ? requested(m) : stop[why];
}

enum machine_stop machine_run_until(struct machine *m, const struct vcpu_until *until, struct err *e)
{
    if (m->ended)
        return m->ended;
    vcpu_until(m->vcpu, until);
    enum vcpu_exit why;
    for (;;) {
        why = vcpu_run(m->vcpu);
        if (is_init(m, why)) {
            vcpu_init_at_shutdown(m->vcpu);
            continue;
        }
        if (why == VCPU_EXIT_TRIPLE_FAULT)
            tell_triple_fault(m);
        if (!is_reset(m, why))
            break;
        if (!reset(m, e))
            return MACHINE_STOP_ERROR;
    }
    devthread_flush(m->dev);
    enum machine_stop stop = stop_reason(m, why);
    if (stop >= MACHINE_STOP_POWEROFF)
        m->ended = stop;
    return stop;
}

bool machine_key(struct machine *m, struct port_key key)
{
    uint8_t entry[PORT_KEY_BYTES];
    port_key_pack(key, entry);
    return devthread_input(m->dev, PC_PORT_KEYS, entry, sizeof entry);
}

bool machine_pointer(struct machine *m, struct port_motion motion)
{
    uint8_t entry[PORT_MOTION_BYTES];
    port_motion_pack(motion, entry);
    return devthread_input(m->dev, PC_PORT_MOUSE, entry, sizeof entry);
}

bool machine_button(struct machine *m, enum port_button button)
{
    const uint8_t entry = (uint8_t)button;
    return devthread_input(m->dev, PC_PORT_PANEL, &entry, 1);
}

struct drives *machine_drives(struct machine *m)
{
    return &m->drives;
}

bool machine_io_waits(struct machine *m)
{
    return blocks_waits(m->drives.blocks);
}

void machine_io_retry(struct machine *m)
{
    blocks_retry(m->drives.blocks);
}

void machine_pause_request(struct machine *m)
{
    link_stop(devthread_link(m->dev, 0), DEVTHREAD_PAUSE);
}

void machine_quit_request(struct machine *m)
{
    drives_end_soon(&m->drives);
    link_stop(devthread_link(m->dev, 0), DEVTHREAD_QUIT);
}

void machine_console_request(struct machine *m)
{
    link_stop(devthread_link(m->dev, 0), DEVTHREAD_CONSOLE);
}

void machine_screen_ask(struct machine *m)
{
    screen_ask(devthread_screen(m->dev));
}

bool machine_screen_take(struct machine *m, struct machine_picture *p)
{
    struct screen_picture s;
    if (!screen_take(devthread_screen(m->dev), &s))
        return false;
    *p = (struct machine_picture){s.state, s.memory, s.now_ns, s.changed};
    return true;
}

enum machine_stop machine_wait(struct machine *m, uint64_t ns)
{
    const struct link *l = devthread_link(m->dev, 0);
    if (!link_stopping(l))
        devthread_wait(m->dev, vcpu_tick(m->vcpu), ns);
    return link_stopping(l) ? requested(m) : MACHINE_STOP_TICK;
}

/* --- while it stands --- */

uint64_t machine_tick(const struct machine *m)
{
    return vcpu_tick(m->vcpu);
}

uint64_t machine_now_ns(const struct machine *m)
{
    return vcpu_now_ns(m->vcpu);
}

void machine_state_hex(struct machine *m, char hex[DIGEST_HEX])
{
    digest_state(m->digest, vcpu_tick(m->vcpu), hex);
}

uint32_t machine_exit_value(const struct machine *m)
{
    return vcpu_exit_value(m->vcpu);
}

const struct guest_state *machine_guest(const struct machine *m)
{
    return vcpu_state(m->vcpu);
}

size_t machine_peek(const struct machine *m, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    return vcpu_peek(m->vcpu, cr3, lin_addr, to, bytes);
}

bool machine_is_inside(const struct machine *m)
{
    return vcpu_is_inside(m->vcpu);
}

size_t machine_peek_code(const struct machine *m, void *to, size_t bytes)
{
    return vcpu_peek_code(m->vcpu, to, bytes);
}

const uint8_t *machine_peek_byte(const struct machine *m, uint32_t cr3, uint32_t lin_addr)
{
    return vcpu_peek_byte(m->vcpu, cr3, lin_addr);
}

int machine_irq_line(const struct machine *m, uint8_t vector)
{
    const struct pc *pc = devthread_state(m->dev);
    return pcintc_line_of_vector(pc, vector);
}

bool machine_set_marks(struct machine *m, const uint32_t *lin_addr, unsigned count)
{
    return vcpu_set_marks(m->vcpu, lin_addr, count);
}

void machine_stop_at(struct machine *m, uint64_t tick)
{
    vcpu_stop_at(m->vcpu, tick);
}

void machine_sample_at(struct machine *m, uint64_t tick)
{
    vcpu_sample_at(m->vcpu, tick);
}

int machine_access_device(const struct machine *m, const struct access *a)
{
    return a->range ? devthread_busmap(m->dev)->range[a->range].dev : -1;
}

const struct pc *machine_board(const struct machine *m)
{
    return devthread_state(m->dev);
}

const struct vga *machine_vga(const struct machine *m)
{
    return has_vga(m) ? &machine_board(m)->vga : NULL;
}

struct nics *machine_nics(struct machine *m)
{
    return &m->nics;
}

const uint8_t *machine_video_memory(const struct machine *m, mem_addr_t *first)
{
    const struct mem_area a = physmem_area(&m->mem, MEM_VRAM);
    *first = a.first;
    return a.bytes ? m->mem.host + a.first : NULL;
}

void machine_print_registers(const struct machine *m, FILE *out)
{
    vcpu_print_registers(m->vcpu, out);
}

bool machine_state_part(struct machine *m, enum state_group group, unsigned i, struct state_part *out)
{
    if (i == 0)
        devthread_settle(m->dev);
    return machine_part(&m->parts, group, i, out);
}

const struct physmem *machine_memory(const struct machine *m)
{
    return &m->mem;
}

const struct board *machine_wiring(const struct machine *m)
{
    return &m->board;
}

uint64_t machine_limit(const struct machine *m)
{
    return link_limit(devthread_link(m->dev, 0));
}

void machine_set_log(struct machine *m, unsigned items)
{
    m->cfg.log_items = items;
    vcpu_set_log(m->vcpu, items);
}

void machine_list_hot(struct machine *m, FILE *out, FILE *json)
{
    vcpu_list_hot(m->vcpu, out, json);
}

const char *machine_identity(const struct machine *m)
{
    return m->identity;
}

void machine_get_stats(const struct machine *m, struct machine_stats *s)
{
    *s = (struct machine_stats){
        .tick = vcpu_tick(m->vcpu), .virtual_ns = vcpu_now_ns(m->vcpu), .resets = m->resets};
    vcpu_get_stats(m->vcpu, &s->vcpu);
    link_get_stats(devthread_link(m->dev, 0), &s->link);
    if (m->drives.blocks)
        blocks_get_stats(m->drives.blocks, &s->blocks);
    nics_get_stats(&m->nics, &s->nics);
}

bool machine_save(struct machine *m, const char *path, struct err *e)
{
    char hex[DIGEST_HEX], identity[sizeof m->identity + DIGEST_HEX + 8];
    machine_state_hex(m, hex);
    snprintf(identity, sizeof identity, "state=%s %s", hex, m->identity);
    return state_save(&m->parts, path, vcpu_tick(m->vcpu), identity, e);
}

bool machine_load(struct machine *m, const char *path, struct err *e)
{
    struct err why;
    if (m->cfg.record_file || m->cfg.replay_file)
        return err_set(e, "the run is %s, and a recording is of one run from its beginning to its end",
                       m->cfg.record_file ? "recorded" : "replayed");
    struct snapshot_reader *r = snapshot_open("loadvm", path, e);
    if (!r)
        return false;
    const bool done = drives_can_load(&m->drives, &why) && snapshot_fits(m, r, &why) &&
                      state_replace(&m->parts, r, vcpu_tick(m->vcpu), &why);
    snapshot_close(r);
    if (!done)
        return err_set(e, "%.200s: %s", path, why.text);
    digest_file_restart(m->digest);
    m->ended = MACHINE_STOP_ERROR;
    return true;
}

static struct activity *activity_of(struct machine *m, unsigned i, char *name)
{
    const bool has_device_thread = m->cfg.mode != LINK_INLINE;
    const unsigned first_worker = has_device_thread ? 2 : 1, digest = first_worker + vcpu_workers(m->vcpu),
                   first_disk = digest + has_digest_worker(m);
    snprintf(name, MACHINE_THREAD_BYTES, "%s", i == 0 ? "vCPU" : "devices");
    if (i == 0)
        return link_vcpu_activity(devthread_link(m->dev, 0));
    if (i == 1 && has_device_thread)
        return link_device_activity(devthread_link(m->dev, 0));
    snprintf(name, MACHINE_THREAD_BYTES, "translator %u", i - first_worker);
    if (i < digest)
        return vcpu_worker_activity(m->vcpu, i - first_worker);
    snprintf(name, MACHINE_THREAD_BYTES, "digest");
    if (i < first_disk)
        return digest_activity(m->digest);
    snprintf(name, MACHINE_THREAD_BYTES, "disk %u", i - first_disk);
    return m->drives.blocks ? blocks_activity(m->drives.blocks, i - first_disk) : NULL;
}

const struct activity *machine_activity(struct machine *m, unsigned i, char *name)
{
    return activity_of(m, i, name);
}

void machine_trace(struct machine *m, unsigned i, struct activity_trace *t)
{
    char name[MACHINE_THREAD_BYTES];
    activity_trace_attach(activity_of(m, i, name), t);
}

/* --- end --- */

bool machine_finish(struct machine *m, struct machine_stats *stats, struct err *e)
{
    char why[ERR_BYTES - 1];
    devthread_stop(m->dev);
    machine_get_stats(m, stats);
    devthread_end_recording(m->dev, stats->tick);
    digest_end(m->digest, stats->tick, stats->state_hex);
    snprintf(why, sizeof why, "%s", devthread_error(m->dev));
    devthread_destroy(m->dev); /* all output, and the terminal as it was */
    m->dev = NULL;
    nics_connected(&m->nics, NULL);
    media_connected(&m->drives, NULL, &m->board);
    bool ok = nics_close(&m->nics, e);
    ok = digest_close(m->digest, e) && ok;
    m->digest = NULL;
    if (ok && m->drives.media.error.text[0]) /* what stopped it comes first */
        return err_set(e, "%s", m->drives.media.error.text);
    return ok && (!why[0] || err_set(e, "%s", why));
}

void machine_destroy(struct machine *m)
{
    struct err ignored;
    if (!m)
        return;
    if (m->digest)
        digest_close(m->digest, &ignored);
    if (m->vcpu)
        vcpu_destroy(m->vcpu);
    devthread_destroy(m->dev);
    if (m->nics.cfg)
        nics_close(&m->nics, &ignored);
    drives_close(&m->drives);
    if (m->mem.host)
        physmem_free(&m->mem);
    boot_source_free(&m->source);
    image_free(&m->rom);
    image_free(&m->vgabios);
    for (unsigned i = 0; i < PC_NICS; i++)
        image_free(&m->nic_rom[i]);
    firmware_items_free(&m->items);
    snapshot_close(m->loadvm);
    free(m);
}
