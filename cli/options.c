/* options.c - the table of options, and what may not stand together. Keys of list options: optkeys_*.c. See
 * options.h. */
#include "cli/options.h"

#include "cli/keys.h"
#include "cli/options_internal.h"

#include "clockcore/ticks.h"
#include "machine/optvalue.h"
#include "observe/formats.h"
#include "observe/timeline.h"
#include "vcpu/vcpu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEBUG_EXIT_PORT  0x501 /* QEMU's defaults */
#define DEBUG_EXIT_PORTS 2
#define DEBUGCON_PORT    0xe9  /* MATCH debugcon_iobase */
#define MARKER_PORT      0x5e0 /* MATCH marker_iobase */
#define COUNT(a)         (sizeof(a) / sizeof *(a))

struct option_def;
typedef bool (*option_fn)(struct options *o, const struct option_def *d, const char *value, struct err *e);

struct option_def {
    const char *name;     /* without the dash */
    const char *argument; /* placeholder; NULL: takes none */
    option_fn parse;
    const char *help;    /* NULL: hidden */
    size_t offset;       /* field of struct options, or what `parse` says */
    const char *implied; /* list options: key of a first piece without '=' */
    const struct list_key *keys;
    size_t nkeys;
};

#undef FIELD /* that of clockcore/fields.h names members of state */
#define FIELD(f)             offsetof(struct options, f)
#define KEYS(k, implied_key) 0, implied_key, k, COUNT(k)

static void *field(struct options *o, const struct option_def *d)
{
    return (char *)o + d->offset;
}

static bool parse_flag(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    *(bool *)field(o, d) = true;
    return true;
}

static bool parse_nothing(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return true;
}

static bool parse_text(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return value_string(value, (char **)field(o, d), e);
}

/* The layout is looked up now, so that a bad name ends the command. */
static bool parse_layout(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    struct keymap *k = keymap_create(value, e);

    keymap_destroy(k);
    return k && parse_text(o, d, value, e);
}

static bool parse_ticks(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, (uint64_t *)field(o, d)) ||
           err_set(e, "-%s %s: bad value; a number of ticks, at least 1, is accepted", d->name, value);
}

static bool parse_list(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    char name[32];
    snprintf(name, sizeof name, "-%s", d->name);
    return list_parse(name, value, d->implied, d->keys, d->nkeys, o, e);
}

static int snapshot_compare(const void *a, const void *b)
{
    const struct snapshot_option *x = a, *y = b;
    return x->tick < y->tick ? -1 : x->tick > y->tick;
}

/* Kept in the order of ticks. */
static bool parse_moment(struct options *o, const struct option_def *d, const char *value, bool screen,
                         struct err *e)
{
    if (o->nsnapshots == SNAPSHOTS_MAX)
        return err_set(e, "-%s %s: at most %d snapshots and screens of one run are accepted", d->name, value,
                       SNAPSHOTS_MAX);
    struct snapshot_option *s = &o->snapshot[o->nsnapshots++];
    *s = (struct snapshot_option){.count = 1, .screen = screen};
    if (!parse_list(o, d, value, e))
        return false;
    if (!s->file || s->at_end + (s->tick != 0) + (s->mark != NULL) + (s->text != NULL) != 1)
        return err_set(e,
                       "-%s %s: TICK,file=FILE, %smark=NAME[,count=N],file=FILE or text=TEXT,file=FILE is "
                       "accepted",
                       d->name, value, screen ? "end,file=FILE, " : "");
    s->tick = s->tick ? s->tick : TICK_NEVER;
    qsort(o->snapshot, o->nsnapshots, sizeof *s, snapshot_compare);
    return true;
}

static bool parse_snapshot(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return parse_moment(o, d, value, false, e);
}

static bool parse_screendump(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return parse_moment(o, d, value, true, e);
}

static bool parse_vga(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    int i = value_choice(value, "none|std"); /* MATCH enum machine_vga */
    o->vga = (unsigned)(i + 1);
    return i >= 0 || err_set(e, "-%s %s: none or std is accepted", d->name, value);
}

static bool parse_display(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return display_option_parse(&o->display, value, e);
}

static bool parse_vnc(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return display_option_parse_vnc(&o->display, value, e);
}

static bool parse_curses(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return display_option_parse(&o->display, "curses", e);
}

static bool parse_mark(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return markopts_mark(&o->marks, value, e);
}

static bool parse_region(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return markopts_region(&o->marks, value, e);
}

static bool parse_until(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return markopts_until(&o->marks, value, e);
}

static bool parse_mark_log(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return markopts_log(&o->marks, value, e);
}

static bool parse_action(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    o->action = (enum options_action)d->offset;
    return true;
}

/* Options that have one honest value, given by `implied`; it is the default. */
static bool parse_only(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return value_choice(value, d->implied) >= 0 ||
           err_set(e, "-%s %s: not supported yet; only \"%s\" is accepted", d->name, value, d->implied);
}

static bool parse_cpu(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    char why[ERR_BYTES / 2];
    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0) {
        o->action = ACTION_CPU_HELP;
        return true;
    }
    return cpu_model_parse(value, &o->cpu, why, sizeof why) || err_set(e, "-cpu %.200s: %s", value, why);
}

static bool parse_symbols(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    if (o->nsymbols == SYMBOLS_MAX)
        return err_set(e, "-symbols %s: at most %d files are accepted", value, SYMBOLS_MAX);
    return value_string(value, &o->symbols[o->nsymbols++], e);
}

static bool parse_serial(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    if (o->nserial == SERIALS_MAX)
        return err_set(e, "-serial %s: the machine has %d serial ports", value, SERIALS_MAX);
    return value_string(value, &o->serial[o->nserial++], e);
}

static bool parse_dir(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    if (o->nfirmware_dirs == FIRMWARE_DIRS_MAX)
        return err_set(e, "-L %s: at most %d directories are accepted", value, FIRMWARE_DIRS_MAX);
    return value_string(value, &o->firmware_dir[o->nfirmware_dirs++], e);
}

static bool parse_option_rom(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    if (o->boot.nroms == FIRMWARE_ROMS_MAX)
        return err_set(e, "-option-rom %s: at most %d are accepted", value, FIRMWARE_ROMS_MAX);
    return value_string(value, &o->boot.rom[o->boot.nroms++], e);
}

static bool parse_fw_cfg(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    if (o->nfw_cfg == FIRMWARE_USER_ITEMS_MAX)
        return err_set(e, "-fw_cfg %s: at most %d items are accepted", value, FIRMWARE_USER_ITEMS_MAX);
    struct firmware_user_item *u = &o->fw_cfg[o->nfw_cfg++];
    if (!parse_list(o, d, value, e))
        return false;
    return (u->name && !u->file != !u->string) ||
           err_set(e, "-fw_cfg %s: name=NAME,file=FILE or name=NAME,string=TEXT is accepted", value);
}

static bool parse_serial_speed(struct options *o, const struct option_def *d, const char *value,
                               struct err *e)
{
    const int i = value_choice(value, "infinite|wire");
    o->serial_wire_speed = i == 1;
    return i >= 0 || err_set(e, "-%s %s: bad value; infinite and wire are accepted", d->name, value);
}

static bool parse_chardev(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return chardevs_add(&o->chardevs, value, e);
}

static bool add_control(struct options *o, const char *option, const char *value, struct err *e)
{
    if (o->ncontrols == CONTROLS_MAX)
        return err_set(e, "%s %s: at most %d monitors are accepted", option, value, CONTROLS_MAX);
    o->control[o->ncontrols++] = (struct control_option){.option = option};
    return true;
}

static bool parse_monitor(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return add_control(o, "-monitor", value, e) && value_string(value, &last_control(o)->spec, e);
}

static bool parse_qmp(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    const bool pretty = strcmp(d->name, "qmp-pretty") == 0;
    if (!add_control(o, pretty ? "-qmp-pretty" : "-qmp", value, e))
        return false;
    last_control(o)->qmp = true;
    last_control(o)->pretty = pretty;
    return value_string(value, &last_control(o)->spec, e);
}

static bool parse_mon(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return add_control(o, "-mon", value, e) && parse_list(o, d, value, e) &&
           (last_control(o)->spec || err_set(e, "-mon %s: chardev=ID is needed, of a -chardev", value));
}

#define DEVICES                                                                                              \
    "isa-debug-exit[,iobase=PORT][,iosize=N], isa-debugcon,chardev=ID[,iobase=PORT], "                       \
    "tandem-marker[,iobase=PORT], " NETS_DEVICES ", " DRIVES_DEVICES

static bool is_driver(const char *value, const char *driver)
{
    return strcspn(value, ",") == strlen(driver) && strncmp(value, driver, strlen(driver)) == 0;
}

static bool parse_drive(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return drives_add(&o->drives, value, e);
}

static bool parse_image(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return drives_add_file(&o->drives, d->name, value, e);
}

static bool parse_nic(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return nets_add_nic(&o->nets, value, e);
}

static bool parse_netdev(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return nets_add_netdev(&o->nets, value, e);
}

static bool parse_net(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return nets_add_net(&o->nets, value, e);
}

static bool parse_object(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    return nets_add_object(&o->nets, value, e);
}

static bool parse_device(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    if (drives_is_device(value))
        return drives_add_device(&o->drives, value, e);
    if (nets_is_device(value))
        return nets_add_device(&o->nets, value, e);
    if (is_driver(value, "isa-debug-exit")) {
        o->debug_exit = true;
        return list_parse("-device", value, "driver", debug_exit_keys, COUNT(debug_exit_keys), o, e);
    }
    if (is_driver(value, "tandem-marker")) {
        o->marker = true;
        return list_parse("-device", value, "driver", marker_keys, COUNT(marker_keys), o, e);
    }
    if (!is_driver(value, "isa-debugcon"))
        return err_set(e, "-device %s: not supported; " DEVICES " is accepted", value);
    return list_parse("-device", value, "driver", debugcon_keys, COUNT(debugcon_keys), o, e) &&
           (o->debugcon || err_set(e, "-device %s: chardev=ID is needed, of a -chardev", value));
}

/* Which bit of log_items each choice is. */
#define LOG_ITEMS "in_asm|op|out_asm|int|cpu_reset|guest_errors"
_Static_assert(VCPU_LOG_IN_ASM == 1 << 0 && VCPU_LOG_OP == 1 << 1 && VCPU_LOG_OUT_ASM == 1 << 2 &&
                   VCPU_LOG_INT == 1 << 3 && VCPU_LOG_CPU_RESET == 1 << 4 && VCPU_LOG_GUEST_ERRORS == 1 << 5,
               "LOG_ITEMS");

/* "hot=N" */
static bool hot_item(const char *name, unsigned *hot)
{
    uint64_t n;
    if (!hot || strncmp(name, "hot=", 4) != 0 || !value_number(name + 4, 1, HOT_LIST_MAX, &n))
        return false;
    *hot = (unsigned)n;
    return true;
}

static bool log_item(const char *item, size_t bytes, unsigned *items, unsigned *hot)
{
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int)(bytes < sizeof name ? bytes : sizeof name - 1), item);
    if (hot_item(name, hot))
        return true;
    const int i = value_choice(name, LOG_ITEMS);
    *items |= i < 0 ? 0 : 1u << i;
    return i >= 0;
}

const char *log_items_parse(const char *text, unsigned *items, unsigned *hot)
{
    for (const char *item = text;; item++) {
        const size_t bytes = strcspn(item, ",");
        if (!log_item(item, bytes, items, hot))
            return item;
        item += bytes;
        if (!*item)
            return NULL;
    }
}

static bool parse_log(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    const char *bad = log_items_parse(value, &o->log_items, &o->hot_list);
    return !bad || err_set(e,
                           "-%s %s: no item \"%.*s\"; " LOG_ITEMS_ACCEPTED
                           " are accepted, and hot=N with N from 1 to 1000",
                           d->name, value, (int)strcspn(bad, ","), bad);
}

static bool parse_stats(struct options *o, const struct option_def *d, const char *value, struct err *e)
{
    o->stats = true;
    return !value || parse_list(o, d, value, e);
}

#define ONLY(value) 0, value, NULL, 0

static const struct option_def option_defs[] = {
    {"help", NULL, parse_action, "print this list", ACTION_HELP, NULL, NULL, 0},
    {"h", NULL, parse_action, NULL, ACTION_HELP, NULL, NULL, 0},
    {"version", NULL, parse_action, "print the version", ACTION_VERSION, NULL, NULL, 0},
    {"bios", "FILE", parse_text,
     "firmware to start, 64 KiB to 16 MiB, a multiple of 64 KiB (default " FIRMWARE_DEFAULT
     " where there is no -kernel)",
     FIELD(bios), NULL, NULL, 0},
    {"k", "LAYOUT", parse_layout,
     "keyboard layout by which text and symbols become keys: us (default), gb, de, ...",
     FIELD(keyboard_layout), NULL, NULL, 0},
    {"L", "DIR", parse_dir,
     "directory of firmware files, searched before " FIRMWARE_DIR " (may be given up to 16 times)", 0, NULL,
     NULL, 0},
    {"boot",
     "[order=]LETTERS[,once=LETTERS][,menu=on|off][,splash-time=MS][,reboot-timeout=MS][,strict=on|off]",
     parse_list,
     "what firmware boots from, in order: a floppy, c disk, d CD-ROM, n network (default cad); once: until "
     "the "
     "first "
     "reset; menu=on: with a prompt for its menu, that waits for splash-time; strict=on: only from drives "
     "with a "
     "bootindex",
     KEYS(boot_keys, "order")},
    {"option-rom", "FILE", parse_option_rom, "an option ROM that firmware runs (up to 16 times)", 0, NULL,
     NULL, 0},
    {"fw_cfg", "[name=]NAME,file=FILE|string=TEXT", parse_fw_cfg,
     "an item of fw_cfg for the guest; names of users' own begin with opt/ (up to 32 times)",
     KEYS(fw_cfg_keys, "name")},
    {"kernel", "FILE", parse_text,
     "boot a Multiboot 1 kernel or a Linux bzImage, without firmware unless -bios is given (or the image has "
     "the 16-bit entry alone)",
     FIELD(kernel), NULL, NULL, 0},
    {"initrd", "FILE", parse_text, "initial ramdisk; with Multiboot: modules \"FILE ARGS,FILE ARGS\"",
     FIELD(initrd), NULL, NULL, 0},
    {"append", "TEXT", parse_text, "kernel command line", FIELD(append), NULL, NULL, 0},
    {"drive",
     "file=FILE[,format=FORMAT][,if=ide|floppy|virtio|none][,index=N][,bus=N][,unit=N][,media=disk|cdrom][,"
     "id=ID]"
     "[,snapshot=on|off][,readonly=on|off][,serial=S][,cache=writeback|writethrough|unsafe]"
     "[,discard=ignore|unmap][,werror=report|ignore][,rerror=report|ignore]",
     parse_drive, "a drive with the image FILE (tandem(1), DRIVES)", 0, NULL, NULL, 0},
    {"hda", "FILE", parse_image,
     "an image as the first IDE disk; a FILE without an option is the same; -hdb, -hdc, -hdd: the others", 0,
     NULL, NULL, 0},
    {"hdb", "FILE", parse_image, NULL, 0, NULL, NULL, 0},
    {"hdc", "FILE", parse_image, NULL, 0, NULL, NULL, 0},
    {"hdd", "FILE", parse_image, NULL, 0, NULL, NULL, 0},
    {"cdrom", "FILE", parse_image, "an image as the CD in the third IDE drive", 0, NULL, NULL, 0},
    {"fda", "FILE", parse_image, "an image as the floppy in the first floppy drive; -fdb: in the second", 0,
     NULL, NULL, 0},
    {"fdb", "FILE", parse_image, NULL, 0, NULL, NULL, 0},
    {"snapshot", NULL, parse_flag,
     "images stay as they are: what the guest writes to its drives ends with the run", FIELD(drives.snapshot),
     NULL, NULL, 0},
    {"m", "SIZE[K|M|G]", parse_list, "guest RAM, 4M to 3G (default 128M; a bare number is MiB; 0.5G is 512M)",
     KEYS(memory_keys, "size")},
    {"serial", "BACKEND", parse_serial,
     "connect the next serial port (up to 4): stdio, mon:stdio, file:PATH, null, none, pty, "
     "unix:PATH[,server][,nowait], "
     "tcp:HOST:PORT[,server][,nowait]",
     0, NULL, NULL, 0},
    {"serial-speed", "infinite|wire", parse_serial_speed,
     "how long a character takes on a serial line: no virtual time (the default, as in QEMU), or what the "
     "guest's divisor says",
     0, NULL, NULL, 0},
    {"nographic", NULL, parse_flag, "first serial port on the terminal; Ctrl-A x ends, Ctrl-A h helps",
     FIELD(nographic), NULL, NULL, 0},
    {"icount", "[shift=]N[,sleep=on|off][,rr=record|replay,rrfile=FILE]", parse_list,
     "one instruction is 2^N ns of virtual time (0..10, default 3); sleep=off skips idle time (default on); "
     "record or "
     "replay input",
     KEYS(icount_keys, "shift")},
    {"vga", "std|none", parse_vga,
     "graphics card: a VGA with Bochs VBE (the default with firmware), or none (the default "
     "with -kernel)",
     0, NULL, NULL, 0},
    {"rtc", "[base=utc|localtime|DATE][,clock=vm]", parse_list,
     "date at start (default 2023-06-10T00:00:00, so that runs repeat)", KEYS(rtc_keys, NULL)},
    {"no-reboot", NULL, parse_flag, "end instead of restarting when the guest resets", FIELD(no_reboot), NULL,
     NULL, 0},
    {"chardev", "BACKEND,id=ID[,...]", parse_chardev,
     "a back end with a name, for chardev:ID: stdio, null, pty, file,path=FILE, socket,path=FILE or "
     "host=HOST,port=PORT[,server=on][,wait=off]",
     0, NULL, NULL, 0},
    {"debugcon", "BACKEND", parse_text,
     "connect the debug console, I/O port 0xe9: back ends as with -serial, output only", FIELD(debugcon),
     NULL, NULL, 0},
    {"no-shutdown", NULL, parse_flag, "stand when the guest powers off, instead of ending",
     FIELD(no_shutdown), NULL, NULL, 0},
    {"device", "isa-debug-exit[,iobase=PORT][,iosize=N]", parse_device,
     "a write of V to PORT (default 0x501) ends with status (V << 1) | 1; or isa-debugcon,chardev=ID"
     "[,iobase=PORT]: the debug console; or tandem-marker[,iobase=PORT]: writes to PORT (default 0x5e0) are "
     "marks of the guest's own",
     0, NULL, NULL, 0},
    {"devthread", "mode=thread|inline|adaptive[,cpu=N][,vcpu-cpu=N]", parse_list,
     "where device models run (default adaptive) and on which host CPUs; never changes what the guest sees",
     KEYS(devthread_keys, "mode")},
    {"translator",
     "mode=interp|eager|background[,hot=COUNT][,threads=N][,cache=SIZE][,chain=on|off][,long=on|off|any]"
     "[,moved=on|off|checked]",
     parse_list,
     "how guest code is run: compiled by N worker threads once entered COUNT times (background, the default; "
     "threads=0: by "
     "the vCPU's thread), compiled at once, or interpreted; never changes what the guest sees",
     KEYS(translator_keys, "mode")},
    {"digest", "file=FILE[,every=N]", parse_list,
     "write the digest of the guest's state every N ticks (default 10000000); compare with "
     "tandem-digest-diff",
     KEYS(digest_keys, "file")},
    {"snapshot-at", "TICK|mark=NAME[,count=N]|text=TEXT,file=FILE", parse_snapshot,
     "save the machine's whole state when virtual time reaches TICK, at the Nth hit of a mark (default the "
     "first) "
     "or right behind the write that completes TEXT, and go on (may be given up to 256 times); "
     "names what differs with tandem-digest-diff",
     KEYS(snapshot_keys, "tick")},
    {"screendump-at", "TICK|end|mark=NAME[,count=N]|text=TEXT,file=FILE", parse_screendump,
     "write the text screen at such a moment, or when the run ends (JSON if FILE ends in .json), and go on",
     KEYS(screendump_keys, "tick")},
    {"loadvm", "TAG|FILE", parse_text,
     "begin where such a snapshot was made; machine and images must be the same", FIELD(loadvm), NULL, NULL,
     0},
    {"snapshots", "DIR", parse_text,
     "the folder of savevm, loadvm and -loadvm TAG (default tandem-snapshots); images stay as they are: what "
     "the guest writes to its drives is in the snapshots and ends with the run",
     FIELD(snapshots), NULL, NULL, 0},
    {"profile", "file=FILE,every=N[,phase=N][,stacks=off|on|exact][,format=FORMAT][,within=REGION]",
     parse_list,
     "look where the guest is at the ticks k * every + phase and write it to FILE: the same profile in every "
     "run; stacks=on: with the callers by frame pointers; stacks=exact: by CALL and RET, some hundred times "
     "slower; FORMAT: " FORMAT_NAMES " (tandem-profile reads raw, and converts it)",
     KEYS(profile_keys, NULL)},
    {"symbols", "FILE[,base=ADDR][,process=NAME]", parse_symbols,
     "names for -profile from an ELF file or a System.map, of the kernel, of programs or of libraries; may "
     "be "
     "given "
     "up to 128 times; a Linux kernel's own names and a Multiboot kernel's and its modules' need no option",
     0, NULL, NULL, 0},
    {"account", "file=FILE[,format=human|json]", parse_list,
     "exact instruction counts per process and kernel entry (format: json if FILE ends in .json, else "
     "human); "
     "with -profile, its sampling error as well",
     KEYS(account_keys, NULL)},
    {"mark", "NAME=ADDR|SYMBOL[+OFFSET][,cr3=VALUE|process=NAME][,count=N][,value=REG]", parse_mark,
     "count each time that the guest comes to the linear address ADDR, or to a SYMBOL of its kernel that is "
     "in "
     "a file of -symbols, in a Multiboot kernel or in Linux's own table (of one address space or process, at "
     "most N times), with the value of REG (default eax); the guest does not know, and nothing slows down "
     "elsewhere (up to 64 times)",
     0, NULL, NULL, 0},
    {"region", "NAME=FROM..TO", parse_region,
     "measure from each hit of mark FROM to the next one of TO: ticks, instructions, accesses to devices, "
     "exceptions; marker and marker:VALUE are writes to -device tandem-marker (up to 64 times)",
     0, NULL, NULL, 0},
    {"mark-log", "file=FILE[,format=human|json]", parse_mark_log,
     "each hit and each pass through a region, and what they come to (JSON lines where FILE ends in .json)",
     0, NULL, NULL, 0},
    {"until", "tick=N|mark=NAME[,count=N]|text=TEXT", parse_until,
     "end the run at tick N, at the Nth hit of a mark, or right behind the write that completes TEXT on a "
     "serial port or the debug console; whichever comes first",
     0, NULL, NULL, 0},
    {"trace", "file=FILE[,buffer=N][,names=on|off]", parse_list,
     "a timeline for ui.perfetto.dev or chrome://tracing (JSON): each thread in host time; the guest's "
     "kernel "
     "entries, processes and marks in virtual time; the last N records of each (default 262144)",
     KEYS(trace_keys, NULL)},
    {"stats", "[file=FILE][,format=human|json][,latency=on|off]", parse_stats,
     "figures of the run at its end, on stderr or in FILE (JSON where it ends in .json)",
     KEYS(stats_keys, "file")},
    {"d", "ITEM[,ITEM ...]", parse_log,
     "log of each translated block: in_asm (guest code), op (IR), out_asm (host code, where blocks are "
     "compiled); of what happens: int (exceptions and interrupts), cpu_reset (registers before a reset), "
     "guest_errors (unassigned ports and addresses, writes against a data sheet); at the end, hot=N: the N "
     "hottest blocks with guest code, IR, host code and what it is for",
     0, NULL, NULL, 0},
    {"D", "FILE", parse_text, "file of that log (default stderr)", FIELD(log_file), NULL, NULL, 0},
    {"name", "TEXT", parse_text, "name of the machine in the status line and the statistics", FIELD(name),
     NULL, NULL, 0},
    {"machine", "pc|pc-i440fx-VERSION[,accel=tcg][,graphics=on|off]", parse_list,
     "the only machine; graphics=on: firmware does not use COM1 as its screen and keyboard (default off)",
     KEYS(machine_keys, "type")},
    {"M", "pc", parse_list, NULL, KEYS(machine_keys, "type")},
    {"accel", "tcg", parse_list, "guest code is translated: the only way", KEYS(accel_keys, "accel")},
    {"cpu", "NAME[,+FEATURE][,-FEATURE]", parse_cpu,
     "486, pentium, pentium2, pentium3, qemu32 or i686 (the default, also called max), with or without "
     "single "
     "features; -cpu help lists both",
     0, NULL, NULL, 0},
    {"smp", "1[,sockets=1,...]", parse_list, "the only number of CPUs", KEYS(smp_keys, "cpus")},
    {"display", "none|vnc=[HOST]:N[,to=N][,password=FILE]|vnc=unix:PATH[,password=FILE]|curses",
     parse_display,
     "the screen of -vga: by VNC on port 5900 + N (of this host alone, unless HOST says more), or text modes "
     "on "
     "the terminal (Ctrl-A x ends); the default is none",
     0, NULL, NULL, 0},
    {"vnc", "[HOST]:N[,to=N][,password=FILE]|unix:PATH[,password=FILE]|none", parse_vnc,
     "the same as -display vnc=...", 0, NULL, NULL, 0},
    {"curses", NULL, parse_curses, NULL, 0, NULL, NULL, 0},
    {"monitor", "stdio|unix:PATH[,server][,nowait]|tcp:HOST:PORT[,server][,nowait]|none", parse_monitor,
     "a monitor there: commands that look at the machine and steer it (tandem(1), MONITOR)", 0, NULL, NULL,
     0},
    {"qmp", "unix:PATH[,server][,nowait]|tcp:HOST:PORT[,server][,nowait]|stdio|none", parse_qmp,
     "QMP there: QEMU's protocol for programs (tandem(1), QMP)", 0, NULL, NULL, 0},
    {"qmp-pretty", "as -qmp", parse_qmp, "the same, with answers over several lines", 0, NULL, NULL, 0},
    {"mon", "[chardev=]ID[,mode=readline|control][,pretty=on|off]", parse_mon,
     "a monitor on that -chardev, or QMP (control)", KEYS(mon_keys, "chardev")},
    {"S", NULL, parse_flag, "the machine stands at first, until the monitor's cont", FIELD(start_paused),
     NULL, NULL, 0},
    {"nic", "user|socket|tap|none[,model=e1000|virtio-net-pci][,mac=MAC][,romfile=FILE][,...]", parse_nic,
     "a network card and its network (the default is no card): "
     "user[,restrict=on|off][,hostfwd=" NETADDR_FORWARD
     "][,tftp=DIR][,bootfile=FILE]..., socket,listen=|connect=|mcast=|udp=ADDR:PORT, tap,ifname=NAME; none: "
     "a "
     "card without a network, and -nic none alone: no card (tandem(1), NETWORK)",
     0, NULL, NULL, 0},
    {"netdev", "user|socket|tap,id=ID[,...]", parse_netdev,
     "a network with a name, for -device e1000,netdev=ID or virtio-net-pci,netdev=ID", 0, NULL, NULL, 0},
    {"net", "nic[,model=M][,macaddr=MAC]|user|socket|tap|none[,...]", parse_net,
     "the old form: each -net nic is a card, and has the next network of -net", 0, NULL, NULL, 0},
    {"object", "filter-dump,id=NAME,netdev=ID,file=FILE[,maxlen=N]", parse_object,
     "the frames of a network in FILE, for tcpdump and Wireshark, stamped with virtual time", 0, NULL, NULL,
     0},
    {"parallel", "none", parse_only, "no parallel port", ONLY("none|null")},
    {"no-user-config", NULL, parse_nothing, "accepted: there are no configuration files", 0, NULL, NULL, 0},
    {"pidfile", "FILE", parse_text, "write the process number to FILE, which goes away at the end",
     FIELD(pidfile), NULL, NULL, 0},
    {"nodefaults", NULL, parse_flag, "no default devices: -nographic alone then connects no serial port",
     FIELD(nodefaults), NULL, NULL, 0},
    /* For tests. */
    {"x-jitter", "seed=N", parse_list, NULL, KEYS(jitter_keys, NULL)},
    {"x-plant", "late=N", parse_list, NULL, KEYS(plant_keys, NULL)},
    {"x-pause", "every=N[,seed=N]", parse_list, NULL, KEYS(pause_keys, NULL)},
    {"x-ticks", "N", parse_ticks, NULL, FIELD(tick_limit), NULL, NULL, 0},
    {"x-quantum", "N", parse_ticks, NULL, FIELD(quantum_ticks), NULL, NULL, 0},
    {"x-probe", "differs=MASK,lacks=MASK,ask=on|off", parse_list, NULL, KEYS(probe_keys, NULL)},
    {"x-host-delay", "seed=N[,one-in=N]", parse_list, NULL, KEYS(host_delay_keys, NULL)},
    {"x-single-tb", NULL, parse_flag, NULL, FIELD(single_tb), NULL, NULL, 0},
    {"x-toypci", NULL, parse_flag, NULL, FIELD(toypci), NULL, NULL, 0},
};

/* Options of qemu-system-i386 that are not honoured, but for those above. */
static const char *const unsupported[] = {
    "acpitable",    "action",        "add-fd",      "audio",
    "audiodev",     "blockdev",      "bt",          "chroot",
    "compat",       "daemonize",     "dfilter",     "dtb",
    "dump-vmstate", "echr",          "enable-fips", "enable-kvm",
    "fsdev",        "full-screen",   "g",           "gdb",
    "global",       "hax",           "incoming",    "iscsi",
    "mem-path",     "mem-prealloc",  "msg",         "mtdblock",
    "no-acpi",      "no-fd-bootchk", "no-hpet",     "no-kvm",
    "no-quit",      "numa",          "old-param",   "only-migratable",
    "overcommit",   "perfmap",       "pflash",      "plugin",
    "portrait",     "preconfig",     "prom-env",    "readconfig",
    "rotate",       "runas",         "s",           "sandbox",
    "sd",           "sdl",           "seed",        "semihosting",
    "set",          "show-cursor",   "shim",        "singlestep",
    "smbios",       "soundhw",       "spice",       "tb-size",
    "tpmdev",       "usb",           "usbdevice",   "uuid",
    "vcpu",         "virtfs",        "watchdog",    "win2k-hack",
    "writeconfig",  "xen-attach",    "xen-domid",
};

static const struct option_def *find_option(const char *name)
{
    for (size_t i = 0; i < COUNT(option_defs); i++)
        if (strcmp(option_defs[i].name, name) == 0)
            return &option_defs[i];
    return NULL;
}

static bool is_unsupported(const char *name)
{
    for (size_t i = 0; i < COUNT(unsupported); i++)
        if (strcmp(unsupported[i], name) == 0)
            return true;
    return false;
}

static bool unknown_option(const char *arg, const char *name, struct err *e)
{
    const char *closest = NULL;
    unsigned best = 3; /* edits; farther is no misspelling */
    for (size_t i = 0; i < COUNT(option_defs); i++) {
        unsigned d = option_defs[i].help ? text_distance(name, option_defs[i].name) : best;
        if (d < best && d < strlen(name)) {
            best = d;
            closest = option_defs[i].name;
        }
    }
    if (closest)
        return err_set(e, "%s: unknown option; did you mean -%s? (tandem --help lists what is accepted)", arg,
                       closest);
    return err_set(e, "%s: unknown option; tandem --help lists what is accepted", arg);
}

static bool begins_with_key(const char *text, const struct list_key *keys, size_t nkeys)
{
    for (size_t i = 0; i < nkeys; i++) {
        size_t n = strlen(keys[i].key);
        if (strncmp(text, keys[i].key, n) == 0 && text[n] == '=')
            return true;
    }
    return false;
}

/* -stats may stand alone: its value is the next argument only if it looks like one. */
static bool takes_value(const struct option_def *d, const char *next)
{
    if (!d->argument)
        return false;
    return d->parse != parse_stats ||
           (next && begins_with_key(next, stats_keys, sizeof stats_keys / sizeof *stats_keys));
}

static bool parse_one(struct options *o, int argc, char **argv, int *i, struct err *e)
{
    const char *arg = argv[(*i)++];
    if (arg[0] != '-')
        return drives_add_file(&o->drives, "", arg, e);
    if (!arg[1])
        return err_set(e, "-: not an option; the name of a disk image or -kernel FILE is accepted");
    const char *name = arg + 1 + (arg[1] == '-');
    const struct option_def *d = find_option(name);
    if (!d)
        return is_unsupported(name)
                   ? err_set(e, "%s: this option of QEMU is not supported yet; tandem --help lists what is",
                             arg)
                   : unknown_option(arg, name, e);
    const char *value = NULL;
    if (takes_value(d, *i < argc ? argv[*i] : NULL)) {
        if (*i == argc)
            return err_set(e, "%s: needs a value: %s", arg, d->argument);
        value = argv[(*i)++];
    }
    return d->parse(o, d, value, e);
}

static bool check_profile(const struct options *o, struct err *e)
{
    const bool given =
        o->profile_every || o->profile_phase || o->profile_stacks || o->profile_format || o->profile_within;
    if (given && !o->profile_file)
        return err_set(e, "-profile: needs file=FILE");
    if (o->nsymbols && !o->profile_file)
        return err_set(e, "-symbols %s: needs -profile", o->symbols[0]);
    if (o->profile_file && !o->profile_every)
        return err_set(e, "-profile: file=%s needs every=N, the ticks between two samples", o->profile_file);
    if (o->profile_within && o->account_file)
        return err_set(e,
                       "-profile: within=%s: not together with -account, whose counts are of the whole run",
                       o->profile_within);
    if (o->profile_file && o->profile_phase >= o->profile_every)
        return err_set(e,
                       "-profile: phase=%" PRIu64 ": bad value; 0 to %" PRIu64 ", below every, is accepted",
                       o->profile_phase, o->profile_every - 1);
    return true;
}

static bool check_together(const struct options *o, struct err *e)
{
    if (!o->kernel && (o->initrd || o->append))
        return err_set(e, "-%s needs -kernel FILE (a Multiboot 1 kernel or a Linux bzImage)",
                       o->initrd ? "initrd" : "append");
    if (o->initrd && !*o->initrd)
        return err_set(e, "-initrd: needs a value: FILE");
    if (o->rr != RR_OFF && !o->rrfile)
        return err_set(e, "-icount: rr=record|replay needs rrfile=FILE");
    if (o->rr == RR_OFF && o->rrfile)
        return err_set(e, "-icount: rrfile=%s needs rr=record or rr=replay", o->rrfile);
    if (!o->digest_file && o->digest_every != DIGEST_EVERY_DEFAULT)
        return err_set(e, "-digest: every=N needs file=FILE");
    if (!check_profile(o, e))
        return false;
    if (o->trace_log2 != TIMELINE_LOG2_DEFAULT && !o->trace_file)
        return err_set(e, "-trace: needs file=FILE");
    if (o->account_json && !o->account_file)
        return err_set(e, "-account: needs file=FILE");
    if (o->log_file && !o->log_items && !o->hot_list)
        return err_set(e, "-D %s: needs -d ITEM", o->log_file);
    if (!o->debug_exit && (o->debug_exit_port != DEBUG_EXIT_PORT || o->debug_exit_ports != DEBUG_EXIT_PORTS))
        return err_set(e, "-device: iobase and iosize need isa-debug-exit first");
    if (o->debug_exit && o->debug_exit_port + o->debug_exit_ports > 0x10000)
        return err_set(e, "-device isa-debug-exit: ports %#x to %#x; the last port is 0xffff",
                       o->debug_exit_port, o->debug_exit_port + o->debug_exit_ports - 1);
    return true;
}

/* "chardev:ID" becomes what that -chardev says, wherever on the line it stands. */
static bool resolve_chardev(struct options *o, const char *option, char **spec, struct err *e)
{
    const char *resolved = *spec ? chardevs_spec(&o->chardevs, option, *spec, e) : "";
    return resolved && (!*spec || resolved == *spec || value_string(resolved, spec, e));
}

static bool resolve_chardevs(struct options *o, struct err *e)
{
    for (unsigned i = 0; i < o->nserial; i++)
        if (!resolve_chardev(o, "-serial", &o->serial[i], e))
            return false;
    for (unsigned i = 0; i < o->ncontrols; i++)
        if (!resolve_chardev(o, o->control[i].option, &o->control[i].spec, e))
            return false;
    return resolve_chardev(o, "-debugcon", &o->debugcon, e);
}

bool options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    *o = (struct options){
        .ram_bytes = (uint64_t)RAM_MIB_DEFAULT << 20,
        .shift = ICOUNT_SHIFT_DEFAULT,
        .sleep = true,
        .rtc = {RTC_BASE_DEFAULT, true},
        .debugcon_port = DEBUGCON_PORT,
        .marker_port = MARKER_PORT,
        .debug_exit_port = DEBUG_EXIT_PORT,
        .debug_exit_ports = DEBUG_EXIT_PORTS,
        .mode = LINK_ADAPTIVE,
        .device_cpu = -1,
        .vcpu_cpu = -1,
        .translator_mode = TRANSLATOR_BACKGROUND,
        .translator_threads = -1,
        .chain = true,
        .ask_host = true,
        .digest_every = DIGEST_EVERY_DEFAULT,
        .tick_limit = TICK_NEVER,
    };
    markopts_init(&o->marks);
    firmware_boot_init(&o->boot);
    cpu_model_default(&o->cpu);
    o->trace_log2 = TIMELINE_LOG2_DEFAULT;
    for (int i = 1; i < argc;) {
        if (!parse_one(o, argc, argv, &i, e))
            return false;
        if (o->action != ACTION_RUN)
            return true;
    }
    return resolve_chardevs(o, e) && drives_place(&o->drives, o->drive, &o->ndrives, e) &&
           nets_place(&o->nets, o->nic, &o->nnics, o->dump, &o->ndumps, &o->toypci, e) &&
           check_together(o, e);
}

static void fw_cfg_free(struct firmware_user_item *u)
{
    free(u->name);
    free(u->file);
    free(u->string);
}

void options_free(struct options *o)
{
    chardevs_free(&o->chardevs);
    drives_free(&o->drives);
    nets_free(&o->nets);
    display_option_free(&o->display);
    char *owned[] = {o->name,         o->debugcon,        o->pidfile,      o->bios,        o->kernel,
                     o->initrd,       o->append,          o->rrfile,       o->digest_file, o->stats_file,
                     o->profile_file, o->profile_within,  o->account_file, o->log_file,    o->loadvm,
                     o->trace_file,   o->keyboard_layout, o->snapshots};
    for (size_t i = 0; i < COUNT(owned); i++)
        free(owned[i]);
    for (unsigned i = 0; i < o->nsymbols; i++)
        free(o->symbols[i]);
    for (unsigned i = 0; i < o->nserial; i++)
        free(o->serial[i]);
    for (unsigned i = 0; i < o->ncontrols; i++)
        free(o->control[i].spec);
    for (unsigned i = 0; i < o->nfirmware_dirs; i++)
        free(o->firmware_dir[i]);
    for (unsigned i = 0; i < o->boot.nroms; i++)
        free(o->boot.rom[i]);
    for (unsigned i = 0; i < o->nfw_cfg; i++)
        fw_cfg_free(&o->fw_cfg[i]);
    for (unsigned i = 0; i < o->nsnapshots; i++) {
        free(o->snapshot[i].file);
        free(o->snapshot[i].mark);
        free(o->snapshot[i].text);
    }
    markopts_free(&o->marks);
    *o = (struct options){0};
}

static void help_wrapped(FILE *f, const char *text)
{
    int column = 80;
    for (const char *p = text; *p;) {
        int n = (int)strcspn(p, " ");
        if (column + 1 + n > 78)
            fprintf(f, "%s%*s", p == text ? "" : "\n", 8, ""), column = 8;
        else
            fputc(' ', f), column++;
        fwrite(p, 1, (size_t)n, f);
        column += n;
        p += n + (p[n] == ' ');
    }
    fputc('\n', f);
}

void options_help(FILE *f)
{
    fprintf(f, "tandem [option ...]\n"
               "A deterministic i386 PC emulator. Options are those of qemu-system-i386 where they mean the "
               "same.\n\n");
    for (size_t i = 0; i < COUNT(option_defs); i++) {
        const struct option_def *d = &option_defs[i];
        if (!d->help)
            continue;
        fprintf(f, "  -%s%s%s\n", d->name, d->argument ? " " : "", d->argument ? d->argument : "");
        help_wrapped(f, d->help);
    }
    fprintf(f, "\nExit status: 0 guest power-off, reset under -no-reboot, or a halt that nothing can end; (V "
               "<< 1) | 1 from\n"
               "isa-debug-exit; 2 bad option or host error; 4 triple fault under -no-reboot; 128 + N ended "
               "by signal N.\n"
               "See tandem(1).\n");
}

const char *link_mode_name(enum link_mode mode)
{
    static const char *const names[] = {"thread", "inline", "adaptive"};
    return names[mode];
}
