/* test_acpi.c - the tables: checksums, pointers, and a round trip through iasl where there is one. */
#include "hw/acpi.h"
#include "hw/piix4_pm.h"
#include "hw_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BASE 0xE0000u

static uint8_t buf[ACPI_BYTES_MAX];

static uint32_t get32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--)
        s += *p++;
    return s;
}

/* The table at a physical address, checked. */
static const uint8_t *table(uint32_t addr, const char *signature)
{
    cr_assert_geq(addr, BASE);
    cr_assert_lt(addr, BASE + sizeof buf - 36);
    const uint8_t *t = buf + (addr - BASE);
    cr_assert_eq(memcmp(t, signature, 4), 0);
    cr_assert_leq(addr - BASE + get32(t + 4), sizeof buf);
    if (strcmp(signature, "FACS") != 0)
        cr_assert_eq(sum(t, get32(t + 4)), 0, "%s: checksum", signature);
    return t;
}

static const uint8_t *build(const uint8_t **fadt)
{
    uint32_t rsdp;

    memset(buf, 0xEE, sizeof buf);
    cr_assert_gt(acpi_build(buf, sizeof buf, BASE, true, &rsdp), 0);
    cr_assert_eq(rsdp, BASE);
    const uint8_t *rsdt = table(get32(buf + 16), "RSDT");
    cr_assert_eq(get32(rsdt + 4), 44);
    *fadt = table(get32(rsdt + 36), "FACP");
    return table(get32(*fadt + 40), "DSDT");
}

Test(acpi, tables)
{
    const uint8_t *fadt;

    build(&fadt);
    cr_assert_eq(memcmp(buf, "RSD PTR ", 8), 0);
    cr_assert_eq(sum(buf, 20), 0);
    cr_assert_eq(get32(fadt + 4), 116);
    cr_assert_eq(fadt[46] | fadt[47] << 8, PIIX4_PM_SCI_IRQ);
    cr_assert_eq(get32(fadt + 48), PIIX4_PM_SMI_PORT);
    cr_assert_eq(get32(fadt + 56), PIIX4_PM_BASE);
    cr_assert_eq(get32(fadt + 76), PIIX4_PM_BASE + 8);
    cr_assert_eq(fadt[108], 0x32);
    uint32_t facs = get32(fadt + 36);
    cr_assert_eq(facs % 64, 0);
    cr_assert_eq(get32(table(facs, "FACS") + 4), 64);
}

/* Entries: local APIC, I/O APIC, five overrides, NMI. */
Test(acpi, madt)
{
    static const uint8_t want[] = {0,  0,  0xE0, 0xFE, 1,  0,    0,    0, 0,  8, 0,  0,  1,    0, 0, 0,  1,
                                   12, 0,  0,    0,    0,  0xC0, 0xFE, 0, 0,  0, 0,  2,  10,   0, 0, 2,  0,
                                   0,  0,  0,    0,    2,  10,   0,    5, 5,  0, 0,  0,  13,   0, 2, 10, 0,
                                   9,  9,  0,    0,    0,  13,   0,    2, 10, 0, 10, 10, 0,    0, 0, 13, 0,
                                   2,  10, 0,    11,   11, 0,    0,    0, 13, 0, 4,  6,  0xFF, 0, 0, 1};
    const uint8_t *fadt;
    uint8_t alone[200];

    build(&fadt);
    cr_assert_eq(fadt[44], 1, "INT_MODEL");
    const uint8_t *madt = table(get32(table(get32(buf + 16), "RSDT") + 40), "APIC");
    cr_assert_eq(get32(madt + 4), 36 + sizeof want);
    cr_assert_arr_eq(madt + 36, want, sizeof want);
    cr_assert_eq(acpi_madt(alone, sizeof alone), 36 + sizeof want);
    cr_assert_arr_eq(alone, madt, 36 + sizeof want);
    cr_assert_eq(acpi_madt(alone, 100), 0);
}

Test(acpi, without_apics)
{
    uint32_t rsdp;

    cr_assert_gt(acpi_build(buf, sizeof buf, BASE, false, &rsdp), 0);
    const uint8_t *rsdt = table(get32(buf + 16), "RSDT");
    cr_assert_eq(get32(rsdt + 4), 40);
    cr_assert_eq(table(get32(rsdt + 36), "FACP")[44], 0);
    cr_assert_null(memmem(buf, sizeof buf, "APIC", 4));
}

Test(acpi, bad_arguments)
{
    cr_assert_eq(acpi_build(buf, 100, BASE, true, NULL), 0);
    cr_assert_eq(acpi_build(buf, sizeof buf, BASE + 4, true, NULL), 0);
}

/* MINIX looks for the _S5_ package in the DSDT's bytes. */
Test(acpi, s5_package)
{
    static const uint8_t want[] = {'_', 'S', '5', '_', 0x12, 0x4B, 0x00, 4, 0x0A, 0, 0x0A, 0};
    const uint8_t *fadt, *dsdt = build(&fadt);

    cr_assert_not_null(memmem(dsdt, get32(dsdt + 4), want, sizeof want));
}

static void write_file(const char *dir, const char *name, const uint8_t *t)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(t, 1, get32(t + 4), f), get32(t + 4));
    fclose(f);
}

/* Disassembled and compiled again without an error or a warning. */
Test(acpi, iasl_accepts_the_tables)
{
    char dir[] = "/tmp/tandem-acpi-XXXXXX", command[512];
    const uint8_t *fadt, *dsdt = build(&fadt);

    if (system("command -v iasl >/dev/null 2>&1") != 0)
        cr_skip_test("no iasl here");
    cr_assert_not_null(mkdtemp(dir));
    write_file(dir, "dsdt.dat", dsdt);
    write_file(dir, "facp.dat", fadt);
    snprintf(command, sizeof command,
             "cd %s && iasl -d dsdt.dat >d.log 2>&1 && iasl -d facp.dat >f.log 2>&1 && "
             "! grep -iE 'error|warning|invalid' d.log f.log && iasl -p again dsdt.dsl >c.log 2>&1 && "
             "grep -q '0 Errors, 0 Warnings' c.log",
             dir);
    int failed = system(command);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(failed, 0);
}
