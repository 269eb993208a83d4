/* io.c - port and memory-mapped accesses of the vCPU, through the bus map and the link.
 *
 * An access wider than its range's registers, or reaching past the range, is split into pieces,
 * ascending, all with the tick of the instruction. How a piece travels is its range's class (busmap.h). The
 * IN and OUT instructions are here; INS and OUTS are string.c's.
 *
 * An I/O breakpoint (CR4.DE) is a trap after the instruction, which ends its block: the run loop raises it.
 */
#include "vcpu/mmu/io.h"

#include "clockcore/ticks.h"
#include "syncq/busmap.h"
#include "syncq/link.h"
#include "vcpu/helpers.h"
#include "vcpu/mmu/mmu.h"

#include <string.h>

#define TSS_IO_BASE 0x66u /* where a 32-bit TSS says where its permission map is */
#define TSS_TYPE_32 9u    /* available; busy is 11 */

struct io_target {
    const struct bus_range *range;
    unsigned index;
    unsigned bytes; /* of this piece */
};

static uint32_t ones(unsigned bytes)
{
    return 0xffffffffu >> (32 - 8 * bytes);
}

/* The piece of [addr, +bytes) that goes to range `index` in one access: a power of two. */
static struct io_target target_at(const struct vcpu *v, unsigned index, uint64_t addr, unsigned bytes)
{
    const struct bus_range *r = &v->cfg.bus->range[index];
    unsigned n = bytes >= 4 ? 4 : bytes >= 2 ? 2 : 1;
    if (index == 0)
        return (struct io_target){r, 0, 1}; /* the next byte may be claimed */
    while (n > 1 && (n > r->width || addr + n - 1 > r->last))
        n /= 2;
    return (struct io_target){r, index, n};
}

static uint32_t offset_in(const struct io_target *t, uint64_t addr)
{
    return t->range->base_offset + (uint32_t)(addr - t->range->first);
}

static struct access access_of(const struct vcpu *v, const struct io_target *t, uint64_t addr,
                               enum access_kind kind)
{
    return (struct access){.tick = vcpu_insn_tick(v),
                           .addr = addr,
                           .offset = offset_in(t, addr),
                           .range = (uint16_t)t->index,
                           .size = (uint8_t)t->bytes,
                           .kind = (uint8_t)kind,
                           .vcpu = v->cfg.number};
}

static uint64_t insn_now_ns(const struct vcpu *v)
{
    return ticks_to_ns(vcpu_insn_tick(v), v->cfg.shift);
}

/* The next accesses to `addr` that only move through a buffer of the chip, n at most: nobody else uses a chip
 * that is settled, and the next message to the device side publishes what changes here. */
static uint32_t buffer_run(struct vcpu *v, const struct bus_range *r, uint64_t addr, unsigned bytes,
                           uint32_t n, bool write, uint8_t **at)
{
    if (!r->run || addr != r->first)
        return 0;
    link_settle(v->cfg.link);
    return r->run(r->state, bytes, n, write, at);
}

static uint32_t buffer_word(const uint8_t *at, unsigned bytes)
{
    uint32_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static uint32_t sync_read(struct vcpu *v, const struct bus_range *r, const struct access *a)
{
    uint32_t value = link_sync(v->cfg.link, a, busmap_latency(r, false));
    vcpu_access_done(v);
    return value;
}

static void local_settled(struct vcpu *v, const struct bus_range *r)
{
    if (r->quiet)
        return;
    vcpu_intc_settled(v);
    vcpu_refresh_limit(v);
}

static uint32_t piece_read(struct vcpu *v, const struct io_target *t, uint64_t addr, enum access_kind kind)
{
    const struct bus_range *r = t->range;
    struct access a = access_of(v, t, addr, kind);
    uint32_t value;
    uint8_t *at;
    switch (r->read_class) {
    case CLASS_SYNC:
        return sync_read(v, r, &a);
    case CLASS_PURE:
        link_pure(v->cfg.link);
        if (buffer_run(v, r, addr, t->bytes, 1, false, &at))
            return buffer_word(at, t->bytes);
        if (r->read_changes && r->read_changes(r->state, offset_in(t, addr)))
            return sync_read(v, r, &a);
        return r->pure_read(r->state, offset_in(t, addr), t->bytes, insn_now_ns(v));
    case CLASS_LOCAL:
        value = r->read(r->state, offset_in(t, addr), t->bytes, insn_now_ns(v));
        local_settled(v, r);
        return value;
    default:
        return ~0u;
    }
}

static void local_write(struct vcpu *v, const struct bus_range *r, const struct access *a)
{
    const char *text = NULL;
    if ((v->cfg.log_items & VCPU_LOG_GUEST_ERRORS) && r->write_error)
        text = r->write_error(r->state, a->offset, a->size, a->value);
    if (text)
        vcpu_log_write_error(v, a, r->name, text);
    r->write(r->state, a->offset, a->size, a->value, insn_now_ns(v));
}

static void piece_write(struct vcpu *v, const struct io_target *t, uint64_t addr, enum access_kind kind,
                        uint32_t value)
{
    const struct bus_range *r = t->range;
    struct access a = access_of(v, t, addr, kind);
    a.value = value & ones(t->bytes);
    uint8_t *at;
    switch (r->write_class) {
    case CLASS_POSTED:
        if (buffer_run(v, r, addr, t->bytes, 1, true, &at)) {
            memcpy(at, &a.value, t->bytes);
            break;
        }
        link_post(v->cfg.link, &a, r->latency_ticks);
        vcpu_access_done(v);
        break;
    case CLASS_SYNC:
        link_sync(v->cfg.link, &a, busmap_latency(r, true));
        vcpu_access_done(v);
        break;
    case CLASS_LOCAL:
        local_write(v, r, &a);
        local_settled(v, r);
        break;
    default:
        break;
    }
}

static unsigned range_of_port(const struct vcpu *v, uint64_t port)
{
    return v->cfg.bus->port_range[port];
}

static unsigned range_of_memory(const struct vcpu *v, uint64_t bus_addr)
{
    return busmap_find_mmio(v->cfg.bus, bus_addr);
}

/* --- whoever watches --- */

static void observe_access(struct vcpu *v, const struct io_target *t, uint64_t addr, enum access_kind kind,
                           uint32_t value)
{
    struct access a = access_of(v, t, addr, kind);
    a.value = value & ones(t->bytes);
    v->cfg.observer.access(v->cfg.observer.ctx, &v->g, &a);
}

/* Ports wrap at 64 Ki. */
static uint64_t piece_addr(uint64_t addr, enum access_kind kind)
{
    return kind == ACCESS_PIO_READ || kind == ACCESS_PIO_WRITE ? addr & 0xffff : addr;
}

/* Once an access, not once a byte. */
static void note_unassigned(struct vcpu *v, uint64_t addr, unsigned bytes, enum access_kind kind)
{
    if (v->cfg.log_items & VCPU_LOG_GUEST_ERRORS)
        eventlog_unassigned(v, addr, bytes, kind);
}

static uint32_t split_read(struct vcpu *v, uint64_t addr, unsigned bytes, enum access_kind kind)
{
    uint32_t value = 0;
    bool unassigned = false;
    for (unsigned done = 0; done < bytes;) {
        uint64_t at = piece_addr(addr + done, kind);
        unsigned index = kind == ACCESS_PIO_READ ? range_of_port(v, at) : range_of_memory(v, at);
        struct io_target t = target_at(v, index, at, bytes - done);
        uint32_t piece = piece_read(v, &t, at, kind) & ones(t.bytes);
        if (v->cfg.observer.access)
            observe_access(v, &t, at, kind, piece);
        value |= piece << (8 * done);
        done += t.bytes;
        unassigned |= index == 0;
    }
    if (unassigned)
        note_unassigned(v, addr, bytes, kind);
    return value;
}

static void split_write(struct vcpu *v, uint64_t addr, unsigned bytes, enum access_kind kind, uint32_t value)
{
    bool unassigned = false;
    for (unsigned done = 0; done < bytes;) {
        uint64_t at = piece_addr(addr + done, kind);
        unsigned index = kind == ACCESS_PIO_WRITE ? range_of_port(v, at) : range_of_memory(v, at);
        struct io_target t = target_at(v, index, at, bytes - done);
        piece_write(v, &t, at, kind, value >> (8 * done));
        if (v->cfg.observer.access)
            observe_access(v, &t, at, kind, value >> (8 * done));
        done += t.bytes;
        unassigned |= index == 0;
    }
    if (unassigned)
        note_unassigned(v, addr, bytes, kind);
}

/* SDM 3B 17.2.4: type 2, with CR4.DE; the length field masks the address as for data. */
static void break_on_port(struct vcpu *v, uint16_t port, unsigned bytes)
{
    uint32_t dr7 = v->g.dr[7];
    for (unsigned n = 0; n < 4; n++) {
        uint32_t len = dr7 >> (18 + 4 * n) & 3, first = v->g.dr[n] & ~len;
        if ((dr7 >> (2 * n) & 3) && (dr7 >> (16 + 4 * n) & 3) == 2 && port <= first + len &&
            port + bytes - 1 >= first)
            v->db_pending |= 1u << n;
    }
}

static void check_port(struct vcpu *v, uint16_t port, unsigned bytes)
{
    if (v->dr_active && (v->g.cr4 & CR4_DE))
        break_on_port(v, port, bytes);
}

uint32_t io_port_read(struct vcpu *v, uint16_t port, unsigned bytes)
{
    check_port(v, port, bytes);
    return split_read(v, port, bytes, ACCESS_PIO_READ);
}

void io_port_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t value)
{
    check_port(v, port, bytes);
    split_write(v, port, bytes, ACCESS_PIO_WRITE, value);
}

uint32_t io_mmio_read(struct vcpu *v, uint64_t bus_addr, unsigned bytes)
{
    return split_read(v, bus_addr, bytes, ACCESS_MMIO_READ);
}

void io_mmio_write(struct vcpu *v, uint64_t bus_addr, unsigned bytes, uint32_t value)
{
    split_write(v, bus_addr, bytes, ACCESS_MMIO_WRITE, value);
}

uint32_t io_port_run(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t n, bool write, uint8_t **at)
{
    const struct bus_range *r = &v->cfg.bus->range[range_of_port(v, port)];
    if (!r->run || bytes > r->width || v->cfg.observer.access)
        return 0;
    n = buffer_run(v, r, port, bytes, n, write, at);
    link_count_pure(v->cfg.link, n);
    return n;
}

/* --- permission --- */

static bool refuse(struct vcpu *v)
{
    vcpu_raise_error(v, EXC_GP, 0);
    return false;
}

/* SDM 1 19.5.2: two bytes are read, both within the limit; every port's bit must be clear. */
static bool allowed_by_tss(struct vcpu *v, uint16_t port, unsigned bytes)
{
    const struct segment *tr = &v->g.tr;
    uint64_t base, bits;
    if (!(tr->access & SEG_ACC_P) || ((tr->access & SEG_ACC_TYPE) | 2) != (TSS_TYPE_32 | 2) ||
        tr->limit < TSS_IO_BASE + 1)
        return refuse(v);
    if (!mem_read(v, tr->base + TSS_IO_BASE, 2, false, &base))
        return false;
    uint32_t at = (uint32_t)base + port / 8;
    if (at + 1 > tr->limit)
        return refuse(v);
    if (!mem_read(v, tr->base + at, 2, false, &bits))
        return false;
    return (bits >> (port % 8) & ((1u << bytes) - 1)) == 0 || refuse(v);
}

bool io_allowed(struct vcpu *v, uint16_t port, unsigned bytes)
{
    const struct guest_state *g = &v->g;
    unsigned iopl = (g->eflags & FLAG_IOPL) >> 12;
    /* SDM 1 19.5.2: virtual-8086 mode does not look at IOPL. */
    if (!(g->cr0 & CR0_PE) || (g->cpl <= iopl && !(g->eflags & FLAG_VM)))
        return true;
    return allowed_by_tss(v, port, bytes);
}

/* --- IN and OUT --- */

static uint32_t merge_low(uint32_t old, uint32_t value, unsigned bytes)
{
    return (old & ~ones(bytes)) | (value & ones(bytes));
}

enum helper_result helper_IN(struct vcpu *v, const struct ir_op *op)
{
    uint32_t *s = v->g.slot;
    uint16_t port = (uint16_t)s[op->a];
    unsigned bytes = 1u << op->size;
    if (!io_allowed(v, port, bytes))
        return HELPER_FAULT;
    s[IR_EAX] = merge_low(s[IR_EAX], io_port_read(v, port, bytes), bytes);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_OUT(struct vcpu *v, const struct ir_op *op)
{
    uint32_t *s = v->g.slot;
    uint16_t port = (uint16_t)s[op->a];
    unsigned bytes = 1u << op->size;
    if (!io_allowed(v, port, bytes))
        return HELPER_FAULT;
    io_port_write(v, port, bytes, s[IR_EAX]);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

/* --- device blocks --- */

enum helper_result helper_DEVICE_BEGIN(struct vcpu *v, const struct ir_op *op)
{
    (void)op;
    v->in_device = true;
    return HELPER_OK;
}

enum helper_result helper_DEVICE_END(struct vcpu *v, const struct ir_op *op)
{
    v->in_device = false;
    v->g.eip = op->imm2;
    return HELPER_OK;
}
