/* Field tables: bytes out and in, values out of range, and bytes that a table forgets. */
#include <criterion/criterion.h>
#include <string.h>

#include "clockcore/fields.h"

struct entry {
    uint32_t used, derived;
};

struct sample {
    uint64_t wide;
    struct entry entry[3];
    uint16_t list[2];
    uint8_t count; /* 0..7 */
    bool flag;
    uint8_t spare[2];
};

static const struct field table[] = {
    FIELD(struct sample, wide),       FIELD_COLUMN(struct sample, entry, used),
    FIELD_ARRAY(struct sample, list), FIELD_MAX(struct sample, count, 7),
    FIELD(struct sample, flag),
};
enum { NFIELDS = sizeof table / sizeof table[0] };

Test(fields, what_is_put_can_be_got)
{
    struct sample a = {.wide = UINT64_C(0x8877665544332211),
                       .entry = {{1, 91}, {2, 92}, {3, 93}},
                       .list = {0x1234, 0xffff},
                       .count = 7,
                       .flag = true};
    struct sample b = {.entry = {{0, 91}, {0, 92}, {0, 93}}};
    uint8_t bytes[64];
    size_t at = 0;
    cr_assert_eq(fields_bytes(table, NFIELDS), 8 + 12 + 4 + 1 + 1);
    fields_put(table, NFIELDS, &a, bytes);
    for (size_t i = 0; i < NFIELDS; i++) {
        cr_assert(field_get(&table[i], &b, bytes + at));
        at += field_bytes(&table[i]);
    }
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
}

Test(fields, a_value_above_the_maximum_changes_nothing)
{
    struct sample s = {.count = 3, .flag = false};
    uint8_t eight = 8, two = 2;
    cr_assert_not(field_get(&table[3], &s, &eight));
    cr_assert_eq(s.count, 3);
    cr_assert_not(field_get(&table[4], &s, &two));
    cr_assert_not(s.flag);
}

Test(fields, a_byte_in_no_field_or_in_two_is_found)
{
    cr_assert_eq(fields_uncovered(table, NFIELDS, sizeof(struct sample), 1),
                 offsetof(struct sample, entry[0].derived));
    static const struct field twice[] = {FIELD(struct entry, used), FIELD(struct entry, used)};
    cr_assert_eq(fields_uncovered(twice, 2, sizeof(struct entry), 1), 0);
    static const struct field whole[] = {FIELD(struct entry, used), FIELD(struct entry, derived)};
    cr_assert_eq(fields_uncovered(whole, 2, sizeof(struct entry), 1), sizeof(struct entry));
}

Test(fields, padding_passes_where_it_may)
{
    struct loose {
        uint8_t small;
        uint64_t wide;
    };
    static const struct field both[] = {FIELD(struct loose, small), FIELD(struct loose, wide)};
    cr_assert_eq(fields_uncovered(both, 2, sizeof(struct loose), 1), 1);
    cr_assert_eq(fields_uncovered(both, 2, sizeof(struct loose), 8), sizeof(struct loose));
    cr_assert_eq(fields_uncovered(both, 1, sizeof(struct loose), 8), 1, "a whole member is missing");
}
