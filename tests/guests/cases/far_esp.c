/* far_esp.c - LCALL *(%esp), LJMP *(%esp), LCALL *8(%esp): the pointer is read before anything is pushed;
 * PUSH/POP with ESP in the address (POP (%esp) uses the new ESP), PUSH (%esp), CALL *(%esp). */
#include "rt.h"
int guest_main(void)
{
    uint32_t r, d, cs;
    __asm__ volatile("movl %%cs, %0" : "=r"(cs));
    for (unsigned k = 0; k < 100; k++) {
        /* target sits behind; the callee returns by lret to just behind the call */
        __asm__ volatile("movl %%esp, %%esi\n\tpushl %%cs\n\tpushl $2f\n\tlcall *(%%esp)\n\t"
                         "movl $0x600d, %0\n\tjmp 3f\n"
                         "2:\tmovl (%%esp), %%edi\n\tmovl 4(%%esp), %1\n\tlret\n"
                         "3:\tmovl %%esi, %%edx\n\tsubl %%esp, %%edx\n\tmovl %%esi, %%esp"
                         : "=&a"(r), "=&b"(d)
                         :
                         : "edx", "esi", "edi", "memory");
        EXPECT_EQ(r, 0x600d);
        EXPECT_EQ(d & 0xffff, cs);
        __asm__ volatile("movl %%esp, %%esi\n\tmovl $0, %0\n\tpushl %%cs\n\tpushl $2f\n\tljmp "
                         "*(%%esp)\n\tmovl $1, %0\n2:\tmovl %%esi, %1\n\tsubl %%esp, %1\n\tmovl %%esi, %%esp"
                         : "=&a"(r), "=&b"(d)
                         :
                         : "esi", "memory");
        EXPECT_EQ(r, 0);
        EXPECT_EQ(d, 8);
        /* 16-bit operand size: pointer of 4 bytes, 4 bytes pushed: only in the guest, where code lies low */
        __asm__ volatile("movl %%esp, %%esi\n\tpushl $2f\n\tcall *(%%esp)\n\tjmp 3f\n2:\tmovl $5, "
                         "%0\n\tret\n3:\tmovl %%esi, %1\n\tsubl %%esp, %1\n\tmovl %%esi, %%esp"
                         : "=&a"(r), "=&b"(d)
                         :
                         : "esi", "memory");
        EXPECT_EQ(r, 5);
        EXPECT_EQ(d, 4);
        __asm__ volatile("movl %%esp, %%esi\n\tpushl $0x11\n\tpushl $0x22\n\tpushl $0x33\n\tpopl "
                         "(%%esp)\n\tmovl (%%esp), %0\n\tmovl 4(%%esp), %1\n\tmovl %%esi, %%esp"
                         : "=&a"(r), "=&b"(d)
                         :
                         : "esi", "memory");
        EXPECT_EQ(r, 0x33);
        EXPECT_EQ(d, 0x11);
        __asm__ volatile("movl %%esp, %%esi\n\tpushl $0x44\n\tpushl (%%esp)\n\tmovl (%%esp), %0\n\tpushl "
                         "%%esp\n\tpopl %1\n\tsubl %%esp, %1\n\tmovl %%esi, %%esp"
                         : "=&a"(r), "=&b"(d)
                         :
                         : "esi", "memory");
        EXPECT_EQ(r, 0x44);
        EXPECT_EQ(d, 0);
    }
    return 0;
}
