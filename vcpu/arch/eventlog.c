/* eventlog.c - -d int,cpu_reset,guest_errors and the report after a triple fault: what befell the CPU, as
 * text.
 *
 * Registers stand as in QEMU's log, for scripts that read it: a segment is its selector, base, limit and the
 * descriptor's second word without the base.
 * Called only where something is to be written; reads the state and changes none of it. Both engines deliver
 * events and access devices through the functions that call this file, so that compiled code need not know.
 */
#include "translator/cc.h"
#include "vcpu/vcpu_internal.h"

#include <inttypes.h>

static const char *exc_name(unsigned vector)
{
    static const char *const names[] = {
        [EXC_DE] = "#DE", [EXC_DB] = "#DB", [EXC_NMI] = "NMI", [EXC_BP] = "#BP", [EXC_OF] = "#OF",
        [EXC_BR] = "#BR", [EXC_UD] = "#UD", [EXC_NM] = "#NM",  [EXC_DF] = "#DF", [EXC_TS] = "#TS",
        [EXC_NP] = "#NP", [EXC_SS] = "#SS", [EXC_GP] = "#GP",  [EXC_PF] = "#PF", [EXC_MF] = "#MF",
        [EXC_AC] = "#AC", [EXC_XM] = "#XM"};
    return vector < sizeof names / sizeof *names && names[vector] ? names[vector] : "interrupt";
}

/* --- registers --- */

static void print_segment(FILE *out, const char *name, const struct segment *s)
{
    uint32_t limit_bits = (s->access & SEG_ACC_G ? s->limit >> 12 : s->limit) & 0xf0000;
    fprintf(out, "%-3s=%04x %08x %08x %08x\n", name, s->sel, s->base, s->limit,
            (uint32_t)s->access << 8 | limit_bits);
}

static void print_segments(FILE *out, const struct guest_state *g)
{
    static const char *const names[SEG_COUNT] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    for (unsigned i = 0; i < SEG_COUNT; i++)
        print_segment(out, names[i], &g->seg[i]);
    print_segment(out, "LDT", &g->ldtr);
    print_segment(out, "TR", &g->tr);
    fprintf(out, "GDT=     %08x %08x\n", g->gdtr.base, g->gdtr.limit);
    fprintf(out, "IDT=     %08x %08x\n", g->idtr.base, g->idtr.limit);
}

/* II: an interrupt shadow holds interrupts off. */
static void print_eip_line(FILE *out, const struct vcpu *v)
{
    static const char letters[] = "DOSZAPC";
    static const uint32_t bits[] = {FLAG_DF, FLAG_OF, FLAG_SF, FLAG_ZF, FLAG_AF, FLAG_PF, FLAG_CF};
    const struct guest_state *g = &v->g;
    uint32_t flags = guest_eflags(g);
    char shown[] = "-------";
    for (unsigned i = 0; letters[i]; i++)
        if (flags & bits[i])
            shown[i] = letters[i];
    fprintf(out, "EIP=%08x EFL=%08x [%s] CPL=%u II=%u A20=%u SMM=0 HLT=%u\n", g->eip, flags, shown, g->cpl,
            g->int_shadow != 0, (unsigned)(v->cfg.mem->addr_mask >> 20 & 1), g->halted);
}

void vcpu_print_registers(const struct vcpu *v, FILE *out)
{
    const struct guest_state *g = &v->g;
    const uint32_t *r = g->slot;
    fprintf(out, "EAX=%08x EBX=%08x ECX=%08x EDX=%08x\n", r[IR_EAX], r[IR_EBX], r[IR_ECX], r[IR_EDX]);
    fprintf(out, "ESI=%08x EDI=%08x EBP=%08x ESP=%08x\n", r[IR_ESI], r[IR_EDI], r[IR_EBP], r[IR_ESP]);
    print_eip_line(out, v);
    print_segments(out, g);
    fprintf(out, "CR0=%08x CR2=%08x CR3=%08x CR4=%08x\n", g->cr0, g->cr2, g->cr3, g->cr4);
    fprintf(out, "DR0=%08x DR1=%08x DR2=%08x DR3=%08x DR6=%08x DR7=%08x\n", g->dr[0], g->dr[1], g->dr[2],
            g->dr[3], g->dr[6], g->dr[7]);
}

/* --- the faults that led to a shutdown --- */

void fault_chain_add(struct fault_chain *c, const struct pending_exc *exc)
{
    if (c->count < FAULT_CHAIN_MAX)
        c->exc[c->count++] = *exc;
}

void vcpu_print_triple_fault(const struct vcpu *v, FILE *out)
{
    const struct fault_chain *c = &v->faults;
    fprintf(out, "triple fault at tick %" PRIu64 ", CS:EIP %04x:%08x:", vcpu_insn_tick(v) + 1,
            v->g.seg[SEG_CS].sel, v->g.eip);
    for (unsigned i = 0; i < c->count; i++) {
        fprintf(out, "%s %s", i ? " ->" : "", exc_name(c->exc[i].vector));
        if (c->exc[i].has_error)
            fprintf(out, "(%04x)", c->exc[i].error);
        fprintf(out, " vector %u", c->exc[i].vector);
    }
}

/* --- -d --- */

/* Registers as the handler is entered from. IP is what is pushed: of the instruction that faulted, of the
 * next one after a trap or an INT. */
void eventlog_interrupt(const struct vcpu *v, const struct pending_exc *exc, bool software, uint32_t eip)
{
    const struct guest_state *g = &v->g;
    flockfile(v->cfg.log_file); /* a device may write a line meanwhile */
    fprintf(v->cfg.log_file,
            "tick %" PRIu64 ": v=%02x e=%04x i=%u cpl=%u IP=%04x:%08x pc=%08x SP=%04x:%08x CR2=%08x %s\n",
            vcpu_insn_tick(v), exc->vector, exc->has_error ? exc->error : 0, software, g->cpl,
            g->seg[SEG_CS].sel, eip, g->seg[SEG_CS].base + eip, g->seg[SEG_SS].sel, g->slot[IR_ESP], g->cr2,
            software ? "INT" : exc_name(exc->vector));
    vcpu_print_registers(v, v->cfg.log_file);
    funlockfile(v->cfg.log_file);
}

void eventlog_reset(const struct vcpu *v)
{
    flockfile(v->cfg.log_file);
    fprintf(v->cfg.log_file, "CPU reset at tick %" PRIu64 "; registers before it:\n", vcpu_insn_tick(v) + 1);
    vcpu_print_registers(v, v->cfg.log_file);
    funlockfile(v->cfg.log_file);
}

static bool is_port(unsigned kind)
{
    return kind == ACCESS_PIO_READ || kind == ACCESS_PIO_WRITE;
}

void vcpu_log_write_error(const struct vcpu *v, const struct access *a, const char *device, const char *text)
{
    fprintf(v->cfg.log_file,
            "guest error at tick %" PRIu64 ": %u-byte write of %0*x to %s %0*" PRIx64 " (%s: %s)\n", a->tick,
            a->size, 2 * a->size, a->value, is_port(a->kind) ? "port" : "address", is_port(a->kind) ? 4 : 8,
            a->addr, device, text);
}

void eventlog_msr(const struct vcpu *v, uint32_t msr, const uint64_t *written)
{
    FILE *f = v->cfg.log_file;
    flockfile(f);
    fprintf(f, "guest error at tick %" PRIu64 ": ", vcpu_insn_tick(v));
    if (written)
        fprintf(f, "WRMSR of %016" PRIx64 " to %08x (no such register, or reserved bits)\n", *written, msr);
    else
        fprintf(f, "RDMSR of %08x (no such register)\n", msr);
    funlockfile(f);
}

void eventlog_unassigned(const struct vcpu *v, uint64_t addr, unsigned bytes, enum access_kind kind)
{
    bool port = is_port(kind);
    bool write = kind == ACCESS_PIO_WRITE || kind == ACCESS_MMIO_WRITE;
    fprintf(v->cfg.log_file, "guest error at tick %" PRIu64 ": %u-byte %s %s %0*" PRIx64 " (unassigned)\n",
            vcpu_insn_tick(v), bytes, write ? "write to" : "read of", port ? "port" : "address", port ? 4 : 8,
            addr);
}
