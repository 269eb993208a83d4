/* pm.h - finds the PM timer and PM1 event block by the ACPI tables. */
#ifndef PM_H
#define PM_H
#include "rt.h"

static const uint8_t *acpi_fadt;
static bool sum_ok(const uint8_t *p, unsigned n)
{
    uint8_t s = 0;
    while (n--)
        s += *p++;
    return s == 0;
}
static uint32_t rd32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static const uint8_t *acpi_find(void)
{
    for (const uint8_t *p = (const uint8_t *)0xe0000; p < (const uint8_t *)0x100000; p += 16)
        if (memcmp(p, "RSD PTR ", 8) == 0 && sum_ok(p, 20)) {
            const uint8_t *r = (const uint8_t *)rd32(p + 16);
            for (unsigned i = 36; i + 4 <= rd32(r + 4); i += 4) {
                const uint8_t *t = (const uint8_t *)rd32(r + i);
                if (memcmp(t, "FACP", 4) == 0)
                    return acpi_fadt = t;
            }
        }
    return acpi_fadt = NULL;
}
static uint16_t pm_port(void)
{
    return (uint16_t)rd32((acpi_fadt ? acpi_fadt : acpi_find()) + 76);
}
static uint16_t pm1_evt(void)
{
    return (uint16_t)rd32((acpi_fadt ? acpi_fadt : acpi_find()) + 56);
}
#endif
