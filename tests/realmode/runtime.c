/* runtime.c - what each image of the suite stands on: text on COM1, what failed, memory. */
#include "suite.h"

#include <stdarg.h>

unsigned checks, failures;

static void put(char c)
{
    while (!(inb(0x3fd) & 0x20)) {
    }
    outb(0x3f8, (uint8_t)c);
}

static void put_number(uint32_t v, uint32_t base)
{
    char text[12];
    unsigned n = 0;
    do
        text[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    while (n)
        put(text[--n]);
}

static void put_text(const char *s)
{
    for (; *s; s++)
        put(*s);
}

void print(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        switch (*++fmt) {
        case 'd':
            put_number(va_arg(ap, uint32_t), 10);
            break;
        case 'x':
            put_number(va_arg(ap, uint32_t), 16);
            break;
        case 's':
            put_text(va_arg(ap, const char *));
            break;
        default:
            put((char)va_arg(ap, int));
            break;
        }
    }
    va_end(ap);
}

void expect_failed(const char *what, const char *file, int line, uint32_t got, uint32_t want)
{
    failures++;
    print("FAIL %s:%d: %s: got %x, want %x\r\n", file, (uint32_t)line, what, got, want);
}

void *memset(void *d, int c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)d)[i] = (char)c;
    return d;
}
void *memcpy(void *d, const void *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)d)[i] = ((const char *)s)[i];
    return d;
}
int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}
