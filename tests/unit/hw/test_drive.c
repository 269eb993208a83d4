/* test_drive.c - how long a drive works on a request. */
#include "hw/drive.h"

#include <criterion/criterion.h>

static uint64_t request(struct drive_clock *c, enum blocks_op op, uint64_t offset, uint32_t bytes,
                        uint64_t now)
{
    struct blocks_request r = {.offset = offset, .bytes = bytes, .op = (uint8_t)op};

    return drive_request(c, &r, now);
}

/* 1 MiB of reads is 1048576 / 2400 MB/s = 436906 ns, of writes 1048576 / 2000 MB/s = 524288 ns. */
Test(drive, access_and_rate)
{
    struct drive_clock c = {0};

    cr_assert_eq(request(&c, BLOCKS_READ, 4096, 1 << 20, 1000), 1000 + 10000 + 436906);
    c = (struct drive_clock){0};
    cr_assert_eq(request(&c, BLOCKS_WRITE, 4096, 1 << 20, 1000), 1000 + 10000 + 524288);
    cr_assert_eq(request(&c, BLOCKS_FLUSH, 0, 0, 1 << 30), (1 << 30) + 10000);
}

Test(drive, goes_on_without_another_access)
{
    struct drive_clock c = {0};
    uint64_t done = request(&c, BLOCKS_READ, 1 << 20, 4800, 0);

    cr_assert_eq(done, 12000);
    cr_assert_eq(request(&c, BLOCKS_READ, (1 << 20) + 4800, 4800, 50000), 52000);
    cr_assert_eq(request(&c, BLOCKS_READ, 0, 4800, 60000), 72000);
}

Test(drive, one_request_after_the_other)
{
    struct drive_clock c = {0};

    cr_assert_eq(request(&c, BLOCKS_READ, 8192, 4800, 0), 12000);
    cr_assert_eq(request(&c, BLOCKS_READ, 0, 4800, 5000), 24000);
    cr_assert_eq(request(&c, BLOCKS_FLUSH, 0, 0, 5000), 34000);
}
