/* v86.c - the same BIOS, called from virtual-8086 mode under the monitor (monitor.c): with IOPL 3, with IOPL
 * 0, with a gate of DPL 3 for INT 13h, and with CR4.VME, where the CPU has it (SDM 3B, chapter 20). */
#include "monitor.h"
#include "suite.h"

void read_cr0(void), use_sldt(void), use_arpl(void);
__asm__(".code16\nread_cr0: movl %cr0, %eax\nretl\nuse_sldt: sldtw %ax\nretl\nuse_arpl: arpl %ax, "
        "%ax\nretl\n.code16gcc");

/* fn's first instruction, of that many bytes, raises vector. */
static void expect_monitored(void (*fn)(void), uint32_t vector, uint32_t bytes)
{
    uint32_t count = monitor.expect_count;
    monitor.skip = bytes;
    monitor.expect_vector = vector + 1;
    fn();
    monitor.expect_vector = 0;
    EXPECT_EQ(monitor.expect_count, count + 1);
    EXPECT_EQ(monitor.expect_error, 0);
}

static uint32_t flags_now(void)
{
    uint32_t flags;
    __asm__ volatile("pushfl\n\tpopl %0" : "=r"(flags));
    return flags;
}

/* SeaBIOS drives virtio and AHCI disks by 32-bit code, to which virtual-8086 mode has no way but by SMM: a
 * read fails, and says so. */
static bool disk_needs_protected_mode(void)
{
    static uint8_t sector[512];
    uint32_t reads = monitor.cr0_reads;
    struct regs r = regs_of(0x0201);
    r.ebx = (uint32_t)sector, r.ecx = 1, r.edx = boot_drive;
    if (boot_drive >= 0xe0)
        return false;
    bios(0x13, &r);
    if (monitor.cr0_reads == reads)
        return false;
    EXPECT(r.eflags & FLAG_CF);
    return true;
}

static void task(void)
{
    uint16_t msw;
    __asm__ volatile("smsw %0" : "=r"(msw)); /* not privileged */
    EXPECT(msw & 1);
    EXPECT_EQ(flags_now() & 0x30000, 0); /* PUSHFD shows neither VM nor RF */
    expect_monitored(read_cr0, 13, 3);
    expect_monitored(use_sldt, 6, 3);
    expect_monitored(use_arpl, 6, 2);
    __asm__ volatile("cli");
    EXPECT_EQ(flags_now() & FLAG_IF, 0);
    __asm__ volatile("sti");
    EXPECT_EQ(flags_now() & FLAG_IF, FLAG_IF);
    check_video();
    check_keyboard();
    if (boot_drive < 0x80 || !disk_needs_protected_mode())
        check_disk_v86();
    uint32_t first = ticks_now();
    while (ticks_now() - first < 2)
        __asm__ volatile("hlt");
}

static bool has_vme(void)
{
    uint32_t flags, changed, eax = 0, edx = 0;
    __asm__ volatile(
        "pushfl\n\tpopl %0\n\tmovl %0, %1\n\txorl $0x200000, %1\n\tpushl %1\n\tpopfl\n\tpushfl\n\tpopl %1"
        : "=&r"(flags), "=&r"(changed));
    if (!((flags ^ changed) & 0x200000))
        return false;
    __asm__ volatile("cpuid" : "+a"(eax), "=d"(edx) : : "ebx", "ecx");
    eax = 1;
    __asm__ volatile("cpuid" : "+a"(eax), "=d"(edx) : : "ebx", "ecx");
    return edx & 2;
}

static void run(uint32_t options)
{
    monitor = (struct monitor){.options = options};
    v86_enter(task);
    EXPECT_EQ(monitor.bad_vector, 0);
    if (monitor.bad_vector)
        print("options %x: vector %x at %x:%x: %x %x %x %x\r\n", options, monitor.bad_vector - 1,
              monitor.bad_cs, monitor.bad_eip, monitor.bad_bytes[0], monitor.bad_bytes[1],
              monitor.bad_bytes[2], monitor.bad_bytes[3]);
    EXPECT(monitor.irqs >= 2);
    EXPECT(monitor.emulated >= 1); /* HLT, at least */
    EXPECT(options & V86_VME ? monitor.soft_ints == 0 : monitor.soft_ints > 20);
    EXPECT(options & V86_GATE ? monitor.gate_ints >= 1 : monitor.gate_ints == 0);
    EXPECT(options & V86_IOPL0 ? monitor.emulated > 20 : true);
}

void check_v86(void)
{
    run(0);
    run(V86_IOPL0);
    run(V86_GATE);
    if (has_vme())
        run(V86_VME);
    check_disk_v86(); /* real mode again */
}
