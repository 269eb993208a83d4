/* fuzz_tables.c - the tables that the board makes for guests, into rooms of all sizes and for all addresses.
 * See fuzz_chips.h.
 *
 * The room is on the heap and as large as it is said to be, so that the address sanitizer sees a byte behind
 * it. */
#include "tests/fuzz/fuzz_chips.h"

#include "hw/acpi.h"
#include "hw/mptable.h"
#include "hw/smbios.h"

#include <stdlib.h>

/* The sum of `n` bytes; tables that are whole come to 0. */
static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = (uint8_t)(v + p[i]);
    return v;
}

static bool acpi(uint8_t *room, size_t bytes, uint64_t r)
{
    uint32_t base = (uint32_t)(r >> 30 & 3 ? 0xE0000 + (r >> 20 & 0x1F) * 64 : r >> 8), rsdp = 0;
    size_t n = acpi_build(room, bytes, base, r >> 34 & 1, &rsdp);

    return n <= bytes && (n == 0 || (rsdp - base <= n - 20 && sum(room + (rsdp - base), 20) == 0));
}

static bool madt(uint8_t *room, size_t bytes)
{
    size_t n = acpi_madt(room, bytes);

    return n <= bytes && sum(room, n) == 0;
}

static bool mptable(uint8_t *room, size_t bytes, uint64_t r)
{
    uint32_t base = (uint32_t)(r >> 30 & 3 ? 0xF0000 + (r >> 20 & 0xFF) * 16 : r >> 8);
    size_t n = mptable_build(room, bytes, base, (uint32_t)r, (uint32_t)(r >> 32));

    return n <= bytes && (n == 0 || sum(room, 16) == 0);
}

static bool smbios(uint64_t r)
{
    struct smbios t;

    return smbios_build(&t, (r >> 30 & 0x3FFFFF) << 10) && t.tables_bytes <= sizeof t.tables;
}

bool fuzz_tables(uint64_t r)
{
    size_t bytes = r >> 4 & 1 ? ACPI_BYTES_MAX : r >> 5 & (ACPI_BYTES_MAX - 1);
    uint8_t *room = malloc(bytes);

    if (!room)
        return false;
    bool ok = r % 4 == 0   ? acpi(room, bytes, r)
              : r % 4 == 1 ? madt(room, bytes)
              : r % 4 == 2 ? mptable(room, bytes, r)
                           : smbios(r);
    free(room);
    return ok;
}
