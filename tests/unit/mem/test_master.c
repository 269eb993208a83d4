/* master.c: what a bus master may touch, and what others learn of it. */
#include <signal.h>

#include "mem/master.h"
#include "mem/remap.h"
#include "tests/unit/mem/mem_test.h"

static struct physmem pm;
static struct counting c;
static const struct mem_master master = {&pm};

Test(master, reads_and_writes)
{
    uint8_t bytes[3 * PAGE_BYTES];
    start(&pm, &c);
    mem_masters_begin(&pm);
    memset(bytes, 0x5a, sizeof bytes);
    cr_assert_eq(mem_master_write(&master, 0x5fff, bytes, PAGE_BYTES + 2), MEM_OK);
    cr_assert(pm.host[0x5ffe] == 0 && pm.host[0x5fff] == 0x5a && pm.host[0x7000] == 0x5a &&
              pm.host[0x7001] == 0);
    cr_assert(physmem_log_is_dirty(&pm, MEM_LOG_DIGEST, 5) && physmem_log_is_dirty(&pm, MEM_LOG_DIGEST, 7));
    memset(bytes, 0, sizeof bytes);
    cr_assert_eq(mem_master_read(&master, 0x5fff, bytes, PAGE_BYTES + 2), MEM_OK);
    cr_assert(bytes[0] == 0x5a && bytes[PAGE_BYTES + 1] == 0x5a && bytes[PAGE_BYTES + 2] == 0);
    cr_assert_eq(mem_master_write(&master, 0x5fff, bytes, 0), MEM_OK);
    mem_masters_end(&pm);
    physmem_free(&pm);
}

Test(master, any_address)
{
    const phys_addr_t end = UINT64_C(1) << MEM_PHYS_BITS;
    const phys_addr_t addrs[] = {RAM, 0xfffffffe, end - 2, end, UINT64_MAX - 3, UINT64_MAX};
    start(&pm, &c);
    mem_masters_begin(&pm);
    for (unsigned i = 0; i < sizeof addrs / sizeof addrs[0]; i++) {
        uint8_t bytes[16] = {0};
        cr_assert_eq(mem_master_write(&master, addrs[i], bytes, 4), MEM_NOT_THERE);
        cr_assert_eq(mem_master_read(&master, addrs[i], bytes, 4), MEM_NOT_THERE);
        cr_assert_eq(bytes[0], 0xff);
        cr_assert_eq(bytes[4], 0);
    }
    uint8_t bytes[4] = {1, 2, 3, 4};
    cr_assert_eq(mem_master_write(&master, RAM - 2, bytes, 4), MEM_NOT_THERE, "but what is there is written");
    cr_assert(pm.host[RAM - 2] == 1 && pm.host[RAM - 1] == 2);
    mem_masters_end(&pm);
    physmem_free(&pm);
}

Test(master, rom_and_a20)
{
    uint8_t byte = 7;
    start(&pm, &c);
    mem_addr_t rom = physmem_add(&pm, MEM_ROM, 0x10000);
    unsigned pam = (unsigned)physmem_add_shadow(&pm, 0xf0000, 0x10000, mem_target(MEM_ROM, rom), 0);
    unsigned a20 = (unsigned)physmem_add_a20(&pm);
    mem_masters_begin(&pm);
    cr_assert_eq(mem_master_write(&master, 0xf0000, &byte, 1), MEM_READ_ONLY);
    cr_assert(pm.host[rom] == 0 && pm.host[0xf0000] == 0);
    mem_masters_end(&pm);
    physmem_remap(&pm, pam, MEM_SHADOW_WRITE);
    physmem_remap(&pm, a20, 0);
    mem_masters_begin(&pm);
    cr_assert_eq(mem_master_write(&master, 0xf0000, &byte, 1), MEM_OK);
    cr_assert(pm.host[rom] == 0 && pm.host[0xf0000] == 7);
    cr_assert_eq(mem_master_write(&master, 0x100000, &byte, 1), MEM_OK);
    cr_assert(pm.host[0] == 0 && pm.host[0x100000] == 7, "the A20 gate is the CPU's");
    mem_masters_end(&pm);
    physmem_free(&pm);
}

Test(master, vcpus_learn_of_it)
{
    struct mem_range r;
    start(&pm, &c);
    cr_assert(physmem_attach(&pm, 0, &c.w));
    c.w.pages[5] = MEM_WATCH_TABLE;
    mem_masters_begin(&pm);
    cr_assert_eq(mem_master_write(&master, 0x4ffe, "abcd", 4), MEM_OK);
    mem_masters_end(&pm);
    cr_assert(physmem_change_take(&c.w, &r));
    cr_assert(r.first <= 0x5000 && r.first + r.bytes >= 0x5002);
    cr_assert_eq(c.table_stores + c.code_stores, 0, "never at once: the vCPU's thread may be another");
    physmem_detach(&pm, 0);
    physmem_free(&pm);
}

/* A device that uses memory from anywhere but step() is our bug. */
Test(master, only_in_step, .signal = SIGABRT)
{
    uint8_t byte;
    start(&pm, &c);
    mem_master_read(&master, 0, &byte, 1);
}
