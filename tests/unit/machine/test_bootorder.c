/* test_bootorder.c - letters of -boot, paths of drives, the order by boot index. */
#include "machine/bootorder.h"

#include "hw/pc.h"
#include "machine/drives.h"

#include <criterion/criterion.h>
#include <limits.h>

Test(bootorder, letters)
{
    uint16_t flags;
    cr_expect(bootorder_flags("cad", &flags) && flags == 0x3012);
    cr_expect(bootorder_flags("d", &flags) && flags == 0x0003);
    cr_expect(bootorder_flags("nc", &flags) && flags == 0x0024);
    cr_expect(bootorder_flags("bdc", &flags) && flags == 0x2031);
    static const char *const bad[] = {"", "x", "cc", "cdac", "C", "c d", "cac"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(bootorder_flags(bad[i], &flags), "%s", bad[i]);
}

Test(bootorder, paths)
{
    char path[BOOTORDER_PATH_BYTES];
    cr_assert(bootorder_path(PC_PORT_IDE0 + 2, path));
    cr_expect_str_eq(path, "/pci@i0cf8/ide@1,1/drive@1/disk@0");
    cr_assert(bootorder_path(PC_PORT_FLOPPY0 + 1, path));
    cr_expect_str_eq(path, "/pci@i0cf8/isa@1/fdc@03f0/floppy@1");
    cr_assert(bootorder_path(PC_PORT_VIRTIO0, path));
    cr_expect_str_eq(path, "/pci@i0cf8/scsi@5/disk@0,0");
    cr_expect_not(bootorder_path(PC_PORT_SERIAL0, path));
}

Test(bootorder, by_index)
{
    const struct machine_drive drive[] = {{.port = PC_PORT_IDE0, .bootindex = 7},
                                          {.port = PC_PORT_IDE0 + 1, .bootindex = -1},
                                          {.port = PC_PORT_FLOPPY0, .bootindex = INT_MAX},
                                          {.port = PC_PORT_VIRTIO0, .bootindex = 0}};
    char text[1000];
    static const char expected[] = "/pci@i0cf8/scsi@5/disk@0,0\n/pci@i0cf8/ide@1,1/drive@0/disk@0\n"
                                   "/pci@i0cf8/isa@1/fdc@03f0/floppy@0";
    cr_assert_eq(bootorder_file(drive, 4, false, false, text, sizeof text), sizeof expected);
    cr_expect_str_eq(text, expected);
    cr_expect_eq(bootorder_file(drive, 0, false, false, text, sizeof text), 0);
    cr_expect_eq(bootorder_file(drive, 0, false, true, text, sizeof text), sizeof "HALT");
    cr_expect_str_eq(text, "HALT");
    cr_expect_eq(bootorder_file(drive, 0, true, false, text, sizeof text),
                 sizeof "/rom@genroms/tandem-kernel.bin");
    char small[40]; /* what does not fit is left out, whole lines */
    cr_expect_eq(bootorder_file(drive, 4, false, true, small, sizeof small),
                 sizeof "/pci@i0cf8/scsi@5/disk@0,0\nHALT");
}

static unsigned boot_flags(const struct pc *pc)
{
    return mc146818_cmos(&pc->rtc, CMOS_BOOT_1) | (unsigned)mc146818_cmos(&pc->rtc, CMOS_BOOT_3) << 8;
}

/* CMOS as firmware reads it: `once` until the first reset; what the guest writes later stays. */
Test(bootorder, cmos)
{
    static struct board board;
    static struct pc pc;
    static const struct fw_cfg_items items;
    for (unsigned once = 0; once < 2; once++) {
        struct pc_config c;
        pc_config_init(&c);
        c.firmware = &items;
        c.boot_flags = 0x3012;
        c.boot_flags_once = once ? 0x0003 : 0;
        cr_assert(pc_board(&board, &c));
        board.power_on(&pc, &board, 0);
        cr_expect_eq(boot_flags(&pc), once ? 0x0003 : 0x3012);
        board.device[PC_DEV_RTC].reset(&pc.rtc, 1000);
        cr_expect_eq(boot_flags(&pc), 0x3012);
        mc146818_set_cmos(&pc.rtc, CMOS_BOOT_1, 0x21);
        board.device[PC_DEV_RTC].reset(&pc.rtc, 2000);
        cr_expect_eq(boot_flags(&pc), 0x3021);
    }
}
