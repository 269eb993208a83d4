/* entry.S - the suite's assembly: its entry, BIOS calls, exceptions, the ways between the CPU's modes. Everything lies in one
 * segment (suite.h), so that the code may go on at the same offset when the mode changes. */
#define SEL_CODE16 0x08
#define SEL_DATA16 0x10
#define SEL_CODE32 0x18
#define SEL_DATA32 0x20
#define SEL_FLAT   0x28
#define SEL_TSS    0x30
#define BASE       0x10000
#define SEGMENT    0x1000
#define CR0_PE     1
#define EXIT_V86   0xfe         /* MATCH v86 exit vector */

    .code16
    .section .start, "ax"
    .globl _start
_start:
    movw %cs, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0xfff0, %esp
    movb %dl, boot_drive
    movw $__bss_start, %di
    movw $__bss_end, %cx
    subw %di, %cx
    xorw %ax, %ax
    cld
    rep stosb
    sti
    calll suite_main
1:  hlt
    jmp 1b

    .text
/* void bios(uint32_t vector, struct regs *r) */
    .globl bios
bios:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    pushfl
    movb 24(%esp), %al
    movb %al, 2f + 1
    movl 28(%esp), %esi
    movl %esi, bios_regs
    jmp 1f                      /* the changed instruction is fetched anew */
1:  movl 4(%esi), %ebx
    movl 8(%esi), %ecx
    movl 12(%esi), %edx
    movl 20(%esi), %edi
    movl 24(%esi), %ebp
    movw 30(%esi), %es
    movl (%esi), %eax
    pushl 32(%esi)
    pushw 28(%esi)
    pushl 16(%esi)
    popl %esi
    popw %ds
    popfl
2:  int $0
    pushfl
    pushl %esi
    pushw %ds
    movw %cs:data_segment, %ds
    movl bios_regs, %esi
    popw 28(%esi)
    popl 16(%esi)
    popl 32(%esi)
    movl %eax, (%esi)
    movl %ebx, 4(%esi)
    movl %ecx, 8(%esi)
    movl %edx, 12(%esi)
    movl %edi, 20(%esi)
    movl %ebp, 24(%esi)
    movw %es, 30(%esi)
    movw data_segment, %es
    cld
    popfl
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    retl

/* int try_call(void (*fn)(void)): the exception's stub comes back to where fn would have returned. */
    .globl try_call
try_call:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    pushfl
    movl %esp, try_esp
    calll *24(%esp)
    movl $-1, %eax
try_end:
    popfl
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    retl

    .globl trap_stubs
    .align 8
trap_stubs:                     /* 16 stubs of 8 bytes, for vectors 0 to 15 */
    .set n, 0
    .rept 16
    .align 8
    pushw $n
    jmp trap_common
    .set n, n + 1
    .endr
trap_common:
    pushl %eax
    pushl %ebx
    pushw %ds
    movw %cs:data_segment, %ds
    movzwl %sp, %ebx
    .set n, 0
    .rept 8                     /* behind DS, EBX, EAX and the vector */
    movw %ss:12 + 2 * n(%ebx), %ax
    movw %ax, trap_frame + 2 * n
    .set n, n + 1
    .endr
    movzwl %ss:10(%ebx), %eax
    movw data_segment, %ss
    movl try_esp, %esp
    movw data_segment, %es
    cld
    jmp try_end

/* void pm16_call(void (*fn)(void)) */
    .globl pm16_call
pm16_call:
    pushfl
    movl 8(%esp), %ecx
    cli
    lgdt gdt_register
    lidt idt16_register
    movl %cr0, %eax
    orb $CR0_PE, %al
    movl %eax, %cr0
    ljmp $SEL_CODE16, $1f
1:  movw $SEL_DATA16, %ax
    movw %ax, data_segment      /* DS still has real mode's base */
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    calll *%ecx
    calll to_real
    popfl
    retl

/* From 16-bit protected mode to real mode, with interrupts still off. */
to_real:
    movw $SEL_DATA16, %ax       /* SDM 3A 9.9.2: limits of 64 KiB first */
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl %cr0, %eax
    andb $~CR0_PE, %al
    movl %eax, %cr0
    ljmp $SEGMENT, $1f
1:  movw $SEGMENT, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movw %ax, data_segment
    lidt ivt_register
    retl

/* void unreal_enter(void) */
    .globl unreal_enter
unreal_enter:
    pushfl
    cli
    lgdt gdt_register
    movl %cr0, %eax
    orb $CR0_PE, %al
    movl %eax, %cr0
    jmp 2f
2:  movw $SEL_FLAT, %dx
    movw %dx, %fs
    andb $~CR0_PE, %al
    movl %eax, %cr0
    jmp 1f
1:  xorw %ax, %ax
    movw %ax, %fs
    popfl
    retl

/* void v86_enter(void (*fn)(void)): real mode, the monitor in 32-bit protected mode, fn in virtual-8086 mode, and back. */
    .globl v86_enter
v86_enter:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    pushfl
    movl 24(%esp), %ecx
    movl %esp, v86_esp
    cli
    lgdt gdt_register
    lidt idt32_register
    movl %cr0, %eax
    orb $CR0_PE, %al
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $v86_monitor
v86_task:                       /* in virtual-8086 mode, on the stack of real mode */
    calll *%ecx
    int $EXIT_V86
v86_back:                       /* in 16-bit protected mode */
    movw $SEL_DATA16, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl v86_esp, %esp
    calll to_real
    popfl
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    retl

    .code32
v86_monitor:
    movl $SEL_DATA32, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $monitor_stack_top, %esp
    pushl %ecx
    call monitor_begin          /* tables, TSS, interrupt controller; eax: EFLAGS of the task */
    popl %ecx
    movl $SEGMENT, %edx
    pushl %edx                  /* GS, FS, DS, ES, SS */
    pushl %edx
    pushl %edx
    pushl %edx
    pushl %edx
    pushl v86_esp
    pushl %eax
    pushl %edx
    pushl $v86_task
    iretl

/* 256 stubs of 16 bytes. The CPU has pushed an error code for some; the others push 0. */
    .globl monitor_stubs
    .align 16
monitor_stubs:
    .set n, 0
    .rept 256
    .align 16
    .if !(n == 8 || (n >= 10 && n <= 14) || n == 17)
    pushl $0
    .endif
    pushl $n
    jmp monitor_common
    .set n, n + 1
    .endr
monitor_common:
    pushal
    movl $SEL_DATA32, %eax
    movl %eax, %ds
    movl %eax, %es
    cld
    pushl %esp
    call monitor_trap           /* true: the task is at its end */
    addl $4, %esp
    testb %al, %al
    jnz 1f
    popal
    addl $8, %esp
    iretl
1:  call monitor_end
    ljmpl $SEL_CODE16, $v86_back

    .data
    .globl data_segment, gdt, idt16, idt32, boot_drive, trap_frame
data_segment:
    .word SEGMENT
boot_drive:
    .byte 0
    .align 8
gdt:
    .quad 0
    .quad 0x00009b010000ffff    /* CODE16: base 10000h, 64 KiB */
    .quad 0x000093010000ffff    /* DATA16 */
    .quad 0x00cf9b010000ffff    /* CODE32: the same base, 4 GiB */
    .quad 0x00cf93010000ffff    /* DATA32 */
    .quad 0x00cf93000000ffff    /* FLAT: base 0, 4 GiB */
    .quad 0                     /* TSS */
    .quad 0                     /* TEST: what a check needs */
    .quad 0                     /* GATE: a 286 call gate */
gdt_end:
gdt_register:
    .word gdt_end - gdt - 1
    .long gdt + BASE
idt16_register:
    .word 16 * 8 - 1
    .long idt16 + BASE
idt32_register:
    .word 256 * 8 - 1
    .long idt32 + BASE
ivt_register:
    .word 0x3ff
    .long 0

    .bss
    .align 8
idt16:
    .skip 16 * 8
idt32:
    .skip 256 * 8
trap_frame:
    .skip 16
bios_regs:
    .skip 4
try_esp:
    .skip 4
v86_esp:
    .globl v86_esp, monitor_stack_top
    .skip 4
    .align 16
    .skip 2048
monitor_stack_top:
    .section .mark, "a"         /* boot.S looks for it at the end */
    .long SUITE_MARK
    .section .note.GNU-stack, "", @progbits
