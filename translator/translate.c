/* translate.c - walks guest instructions from the entry to the block's end (tb.h) and has each one's gen
 * function append its IR. */
#include "translator/translate.h"

#include <string.h>

#include "translator/emit.h"
#include "translator/opt_flags.h"

enum { OPS_PER_INSN_MAX = 40 }; /* room that one instruction may need; CHECKed by emit_raw */

/* The bytes that one instruction may be decoded from. */
struct window {
    const uint8_t *bytes;
    unsigned count;
    bool limited; /* the CS limit ends them, not the page */
    uint8_t copy[INSN_BYTES_MAX];
};

/* Bytes up to the CS limit, at most an instruction's. */
static unsigned bytes_below_limit(const struct translate_request *req, uint32_t eip)
{
    if (eip > req->cs_limit)
        return 0;
    const uint32_t last = req->cs_limit - eip;
    return last < INSN_BYTES_MAX ? last + 1 : INSN_BYTES_MAX;
}

/* Bytes from `offset` to the end of the page that the block has come to; 0 or less: none. */
static int bytes_in_page(const struct builder *b, int offset)
{
    if (b->page == 0)
        return (int)b->req->code_bytes - offset;
    return CODE_PAGE_BYTES - (int)(b->req->eip + (uint32_t)offset - b->pages[b->page].eip);
}

static const uint8_t *code_at(const struct builder *b, int offset)
{
    const struct followed_page *p = &b->pages[b->page];
    return b->page == 0 ? b->req->code + offset : p->is.host + (b->req->eip + (uint32_t)offset - p->eip);
}

/* Only the first instruction may continue on the next page. */
static void window_open(struct window *w, const struct builder *b, int offset)
{
    const struct translate_request *req = b->req;
    const unsigned in_page = (unsigned)bytes_in_page(b, offset);
    const unsigned allowed = bytes_below_limit(req, req->eip + (uint32_t)offset);
    w->bytes = code_at(b, offset);
    w->count = in_page < INSN_BYTES_MAX ? in_page : INSN_BYTES_MAX;
    if (in_page < INSN_BYTES_MAX && offset == 0 && req->code2) {
        memcpy(w->copy, w->bytes, in_page);
        memcpy(w->copy + in_page, req->code2, INSN_BYTES_MAX - in_page);
        w->bytes = w->copy;
        w->count = INSN_BYTES_MAX;
    }
    w->limited = allowed <= w->count;
    if (w->limited)
        w->count = allowed;
}

static void begin_insn(struct builder *b, int offset)
{
    b->insn = (uint8_t)b->out->ninsns;
    b->eip = b->req->eip + (uint32_t)offset;
    b->temps = 0;
    b->narrow_key = -1;
}

/* Counts the bytes [offset, end) to those of a further page that the block covers. */
static void cover_part(const struct builder *b, struct tb_part *part, int offset, int end)
{
    const struct followed_page *p = &b->pages[b->page];
    const uint32_t first = b->req->eip + (uint32_t)offset - p->eip + p->is.phys_page,
                   behind = first + (uint32_t)(end - offset), high = part->phys_addr + part->bytes;
    part->lin_page = p->eip; /* in flat mode */
    if (part->bytes == 0 || first < part->phys_addr)
        part->phys_addr = first;
    part->bytes = (behind > high ? behind : high) - part->phys_addr;
}

static void cover(struct builder *b, int offset, int end)
{
    struct translate_out *out = b->out;
    const int high = out->low + (int)out->bytes;
    if (b->page != 0) {
        cover_part(b, &out->more[b->page - 1], offset, end);
        return;
    }
    out->low = offset < out->low ? offset : out->low;
    out->bytes = (unsigned)((end > high ? end : high) - out->low);
}

/* Counts an instruction of `length` bytes in; the offset of the next. */
static int end_insn(struct builder *b, int offset, unsigned length)
{
    const int end = offset + (length != 0 ? (int)length : 1);
    b->out->insn_offset[b->out->ninsns++] = offset;
    cover(b, offset, end);
    if (!b->jumped)
        return end;
    b->jumped = false;
    b->page = b->next_page;
    return (int)(b->next_eip - b->req->eip);
}

/* A decoded instruction: what its mode forbids, else its IR. */
static void gen_insn(struct builder *b, const struct insn *in)
{
    const uint32_t attr = in->row->attr;
    b->next_eip = b->eip + in->length;
    if (lacks_feature(b, ATTR_FEATURE(attr)))
        emit_raise(b, VECTOR_UD);
    else if ((attr & A_PE) && !mode_has(b, TB_MODE_PE))
        emit_raise(b, VECTOR_UD);
    else if ((attr & A_PRIV) && !mode_has(b, TB_MODE_CPL0))
        emit_raise_gp0(b);
    else
        in->row->gen(b, in);
}

static bool is_repeated(const struct insn *in)
{
    return in->rep != 0 && (in->row->attr & A_REP);
}

enum step {
    STEP_NEXT, /* one more instruction was added */
    STEP_STOP, /* it belongs to the next block */
    STEP_NEED_PAGE2,
};

static enum step add_fault(struct builder *b, int *offset, const struct insn *in, unsigned vector)
{
    if (vector == VECTOR_UD)
        emit_raise(b, VECTOR_UD);
    else
        emit_raise_gp0(b);
    *offset = end_insn(b, *offset, in->length);
    return STEP_NEXT;
}

/* The bytes ended within the instruction. */
static enum step add_truncated(struct builder *b, int *offset, const struct window *w, const struct insn *in)
{
    if (w->limited)
        return add_fault(b, offset, in, VECTOR_GP);
    return *offset == 0 ? STEP_NEED_PAGE2 : STEP_STOP;
}

static enum step add_insn(struct builder *b, int *offset)
{
    struct window w;
    struct insn in;
    begin_insn(b, *offset);
    window_open(&w, b, *offset);
    switch (decode_insn(w.bytes, w.count, mode_has(b, TB_MODE_CODE32), &in)) {
    case DECODE_MORE:
        return add_truncated(b, offset, &w, &in);
    case DECODE_UD:
        return add_fault(b, offset, &in, VECTOR_UD);
    case DECODE_TOO_LONG:
        return add_fault(b, offset, &in, VECTOR_GP);
    case DECODE_OK:
        break;
    }
    if (is_repeated(&in) && b->out->ninsns != 0)
        return STEP_STOP;
    gen_insn(b, &in);
    *offset = end_insn(b, *offset, in.length);
    return STEP_NEXT;
}

static bool has_room(const struct builder *b, int offset, unsigned insns_max)
{
    const struct translate_request *req = b->req;
    return b->out->ninsns < insns_max && b->out->nops + OPS_PER_INSN_MAX < TB_OPS_MAX &&
           bytes_in_page(b, offset) > 0 && (req->mark_offset == 0 || offset < (int)req->mark_offset);
}

static unsigned insn_limit(const struct translate_request *req)
{
    if ((req->mode & TB_MODE_SINGLE) || req->insns_max < 1)
        return 1;
    const unsigned most = req->follow ? TB_LONG_INSNS_MAX : TB_INSNS_MAX;
    return req->insns_max < most ? req->insns_max : most;
}

/* One load, one store, or one read-modify-write of memory, and no helper: nothing else can send the
 * instruction back to be run anew once the device has been accessed. */
static bool accesses_once(const struct translate_out *out)
{
    unsigned loads = 0, modifies = 0, stores = 0;
    for (unsigned i = 0; i < out->nops; i++) {
        const struct ir_op *op = &out->ops[i];
        loads += op->op == IR_LD;
        modifies += op->op == IR_LDRW;
        stores += op->op == IR_ST;
        if (op->op == IR_HELPER && op->imm != HELPER_DEVICE_BEGIN)
            return false;
    }
    return modifies ? modifies + stores == 2 && loads == 0 : loads + stores == 1;
}

/* False: the instruction is not one for a device block, and nothing was built. */
static bool add_device_insn(struct builder *b, int *offset)
{
    begin_insn(b, 0);
    emit_helper(b, HELPER_DEVICE_BEGIN);
    if (add_insn(b, offset) != STEP_NEXT || b->ended || !accesses_once(b->out)) {
        *b = (struct builder){.req = b->req, .out = b->out, .cc = -1};
        b->out->nops = b->out->ninsns = b->out->bytes = 0;
        *offset = 0;
        return false;
    }
    b->insn = 0;
    b->next_eip = b->req->eip + (uint32_t)*offset;
    emit_helper_next(b, HELPER_DEVICE_END);
    emit_leave(b);
    return true;
}

static void finish(struct builder *b, int offset)
{
    struct translate_out *out = b->out;
    b->insn = (uint8_t)(out->ninsns - 1);
    if (!b->ended)
        emit_jmp(b, b->req->eip + (uint32_t)offset);
    out->insn_offset[out->ninsns] = offset;
    out->nexits = 2u + b->sides;
    out->nops = opt_flags(out->ops, out->nops);
    ir_finalize(out->ops, out->nops);
}

enum translate_result translate_block(const struct translate_request *req, struct translate_out *out)
{
    struct builder b = {.req = req, .out = out, .cc = -1, .segment = req->eip};
    const unsigned insns_max = insn_limit(req);
    int offset = 0;
    enum step step = STEP_NEXT;
    out->nops = out->ninsns = out->bytes = 0;
    out->low = 0;
    out->fixed = false;
    memset(out->more, 0, sizeof out->more);
    if (req->device && add_device_insn(&b, &offset)) {
        finish(&b, offset);
        return TRANSLATE_OK;
    }
    while (step == STEP_NEXT && !b.ended && has_room(&b, offset, insns_max))
        step = add_insn(&b, &offset);
    if (step == STEP_NEED_PAGE2)
        return TRANSLATE_NEED_PAGE2;
    finish(&b, offset);
    return TRANSLATE_OK;
}
