/* stack.h - who called: the stack of a sample, by frame pointers.
 *
 * Compilers that keep frame pointers let EBP point to the caller's EBP, with the return address above it
 * (System V ABI for i386). The chain is followed from where the guest is, then from where each kernel entry
 * that is open came from (context.h), out to user code. Nothing of it need be true: a guest's EBP may
 * hold anything. So each link must lie above the one before, inside of the stack: above ESP, within the
 * limit of SS, below TSS.ESP0 or the frame that the entry pushed, STACK_KERNEL_MAX or STACK_USER_MAX bytes at
 * most. A chain ends whole at a zero, at the EBP that the entry found, or at Linux's mark of saved registers
 * (their address with the highest bit clear, arch/x86/include/asm/frame.h).
 *
 * A function that has not made its frame yet, or has undone it, is seen by its instruction: at PUSH EBP, MOV
 * EBP,ESP and RET the return address is where ESP says.
 *
 * NOT FOLLOWED: 16-bit stacks; bases of SS and CS other than the current ones in outer frames. */
#ifndef TANDEM_OBSERVE_STACK_H
#define TANDEM_OBSERVE_STACK_H

#include "observe/sample.h"

#define STACK_KERNEL_MAX (UINT64_C(64) << 10)
#define STACK_USER_MAX   (UINT64_C(8) << 20)
#define STACK_CODE_BYTES 16 /* of code, enough for the longest instruction */

struct stack_memory {
    const void *ctx;
    /* As vcpu_peek. */
    size_t (*peek)(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes);
};

/* Adds the callers to s, which has its first frame. `code`: what lies there, code_bytes of it. */
void stack_follow(const struct stack_memory *m, const struct context *c, const struct guest_state *g,
                  const uint8_t *code, size_t code_bytes, struct sample *s);

#endif
