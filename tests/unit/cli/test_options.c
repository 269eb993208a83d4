/* test_options.c - the command line: what is understood, and that every refusal names the option. */
#include "cli/options.h"
#include "clockcore/ticks.h"
#include "machine/optvalue.h"
#include "vcpu/vcpu.h"

#include <criterion/criterion.h>
#include <string.h>

#define ARGS_MAX 16

/* Parses "a b c" split at spaces, after "-kernel k". */
static bool parse(struct options *o, const char *text, struct err *e)
{
    static char buf[1024];
    char *argv[ARGS_MAX + 3] = {"tandem", "-kernel", "k"};
    int argc = 3;
    snprintf(buf, sizeof buf, "%s", text);
    for (char *p = strtok(buf, " "); p && argc < ARGS_MAX + 3; p = strtok(NULL, " "))
        argv[argc++] = p;
    e->text[0] = '\0';
    return options_parse(o, argc, argv, e);
}

Test(options, defaults_are_qemus)
{
    struct options o;
    struct err e;
    cr_assert(parse(&o, "", &e), "%s", e.text);
    cr_expect_eq(o.ram_bytes, 128u << 20);
    cr_expect_eq(o.shift, 3);
    cr_expect(o.sleep);
    cr_expect_eq(o.mode, LINK_ADAPTIVE);
    cr_expect_eq(o.tick_limit, TICK_NEVER);
    cr_expect_not(o.no_reboot);
    options_free(&o);
}

Test(options, full_line)
{
    struct options o;
    struct err e;
    cr_assert(parse(&o,
                    "-m 1G -nographic --no-reboot -icount 5,sleep=off -devthread thread,cpu=1,vcpu-cpu=0 "
                    "-digest d,every=1000 -stats file=x.json",
                    &e),
              "%s", e.text);
    cr_expect_eq(o.ram_bytes, UINT64_C(1) << 30);
    cr_expect(o.nographic && o.no_reboot && !o.sleep && o.stats && o.stats_json);
    cr_expect_eq(o.shift, 5);
    cr_expect_eq(o.mode, LINK_THREAD);
    cr_expect_eq(o.device_cpu, 1);
    cr_expect_eq(o.vcpu_cpu, 0);
    cr_expect_str_eq(o.digest_file, "d");
    cr_expect_eq(o.digest_every, 1000);
    options_free(&o);
    cr_assert(
        parse(&o, "-device isa-debug-exit,iobase=0xf4,iosize=4 -serial null -serial none -stats -M pc -smp 1",
              &e),
        "%s", e.text);
    cr_expect(o.debug_exit && o.stats && !o.stats_json);
    cr_expect_eq(o.debug_exit_port, 0xf4);
    cr_expect_eq(o.debug_exit_ports, 4);
    cr_expect_eq(o.nserial, 2);
    options_free(&o);
}

/* Each is refused, and the message has both parts. */
static const struct {
    const char *args, *names, *says;
} refused[] = {
    {"-m 0", "-m", "4M..3G"},
    {"-m 4G", "-m", "4M..3G"},
    {"-m 1X", "-m", "4M..3G"},
    {"-m -5", "-m", "4M..3G"},
    {"-m 99999999999999999999", "-m", "4M..3G"},
    {"-m", "-m", "needs a value"},
    {"-icount shift=auto", "-icount", "refused"},
    {"-icount auto", "-icount", "refused"},
    {"-icount shift=11", "-icount", "0..10"},
    {"-icount shift=3,align=on", "-icount", "refused"},
    {"-icount shift=3,sleep=maybe", "-icount", "on|off"},
    {"-icount shift=3,foo=1", "-icount", "accepted"},
    {"-icount shift=3,rr=record", "-icount", "rrfile"},
    {"-icount shift=3,rrfile=x", "-icount", "rr="},
    {"-rtc clock=host", "-rtc", "clock=vm"},
    {"-rtc base=yesterday", "-rtc", "yesterday"},
    {"-rtc base", "-rtc", "on"},
    {"-devthread mode=fast", "-devthread", "thread|inline|adaptive"},
    {"-devthread cpu=x", "-devthread", "host CPU"},
    {"-device rtl8139", "-device", "isa-debug-exit"},
    {"-device isa-debug-exit,iosize=3", "-device", "1|2|4"},
    {"-device isa-debug-exit,iobase=0xffff", "-device", "0xffff"},
    {"-device isa-debug-exit,iobase=65536", "-device", "0..0xffff"},
    {"-digest every=5", "-digest", "file"},
    {"-digest file=x,every=0", "-digest", "every"},
    {"-stats format=xml", "-stats", "human|json"},
    {"-stats latency=2", "-stats", "on|off"},
    {"-smp 2", "-smp", "1 is accepted"},
    {"-smp 1,cores=2", "-smp", "cores=2"},
    {"-accel kvm", "-accel", "tcg"},
    {"-accel tcg,thread=multi", "-accel", "thread"},
    {"-machine pc,accel=kvm", "-machine", "tcg"},
    {"-machine pc,usb=on", "-machine", "usb=on"},
    {"-machine pc-q35-7.2", "-machine", "pc-i440fx"},
    {"-device isa-debug-exit,iosize=0x3", "-device", "1|2|4"},
    {"-device isa-debug-exit,iosize=0x", "-device", "1|2|4"},
    {"-m 0.5.5G", "-m", "4M..3G"},
    {"-pidfile", "-pidfile", "needs a value"},
    {"-serial chardev:a", "chardev:a", "no -chardev"},
    {"-debugcon chardev:a", "-debugcon", "no -chardev"},
    {"-chardev stdio", "-chardev", "id=NAME"},
    {"-chardev id=a", "-chardev", "needed"},
    {"-chardev pipe,id=a", "-chardev", "stdio|null|file|pty|socket"},
    {"-chardev stdio,id=a,mux=on", "-chardev", "mon:stdio"},
    {"-chardev stdio,id=a,path=x", "-chardev", "path"},
    {"-chardev file,id=a", "-chardev", "path"},
    {"-chardev null,id=a,server=on", "-chardev", "socket"},
    {"-chardev socket,id=a", "-chardev", "port"},
    {"-chardev socket,id=a,path=p,port=1", "-chardev", "port"},
    {"-chardev socket,id=a,path=p,,q", "-chardev", "comma"},
    {"-chardev null,id=a -chardev null,id=a", "-chardev", "already"},
    {"-chardev null,id=a -serial chardev:a -debugcon chardev:a", "-debugcon", "another"},
    {"-device isa-debugcon", "-device", "chardev"},
    {"-device isa-debugcon,iosize=4,chardev=a", "-device", "iobase"},
    {"-device isa-debug-exits", "-device", "isa-debugcon"},
    {"-device isa-debug-exits", "-device", "tandem-marker"},
    {"-device tandem-marker,iobase=0xfffd", "iobase", "0..0xfffc"},
    {"-device tandem-marker,iosize=4", "-device", "iobase"},
    {"-mark here", "-mark", "NAME="},
    {"-mark =0x100", "-mark", "NAME="},
    {"-mark a..b=0x100", "-mark", "NAME="},
    {"-mark a=0x100,cr3=x", "cr3", "0xffffffff"},
    {"-mark a=0x100,count=0", "count", "at least 1"},
    {"-mark a=0x100,value=cr3", "value", "eax"},
    {"-mark a=0x100,how=x", "-mark", "process="},
    {"-mark a=0x100 -mark a=0x200", "-mark", "this name"},
    {"-mark marker=0x100", "-mark", "device"},
    {"-region r=a", "-region", "FROM..TO"},
    {"-region r=a..", "-region", "FROM..TO"},
    {"-region r=..a", "-region", "FROM..TO"},
    {"-region r=a..b,x=y", "-region", "FROM..TO"},
    {"-region r=a..b -region r=a..b", "-region", "this name"},
    {"-until count=2", "-until", "mark=NAME"},
    {"-until tick=0", "tick", "at least 1"},
    {"-until text=", "text", "255"},
    {"-trace buffer=2048", "-trace", "file=FILE"},
    {"-trace file=f,buffer=1000", "buffer", "1024"},
    {"-trace enable=x", "-trace", "file=FILE"},
    {"-mark-log format=json", "-mark-log", "file=FILE"},
    {"-mark-log file=f,format=xml", "format", "human|json"},
    {"-snapshot-at mark=a", "-snapshot-at", "file=FILE"},
    {"-snapshot-at 5,mark=a,file=f", "-snapshot-at", "TICK,file=FILE"},
    {"-snapshot-at mark=a,text=b,file=f", "-snapshot-at", "text=TEXT"},
    {"-cpu host", "-cpu", "i686"},
    {"-cpu 486,+avx", "-cpu", "mmx"},
    {"-machine q35", "-machine", "pc"},
    {"-display gtk", "-display", "none"},
    {"-drive index=0", "-drive", "file=FILE"},
    {"-drive file=x,format=tar", "format", "qcow2"},
    {"-drive file=x,serial=123456789012345678901", "serial", "20"},
    {"-drive file=x,index=1,unit=1", "index", "not both"},
    {"-drive file=x,unit=2", "unit", "0 to 1"},
    {"-drive file=x,if=none,id=a -device ide-hd,drive=b", "drive=b", "id"},
    {"-drive file=x,if=none,id=a -device ide-hd,drive=a -device ide-hd,drive=a", "drive=a", "once"},
    {"-drive file=x,media=cdrom,if=none,id=a -device ide-hd,drive=a", "-device", "ide-cd"},
    {"-fda x -fda y", "-fda", "already"},
    {"-enable-kvm", "-enable-kvm", "not supported yet"},
    {"-s", "-s", "not supported yet"},
    {"-s", "-s", "not supported yet"},
    {"-gdb tcp::1234", "-gdb", "not supported yet"},
    {"-mon chardev=nobody", "-mon", "no -chardev has that id"},
    {"-mon mode=readline", "-mon", "chardev=ID"},
    {"-chardev null,id=m -mon chardev=m,mode=slow", "-mon", "readline"},
    {"-kernle x", "-kernle", "-kernel"},
    {"--nographics", "--nographics", "-nographic"},
    {"-zzz", "-zzz", "--help"},
    {"-", "-", "not an option"},
    {"-serial null -serial null -serial null -serial null -serial null", "-serial", "4"},
    {"-x-jitter seed=0", "-x-jitter", "at least 1"},
    {"-x-ticks 0", "-x-ticks", "at least 1"},
};

Test(options, refusals)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct options o;
        struct err e;
        cr_expect_not(parse(&o, refused[i].args, &e), "accepted: %s", refused[i].args);
        cr_expect(strstr(e.text, refused[i].names) && strstr(e.text, refused[i].says), "%s: got \"%s\"",
                  refused[i].args, e.text);
        cr_expect_null(strchr(e.text, '\n'));
        options_free(&o);
    }
}

/* Where each drive of a line is: "PORT FILE" of each, in the order of the ports. */
static void check_drives(const char *line, const char *want)
{
    struct options o;
    struct err e;
    char all[256] = "";
    cr_assert(parse(&o, line, &e), "%s: %s", line, e.text);
    for (unsigned port = 0; port < PC_PORT_COUNT; port++)
        for (unsigned i = 0; i < o.ndrives; i++)
            if (o.drive[i].port == port)
                snprintf(all + strlen(all), sizeof all - strlen(all), "%u%s=%s ", port,
                         o.drive[i].cdrom ? "cd" : "", o.drive[i].file ? o.drive[i].file : "");
    cr_expect_str_eq(all, want, "%s: %s", line, all);
    options_free(&o);
}

Test(options, drives_have_qemus_places)
{
    cr_assert_eq(PC_PORT_IDE0, 10);
    cr_assert_eq(PC_PORT_FLOPPY0, 14);
    cr_assert_eq(PC_PORT_VIRTIO0, 16);
    check_drives("disk.img", "10=disk.img ");
    check_drives("-hda a -hdb b -hdc c -hdd d -fda e -fdb f", "10=a 11=b 12=c 13=d 14=e 15=f ");
    check_drives("-cdrom a -hda b", "10=b 12cd=a ");
    check_drives("-drive file=a -drive file=b,index=0", "10=b 11=a ");
    check_drives("-drive file=a,bus=1,unit=1 -drive file=b,bus=1", "12=b 13=a ");
    check_drives("-drive file=a,if=virtio -drive file=b,if=virtio,index=0", "16=b 17=a ");
    check_drives("-drive file=a,if=floppy -drive media=cdrom", "10cd= 14=a ");
    check_drives("-drive file=a,if=none,id=x -device ide-hd,drive=x,bus=ide.1,unit=0", "12=a ");
    check_drives("-device ide-cd -drive file=a,if=none,id=x -device virtio-blk-pci,drive=x", "10cd= 16=a ");
}

Test(options, drives_settings)
{
    struct options o;
    struct err e;
    cr_assert(parse(&o,
                    "-snapshot -drive file=a,format=raw,readonly=on,serial=S1,cache=unsafe,discard=unmap "
                    "-drive file=b,snapshot=off,if=none,id=x -device ide-hd,drive=x,serial=S2,bootindex=3",
                    &e),
              "%s", e.text);
    const struct machine_drive *a = &o.drive[0], *b = &o.drive[1];
    cr_expect(a->read_only && a->private_copy && a->unmap && a->cache == MEDIUM_UNSAFE);
    cr_expect_str_eq(a->format, "raw");
    cr_expect_str_eq(a->serial, "S1");
    cr_expect_eq(a->bootindex, -1);
    cr_expect(!b->read_only && !b->private_copy && !b->unmap && b->cache == MEDIUM_WRITEBACK);
    cr_expect_null(b->format);
    cr_expect_str_eq(b->serial, "S2");
    cr_expect_eq(b->bootindex, 3);
    options_free(&o);
}

Test(options, no_kernel)
{
    struct options o;
    struct err e;
    char *argv[] = {"tandem", "-append", "x"};
    cr_expect(options_parse(&o, 1, argv, &e), "firmware starts");
    options_free(&o);
    cr_expect_not(options_parse(&o, 3, argv, &e));
    cr_expect(strstr(e.text, "-kernel"), "%s", e.text);
    options_free(&o);
}

Test(optvalue, sizes)
{
    uint64_t v;
    cr_expect(value_size("512", 1 << 20, &v) && v == UINT64_C(512) << 20);
    cr_expect(value_size("2g", 1, &v) && v == UINT64_C(2) << 30);
    cr_expect(value_size("4096K", 1, &v) && v == UINT64_C(4) << 20);
    cr_expect_not(value_size("17592186044416M", 1, &v));
    cr_expect_not(value_size("1MM", 1, &v));
    cr_expect_not(value_size("", 1, &v));
    cr_expect(value_number("0x1f", 0, 100, &v) && v == 31);
    cr_expect_not(value_number("0x", 0, 100, &v));
    cr_expect_not(value_number(" 1", 0, 100, &v));
    cr_expect_not(value_number("18446744073709551616", 0, UINT64_MAX, &v));
}

Test(optvalue, sizes_with_fractions)
{
    uint64_t v;
    cr_expect(value_size("0.5G", 1 << 20, &v) && v == UINT64_C(512) << 20);
    cr_expect(value_size("1.25m", 1, &v) && v == (UINT64_C(5) << 20) / 4);
    cr_expect(value_size("1.5", 1 << 20, &v) && v == UINT64_C(3) << 19);
    cr_expect(value_size("0.0000000001234K", 1, &v) && v == 0);
    cr_expect_not(value_size(".5G", 1, &v));
    cr_expect_not(value_size("1.G", 1, &v));
    cr_expect_not(value_size("1.5.5G", 1, &v));
    cr_expect_not(value_size("1.5e3", 1, &v));
    cr_expect_not(value_size("17179869183.9999999999999G", UINT64_C(1) << 40, &v) && v < UINT64_C(1) << 63);
}

/* Spellings that QEMU's users write, and that are true of this machine. */
Test(options, accepted_spellings)
{
    static const char *const args[] = {
        "-machine pc,accel=tcg",
        "-M pc-i440fx-7.2,usb=off,vmport=off,hpet=off,acpi=on",
        "-machine type=pc",
        "-accel tcg",
        "-accel accel=tcg",
        "-smp 1,sockets=1,cores=1,threads=1,maxcpus=1",
        "-smp cpus=1",
        "-no-user-config -nodefaults -no-shutdown",
        "-pidfile p",
        "-m 0.5G",
        "-m size=0x40M",
        "-device isa-debug-exit,iobase=0xf4,iosize=0x4",
        "-device isa-debug-exit,iobase=244,iosize=0x04",
        "-device isa-debug-exit,iosize=04",
        "-device isa-debug-exit,iosize=1",
        "-chardev stdio,id=a -serial chardev:a",
        "-serial chardev:a -chardev null,id=a",
        "-chardev file,id=f,path=out -debugcon chardev:f",
        "-debugcon file:out",
        "-chardev socket,id=s,path=p,server=on,wait=off -serial chardev:s",
        "-chardev socket,id=s,host=,port=1234,server=on -device isa-debugcon,iobase=0x402,chardev=s",
    };
    for (size_t i = 0; i < sizeof args / sizeof *args; i++) {
        struct options o;
        struct err e;
        cr_expect(parse(&o, args[i], &e), "%s: %s", args[i], e.text);
        options_free(&o);
    }
}

Test(optvalue, distance)
{
    cr_expect_eq(text_distance("kernel", "kernel"), 0);
    cr_expect_eq(text_distance("kernle", "kernel"), 2);
    cr_expect_eq(text_distance("", "abc"), 3);
}

Test(options, log_items)
{
    struct options o;
    struct err e;
    cr_assert(parse(&o, "-d in_asm,out_asm,guest_errors -D file", &e), "%s", e.text);
    cr_expect_eq(o.log_items, VCPU_LOG_IN_ASM | VCPU_LOG_OUT_ASM | VCPU_LOG_GUEST_ERRORS);
    cr_expect_str_eq(o.log_file, "file");
    options_free(&o);
    cr_assert_not(parse(&o, "-d op,", &e));
    cr_expect(strstr(e.text, "in_asm, op, out_asm, int, cpu_reset and guest_errors"), "%s", e.text);
    options_free(&o);
}
