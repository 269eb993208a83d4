/* test_compiled.c - compiled code against the interpreter, stopped at every tick: loops whose flags stay in
 * registers over the back edge, rotates whose flags are put off, helpers behind which the run loop is not
 * asked. */
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>

#define LEAVE " mov $0xf4, %dx\n out %eax, %dx\n 99: jmp 99b\n"

/* Compares, tests and sums before the branch; values in registers, constants and memory. */
GUEST_CODE(loop_compare,
           "mov $3, %ecx\n 1: movb $1, 0x9000(%ecx)\n add $5, %ecx\n cmp $40, %ecx\n jb 1b\n" LEAVE);
GUEST_CODE(loop_step, "mov $9, %ecx\n 1: inc %eax\n dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(loop_test, "mov $0x155, %ecx\n 1: shr %ecx\n test $0xff, %cl\n jnz 1b\n" LEAVE);
GUEST_CODE(loop_memory, "movl $7, 0x9000\n 1: push %eax\n subl $1, 0x9000\n jns 1b\n" LEAVE);
GUEST_CODE(loop_carry, "mov $6, %ecx\n 1: adc %ecx, %eax\n rcl %edx\n dec %ecx\n jnz 1b\n" LEAVE);
/* LOOP tests the count, not the flags, which are in other places at the end of each copy. */
GUEST_CODE(loop_count, "mov $8, %ecx\n mov $3, %ebx\n 1: cmp %ebx, %ecx\n loop 1b\n" LEAVE);
GUEST_CODE(loop_mixed, "mov $8, %ecx\n 1: setc %al\n inc %ebx\n cmp %ecx, %ebx\n loop 1b\n" LEAVE);
GUEST_CODE(loop_rotate, "mov $8, %ecx\n mov $0x81, %eax\n 1: cmp $4, %ecx\n rol $3, %eax\n loop 1b\n" LEAVE);
GUEST_CODE(loop_rotate_carry,
           "mov $8, %ecx\n mov $0x81, %eax\n 1: adc %eax, %ebx\n ror $1, %eax\n loop 1b\n" LEAVE);
GUEST_CODE(loop_overwritten,
           "mov $8, %ecx\n 1: rol $5, %ecx\n mov %ecx, %edx\n mov 0x10000, %ecx\n and $3, %ecx\n"
           " sub $1, %dl\n jo 1b\n" LEAVE);
/* The loop changes its own code. */
GUEST_CODE(loop_smc,
           "mov $4, %ecx\n mov %esi, %eax\n 1: add $1, %eax\n incb 0x10009\n dec %ecx\n jnz 1b\n" LEAVE);
/* Pages that the loop remembers: it comes to others, stores into its own code, and reads what has the same
 * place in the TLB. */
#define COPY(from, to)                                                                                       \
    "mov $" from ", %esi\n mov $" to ", %edi\n mov $9, %ecx\n 1: mov (%esi), %al\n mov %al, (%edi)\n"        \
    " inc %esi\n lea 1(%edi), %edi\n dec %ecx\n jnz 1b\n"
GUEST_CODE(loop_pages, COPY("0x8ffb", "0x9ffd") LEAVE);
GUEST_CODE(loop_pages_down,
           "mov $0x9004, %esp\n mov $7, %ecx\n 1: push %ecx\n mov 4(%esp), %eax\n cmp %eax, 0x8ffc(,%ecx,4)\n"
           " dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(loop_into_code, COPY("0x9000", "0xfffb") LEAVE);
GUEST_CODE(loop_evicts, COPY("0x9000", "0x1009000") LEAVE);
GUEST_CODE(
    loop_many,
    "mov $5, %ecx\n mov $0x8ff8, %ebx\n mov $0x9ff4, %edx\n mov $0xaff0, %esi\n 1: mov (%ebx), %eax\n"
    " add %eax, (%edx)\n mov %edx, (%esi)\n add %ecx, 4(%esi)\n push 4(%ebx)\n incl 4(%edx)\n pop 8(%ebx)\n"
    " add $4, %ebx\n add $4, %edx\n add $4, %esi\n dec %ecx\n jnz 1b\n" LEAVE);
/* Strips: down, by an index that is computed in the loop, with flags that live from one iteration to the next
 * or are read from memory, by a pointer that stands still, with more pointers than registers, and with code
 * in C between. */
GUEST_CODE(strip_down, "mov $0x109010, %esi\n mov $14, %ecx\n 1: mov %ecx, -4(%esi)\n incl (%esi)\n sub $4, "
                       "%esi\n dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(
    strip_index,
    "mov $0x108fd0, %ebx\n 1: lea (,%edx,4), %ecx\n inc %edx\n mov 64(%ebx,%ecx), %edi\n add %edx, %edi\n"
    " mov %edi, (%ebx,%ecx)\n cmp $15, %edx\n jnz 1b\n" LEAVE);
GUEST_CODE(strip_carry, "mov $0x108fe8, %esi\n mov $12, %ecx\n mov $-1, %edx\n 1: adc %ecx, (%esi)\n adc "
                        "%edx, %eax\n lea 4(%esi), %esi\n"
                        " dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(strip_loop,
           "mov $0x108fe8, %esi\n mov $12, %ecx\n 1: add %ecx, (%esi)\n lea 4(%esi), %esi\n loop 1b\n" LEAVE);
GUEST_CODE(strip_search, "mov $0x108fe8, %esi\n movl $9, 0x109004\n mov $9, %eax\n 1: add $4, %esi\n cmp "
                         "%eax, (%esi)\n jne 1b\n" LEAVE);
GUEST_CODE(strip_test,
           "mov $0x108fe8, %esi\n movb $9, 0x109004\n 1: inc %esi\n testb $1, (%esi)\n je 1b\n" LEAVE);
GUEST_CODE(strip_still,
           "mov $0x109000, %ebx\n movl $14, (%ebx)\n 1: inc %eax\n decl (%ebx)\n jnz 1b\n" LEAVE);
GUEST_CODE(
    strip_many,
    "mov $0x108ff0, %ebx\n mov $0x109ff4, %edx\n mov $0x10aff8, %esi\n mov $0x10b000, %edi\n 1: mov (%ebx), "
    "%eax\n"
    " add %eax, (%edx)\n mov %edx, (%esi)\n add %ecx, (%edi)\n add $4, %ebx\n add $4, %edx\n add $4, %esi\n"
    " add $2, %edi\n inc %ecx\n cmp $8, %ecx\n jnz 1b\n" LEAVE);
/* SSE, aligned and not; the last stride breaks the alignment. */
#define SSE_ON "mov %cr4, %eax\n or $0x200, %eax\n mov %eax, %cr4\n"
GUEST_CODE(strip_sse, SSE_ON "mov $0x108fc0, %esi\n mov $0x109fe0, %edi\n mov $6, %ecx\n 1: movdqa (%esi), "
                             "%xmm0\n paddd 16(%esi), %xmm0\n"
                             " movd %ecx, %xmm1\n pxor %xmm1, %xmm0\n movdqa %xmm0, (%edi)\n movups %xmm1, "
                             "4(%esi)\n add $16, %esi\n add $16, %edi\n"
                             " dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(strip_sse_flags, SSE_ON
           "mov $0x108fe4, %esi\n mov $7, %ecx\n 1: cvtsi2sd %ecx, %xmm0\n addss (%esi), %xmm0\n movss "
           "%xmm0, 4(%esi)\n"
           " add $4, %esi\n sub $1, %ecx\n comiss %xmm1, %xmm0\n ja 1b\n test %ecx, %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(strip_misaligned, SSE_ON "mov $0x109000, %esi\n mov $9, %ecx\n 1: movaps %xmm0, (%esi)\n add $8, "
                                    "%esi\n dec %ecx\n jnz 1b\n" LEAVE);
/* What is compiled behind the first loop must not become its ops. */
GUEST_CODE(strip_in_c, "mov $3, %ebp\n 0: mov $0x108fe8, %esi\n mov $0x109fe8, %edi\n mov $9, %ecx\n 1: rcl "
                       "%cl, %edx\n add %edx, (%esi)\n"
                       " mov (%edi), %eax\n setc %al\n mov %al, 1(%edi)\n add $4, %esi\n add $4, %edi\n dec "
                       "%ecx\n jnz 1b\n mov $5, %ecx\n"
                       " 1: incl (%esi)\n addl $7, 4(%esi)\n add $4, %esi\n inc %edx\n dec %ecx\n jnz 1b\n "
                       "dec %ebp\n jnz 0b\n" LEAVE);
GUEST_CODE(strip_at_zero,
           "mov $64, %eax\n mov $12, %ecx\n 1: add %ecx, 4(%eax)\n sub $8, %eax\n dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(
    strip_into_code,
    "mov $0x10cfe0, %edi\n mov $12, %ecx\n 1: mov %ecx, (%edi)\n add $4, %edi\n dec %ecx\n jnz 1b\n" LEAVE);
/* The base passes 0 between two accesses to one page. */
GUEST_CODE(
    group_wraps_down,
    "mov $3, %ecx\n 1: xor %eax, %eax\n mov %ecx, (%eax)\n sub $8, %eax\n add %ecx, 12(%eax)\n dec %ecx\n"
    " jnz 1b\n" LEAVE);
/* Helpers that leave, and divisions. */
GUEST_CODE(helpers, "mov $3, %ecx\n 1: sti\n cli\n cld\n lodsb\n std\n stosb\n push %ds\n pop %ds\n in "
                    "$0x20, %eax\n dec %ecx\n"
                    " jnz 1b\n rdtsc\n" LEAVE);
GUEST_CODE(repeated, "cld\n mov $5, %ecx\n mov $0x9000, %edi\n rep stosb\n mov $3, %ecx\n mov $0x9000, "
                     "%esi\n rep movsl\n" LEAVE);
GUEST_CODE(
    divide,
    "mov $1000, %eax\n cmp $3, %eax\n mov $7, %ecx\n div %ecx\n cltd\n idiv %ecx\n mov $-9, %eax\n cltd\n"
    " idivl %ecx\n mov $1, %edx\n mov $5, %ecx\n idivl %ecx\n sbb %ebx, %ebx\n" LEAVE);
/* What the flags were before the rotate is in part in a slot already where the helper divides. */
GUEST_CODE(
    divide_rotated,
    "mov $3, %edi\n mov $4, %esi\n mov $1, %ecx\n 1: xor %eax, %eax\n mov %ecx, %edx\n xor %ebx, %ebx\n"
    " and %ecx, %edx\n ror $1, %ebx\n idiv %esi\n setz %bl\n setp %bh\n mov %ecx, %edx\n and %ecx, %edx\n"
    " rol $1, %edi\n div %esi\n setz %cl\n setc %ch\n dec %edi\n jnz 1b\n" LEAVE);
/* CF is that of a shift of the destination, ZF that of a result into which other bits came. */
GUEST_CODE(double_shift,
           "xor %eax, %eax\n mov $0x80000001, %ebx\n shld $17, %ebx, %eax\n seta %cl\n setbe %ch\n"
           " mov $1, %eax\n shld $31, %ebx, %eax\n setbe %dl\n seta %dh\n shld $1, %ebx, %eax\n adc %ecx, "
           "%edx\n" LEAVE);

/* Data segments loaded again and again, while base, limit, accessed bit or the register itself change in
 * between: by the descriptor, by a null selector, by real mode. */
GUEST_CODE(
    segments,
    "movl $0x9000ffff, 0x1008\n movl $0xcf9200, 0x100c\n movl $5, 0x9010\n movl $7, 0xa010\n movl $9, 0x90\n"
    " mov $9, %ecx\n mov $8, %eax\n"
    " 1: mov %eax, %es\n add %es:0x10, %edx\n push %es\n pop %es\n mov %eax, %fs\n mov %fs:0x10, %ebx\n"
    " push %ds\n pop %ds\n mov %eax, %es\n mov %ax, %fs\n add %ebx, %edx\n"
    " cmp $7, %ecx\n jne 2f\n movb $0xa0, 0x100b\n"
    " 2: cmp $6, %ecx\n jne 2f\n andb $0xfe, 0x100d\n"
    " 2: cmp $5, %ecx\n jne 2f\n xor %ebx, %ebx\n mov %ebx, %es\n mov %ebx, %fs\n"
    " 2: cmp $4, %ecx\n jne 2f\n movb $0x4f, 0x100e\n"
    " 2: cmp $3, %ecx\n jne 2f\n mov %cr0, %ebx\n dec %ebx\n mov %ebx, %cr0\n mov %eax, %es\n"
    " inc %ebx\n mov %ebx, %cr0\n"
    " 2: dec %ecx\n jnz 1b\n" LEAVE);
/* Two selectors of one descriptor, and two descriptors that are alike. */
GUEST_CODE(
    segments_alike,
    "movl $0x0000ffff, 0x1008\n movl $0xcff300, 0x100c\n mov $5, %ecx\n mov $8, %eax\n mov $0x2b, %ebx\n"
    " mov $0x28, %ebp\n 1: mov %eax, %es\n mov %ebx, %es\n mov %es, %edx\n add %edx, %esi\n"
    " mov %ebp, %es\n mov %es, %edx\n add %edx, %esi\n test $1, %cl\n jz 2f\n xchg %eax, %ebx\n"
    " xchg %ebp, %ebx\n 2: mov %es, %edi\n mov %eax, %es\n add %esi, %edi\n dec %ecx\n jnz 1b\n" LEAVE);
/* One load sees three selectors in turn. */
GUEST_CODE(
    segments_in_turn,
    "movl $0x0000ffff, 0x1008\n movl $0xcff300, 0x100c\n mov $9, %ecx\n mov $8, %eax\n mov $0x2b, %ebx\n"
    " mov $0x28, %ebp\n 1: mov %eax, %es\n mov %es, %edx\n add %edx, %esi\n xchg %eax, %ebx\n"
    " xchg %ebp, %ebx\n dec %ecx\n jnz 1b\n" LEAVE);
/* A load that was as the last one meets a shorter table, and a descriptor that is not present. */
GUEST_CODE(segments_short, "mov $4, %ecx\n mov $0x18, %eax\n 1: mov %eax, %es\n cmp $2, %ecx\n jne 2f\n"
                           " pushl $0\n pushl $0x10000017\n lgdt (%esp)\n 2: dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(segments_absent, "mov $4, %ecx\n mov $0x18, %eax\n 1: mov %eax, %es\n cmp $2, %ecx\n jne 2f\n"
                            " movb $0x13, 0x101d\n 2: dec %ecx\n jnz 1b\n" LEAVE);
/* FS and GS in flat mode, which change at each load and end no block. */
GUEST_CODE(
    segments_aside,
    "movl $0x9000ffff, 0x1008\n movl $0xcf9200, 0x100c\n movl $5, 0x9010\n movl $7, 0xa010\n mov $9, %ecx\n"
    " mov $8, %eax\n xor %ebx, %ebx\n"
    " 1: mov %eax, %fs\n add %fs:0x10, %edx\n mov %fs, %esi\n add %esi, %edi\n mov %ebx, %fs\n"
    " mov %fs, %esi\n add %esi, %edi\n push %eax\n pop %gs\n add %gs:0x10, %edx\n push %ebx\n pop %gs\n"
    " mov %gs, %esi\n add %esi, %edi\n mov $0x18, %esi\n mov %esi, %gs\n add %gs:0x9010, %edx\n mov $0x28, "
    "%esi\n mov %esi, %gs\n mov $0x2b, %esi\n mov %esi, %gs\n mov %gs, %esi\n add %esi, %edi\n"
    " cmp $7, %ecx\n jne 2f\n movb $0xa0, 0x100b\n"
    " 2: cmp $6, %ecx\n jne 2f\n andb $0xfe, 0x100d\n"
    " 2: cmp $5, %ecx\n jne 2f\n mov $3, %ebx\n"
    " 2: cmp $4, %ecx\n jne 2f\n movb $0x4f, 0x100e\n"
    " 2: cmp $2, %ecx\n jne 2f\n mov $0x12340008, %eax\n"
    " 2: dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(aside_short,
           "mov $4, %ecx\n mov $0x18, %eax\n 1: mov %eax, %fs\n inc %edx\n cmp $2, %ecx\n jne 2f\n"
           " pushl $0\n pushl $0x10000017\n lgdt (%esp)\n 2: dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(aside_absent,
           "mov $4, %ecx\n mov $0x18, %eax\n 1: push %eax\n pop %gs\n inc %edx\n cmp $2, %ecx\n jne 2f\n"
           " movb $0x13, 0x101d\n 2: dec %ecx\n jnz 1b\n" LEAVE);
/* REP MOVS of a few words: apart, downwards, onto itself in both directions, over a page's end. */
GUEST_CODE(
    copies,
    "mov $0x109fe0, %ebx\n movl $0x11223344, (%ebx)\n movl $0x55667788, 4(%ebx)\n mov $2, %ebp\n"
    " 1: mov %ebx, %esi\n mov $0x10a100, %edi\n mov $3, %ecx\n rep movsl\n mov %ebx, %esi\n lea 4(%ebx), "
    "%edi\n"
    " mov $5, %ecx\n rep movsl\n lea 4(%ebx), %esi\n mov %ebx, %edi\n mov $9, %ecx\n rep movsw\n"
    " lea 8(%ebx), %edi\n mov %ebx, %esi\n mov $10, %ecx\n rep movsl\n std\n mov $3, %ecx\n rep movsb\n cld\n"
    " xor %ecx, %ecx\n rep movsl\n inc %ecx\n rep movsb\n dec %ebp\n jnz 1b\n" LEAVE);

/* REP STOS and REP MOVS by the stubs, while the x87 holds something: few elements and many, up to a page's
 * end and over it, none; copies onto what is still to be copied. */
GUEST_CODE(fills,
           "mov $0x109f80, %ebx\n mov $3, %ebp\n fldpi\n 1: mov %ebp, %eax\n mov %ebx, %edi\n mov $5, %ecx\n"
           " rep stosl\n fld1\n faddp\n lea 0x40(%ebx), %edi\n mov $16, %ecx\n rep stosl\n mov $9, %ecx\n "
           "rep stosw\n"
           " xor %ecx, %ecx\n rep stosb\n fstl (%ebx)\n lea 8(%ebx), %edi\n mov $33, %ecx\n rep stosb\n"
           " lea 0x70(%ebx), %edi\n mov $8, %ecx\n rep stosl\n lea -0x100(%ebx), %edi\n mov $40, %ecx\n rep "
           "stosl\n dec %ebp\n jnz 1b\n" LEAVE);
GUEST_CODE(
    copies_many,
    "mov $0x109000, %ebx\n mov $3, %ebp\n fldpi\n fstl 0x20(%ebx)\n 1: mov %ebx, %esi\n lea 0x200(%ebx), "
    "%edi\n"
    " mov $33, %ecx\n rep movsl\n lea 0x20(%ebx), %esi\n lea 0x24(%ebx), %edi\n mov $40, %ecx\n rep movsl\n"
    " lea 0x24(%ebx), %esi\n lea 0x20(%ebx), %edi\n mov $70, %ecx\n rep movsw\n fld1\n faddp\n"
    " fstl 0x28(%ebx)\n lea 0x21(%ebx), %esi\n lea 0x20(%ebx), %edi\n mov $100, %ecx\n rep movsb\n"
    " lea 0x100(%ebx), %esi\n lea 0xf90(%ebx), %edi\n mov $40, %ecx\n rep movsl\n dec %ebp\n jnz 1b\n" LEAVE);
/* Pages with the same addend in a row, then others. */
GUEST_CODE(addends,
           "mov $0x120000, %ebx\n mov $40, %ecx\n 1: mov %ecx, (%ebx)\n add $0x1000, %ebx\n dec %ecx\n"
           " jnz 1b\n mov $0x109000, %ebx\n mov $0x121000, %esi\n mov $6, %ecx\n 2: add %ecx, (%ebx)\n"
           " mov 4(%ebx), %eax\n add (%esi), %eax\n push %eax\n xor %eax, 8(%ebx,%ecx,4)\n pop 4(%esi)\n"
           " add $0x1000, %ebx\n and $0x10bfff, %ebx\n dec %ecx\n jnz 2b\n" LEAVE);

/* Pages with one set of the TLB in turn and by constant addresses, in groups, loops, and from C. Their common
 * entry in the page table loses A and D without a flush and is read: it says who needed a walk. */
#define NEXT_PAGE "add $0x1000000, %ebx\n and $0x3ffffff, %ebx\n"
#define WALKED    "add 0x81024, %edx\n rol $3, %edx\n andl $~0x60, 0x81024\n"
GUEST_CODE(ways_single,
           "mov $9, %ecx\n mov $0x9000, %ebx\n 1: add %ecx, 0x1009000\n" NEXT_PAGE "mov (%ebx), %eax\n" WALKED
           "mov %al, 0x2009004\n" WALKED "incw 4(%ebx)\n dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(ways_group,
           "mov $9, %ecx\n mov $0x9000, %ebx\n mov $0x1009000, %esi\n 1: mov %ecx, (%ebx)\n"
           " add 4(%esi), %edx\n add %edx, 8(%ebx)\n mov 8(%esi), %eax\n mov %eax, 4(%ebx)\n" WALKED
           "xor 4(%esi), %edx\n" NEXT_PAGE "dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(ways_crossing, "mov $9, %ecx\n mov $0x9ffe, %ebx\n 1: add %ecx, (%ebx)\n" NEXT_PAGE WALKED
                          "mov 0x1009ffd, %eax\n" WALKED "dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(ways_loop, "mov $0x9000, %esi\n mov $0x1009100, %edi\n mov $0x2009200, %ebx\n mov $7, %ecx\n"
                      " 1: mov (%esi), %eax\n add %ecx, %eax\n mov %eax, (%edi)\n add %eax, (%ebx)\n"
                      " add $4, %esi\n add $4, %edi\n add $4, %ebx\n dec %ecx\n jnz 1b\n" WALKED LEAVE);
GUEST_CODE(ways_sse,
           SSE_ON "mov $9, %ecx\n mov $0x9000, %ebx\n 1: movd %ecx, %xmm1\n paddd 0x1009010, %xmm1\n"
                  " movaps %xmm1, (%ebx)\n" WALKED NEXT_PAGE
                  "movups 4(%ebx), %xmm0\n movups %xmm0, 0x2009014\n" WALKED
                  "fildl (%ebx)\n fistpl 0x3009020\n dec %ecx\n jnz 1b\n" LEAVE);
GUEST_CODE(ways_string,
           "cld\n mov $5, %ebp\n mov $0x9000, %ebx\n 1: mov %ebx, %edi\n mov $0x1009000, %esi\n"
           " mov $3, %ecx\n rep movsl\n" WALKED NEXT_PAGE "mov %ebp, (%ebx)\n dec %ebp\n jnz 1b\n" LEAVE);

/* Flags that only an access shows whose page an earlier one has looked up. It faults behind the page's end,
 * so that the check fails; or because the page has left the page table, and then the TLB by the accesses
 * between. The handler puts the page back and notes EFLAGS. */
GUEST_CODE(fault_handler, "push %eax\n mov %cr2, %eax\n shr $12, %eax\n orl $1, 0x81000(,%eax,4)\n"
                          " mov 16(%esp), %eax\n roll $5, 0x8f00\n xor %eax, 0x8f00\n pop %eax\n"
                          " lea 4(%esp), %esp\n iret\n");
#define FAULT_BEHIND(name, ops)                                                                              \
    GUEST_CODE(name,                                                                                         \
               "mov $3, %ebp\n mov $0x109ffc, %ebx\n 1: andl $~1, 0x81428\n invlpg 0x10a000\n jmp 2f\n"      \
               " 2: lea 7(%ebp), %ecx\n mov (%ebx), %eax\n" ops "mov 4(%ebx), %ecx\n add %ecx, %esi\n"       \
               " dec %ebp\n jnz 1b\n" LEAVE)
FAULT_BEHIND(fault_sum, "add %ebp, %ecx\n");
FAULT_BEHIND(fault_compare, "cmp %ebp, %ecx\n mov %eax, %ecx\n");
FAULT_BEHIND(fault_test, "test %ebp, %ecx\n");
FAULT_BEHIND(fault_step, "cmp %ecx, %ebp\n inc %ecx\n");
FAULT_BEHIND(fault_carry, "cmp %ecx, %ebp\n sbb %ecx, %ecx\n");
FAULT_BEHIND(fault_shift, "shr $2, %ecx\n");
FAULT_BEHIND(fault_rotate, "xor %edx, %edx\n ror $3, %ecx\n");
FAULT_BEHIND(fault_bit, "sub %ebp, %ecx\n bt $0, %ecx\n");
FAULT_BEHIND(fault_store, "neg %ecx\n mov %ecx, 8(%ebx)\n imul %ecx, %ecx\n");
/* A condition's byte goes into a register that holds flags which are seen later. */
FAULT_BEHIND(fault_set, "add %ebp, %ecx\n setp %cl\n");
/* The first of its group overwrites them. */
GUEST_CODE(fault_load, "mov $3, %ebp\n mov $0x10a000, %ebx\n 1: andl $~1, 0x81428\n invlpg 0x10a000\n"
                       " jmp 2f\n 2: lea 7(%ebp), %ecx\n sub %ebp, %ecx\n mov (%ebx), %ecx\n"
                       " add 4(%ebx), %ecx\n dec %ebp\n jnz 1b\n" LEAVE);
GUEST_CODE(fault_evicted,
           "mov $4, %ebp\n mov $0x109000, %ebx\n 1: mov $0x1109000, %esi\n mov $0x2109000, %edi\n"
           " mov (%ebx), %edx\n andl $~1, 0x81424\n jmp 2f\n"
           " 2: mov (%ebx), %eax\n add %ebp, %esi\n mov (%esi), %esi\n mov 8(%ebx), %ecx\n"
           " adc %eax, %ecx\n mov (%edi), %edi\n neg %ecx\n mov 4(%ebx), %ecx\n cmp %ecx, %ebp\n"
           " mov %ecx, 12(%ebx)\n dec %ebp\n jnz 1b\n" LEAVE);

static void fault_pages(struct harness *h)
{
    enum { P = 1, RW = 2, TABLE = 0x86000 };
    harness_paging(h, P | RW);
    for (uint32_t i = 1; i <= 2; i++) /* 16 and 32 MiB */
        harness_poke32(h, 0x80000 + 16 * i, TABLE | P | RW);
    harness_poke32(h, TABLE + 4 * 0x109, 0x10c000 | P | RW);
    harness_put(h, 0x8e000, fault_handler, (size_t)(fault_handler_end - fault_handler));
    harness_gate(h, 14, 0x8e000, 0);
}

/* Pages that follow one another in linear memory do not in physical memory. The last is the code's, too. The
 * first 4 MiB are at 16, 32 and 48 MiB, too. */
static void shuffle_pages(struct harness *h)
{
    enum { P = 1, RW = 2 };
    static const uint32_t to[] = {0x10b000, 0x109000, 0x10e000, 0x10a000, HARNESS_CODE};
    harness_paging(h, P | RW);
    for (unsigned i = 0; i < sizeof to / sizeof to[0]; i++)
        harness_poke32(h, harness_pte(0x109000 + i * 0x1000), to[i] | P | RW);
    for (uint32_t i = 1; i <= 3; i++)
        harness_poke32(h, 0x80000 + 16 * i, harness_peek32(h, 0x80000));
}

static uint64_t run(const uint8_t *code, const uint8_t *end, void (*pages)(struct harness *h), uint64_t ticks,
                    enum translator_mode mode)
{
    static struct harness h;
    harness_init(&h,
                 &(struct harness_options){.tick_limit = ticks, .translator = mode, .ram_bytes = 2 << 20});
    harness_load32(&h, code, end);
    harness_tables(&h);
    if (pages)
        pages(&h);
    vcpu_run(h.cpu);
    uint64_t result = harness_fingerprint(&h);
    harness_free(&h);
    return result;
}

static void compare(const char *name, const uint8_t *code, const uint8_t *end,
                    void (*pages)(struct harness *h))
{
    for (unsigned i = 90; i >= 1 && i <= 90; i -= test_every()) {
        uint64_t ticks = i < 90 ? i : 30000; /* the first: to the guest's end */
        cr_assert_eq(run(code, end, pages, ticks, TRANSLATOR_EAGER),
                     run(code, end, pages, ticks, TRANSLATOR_INTERP), "%s, tick %u", name, (unsigned)ticks);
    }
}
#define COMPARE(name)        compare(#name, name, name##_end, NULL)
#define COMPARE_PAGED(name)  compare(#name, name, name##_end, shuffle_pages)
#define COMPARE_FAULTS(name) compare(#name, name, name##_end, fault_pages)

/* Two accesses in three instructions; the horizon comes often. */
GUEST_CODE(endless, "1: add %eax, 0x9000\n inc %eax\n jmp 1b\n");

static struct harness surveyed;

static uint64_t run_endless(bool survey)
{
    const struct harness_options o = {.ram_bytes = 2 << 20,
                                      .tick_limit = 3000000,
                                      .quantum_ticks = 600,
                                      .translator = TRANSLATOR_EAGER,
                                      .survey = survey};
    harness_init(&surveyed, &o);
    harness_load32(&surveyed, endless, endless_end);
    vcpu_run(surveyed.cpu);
    return harness_fingerprint(&surveyed);
}

Test(compiled, survey)
{
    struct vcpu_stats s;
    uint64_t without = run_endless(false);
    harness_free(&surveyed);
    cr_assert_eq(run_endless(true), without);
    vcpu_get_stats(surveyed.cpu, &s);
    cr_assert_geq(s.survey_ticks, 600);
    cr_assert_leq(s.survey_ticks, 3000000 / 8192 + 600, "a survey costs little");
    cr_assert_eq(s.survey_accesses, 2 * s.survey_blocks);
    /* A block more for each survey: that which does not begin any more, at the limit. */
    cr_assert_eq(s.survey_blocks * 600, s.survey_ticks / 3 * 600 + s.survey_ticks);
    harness_free(&surveyed);
}

Test(compiled, loops)
{
    COMPARE(loop_compare);
    COMPARE(loop_step);
    COMPARE(loop_test);
    COMPARE(loop_memory);
    COMPARE(loop_carry);
    COMPARE(loop_count);
    COMPARE(loop_mixed);
    COMPARE(loop_rotate);
    COMPARE(loop_rotate_carry);
    COMPARE(loop_overwritten);
    COMPARE(loop_smc);
}

Test(compiled, loop_pages)
{
    COMPARE(loop_pages);
    COMPARE(loop_pages_down);
    COMPARE(loop_into_code);
    COMPARE(loop_evicts);
    COMPARE(loop_many);
    COMPARE(group_wraps_down);
}

Test(compiled, strips)
{
    COMPARE_PAGED(strip_down);
    COMPARE_PAGED(strip_index);
    COMPARE_PAGED(strip_carry);
    COMPARE_PAGED(strip_loop);
    COMPARE_PAGED(strip_search);
    COMPARE_PAGED(strip_test);
    COMPARE_PAGED(strip_still);
    COMPARE_PAGED(strip_many);
    COMPARE_PAGED(strip_in_c);
    COMPARE_PAGED(strip_sse);
    COMPARE_PAGED(strip_sse_flags);
    COMPARE_PAGED(strip_misaligned);
    COMPARE_PAGED(strip_at_zero);
    COMPARE_PAGED(strip_into_code);
}

/* Who goes from a set of the TLB does not depend on how often a page is looked up. */
Test(compiled, ways)
{
    COMPARE_PAGED(ways_single);
    COMPARE_PAGED(ways_group);
    COMPARE_PAGED(ways_crossing);
    COMPARE_PAGED(ways_loop);
    COMPARE_PAGED(ways_sse);
    COMPARE_PAGED(ways_string);
}

Test(compiled, helpers)
{
    COMPARE(helpers);
    COMPARE(repeated);
    COMPARE(divide);
    COMPARE(divide_rotated);
    COMPARE(double_shift);
}

Test(compiled, segments)
{
    COMPARE(segments);
    COMPARE(segments_alike);
    COMPARE(segments_in_turn);
    COMPARE(segments_short);
    COMPARE(segments_absent);
    COMPARE(segments_aside);
    COMPARE(aside_short);
    COMPARE(aside_absent);
}

Test(compiled, copies)
{
    COMPARE(copies);
    COMPARE_PAGED(copies);
    COMPARE(copies_many);
    COMPARE_PAGED(copies_many);
    COMPARE(fills);
    COMPARE_PAGED(fills);
}

Test(compiled, addends)
{
    COMPARE(addends);
    COMPARE_PAGED(addends);
}

Test(compiled, covered_accesses_that_fault)
{
    COMPARE_FAULTS(fault_sum);
    COMPARE_FAULTS(fault_compare);
    COMPARE_FAULTS(fault_test);
    COMPARE_FAULTS(fault_step);
    COMPARE_FAULTS(fault_carry);
    COMPARE_FAULTS(fault_shift);
    COMPARE_FAULTS(fault_rotate);
    COMPARE_FAULTS(fault_bit);
    COMPARE_FAULTS(fault_store);
    COMPARE_FAULTS(fault_set);
    COMPARE_FAULTS(fault_load);
    COMPARE_FAULTS(fault_evicted);
}
