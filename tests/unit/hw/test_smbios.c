/* test_smbios.c - the structures are as long as they say, end as they must, and the anchor counts them. */
#include "hw/smbios.h"

#include <criterion/criterion.h>
#include <string.h>

static struct smbios s;

static unsigned le16_at(const uint8_t *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t le32_at(const uint8_t *p)
{
    return le16_at(p) | (uint32_t)le16_at(p + 2) << 16;
}

/* Bytes of the structure with its strings. */
static size_t structure_bytes(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at = p + p[1];
    while (at + 1 < end && (at[0] || at[1]))
        at++;
    cr_assert_lt(at + 1, end, "a structure of type %u does not end", p[0]);
    return (size_t)(at + 2 - p);
}

static const uint8_t *find(uint8_t type)
{
    const uint8_t *end = s.tables + s.tables_bytes;
    for (const uint8_t *p = s.tables; p < end; p += structure_bytes(p, end))
        if (p[0] == type)
            return p;
    return NULL;
}

Test(smbios, structures)
{
    /* DSP0134 2.8, 7: the formatted parts' lengths. */
    static const uint8_t types[] = {0, 1, 3, 4, 16, 17, 19, 32, 127};
    static const uint8_t lengths[] = {24, 27, 21, 42, 23, 40, 31, 11, 4};
    cr_assert(smbios_build(&s, UINT64_C(256) << 20));
    const uint8_t *p = s.tables, *end = s.tables + s.tables_bytes;
    size_t largest = 0;
    for (unsigned i = 0; i < sizeof types; i++) {
        cr_assert_lt(p, end);
        cr_expect_eq(p[0], types[i]);
        cr_expect_eq(p[1], lengths[i], "type %u", p[0]);
        size_t bytes = structure_bytes(p, end);
        largest = bytes > largest ? bytes : largest;
        /* The formatted part is what the length says: strings begin with a letter or a digit, or there are
         * none. */
        cr_expect(p[p[1]] == 0 || (p[p[1]] >= '0' && p[p[1]] <= 'z'), "type %u", p[0]);
        p += bytes;
    }
    cr_expect_eq(p, end);
    cr_expect_eq(le16_at(s.anchor + 8), largest);
    cr_expect_eq(le16_at(s.anchor + 22), s.tables_bytes);
    cr_expect_eq(le16_at(s.anchor + 28), sizeof types);
    cr_expect_eq(memcmp(s.anchor, "_SM_", 4), 0);
    cr_expect_eq(memcmp(s.anchor + 16, "_DMI_", 5), 0);
}

Test(smbios, memory)
{
    static const uint64_t mib[] = {4, 128, 3072};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(smbios_build(&s, mib[i] << 20));
        cr_expect_eq(le32_at(find(16) + 7), mib[i] * 1024);
        cr_expect_eq(le16_at(find(17) + 12), mib[i]);
        cr_expect_eq(le32_at(find(19) + 8), mib[i] * 1024 - 1);
    }
}
