/* segload.h - loads of DS, ES, FS and GS that change nothing but that register, without a call of C. */
#ifndef TANDEM_TRANSLATOR_X64_SEGLOAD_H
#define TANDEM_TRANSLATOR_X64_SEGLOAD_H

#include "translator/x64/compile.h"

/* A kernel loads its data segments at each entry and exit, where they hold the same already. The stub says by
 * host ZF whether a load of selector SCRATCH1 (16 bits) into the segment register at CPL 0 is one like the
 * last (struct x64_load). Uses SCRATCH2. */
uint8_t *emit_same_segment_stub(struct x64_buf *b, const struct x64_env *env, unsigned seg);
/* The same for LOAD_SEG_FLAT, where the register may change. The stub does the load if it is of a null
 * selector or like the last one, and says so by host ZF. */
uint8_t *emit_load_aside_stub(struct x64_buf *b, const struct x64_env *env, unsigned seg);
/* For the helper LOAD_SEG at a block's end, temporaries in their slots: the returned jump is taken where all
 * of the load is done, guest registers as they were; else the helper is to be called. NULL: always. */
uint8_t *emit_same_segment(struct compile *c, const struct ir_op *op);
/* For LOAD_SEG_FLAT, temporaries in their slots: the returned jump is taken where the helper is to be called,
 * all as it was; else the load is done. NULL: always. */
uint8_t *emit_load_aside(struct compile *c, const struct ir_op *op);

#endif
