/* kernelrom.S - the option ROM that starts -kernel from firmware: it fetches a Linux kernel over fw_cfg by DMA and
 * enters it by its 16-bit entry (Documentation/x86/boot.rst).
 *
 * Built as a raw binary at offset 0; load_linux.c says what the items hold, kernelrom.c fills in the ROM's length
 * and checksums. Memory: MATCH kernelrom memory
 *   10000  setup code and its header, stack and heap up to 1E000
 *   1E000  command line
 * The header in the item is filled in but for the initial ramdisk's place: that must lie below what the firmware
 * keeps at the end of RAM, so it is asked (INT 15h, AX = E801h). */

        .set SETUP_SEG, 0x1000
        .set STACK_TOP, 0xe000
        .set CMDLINE, 0x1e000
        .set KERNEL, 0x100000
        .set RAMDISK_IMAGE, 0x218       /* in the setup header */

        .set SELECTOR, 0x510
        .set DMA_HIGH, 0x514
        .set DMA_LOW, 0x518
        .set DMA_SELECT_READ, 0x0a

        .set KEY_KERNEL_SIZE, 0x08
        .set KEY_INITRD_ADDR, 0x0a
        .set KEY_INITRD_SIZE, 0x0b
        .set KEY_KERNEL_DATA, 0x11
        .set KEY_INITRD_DATA, 0x12
        .set KEY_CMDLINE_SIZE, 0x14
        .set KEY_CMDLINE_DATA, 0x15
        .set KEY_SETUP_SIZE, 0x17
        .set KEY_SETUP_DATA, 0x18

        .code16
        .text
        .globl _start
_start:
        .byte 0x55, 0xaa, 0             /* length in units of 512 bytes: filled in */
        lret                            /* offset 3: nothing to initialise */

        .org 0x1a
        .word pnp

        /* Plug and Play BIOS specification 1.0A, 3.2: the expansion header, with a way to boot (BEV). */
        .org 0x20
pnp:    .ascii "$PnP"
        .byte 1, 2                      /* revision; length in units of 16 bytes */
        .word 0
        .byte 0, 0                      /* checksum: filled in */
        .long 0
        .word maker, product
        .byte 0, 0, 0, 0
        .word 0, 0, boot, 0, 0

maker:  .asciz "Tandem"
product:.asciz "-kernel"

boot:
        cld
        movw $KEY_SETUP_SIZE, %ax
        call number
        movl $(SETUP_SEG << 4), %edi
        movw $KEY_SETUP_DATA, %ax
        call fetch
        movw $KEY_CMDLINE_SIZE, %ax
        call number
        movl $CMDLINE, %edi
        movw $KEY_CMDLINE_DATA, %ax
        call fetch
        movw $KEY_KERNEL_SIZE, %ax
        call number
        movl $KERNEL, %edi
        movw $KEY_KERNEL_DATA, %ax
        call fetch
        movw $KEY_INITRD_SIZE, %ax
        call number
        testl %ecx, %ecx
        jz enter
        call place
        movw $KEY_INITRD_DATA, %ax
        call fetch
enter:
        cli
        movw $SETUP_SEG, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %fs
        movw %ax, %gs
        movw %ax, %ss
        movl $STACK_TOP, %esp
        ljmp $(SETUP_SEG + 0x20), $0

/* ECX: bytes of the ramdisk. EDI: where it goes, which the header is told. */
place:
        pushl %ecx
        movw $0xe801, %ax               /* BX: 64 KiB blocks from 16 MiB on; AX: KiB from 1 MiB on, if BX is 0 */
        int $0x15
        jc failed
        movzwl %bx, %ebx
        shll $16, %ebx
        jz 1f
        addl $0x1000000, %ebx
        jmp 2f
1:      movzwl %ax, %ebx
        shll $10, %ebx
        addl $0x100000, %ebx
2:      movw $KEY_INITRD_ADDR, %ax      /* the highest place by the kernel's own limits */
        call number
        movl %ecx, %edi
        popl %ecx
        subl %ecx, %ebx
        jc failed
        andl $0xfffff000, %ebx
        cmpl %ebx, %edi
        jbe 3f
        movl %ebx, %edi
3:      movw $SETUP_SEG, %ax
        movw %ax, %es
        movl %edi, %es:RAMDISK_IMAGE
        ret

/* AX: an item of four bytes. ECX: its value. */
number:
        movw $SELECTOR, %dx
        outw %ax, %dx
        incw %dx
        movw $4, %cx
1:      inb %dx, %al
        rorl $8, %eax
        loop 1b
        movl %eax, %ecx
        ret

/* AX: an item; ECX: its bytes; EDI: where to. The command lies on the stack, big-endian. */
fetch:
        movl %edi, %ebx
        bswapl %ebx
        pushl %ebx
        pushl $0
        movl %ecx, %ebx
        bswapl %ebx
        pushl %ebx
        shll $16, %eax
        movw $DMA_SELECT_READ, %ax
        bswapl %eax
        pushl %eax
        movw %sp, %bp
        xorl %eax, %eax
        movw $DMA_HIGH, %dx
        outl %eax, %dx
        movw %ss, %ax
        shll $4, %eax
        movzwl %bp, %ebx
        addl %ebx, %eax
        bswapl %eax
        movw $DMA_LOW, %dx
        outl %eax, %dx
1:      movl (%bp), %eax
        bswapl %eax
        testl $0xfffffffe, %eax         /* all but the error bit are 0 when it is done */
        jnz 1b
        testl %eax, %eax
        jnz failed
        addw $16, %sp
        ret

failed:
        int $0x18                       /* the next device */
        jmp failed

        .org 0x1ff
        .byte 0
