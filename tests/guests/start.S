/* start.S - multiboot entry of the test guests: stack, then guest_main(magic, info).
 * Interrupt entry stubs save a full frame and call isr_dispatch (rt.c). */
    .section .multiboot, "a"
    .align 4
    .long 0x1BADB002, 0x00000003, -(0x1BADB002 + 0x00000003)

    .text
    .globl _start
_start:
    cld
    movl $stack_top, %esp
    pushl %ebx
    pushl %eax
    call guest_start
1:  cli
    hlt
    jmp 1b

    .macro STUB_NOERR n
    .align 16
stub\n:
    pushl $0
    pushl $\n
    jmp isr_common
    .endm
    .macro STUB_ERR n
    .align 16
stub\n:
    pushl $\n
    jmp isr_common
    .endm

    .align 16
    .globl stubs
stubs:
    .irp n, 0,1,2,3,4,5,6,7
    STUB_NOERR \n
    .endr
    STUB_ERR 8
    STUB_NOERR 9
    .irp n, 10,11,12,13,14
    STUB_ERR \n
    .endr
    .irp n, 15,16
    STUB_NOERR \n
    .endr
    STUB_ERR 17
    .irp n, 18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48
    STUB_NOERR \n
    .endr

isr_common:
    pushal
    pushl %ds
    pushl %es
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %esp, %eax
    pushl %eax
    call isr_dispatch
    addl $4, %esp
    popl %es
    popl %ds
    popal
    addl $8, %esp
    iret

    .bss
    .align 16
    .skip 16384
stack_top:
    .section .note.GNU-stack, "", @progbits
