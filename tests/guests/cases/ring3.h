/* ring3.h - go(frame): IRET to outer code; the first event of a vector in `catch` comes back here. */
#ifndef RING3_H
#define RING3_H
#include "rt.h"

static volatile uint32_t vec, err, ev_eip, ev_cs, ev_fl, ev_esp, ev_ss, ev_extra[4], seen;
static uint32_t back_esp;
static uint8_t kstack[4096] __attribute__((aligned(16))), ustack[4096] __attribute__((aligned(16)));
extern char ring3_back[];
static void caught(struct frame *f)
{
    seen++;
    vec = f->vector, err = f->error, ev_eip = f->eip, ev_cs = f->cs, ev_fl = f->eflags, ev_esp = f->user_esp,
    ev_ss = f->user_ss;
    if (f->eflags & 0x20000)
        memcpy((void *)ev_extra, &f->user_ss + 1, 16); /* ES DS FS GS */
    f->cs = 8;
    f->eip = (uint32_t)ring3_back;
    f->eflags = 2;
}
/* stack image: eip cs eflags esp ss [es ds fs gs] */
static __attribute__((noinline)) void go(const uint32_t *img, unsigned n)
{
    tss.esp0 = (uint32_t)(kstack + sizeof kstack);
    seen = 0;
    vec = 99;
    __asm__ volatile(
        "pushal\n\tmovl %%esp, %2\n\tleal (%0,%1,4), %%esi\n1:\tsubl $4, %%esi\n\tpushl (%%esi)\n\tdecl "
        "%1\n\tjnz 1b\n\tiret\n"
        ".globl ring3_back\nring3_back:\tmovl $0x10, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\tmovl "
        "%%eax, %%fs\n\tmovl %%eax, %%gs\n\tmovl %%eax, %%ss\n\tmovl %2, %%esp\n\tpopal"
        :
        : "r"(img), "c"(n), "m"(back_esp)
        : "eax", "esi", "memory");
}
#endif
