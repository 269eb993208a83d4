/* test_fw_cfg.c - items by port and by DMA, the directory of files, hostile commands. */
#include "hw/fw_cfg.h"
#include "hw_test.h"
#include "mem/master.h"

#define RAM     (UINT64_C(4) << 20)
#define COMMAND 0x2000u
#define TARGET  0x3000u
#define ERROR   1u
#define READ    2u
#define SKIP    4u
#define SELECT  8u
#define WRITE   16u

static const struct chip_class *const C = &fw_cfg_class;
static struct fw_cfg_items items;
static struct physmem mem;
static struct fw_cfg s;
static uint64_t now;
static uint8_t large[200000];

static void setup(void)
{
    for (unsigned i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7 + i / 251 + 1);
    items = (struct fw_cfg_items){0};
    cr_assert(fw_cfg_add(&items, FW_CFG_SIGNATURE, "QEMU", 4));
    cr_assert(fw_cfg_add_file(&items, "opt/z", large, sizeof large));
    cr_assert(fw_cfg_add_file(&items, "etc/a", "abc", 3));
    fw_cfg_finish(&items);
    cr_assert_eq(physmem_init(&mem, RAM), 0);
    C->reset(&s, 0);
    now = 0;
}

static void teardown(void)
{
    physmem_free(&mem);
}

static uint32_t data(void)
{
    return C->read_constant(&s, &items, FW_CFG_OFF_DATA, 1, now);
}

static void put_be32(phys_addr_t at, uint32_t v)
{
    v = __builtin_bswap32(v);
    cr_assert(physmem_write(&mem, at, &v, 4));
}

static uint32_t get_be32(phys_addr_t at)
{
    uint32_t v;
    cr_assert(physmem_read(&mem, at, &v, 4));
    return __builtin_bswap32(v);
}

static void start(uint64_t command)
{
    C->write(&s, FW_CFG_OFF_DMA, 4, __builtin_bswap32((uint32_t)(command >> 32)), now);
    C->write(&s, FW_CFG_OFF_DMA + 4, 4, __builtin_bswap32((uint32_t)command), now);
}

/* How many steps the command took. */
static unsigned finish(void)
{
    struct mem_master mm = {.pm = &mem};
    struct chip_master m = {.memory = &mm, .constant = &items};
    unsigned steps = 0;
    for (; C->next_master(&s) != NS_NEVER; steps++) {
        cr_assert_gt(C->next_master(&s), now);
        now = C->next_master(&s);
        mem_masters_begin(&mem);
        C->master(&s, &m, now);
        mem_masters_end(&mem);
        cr_assert_lt(steps, 100000u);
    }
    return steps;
}

/* The command's control word afterwards. */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    put_be32(COMMAND, control);
    put_be32(COMMAND + 4, length);
    put_be32(COMMAND + 8, (uint32_t)(address >> 32));
    put_be32(COMMAND + 12, (uint32_t)address);
    start(COMMAND);
    cr_assert_eq(get_be32(COMMAND), control, "not before it is due");
    finish();
    return get_be32(COMMAND);
}

Test(fw_cfg, fields)
{
    chip_check_fields(C);
}

Test(fw_cfg, replay)
{
    chip_check_replay(C, FW_CFG_PORTS, 4);
}

Test(fw_cfg, ports, .init = setup, .fini = teardown)
{
    C->write(&s, FW_CFG_OFF_SELECTOR, 2, FW_CFG_SIGNATURE, now);
    for (const char *p = "QEMU"; *p; p++)
        cr_expect_eq(data(), (uint8_t)*p);
    cr_expect_eq(data(), 0, "behind the end");
    C->write(&s, FW_CFG_OFF_SELECTOR, 2, FW_CFG_SIGNATURE, now);
    cr_expect_eq(data(), 'Q', "selecting begins anew");
    C->write(&s, FW_CFG_OFF_SELECTOR, 1, FW_CFG_SIGNATURE, now);
    cr_expect_eq(data(), 'E', "a byte selects nothing");
    C->write(&s, FW_CFG_OFF_SELECTOR, 2, 0x7777, now);
    cr_expect_eq(data(), 0, "no such item");
    cr_expect_eq(C->pure_read(&s, FW_CFG_OFF_DMA, 4, now), 0x554D4551);
    cr_expect_eq(C->pure_read(&s, FW_CFG_OFF_DMA + 4, 4, now), 0x47464320);
}

Test(fw_cfg, files_are_numbered_by_name, .init = setup, .fini = teardown)
{
    uint8_t dir[4 + 2 * FW_CFG_ENTRY];
    C->write(&s, FW_CFG_OFF_SELECTOR, 2, FW_CFG_FILE_DIR, now);
    for (unsigned i = 0; i < sizeof dir; i++)
        dir[i] = (uint8_t)data();
    cr_expect_eq(dir[3], 2);
    cr_expect_str_eq((char *)dir + 12, "etc/a");
    cr_expect_str_eq((char *)dir + 12 + FW_CFG_ENTRY, "opt/z");
    cr_expect_eq(dir[4 + 3], 3, "bytes");
    cr_expect_eq(dir[4 + 5], FW_CFG_FILE_FIRST);
    cr_expect_eq(dir[4 + FW_CFG_ENTRY + 5], FW_CFG_FILE_FIRST + 1);
    C->write(&s, FW_CFG_OFF_SELECTOR, 2, FW_CFG_FILE_FIRST, now);
    cr_expect_eq(data(), 'a');
}

Test(fw_cfg, names, .init = setup, .fini = teardown)
{
    struct fw_cfg_items n = {0};
    char name[FW_CFG_NAME_BYTES + 1];
    memset(name, 'x', sizeof name);
    name[FW_CFG_NAME_BYTES] = 0;
    cr_expect_not(fw_cfg_add_file(&n, name, "", 0), "no room for the NUL");
    name[FW_CFG_NAME_BYTES - 1] = 0;
    cr_expect(fw_cfg_add_file(&n, name, "", 0));
    cr_expect_not(fw_cfg_add_file(&n, name, "", 0), "twice");
    cr_expect_not(fw_cfg_add_file(&n, "", "", 0));
    for (unsigned i = 1; i < FW_CFG_ITEMS_MAX; i++)
        cr_expect(fw_cfg_add(&n, (uint16_t)i, "", 0));
    cr_expect_not(fw_cfg_add(&n, 1000, "", 0), "full");
}

Test(fw_cfg, dma, .init = setup, .fini = teardown)
{
    uint8_t got[1000];
    cr_expect_eq(dma((FW_CFG_FILE_FIRST + 1) << 16 | SELECT | SKIP, 500, 0), 0);
    cr_expect_eq(dma(READ, sizeof got, TARGET), 0);
    cr_assert(physmem_read(&mem, TARGET, got, sizeof got));
    cr_expect_eq(memcmp(got, large + 500, sizeof got), 0);
    cr_expect_eq(data(), large[500 + sizeof got], "ports go on where DMA stopped");
    cr_expect_eq(dma(FW_CFG_FILE_FIRST << 16 | SELECT | READ, 8, TARGET), 0);
    cr_assert(physmem_read(&mem, TARGET, got, 9));
    cr_expect_eq(memcmp(got, "abc\0\0\0\0\0", 8), 0, "zeroes behind the end");
    cr_expect_eq(got[8], large[508]);
    cr_expect_eq(dma(0, 77, TARGET), 0, "nothing is asked for");
    cr_expect_eq(dma(FW_CFG_FILE_FIRST << 16 | SELECT | WRITE, 1, TARGET), ERROR, "nothing can be written");
}

/* All of a large item, in pieces. */
Test(fw_cfg, dma_of_much, .init = setup, .fini = teardown)
{
    static uint8_t got[sizeof large];
    cr_expect_eq(dma((FW_CFG_FILE_FIRST + 1) << 16 | SELECT | READ, sizeof got, TARGET), 0);
    cr_assert(physmem_read(&mem, TARGET, got, sizeof got));
    cr_expect_eq(memcmp(got, large, sizeof got), 0);
    cr_expect_leq(now, 10000, "microseconds");
}

Test(fw_cfg, hostile_dma, .init = setup, .fini = teardown)
{
    const uint32_t file = FW_CFG_FILE_FIRST << 16 | SELECT | READ;
    cr_expect_eq(dma(file, UINT32_MAX, TARGET), ERROR, "beyond RAM");
    cr_expect_eq(dma(file, 16, UINT64_MAX - 7), ERROR);
    cr_expect_eq(dma(file, 16, RAM - 8), ERROR);
    cr_expect_eq(dma(0x1234u << 16 | SELECT | READ, 16, TARGET), 0, "no such item: zeroes");
    cr_expect_eq(dma(file, 0, TARGET), 0);
    cr_expect_eq(dma(SKIP, UINT32_MAX, 0), 0);
    cr_expect_eq(dma(SKIP, UINT32_MAX, 0), 0);
    cr_expect_eq(data(), 0);
    start(UINT64_MAX - 3); /* a command that lies nowhere */
    cr_expect_eq(finish(), 1);
    start(RAM - 8);
    cr_expect_eq(finish(), 1);
    cr_expect_eq(dma(file, 16, COMMAND), 0, "over itself");
    start(COMMAND);
    start(COMMAND); /* while one is under way */
    finish();
    cr_expect_eq(C->next_master(&s), NS_NEVER);
}
