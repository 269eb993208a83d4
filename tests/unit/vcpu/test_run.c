/* The run loop: ticks, limits, interrupts, halts, debug traps; and that none depends on how a run is cut. */
#include "syncq/link.h"
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#define LEAVE " mov $0xf4, %dx\n out %eax, %dx\n 99: jmp 99b\n"

static struct harness h;

static void start(const struct harness_options *o, const uint8_t *code, const uint8_t *end)
{
    harness_init(&h, o);
    harness_load32(&h, code, end);
    harness_tables(&h);
}
#define START(name, ...) start(&(struct harness_options){__VA_ARGS__}, name, name##_end)

/* --- exits and ticks --- */

GUEST_CODE(count_to_ten, "mov $10, %ecx\n 1: dec %ecx\n jnz 1b\n mov $42, %eax\n" LEAVE);

Test(run, counts_every_instruction)
{
    START(count_to_ten);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(vcpu_exit_value(h.cpu), 42);
    /* 1 + 20 + 2 before OUT at tick 23; its effect applies at t + L. */
    cr_assert_eq(vcpu_tick(h.cpu), 23 + 100);
    harness_free(&h);
}

Test(run, stops_exactly_at_the_tick_limit)
{
    for (uint64_t limit = 1; limit < 40; limit++) {
        START(count_to_ten, .tick_limit = limit);
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
        cr_assert_eq(vcpu_tick(h.cpu), limit);
        uint32_t ecx = limit < 1 ? 0 : 10 - (uint32_t)(limit / 2);
        if (limit <= 21)
            cr_assert_eq(vcpu_state(h.cpu)->slot[IR_ECX], ecx, "limit %lu", (unsigned long)limit);
        harness_free(&h);
    }
}

GUEST_CODE(spin, "1: inc %eax\n jmp 1b\n");

Test(run, calls_digest_at_every_multiple)
{
    START(spin, .digest_every = 7, .tick_limit = 36);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    cr_assert_eq(h.digests, 5);
    for (unsigned i = 0; i < 5; i++)
        cr_assert_eq(h.digest_ticks[i], 7 * (i + 1));
    harness_free(&h);
}

GUEST_CODE(halt, "hlt\n");

Test(run, halted_for_ever)
{
    START(halt);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_assert_eq(vcpu_tick(h.cpu), 1);
    harness_free(&h);
}

Test(run, triple_fault)
{
    START(spin);
    vcpu_state(h.cpu)->idtr.limit = 0;
    harness_put(&h, HARNESS_CODE, "\x0f\x0b", 2); /* UD2 */
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TRIPLE_FAULT);
    cr_assert_eq(vcpu_tick(h.cpu), 0);
    harness_free(&h);
}

/* --- interrupts --- */

/* The handler stores the virtual time of its first instruction. */
GUEST_CODE(irq_handler, "push %eax\n in $0x20, %eax\n mov %eax, 0x3000\n incl 0x3004\n pop %eax\n iret\n");
#define HANDLER_AT 0x12000u

static void install_irq_handler(void)
{
    harness_put(&h, HANDLER_AT, irq_handler, (size_t)(irq_handler_end - irq_handler));
    harness_gate(&h, 0x20, HANDLER_AT, 0);
    vcpu_state(h.cpu)->eflags |= FLAG_IF;
}

Test(run, interrupt_at_its_exact_tick)
{
    START(spin, .timer_ticks = 1000, .tick_limit = 1500);
    install_irq_handler();
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    cr_assert_eq(harness_peek32(&h, 0x3004), 1);
    cr_assert_eq(harness_peek32(&h, 0x3000), 1001 << 3); /* IN is the handler's second instruction */
    harness_free(&h);
}

GUEST_CODE(halt_loop, "1: hlt\n inc %ebx\n cmp $5, %ebx\n jne 1b\n" LEAVE);

Test(run, halt_warps_to_the_timer)
{
    START(halt_loop, .timer_ticks = 100000);
    install_irq_handler();
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    struct vcpu_stats st;
    vcpu_get_stats(h.cpu, &st);
    cr_assert_gt(vcpu_tick(h.cpu), 500000);
    cr_assert_lt(st.icount, 300);
    cr_assert_eq(st.icount + st.idle_ticks, vcpu_tick(h.cpu));
    cr_assert_eq(harness_peek32(&h, 0x3004), 5);
    harness_free(&h);
}

Test(run, halt_warps_stop_at_digest_points)
{
    START(halt_loop, .timer_ticks = 1000, .digest_every = 300, .tick_limit = 3000);
    install_irq_handler();
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    cr_assert_eq(h.digests, 10);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(h.digest_ticks[i], 300 * (i + 1));
    harness_free(&h);
}

/* A REP resumed by IRET: RF is 1 between iterations, 0 behind the last, at every tick, however it is cut. */
GUEST_CODE(rep_resumed, "mov $6, %ecx\n mov $0x9000, %edi\n pushf\n push %cs\n push $0x10012\n iret\n"
                        " rep stosb\n inc %ebx\n" LEAVE);

Test(run, rf_between_iterations)
{
    START(rep_resumed);
    uint32_t rep = 0;
    for (const uint8_t *p = rep_resumed; p + 1 < rep_resumed_end; p++)
        rep = p[0] == 0xf3 && p[1] == 0xaa ? (uint32_t)(p - rep_resumed) : rep;
    cr_assert_eq(rep, 0x12, "the code's own address is right");
    harness_free(&h);
    for (unsigned limit = 1; limit < 16; limit++) {
        static const struct harness_options how[] = {{.quantum_ticks = 0},
                                                     {.quantum_ticks = 1},
                                                     {.quantum_ticks = 3},
                                                     {.single_tb = true},
                                                     {.digest_every = 1},
                                                     {.translator = TRANSLATOR_EAGER},
                                                     {.translator = TRANSLATOR_EAGER, .quantum_ticks = 2}};
        for (unsigned i = 0; i < sizeof how / sizeof how[0]; i++) {
            struct harness_options o = how[i];
            o.tick_limit = limit;
            start(&o, rep_resumed, rep_resumed_end);
            vcpu_run(h.cpu);
            bool inside = vcpu_state(h.cpu)->eip == HARNESS_CODE + rep && limit > 6;
            cr_assert_eq(vcpu_rf(h.cpu), inside, "tick %u, run %u", limit, i);
            cr_assert_eq(inside, limit > 6 && limit < 12);
            harness_free(&h);
        }
    }
}

/* --- NMI, INIT, SIPI --- */

#define PINS(value)   "mov $" #value ", %eax\n out %eax, $0x34\n"
#define NMI_AT        0x13000u
#define TEXT_OF(name) name, (size_t)(name##_end - name)

/* The handler notes how many there were, the interrupted eip and the flags it runs with. */
GUEST_CODE(nmi_handler,
           "push %eax\n incl 0x3010\n mov 4(%esp), %eax\n mov %eax, 0x3014\n pushf\n popl 0x3018\n"
           " pop %eax\n iret\n");
/* NMI while IF is 0. */
GUEST_CODE(nmi_simple, PINS(1) " nop\n hlt\n");
/* A handler that raises two more NMIs before its IRET: one of them waits, the other is the same. */
GUEST_CODE(nmi_again, "incl 0x3010\n cmpl $3, 0x3010\n ja 1f\n" PINS(1)
                          PINS(1) " incl 0x301c\n mov 0x3010, %ebx\n"
                                  " mov 0x301c, %ecx\n cmp %ebx, %ecx\n jne 1f\n iret\n1: hlt\n");
GUEST_CODE(nmi_and_irq, "sti\n" PINS(1) " nop\n nop\n hlt\n");
GUEST_CODE(nmi_halt,
           PINS(0x10000) " mov $8000000, %eax\n out %eax, $0x30\n 1: hlt\n inc %ebx\n cmp $5, %ebx\n"
                         " jne 1b\n" LEAVE);

static void start_nmi(const struct harness_options *o, const uint8_t *code, const uint8_t *end,
                      const uint8_t *handler, size_t bytes)
{
    start(o, code, end);
    harness_put(&h, NMI_AT, handler, bytes);
    harness_gate(&h, EXC_NMI, NMI_AT, 0);
}

static const enum translator_mode both_engines[] = {TRANSLATOR_INTERP, TRANSLATOR_EAGER};

Test(run, nmi_is_not_masked_by_if)
{
    for (unsigned i = 0; i < 2; i++) {
        struct harness_options o = {.translator = both_engines[i]};
        start_nmi(&o, nmi_simple, nmi_simple_end, TEXT_OF(nmi_handler));
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
        cr_expect_eq(harness_peek32(&h, 0x3010), 1);
        cr_expect_eq(harness_peek32(&h, 0x3014), HARNESS_CODE + 7, "behind OUT");
        cr_expect_eq(harness_peek32(&h, 0x3018) & FLAG_IF, 0);
        harness_free(&h);
    }
}

/* SDM 3A 6.7.1: blocked until IRET, and one waits. */
Test(run, nmi_waits_for_iret)
{
    for (unsigned i = 0; i < 2; i++) {
        struct harness_options o = {.translator = both_engines[i]};
        start_nmi(&o, nmi_simple, nmi_simple_end, TEXT_OF(nmi_again));
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
        cr_expect_eq(harness_peek32(&h, 0x3010), 4, "each handler's two are one");
        cr_expect_eq(harness_peek32(&h, 0x301c), 3, "never within a handler");
        cr_expect(h.cpu->nmi_blocked);
        harness_free(&h);
    }
}

/* SDM 3A 6.8.3: behind MOV SS nothing comes before the next instruction has retired. The pins change while
 * the vCPU stands in the shadow. */
Test(run, nmi_in_the_shadows)
{
    static const struct {
        enum int_shadow shadow;
        uint32_t eip; /* where it is delivered, from the code's start */
    } rows[] = {{0, 0}, {SHADOW_INTERRUPTS, 0}, {SHADOW_STACK, 1}};
    for (unsigned i = 0; i < 3; i++) {
        start_nmi(&(struct harness_options){0}, spin, spin_end, TEXT_OF(nmi_handler));
        vcpu_state(h.cpu)->int_shadow = (uint8_t)rows[i].shadow;
        h.pins = VCPU_PIN_NMI;
        vcpu_until(h.cpu, &(struct vcpu_until){.tick = 10});
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
        cr_expect_eq(harness_peek32(&h, 0x3014), HARNESS_CODE + rows[i].eip, "row %u", i);
        harness_free(&h);
    }
}

/* SDM 3A table 6-2: an NMI is taken first, then the interrupt, before the handler's first instruction if IF
 * lets it. */
Test(run, nmi_before_an_interrupt)
{
    start_nmi(&(struct harness_options){0}, nmi_and_irq, nmi_and_irq_end, TEXT_OF(nmi_handler));
    install_irq_handler();
    vcpu_state(h.cpu)->eflags &= ~(uint32_t)FLAG_IF;
    h.irq_pending = 1;
    vcpu_state(h.cpu)->eflags |= FLAG_IF;
    h.pins = VCPU_PIN_NMI;
    vcpu_run(h.cpu);
    cr_expect_eq(harness_peek32(&h, 0x3010), 2);
    cr_expect_eq(harness_peek32(&h, 0x3004), 1);
    cr_expect_geq(harness_peek32(&h, 0x3000), 8 << 3, "the NMI's handler was first");
    harness_free(&h);
}

Test(run, nmi_ends_a_halt_whatever_if_is)
{
    for (unsigned i = 0; i < 2; i++) {
        struct harness_options o = {.translator = both_engines[i]};
        start_nmi(&o, nmi_halt, nmi_halt_end, TEXT_OF(nmi_handler));
        h.pins_may_come = VCPU_PIN_NMI;
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_expect_eq(harness_peek32(&h, 0x3010), 5);
        cr_expect_geq(vcpu_tick(h.cpu), 5000000);
        harness_free(&h);
    }
}

/* Blocked, it ends no halt: nothing can. */
Test(run, nmi_that_is_blocked_ends_no_halt)
{
    start_nmi(&(struct harness_options){0}, nmi_halt, nmi_halt_end, TEXT_OF(halt));
    h.pins_may_come = VCPU_PIN_NMI;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_expect_eq(vcpu_tick(h.cpu), 1000000 + 3 + 1);
    harness_free(&h);
}

/* Nothing depends on where a run is cut, nor on the engine. */
GUEST_CODE(nmi_storm,
           PINS(0x10000) " mov $300, %eax\n out %eax, $0x30\n mov $2000, %ecx\n"
                         "1: imul $1103515245, %edx\n add $12345, %edx\n mov %ds, %ebx\n mov %ebx, %ss\n"
                         " xor %edx, 0x3100(,%ecx,4)\n testb $31, %cl\n jnz 2f\n hlt\n"
                         "2: push %ecx\n mov $20, %ecx\n mov $0x9000, %edi\n rep stosb\n pop %ecx\n"
                         " dec %ecx\n jnz 1b\n in $0x30, %eax\n" LEAVE);

Test(run, nmis_do_not_depend_on_cuts_or_engines, .timeout = 60)
{
    uint64_t want = 0;
    static const struct harness_options how[] = {{.quantum_ticks = 0},
                                                 {.quantum_ticks = 7},
                                                 {.single_tb = true},
                                                 {.digest_every = 11},
                                                 {.translator = TRANSLATOR_EAGER},
                                                 {.translator = TRANSLATOR_EAGER, .quantum_ticks = 13},
                                                 {.translator = TRANSLATOR_EAGER, .single_tb = true}};
    for (unsigned i = 0; i < sizeof how / sizeof how[0]; i++) {
        start_nmi(&how[i], nmi_storm, nmi_storm_end, TEXT_OF(nmi_handler));
        h.pins_may_come = VCPU_PIN_NMI;
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_assert_gt(harness_peek32(&h, 0x3010), 1000);
        uint64_t got = harness_fingerprint(&h);
        want = i == 0 ? got : want;
        cr_expect_eq(got, want, "run %u", i);
        harness_free(&h);
    }
}

/* SDM 3A table 9-1, column INIT. */
Test(run, init_leaves_what_the_table_says)
{
    START(spin);
    struct guest_state *g = vcpu_state(h.cpu);
    g->x87.cw = 0x27f;
    g->sse.mxcsr = 0x1fa0;
    g->sysenter_eip = 5;
    g->cr0 |= CR0_CD;
    g->cr2 = g->dr[0] = 7;
    g->msr.mtrr_default = 0xc06;
    g->pdptr[1] = 0x1001;
    h.pins = VCPU_PIN_INIT;
    vcpu_until(h.cpu, &(struct vcpu_until){.tick = 0});
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    vcpu_until(h.cpu, &(struct vcpu_until){.tick = 1});
    vcpu_run(h.cpu); /* ones at the reset vector: #UD, for which there is no handler */
    cr_expect_eq(g->x87.cw, 0x27f);
    cr_expect_eq(g->sse.mxcsr, 0x1fa0);
    cr_expect_eq(g->sysenter_eip, 5);
    cr_expect_eq(g->cr0, CR0_ET | CR0_CD);
    cr_expect_eq(g->cr2 | g->dr[0], 0);
    cr_expect_eq(g->msr.mtrr_default, 0xc06);
    cr_expect_eq(g->pdptr[1], 0);
    cr_expect_eq(g->slot[IR_EDX], 0x6e8, "family 6 model 14 stepping 8");
    harness_free(&h);
}

GUEST_CODE16(ap_code, "incl %cs:0x100\n 1: jmp 1b\n");

Test(run, sipi_starts_a_processor_that_waits)
{
    START(spin);
    harness_put(&h, 0x5000, ap_code, (size_t)(ap_code_end - ap_code));
    h.pins = VCPU_PIN_INIT | VCPU_PIN_WAIT;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED);
    cr_expect_eq(vcpu_state(h.cpu)->halted, HALTED_SIPI);
    h.pins = VCPU_PIN_NMI;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_HALTED, "an NMI waits until then");
    h.pins = VCPU_PIN_SIPI | 0x0500;
    harness_poke32(&h, 2 * 4, 0x05000000 | 3); /* IVT: NMI to 0500:0003, the loop */
    vcpu_until(h.cpu, &(struct vcpu_until){.tick = vcpu_tick(h.cpu) + 5});
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    cr_expect_eq(vcpu_state(h.cpu)->seg[SEG_CS].base, 0x5000);
    cr_expect(h.cpu->nmi_blocked);
    harness_free(&h);
}

/* --- a timer on the vCPU's side --- */

#define LOCAL_START(period) "mov $" #period ", %eax\n out %eax, $0x30\n"
GUEST_CODE(local_spin, LOCAL_START(8000) "1: inc %ebx\n jmp 1b\n");
GUEST_CODE(local_halt, LOCAL_START(8000000) "1: hlt\n inc %ebx\n cmp $5, %ebx\n jne 1b\n" LEAVE);
GUEST_CODE(local_fast, LOCAL_START(3) " mov $1000, %ecx\n 1: dec %ecx\n jnz 1b\n in $0x30, %eax\n" LEAVE);
/* Restarts the timer with ever other periods, in a loop that also waits for devices. */
GUEST_CODE(local_mixed, "mov $3000, %ecx\n"
                        "1: imul $1103515245, %edx\n add $12345, %edx\n mov %edx, %eax\n shr $20, %eax\n"
                        " testb $7, %cl\n jnz 2f\n lea 900(%eax), %eax\n out %eax, $0x30\n"
                        "2: add %eax, 0x3100(,%eax,2)\n testb $63, %cl\n jnz 3f\n in $0x10, %eax\n hlt\n"
                        "3: dec %ecx\n jnz 1b\n in $0x30, %eax\n" LEAVE);

static void install_local_handler(void)
{
    install_irq_handler();
    harness_gate(&h, 0x21, HANDLER_AT, 0);
}

Test(run, local_event_at_its_exact_tick)
{
    for (unsigned engine = 0; engine < 2; engine++) {
        START(local_spin, .tick_limit = 1500, .translator = engine ? TRANSLATOR_EAGER : TRANSLATOR_INTERP);
        install_local_handler();
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
        cr_expect_eq(harness_peek32(&h, 0x3004), 1);
        cr_expect_eq(harness_peek32(&h, 0x3000),
                     1002 << 3); /* started at tick 1; IN is the second instruction */
        harness_free(&h);
    }
}

/* No device has an event: that alone must not end the halt, nor must the link pace past the timer. */
Test(run, halt_warps_to_a_local_event)
{
    START(local_halt);
    install_local_handler();
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    struct vcpu_stats st;
    vcpu_get_stats(h.cpu, &st);
    cr_expect_eq(h.local_count, 5);
    cr_expect_gt(vcpu_tick(h.cpu), 5000000);
    cr_expect_lt(st.icount, 300);
    harness_free(&h);
}

/* At shift 3 a tick is 8 ns. IN is at tick 2003 and sees what ended at 16024 ns or before. */
Test(run, several_local_events_within_a_tick)
{
    START(local_fast);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_expect_eq(vcpu_exit_value(h.cpu), (2003 * 8 - 1 * 8) / 3);
    harness_free(&h);
}

static uint64_t run_local(const struct harness_options *o)
{
    start(o, local_mixed, local_mixed_end);
    install_local_handler();
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_gt(harness_peek32(&h, 0x3004), 50);
    uint64_t fingerprint = harness_fingerprint(&h) + vcpu_exit_value(h.cpu);
    harness_free(&h);
    return fingerprint;
}

Test(run, local_events_do_not_depend_on_cuts_or_engines, .timeout = 60)
{
    uint64_t expect = run_local(&(struct harness_options){.timer_ticks = 997});
    static const uint64_t quanta[] = {1, 7, 100, 5000};

    for (unsigned engine = 0; engine < 2; engine++)
        for (unsigned i = 0; i < 4; i++) {
            struct harness_options o = {.timer_ticks = 997,
                                        .quantum_ticks = quanta[i],
                                        .single_tb = i == 2,
                                        .digest_every = i == 3 ? 61 : 0,
                                        .translator = engine ? TRANSLATOR_EAGER : TRANSLATOR_INTERP};
            cr_expect_eq(run_local(&o), expect, "engine %u, quantum %lu", engine, (unsigned long)quanta[i]);
        }
}

/* Where was the input taken in, how many digest points saw it, and what came of it? */
struct input_result {
    uint64_t taken;
    unsigned inputs;
    uint64_t fingerprint;
};

static struct input_result run_input(uint64_t tick, bool replayed, uint64_t digest_every)
{
    START(halt_loop, .timer_ticks = 100, .digest_every = digest_every, .tick_limit = 480);
    install_irq_handler();
    h.input_tick = tick;
    h.input_replayed = replayed;
    vcpu_run(h.cpu);
    struct input_result r = {h.input_taken, h.digest_inputs, harness_fingerprint(&h)};
    harness_free(&h);
    return r;
}

Test(run, input_belongs_before_the_digest_of_its_tick)
{
    static const uint64_t every[] = {0, 1, 2, 7, 20, 100};

    for (unsigned i = 0; i < sizeof every / sizeof every[0]; i++)
        for (uint64_t tick = 1; tick < 450; tick += test_every()) {
            struct input_result r = run_input(tick, false, every[i]),
                                again = run_input(r.taken, true, every[i]);
            cr_assert(r.taken >= tick, "input at %u was taken at %u", (unsigned)tick, (unsigned)r.taken);
            cr_assert_eq(r.taken, again.taken);
            cr_assert_eq(r.inputs, again.inputs, "input at %u, a digest every %u", (unsigned)tick,
                         (unsigned)every[i]);
            cr_assert_eq(r.fingerprint, again.fingerprint);
        }
}

/* STI's shadow: the instruction after it retires before the interrupt. */
GUEST_CODE(sti_shadow,
           "mov $3000, %ecx\n 1: dec %ecx\n jnz 1b\n sti\n inc %ebx\n inc %ebx\n inc %ebx\n" LEAVE);
GUEST_CODE(shadow_handler, "mov %ebx, 0x3000\n mov (%esp), %eax\n mov %eax, 0x3004\n iret\n");

Test(run, sti_holds_off_one_instruction)
{
    START(sti_shadow, .timer_ticks = 1000);
    install_irq_handler();
    harness_put(&h, HANDLER_AT, shadow_handler, (size_t)(shadow_handler_end - shadow_handler));
    vcpu_state(h.cpu)->eflags &= ~(uint32_t)FLAG_IF;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(harness_peek32(&h, 0x3000), 1);
    harness_free(&h);
}

/* --- debug traps --- */

/* Counts #DB, adds up the return addresses, and the instruction that set TF is not trapped. */
GUEST_CODE(
    step_code,
    "pushf\n orl $0x100, (%esp)\n popf\n nop\n inc %eax\n pushf\n andl $~0x100, (%esp)\n popf\n nop\n" LEAVE);
GUEST_CODE(db_handler,
           "incl 0x3000\n push %eax\n mov 4(%esp), %eax\n mov %eax, 0x3004\n mov %dr6, %eax\n"
           " mov %eax, 0x3008\n xor %eax, %eax\n mov %eax, %dr6\n pop %eax\n orl $0x10000, 8(%esp)\n iret\n");

static void install_db_handler(void)
{
    harness_put(&h, HANDLER_AT, db_handler, (size_t)(db_handler_end - db_handler));
    harness_gate(&h, EXC_DB, HANDLER_AT, 0);
}

Test(run, single_step_traps)
{
    START(step_code);
    install_db_handler();
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    /* nop, inc, pushf, and, popf: the last still traps. */
    cr_assert_eq(harness_peek32(&h, 0x3000), 5);
    cr_assert_eq(harness_peek32(&h, 0x3008) & 0x4000, 0x4000);
    harness_free(&h);
}

/* SDM 2B PUSH: a selector is stored by a 16-bit move, whatever the operand size. */
GUEST_CODE(push_selectors, "movl $0x12345678, 0x7ffc\n mov $0x8000, %esp\n push %ds\n" LEAVE);

Test(run, push_of_a_selector_keeps_the_slots_upper_half)
{
    START(push_selectors);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(harness_peek32(&h, 0x7ffc) >> 16, 0x1234);
    cr_assert_eq(harness_peek32(&h, 0x7ffc) & 0xffff, vcpu_state(h.cpu)->seg[SEG_DS].sel);
    cr_assert_eq(vcpu_state(h.cpu)->slot[IR_ESP], 0x7ffc);
    harness_free(&h);
}

/* 0: mov $5,%eax (5 bytes)  5: mov %eax,0x5000 (5)  a: inc %ebx (1)  b: mov 0x5000,%ecx (6) */
GUEST_CODE(watched, "mov $5, %eax\n mov %eax, 0x5000\n inc %ebx\n mov 0x5000, %ecx\n inc %ebx\n" LEAVE);

static void set_breakpoint(uint32_t lin_addr, uint32_t type, uint32_t len)
{
    struct guest_state *g = vcpu_state(h.cpu);
    g->dr[1] = lin_addr;
    g->dr[7] = 0x400 | 1u << 2 | (type | len << 2) << 20;
    vcpu_state_changed(h.cpu);
}

Test(run, execution_breakpoint)
{
    START(watched);
    install_db_handler();
    set_breakpoint(HARNESS_CODE + 10, 0, 0);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(harness_peek32(&h, 0x3000), 1); /* the handler sets RF: no second hit */
    cr_assert_eq(harness_peek32(&h, 0x3004), HARNESS_CODE + 10);
    cr_assert_eq(harness_peek32(&h, 0x3008) & 0xf, 2);
    cr_assert_eq(vcpu_state(h.cpu)->slot[IR_EBX], 2);
    harness_free(&h);
}

Test(run, write_breakpoint)
{
    START(watched);
    install_db_handler();
    set_breakpoint(0x5000, 1, 3);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(harness_peek32(&h, 0x3000), 1);
    cr_assert_eq(harness_peek32(&h, 0x3004), HARNESS_CODE + 10);
    cr_assert_eq(harness_peek32(&h, 0x3008) & 0xf, 2);
    harness_free(&h);
}

Test(run, access_breakpoint_hits_reads_too)
{
    START(watched);
    install_db_handler();
    set_breakpoint(0x5001, 3, 0);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(harness_peek32(&h, 0x3000), 2);
    harness_free(&h);
}

Test(run, neighbouring_bytes_do_not_hit)
{
    START(watched);
    install_db_handler();
    set_breakpoint(0x5004, 3, 3);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(harness_peek32(&h, 0x3000), 0);
    harness_free(&h);
}

/* --- devices --- */

GUEST_CODE(
    devices,
    "mov $0x61, %al\n out %al, $0xe9\n in $0x10, %eax\n mov %eax, %ebx\n in $0x10, %eax\n add %eax, %ebx\n"
    " movl $77, 0xf0000010\n addl $3, 0xf0000010\n mov 0xf0000010, %esi\n in $0x20, %eax\n"
    " mov %eax, %edi\n in $0x99, %eax\n mov %eax, %ebp\n" LEAVE);

Test(run, accesses_reach_their_devices)
{
    START(devices);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    const uint32_t *s = vcpu_state(h.cpu)->slot;
    cr_assert_eq(h.text_bytes, 1);
    cr_assert_eq(h.text[0], 0x61);
    cr_assert_eq(h.write_tick, 1);
    cr_assert_eq(s[IR_EBX], 3);
    cr_assert_eq(s[IR_ESI], 80);
    cr_assert_eq(s[IR_EDI], 9 << 3);
    cr_assert_eq(s[IR_EBP], 0xffffffff);
    harness_free(&h);
}

GUEST_CODE(outs, "mov $0x4000, %esi\n mov $5, %ecx\n mov $0xe9, %dx\n rep outsb\n" LEAVE);

Test(run, rep_outs_is_one_tick_each)
{
    START(outs);
    harness_put(&h, 0x4000, "hello", 5);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(h.text_bytes, 5);
    cr_assert_eq(memcmp(h.text, "hello", 5), 0);
    cr_assert_eq(h.write_tick, 3 + 4);
    harness_free(&h);
}

/* --- the same run, however it is cut --- */

/* Copies, fills and compares with REP, calls across pages, patches its own code, takes interrupts that note
 * the time, a page fault per round that the handler mends, MMIO read-modify-write, 16-bit and unaligned
 * stores. */
GUEST_CODE(mixed, "mov $40, %ebp\n"
                  "round:\n"
                  " mov $0x100000, %esi\n mov $0x100ff3, %edi\n mov $3000, %ecx\n rep movsb\n"
                  " mov $0x101003, %edi\n mov %ebp, %eax\n mov $900, %ecx\n rep stosl\n"
                  " std\n mov $0x102fff, %esi\n mov $0x102aaa, %edi\n mov $700, %ecx\n rep movsb\n cld\n"
                  " mov $0x100000, %esi\n mov $0x101000, %edi\n mov $500, %ecx\n repe cmpsb\n pushf\n popl "
                  "0x3100\n add %ecx, 0x3104\n"
                  " mov $0x101000, %edi\n mov $2000, %ecx\n mov $0x77, %al\n repne scasb\n add %ecx, 0x3108\n"
                  " mov %ebp, %eax\n call 1f\n"
                  "1: pop %edx\n add $(2f - 1b + 1), %edx\n mov %eax, (%edx)\n"
                  "2: mov $0x12345678, %ebx\n add %ebx, 0x100ffe(,%ebp,4)\n"
                  " addw $7, 0x100fff\n rolw $3, 0x100fff\n"
                  " addl $5, 0xf0000020\n adcl %ebx, 0xf0000024\n"
                  " mov %ebp, 0x200000\n" /* not present the first time of each round */
                  " mov $200, %ecx\n"
                  "3: lea (%ecx,%ebx), %edx\n xor %edx, 0x100100(,%ecx,4)\n test $5, %cl\n jz 4f\n bt %ecx, "
                  "%edx\n adc $0, %eax\n"
                  "4: dec %ecx\n jnz 3b\n"
                  " add %eax, 0x310c\n"
                  " sub $1, %ebp\n jnz round\n" LEAVE);
/* #PF: makes the page at 0x200000 present; the timer's handler takes it away again. */
GUEST_CODE(mend,
           "push %eax\n mov %cr2, %eax\n add %eax, 0x3110\n orl $1, 0x81800\n invlpg 0x200000\n pop %eax\n"
           " add $4, %esp\n iret\n");
GUEST_CODE(tick_handler,
           "push %eax\n in $0x20, %eax\n add %eax, 0x3000\n roll $5, 0x3000\n incl 0x3004\n"
           " mov 4(%esp), %eax\n add %eax, 0x3008\n andl $~1, 0x81800\n invlpg 0x200000\n pop %eax\n iret\n");

static uint64_t run_mixed(const struct harness_options *o)
{
    start(o, mixed, mixed_end);
    harness_put(&h, 0x12000, mend, (size_t)(mend_end - mend));
    harness_put(&h, 0x12800, tick_handler, (size_t)(tick_handler_end - tick_handler));
    for (unsigned i = 0; i < 0x3000; i++)
        harness_put(&h, 0x100000 + i, &(uint8_t){(uint8_t)(i * 7 >> 3)}, 1);
    harness_gate(&h, EXC_PF, 0x12000, 0);
    harness_gate(&h, 0x20, 0x12800, 0);
    harness_paging(&h, 3);
    vcpu_state(h.cpu)->eflags |= FLAG_IF;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_gt(harness_peek32(&h, 0x3004), 100);
    cr_assert_neq(harness_peek32(&h, 0x3110), 0);
    uint64_t fingerprint = harness_fingerprint(&h) ^ h.mmio[8] ^ (uint64_t)h.mmio[9] << 32;
    harness_free(&h);
    return fingerprint;
}

Test(run, cutting_a_run_changes_nothing, .timeout = 60)
{
    uint64_t expect = run_mixed(&(struct harness_options){.timer_ticks = 997});
    cr_assert_eq(run_mixed(&(struct harness_options){.timer_ticks = 997}), expect, "not even repeatable");
    cr_assert_eq(run_mixed(&(struct harness_options){.timer_ticks = 997, .single_tb = true}), expect,
                 "single blocks");
    for (uint64_t quantum = 1; quantum < 40; quantum += 3)
        cr_assert_eq(run_mixed(&(struct harness_options){.timer_ticks = 997, .quantum_ticks = quantum}),
                     expect, "quantum %lu", (unsigned long)quantum);
    cr_assert_eq(run_mixed(&(struct harness_options){.timer_ticks = 997, .digest_every = 53}), expect,
                 "digest points");
}

/* REP STOSB at 0x1000c writes a NOP over its own prefix. The next iteration would be fetched anew wherever a
 * run is cut, so it is everywhere: NOP, and one STOSB. */
GUEST_CODE(overwrites_itself,
           "mov $0x90, %al\n mov $0x1000c, %edi\n mov $20, %ecx\n rep stosb\n .fill 30, 1, 0x90\n"
           " mov %edi, %eax\n" LEAVE);

Test(run, a_repeated_store_over_itself_ends_with_its_iteration)
{
    static const uint64_t quanta[] = {1000000, 1, 2, 3, 5, 8, 13};
    for (unsigned i = 0; i < sizeof quanta / sizeof quanta[0]; i++) {
        START(overwrites_itself, .quantum_ticks = quanta[i]);
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_assert_eq(vcpu_exit_value(h.cpu), 0x1000e, "quantum %lu: edi %x", quanta[i],
                     vcpu_exit_value(h.cpu));
        harness_free(&h);
    }
}

/* What a kernel does at each entry and exit: segment registers saved, loaded and restored (flat, another
 * base, null), IF off and on, software interrupts. Where a helper leaves compiled code, the next block
 * follows at once unless the timer's interrupt is due. */
GUEST_CODE(
    entries,
    "mov $300, %ebp\n"
    "1: push %ds\n push %es\n push %fs\n cld\n"
    " mov $0x18, %eax\n mov %eax, %ds\n mov %eax, %es\n xor %eax, %eax\n mov %eax, %fs\n"
    " cmp %ebp, %ecx\n cli\n adc $3, %ebx\n sti\n adc $5, %ebx\n sti\n nop\n pushf\n cli\n popf\n inc %ebx\n"
    " mov $0x38, %eax\n mov %eax, %es\n mov %ebx, %es:8\n addl %ebx, %es:12\n"
    " mov %ss, %eax\n mov %eax, %ss\n lea (%ebx,%ebp), %edx\n"
    " std\n mov $0x20, %edi\n stosl\n cld\n"
    " int $0x40\n add %esi, %ebx\n"
    " pop %fs\n pop %es\n pop %ds\n"
    " cli\n sti\n dec %ebp\n jnz 1b\n" LEAVE);
GUEST_CODE(entries_call,
           "push %ds\n push %es\n mov $0x18, %edx\n mov %edx, %ds\n lea 7(%esi,%ebx), %esi\n sti\n nop\n"
           " pop %es\n pop %ds\n iret\n");
/* Where it came, and with which segments and flags. */
GUEST_CODE(entries_irq, "push %ds\n push %es\n push %eax\n mov $0x18, %eax\n mov %eax, %ds\n mov %eax, %es\n"
                        " in $0x20, %eax\n add %eax, 0x3000\n incl 0x3004\n roll $5, 0x3008\n mov 12(%esp), "
                        "%eax\n xor %eax, 0x3008\n"
                        " mov 4(%esp), %eax\n add %eax, 0x300c\n mov 20(%esp), %eax\n add %eax, 0x3010\n"
                        " pop %eax\n pop %es\n pop %ds\n iret\n");

static uint64_t run_entries(const struct harness_options *o)
{
    start(o, entries, entries_end);
    harness_put(&h, 0x12000, entries_call, (size_t)(entries_call_end - entries_call));
    harness_put(&h, 0x12800, entries_irq, (size_t)(entries_irq_end - entries_irq));
    harness_poke32(&h, 0x1038, 0x40000fff); /* 0x38: data, base 0x4000 */
    harness_poke32(&h, 0x103c, 0x00409200); /* not accessed yet */
    vcpu_state(h.cpu)->gdtr.limit += 8;
    harness_gate(&h, 0x40, 0x12000, 0);
    harness_gate(&h, 0x20, 0x12800, 0);
    vcpu_state(h.cpu)->eflags |= FLAG_IF;
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_gt(harness_peek32(&h, 0x3004), 50);
    uint64_t fingerprint = harness_fingerprint(&h) + vcpu_tick(h.cpu);
    harness_free(&h);
    return fingerprint;
}

Test(run, entries_are_the_same_in_both_engines, .timeout = 60)
{
    for (uint64_t timer = 127; timer < 140; timer++) {
        uint64_t expect = run_entries(&(struct harness_options){.timer_ticks = timer, .single_tb = true});
        cr_assert_eq(run_entries(&(struct harness_options){.timer_ticks = timer}), expect, "interpreted");
        cr_assert_eq(
            run_entries(&(struct harness_options){.timer_ticks = timer, .translator = TRANSLATOR_EAGER}),
            expect, "compiled");
        cr_assert_eq(run_entries(&(struct harness_options){.timer_ticks = timer,
                                                           .translator = TRANSLATOR_EAGER,
                                                           .quantum_ticks = timer % 7 + 1}),
                     expect, "compiled, cut");
    }
}

Test(run, cutting_a_compiled_run_changes_nothing, .timeout = 60)
{
    uint64_t expect = run_mixed(&(struct harness_options){.timer_ticks = 997});
    for (uint64_t quantum = 0; quantum < 40; quantum += 13)
        cr_assert_eq(run_mixed(&(struct harness_options){
                         .timer_ticks = 997, .quantum_ticks = quantum, .translator = TRANSLATOR_EAGER}),
                     expect, "quantum %lu", (unsigned long)quantum);
}

/* An instruction at 0x20fff has its operand on the page behind it, whose translation changes under it: at
 * once, and without INVLPG only when the fetch TLB forgets the old one. */
GUEST_CODE(moving, "mov $60, %ebp\n mov $0x20fff, %esi\n mov $0x31003, %ecx\n"
                   "1: mov $3, %edi\n"
                   "2: call *%esi\n add %eax, %ebx\n rol $3, %ebx\n push $3f - 1b + 0x1000f\n jmp *%esi\n"
                   "3: xor %eax, %ebx\n dec %edi\n jnz 2b\n"
                   " xor $0x1000, %ecx\n mov %ecx, 0x81084\n test $4, %ebp\n jz 4f\n invlpg 0x21000\n"
                   "4: test $31, %ebp\n jnz 5f\n mov %cr3, %eax\n mov %eax, %cr3\n"
                   "5: dec %ebp\n jnz 1b\n mov %ebx, 0x3000\n" LEAVE);

static uint64_t run_moving(const struct harness_options *o)
{
    static const uint8_t mov_eax = 0xb8, first[] = {0x11, 0x22, 0x33, 0x44, 0xc3},
                         second[] = {0x55, 0x66, 0x77, 0x08, 0xc3};
    start(o, moving, moving_end);
    harness_put(&h, 0x20fff, &mov_eax, 1);
    harness_put(&h, 0x30000, first, sizeof first);
    harness_put(&h, 0x31000, second, sizeof second);
    harness_paging(&h, 3);
    harness_poke32(&h, harness_pte(0x21000), 0x30003);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    uint64_t fingerprint = harness_fingerprint(&h) + vcpu_tick(h.cpu);
    harness_free(&h);
    return fingerprint;
}

Test(run, second_pages_move_in_both_engines, .timeout = 60)
{
    uint64_t expect = run_moving(&(struct harness_options){.single_tb = true});
    cr_assert_eq(run_moving(&(struct harness_options){0}), expect, "interpreted");
    for (uint64_t quantum = 0; quantum < 30; quantum += 7)
        cr_assert_eq(
            run_moving(&(struct harness_options){.translator = TRANSLATOR_EAGER, .quantum_ticks = quantum}),
            expect, "compiled, quantum %lu", (unsigned long)quantum);
}

/* --- a fault between the iterations of a REP, whose own delivery faults: the #DF's frame has the same RF
 * wherever the run is cut. SDM 3A 17.3.1.1: an abort pushes what RF is then --- */

GUEST_CODE(rep_double_fault, "mov $0x20ffc, %edi\n mov $16, %ecx\n cld\n rep stosb\n");
GUEST_CODE(show_pushed_flags, "mov 12(%esp), %eax\n" LEAVE);

static uint32_t flags_of_double_fault(uint64_t quantum, enum translator_mode mode)
{
    START(rep_double_fault, .quantum_ticks = quantum, .translator = mode);
    harness_put(&h, 0x18000, show_pushed_flags, (size_t)(show_pushed_flags_end - show_pushed_flags));
    harness_gate(&h, EXC_DF, 0x18000, 0); /* #PF has none */
    harness_paging(&h, 3);
    harness_poke32(&h, harness_pte(0x21000), 0);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    uint32_t flags = vcpu_exit_value(h.cpu);
    harness_free(&h);
    return flags;
}

Test(run, rf_of_a_double_fault_does_not_depend_on_cuts)
{
    for (uint64_t quantum = 0; quantum < 12; quantum++)
        for (unsigned mode = TRANSLATOR_INTERP; mode <= TRANSLATOR_EAGER; mode++)
            cr_assert(flags_of_double_fault(quantum, mode) & FLAG_RF, "quantum %lu", (unsigned long)quantum);
}

/* --- deliveries without end: no tick goes by, and yet the vCPU can be stopped and host I/O is served --- */

GUEST_CODE(fault_for_ever, "sti\n nop\n ud2\n");

enum { FAULTS, INTERRUPTS, FAILING_INTERRUPTS, WAYS };

/* The handler is the faulting instruction itself; or the INTR pin stays high and its gate, or that of the
 * fault in its delivery, leaves IF set. */
static void deliver_for_ever(unsigned way)
{
    struct segment *ss = &vcpu_state(h.cpu)->seg[SEG_SS];
    ss->base = 1 << 20;
    ss->access &= (uint16_t)~SEG_ACC_DB; /* 16 bits: SP goes round, however many frames are pushed */
    vcpu_update_mode(h.cpu);
    harness_gate(&h, EXC_UD, HARNESS_CODE + 2, 0);
    if (way == FAULTS)
        return;
    h.stuck = true;
    const unsigned vector = way == INTERRUPTS ? 0x20 : EXC_NP;
    harness_gate(&h, 0x20, HARNESS_CODE, 0);
    harness_poke32(&h, 0x2004 + 0x20 * 8, 0x0e00); /* not present */
    harness_gate(&h, vector, HARNESS_CODE, 0);
    harness_poke32(&h, 0x2004 + vector * 8, (HARNESS_CODE & 0xffff0000) | 0x8f00);
}

/* A device thread that asks before the vCPU is there shows nothing: it asks again, each time later. So the
 * host may run the two threads as it likes, and what is claimed has no bound in host time. */
static void ends_when_asked(unsigned way, unsigned mode)
{
    START(fault_for_ever, .devthread = mode);
    deliver_for_ever(way);
    for (unsigned calls = 8; vcpu_tick(h.cpu) < 2; calls *= 2) { /* the run's first step is a call */
        link_resume(h.link, 1);
        harness_stop_in(&h, calls);
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_STOPPED, "way %u", way);
    }
    cr_assert_eq(vcpu_tick(h.cpu), 2);
    harness_free(&h);
}

Test(run, ends_when_asked_though_no_tick_goes_by, .timeout = 60)
{
    for (unsigned way = 0; way < WAYS; way++)
        for (unsigned mode = HARNESS_INLINE; mode <= HARNESS_ADAPTIVE; mode++)
            ends_when_asked(way, mode);
}

/* --- a request to stand is heard behind an access, not at the end of a quantum --- */

GUEST_CODE(polls, "mov $0x10, %edx\n 1: in (%dx), %eax\n add %eax, %ebx\n incl 0xf0000010\n jmp 1b\n");
GUEST_CODE(polls_by_rep,
           "mov $0x10, %edx\n mov $40, %ecx\n mov $0x4000, %edi\n rep insl\n 1: inc %eax\n jmp 1b\n");

struct poller {
    const uint8_t *code, *end;
    unsigned first, step; /* the tick behind the first read, and from one to the next */
};

#define POLL_TICKS 130

static void poll_until(const struct poller *p, unsigned mode, enum translator_mode t, unsigned stop_at)
{
    start(
        &(struct harness_options){
            .devthread = mode, .translator = t, .tick_limit = POLL_TICKS, .stop_at_read = stop_at},
        p->code, p->end);
}

static void stands_behind_read(const struct poller *p, unsigned mode, enum translator_mode t, unsigned n)
{
    struct guest_state whole;
    poll_until(p, mode, t, 0);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    whole = *vcpu_state(h.cpu);
    harness_free(&h);
    poll_until(p, mode, t, n);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_STOPPED);
    cr_assert_eq(vcpu_tick(h.cpu), p->first + (n - 1) * p->step, "mode %u, read %u: tick %lu", mode, n,
                 (unsigned long)vcpu_tick(h.cpu));
    link_settle(h.link);
    cr_assert_eq(h.sync_reads, n);
    link_resume(h.link, 1);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
    cr_assert_eq(vcpu_tick(h.cpu), POLL_TICKS);
    cr_assert_arr_eq(vcpu_state(h.cpu)->slot, whole.slot, sizeof whole.slot);
    cr_assert_eq(vcpu_state(h.cpu)->eip, whole.eip);
    harness_free(&h);
}

Test(run, stands_behind_the_access_that_it_was_asked_at, .timeout = 60)
{
    const struct poller pollers[] = {{polls, polls_end, 2, 4}, {polls_by_rep, polls_by_rep_end, 4, 1}};
    const enum translator_mode engines[] = {TRANSLATOR_INTERP, TRANSLATOR_EAGER};
    for (unsigned i = 0; i < 2 * 2 * 3; i++)
        for (unsigned n = 1; n < 12; n += 5)
            stands_behind_read(&pollers[i % 2], HARNESS_INLINE + i / 2 % 3, engines[i / 6], n);
}
