/* The bus: routing, latencies, interrupt lines, requests, events, the list of chips. */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define ISA_TICKS 90 /* 720 ns at shift 3 */

static struct rig rig;

static void setup(void)
{
    struct bus_config c;

    rig_config(&rig, &c);
    cr_assert(rig_init(&rig, &c));
}

static void teardown(void)
{
    bus_fini(&rig.bus);
}

static const struct bus_range *range_of(uint16_t port)
{
    return &rig.bus.map.range[rig.bus.map.port_range[port]];
}

static unsigned irq_effects(unsigned line)
{
    unsigned n = 0;

    for (unsigned i = 0; i < rig.neffects; i++)
        n += rig.effect[i].kind == EFFECT_IRQ && rig.effect[i].line == line;
    return n;
}

static const struct effect *last_effect(void)
{
    cr_assert_gt(rig.neffects, 0);
    return &rig.effect[rig.neffects - 1];
}

Test(bus, map_has_the_boards_classes, .init = setup, .fini = teardown)
{
    cr_expect_eq(range_of(0x20)->read_class, CLASS_LOCAL);
    cr_expect_eq(range_of(0xA1)->write_class, CLASS_LOCAL);
    cr_expect_eq(range_of(0x4D1)->write_class, CLASS_LOCAL);
    cr_expect_eq(range_of(0x40)->read_class, CLASS_SYNC);
    cr_expect_eq(range_of(0x40)->write_class, CLASS_POSTED);
    cr_expect_eq(range_of(0x61)->read_class, CLASS_PURE);
    cr_expect_not_null(range_of(0x61)->pure_read);
    cr_expect_eq(range_of(0x3F8)->read_class, CLASS_SYNC);
    cr_expect_eq(range_of(0x3FD)->read_class, CLASS_PURE);
    cr_expect_eq(range_of(0x3FD)->base_offset, 3);
    cr_expect_eq(range_of(0xCFC)->width, 4);
    cr_expect_eq(range_of(0x501)->write_class, CLASS_POSTED);
    cr_expect_not_null(range_of(0x1F0)->run);
    cr_expect_eq(range_of(0x1F7)->read_class, CLASS_PURE);
    cr_expect_eq(range_of(0x376)->base_offset, PIIX_IDE_OFF_CONTROL);
    cr_expect_null(range_of(0x376)->run);
    cr_expect_eq(range_of(0xFFA8)->base_offset, PIIX_IDE_OFF_BMDMA);
    cr_expect_eq(range_of(0x501)->width, 2);
    cr_expect_eq(range_of(0x3F8)->latency_ticks, ISA_TICKS);
}

Test(bus, unclaimed_ports_float_high, .init = setup, .fini = teardown)
{
    static const uint16_t free_ports[] = {0x2F8, 0x2FA, 0x2E8, 0x3D4, 0x3D5, 0x3F4,
                                          0x3F7, 0x1EF, 0x1F8, 0x503, 0x10,  0xFFFF};

    for (unsigned i = 0; i < sizeof(free_ports) / sizeof(free_ports[0]); i++) {
        cr_expect_eq(rig.bus.map.port_range[free_ports[i]], 0, "port %x", free_ports[i]);
        cr_expect_eq(range_of(free_ports[i])->read_class, CLASS_NONE);
    }
}

Test(bus, local_hooks_reach_the_8259, .init = setup, .fini = teardown)
{
    const struct bus_range *r = range_of(0x21);

    cr_expect_eq(r->first, 0x20);
    r->write(r->state, r->base_offset + 1, 1, 0x5A, 0);
    cr_expect_eq(r->read(r->state, r->base_offset + 1, 1, 0), 0x5A);
    cr_expect_eq(rig.pc.pic.pic[0].imr, 0x5A);
}

Test(bus, pure_read_agrees_with_read, .init = setup, .fini = teardown)
{
    const struct bus_range *r = range_of(0x3FD);

    cr_expect_eq(r->pure_read(r->state, r->base_offset + 2, 1, 8), rig_in(&rig, 0x3FD));
}

static void program_pit(uint16_t count)
{
    rig_out(&rig, 0x43, 0x34); /* counter 0, both bytes, mode 2 */
    rig_out(&rig, 0x40, (uint8_t)count);
    rig_out(&rig, 0x40, (uint8_t)(count >> 8));
}

Test(bus, timer_events_raise_irq0_at_their_own_tick, .init = setup, .fini = teardown)
{
    program_pit(1193);
    rig.neffects = 0;
    uint64_t start = rig.tick;
    rig_run_to(&rig, start + 125000 * 10); /* 10 ms */
    cr_expect_geq(irq_effects(0), 18);
    cr_expect_leq(irq_effects(0), 22);
    for (unsigned i = 1; i < rig.neffects; i++) {
        cr_expect_geq(rig.effect[i].tick, rig.effect[i - 1].tick);
        cr_expect_neq(rig.effect[i].value, rig.effect[i - 1].value, "levels alternate");
    }
}

Test(bus, steps_between_events_change_nothing, .init = setup, .fini = teardown)
{
    static struct rig other;

    program_pit(1193);
    other = rig;
    other.bus.cfg.ctx = &other;
    other.bus.cfg.state = &other.pc;
    rig_run_to(&rig, 500000);
    for (uint64_t t = other.tick; t < 500000; t += 777) {
        uint64_t next = bus_next_event(&other.bus);
        for (; next <= t; next = bus_next_event(&other.bus))
            bus_step(&other.bus, next);
        bus_step(&other.bus, t); /* a quantum boundary */
    }
    rig_run_to(&other, 500000);
    cr_expect_eq(memcmp(&rig.pc, &other.pc, sizeof(rig.pc)), 0);
    cr_expect_eq(memcmp(&rig.bus.st, &other.bus.st, sizeof(rig.bus.st)), 0);
    cr_expect_eq(rig.neffects, other.neffects);
    cr_expect_eq(memcmp(rig.effect, other.effect, sizeof(rig.effect[0]) * rig.neffects), 0);
}

Test(bus, access_effects_wait_for_the_latency, .init = setup, .fini = teardown)
{
    rig_out(&rig, 0x3FC, 0x08); /* OUT2 */
    rig.neffects = 0;
    uint64_t t = rig.tick;
    rig_out(&rig, 0x3F9, 0x02); /* THRE interrupt: at once, THR is empty */
    cr_assert_eq(rig.neffects, 1);
    cr_expect_eq(rig.effect[0].kind, EFFECT_IRQ);
    cr_expect_eq(rig.effect[0].line, 4);
    cr_expect_eq(rig.effect[0].value, 1);
    cr_expect_eq(rig.effect[0].tick, t + ISA_TICKS);
}

static void raise_thre(uint16_t base)
{
    rig_out(&rig, (uint16_t)(base + 4), 0x08);
    rig_out(&rig, (uint16_t)(base + 1), 0x02);
}

static void lower_thre(uint16_t base)
{
    rig_out(&rig, (uint16_t)(base + 1), 0x00);
}

Test(bus, shared_line_is_the_or_of_its_drivers, .init = setup, .fini = teardown)
{
    raise_thre(0x3F8);
    raise_thre(0x3E8);
    cr_expect_eq(irq_effects(4), 1, "already high");
    lower_thre(0x3F8);
    cr_expect_eq(irq_effects(4), 1, "the other still drives it");
    lower_thre(0x3E8);
    cr_expect_eq(irq_effects(4), 2);
    cr_expect_eq(last_effect()->value, 0);
    for (unsigned i = 0; i < rig.neffects; i++)
        cr_expect_eq(rig.effect[i].dev, PC_DEV_COM1, "one tie breaker for the line");
}

Test(bus, a_line_never_overtakes_itself, .init = setup, .fini = teardown)
{
    uint64_t last = 0;

    rig_out(&rig, 0x3FC, 0x08);
    for (unsigned i = 0; i < 40; i++) {
        rig_access(&rig, 0x3F9, i & 1 ? 0 : 2, 1, true);
        rig.tick += i % 7;
        rig_run_to(&rig, rig.tick + 1);
    }
    for (unsigned i = 0; i < rig.neffects; i++) {
        cr_expect_geq(rig.effect[i].tick, last);
        last = rig.effect[i].tick;
    }
    cr_expect_gt(rig.neffects, 2);
}

Test(bus, requests_become_effects, .init = setup, .fini = teardown)
{
    rig_out(&rig, 0x64, 0xFE);
    cr_expect_eq(last_effect()->kind, EFFECT_RESET);
    cr_expect_eq(last_effect()->dev, PC_DEV_KBC);
    uint64_t t = rig.tick;
    rig_access(&rig, 0x501, 0x10, 2, true);
    cr_expect_eq(last_effect()->kind, EFFECT_EXIT);
    cr_expect_eq(last_effect()->value, 0x21);
    cr_expect_eq(last_effect()->tick, t + ISA_TICKS);
    rig.tick = t + 200;
    for (const char *p = "Shutdown"; *p; p++)
        rig_out(&rig, 0x8900, (uint8_t)*p);
    cr_expect_eq(last_effect()->kind, EFFECT_POWEROFF);
}

/* One button that waits. */
static uint8_t button;

static uint32_t button_take(void *ctx, uint8_t *entry, uint32_t room)
{
    uint32_t n = button != 0;

    *entry = button;
    button = 0;
    return n;
}

static const struct backend_class panel_class = {.input_take = button_take};

static void press(enum port_button b)
{
    rig.bus.cfg.backend[PC_PORT_PANEL].class = &panel_class;
    rig.neffects = 0;
    button = (uint8_t)b;
    rig.tick += 1000;
    bus_step(&rig.bus, rig.tick);
    rig.tick += 1000;
}

Test(bus, buttons_of_the_case_become_effects, .init = setup, .fini = teardown)
{
    press(PORT_BUTTON_RESET);
    cr_expect_eq(rig.neffects, 1);
    cr_expect_eq(last_effect()->kind, EFFECT_RESET);
    cr_expect_eq(last_effect()->tick, rig.tick - 1000, "the tick of the press");
    press(PORT_BUTTON_NMI);
    cr_expect_eq(rig.neffects, 1);
    cr_expect_eq(last_effect()->kind, EFFECT_NMI);
    cr_expect_eq(last_effect()->tick, rig.tick - 1000);
    rig_out(&rig, 0x70, 0x8F); /* NMI is masked */
    press(PORT_BUTTON_NMI);
    cr_expect_eq(rig.neffects, 0);
    rig_out(&rig, 0x70, 0x0F);
    press(PORT_BUTTON_NMI);
    cr_expect_eq(rig.neffects, 1, "open again; the one before is lost");
    press(PORT_BUTTON_POWER);
    cr_expect_eq(rig.neffects, 0, "no SCI before the guest wants it");
    press((enum port_button)77);
    cr_expect_eq(rig.neffects, 0);
}

Test(bus, reset_silences_chips_and_tells_every_line, .init = setup, .fini = teardown)
{
    program_pit(1193);
    raise_thre(0x3F8);
    rig_run_to(&rig, 400000);
    rig.neffects = 0;
    uint64_t cmos = rig.pc.rtc.ram[CMOS_EXT_MEM_HI];
    struct access a = {.tick = rig.tick,
                       .addr = BUS_RESET_ADDR,
                       .range = rig.bus.reset_range,
                       .size = 4,
                       .kind = ACCESS_MMIO_WRITE};
    bus_access(&rig.bus, &a);
    for (unsigned line = 0; line < 16; line++)
        cr_expect_geq(irq_effects(line), 1);
    for (unsigned i = 0; i < rig.neffects; i++)
        cr_expect_gt(rig.effect[i].tick, rig.tick);
    cr_expect_eq(rig.bus.st.lines >> 4 & 1, 0, "the UART's line is low");
    cr_expect_eq(rig.pc.com[0].mcr, 0);
    cr_expect_eq(rig.pc.rtc.ram[CMOS_EXT_MEM_HI], cmos, "battery");
    cr_expect_gt(bus_next_event(&rig.bus), rig.tick);
}

Test(bus, list_of_chips_covers_every_byte_once, .init = setup, .fini = teardown)
{
    struct state_part c;
    unsigned n = 0;
    bool board = false, queue = false;

    for (; bus_part(&rig.bus, n, &c); n++) {
        if (strcmp(c.name, "board") == 0)
            cr_expect_eq(fields_uncovered(c.fields, c.nfields, sizeof rig.bus.st, 1), sizeof rig.bus.st);
        if (c.state == rig.bus.queue[2])
            cr_expect_eq(fields_uncovered(c.fields, c.nfields, sizeof(struct bus_queue), 1),
                         sizeof(struct bus_queue));
        if (strcmp(c.name, "keys0") == 0)
            cr_expect_eq(fields_uncovered(c.fields, c.nfields, sizeof(struct bus_small_queue), 1),
                         sizeof(struct bus_small_queue));
        board |= strcmp(c.name, "board") == 0;
        queue |= strcmp(c.name, "serial2") == 0;
        cr_expect_neq(strcmp(c.name, "com2"), 0, "not fitted");
    }
    cr_expect(board && queue);
    /* pic pit rtc kbc pm pci misc apic ioapic ide0 ide1 dma, com1 com3, board, windows, queues: two streams,
     * keys, the mouse, the panel */
    cr_expect_eq(n, 12 + 2 + 1 + 1 + 5);
}

Test(bus, debug_exit_ports_are_checked)
{
    struct bus_config c;
    static const struct {
        uint16_t base;
        uint8_t size;
        bool good;
    } cases[] = {{0x501, 2, true},  {0xF4, 4, true},  {0xF4, 3, false},   {0x3F8, 1, false},
                 {0x3F7, 2, false}, {0x20, 1, false}, {0xFFFF, 2, false}, {0xFFFC, 4, true}};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_config(&rig, &c);
        rig.cfg.debug_exit_iobase = cases[i].base;
        rig.cfg.debug_exit_iosize = cases[i].size;
        cr_expect_eq(rig_init(&rig, &c), cases[i].good, "case %u", i);
    }
    teardown();
}

Test(bus, hostile_accesses_are_harmless, .init = setup, .fini = teardown)
{
    uint64_t x = 88172645463325252u;

    for (unsigned i = 0; i < 200000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint16_t port = (uint16_t)(x >> 8);
        const struct bus_range *r;
        if (i % 4)
            port = (uint16_t)(0x3F8 + (x >> 20) % 8);
        while (!rig.bus.map.port_range[port] || range_of(port)->read_class == CLASS_LOCAL)
            port++;
        r = range_of(port);
        unsigned size = port + 1u <= r->last && r->width > 1 && (x >> 40 & 1) ? 2 : 1;
        rig_access(&rig, port, (uint32_t)(x >> 30), size, x >> 41 & 1);
        uint64_t before = rig.tick;
        rig_run_to(&rig, rig.tick + (x >> 50) % 300);
        cr_assert_gt(bus_next_event(&rig.bus), before);
        rig.neffects = 0;
    }
}
