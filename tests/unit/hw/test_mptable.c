/* test_mptable.c - the MP table, read as MP specification 1.4 says. */
#include "hw/apic.h"
#include "hw/ioapic.h"
#include "hw/mptable.h"
#include "hw_test.h"

#define BASE 0xF0000u

static uint32_t get32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t total = 0;
    while (n--)
        total += *p++;
    return total;
}

Test(mptable, entries)
{
    uint8_t buf[MPTABLE_BYTES_MAX];
    size_t n = mptable_build(buf, sizeof buf, BASE, 0x695, 0x387);
    const uint8_t *h = buf + 16, *e = h + 44;
    unsigned count[5] = {0}, entries = h[34] | h[35] << 8;

    cr_assert_gt(n, 60);
    cr_expect_eq(memcmp(buf, "_MP_", 4), 0);
    cr_expect_eq(get32(buf + 4), BASE + 16);
    cr_expect_eq(sum(buf, 16), 0);
    cr_expect_eq(memcmp(h, "PCMP", 4), 0);
    cr_expect_eq((size_t)(h[4] | h[5] << 8), n - 16);
    cr_expect_eq(sum(h, n - 16), 0);
    cr_expect_eq(get32(h + 36), APIC_PAGE);
    cr_expect_eq(get32(e + 4), 0x695);
    cr_expect_eq(get32(e + 8), 0x387);
    for (unsigned i = 0; i < entries; i++) {
        cr_assert_leq(e[0], 4);
        count[e[0]]++;
        if (e[0] == 2)
            cr_expect_eq(get32(e + 4), IOAPIC_PAGE);
        if (e[0] == 3) {
            cr_expect_eq(e[7], e[5] == 0 ? 2 : e[5]);
            bool level = e[5] == 5 || e[5] == 9 || e[5] == 10 || e[5] == 11;
            cr_expect_eq(e[2], level ? 0x0D : 0, "line %u", e[5]);
        }
        e += e[0] == 0 ? 20 : 8;
    }
    cr_expect_eq((size_t)(e - buf), n);
    static const unsigned want[5] = {1, 2, 1, 15, 2};
    cr_expect_arr_eq(count, want, sizeof want);
}

Test(mptable, bad_arguments)
{
    uint8_t buf[MPTABLE_BYTES_MAX];
    cr_expect_eq(mptable_build(buf, 100, BASE, 0, 0), 0);
    cr_expect_eq(mptable_build(buf, sizeof buf, BASE + 8, 0, 0), 0);
}
