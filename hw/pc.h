/* pc.h - the PC board (i440FX, PIIX): all chips as one value, and the tables that wire them.
 *
 * Threads: `pic`, `apic`, `ioapic` and `vga` belong to the vCPU's thread, every other chip to the holder of
 * the baton; pc_board at start-up. Memory: struct pc has no pointers. Errors: none. */
#ifndef TANDEM_HW_PC_H
#define TANDEM_HW_PC_H

#include "hw/apic.h"
#include "hw/board.h"
#include "hw/debugcon.h"
#include "hw/drive.h"
#include "hw/e1000.h"
#include "hw/fw_cfg.h"
#include "hw/i440fx.h"
#include "hw/i8042.h"
#include "hw/i82077.h"
#include "hw/i8237.h"
#include "hw/i8254.h"
#include "hw/i8259.h"
#include "hw/ioapic.h"
#include "hw/marker.h"
#include "hw/mc146818.h"
#include "hw/nic.h"
#include "hw/ns16550.h"
#include "hw/pcmisc.h"
#include "hw/piix4_pm.h"
#include "hw/piix_ide.h"
#include "hw/toypci.h"
#include "hw/vga.h"
#include "hw/virtio_blk.h"
#include "hw/virtio_net.h"

#define PC_VCPUS         1
#define PC_SERIAL_MAX    4
#define PC_COM1_IOBASE   0x3F8
#define PC_IDE_DRIVES    4 /* channel 0 master, slave, channel 1 master, slave */
#define PC_FLOPPY_DRIVES 2
#define PC_VIRTIO_DRIVES 4         /* each is a PCI function of its own */
#define PC_NICS          NIC_SLOTS /* likewise; a slot has one of several chips */

/* Device numbers: they order the events of one tick, so they never change. */
enum pc_device {
    PC_DEV_PIC,
    PC_DEV_PIT,
    PC_DEV_RTC,
    PC_DEV_KBC,
    PC_DEV_COM1,
    PC_DEV_COM2,
    PC_DEV_COM3,
    PC_DEV_COM4,
    PC_DEV_PM,
    PC_DEV_PCI,
    PC_DEV_MISC,
    PC_DEV_DEBUGCON,
    PC_DEV_TOY,
    PC_DEV_MARKER,
    PC_DEV_VIRTIO0,
    PC_DEV_VIRTIO3 = PC_DEV_VIRTIO0 + PC_VIRTIO_DRIVES - 1,
    PC_DEV_FW_CFG,
    PC_DEV_VGA,
    PC_DEV_APIC,
    PC_DEV_IOAPIC,
    PC_DEV_IDE0,
    PC_DEV_IDE1,
    PC_DEV_DMA,
    PC_DEV_FDC,
    PC_DEV_NIC0,
    PC_DEV_NIC3 = PC_DEV_NIC0 + PC_NICS - 1,
    PC_DEV_COUNT,
};

/* Numbers of the typed ports. */
enum pc_port {
    PC_PORT_SERIAL0,
    PC_PORT_KEYS = PC_PORT_SERIAL0 + PC_SERIAL_MAX,
    PC_PORT_DEBUGCON,
    PC_PORT_FRAMES, /* of the toy, to PC_PORT_PIXELS */
    PC_PORT_POINTER,
    PC_PORT_BLOCKS,
    PC_PORT_PIXELS,
    PC_PORT_IDE0,
    PC_PORT_FLOPPY0 = PC_PORT_IDE0 + PC_IDE_DRIVES,
    PC_PORT_VIRTIO0 = PC_PORT_FLOPPY0 + PC_FLOPPY_DRIVES,
    PC_PORT_MOUSE = PC_PORT_VIRTIO0 + PC_VIRTIO_DRIVES, /* PS/2 */
    PC_PORT_PANEL,                                      /* buttons of the case */
    PC_PORT_SCREEN,                                     /* of the VGA */
    PC_PORT_NIC0,
    PC_PORT_TRAY0 = PC_PORT_NIC0 + PC_NICS, /* of the CD-ROM drives of each IDE channel */
    PC_PORT_TRAY_FLOPPY = PC_PORT_TRAY0 + PIIX_IDE_CHANNELS,
    PC_PORT_COUNT,
};

/* Remaps of physical memory, by number (board.h: remap_value). */
enum pc_remap {
    PC_REMAP_A20,
    /* Shadow RAM by the PAM registers of the 82441FX: F0000-FFFFF (PAM0), then 12 regions of 16 KiB from
       C0000 on. */
    PC_REMAP_PAM,
    PC_REMAPS = PC_REMAP_PAM + I440FX_PAM_REGIONS, /* those of every PC */
    PC_REMAP_VGA = PC_REMAPS, /* the aperture of a VGA, where there is one; windows follow */
};

#define PC_DEBUG_EXIT_IOBASE 0x501 /* QEMU's isa-debug-exit defaults */
#define PC_DEBUG_EXIT_IOSIZE 2

struct pc_config {
    uint64_t ram_bytes; /* for the CMOS memory words */
    const struct fw_cfg_items
        *firmware;            /* what firmware is told, which sets up the chip set; NULL: none runs */
    uint16_t boot_flags;      /* CMOS 3Dh and, in the upper half, 38h: what firmware boots from */
    uint16_t boot_flags_once; /* until the first reset; 0: the same */
    bool apic;                /* local and I/O APIC; false: the 8259 pair alone */
    bool com[PC_SERIAL_MAX];  /* fitted; I/O ports of the others float high */
    bool serial_wire_speed;   /* characters take the time that the divisor says; false: none */
    bool debugcon;            /* -debugcon, -device isa-debugcon */
    uint16_t debugcon_iobase;
    bool marker; /* -device tandem-marker */
    uint16_t marker_iobase;
    bool toypci; /* -x-toypci */
    bool vga;    /* -vga std */
    struct drive_config ide[PC_IDE_DRIVES], floppy[PC_FLOPPY_DRIVES], virtio[PC_VIRTIO_DRIVES];
    struct nic_config nic[PC_NICS];
    bool debug_exit; /* -device isa-debug-exit */
    uint16_t debug_exit_iobase;
    uint8_t debug_exit_iosize; /* 1, 2 or 4 bytes */
};

struct pc {
    struct i8259 pic;
    struct i8254 pit;
    struct mc146818 rtc;
    struct i8042 kbc;
    struct ns16550 com[PC_SERIAL_MAX];
    struct piix4_pm pm;
    struct i440fx pci;
    struct pcmisc misc;
    struct debugcon debugcon;
    struct marker marker;
    struct fw_cfg fw_cfg;
    struct apic apic[PC_VCPUS];
    struct ioapic ioapic;
    struct toypci toy;
    struct virtio_blk virtio[PC_VIRTIO_DRIVES];
    struct vga vga;
    struct piix_ide ide[PIIX_IDE_CHANNELS];
    struct i8237 dma;
    struct i82077 fdc;
    union pc_nic { /* by the board's chip class there */
        struct e1000 e1000;
        struct virtio_net virtio;
    } nic[PC_NICS];
};

/* 256 MiB, APICs, no serial port, no debug console, no marker, no debug exit. */
void pc_config_init(struct pc_config *cfg);
/* Would a BIOS go on behind a reset of the CPU alone, rather than start anew? */
bool pc_resumes(const struct pc *pc);
/* Fills the tables; the state block is a struct pc. False: the debug exit's size is not 1, 2 or 4, or an I/O
 * port of the debug exit, the debug console or the marker is taken or wraps. */
bool pc_board(struct board *b, const struct pc_config *cfg);
/* isa-debug-exit's exit status for a written value, as QEMU has it: (value << 1) | 1. */
static inline uint32_t pc_debug_exit_status(uint32_t value)
{
    return value << 1 | 1;
}

#endif
