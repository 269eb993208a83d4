/* test_acpi_loader.c - the script does what firmware makes of it: afterwards every pointer and checksum is
 * right. */
#include "machine/acpi_loader.h"

#include "machine/image.h"

#include <criterion/criterion.h>
#include <string.h>

#define TABLES_AT 0x07fe1000u
#define RSDP_AT   0x000f5a50u

static struct acpi_loader l;
static bool tables_placed, rsdp_placed;

static uint8_t *file(const uint8_t *name, uint32_t *addr)
{
    bool is_rsdp = strcmp((const char *)name, ACPI_LOADER_RSDP) == 0;
    cr_assert(is_rsdp ? rsdp_placed : tables_placed, "used before it is placed");
    cr_assert(is_rsdp || strcmp((const char *)name, ACPI_LOADER_TABLES) == 0);
    *addr = is_rsdp ? RSDP_AT : TABLES_AT;
    return is_rsdp ? l.rsdp : l.tables;
}

static uint8_t sum(const uint8_t *p, uint32_t n)
{
    uint8_t s = 0;
    while (n--)
        s += *p++;
    return s;
}

static void run(const uint8_t *c)
{
    uint32_t to, from;
    if (le32(c) == 1) {
        bool is_rsdp = strcmp((const char *)c + 4, ACPI_LOADER_RSDP) == 0;
        cr_expect_eq(c[64], is_rsdp ? 2 : 1, "zone");
        *(is_rsdp ? &rsdp_placed : &tables_placed) = true;
    } else if (le32(c) == 2) {
        uint8_t *p = file(c + 4, &to) + le32(c + 116);
        file(c + 60, &from);
        cr_expect_eq(c[120], 4);
        put32(p, le32(p) + from);
    } else {
        cr_assert_eq(le32(c), 3);
        uint8_t *p = file(c + 4, &to);
        p[le32(c + 60)] -= sum(p + le32(c + 64), le32(c + 68));
    }
}

static const uint8_t *table(uint32_t addr, const char *signature)
{
    cr_assert(addr >= TABLES_AT && addr < TABLES_AT + l.tables_bytes, "%s at %x", signature, addr);
    const uint8_t *t = l.tables + (addr - TABLES_AT);
    cr_assert_eq(memcmp(t, signature, 4), 0, "%s at %x", signature, addr);
    return t;
}

static const uint8_t *summed(uint32_t addr, const char *signature)
{
    const uint8_t *t = table(addr, signature);
    cr_expect_eq(sum(t, le32(t + 4)), 0, "%s", signature);
    return t;
}

Test(acpi_loader, script)
{
    for (unsigned apic = 0; apic < 2; apic++) {
        tables_placed = rsdp_placed = false;
        cr_assert(acpi_loader_make(&l, apic));
        for (size_t at = 0; at < l.script_bytes; at += ACPI_LOADER_ENTRY)
            run(l.script + at);
        cr_expect_eq(memcmp(l.rsdp, "RSD PTR ", 8), 0);
        cr_expect_eq(sum(l.rsdp, sizeof l.rsdp), 0);
        const uint8_t *rsdt = summed(le32(l.rsdp + 16), "RSDT");
        cr_assert_eq(le32(rsdt + 4), 36u + 4 + 4 * apic);
        const uint8_t *fadt = summed(le32(rsdt + 36), "FACP");
        summed(le32(fadt + 40), "DSDT");
        cr_expect_eq((uintptr_t)(table(le32(fadt + 36), "FACS") - l.tables) % 64, 0);
        if (apic)
            summed(le32(rsdt + 40), "APIC");
    }
}
