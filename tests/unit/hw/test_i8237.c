/* test_i8237.c - the DMA controllers: registers, counts, pages, autoinitialization, cascade. */
#include "hw/i8237.h"
#include "hw_test.h"
#include "mem/master.h"

static const struct chip_class *const C = &i8237_class;
static struct physmem memory;
static const struct mem_master mm = {.pm = &memory};
static struct i8237 s;
static uint8_t buffer[0x20000];
static bool tc;

static void out(uint32_t offset, uint8_t v)
{
    C->write(&s, offset, 1, v, 0);
}

static uint8_t in(uint32_t offset)
{
    return (uint8_t)C->read(&s, offset, 1, 0);
}

static void setup(void)
{
    cr_assert_eq(physmem_init(&memory, RAM_BYTES_MIN), 0);
    C->reset(&s, 0);
    for (unsigned i = 0; i < sizeof(buffer); i++)
        buffer[i] = (uint8_t)(i * 7 + i / 256);
}

static void teardown(void)
{
    physmem_free(&memory);
}

/* As a driver does it: mask, clear the flip-flop, mode, address, count less 1, page, unmask. */
static void program(unsigned channel, uint8_t mode, uint8_t page, uint16_t address, uint16_t count)
{
    static const uint8_t pages[8] = {0x47, 0x43, 0x41, 0x42, 0x4F, 0x4B, 0x49, 0x4A};
    uint32_t base = channel < 4 ? 0 : 0x20, step = channel < 4 ? 1 : 2, n = channel % 4;

    out(base + 0xA * step, (uint8_t)(4 | n));
    out(base + 0xC * step, 0);
    out(base + 0xB * step, (uint8_t)(mode | n));
    out(base + 2 * n * step, (uint8_t)address);
    out(base + 2 * n * step, (uint8_t)(address >> 8));
    out(base + (2 * n + 1) * step, (uint8_t)count);
    out(base + (2 * n + 1) * step, (uint8_t)(count >> 8));
    out(pages[channel], page);
    out(base + 0xA * step, (uint8_t)n);
}

static uint32_t transfer(unsigned channel, bool to_memory, uint32_t bytes)
{
    mem_masters_begin(&memory);
    uint32_t n = i8237_transfer(&s, &mm, channel, to_memory, buffer, bytes, &tc);
    mem_masters_end(&memory);
    return n;
}

static uint16_t word(uint32_t offset)
{
    out(offset < 0x20 ? 0xC : 0x20 + 0x18, 0);
    uint8_t low = in(offset);
    return (uint16_t)(low | in(offset) << 8);
}

TestSuite(i8237, .init = setup, .fini = teardown);

Test(i8237, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 0x50, 1);
}

Test(i8237, to_memory_in_pieces_until_terminal_count)
{
    program(2, 0x44, 0x12, 0x3000, 1023);
    cr_assert_eq(transfer(2, true, 512), 512);
    cr_assert_not(tc);
    cr_assert_eq(word(4), 0x3200);
    cr_assert_eq(word(5), 511);
    cr_assert_eq(in(8), 0);
    cr_assert_eq(transfer(2, true, 600), 512);
    cr_assert(tc);
    cr_assert_eq(memcmp(memory.host + 0x123000, buffer, 512), 0);
    cr_assert_eq(memcmp(memory.host + 0x123200, buffer, 512), 0);
    cr_assert_eq(memory.host[0x123400], 0);
    cr_assert_eq(word(5), 0xFFFF);
    cr_assert_eq(in(0xF), 0x0F); /* it has masked itself */
    cr_assert_eq(in(8), 0x04);   /* a read clears */
    cr_assert_eq(in(8), 0);
    cr_assert_eq(transfer(2, true, 1), 0);
}

Test(i8237, from_memory)
{
    memset(memory.host + 0x8000, 0xA7, 100);
    program(1, 0x48, 0, 0x8000, 99);
    cr_assert_eq(transfer(1, false, 512), 100);
    cr_assert(tc);
    cr_assert_eq(buffer[0], 0xA7);
    cr_assert_eq(buffer[99], 0xA7);
    cr_assert_eq(buffer[100], (uint8_t)(100 * 7));
}

Test(i8237, a_verify_counts_and_moves_nothing)
{
    program(2, 0x40, 0, 0x8000, 511);
    cr_assert_eq(transfer(2, true, 512), 512);
    cr_assert(tc);
    cr_assert_eq(memory.host[0x8001], 0);
    cr_assert_eq(word(4), 0x8200);
}

Test(i8237, addresses_wrap_within_64_kib)
{
    program(2, 0x44, 0x02, 0xFF00, 511);
    cr_assert_eq(transfer(2, true, 512), 512);
    cr_assert_eq(memcmp(memory.host + 0x2FF00, buffer, 256), 0);
    cr_assert_eq(memcmp(memory.host + 0x20000, buffer + 256, 256), 0);
    cr_assert_eq(memory.host[0x30000], 0);
    cr_assert_eq(in(0x41), 0x02);
}

Test(i8237, downwards)
{
    program(3, 0x64, 0, 0x1003, 3);
    cr_assert_eq(transfer(3, true, 4), 4);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(memory.host[0x1003 - i], buffer[i]);
    cr_assert_eq(word(6), 0x0FFF);
}

Test(i8237, words_wrap_within_128_kib)
{
    program(5, 0x44, 0x05, 0xFFFF, 1); /* bit 0 of the page is not used */
    cr_assert_eq(transfer(5, true, 5), 4);
    cr_assert(tc);
    cr_assert_eq(memcmp(memory.host + 0x5FFFE, buffer, 2), 0);
    cr_assert_eq(memcmp(memory.host + 0x40000, buffer + 2, 2), 0);
    cr_assert_eq(in(0x20 + 0x10), 0x02);
}

Test(i8237, beyond_memory_nothing_happens)
{
    program(2, 0x44, 0xFF, 0xFFF0, 0xFFFF);
    cr_assert_eq(transfer(2, true, sizeof(buffer)), 0x10000);
    cr_assert(tc);
    cr_assert_eq(i8237_transfer(&s, NULL, 9, true, buffer, 1, &tc), 0);
}

Test(i8237, autoinitialization)
{
    program(2, 0x54, 0, 0x4000, 99);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(transfer(2, true, 100), 100);
        cr_assert(tc);
        cr_assert_eq(word(4), 0x4000);
        cr_assert_eq(word(5), 99);
    }
    cr_assert_eq(in(0xF) & 4, 0);
}

Test(i8237, what_holds_a_request_back)
{
    program(2, 0x44, 0, 0x4000, 99);
    out(0x0A, 6);
    cr_assert_eq(transfer(2, true, 10), 0); /* masked */
    out(0x0A, 2);
    out(0x08, 4);
    cr_assert_eq(transfer(2, true, 10), 0); /* the controller is disabled */
    out(0x08, 0);
    out(0x20 + 0x14, 4);
    cr_assert_eq(transfer(2, true, 10), 0); /* channel 4, behind which it is, is masked */
    out(0x20 + 0x14, 0);
    out(0x20 + 0x16, 0x40);
    cr_assert_eq(transfer(2, true, 10), 0); /* channel 4 does not cascade */
    out(0x20 + 0x16, 0xC0);
    cr_assert_eq(transfer(2, true, 10), 10);
    out(0x0B, 0xC2);
    cr_assert_eq(transfer(2, true, 10), 0); /* a channel in cascade mode moves nothing */
}

Test(i8237, master_clear_and_masks)
{
    program(2, 0x44, 0, 0x4000, 99);
    out(0x09, 6);
    cr_assert_eq(in(8), 0x40); /* a software request */
    out(0x00, 1);              /* half a word */
    out(0x0D, 0);
    cr_assert_eq(in(0xF), 0x0F);
    cr_assert_eq(in(8), 0);
    out(0x00, 0x34);
    out(0x00, 0x12);
    cr_assert_eq(word(0), 0x1234);
    out(0x0E, 0);
    cr_assert_eq(in(0xF), 0);
    out(0x0F, 0xF5);
    cr_assert_eq(in(0xF), 5);
    i8237_firmware_class.reset(&s, 0);
    cr_assert_eq(in(0x20 + 0x1E), 0x0F);
}

Test(i8237, page_registers_are_read_as_written)
{
    for (uint32_t n = 1; n < 16; n++)
        out(0x40 + n, (uint8_t)(0xA0 + n));
    for (uint32_t n = 1; n < 16; n++)
        cr_assert_eq(C->pure_read(&s, 0x40 + n, 1, 0), 0xA0 + n);
}
