/* firmware.c: ROMs of network cards: whose they say they are, that their checksum stays, what is refused. */
#include "machine/firmware.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint8_t rom[1024];
static char dir[] = "/tmp/tandem-rom-XXXXXX";
static char *const dirs_list[] = {dir};
static const struct firmware_dirs dirs = {dirs_list, 1};

static void write_rom(const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert(f && fwrite(rom, sizeof rom, 1, f) == 1 && fclose(f) == 0);
}

static void setup(void)
{
    static const uint8_t pcir[] = {'P', 'C', 'I', 'R', 0xF4, 0x1A, 0x41, 0x10};

    cr_assert(mkdtemp(dir));
    memset(rom, 0, sizeof rom);
    memcpy(rom, "\x55\xAA\x02", 3);
    rom[0x18] = 0x40;
    memcpy(rom + 0x40, pcir, sizeof pcir);
    rom[5] = 0x99;
}

static void teardown(void)
{
    char path[64];
    static const char *const names[] = {"pxe-virtio.rom", "other.rom"};

    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

TestSuite(firmware, .init = setup, .fini = teardown);

static uint8_t sum(const uint8_t *p)
{
    uint8_t v = 0;

    for (unsigned i = 0; i < sizeof rom; i++)
        v = (uint8_t)(v + p[i]);
    return v;
}

Test(firmware, a_rom_names_the_card_that_is_there)
{
    struct image img;
    struct err e;

    write_rom("pxe-virtio.rom");
    cr_assert(firmware_nic_rom_read(&img, &dirs, NIC_VIRTIO, NULL, &e));
    cr_expect_eq(le16(img.data + 0x44), 0x1AF4);
    cr_expect_eq(le16(img.data + 0x46), 0x1000);
    cr_expect_eq(sum(img.data), sum(rom));
    image_free(&img);
    write_rom("other.rom"); /* another vendor's stays as it is */
    cr_assert(firmware_nic_rom_read(&img, &dirs, NIC_E1000, "other.rom", &e));
    cr_expect_arr_eq(img.data, rom, sizeof rom);
    image_free(&img);
}

Test(firmware, headers_that_lead_nowhere)
{
    static const uint16_t at[] = {0, 0x17, 1024 - 23, 1024, 0xFFFF};
    struct image img;
    struct err e;

    for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++) {
        rom[0x18] = (uint8_t)at[i];
        rom[0x19] = (uint8_t)(at[i] >> 8);
        write_rom("other.rom");
        cr_assert(firmware_nic_rom_read(&img, &dirs, NIC_VIRTIO, "other.rom", &e));
        cr_expect_arr_eq(img.data, rom, sizeof rom);
        image_free(&img);
    }
}

Test(firmware, none_and_bad_ones)
{
    struct image img;
    struct err e;

    cr_assert(firmware_nic_rom_read(&img, &dirs, NIC_E1000, "", &e));
    cr_expect_null(img.data);
    cr_expect_not(firmware_nic_rom_read(&img, &dirs, NIC_E1000, "nowhere.rom", &e));
    rom[0] = 0;
    write_rom("other.rom");
    cr_expect_not(firmware_nic_rom_read(&img, &dirs, NIC_E1000, "other.rom", &e));
    cr_expect(strstr(e.text, "other.rom"));
}
