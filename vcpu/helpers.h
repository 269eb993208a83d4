/* helpers.h - the functions behind the rows of helpers.def. Threads: the vCPU's. */
#ifndef TANDEM_VCPU_HELPERS_H
#define TANDEM_VCPU_HELPERS_H

#include "translator/ir.h"

/* Every HELPER_x has a function helper_x. */
#define HELPER(name, ...) enum helper_result helper_##name(struct vcpu *v, const struct ir_op *op);
#include "translator/helpers.def"
#undef HELPER
extern const ir_helper_fn vcpu_helpers[HELPER_COUNT]; /* interp.c */

#endif
