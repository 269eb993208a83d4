/* test_snapshot.c: a snapshot with a right checksum and a wrong value: refused by the field's name, or a
 * machine that runs. Files that are not whole are tests/cli/badinput.sh's. */
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAVE_TICK 100000 /* the guest pages, and the toy PCI device works */
#define ALL       UINT32_MAX

static char valid[] = "/tmp/tandem-test-XXXXXX", changed[] = "/tmp/tandem-test-XXXXXX", elf[4096];

static struct machine *create(const char *loadvm, struct err *e)
{
    struct machine_config c;
    machine_config_init(&c);
    c.ram_bytes = UINT64_C(16) << 20;
    c.kernel = elf;
    c.append = "moves=100";
    c.serial[0] = "null";
    c.toypci = true;
    c.sleep = false;
    c.mode = LINK_INLINE;
    c.translator = TRANSLATOR_EAGER;
    c.loadvm = loadvm;
    return machine_create(&c, e);
}

static void run(struct machine *m, uint64_t ticks)
{
    struct vcpu_until until = {.tick = machine_tick(m) + ticks};
    struct err e;
    machine_run_until(m, &until, &e);
}

static void make_valid(void)
{
    struct err e;
    const char *guests = getenv("TANDEM_GUESTS");
    cr_assert(guests, "TANDEM_GUESTS names the folder of toypci.elf");
    snprintf(elf, sizeof elf, "%s/toypci.elf", guests);
    close(mkstemp(valid));
    close(mkstemp(changed));
    struct machine *m = create(NULL, &e);
    cr_assert(m, "%s", e.text);
    run(m, SAVE_TICK);
    cr_assert(machine_save(m, valid, &e), "%s", e.text);
    machine_destroy(m);
}

static void remove_files(void)
{
    unlink(valid);
    unlink(changed);
}

TestSuite(snapshot, .init = make_valid, .fini = remove_files);

struct change {
    const char *field; /* "part.field" */
    uint32_t element;  /* ALL: each */
    uint64_t value;
};

static void apply(const struct change *c, const struct snapshot_item *item, uint8_t *bytes)
{
    for (uint32_t i = 0; i < item->count; i++)
        if (c->element == ALL || c->element == i)
            memcpy(bytes + (size_t)i * item->elem_bytes, &c->value, item->elem_bytes);
}

/* True: it is the field to be changed. */
static bool copy_field(struct snapshot_writer *w, const char *part, const struct snapshot_item *item,
                       const struct change *c)
{
    struct field f = {item->name, 0, item->elem_bytes, item->count, item->elem_bytes, UINT64_MAX};
    uint8_t *bytes = malloc((size_t)item->count * item->elem_bytes + 1);
    char name[2 * SNAPSHOT_NAME_BYTES];
    memcpy(bytes, item->data, (size_t)item->count * item->elem_bytes);
    snprintf(name, sizeof name, "%s.%s", part, item->name);
    bool wanted = c && strcmp(name, c->field) == 0;
    if (wanted)
        apply(c, item, bytes);
    snapshot_field(w, &f, bytes);
    free(bytes);
    return wanted;
}

/* A copy of `valid` with one field changed (NULL: none), and another first line unless NULL. */
static void make_changed(const struct change *c, const char *identity, uint64_t tick)
{
    struct err e;
    struct snapshot_item item;
    bool found = !c;
    char part[SNAPSHOT_NAME_BYTES] = "";
    struct snapshot_reader *r = snapshot_open("test", valid, &e);
    cr_assert(r, "%s", e.text);
    struct snapshot_writer *w = snapshot_create(changed, tick ? tick : snapshot_tick(r),
                                                identity ? identity : snapshot_identity(r), &e);
    while (snapshot_next(r, &item, &e) && item.kind != SNAPSHOT_END) {
        struct state_part p = {item.name, NULL, 0, NULL};
        if (item.kind == SNAPSHOT_PAGE)
            snapshot_page(w, item.number, item.data);
        if (item.kind == SNAPSHOT_FIELD)
            found |= copy_field(w, part, &item, c);
        if (item.kind != SNAPSHOT_PART)
            continue;
        snprintf(part, sizeof part, "%s", item.name);
        snapshot_part(w, &p);
    }
    cr_assert(snapshot_finish(w, &e), "%s", e.text);
    cr_assert(found, "no field %s", c ? c->field : "");
    snapshot_close(r);
}

static void refused_naming(const char *text)
{
    struct err e = {""};
    struct machine *m = create(changed, &e);
    cr_assert_null(m, "a snapshot is loaded that should be refused with: %s", text);
    cr_assert(strstr(e.text, text) && strstr(e.text, changed) && !strchr(e.text, '\n'), "no %s in: %s", text,
              e.text);
}

static void loads_and_runs(const char *what)
{
    struct err e = {""};
    struct machine *m = create(changed, &e);
    cr_assert(m, "%s: %s", what, e.text);
    run(m, 20000);
    machine_destroy(m);
}

Test(snapshot, an_unchanged_copy_is_loaded)
{
    make_changed(NULL, NULL, 0);
    loads_and_runs("unchanged");
}

/* What no run leaves behind, field by field: a value that would index something, stop the machine's
 * clockwork, or be trusted by the host. */
Test(snapshot, a_wrong_value_is_refused_by_name, .timeout = 120)
{
    static const struct change changes[] = {
        {"cpu.df", 0, 0},
        {"cpu.df", 0, 2},
        {"cpu.arithmetic-flags", 0, 0x10000},
        {"cpu.eflags", 0, 0x20000}, /* VM */
        {"cpu.eflags", 0, 1},
        {"cpu.cpl", 0, 4},
        {"cpu.int_shadow", 0, 9},
        {"cpu.halted", 0, 3},
        {"cpu.cr0", 0, 0x80000010}, /* PG without PE */
        {"cpu.cr0", 0, 0x20000011}, /* NW without CD */
        {"cpu.cr0", 0, 1},          /* ET is always 1 */
        {"cpu.cr0", 0, 0x100011},
        {"cpu.cr4", 0, 0x100}, /* PCE */
        {"cpu.pdptr", 2, 3},   /* reserved bits */
        {"cpu.efer", 0, 1},
        {"cpu.msr.pat", 0, 2},
        {"cpu.dr", 4, 1},
        {"cpu.dr", 6, 0},
        {"cpu.dr", 7, 0xffffffff},
        {"cpu.sse.mxcsr", 0, 0x10000}, /* LDMXCSR would fault on the host */
        {"cpu-events.exc.vector", 0, 32},
        {"cpu-events.exc.pending", 0, 2},
        {"cpu-figures.idle_ticks", 0, SAVE_TICK + 1},
        {"tlb.entry.phys_page", ALL, 0x0ffff000},
        {"tlb.entry.phys_page", ALL, 1},
        {"tlb.entry.tag", ALL, 0xffffffff},
        {"tlb.tlb_local_count", 0, 16385},
        {"tlb.tlb_local", ALL, 1},
        {"tlb.tlb_local", 0, 0xffff},
        {"spaces.current", 0, 32},
        {"spaces.next", 0, 32},
        {"spaces.spaces", 0, 65},
        {"spaces.spaces", ALL, 1},
        {"board.next_tick", 1, SAVE_TICK},
        {"board.next_tick", 15, SAVE_TICK + 5},
        {"board.master_tick", ALL, SAVE_TICK},
        {"board.master_tick", 0, SAVE_TICK + 9},
        {"board.input_tick", 0, SAVE_TICK},
        {"board.input_tick", 15, SAVE_TICK + 9},
        {"board.floor_tick", 2, UINT64_MAX},
        {"board.line_tick", 4, UINT64_MAX},
        {"board.remap_tick", 1, UINT64_MAX},
        {"board.window_tick", 0, UINT64_MAX},
        {"board.lines", 0, 0x10000},
        {"serial0.head", 0, 70000},
        {"serial0.count", 0, 70000},
        {"toypci.send", 0, 2049},
        {"toypci.frame", 0, 0xffffffff},
        {"toypci.moving", 0, 2},
        {"link.clamped", 0, 1},
        {"link.pending.count", 0, 65537},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        make_changed(&changes[i], NULL, 0);
        refused_naming(changes[i].field);
    }
}

/* What a guest could have done, or what nobody relies on: the machine runs, whatever comes of it. */
Test(snapshot, other_values_run, .timeout = 120)
{
    static const struct change changes[] = {
        {"memory-map.remap", ALL, 0xffffffff}, /* windows off their grain, all of shadow RAM */
        {"memory-map.remap", ALL, 0},
        {"windows.window", ALL, 0xffffffff},
        {"windows.window", ALL, 0x21},
        {"board.window", ALL, 0xffffffff},
        {"board.remap", ALL, 7},
        {"board.outputs", ALL, 0xffffffff},
        {"cpu.seg[SEG_CS].access", 0, 0},
        {"cpu.seg[SEG_CS].limit", 0, 0},
        {"cpu.seg[SEG_SS].access", 0, 0xffff},
        {"cpu.seg[SEG_DS].base", 0, 0xfffff001},
        {"cpu.tr.limit", 0, 0},
        {"cpu.ldtr.access", 0, 0xffff},
        {"cpu.gdtr.base", 0, 0xfffffffc},
        {"cpu.idtr.limit", 0, 0},
        {"cpu.cr0", 0, 0xe005003f},
        {"cpu.cr3", 0, 0xffffffff},
        {"cpu.cr4", 0, 0x6fc},
        {"cpu.pdptr", ALL, 0},
        {"cpu.efer", 0, 0x800},
        {"cpu.eflags", 0, 0x257700 & ~0x20400},
        {"cpu.dr", 7, 0xffff23ff | 0x400},
        {"cpu.x87.sw", 0, 0xffff},
        {"cpu.x87.cw", 0, 0},
        {"cpu.sse.mxcsr", 0, 0xffff},
        {"cpu.cpl", 0, 3},
        {"cpu.eip", 0, 0xffffffff},
        {"cpu-events.db_pending", 0, 0xffffffff},
        {"cpu-events.rf_tick", 0, UINT64_MAX},
        {"spaces.cr3", ALL, 0},
        {"spaces.pdptr", ALL, UINT64_MAX},
        {"table-pages.used_by.writes", ALL, 0xffffffff},
        {"effects.dev", ALL, 0xffff},
        {"link.seq", 0, 0xffffffff},
        {"toypci.list", 0, 0xfffffff0},
        {"toypci.count", 0, 0xffffffff},
        {"toypci.desc", ALL, 0xffffffff},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        make_changed(&changes[i], NULL, 0);
        loads_and_runs(changes[i].field);
    }
}

Test(snapshot, another_build_or_time_is_refused)
{
    make_changed(NULL, "version=0.0.0 ram=16777216", 0);
    refused_naming("it was made with version=0.0.0, this one has ");
    make_changed(NULL, "", 0);
    refused_naming("it was made with version=none");
    make_changed(NULL, NULL, UINT64_MAX - 1);
    refused_naming("its tick is beyond all time");
    make_changed(NULL, NULL, SAVE_TICK + 10000000);
    refused_naming("has a value that it cannot have");
}
