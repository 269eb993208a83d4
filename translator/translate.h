/* translate.h - guest bytes to IR.
 * Threads: any; no shared state: a caller-owned scratch builder. */
#ifndef TANDEM_TRANSLATOR_TRANSLATE_H
#define TANDEM_TRANSLATOR_TRANSLATE_H

#include "translator/cpu_features.h"
#include "translator/tb.h"

/* A page that a long block may go on on. */
struct translate_page {
    const uint8_t *host;
    uint32_t phys_page;
};
enum translate_follow { FOLLOW_END, FOLLOW_ELSE, FOLLOW_TAKEN }; /* here it ends; not taken; taken */

struct translate_request {
    uint32_t eip; /* of the first instruction */
    uint32_t cs_base;
    uint32_t cs_limit;    /* last valid eip (TB_MODE_FLAT: 0xffffffff) */
    uint32_t mode;        /* TB_MODE_* (with SINGLE) */
    const uint8_t *code;  /* host pointer to the first byte, in the first page */
    uint32_t code_bytes;  /* readable there: to the page's end (1..4096) */
    const uint8_t *code2; /* start of the next page's bytes (at least 14), or NULL */
    unsigned insns_max;   /* 1..TB_INSNS_MAX */
    uint64_t lacks;       /* features that the CPU does not have (cpu_features.h); 0: it has all */
    uint32_t mark_offset; /* instructions from here on belong to other blocks; 0: none does */
    bool device;          /* the first instruction accesses a device: a device block, if it is a plain one */
    /* NULL: no long block. Else which way one goes on behind the conditional jump that ends the plain block
     * at `eip`. Flat 32-bit mode only, and no mark or device on the page. */
    enum translate_follow (*follow)(void *ctx, uint32_t eip);
    /* The page of `eip`, to go on there; false: the block ends. NULL: it stays on its page. */
    bool (*page)(void *ctx, uint32_t eip, struct translate_page *out);
    void *follow_ctx;
};

enum translate_result {
    TRANSLATE_OK,
    TRANSLATE_NEED_PAGE2, /* the first instruction crosses the page: call again with code2 */
};

struct translate_out {
    unsigned nops, ninsns, bytes, nexits;
    int low;    /* as in struct tb */
    bool fixed; /* its ops hold for this eip alone (ir_move): an eip in them is cut to 16 bits */
    struct tb_part more[TB_PAGES - 1];
    struct ir_op ops[TB_OPS_MAX];
    int32_t insn_offset[TB_LONG_INSNS_MAX + 1];
};

/* Decodes and builds one block: never fails otherwise. Bytes that are no instruction become RAISE #UD,
 * an instruction over 15 bytes RAISE #GP(0), fetching past cs_limit RAISE #GP(0). The ops are optimized
 * (dead flags) and finalized (handler indices filled by ir_finalize). */
enum translate_result translate_block(const struct translate_request *req, struct translate_out *out);

#endif
