/* rt.c - see rt.h. */
#include "rt.h"

#include <stdarg.h>

unsigned failures, checks;
uint64_t gdt[16];
struct tss32 tss;
static uint64_t idt[256];
static isr_fn isr[256];
static const char *cmdline = "";
extern char stubs[];

void *memset(void *d, int c, size_t n)
{
    uint8_t *p = d;
    while (n--)
        *p++ = (uint8_t)c;
    return d;
}

void *memcpy(void *d, const void *s, size_t n)
{
    uint8_t *p = d;
    const uint8_t *q = s;
    while (n--)
        *p++ = *q++;
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;
    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

uint32_t div64(uint64_t n, uint32_t d, uint32_t *rem)
{
    uint32_t hi = (uint32_t)(n >> 32) % d, lo = (uint32_t)n, q, r;
    __asm__("divl %4" : "=a"(q), "=d"(r) : "a"(lo), "d"(hi), "r"(d));
    if (rem)
        *rem = r;
    return q;
}

uint64_t div64_full(uint64_t n, uint32_t d)
{
    uint32_t hi = (uint32_t)(n >> 32) / d;
    return (uint64_t)hi << 32 | div64(n, d, NULL);
}

uint64_t muldiv64(uint64_t a, uint32_t b, uint32_t c, bool round_up)
{
    uint64_t lo = (uint64_t)(uint32_t)a * b, hi = (a >> 32) * b + (lo >> 32);
    uint32_t w0 = (uint32_t)lo, r, q1, q0;
    uint64_t rest;
    q1 = (uint32_t)div64_full(hi, c);
    rest = hi - (uint64_t)q1 * c;
    q0 = div64(rest << 32 | w0, c, &r);
    return ((uint64_t)q1 << 32 | q0) + (round_up && r != 0);
}

static void putc_raw(char c)
{
    while (!(inb(0x3fd) & 0x20))
        ;
    outb(0x3f8, (uint8_t)c);
}

void puts_raw(const char *s)
{
    for (; *s; s++)
        putc_raw(*s);
}

static void print_number(uint64_t v, unsigned base)
{
    char buf[24];
    unsigned n = 0;
    do {
        uint64_t q = div64_full(v, base);
        buf[n++] = "0123456789abcdef"[(uint32_t)(v - q * base)];
        v = q;
    } while (v);
    while (n)
        putc_raw(buf[--n]);
}

static void print_signed(int v)
{
    if (v < 0)
        putc_raw('-');
    print_number(v < 0 ? -(uint64_t)v & 0xffffffffu : (uint64_t)v, 10);
}

void print(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            putc_raw(*fmt);
            continue;
        }
        switch (*++fmt) {
        case 'd': print_signed(va_arg(ap, int)); break;
        case 'u': print_number(va_arg(ap, unsigned), 10); break;
        case 'x': print_number(va_arg(ap, unsigned), 16); break;
        case 'X': print_number(va_arg(ap, uint64_t), 16); break;
        case 's': puts_raw(va_arg(ap, const char *)); break;
        case 'c': putc_raw((char)va_arg(ap, int)); break;
        default: putc_raw('%'); break;
        }
    }
    va_end(ap);
}

void expect_failed(const char *what, const char *file, int line, uint64_t got, uint64_t want)
{
    failures++;
    if (failures > 20)
        return;
    print("FAIL %s:%d %s: got %X, want %X\n", file, line, what, got, want);
}

void set_gate(unsigned vector, void *entry, uint8_t type_dpl)
{
    uint32_t e = (uint32_t)entry;
    idt[vector] = (e & 0xffff) | UINT64_C(0x08) << 16 | (uint64_t)type_dpl << 40 | (uint64_t)(e >> 16) << 48;
}

void set_isr(unsigned vector, isr_fn fn)
{
    isr[vector] = fn;
}

void isr_dispatch(struct frame *f);
void isr_dispatch(struct frame *f)
{
    if (isr[f->vector]) {
        isr[f->vector](f);
        return;
    }
    print("FAIL unexpected vector %u error %x at eip %x eflags %x\n", f->vector, f->error, f->eip, f->eflags);
    outb(DEBUG_EXIT_PORT, 0x7f);
    for (;;)
        hlt();
}

void irq_mask_all(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

void irq_unmask(unsigned irq)
{
    if (irq >= 8) {
        outb(0xa1, inb(0xa1) & ~(1u << (irq - 8)));
        irq = 2;
    }
    outb(0x21, inb(0x21) & ~(1u << irq));
}

void irq_eoi(unsigned irq)
{
    if (irq >= 8)
        outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

unsigned option(const char *name, unsigned fallback)
{
    size_t n = 0;
    while (name[n])
        n++;
    for (const char *p = cmdline; *p; p++) {
        if ((p == cmdline || p[-1] == ' ') && memcmp(p, name, n) == 0 && p[n] == '=') {
            unsigned v = 0;
            for (p += n + 1; *p >= '0' && *p <= '9'; p++)
                v = v * 10 + (unsigned)(*p - '0');
            return v;
        }
    }
    return fallback;
}

static void pic_init(void)
{
    outb(0x20, 0x11), outb(0x21, IRQ_BASE), outb(0x21, 4), outb(0x21, 1);
    outb(0xa0, 0x11), outb(0xa1, IRQ_BASE + 8), outb(0xa1, 2), outb(0xa1, 1);
    irq_mask_all();
}

void load_flat_gdt(void)
{
    struct { uint16_t limit; uint32_t base; } __attribute__((packed)) gdtr = {sizeof gdt - 1, (uint32_t)gdt},
                                                                      idtr = {sizeof idt - 1, (uint32_t)idt};
    uint32_t t = (uint32_t)&tss;
    gdt[1] = UINT64_C(0x00cf9b000000ffff), gdt[2] = UINT64_C(0x00cf93000000ffff);
    gdt[3] = UINT64_C(0x00cffb000000ffff), gdt[4] = UINT64_C(0x00cff3000000ffff);
    gdt[5] = (sizeof tss - 1) | (uint64_t)(t & 0xffffff) << 16 | UINT64_C(0x89) << 40 | (uint64_t)(t >> 24) << 56;
    tss.ss0 = 0x10;
    tss.rest[22] = sizeof tss << 16;
    __asm__ volatile("lgdt %0\n\tljmp $0x08, $1f\n1:\tmovl $0x10, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\t"
                     "movl %%eax, %%ss\n\tmovl %%eax, %%fs\n\tmovl %%eax, %%gs\n\tlidt %1\n\tmovl $0x28, %%eax\n\tltr %%ax"
                     : : "m"(gdtr), "m"(idtr) : "eax", "memory");
}

void guest_start(uint32_t magic, const uint32_t *info);
void guest_start(uint32_t magic, const uint32_t *info)
{
    if (magic == 0x2BADB002 && (info[0] & 4))
        cmdline = (const char *)info[4];
    for (unsigned v = 0; v < 49; v++)
        set_gate(v, stubs + 16 * v, 0x8e);
    load_flat_gdt();
    pic_init();
    outb(0x3fb, 0x83), outb(0x3f8, 1), outb(0x3f9, 0), outb(0x3fb, 3), outb(0x3fa, 7), outb(0x3fc, 0x0b);
    unsigned failed = (unsigned)guest_main() + failures;
    print("%s: %u checks, %u failed\n", failed ? "FAILED" : "OK", checks, failed);
    while (!(inb(0x3fd) & 0x40))
        ;
    outb(DEBUG_EXIT_PORT, failed ? 1 : 0);
}
