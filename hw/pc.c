/* pc.c - the PC board: which chip sits at which ports and drives which interrupt line.
 *
 * Latencies are bus cycles, the least time after which a chip can show that it was accessed:
 *   ISA 8-bit I/O:  6 BCLK at 8.33 MHz = 720 ns (ISA specification, standard 8-bit cycle)
 *   PCI I/O:        4 clocks at 33 MHz = 120 ns (PCI 2.1, fast decode, target without wait states)
 * What an OUT remaps (port 92h, configuration space) is in force at once: the CPU does not go on before the
 * cycle is over (SDM 1, 19.6), and firmware relies on it: it switches shadow RAM and reads there with its
 * next instruction.
 *
 * A20 is the OR of the 8042's gate and of port 92h (82371SB data sheet, port 92h). The 8042's is on after a
 * reset, else the CPU could not fetch from FFFFFFF0h; port 92h's is, too, where the machine boots without
 * firmware.
 *
 * NOT MODELLED: LPT; its ports float high. Without firmware, what it would set up is as it leaves it:
 * i440fx.c, i8237.c, vga.c. */
#include "hw/pc.h"

#include "hw/pcintc.h"

#include "clockcore/ticks.h"
#include "hw/vga_draw.h"

#include <string.h>

#define ISA_CYCLE_NS 720
#define PCI_CYCLE_NS 120

#define CMOS_SHUTDOWN 0x0F /* what a reset of the CPU is for */

static const uint16_t com_base[PC_SERIAL_MAX] = {PC_COM1_IOBASE, 0x2F8, 0x3E8, 0x2E8};
static const uint8_t com_line[PC_SERIAL_MAX] = {4, 3, 4, 3};

/* --- hooks: typed wrappers of the chips' functions --- */

static uint32_t kbc_take_request(void *s)
{
    return i8042_take_request(s);
}

/* The codes of CMOS byte 0Fh with which a BIOS goes on through 40:67 (IBM PC/AT Technical Reference, BIOS,
 * SHUT_DOWN). */
bool pc_resumes(const struct pc *pc)
{
    const uint8_t code = mc146818_cmos(&pc->rtc, CMOS_SHUTDOWN);

    return (code == 5 || (code >= 9 && code <= 12)) && (i8042_a20(&pc->kbc) || pcmisc_a20(&pc->misc));
}

/* These pulses reach the CPU alone (82371SB data sheet: INIT). Where the BIOS would then reset the whole
 * board for want of such a code, that is done at once: its copy in RAM may be gone. */
static uint32_t reset_line(const struct pc *pc, uint32_t request)
{
    if (!(request & HW_REQUEST_RESET) || !pc_resumes(pc))
        return request;
    return (request & ~(uint32_t)HW_REQUEST_RESET) | HW_REQUEST_INIT;
}

static uint32_t kbc_take_request_firmware(void *s)
{
    const struct pc *pc = (const struct pc *)((const uint8_t *)s - offsetof(struct pc, kbc));
    return reset_line(pc, i8042_take_request(s));
}

static uint32_t misc_take_request_firmware(void *s)
{
    const struct pc *pc = (const struct pc *)((const uint8_t *)s - offsetof(struct pc, misc));
    return reset_line(pc, pcmisc_take_request(s));
}

/* What sits in the slots stays there, with its ROMs. */
static void pci_reset_as(const struct chip_class *chip, void *s, uint64_t now_ns)
{
    struct i440fx before = *(struct i440fx *)s;

    chip->reset(s, now_ns);
    ((struct i440fx *)s)->fitted = before.fitted;
    memcpy(((struct i440fx *)s)->rom_log2, before.rom_log2, sizeof(before.rom_log2));
}

static void pci_reset_pin(void *s, uint64_t now_ns)
{
    pci_reset_as(&i440fx_class, s, now_ns);
}

static void pci_reset_pin_firmware(void *s, uint64_t now_ns)
{
    pci_reset_as(&i440fx_firmware_class, s, now_ns);
}

static void fdc_reset_pin(void *s, uint64_t now_ns)
{
    i82077_reset_pin(s, now_ns);
}

static uint32_t pci_take_request(void *s)
{
    return i440fx_take_request(s);
}

/* Bit 7 of port 70h masks NMI (82371SB data sheet, 2.5.5.2). */
static uint32_t pm_take_request(void *s)
{
    const struct pc *pc = (const struct pc *)((const uint8_t *)s - offsetof(struct pc, pm));
    uint32_t request = piix4_pm_take_request(s);

    return pc->rtc.index & 0x80 ? request & ~(uint32_t)HW_REQUEST_NMI : request;
}

static uint32_t misc_take_request(void *s)
{
    return pcmisc_take_request(s);
}

static uint32_t misc_exit_value(const void *s)
{
    return pc_debug_exit_status(pcmisc_exit_value(s));
}

static void set_cmos_word(struct mc146818 *rtc, unsigned lo, unsigned hi, uint64_t value)
{
    mc146818_set_cmos(rtc, lo, (uint8_t)value);
    mc146818_set_cmos(rtc, hi, (uint8_t)(value >> 8));
}

static void rtc_reset_pin(void *s, uint64_t now_ns)
{
    mc146818_reset_pin(s, now_ns);
}

/* What was to be booted once has been. */
static void rtc_reset_pin_once(void *s, uint64_t now_ns)
{
    unsigned next = mc146818_cmos(s, CMOS_NEXT_BOOT) | (unsigned)mc146818_cmos(s, CMOS_NEXT_BOOT + 1) << 8;

    mc146818_reset_pin(s, now_ns);
    if (next)
        set_cmos_word(s, CMOS_BOOT_1, CMOS_BOOT_3, next);
    set_cmos_word(s, CMOS_NEXT_BOOT, CMOS_NEXT_BOOT + 1, 0);
}

static void vga_reset(void *s, uint64_t now_ns)
{
    vga_reset_pin(&vga_class, s, now_ns);
}

static void vga_reset_firmware(void *s, uint64_t now_ns)
{
    vga_reset_pin(&vga_firmware_class, s, now_ns);
}

static void ide_reset_pin(void *s, uint64_t now_ns)
{
    (void)now_ns;
    piix_ide_reset_pin(s);
}

static void virtio_reset_pin(void *s, uint64_t now_ns)
{
    (void)now_ns;
    virtio_blk_reset_pin(s);
}

static void e1000_reset_hook(void *s, uint64_t now_ns)
{
    e1000_reset_pin(s, now_ns);
}

static void virtio_net_reset_hook(void *s, uint64_t now_ns)
{
    (void)now_ns;
    virtio_net_reset_pin(s);
}

static uint32_t com_take(void *s, uint8_t *bytes, uint32_t max)
{
    uint32_t n = 0;

    while (n < max && ns16550_take_tx(s, &bytes[n]))
        n++;
    return n;
}

static uint32_t com_unsent(const void *s, uint8_t *bytes, uint32_t max)
{
    return ns16550_unsent(s, bytes, max);
}

static uint32_t debugcon_output(void *s, uint8_t *bytes, uint32_t max)
{
    return max > 0 && debugcon_take(s, bytes) ? 1 : 0;
}

static uint64_t com_ready_ns(const void *s)
{
    return ns16550_can_receive(s) ? ns16550_receive_ready_ns(s) : NS_NEVER;
}

static void com_put(void *s, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    (void)bytes; /* a stream comes byte by byte */
    ns16550_receive(s, entry[0], now_ns);
}

static uint64_t keys_ready_ns(const void *s)
{
    return i8042_key_ready_ns(s);
}

static void keys_put(void *s, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    struct port_key k = port_key_unpack(entry, bytes);

    i8042_key(s, k.code, k.down, now_ns);
}

static uint64_t mouse_ready_ns(const void *s)
{
    return i8042_motion_ready_ns(s);
}

static void mouse_put(void *s, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    i8042_motion(s, port_motion_unpack(entry, bytes), now_ns);
}

static uint64_t panel_ready_ns(const void *s)
{
    (void)s;
    return 0;
}

static void panel_put(void *s, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    (void)bytes; /* an entry has one at least */
    piix4_pm_button(s, entry[0], now_ns);
}

static const struct port_input panel_in = {.ready_ns = panel_ready_ns, .put = panel_put};
static const struct port_input com_in = {.ready_ns = com_ready_ns, .put = com_put};
static const struct port_output com_out = {.take = com_take, .unsent = com_unsent};
static const struct port_output debugcon_out = {.take = debugcon_output};
static const struct port_input keys_in = {.ready_ns = keys_ready_ns, .put = keys_put};
static const struct port_input mouse_in = {.ready_ns = mouse_ready_ns, .put = mouse_put};

/* --- tables --- */

#define COM_DEVICE(n)                                                                                        \
    {                                                                                                        \
        .name = "com" #n, .chip = &ns16550_class, .state_offset = offsetof(struct pc, com[(n)-1]),           \
        .latency_ns = ISA_CYCLE_NS                                                                           \
    }

#define IDE_DEVICE(n)                                                                                        \
    {                                                                                                        \
        .name = "ide" #n, .chip = &piix_ide_class, .state_offset = offsetof(struct pc, ide[n]),              \
        .latency_ns = PCI_CYCLE_NS, .present = true, .reset = ide_reset_pin                                  \
    }

#define VIRTIO_DEVICE(n)                                                                                     \
    {                                                                                                        \
        .name = "virtio" #n, .chip = &virtio_blk_class, .state_offset = offsetof(struct pc, virtio[n]),      \
        .latency_ns = PCI_CYCLE_NS, .reset = virtio_reset_pin                                                \
    }

/* No network card has been put in. */
static void empty_reset(void *s, uint64_t now_ns)
{
    (void)s;
    (void)now_ns;
}

static const struct chip_class empty_slot = {.name = "none", .reset = empty_reset};

static const struct board_device devices[PC_DEV_COUNT] = {
    [PC_DEV_PIC] = {.name = "pic",
                    .chip = &i8259_class,
                    .state_offset = offsetof(struct pc, pic),
                    .latency_ns = ISA_CYCLE_NS,
                    .present = true,
                    .local = true},
    [PC_DEV_PIT] = {.name = "pit",
                    .chip = &i8254_class,
                    .state_offset = offsetof(struct pc, pit),
                    .latency_ns = ISA_CYCLE_NS,
                    .present = true},
    [PC_DEV_RTC] = {.name = "rtc",
                    .chip = &mc146818_class,
                    .state_offset = offsetof(struct pc, rtc),
                    .latency_ns = ISA_CYCLE_NS,
                    .present = true,
                    .reset = rtc_reset_pin},
    [PC_DEV_KBC] = {.name = "kbc",
                    .chip = &i8042_class,
                    .state_offset = offsetof(struct pc, kbc),
                    .latency_ns = ISA_CYCLE_NS,
                    .present = true,
                    .remaps = 1u << PC_REMAP_A20,
                    .take_request = kbc_take_request},
    [PC_DEV_COM1] = COM_DEVICE(1),
    [PC_DEV_COM2] = COM_DEVICE(2),
    [PC_DEV_COM3] = COM_DEVICE(3),
    [PC_DEV_COM4] = COM_DEVICE(4),
    [PC_DEV_PM] = {.name = "pm",
                   .chip = &piix4_pm_class,
                   .state_offset = offsetof(struct pc, pm),
                   .latency_ns = PCI_CYCLE_NS,
                   .present = true,
                   .take_request = pm_take_request},
    [PC_DEV_PCI] = {.name = "pci",
                    .chip = &i440fx_class,
                    .state_offset = offsetof(struct pc, pci),
                    .latency_ns = PCI_CYCLE_NS,
                    .present = true,
                    .configures = true,
                    .remaps = ((1u << I440FX_PAM_REGIONS) - 1) << PC_REMAP_PAM,
                    .reset = pci_reset_pin,
                    .take_request = pci_take_request},
    [PC_DEV_TOY] = {.name = "toypci",
                    .chip = &toypci_class,
                    .state_offset = offsetof(struct pc, toy),
                    .latency_ns = PCI_CYCLE_NS},
    [PC_DEV_MISC] = {.name = "misc",
                     .chip = &pcmisc_class,
                     .state_offset = offsetof(struct pc, misc),
                     .latency_ns = ISA_CYCLE_NS,
                     .present = true,
                     .remaps = 1u << PC_REMAP_A20,
                     .take_request = misc_take_request,
                     .exit_value = misc_exit_value},
    [PC_DEV_DEBUGCON] = {.name = "debugcon",
                         .chip = &debugcon_class,
                         .state_offset = offsetof(struct pc, debugcon),
                         .latency_ns = ISA_CYCLE_NS},
    [PC_DEV_IDE0] = IDE_DEVICE(0),
    [PC_DEV_IDE1] = IDE_DEVICE(1),
    [PC_DEV_VIRTIO0] = VIRTIO_DEVICE(0),
    [PC_DEV_VIRTIO0 + 1] = VIRTIO_DEVICE(1),
    [PC_DEV_VIRTIO0 + 2] = VIRTIO_DEVICE(2),
    [PC_DEV_VIRTIO0 + 3] = VIRTIO_DEVICE(3),
    [PC_DEV_FW_CFG] = {.name = "fw_cfg",
                       .chip = &fw_cfg_class,
                       .state_offset = offsetof(struct pc, fw_cfg),
                       .latency_ns = ISA_CYCLE_NS},
    [PC_DEV_MARKER] = {.name = "marker",
                       .chip = &marker_class,
                       .state_offset = offsetof(struct pc, marker),
                       .latency_ns = ISA_CYCLE_NS},
    [PC_DEV_VGA] = {.name = "vga",
                    .chip = &vga_class,
                    .state_offset = offsetof(struct pc, vga),
                    .latency_ns = PCI_CYCLE_NS,
                    .local = true,
                    .owns_memory = true,
                    .remaps = 1u << PC_REMAP_VGA,
                    .reset = vga_reset},
    [PC_DEV_APIC] = {.name = "apic",
                     .chip = &apic_class,
                     .state_offset = offsetof(struct pc, apic[0]),
                     .latency_ns = PCI_CYCLE_NS,
                     .local = true},
    [PC_DEV_IOAPIC] = {.name = "ioapic",
                       .chip = &ioapic_class,
                       .state_offset = offsetof(struct pc, ioapic),
                       .latency_ns = PCI_CYCLE_NS,
                       .local = true},
    [PC_DEV_DMA] = {.name = "dma",
                    .chip = &i8237_class,
                    .state_offset = offsetof(struct pc, dma),
                    .latency_ns = ISA_CYCLE_NS,
                    .present = true},
    [PC_DEV_NIC0] = {.name = "nic0", .chip = &empty_slot},
    [PC_DEV_NIC0 + 1] = {.name = "nic1", .chip = &empty_slot},
    [PC_DEV_NIC0 + 2] = {.name = "nic2", .chip = &empty_slot},
    [PC_DEV_NIC0 + 3] = {.name = "nic3", .chip = &empty_slot},
    [PC_DEV_FDC] = {.name = "fdc",
                    .chip = &i82077_class,
                    .state_offset = offsetof(struct pc, fdc),
                    .latency_ns = ISA_CYCLE_NS,
                    .reset = fdc_reset_pin},
};

static const struct board_range io[] = {
    /* first, last, device, base offset, read class, write class, width */
    {0x20, 0x21, PC_DEV_PIC, I8259_OFF_MASTER_CMD, BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0xA0, 0xA1, PC_DEV_PIC, I8259_OFF_SLAVE_CMD, BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0xF0, 0xF0, PC_DEV_PIC, I8259_OFF_COPROCESSOR, BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0x4D0, 0x4D1, PC_DEV_PIC, I8259_OFF_ELCR1, BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0x40, 0x43, PC_DEV_PIT, I8254_OFF_COUNTER0, BOARD_SYNC, BOARD_POSTED, 1, 0},
    {0x61, 0x61, PC_DEV_PIT, I8254_OFF_PORTB, BOARD_PURE, BOARD_POSTED, 1, 0},
    {0x60, 0x60, PC_DEV_KBC, I8042_OFF_DATA, BOARD_SYNC, BOARD_AT_ONCE, 1, 0},
    {0x64, 0x64, PC_DEV_KBC, I8042_OFF_STATUS, BOARD_PURE, BOARD_AT_ONCE, 1, 0},
    {0x70, 0x71, PC_DEV_RTC, MC146818_OFF_INDEX, BOARD_SYNC, BOARD_POSTED, 1, 0},
    {0x80, 0x80, PC_DEV_MISC, PCMISC_OFF_POST, BOARD_PURE, BOARD_POSTED, 1, 0},
    {0x92, 0x92, PC_DEV_MISC, PCMISC_OFF_PORTA, BOARD_PURE, BOARD_AT_ONCE, 1, 0},
    {0x8900, 0x8900, PC_DEV_MISC, PCMISC_OFF_SHUTDOWN, BOARD_PURE, BOARD_POSTED, 1, 0},
    {0x00, 0x08, PC_DEV_DMA, I8237_OFF_LOW, BOARD_SYNC, BOARD_POSTED, 1, 0},
    {0x09, 0x0F, PC_DEV_DMA, I8237_OFF_LOW + 9, BOARD_PURE, BOARD_POSTED, 1, 0},
    {0xC0, 0xD1, PC_DEV_DMA, I8237_OFF_HIGH, BOARD_SYNC, BOARD_POSTED, 1, 0},
    {0xD2, 0xDF, PC_DEV_DMA, I8237_OFF_HIGH + 18, BOARD_PURE, BOARD_POSTED, 1, 0},
    {0x81, 0x8F, PC_DEV_DMA, I8237_OFF_PAGE + 1, BOARD_PURE, BOARD_POSTED, 1, 0},
    {0xB2, 0xB3, PC_DEV_PM, PIIX4_PM_OFF_APMC, BOARD_PURE, BOARD_AT_ONCE, 1, 0},
    {0xCF8, 0xCFF, PC_DEV_PCI, I440FX_OFF_ADDRESS, BOARD_PURE, BOARD_AT_ONCE, 4, 0},
};

/* Besides fw_cfg: the ACPI tables inside SeaBIOS have a GPE block at AFE0h and PCI slots that come and go at
 * AE00h. No event is pending and no slot changes; ports that float high say the opposite, and Linux takes out
 * what is in the slots. */
static const struct board_range fw_cfg_io[] = {
    {0xAE00, 0xAE0F, PC_DEV_MISC, PCMISC_OFF_NOTHING, BOARD_PURE, BOARD_POSTED, 4, 0},
    {0xAFE0, 0xAFE3, PC_DEV_MISC, PCMISC_OFF_NOTHING, BOARD_PURE, BOARD_POSTED, 4, 0},
    {0x510, 0x511, PC_DEV_FW_CFG, FW_CFG_OFF_SELECTOR, BOARD_SYNC, BOARD_POSTED, 2, 0},
    {0x514, 0x51B, PC_DEV_FW_CFG, FW_CFG_OFF_DMA, BOARD_PURE, BOARD_POSTED, 4, 0},
};

/* The UART's registers by offset: RBR and IIR have side effects, the rest is pure (ns16550.h). */
static const struct board_range com_io[] = {
    {0, 0, 0, 0, BOARD_SYNC, BOARD_POSTED, 1, 0},
    {1, 1, 0, 1, BOARD_PURE, BOARD_POSTED, 1, 0},
    {2, 2, 0, 2, BOARD_SYNC, BOARD_POSTED, 1, 0},
    {3, 7, 0, 3, BOARD_PURE, BOARD_POSTED, 1, 0},
};

static const struct board_range fdc_io[] = {
    {0x3F2, 0x3F4, PC_DEV_FDC, I82077_OFF_DOR, BOARD_PURE, BOARD_POSTED, 1, 0},
    {0x3F5, 0x3F5, PC_DEV_FDC, I82077_OFF_FIFO, BOARD_SYNC, BOARD_POSTED, 1, 0},
    {0x3F7, 0x3F7, PC_DEV_FDC, I82077_OFF_DIR, BOARD_PURE, BOARD_POSTED, 1, 0},
};

#define SERIAL_PORT(n)                                                                                       \
    {                                                                                                        \
        .name = "serial" #n, .kind = PORT_BYTES, .device = PC_DEV_COM1 + (n), .in = &com_in, .out = &com_out \
    }

#define DRIVE_PORT(n, dev)                                                                                   \
    {                                                                                                        \
        .name = (n), .kind = PORT_BLOCKS, .device = (dev)                                                    \
    }

#define TRAY_PORT(n)                                                                                         \
    {                                                                                                        \
        .name = "tray" #n, .kind = PORT_TRAY, .device = PC_DEV_IDE0 + (n), .in = &piix_ide_tray_in,          \
        .out = &piix_ide_tray_out                                                                            \
    }

/* Its hooks are the chip's that sits in the slot. */
#define NIC_PORT(n)                                                                                          \
    {                                                                                                        \
        .name = "nic" #n, .kind = PORT_FRAMES, .device = PC_DEV_NIC0 + (n)                                   \
    }

_Static_assert(VGA_RANGES_MAX <= PORT_RANGES_MAX, "ranges of a picture");

static unsigned vga_ranges(const void *s, struct port_range range[PORT_RANGES_MAX])
{
    struct vga_range r[VGA_RANGES_MAX];
    const unsigned n = vga_picture_ranges(s, r);

    for (unsigned i = 0; i < n; i++)
        range[i] = (struct port_range){r[i].first, r[i].bytes};
    return n;
}

static const struct port_pixels vga_pixels = {.state_bytes = sizeof(struct vga), .ranges = vga_ranges};

static const struct board_port ports[PC_PORT_COUNT] = {
    [PC_PORT_SERIAL0] = SERIAL_PORT(0),
    [PC_PORT_SERIAL0 + 1] = SERIAL_PORT(1),
    [PC_PORT_SERIAL0 + 2] = SERIAL_PORT(2),
    [PC_PORT_SERIAL0 + 3] = SERIAL_PORT(3),
    [PC_PORT_FRAMES] = {.name = "frames0",
                        .kind = PORT_FRAMES,
                        .device = PC_DEV_TOY,
                        .in = &toypci_frames_in,
                        .out = &toypci_frames_out},
    [PC_PORT_POINTER] = {.name = "pointer0",
                         .kind = PORT_POINTER,
                         .device = PC_DEV_TOY,
                         .in = &toypci_pointer_in},
    [PC_PORT_BLOCKS] = {.name = "blocks0", .kind = PORT_BLOCKS, .device = PC_DEV_TOY},
    [PC_PORT_PIXELS] = {.name = "pixels0",
                        .kind = PORT_PIXELS,
                        .device = PC_DEV_TOY,
                        .pixels = &toypci_pixels},
    [PC_PORT_KEYS] =
        {.name = "keys0", .kind = PORT_KEYS, .present = true, .device = PC_DEV_KBC, .in = &keys_in},
    [PC_PORT_DEBUGCON] = {.name = "debugcon0",
                          .kind = PORT_BYTES,
                          .device = PC_DEV_DEBUGCON,
                          .out = &debugcon_out},
    [PC_PORT_IDE0] = DRIVE_PORT("ide0-hd0", PC_DEV_IDE0),
    [PC_PORT_IDE0 + 1] = DRIVE_PORT("ide0-hd1", PC_DEV_IDE0),
    [PC_PORT_IDE0 + 2] = DRIVE_PORT("ide1-hd0", PC_DEV_IDE1),
    [PC_PORT_IDE0 + 3] = DRIVE_PORT("ide1-hd1", PC_DEV_IDE1),
    [PC_PORT_FLOPPY0] = DRIVE_PORT("floppy0", PC_DEV_FDC),
    [PC_PORT_FLOPPY0 + 1] = DRIVE_PORT("floppy1", PC_DEV_FDC),
    [PC_PORT_MOUSE] =
        {.name = "mouse0", .kind = PORT_POINTER, .present = true, .device = PC_DEV_KBC, .in = &mouse_in},
    [PC_PORT_PANEL] =
        {.name = "panel0", .kind = PORT_PANEL, .present = true, .device = PC_DEV_PM, .in = &panel_in},
    [PC_PORT_SCREEN] = {.name = "screen0", .kind = PORT_PIXELS, .device = PC_DEV_VGA, .pixels = &vga_pixels},
    [PC_PORT_NIC0] = NIC_PORT(0),
    [PC_PORT_NIC0 + 1] = NIC_PORT(1),
    [PC_PORT_NIC0 + 2] = NIC_PORT(2),
    [PC_PORT_NIC0 + 3] = NIC_PORT(3),
    [PC_PORT_TRAY0] = TRAY_PORT(0),
    [PC_PORT_TRAY0 + 1] = TRAY_PORT(1),
    [PC_PORT_TRAY_FLOPPY] = {.name = "tray2", .kind = PORT_TRAY, .device = PC_DEV_FDC, .in = &i82077_tray_in},
    [PC_PORT_VIRTIO0] = DRIVE_PORT("virtio0", PC_DEV_VIRTIO0),
    [PC_PORT_VIRTIO0 + 1] = DRIVE_PORT("virtio1", PC_DEV_VIRTIO0 + 1),
    [PC_PORT_VIRTIO0 + 2] = DRIVE_PORT("virtio2", PC_DEV_VIRTIO0 + 2),
    [PC_PORT_VIRTIO0 + 3] = DRIVE_PORT("virtio3", PC_DEV_VIRTIO0 + 3),
};

/* PMBASE, the APICs' pages, the toy's BARs, BARs 0 and 4 of each virtio disk; of IDE the two blocks of each
 * channel's ports, and BAR 4. What is not fitted never decodes. */
enum {
    WINDOW_PM,
    WINDOW_APIC,
    WINDOW_IOAPIC,
    WINDOW_TOY_MEM,
    WINDOW_TOY_IO,
    WINDOW_VIRTIO0,
    WINDOW_IDE0 = WINDOW_VIRTIO0 + 2 * PC_VIRTIO_DRIVES,
    WINDOW_IDE_BMDMA = WINDOW_IDE0 + 2 * PIIX_IDE_CHANNELS,
    WINDOW_NIC0, /* of each card its two BARs and its ROM: nic_windows */
    WINDOW_NIC_END = WINDOW_NIC0 + 3 * PC_NICS - 1,
    WINDOW_VGA,
    WINDOW_VGA_FRAME,
    WINDOWS
};
#define VIRTIO_WINDOWS(n)                                                                                    \
    {I440FX_FN_VIRTIO0 + (n), 0, {.bytes = VIRTIO_LEGACY_BYTES, .io = true}},                                \
    {                                                                                                        \
        I440FX_FN_VIRTIO0 + (n), 4,                                                                          \
        {                                                                                                    \
            .bytes = VIRTIO_MODERN_BYTES                                                                     \
        }                                                                                                    \
    }

#define NO_WINDOWS                                                                                           \
    {0, 0, {.bytes = 4, .io = true}}, {0, 0, {.bytes = 4, .io = true}},                                      \
    {                                                                                                        \
        0, 0,                                                                                                \
        {                                                                                                    \
            .bytes = 4, .io = true                                                                           \
        }                                                                                                    \
    }

/* A BAR is as large as its function says. */
static const struct window_bar {
    uint8_t function, bar; /* I440FX_FN_* */
    struct board_window window;
} window_bars[WINDOWS] = {
    [WINDOW_PM] = {0, 0, {.bytes = PIIX4_PM_BYTES, .io = true}}, /* no BAR: i440fx_pm_decoded */
    [WINDOW_APIC] = {0, 0, {.bytes = 4096, .local = true}},
    [WINDOW_IOAPIC] = {0, 0, {.bytes = 4096, .at = IOAPIC_PAGE}},
    [WINDOW_TOY_MEM] = {I440FX_FN_TOY, 0, {.bytes = TOYPCI_BAR_BYTES}},
    [WINDOW_TOY_IO] = {I440FX_FN_TOY, 1, {.bytes = TOYPCI_IO_BYTES, .io = true}},
    [WINDOW_VIRTIO0] = VIRTIO_WINDOWS(0),
    [WINDOW_VIRTIO0 + 2] = VIRTIO_WINDOWS(1),
    [WINDOW_VIRTIO0 + 4] = VIRTIO_WINDOWS(2),
    [WINDOW_VIRTIO0 + 6] = VIRTIO_WINDOWS(3),
    [WINDOW_IDE0] = {0, 0, {.bytes = 8, .io = true}}, /* no BARs: ide_window_at */
    [WINDOW_IDE0 + 1] = {0, 0, {.bytes = 4, .io = true}},
    [WINDOW_IDE0 + 2] = {0, 0, {.bytes = 8, .io = true}},
    [WINDOW_IDE0 + 3] = {0, 0, {.bytes = 4, .io = true}},
    [WINDOW_IDE_BMDMA] = {I440FX_FN_IDE, PIIX_IDE_BAR, {.bytes = PIIX_IDE_BAR_PORTS, .io = true}},
    [WINDOW_NIC0] = NO_WINDOWS,
    NO_WINDOWS,
    NO_WINDOWS,
    NO_WINDOWS, /* add_nic */
    [WINDOW_VGA] = {0, 0, {.bytes = 0x20000, .at = VGA_WINDOW}},
    [WINDOW_VGA_FRAME] = {I440FX_FN_VGA, VGA_BAR, {.bytes = VGA_FRAME_BYTES, .memory = true}},
};
#define TOY_MEM (WINDOW_TOY_MEM + 1)
#define TOY_IO  (WINDOW_TOY_IO + 1)

static const struct board_range vga_places[] = {
    {0x3B4, 0x3B5, PC_DEV_VGA, VGA_OFF(0x3B4), BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0x3BA, 0x3BA, PC_DEV_VGA, VGA_OFF(0x3BA), BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0x3C0, 0x3CF, PC_DEV_VGA, VGA_OFF(0x3C0), BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0x3D4, 0x3D5, PC_DEV_VGA, VGA_OFF(0x3D4), BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0x3DA, 0x3DA, PC_DEV_VGA, VGA_OFF(0x3DA), BOARD_LOCAL, BOARD_LOCAL, 1, 0},
    {0x1CE, 0x1D0, PC_DEV_VGA, VGA_OFF_DISPI, BOARD_LOCAL, BOARD_LOCAL, 2, 0},
    {0, 0x1FFFF, PC_DEV_VGA, VGA_OFF_WINDOW, BOARD_LOCAL, BOARD_LOCAL, 4, WINDOW_VGA + 1},
    {0, VGA_FRAME_BYTES - 1, PC_DEV_VGA, VGA_OFF_FRAME, BOARD_LOCAL, BOARD_LOCAL, 4, WINDOW_VGA_FRAME + 1},
};

static const struct board_range pm_range = {0,          PIIX4_PM_BYTES - 1, PC_DEV_PM, PIIX4_PM_OFF_PM1_STS,
                                            BOARD_PURE, BOARD_AT_ONCE,      4,         WINDOW_PM + 1};

static const struct board_range apic_ranges[] = {
    {0, 0xFFF, PC_DEV_APIC, 0, BOARD_LOCAL, BOARD_LOCAL, 4, WINDOW_APIC + 1},
    {0, 0xFFF, PC_DEV_IOAPIC, 0, BOARD_LOCAL, BOARD_LOCAL, 4, WINDOW_IOAPIC + 1},
};

/* What is not synchronous is pure (toypci.h). */
static const struct board_range toy_ranges[] = {
    {0x00, 0x07, PC_DEV_TOY, 0x00, BOARD_PURE, BOARD_POSTED, 4, TOY_MEM},
    {0x08, 0x0B, PC_DEV_TOY, 0x08, BOARD_SYNC, BOARD_POSTED, 4, TOY_MEM},
    {0x0C, 0x17, PC_DEV_TOY, 0x0C, BOARD_PURE, BOARD_POSTED, 4, TOY_MEM},
    {0x18, 0x1B, PC_DEV_TOY, 0x18, BOARD_SYNC, BOARD_POSTED, 4, TOY_MEM},
    {0x1C, 0xFFF, PC_DEV_TOY, 0x1C, BOARD_PURE, BOARD_POSTED, 4, TOY_MEM},
    {0x00, 0x07, PC_DEV_TOY, 0x00, BOARD_PURE, BOARD_POSTED, 4, TOY_IO},
    {0x08, 0x0B, PC_DEV_TOY, 0x08, BOARD_SYNC, BOARD_POSTED, 4, TOY_IO},
    {0x0C, 0x17, PC_DEV_TOY, 0x0C, BOARD_PURE, BOARD_POSTED, 4, TOY_IO},
    {0x18, 0x1B, PC_DEV_TOY, 0x18, BOARD_SYNC, BOARD_POSTED, 4, TOY_IO},
    {0x1C, 0x1F, PC_DEV_TOY, 0x1C, BOARD_PURE, BOARD_POSTED, 4, TOY_IO},
};

/* MATCH slot_pirq. Slot 4 of bus 0: each slot's pins begin at the next of INTA#..INTD#, as on the boards of
 * the time. */
#define SLOT_PIRQ(slot, pin) (BOARD_PIRQ_A + ((slot) + (pin)-1) % BOARD_PIRQS)
static const struct board_wire toy_wires[] = {
    {PC_DEV_TOY, 0, SLOT_PIRQ(4, 0)},
    {PC_DEV_TOY, 1, SLOT_PIRQ(4, 1)},
};

static const struct board_wire wires[] = {
    {PC_DEV_PIT, 0, 0},  {PC_DEV_KBC, 0, 1},   {PC_DEV_RTC, 0, 8},   {PC_DEV_PM, 0, PIIX4_PM_SCI_IRQ},
    {PC_DEV_KBC, 1, 12}, {PC_DEV_IDE0, 0, 14}, {PC_DEV_IDE1, 0, 15},
};

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(PC_PORT_COUNT <= BOARD_PORTS_MAX, "typed ports");
_Static_assert(PC_DEV_COUNT <= BOARD_DEVICES_MAX, "devices");
_Static_assert(PC_REMAP_VGA < BOARD_REMAPS_MAX, "remaps");

static void add_com(struct board *b, unsigned n, bool wire_speed)
{
    unsigned dev = PC_DEV_COM1 + n;

    if (wire_speed)
        b->device[dev].chip = &ns16550_wire_class;
    b->device[dev].present = true;
    b->port[PC_PORT_SERIAL0 + n].present = true;
    for (unsigned i = 0; i < NELEM(com_io); i++) {
        struct board_range r = com_io[i];
        r.first += com_base[n];
        r.last += com_base[n];
        r.device = (uint8_t)dev;
        b->range[b->nranges++] = r;
    }
    b->wire[b->nwires++] = (struct board_wire){(uint8_t)dev, 0, com_line[n]};
}

static void add_toypci(struct board *b)
{
    b->device[PC_DEV_TOY].present = true;
    for (unsigned port = PC_PORT_FRAMES; port <= PC_PORT_PIXELS; port++)
        b->port[port].present = true;
    memcpy(b->range + b->nranges, toy_ranges, sizeof(toy_ranges));
    b->nranges += NELEM(toy_ranges);
    memcpy(b->wire + b->nwires, toy_wires, sizeof(toy_wires));
    b->nwires += NELEM(toy_wires);
}

/* The controller is there with a drive, and for firmware, which looks for it. */
static void add_floppy(struct board *b, const struct pc_config *cfg)
{
    for (unsigned n = 0; n < PC_FLOPPY_DRIVES; n++) {
        b->port[PC_PORT_FLOPPY0 + n].present = cfg->floppy[n].present;
        b->port[PC_PORT_FLOPPY0 + n].drive = cfg->floppy[n];
        b->port[PC_PORT_TRAY_FLOPPY].present |= cfg->floppy[n].present;
        b->device[PC_DEV_FDC].present |= cfg->floppy[n].present || cfg->firmware;
    }
    if (!b->device[PC_DEV_FDC].present)
        return;
    memcpy(b->range + b->nranges, fdc_io, sizeof(fdc_io));
    b->nranges += NELEM(fdc_io);
    b->wire[b->nwires++] = (struct board_wire){PC_DEV_FDC, 0, I82077_IRQ};
}

static void add_vga(struct board *b)
{
    b->device[PC_DEV_VGA].present = b->port[PC_PORT_SCREEN].present = true;
    b->nremaps++;
    memcpy(b->range + b->nranges, vga_places, sizeof(vga_places));
    b->nranges += NELEM(vga_places);
}

/* The chip set as firmware finds it, and what tells it of the machine. */
static void add_firmware(struct board *b, const struct fw_cfg_items *items)
{
    memcpy(b->range + b->nranges, fw_cfg_io, sizeof(fw_cfg_io));
    b->nranges += NELEM(fw_cfg_io);
    b->device[PC_DEV_FW_CFG].present = true;
    b->device[PC_DEV_FW_CFG].constant = items;
    b->device[PC_DEV_PCI].chip = &i440fx_firmware_class;
    b->device[PC_DEV_PCI].reset = pci_reset_pin_firmware;
    b->device[PC_DEV_MISC].chip = &pcmisc_firmware_class;
    b->device[PC_DEV_MISC].take_request = misc_take_request_firmware;
    b->device[PC_DEV_KBC].take_request = kbc_take_request_firmware;
    if (b->boot_flags_once)
        b->device[PC_DEV_RTC].reset = rtc_reset_pin_once;
    b->device[PC_DEV_VGA].chip = &vga_firmware_class;
    b->device[PC_DEV_VGA].reset = vga_reset_firmware;
    b->device[PC_DEV_APIC].chip = &apic_firmware_class;
    b->device[PC_DEV_DMA].chip = &i8237_firmware_class;
}

static void add_apics(struct board *b)
{
    b->device[PC_DEV_APIC].present = b->device[PC_DEV_IOAPIC].present = true;
    memcpy(b->range + b->nranges, apic_ranges, sizeof(apic_ranges));
    b->nranges += NELEM(apic_ranges);
}

/* Each channel has 8 ports of BAR 4. */
static const struct board_range ide_ranges[] = {
    {0, 7, PC_DEV_IDE0, PIIX_IDE_OFF_COMMAND, BOARD_PURE, BOARD_POSTED, 4, WINDOW_IDE0 + 1},
    {2, 2, PC_DEV_IDE0, PIIX_IDE_OFF_CONTROL, BOARD_PURE, BOARD_POSTED, 1, WINDOW_IDE0 + 2},
    {0, 7, PC_DEV_IDE0, PIIX_IDE_OFF_BMDMA, BOARD_PURE, BOARD_POSTED, 4, WINDOW_IDE_BMDMA + 1},
    {0, 7, PC_DEV_IDE1, PIIX_IDE_OFF_COMMAND, BOARD_PURE, BOARD_POSTED, 4, WINDOW_IDE0 + 3},
    {2, 2, PC_DEV_IDE1, PIIX_IDE_OFF_CONTROL, BOARD_PURE, BOARD_POSTED, 1, WINDOW_IDE0 + 4},
    {8, 15, PC_DEV_IDE1, PIIX_IDE_OFF_BMDMA, BOARD_PURE, BOARD_POSTED, 4, WINDOW_IDE_BMDMA + 1},
};

static void add_ide(struct board *b, const struct pc_config *cfg)
{
    memcpy(b->range + b->nranges, ide_ranges, sizeof(ide_ranges));
    b->nranges += NELEM(ide_ranges);
    for (unsigned n = 0; n < PC_IDE_DRIVES; n++) {
        b->port[PC_PORT_IDE0 + n].present = cfg->ide[n].present;
        b->port[PC_PORT_IDE0 + n].drive = cfg->ide[n];
        b->port[PC_PORT_TRAY0 + n / PIIX_IDE_DRIVES].present |= cfg->ide[n].present && cfg->ide[n].cdrom;
    }
}

/* The registers of virtio_pci.h, in each window as it lies there. */
static const struct board_range virtio_ranges[] = {
    {0x00, 0x12, 0, 0x00, BOARD_PURE, BOARD_POSTED, 4, 1},
    {0x13, 0x13, 0, 0x13, BOARD_PURE, BOARD_POSTED, 1, 1}, /* ISR: virtio_blk.c, read_changes */
    {0x14, VIRTIO_LEGACY_BYTES - 1, 0, 0x14, BOARD_PURE, BOARD_POSTED, 4, 1},
    {0x0000, 0x003F, 0, VIRTIO_COMMON_AT, BOARD_PURE, BOARD_POSTED, 4, 2},
    {0x1000, 0x1003, 0, VIRTIO_ISR_AT, BOARD_PURE, BOARD_POSTED, 4, 2},
    {0x2000, 0x203F, 0, VIRTIO_DEVICE_AT, BOARD_PURE, BOARD_POSTED, 4, 2},
    {0x3000, 0x3003, 0, VIRTIO_NOTIFY_AT, BOARD_PURE, BOARD_POSTED, 4, 2},
};

/* Windows 1 and 2 of a card: e1000.h, then virtio_pci.h; the third one is its ROM. */
struct nic_model_parts {
    const struct chip_class *chip;
    void (*reset)(void *s, uint64_t now_ns);
    const struct port_input *in;
    const struct port_output *out;
    uint8_t function, bar[2]; /* of card 0 */
    struct board_window window[2];
    const struct board_range *range;
    unsigned nranges;
};

static const struct board_range e1000_ranges[] = {
    {0, E1000_REGS_BYTES - 1, 0, 0, BOARD_PURE, BOARD_POSTED, 4, 1}, /* ICR, statistics: read_changes */
    {0, E1000_IO_BYTES - 1, 0, E1000_OFF_IO, BOARD_PURE, BOARD_POSTED, 4, 2},
};

static const struct nic_model_parts nic_models[] = {
    [NIC_E1000] = {.chip = &e1000_class,
                   .reset = e1000_reset_hook,
                   .in = &e1000_frames_in,
                   .out = &e1000_frames_out,
                   .function = I440FX_FN_E1000_0,
                   .bar = {0, E1000_IO_BAR},
                   .window = {{.bytes = E1000_BAR_BYTES}, {.bytes = E1000_IO_BYTES, .io = true}},
                   .range = e1000_ranges,
                   .nranges = NELEM(e1000_ranges)},
    [NIC_VIRTIO] = {.chip = &virtio_net_class,
                    .reset = virtio_net_reset_hook,
                    .in = &virtio_net_frames_in,
                    .out = &virtio_net_frames_out,
                    .function = I440FX_FN_VIRTIO_NET0,
                    .bar = {0, 4},
                    .window = {{.bytes = VIRTIO_LEGACY_BYTES, .io = true}, {.bytes = VIRTIO_MODERN_BYTES}},
                    .range = virtio_ranges,
                    .nranges = NELEM(virtio_ranges)},
};
#define NIC_MODELS NELEM(nic_models)

/* Size of a ROM's window: whole pages. */
static unsigned rom_log2(uint32_t bytes)
{
    unsigned n = 12;

    while (n < PCI_ROM_LOG2_MAX && 1u << n < bytes)
        n++;
    return n;
}

static void add_nic(struct board *b, unsigned n, const struct nic_config *nic)
{
    const struct nic_model_parts *m = &nic_models[nic->model % NIC_MODELS];
    uint8_t dev = (uint8_t)(PC_DEV_NIC0 + n), window = (uint8_t)(WINDOW_NIC0 + 3 * n);
    struct board_device *d = &b->device[dev];
    struct board_port *p = &b->port[PC_PORT_NIC0 + n];

    *d =
        (struct board_device){.name = d->name,
                              .chip = m->chip,
                              .state_offset = (uint32_t)(offsetof(struct pc, nic) + n * sizeof(union pc_nic)),
                              .latency_ns = PCI_CYCLE_NS,
                              .present = true,
                              .reset = m->reset};
    p->present = true;
    p->in = m->in;
    p->out = m->out;
    p->nic = *nic;
    b->window[window] = m->window[0];
    b->window[window + 1] = m->window[1];
    if (nic->rom)
        b->window[window + 2] = (struct board_window){
            .bytes = 1u << rom_log2(nic->rom_bytes), .rom = nic->rom, .rom_bytes = nic->rom_bytes};
    for (unsigned i = 0; i < m->nranges; i++) {
        struct board_range r = m->range[i];
        r.device = dev;
        r.window = (uint8_t)(r.window + window);
        b->range[b->nranges++] = r;
    }
    b->wire[b->nwires++] = (struct board_wire){dev, 0, (uint8_t)SLOT_PIRQ(NIC_SLOT(n), 0)};
}

static void add_virtio(struct board *b, unsigned n, const struct drive_config *disk)
{
    uint8_t dev = (uint8_t)(PC_DEV_VIRTIO0 + n);

    b->device[dev].present = b->port[PC_PORT_VIRTIO0 + n].present = true;
    b->port[PC_PORT_VIRTIO0 + n].drive = *disk;
    for (unsigned i = 0; i < NELEM(virtio_ranges); i++) {
        struct board_range r = virtio_ranges[i];
        r.device = dev;
        r.window = (uint8_t)(r.window + WINDOW_VIRTIO0 + 2 * n);
        b->range[b->nranges++] = r;
    }
    b->wire[b->nwires++] = (struct board_wire){dev, 0, SLOT_PIRQ(VIRTIO_BLK_SLOT(n), 0)};
}

_Static_assert(NELEM(io) + PC_SERIAL_MAX * NELEM(com_io) + NELEM(toy_ranges) + NELEM(fw_cfg_io) +
                       NELEM(vga_places) + NELEM(fdc_io) + NELEM(apic_ranges) +
                       (PC_VIRTIO_DRIVES + PC_NICS) * NELEM(virtio_ranges) + NELEM(ide_ranges) + 4 <=
                   BOARD_RANGES_MAX,
               "I/O ports");
_Static_assert(NELEM(wires) + PC_SERIAL_MAX + NELEM(toy_wires) + PC_VIRTIO_DRIVES + PC_NICS + 1 <=
                   BOARD_WIRES_MAX,
               "wires");

/* Behind everything at fixed ports, which is seen first. What is not fitted never decodes. */
static void add_windows(struct board *b, const struct pc_config *cfg)
{
    for (unsigned n = 0; n < WINDOWS; n++)
        b->window[n] = window_bars[n].window;
    b->nwindows = WINDOWS;
    b->range[b->nranges++] = pm_range;
    if (cfg->toypci)
        add_toypci(b);
    for (unsigned n = 0; n < PC_VIRTIO_DRIVES; n++)
        if (cfg->virtio[n].present)
            add_virtio(b, n, &cfg->virtio[n]);
    for (unsigned n = 0; n < PC_NICS; n++)
        if (cfg->nic[n].present)
            add_nic(b, n, &cfg->nic[n]);
    add_ide(b, cfg);
}

static bool io_free(const struct board *b, unsigned first, unsigned last)
{
    for (unsigned i = 0; i < b->nranges; i++)
        if (!b->range[i].window && first <= b->range[i].last && last >= b->range[i].first)
            return false;
    return last < PIIX4_PM_BASE || first >= PIIX4_PM_BASE + PIIX4_PM_BYTES; /* where software looks for it */
}

static bool add_debug_exit(struct board *b, const struct pc_config *cfg)
{
    unsigned size = cfg->debug_exit_iosize;
    unsigned first = cfg->debug_exit_iobase;

    if ((size != 1 && size != 2 && size != 4) || first + size > 0x10000)
        return false;
    if (!io_free(b, first, first + size - 1))
        return false;
    b->range[b->nranges++] = (struct board_range){.first = (uint16_t)first,
                                                  .last = (uint16_t)(first + size - 1),
                                                  .device = PC_DEV_MISC,
                                                  .base_offset = PCMISC_OFF_DEBUG_EXIT,
                                                  .read_class = BOARD_PURE,
                                                  .write_class = BOARD_POSTED,
                                                  .width = (uint8_t)size};
    return true;
}

static bool add_debugcon(struct board *b, const struct pc_config *cfg)
{
    unsigned at = cfg->debugcon_iobase;

    if (!io_free(b, at, at))
        return false;
    b->device[PC_DEV_DEBUGCON].present = true;
    b->port[PC_PORT_DEBUGCON].present = true;
    b->range[b->nranges++] = (struct board_range){.first = (uint16_t)at,
                                                  .last = (uint16_t)at,
                                                  .device = PC_DEV_DEBUGCON,
                                                  .read_class = BOARD_PURE,
                                                  .write_class = BOARD_POSTED,
                                                  .width = 1};
    return true;
}

static bool add_marker(struct board *b, const struct pc_config *cfg)
{
    unsigned first = cfg->marker_iobase, last = first + MARKER_PORTS - 1;

    if (last > UINT16_MAX || !io_free(b, first, last))
        return false;
    b->device[PC_DEV_MARKER].present = true;
    b->range[b->nranges++] = (struct board_range){.first = (uint16_t)first,
                                                  .last = (uint16_t)last,
                                                  .device = PC_DEV_MARKER,
                                                  .read_class = BOARD_PURE,
                                                  .write_class = BOARD_POSTED,
                                                  .width = 4};
    return true;
}

void pc_config_init(struct pc_config *cfg)
{
    *cfg = (struct pc_config){
        .ram_bytes = UINT64_C(256) << 20,
        .debugcon_iobase = DEBUGCON_IOBASE,
        .marker_iobase = MARKER_IOBASE,
        .debug_exit_iobase = PC_DEBUG_EXIT_IOBASE,
        .debug_exit_iosize = PC_DEBUG_EXIT_IOSIZE,
        .apic = true,
    };
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#define EQUIPMENT 0x06 /* x87, PS/2 mouse, VGA; no floppy */

/* What firmware expects in CMOS on this board. */
static void fill_cmos(struct mc146818 *rtc, const struct board *b)
{
    const uint64_t ram_bytes = b->ram_bytes;
    const uint64_t mib = UINT64_C(1) << 20;
    uint64_t ext_kib = ram_bytes > mib ? (ram_bytes - mib) >> 10 : 0;
    uint64_t blocks = ram_bytes > 16 * mib ? (ram_bytes - 16 * mib) >> 16 : 0;

    mc146818_set_cmos(rtc, CMOS_EQUIPMENT, EQUIPMENT);
    set_cmos_word(rtc, CMOS_BASE_MEM_LO, CMOS_BASE_MEM_HI, 640);
    set_cmos_word(rtc, CMOS_EXT_MEM_LO, CMOS_EXT_MEM_HI, min_u64(ext_kib, 65535));
    set_cmos_word(rtc, CMOS_EXT_MEM2_LO, CMOS_EXT_MEM2_HI, min_u64(ext_kib, 65535));
    set_cmos_word(rtc, CMOS_MEM_16M_LO, CMOS_MEM_16M_HI, min_u64(blocks, 65535));
    set_cmos_word(rtc, CMOS_BOOT_1, CMOS_BOOT_3, b->boot_flags_once ? b->boot_flags_once : b->boot_flags);
    set_cmos_word(rtc, CMOS_NEXT_BOOT, CMOS_NEXT_BOOT + 1, b->boot_flags_once ? b->boot_flags : 0);
}

/* CMOS 10h: the types of both drives; the equipment byte: bit 0 some floppy, bits 6 and 7 one less than how
 * many. */
static void fit_floppies(struct pc *pc, const struct board *b)
{
    unsigned types = 0, drives = 0;

    for (unsigned n = 0; n < PC_FLOPPY_DRIVES; n++) {
        const struct drive_config *drive = &b->port[PC_PORT_FLOPPY0 + n].drive;
        i82077_fit(&pc->fdc, n, drive);
        types = types << 4 | i82077_drive_type(drive);
        drives += drive->present;
    }
    mc146818_set_cmos(&pc->rtc, CMOS_FLOPPY_TYPES, (uint8_t)types);
    if (drives)
        mc146818_set_cmos(&pc->rtc, CMOS_EQUIPMENT, (uint8_t)(EQUIPMENT | 1 | (drives - 1) << 6));
}

static void fit_nic(struct pc *pc, const struct board *b, unsigned n)
{
    const struct nic_config *nic = &b->port[PC_PORT_NIC0 + n].nic;
    unsigned model = nic->model % NIC_MODELS, function = nic_models[model].function + n;

    pc->pci.fitted |= 1u << function;
    pc->pci.rom_log2[function] = (uint8_t)(nic->rom ? rom_log2(nic->rom_bytes) : 0);
    if (model == NIC_E1000)
        e1000_fit(&pc->nic[n].e1000, nic->mac);
    else
        virtio_net_fit(&pc->nic[n].virtio, nic->mac);
}

static void power_on(void *state, const struct board *b, int64_t rtc_seconds)
{
    struct pc *pc = state;

    memset(pc, 0, sizeof(*pc)); /* padding too: states are compared and hashed */
    for (unsigned i = 0; i < b->ndevices; i++)
        b->device[i].chip->reset((uint8_t *)pc + b->device[i].state_offset, 0);
    mc146818_set_time(&pc->rtc, rtc_seconds > 0 ? (uint64_t)rtc_seconds : 0, 0);
    fill_cmos(&pc->rtc, b);
    if (!b->device[PC_DEV_APIC].present)
        pc->apic[0].base = 0; /* no page */
    for (unsigned n = 0; n < PC_IDE_DRIVES; n++)
        piix_ide_fit(&pc->ide[n / PIIX_IDE_DRIVES], n % PIIX_IDE_DRIVES, &b->port[PC_PORT_IDE0 + n].drive,
                     n + 1);
    if (b->device[PC_DEV_VGA].present)
        pc->pci.fitted |= 1u << I440FX_FN_VGA;
    if (b->device[PC_DEV_TOY].present)
        pc->pci.fitted |= 1u << I440FX_FN_TOY;
    fit_floppies(pc, b);
    for (unsigned n = 0; n < PC_NICS; n++)
        if (b->device[PC_DEV_NIC0 + n].present)
            fit_nic(pc, b, n);
    for (unsigned n = 0; n < PC_VIRTIO_DRIVES; n++)
        if (b->device[PC_DEV_VIRTIO0 + n].present) {
            pc->pci.fitted |= 1u << (I440FX_FN_VIRTIO0 + n);
            virtio_blk_fit(&pc->virtio[n], &b->port[PC_PORT_VIRTIO0 + n].drive);
        }
}

static unsigned pirq_route(const void *pc, unsigned pirq)
{
    return i440fx_pirq_route(&((const struct pc *)pc)->pci, pirq);
}

/* Command block and control port of a channel: where ISA has them. */
static bool ide_window_at(const struct i440fx *pci, unsigned n, uint32_t *address)
{
    static const uint16_t places[] = {0x1F0, 0x3F4, 0x170, 0x374};

    *address = places[n];
    return i440fx_ide_decoded(pci, n / 2);
}

/* A card is of one model; the functions of the others are not there. */
static bool nic_window_decoded(const struct i440fx *pci, unsigned n, uint32_t *address)
{
    for (unsigned i = 0; i < NIC_MODELS; i++) {
        const struct nic_model_parts *m = &nic_models[i];
        if (i440fx_bar_decoded(pci, m->function + n / 3, n % 3 == 2 ? PCI_BAR_ROM : m->bar[n % 3], address))
            return true;
    }
    return false;
}

static bool window_decoded(const struct i440fx *pci, unsigned n, uint32_t *address)
{
    if (n == WINDOW_PM)
        return i440fx_pm_decoded(pci, address);
    if (n >= WINDOW_IDE0 && n < WINDOW_IDE_BMDMA)
        return ide_window_at(pci, n - WINDOW_IDE0, address);
    if (n >= WINDOW_NIC0 && n <= WINDOW_NIC_END)
        return nic_window_decoded(pci, n - WINDOW_NIC0, address);
    return i440fx_bar_decoded(pci, window_bars[n].function, window_bars[n].bar, address);
}

static uint32_t window_at(const void *pc, unsigned n)
{
    uint32_t address;

    if (n == WINDOW_APIC)
        return apic_page(&((const struct pc *)pc)->apic[0]);
    return window_decoded(&((const struct pc *)pc)->pci, n, &address) ? address | BOARD_WINDOW_ON : 0;
}

static uint32_t remap_value(const void *state, unsigned n)
{
    const struct pc *pc = state;

    if (n == PC_REMAP_A20)
        return i8042_a20(&pc->kbc) || pcmisc_a20(&pc->misc);
    if (n == PC_REMAP_VGA)
        return vga_aperture(&pc->vga);
    return i440fx_pam(&pc->pci, n - PC_REMAP_PAM);
}

/* Which function's command register lets a device use memory. */
static unsigned master_function(const struct i440fx *pci, unsigned device)
{
    if (device == PC_DEV_TOY)
        return I440FX_FN_TOY;
    if (device == PC_DEV_IDE0 || device == PC_DEV_IDE1)
        return I440FX_FN_IDE;
    if (device >= PC_DEV_VIRTIO0 && device <= PC_DEV_VIRTIO3)
        return I440FX_FN_VIRTIO0 + device - PC_DEV_VIRTIO0;
    for (unsigned i = 0; i < NIC_MODELS && device >= PC_DEV_NIC0 && device <= PC_DEV_NIC3; i++)
        if (pci->fitted >> (nic_models[i].function + device - PC_DEV_NIC0) & 1)
            return nic_models[i].function + device - PC_DEV_NIC0;
    return I440FX_FN_COUNT;
}

static bool may_master(const void *pc, unsigned device)
{
    if (device == PC_DEV_FW_CFG || device == PC_DEV_FDC)
        return true; /* it is no PCI function */
    const struct i440fx *pci = &((const struct pc *)pc)->pci;
    return i440fx_may_master(pci, master_function(pci, device));
}

/* One device uses DMA so far. */
static uint32_t dma(void *pc, const struct mem_master *memory, unsigned device, bool to_memory, uint8_t *data,
                    uint32_t bytes, bool *terminal_count)
{
    *terminal_count = false;
    return device == PC_DEV_FDC ? i8237_transfer(&((struct pc *)pc)->dma, memory, I82077_CHANNEL, to_memory,
                                                 data, bytes, terminal_count)
                                : 0;
}

bool pc_board(struct board *b, const struct pc_config *cfg)
{
    *b = (struct board){.ndevices = PC_DEV_COUNT,
                        .nranges = NELEM(io),
                        .nports = PC_PORT_COUNT,
                        .nwires = NELEM(wires),
                        .state_bytes = sizeof(struct pc),
                        .intc = pcintc(cfg->apic),
                        .pirq_route = pirq_route,
                        .window_at = window_at,
                        .remap_value = remap_value,
                        .nremaps = PC_REMAPS,
                        .may_master = may_master,
                        .dma = dma,
                        .power_on = power_on,
                        .ram_bytes = cfg->ram_bytes,
                        .boot_flags = cfg->firmware ? cfg->boot_flags : 0,
                        .boot_flags_once = cfg->firmware ? cfg->boot_flags_once : 0};
    memcpy(b->device, devices, sizeof(devices));
    memcpy(b->range, io, sizeof(io));
    memcpy(b->port, ports, sizeof(ports));
    memcpy(b->wire, wires, sizeof(wires));
    if (cfg->firmware)
        add_firmware(b, cfg->firmware);
    if (cfg->vga)
        add_vga(b);
    add_floppy(b, cfg);
    for (unsigned n = 0; n < PC_SERIAL_MAX; n++)
        if (cfg->com[n])
            add_com(b, n, cfg->serial_wire_speed);
    bool fits = (!cfg->debugcon || add_debugcon(b, cfg)) && (!cfg->marker || add_marker(b, cfg)) &&
                (!cfg->debug_exit || add_debug_exit(b, cfg));
    add_windows(b, cfg);
    if (cfg->apic)
        add_apics(b);
    return fits;
}
