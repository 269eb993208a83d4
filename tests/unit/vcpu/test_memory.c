/* test_memory.c - the vCPU over everything that mem/ can show: code in ROM and video RAM, remaps and bus
 * masters' writes at a tick under running code, windows, addresses near 2^32; in every engine and every mode
 * of the device side, with the horizon at many places. What must come out is counted by hand, or is what one
 * instruction at a time gives. */
#include "mem/remap.h"
#include "syncq/link.h"
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#define RAM_BYTES (UINT64_C(4) << 20)
#define TICKS     4000
#define AT_TICK   1501 /* in the middle of a loop of two instructions */

static struct harness h;

static const struct way {
    const char *name;
    enum translator_mode mode;
    unsigned threads, devthread;
    bool single_tb;
} ways[] = {
    {"single", TRANSLATOR_INTERP, 0, HARNESS_INLINE, true},
    {"interp", TRANSLATOR_INTERP, 0, HARNESS_INLINE, false},
    {"eager", TRANSLATOR_EAGER, 0, HARNESS_INLINE, false},
    {"background", TRANSLATOR_BACKGROUND, 0, HARNESS_INLINE, false},
    {"workers", TRANSLATOR_BACKGROUND, 1, HARNESS_ADAPTIVE, false},
    {"interp, thread", TRANSLATOR_INTERP, 0, HARNESS_THREAD, false},
    {"eager, thread", TRANSLATOR_EAGER, 0, HARNESS_THREAD, false},
    {"eager, adaptive", TRANSLATOR_EAGER, 0, HARNESS_ADAPTIVE, false},
};
enum { WAY_COUNT = sizeof ways / sizeof ways[0] };
static const uint64_t quanta[] = {1000000, 7, 100};
enum { QUANTUM_COUNT = sizeof quanta / sizeof quanta[0] };

/* One machine and what happens in it. */
struct scene {
    const char *name;
    void (*setup)(struct physmem *mem);
    void (*prepare)(void); /* code and registers */
    uint64_t (*event)(struct harness *h, uint64_t tick);
    void (*check)(const char *what);
};

static void play(const struct scene *s, const struct way *w, uint64_t quantum)
{
    const struct harness_options o = {.ram_bytes = RAM_BYTES,
                                      .translator = w->mode,
                                      .hot = w->mode == TRANSLATOR_BACKGROUND ? 1 : 0,
                                      .translator_threads = w->threads,
                                      .devthread = w->devthread,
                                      .single_tb = w->single_tb,
                                      .quantum_ticks = quantum,
                                      .tick_limit = TICKS,
                                      .setup = s->setup,
                                      .event = s->event,
                                      .event_tick = AT_TICK};
    harness_init(&h, &o);
    vcpu_set_flat32(h.cpu, HARNESS_CODE, 0x10, 0x18);
    vcpu_state(h.cpu)->slot[IR_ESP] = 0x8000;
    s->prepare();
    vcpu_run(h.cpu);
}

static void play_all(const struct scene *s)
{
    char what[80];
    uint64_t want = 0;
    for (unsigned w = 0; w < WAY_COUNT; w++)
        for (unsigned q = 0; q < QUANTUM_COUNT; q++) {
            snprintf(what, sizeof what, "%s, %s, quantum %u", s->name, ways[w].name, (unsigned)quanta[q]);
            play(s, &ways[w], quanta[q]);
            if (s->check)
                s->check(what);
            uint64_t result = harness_fingerprint(&h);
            want = w == 0 && q == 0 ? result : want;
            cr_assert_eq(result, want, "%s", what);
            harness_free(&h);
        }
}

static void put(phys_addr_t addr, const uint8_t *code, const uint8_t *end)
{
    cr_assert(physmem_write(&h.mem, addr, code, (size_t)(end - code)));
}
#define PUT(addr, name) put(addr, name, name##_end)

static uint32_t reg(unsigned slot)
{
    return vcpu_state(h.cpu)->slot[slot];
}

static uint64_t remap_at(const struct harness *machine, uint64_t tick, unsigned number, uint32_t value)
{
    link_effect(
        machine->link,
        &(struct effect){.tick = tick, .kind = EFFECT_REMAP, .line = (uint8_t)number, .value = value});
    return TICK_NEVER;
}

/* Loops of two instructions that are as long as one another. The instruction at an even tick is the first. */
GUEST_CODE(count_eax, "1: inc %eax\n jmp 1b\n");
GUEST_CODE(count_ebx, "1: inc %ebx\n jmp 1b\n");
enum { BEFORE = (AT_TICK + 1) / 2, AFTER = (TICKS - AT_TICK) / 2 };

static void check_counts(const char *what)
{
    cr_assert_eq(reg(IR_EAX), BEFORE, "%s: %u before", what, (unsigned)reg(IR_EAX));
    cr_assert_eq(reg(IR_EBX), AFTER, "%s: %u after", what, (unsigned)reg(IR_EBX));
}

/* --- A20: the running code's page becomes another --- */

static void a20_setup(struct physmem *mem)
{
    physmem_add_a20(mem);
}

static void a20_prepare(void)
{
    PUT(0x110000, count_eax);
    PUT(0x10000, count_ebx);
    vcpu_state(h.cpu)->eip = 0x110000;
}

static uint64_t a20_event(struct harness *machine, uint64_t tick)
{
    return remap_at(machine, tick, 0, 0);
}

Test(memory, a20_under_running_code)
{
    play_all(&(struct scene){"a20", a20_setup, a20_prepare, a20_event, check_counts});
}

/* There and back: the blocks of both pages are found again. */
static uint64_t a20_often(struct harness *machine, uint64_t tick)
{
    remap_at(machine, tick, 0, tick / 100 & 1);
    return tick + 100;
}

static void check_sum(const char *what)
{
    struct vcpu_stats s;
    vcpu_get_stats(h.cpu, &s);
    cr_assert_eq(reg(IR_EAX) + reg(IR_EBX), TICKS / 2, "%s", what);
    cr_assert(reg(IR_EAX) > 1000 && reg(IR_EBX) > 500, "%s", what);
    cr_assert_leq(s.tb_built, 40, "%s: %u blocks built", what, (unsigned)s.tb_built);
}

Test(memory, a20_back_and_forth)
{
    play_all(&(struct scene){"a20, often", a20_setup, a20_prepare, a20_often, check_sum});
}

/* --- shadow RAM: from ROM to what the guest copied into RAM --- */

static mem_addr_t rom;

static void shadow_setup(struct physmem *mem)
{
    rom = physmem_add(mem, MEM_ROM, 0x10000);
    physmem_add_shadow(mem, 0xf0000, 0x10000, mem_target(MEM_ROM, rom), MEM_SHADOW_WRITE);
}

static void shadow_prepare(void)
{
    physmem_put(&h.mem, rom, count_eax, (size_t)(count_eax_end - count_eax));
    physmem_put(&h.mem, 0xf0000, count_ebx, (size_t)(count_ebx_end - count_ebx));
    vcpu_state(h.cpu)->eip = 0xf0000;
}

static uint64_t shadow_event(struct harness *machine, uint64_t tick)
{
    return remap_at(machine, tick, 0, MEM_SHADOW_READ);
}

Test(memory, shadow_ram_under_running_code)
{
    play_all(&(struct scene){"shadow", shadow_setup, shadow_prepare, shadow_event, check_counts});
}

/* Reads come from ROM, writes go to RAM: by every kind of access. Then reads come from RAM. */
GUEST_CODE(shadow_copy, "fninit\n mov $0xf0000, %esi\n mov %esi, %edi\n mov $1024, %ecx\n rep movsl\n"
                        " mov $0xf0100, %edi\n incl (%edi)\n push %ds\n pushl (%edi)\n popl 4(%edi)\n"
                        " xadd %eax, 8(%edi)\n fildl (%edi)\n fistpl 12(%edi)\n movups (%edi), %xmm0\n"
                        " movups %xmm0, 16(%edi)\n movups %xmm0, 0xefffc - 0xf0100(%edi)\n sgdt 40(%edi)\n"
                        " mov (%edi), %ebx\n mov 4(%edi), %edx\n 1: jmp 1b\n");

static void copy_prepare(void)
{
    uint32_t words[1024];
    for (uint32_t i = 0; i < 1024; i++)
        words[i] = 0x1000000 + i;
    physmem_put(&h.mem, rom, words, sizeof words);
    PUT(HARNESS_CODE, shadow_copy);
    vcpu_state(h.cpu)->cr4 = CR4_OSFXSR;
    vcpu_update_mode(h.cpu);
}

static uint32_t word(mem_addr_t at)
{
    uint32_t value;
    memcpy(&value, h.mem.host + at, 4);
    return value;
}

static void check_copy(const char *what)
{
    for (uint32_t i = 0; i < 1024; i++) {
        cr_assert_eq(word(rom + 4 * i), 0x1000000 + i, "%s: the ROM changed", what);
        if (i >= 3 && (i < 0x40 || i >= 0x60))
            cr_assert_eq(word(0xf0000 + 4 * i), 0x1000000 + i, "%s: word %u was not copied", what,
                         (unsigned)i);
    }
    cr_assert_eq(word(0xf0100), 0x1000041, "%s: incl", what);
    cr_assert_eq(word(0xf0104), 0x1000040, "%s: push and pop", what);
    cr_assert_eq(word(0xf0108), 0x1000042, "%s: xadd", what);
    cr_assert_eq(word(0xf010c), 0x1000040, "%s: fild and fist", what);
    cr_assert(word(0xf0110) == 0x1000040 && word(0xf011c) == 0x1000043, "%s: movups", what);
    cr_assert(word(0xefffc) == 0x1000040 && word(0xf0000) == 0x1000041, "%s: into the region", what);
    cr_assert(reg(IR_EBX) == 0x1000040 && reg(IR_EDX) == 0x1000041, "%s: reads are the ROM's", what);
}

Test(memory, reads_from_rom_writes_to_ram)
{
    play_all(&(struct scene){"copy", shadow_setup, copy_prepare, NULL, check_copy});
}

/* Stores into code that is seen through another region: the block of the RAM is dropped, that of the ROM is
 * not. */
GUEST_CODE(
    shadow_smc,
    "mov $40, %ecx\n mov $0xf0000, %edi\n 1: call *%edi\n incb 1(%edi)\n dec %ecx\n jnz 1b\n 2: jmp 2b\n");
GUEST_CODE(add_three, "add $3, %al\n ret\n");

static void smc_prepare(void)
{
    physmem_put(&h.mem, rom, add_three, (size_t)(add_three_end - add_three));
    physmem_put(&h.mem, 0xf0000, add_three, (size_t)(add_three_end - add_three));
    PUT(HARNESS_CODE, shadow_smc);
}

static void check_rom_code(const char *what)
{
    cr_assert_eq(reg(IR_EAX), 120, "%s", what);
    cr_assert_eq(h.mem.host[0xf0001], 4, "%s: each time the ROM's value plus one", what);
}

Test(memory, code_in_rom_does_not_change)
{
    play_all(&(struct scene){"smc, shadow", shadow_setup, smc_prepare, NULL, check_rom_code});
}

static void video_setup(struct physmem *mem)
{
    mem_addr_t vram = physmem_add(mem, MEM_VRAM, 0x10000);
    physmem_map(mem, 0xf0000, 0x10000, mem_target(MEM_VRAM, vram), mem_target(MEM_VRAM, vram));
    rom = vram;
}

static void check_video_code(const char *what)
{
    cr_assert_eq(reg(IR_EAX), (40 * 3 + 39 * 40 / 2) & 0xff, "%s", what);
    cr_assert_eq(h.mem.host[rom + 1], 43, "%s", what);
}

Test(memory, code_in_video_ram_does)
{
    play_all(&(struct scene){"smc, video", video_setup, smc_prepare, NULL, check_video_code});
}

static void rom_setup(struct physmem *mem)
{
    rom = physmem_add(mem, MEM_ROM, 0x10000);
    physmem_map(mem, 0xf0000, 0x10000, mem_target(MEM_ROM, rom), mem_target(MEM_ROM, rom));
}

static void check_rom(const char *what)
{
    cr_assert_eq(reg(IR_EAX), 120, "%s", what);
    cr_assert_eq(h.mem.host[rom + 1], 3, "%s: the ROM changed", what);
}

Test(memory, stores_to_rom_are_dropped)
{
    play_all(&(struct scene){"smc, rom", rom_setup, smc_prepare, NULL, check_rom});
}

/* One page at two addresses: code that is changed through the other one. */
static void alias_setup(struct physmem *mem)
{
    physmem_map(mem, 0xf0000, 0x10000, mem_target(MEM_RAM, 0x20000), mem_target(MEM_RAM, 0x20000));
}
GUEST_CODE(
    alias_smc,
    "mov $40, %ecx\n mov $0xf0000, %edi\n 1: call *%edi\n incb 0x20001\n dec %ecx\n jnz 1b\n 2: jmp 2b\n");

static void alias_prepare(void)
{
    PUT(0x20000, add_three);
    PUT(HARNESS_CODE, alias_smc);
}

static void check_alias(const char *what)
{
    cr_assert_eq(reg(IR_EAX), (40 * 3 + 39 * 40 / 2) & 0xff, "%s", what);
}

Test(memory, code_changed_at_its_other_address)
{
    play_all(&(struct scene){"alias", alias_setup, alias_prepare, NULL, check_alias});
}

/* --- bus masters --- */

static void count_prepare(void)
{
    PUT(HARNESS_CODE, count_eax);
}

static uint64_t dma_event(struct harness *machine, uint64_t tick)
{
    cr_assert_eq(mem_master_write(&machine->master, HARNESS_CODE, count_ebx, 1), MEM_OK);
    return TICK_NEVER;
}

Test(memory, dma_into_running_code)
{
    play_all(&(struct scene){"dma", NULL, count_prepare, dma_event, check_counts});
}

/* Two address spaces; DMA changes a page table whose translations a CR3 load would put back. */
enum { OTHER_DIRECTORY = 0x91000, DIRECTORY = 0x80000 };
GUEST_CODE(two_spaces, "1: mov $0x91000, %ecx\n mov %ecx, %cr3\n mov $0x80000, %ecx\n mov %ecx, %cr3\n"
                       " add 0x6000, %eax\n jmp 1b\n");

static void spaces_prepare(void)
{
    PUT(HARNESS_CODE, two_spaces);
    harness_paging(&h, 7);
    for (uint32_t i = 0; i < PAGE_BYTES; i += 4)
        harness_poke32(&h, OTHER_DIRECTORY + i, harness_peek32(&h, DIRECTORY + i));
    harness_poke32(&h, 0x6000, 1);
    harness_poke32(&h, 0x7000, 0x10000);
}

static uint64_t table_event(struct harness *machine, uint64_t tick)
{
    const uint32_t pte = 0x7007;
    cr_assert_eq(mem_master_write(&machine->master, harness_pte(0x6000), &pte, 4), MEM_OK);
    return TICK_NEVER;
}

static void check_spaces(const char *what)
{
    cr_assert_eq(reg(IR_EAX) & 0xffff, (AT_TICK + 1) / 6, "%s", what);
    cr_assert_eq(reg(IR_EAX) >> 16, (TICKS + 1) / 6 - (AT_TICK + 1) / 6, "%s", what);
}

Test(memory, dma_into_a_page_table)
{
    play_all(&(struct scene){"dma, table", NULL, spaces_prepare, table_event, check_spaces});
}

/* A master reads what the guest has stored so far, and no more. */
GUEST_CODE(store_count, "1: incl 0x9000\n jmp 1b\n");
static uint32_t seen_by_master;

static void store_prepare(void)
{
    PUT(HARNESS_CODE, store_count);
}

static uint64_t read_event(struct harness *machine, uint64_t tick)
{
    cr_assert_eq(mem_master_read(&machine->master, 0x9000, &seen_by_master, 4), MEM_OK);
    cr_assert_eq(mem_master_write(&machine->master, 0x9000, "\0\0\0\0", 4), MEM_OK);
    return TICK_NEVER;
}

static void check_seen(const char *what)
{
    cr_assert_eq(seen_by_master, BEFORE, "%s", what);
    cr_assert_eq(harness_peek32(&h, 0x9000), AFTER, "%s", what);
}

Test(memory, dma_reads_at_its_tick)
{
    play_all(&(struct scene){"dma, read", NULL, store_prepare, read_event, check_seen});
}

/* --- windows --- */

static void window_setup(struct physmem *mem)
{
    unsigned number = (unsigned)physmem_add_window(mem, PAGE_BYTES, mem_target(MEM_BUS, HARNESS_MMIO));
    physmem_remap(mem, number, 0xe0000000 | MEM_WINDOW_ON);
}
GUEST_CODE(window_reads,
           "movl $1, 0xe0000010\n 1: cmpl $1, 0xe0000010\n jne 2f\n inc %eax\n 2: cmpl $1, 0xe0005010\n"
           " jne 3f\n inc %ebx\n 3: jmp 1b\n");

static void window_prepare(void)
{
    PUT(HARNESS_CODE, window_reads);
}

static uint64_t window_event(struct harness *machine, uint64_t tick)
{
    return remap_at(machine, tick, 0, 0xe0005000 | MEM_WINDOW_ON);
}

/* A round takes 6 ticks, on either side. The device sees its own address. */
static void check_window(const char *what)
{
    cr_assert_eq(reg(IR_EAX) + reg(IR_EBX), (TICKS - 1) / 6, "%s: %u and %u", what, (unsigned)reg(IR_EAX),
                 (unsigned)reg(IR_EBX));
    cr_assert_eq(reg(IR_EAX), AT_TICK / 6, "%s", what);
    cr_assert_eq(h.mmio[4], 1, "%s", what);
}

Test(memory, a_window_moves)
{
    play_all(&(struct scene){"window", window_setup, window_prepare, window_event, check_window});
}

/* --- addresses at the end --- */

GUEST_CODE(at_the_end, "mov 0xfffffffe, %eax\n movl $0x11223344, 0xfffffffe\n mov 0x3ffffe, %ebx\n"
                       " movl $0x55667788, 0x3ffffe\n mov 0x3ffffc, %edx\n mov $0xfffffff0, %edi\n"
                       " movups (%edi), %xmm0\n movups %xmm0, 8(%edi)\n mov $16, %ecx\n mov $0x9000, %esi\n"
                       " rep movsl\n fldt -6(%edi)\n 1: jmp 1b\n");

static void end_prepare(void)
{
    PUT(HARNESS_CODE, at_the_end);
    harness_poke32(&h, 0, 0xaabbccdd);
    vcpu_state(h.cpu)->cr4 = CR4_OSFXSR;
    vcpu_update_mode(h.cpu);
}

static void check_end(const char *what)
{
    cr_assert_eq(reg(IR_EAX), 0xccddffff, "%s", what);
    cr_assert_eq(reg(IR_EBX), 0xffff0000, "%s", what);
    cr_assert_eq(reg(IR_EDX), 0x77880000, "%s", what);
}

Test(memory, accesses_over_the_end)
{
    play_all(&(struct scene){"end", NULL, end_prepare, NULL, check_end});
}

/* Code in no memory is all ones: #UD, here without an IDT. Page tables in no memory map nothing that is
 * there. */
static void nowhere_prepare(void)
{
    vcpu_state(h.cpu)->eip = 0xe0000000;
}

static void tables_nowhere_prepare(void)
{
    PUT(HARNESS_CODE, count_eax);
    vcpu_state(h.cpu)->cr3 = 0xfffff000;
    vcpu_state(h.cpu)->cr0 |= CR0_PG;
    vcpu_state_changed(h.cpu);
}

static void check_shut_down(const char *what)
{
    cr_assert_lt(vcpu_tick(h.cpu), TICKS, "%s: a triple fault", what);
}

Test(memory, code_and_tables_in_no_memory)
{
    play_all(&(struct scene){"code nowhere", NULL, nowhere_prepare, NULL, check_shut_down});
    play_all(&(struct scene){"tables nowhere", NULL, tables_nowhere_prepare, NULL, check_shut_down});
}

/* Page tables in ROM: walked, and their accessed bits are lost. */
static void table_rom_setup(struct physmem *mem)
{
    rom = physmem_add(mem, MEM_ROM, 2 * PAGE_BYTES);
    physmem_map(mem, 0xf0000, 2 * PAGE_BYTES, mem_target(MEM_ROM, rom), mem_target(MEM_ROM, rom));
}

static void table_rom_prepare(void)
{
    uint32_t entry = 0xf1007;
    physmem_put(&h.mem, rom, &entry, 4);
    for (uint32_t i = 0; i < 1024; i++) {
        entry = i << 12 | 7;
        physmem_put(&h.mem, rom + PAGE_BYTES + 4 * i, &entry, 4);
    }
    PUT(HARNESS_CODE, store_count);
    vcpu_state(h.cpu)->cr3 = 0xf0000;
    vcpu_state(h.cpu)->cr0 |= CR0_PG;
    vcpu_state_changed(h.cpu);
}

static void check_table_rom(const char *what)
{
    cr_assert_eq(harness_peek32(&h, 0x9000), TICKS / 2, "%s", what);
    cr_assert_eq(word(rom + PAGE_BYTES + 4 * 9), 0x9007, "%s: an accessed bit in ROM", what);
}

Test(memory, page_tables_in_rom)
{
    play_all(&(struct scene){"tables in rom", table_rom_setup, table_rom_prepare, NULL, check_table_rom});
}
