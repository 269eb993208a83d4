/* boot.S - the first sector: gets the rest of the suite to 1000:0000 and enters it there with the drive in DL.
 *
 * As a floppy or a hard disk it reads the rest by INT 13h, function 02h, as many sectors at a time as its track has. A CD
 * without emulation has loaded all of it behind this sector already, which the mark at the end of the suite says. */
    .code16
    .text
    .globl _boot
_boot:
    ljmp $0, $1f                /* some firmware enters at 07C0:0000 */
1:  cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    sti
    cld
    movb %dl, drive
    movw $0x0800, %ax
    movw %ax, %es
    cmpl $SUITE_MARK, %es:(SUITE_SECTORS * 512 - 4 - 0x200) /* 8000h is the sector behind the suite's first */
    je loaded

    movb $8, %ah                /* sectors of a track, heads */
    xorw %di, %di
    movw %di, %es
    int $0x13
    jc failed
    andb $0x3f, %cl
    movb %cl, sectors
    incb %dh
    movb %dh, heads
    movw $0x1000, %ax
    movw %ax, %es
    xorw %bx, %bx
    movw $2, %cx                /* cylinder 0, sector 2 */
    xorb %dh, %dh
    movw $SUITE_SECTORS, %si    /* left to read */

track:
    movb sectors, %al
    subb %cl, %al
    incb %al
    xorb %ah, %ah
    cmpw %si, %ax
    jbe 2f
    movw %si, %ax
2:  movw $3, %bp                /* a floppy's motor may be slow: three times */
3:  pushw %ax
    movb $2, %ah
    movb drive, %dl
    int $0x13
    popw %ax
    jnc 4f
    decw %bp
    jz failed
    pushw %ax
    xorb %ah, %ah
    int $0x13
    popw %ax
    jmp 3b
4:  subw %ax, %si
    jz enter
    shlw $9, %ax
    addw %ax, %bx
    movb $1, %cl
    incb %dh
    cmpb heads, %dh
    jb track
    xorb %dh, %dh
    incb %ch
    jmp track

loaded:                         /* 07E0:0000 to 1000:0000, from the end, since they may overlap */
    movw $0x07e0, %ax
    movw %ax, %ds
    movw $0x1000, %ax
    movw %ax, %es
    movw $(SUITE_SECTORS * 512 - 2), %si
    movw %si, %di
    movw $(SUITE_SECTORS * 256), %cx
    std
    rep movsw
    cld
    xorw %ax, %ax
    movw %ax, %ds
enter:
    movb drive, %dl
    ljmp $0x1000, $0

failed:
    movw $text, %si
5:  lodsb
    testb %al, %al
    jz 6f
    movb $0x0e, %ah
    movw $7, %bx
    int $0x10
    jmp 5b
6:  hlt
    jmp 6b
text:
    .asciz "the suite cannot be read\r\n"
drive:
    .byte 0
sectors:
    .byte 0
heads:
    .byte 0
    .org 510
    .word 0xaa55
