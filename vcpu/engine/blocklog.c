/* blocklog.c - -d in_asm,op,out_asm: what is translated and compiled, as text. Called only when it is asked
 * for. */
#include "vcpu/engine/engine.h"

#include "translator/disas.h"
#include "translator/x64/disas.h"

/* Where in memory the block has its byte at `offset`; MEM_NOWHERE: it has none there. */
static uint32_t place_of(const struct tb *tb, int offset)
{
    const uint32_t lin_addr = tb->lin_addr + (uint32_t)offset;
    if (PAGE_OF(lin_addr ^ tb->lin_addr) == 0)
        return offset < tb->low + tb->bytes ? tb->phys_addr + (uint32_t)offset : MEM_NOWHERE;
    for (unsigned i = 0; tb->span && i < TB_PAGES - 1; i++) {
        const struct tb_part *part = &tb->span->more[i];
        const uint32_t at = (part->phys_addr & ~PAGE_OFFSET_MASK) + (lin_addr & PAGE_OFFSET_MASK);
        if (part->lin_page == PAGE_OF(lin_addr) && at - part->phys_addr < part->bytes)
            return at;
    }
    return MEM_NOWHERE;
}

/* Guest bytes of the block from `offset` on, at most one instruction's; 0: in no memory. */
static unsigned guest_bytes(const struct vcpu *v, const struct tb *tb, int offset, uint8_t bytes[15])
{
    const struct physmem *mem = v->cfg.mem;
    unsigned n = 0;
    for (uint32_t at; n < 15 && (at = place_of(tb, offset + (int)n)) < mem->bytes; n++)
        bytes[n] = mem->host[at];
    return n;
}

void blocklog_guest(FILE *out, const struct vcpu *v, const struct tb *tb)
{
    for (unsigned i = 0; i < tb->ninsns; i++) {
        uint8_t bytes[15];
        const int offset = tb->insn_offset[i];
        fprintf(out, "0x%08x:  ", tb->lin_addr + (uint32_t)offset);
        disas_guest(out, tb->mode, tb->lin_addr - tb->cs_base + (uint32_t)offset, bytes,
                    guest_bytes(v, tb, offset, bytes));
        fputc('\n', out);
    }
}

static void print_in_asm(FILE *out, const struct vcpu *v, const struct tb *tb)
{
    fprintf(out, "----------------\nIN:\n");
    blocklog_guest(out, v, tb);
    fputc('\n', out);
}

static void print_op(FILE *out, const struct tb *tb)
{
    fprintf(out, "OP: 0x%08x\n", tb->lin_addr);
    for (unsigned i = 0; i < tb->nops; i++)
        ir_print(out, &tb->ops[i]);
    fputc('\n', out);
}

void blocklog_built(const struct vcpu *v, const struct tb *tb)
{
    if (v->cfg.log_items & VCPU_LOG_IN_ASM)
        print_in_asm(v->cfg.log_file, v, tb);
    if (v->cfg.log_items & VCPU_LOG_OP)
        print_op(v->cfg.log_file, tb);
}

void blocklog_installed(const struct vcpu *v, const struct tb *tb)
{
    if (!(v->cfg.log_items & VCPU_LOG_OUT_ASM))
        return;
    fprintf(v->cfg.log_file, "OUT: 0x%08x [size=%u]\n", tb->lin_addr, tb->native.bytes);
    x64_disas(v->cfg.log_file, v->native, tb, X64_DISAS_ADDRESSES);
    fputc('\n', v->cfg.log_file);
}
