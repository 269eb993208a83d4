/* parts.c: the tables name every member, and what is saved and loaded is the same state. */
#include <criterion/criterion.h>
#include <string.h>

#include "clockcore/check.h"
#include "tests/unit/vcpu/harness.h"
#include "vcpu/parts.h"
#include "vcpu/vcpu_internal.h"

Test(parts, every_member_is_in_one_table)
{
    unsigned which;
    size_t byte;
    cr_assert_not(
        vcpu_uncovered(&which, &byte),
        "byte %zu of struct %s is in no table of vcpu/engine/parts.c, or in two: say whether it is state",
        byte, which ? "vcpu" : "guest_state");
}
