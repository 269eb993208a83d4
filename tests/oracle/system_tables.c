/* system_tables.c - descriptor tables, tasks, handlers and page tables of a case of system.h. */
#include <string.h>

#include "tests/oracle/system_internal.h"

enum { DB = SEG_ACC_DB, GRAN = SEG_ACC_G };

/* Bases and limits as a segment register would hold them. SDM 3A 3.4.5. */
const struct segment system_descriptors[G_COUNT] = {
    [G_CODE32] = {.access = 0x9b | DB | GRAN, .limit = UINT32_MAX},
    [G_DATA32] = {.access = 0x93 | DB | GRAN, .limit = UINT32_MAX},
    [G_CODE16] = {.access = 0x9b, .base = SYS_CODE, .limit = 0xffff},
    [G_DATA16] = {.access = 0x93, .base = SYS_DATA, .limit = 0xffff},
    [G_DOWN] = {.access = 0x97 | DB, .base = SYS_DATA, .limit = 0x0fff},
    [G_READ_ONLY] = {.access = 0x91 | DB, .base = SYS_DATA, .limit = 0x7fff},
    [G_CONFORMING] = {.access = 0x9f | DB, .base = SYS_CODE, .limit = 0x1fff},
    [G_EXEC_ONLY] = {.access = 0x99 | DB, .base = SYS_CODE, .limit = 0x3fff},
    [G_USER_CODE32] = {.access = 0xfb | DB | GRAN, .limit = UINT32_MAX},
    [G_USER_DATA32] = {.access = 0xf3 | DB | GRAN, .limit = UINT32_MAX},
    [G_USER_CODE16] = {.access = 0xfb, .base = SYS_CODE, .limit = 0xffff},
    [G_USER_DATA16] = {.access = 0xf3, .base = SYS_DATA, .limit = 0x1fff},
    [G_BASED_CODE32] = {.access = 0x9b | DB, .base = SYS_CODE, .limit = 0x3fff},
    [G_BASED_DATA32] = {.access = 0x93 | DB | GRAN, .base = SYS_DATA, .limit = 0x0007ffff},
    [G_STACK16] = {.access = 0x93, .base = SYS_STACK, .limit = 0xffff},
    [G_DOWN16] = {.access = 0x97, .base = SYS_STACK, .limit = 0x00ff},
    [G_CODE_ALIAS] = {.access = 0xf3, .base = SYS_CODE, .limit = 0x3fff},
    [G_HANDLER16] = {.access = 0x9b, .limit = 0xffff},
    [G_ABSENT] = {.access = 0x13 | DB, .limit = 0xffff},
    [G_TSS] = {.access = 0x89, .base = SYS_TSS, .limit = 0x167},
    [G_TSS2] = {.access = 0x89, .base = SYS_TSS2, .limit = 0x67},
    [G_LDT] = {.access = 0x82, .base = SYS_LDT, .limit = 0x7f},
};

/* --- descriptors --- */

static void put_descriptor(struct system_case *s, uint32_t at, struct segment d)
{
    const uint32_t limit = d.access & GRAN ? d.limit >> 12 : d.limit;
    sys_put32(s, at, (limit & 0xffff) | d.base << 16);
    sys_put32(s, at + 4,
              (d.base >> 16 & 0xff) | (uint32_t)(d.access & 0xf0ff) << 8 | (limit & 0xf0000) |
                  (d.base & 0xff000000));
}

/* low: the lowest byte of the second half, the count of a call gate's parameters. */
static void put_gate(struct system_case *s, uint32_t at, unsigned code, uint32_t offset, uint8_t access,
                     uint8_t low)
{
    sys_put32(s, at, (offset & 0xffff) | (uint32_t)code << 19);
    sys_put32(s, at + 4, (offset & 0xffff0000) | (uint32_t)access << 8 | low);
}

static void put_descriptors(struct gen *g, struct system_case *s)
{
    const uint8_t parameters = (uint8_t)(sys_chance(g, 50) ? 0 : gen_below(g, 4));
    for (unsigned i = 1; i < G_COUNT; i++)
        put_descriptor(s, SYS_GDT + 8 * i, system_descriptors[i]);
    for (unsigned i = 1; i < 16; i++)
        put_descriptor(s, SYS_LDT + 8 * i, system_descriptors[1 + gen_below(g, G_SEGMENTS - 1)]);
    put_gate(s, SYS_GDT + 8 * G_CALL_GATE, G_CODE32, SYS_CODE + gen_below(g, 256), 0xec, parameters);
    put_gate(s, SYS_GDT + 8 * G_CALL_GATE16, G_CODE16, gen_below(g, 256), 0xe4, parameters);
    put_gate(s, SYS_GDT + 8 * G_TASK_GATE, G_TSS2, 0, 0xe5, 0);
}

/* --- handlers --- */

static bool has_error(unsigned vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* Drops the error code; goes on `step` bytes further, so that a fault is not taken for ever. */
static void put_handler32(uint8_t *p, bool error, uint8_t step)
{
    if (error)
        memcpy(p, (const uint8_t[]){0x83, 0xc4, 4}, 3), p += 3;    /* add esp, 4 */
    memcpy(p, (const uint8_t[]){0x83, 0x04, 0x24, step, 0xcf}, 5); /* add dword [esp], step; iret */
}

static void put_handler16(uint8_t *p, bool error, uint8_t step)
{
    /* push bp; mov bp, sp; add word [bp + 2], step; pop bp */
    memcpy(p, (const uint8_t[]){0x55, 0x89, 0xe5, 0x83, 0x46, error ? 4 : 2, step, 0x5d}, 8), p += 8;
    if (error)
        memcpy(p, (const uint8_t[]){0x83, 0xc4, 2}, 3), p += 3; /* add sp, 2 */
    *p = 0xcf;
}

/* A virtual-8086 monitor sends the interrupt to the handler of the IVT, as the 8086 would have. The vector
 * was pushed last. */
__asm__(".pushsection .rodata\n"
        "reflect_begin: .code32\n"
        "pushal\n" /* the vector is now 32 bytes up, the frame of the interrupt 36 */
        "movw $2 << 3, %ax; movw %ax, %ds\n"
        "subw $6, 48(%esp)\n"
        "movzwl 52(%esp), %ebx; shll $4, %ebx\n"
        "movzwl 48(%esp), %ecx; addl %ecx, %ebx\n"
        "movl 44(%esp), %eax; movw %ax, 4(%ebx)\n"
        "movl 40(%esp), %eax; movw %ax, 2(%ebx)\n"
        "movl 36(%esp), %eax; movw %ax, (%ebx)\n"
        "movl 32(%esp), %eax; movl (,%eax,4), %eax\n"
        "movzwl %ax, %edx; movl %edx, 36(%esp)\n"
        "shrl $16, %eax; movl %eax, 40(%esp)\n"
        "andl $~0x300, 44(%esp)\n" /* TF, IF */
        "popal; addl $4, %esp; iret\n"
        "reflect_end: .code64\n"
        ".popsection");
_Static_assert(G_DATA32 == 2, "the selector above");
extern const uint8_t reflect_begin[], reflect_end[];

static void put_reflector(struct system_case *s)
{
    memcpy(s->ram + SYS_REFLECT, reflect_begin, (size_t)(reflect_end - reflect_begin));
}

static void put_to_reflector(struct system_case *s, unsigned vector)
{
    uint8_t *p = s->ram + SYS_HANDLERS + 16 * vector;
    if (has_error(vector))
        memcpy(p, (const uint8_t[]){0x83, 0xc4, 4}, 3), p += 3; /* add esp, 4 */
    const uint32_t to = SYS_REFLECT - (uint32_t)(p - s->ram) - 10;
    *p++ = 0x68; /* push vector; jmp */
    memcpy(p, &(uint32_t){vector}, 4), p += 4;
    *p++ = 0xe9;
    memcpy(p, &to, 4);
}

static void put_handler(struct gen *g, struct system_case *s, uint32_t at, unsigned vector, bool wide,
                        bool is_protected)
{
    uint8_t *p = s->ram + at + 16 * vector;
    const bool error = is_protected && has_error(vector);
    const uint8_t step = (uint8_t)(1 + gen_below(g, 4));
    const uint8_t from_board =
        vector >= 0x20 && vector < 0x30 ? 0 : step; /* an interrupt: nothing is skipped */
    if (sys_chance(g, 2))
        *p++ = 0xf4; /* HLT, with interrupts off: the end */
    if (wide)
        put_handler32(p, error, from_board);
    else
        put_handler16(p, error, from_board);
}

static void put_idt_entry(struct gen *g, struct system_case *s, unsigned vector)
{
    const bool wide = sys_chance(g, s->mode == SYS_VM86 ? 95 : 75);
    const uint8_t trap = sys_chance(g, 30), open = sys_chance(g, 40) ? 0x60 : 0;
    put_handler(g, s, SYS_HANDLERS, vector, wide, true);
    if (wide && s->mode == SYS_VM86 && sys_chance(g, 50))
        put_to_reflector(s, vector);
    if (sys_chance(g, 2))
        put_gate(s, SYS_IDT + 8 * vector, G_TSS2, 0, 0x85 | open, 0);
    else
        put_gate(s, SYS_IDT + 8 * vector, wide ? G_CODE32 : G_HANDLER16, SYS_HANDLERS + 16 * vector,
                 (uint8_t)((wide ? 0x8e : 0x86) | trap | open), 0);
}

static void put_vectors(struct gen *g, struct system_case *s)
{
    put_reflector(s);
    for (unsigned v = 0; v < 256; v++) {
        const uint32_t ivt = s->mode == SYS_VM86 ? SYS_HANDLERS_8086 : SYS_HANDLERS;
        sys_put32(s, SYS_IVT + 4 * v, ivt + 16 * v);
        if (s->mode > SYS_UNREAL)
            put_idt_entry(g, s, v);
        if (sys_is_8086(s->mode))
            put_handler(g, s, ivt, v, false, false);
    }
}

/* --- tasks: SDM 3A 7.2.1 --- */

static void put_tss(struct gen *g, struct system_case *s)
{
    for (unsigned ring = 0; ring < 3; ring++) {
        sys_put32(s, SYS_TSS + 4 + 8 * ring, SYS_STACK0 + 0x1000 * ring);
        sys_put32(s, SYS_TSS + 8 + 8 * ring, (uint32_t)G_DATA32 << 3 | ring);
    }
    sys_put32(s, SYS_TSS + 100, 0x680000); /* the I/O permission bitmap is behind it */
    for (unsigned i = 0; i < 256; i++)
        s->ram[SYS_TSS + 0x68 + i] = sys_chance(g, 50) ? 0 : (uint8_t)gen_random(g);
}

static void make_task_vm86(struct gen *g, struct system_case *s)
{
    const uint16_t from_es[] = {SYS_DATA >> 4, SYS_CODE >> 4, SYS_STACK >> 4, SYS_DATA >> 4, 0x1234, 0xffff};
    sys_put32(s, SYS_TSS2 + 32, gen_below(g, 512));
    sys_put32(s, SYS_TSS2 + 36, FLAG_VM | FLAG_1 | (sys_chance(g, 70) ? FLAG_IOPL : 0u));
    sys_put32(s, SYS_TSS2 + 56, 0x800);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        sys_put32(s, SYS_TSS2 + 72 + 4 * i, from_es[i]);
}

static void put_other_task(struct gen *g, struct system_case *s)
{
    const uint32_t from_eip[] = {SYS_CODE + gen_below(g, 512), 2, 0, 1, 2, 3, SYS_STACK + 0x800, 5, 6, 7};
    const uint8_t from_es[] = {G_DATA32, G_CODE32, G_DATA32, G_DATA32, 0, 0, 0};
    sys_put32(s, SYS_TSS2 + 28, sys_pages(s));
    memcpy(s->ram + SYS_TSS2 + 32, from_eip, sizeof from_eip);
    for (unsigned i = 0; i < sizeof from_es; i++)
        sys_put32(s, SYS_TSS2 + 72 + 4 * i, (uint32_t)from_es[i] << 3);
    sys_put32(s, SYS_TSS2 + 100, sys_chance(g, 10)); /* T: a debug exception behind the switch */
    if (sys_chance(g, s->mode == SYS_VM86 ? 60 : 20))
        make_task_vm86(g, s);
}

/* --- pages --- */

/* What must be there for a case to begin is; the rest is mostly writable, some absent, read-only or
 * elsewhere. */
static void put_pages(struct gen *g, struct system_case *s)
{
    sys_put32(s, SYS_PAGES, (SYS_PAGES + 4096) | 7);
    for (unsigned i = 0; i < 1024; i++) {
        const bool plain = i < 16 || sys_chance(g, 90);
        const uint32_t to = plain || sys_chance(g, 70) ? i : SYS_DATA / 4096 + gen_below(g, 4);
        sys_put32(s, SYS_PAGES + 4096 + 4 * i, to << 12 | (plain ? 7 : gen_below(g, 8)));
    }
}

/* The same with PAE: reserved bits and NX as well, and a large page that shows all memory again. */
static void put_pae_pages(struct gen *g, struct system_case *s)
{
    static const uint32_t high[] = {0, 0, 0, 1u << 31, 1u << 31, 1u << 30, 1u << 4, 1};
    sys_put32(s, SYS_PAE, (SYS_PAE + 4096) | 1);
    sys_put32(s, SYS_PAE + 8, (SYS_PAE + 4096) | 1);
    sys_put32(s, SYS_PAE + 24, sys_chance(g, 90) ? 0 : 1u << gen_below(g, 8));
    sys_put32(s, SYS_PAE + 4096, (SYS_PAE + 8192) | 7);
    sys_put32(s, SYS_PAE + 4096 + 8, 0x80 | gen_below(g, 8));
    sys_put32(s, SYS_PAE + 4096 + 12, high[gen_below(g, 8)]);
    for (unsigned i = 0; i < 512; i++) {
        const bool plain = i < 17 || sys_chance(g, 90);
        const uint32_t to = plain || sys_chance(g, 70) ? i : SYS_DATA / 4096 + gen_below(g, 4);
        sys_put32(s, SYS_PAE + 8192 + 8 * i, to << 12 | (plain ? 7 : gen_below(g, 8)));
        sys_put32(s, SYS_PAE + 8192 + 8 * i + 4, plain ? 0 : high[gen_below(g, 8)]);
    }
}

void system_put_tables(struct gen *g, struct system_case *s)
{
    put_descriptors(g, s);
    put_vectors(g, s);
    put_tss(g, s);
    put_other_task(g, s);
    put_pages(g, s);
    put_pae_pages(g, s);
}
