/* kernels.c - see kernels.h. */
#include "kernels.h"

#include <stdio.h>
#include <string.h>

static size_t peek(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    const struct kernel_memory *m = ctx;
    uint32_t at = lin_addr - KERNELS_BASE;
    if (lin_addr < KERNELS_BASE || at >= KERNELS_BYTES)
        return 0;
    size_t n = bytes < KERNELS_BYTES - at ? bytes : KERNELS_BYTES - at;
    memcpy(to, m->byte + at, n);
    return n;
}

struct guest_view kernels_view(const struct kernel_memory *m)
{
    return (struct guest_view){m, peek};
}

static void put(struct kernel_memory *m, uint32_t at, uint32_t v)
{
    put32(m->byte + at, v);
}

/* --- kallsyms --- */

/* Every seventh name is longer than 127 tokens: its length has two bytes. */
void kernels_name(unsigned i, char *text)
{
    sprintf(text, "function_%u", i);
}

#define TOKEN_FUNCTION 1   /* stands for "function_" */
#define TOKEN_TYPE     200 /* stands for "Tfunction_" */

static uint32_t put_name(struct kernel_memory *m, uint32_t at, unsigned i)
{
    char digits[16];
    int n = sprintf(digits, "%u", i);
    if (i % 7 == 0) { /* without the longer token */
        m->byte[at++] = (uint8_t)(n + 2);
        m->byte[at++] = 't';
        m->byte[at++] = TOKEN_FUNCTION;
    } else {
        m->byte[at++] = (uint8_t)(n + 1);
        m->byte[at++] = TOKEN_TYPE;
    }
    memcpy(m->byte + at, digits, (size_t)n);
    return at + (uint32_t)n;
}

static uint32_t align4(uint32_t v)
{
    return (v + 3) & ~3u;
}

static uint32_t put_addresses(struct kernel_memory *m, uint32_t at, bool absolute)
{
    uint32_t base = KERNELS_BASE;
    for (unsigned i = 0; i < KERNELS_SYMS; i++, at += 4)
        put(m, at, KERNELS_TEXT + i * KERNELS_STEP + (absolute ? base : 0));
    if (absolute)
        return at;
    put(m, at, base);
    return at + 4;
}

static uint32_t put_names(struct kernel_memory *m, uint32_t at)
{
    uint32_t markers[KERNELS_SYMS / 256 + 1], names = at + 4;
    put(m, at, KERNELS_SYMS);
    at = names;
    for (unsigned i = 0; i < KERNELS_SYMS; i++) {
        if (i % 256 == 0)
            markers[i / 256] = at - names;
        at = put_name(m, at, i);
    }
    at = align4(at);
    for (unsigned i = 0; i < (KERNELS_SYMS + 255) / 256; i++, at += 4)
        put(m, at, markers[i]);
    return at;
}

static uint32_t put_tokens(struct kernel_memory *m, uint32_t at)
{
    uint16_t index[256];
    uint32_t table = at;
    for (unsigned i = 0; i < 256; i++) {
        index[i] = (uint16_t)(at - table);
        if (i == TOKEN_FUNCTION || i == TOKEN_TYPE)
            at += (uint32_t)sprintf((char *)m->byte + at, i == TOKEN_TYPE ? "Tfunction_" : "function_") + 1;
        else if (i > 0x20 && i < 0x7f)
            at += (uint32_t)sprintf((char *)m->byte + at, "%c", (char)i) + 1;
        else
            at += (uint32_t)sprintf((char *)m->byte + at, "x%u", i) + 1;
    }
    at = align4(at);
    for (unsigned i = 0; i < 256; i++)
        put16(m->byte + at + 2 * i, index[i]);
    return at + 512;
}

uint32_t kernels_put_kallsyms(struct kernel_memory *m, uint32_t at, enum kallsyms_order order)
{
    if (order != KALLSYMS_NEW)
        at = put_addresses(m, at, order == KALLSYMS_ABSOLUTE);
    at = put_tokens(m, put_names(m, at));
    return order == KALLSYMS_NEW ? put_addresses(m, at, false) : at;
}

/* --- Linux --- */

#define TASKS_AT   0x80000u
#define TASK_BYTES 0x1000u
#define PERCPU_AT  0x70000u

uint32_t kernels_task(unsigned i)
{
    return KERNELS_BASE + TASKS_AT + i * TASK_BYTES;
}

static void put_list(struct kernel_memory *m, uint32_t a, uint32_t b)
{
    put(m, a - KERNELS_BASE, b);
    put(m, b - KERNELS_BASE + 4, a);
}

static void put_task(struct kernel_memory *m, const struct linux_layout *l, unsigned i, unsigned parent,
                     const char *name, uint32_t pid, uint32_t tgid)
{
    uint32_t at = kernels_task(i) - KERNELS_BASE, p = at + l->parents;
    uint32_t numbers = p - (l->canary ? 12 : 8);
    strcpy((char *)m->byte + at + l->comm, name);
    put(m, numbers, pid);
    put(m, numbers + 4, tgid);
    if (l->canary)
        put(m, p - 4, 0x5a17ed00 + i);
    put(m, p, kernels_task(parent));
    put(m, p + 4, kernels_task(parent));
    put(m, p + 24, kernels_task(i));
    put_list(m, KERNELS_BASE + p + 8, KERNELS_BASE + p + 8);
    put_list(m, KERNELS_BASE + p + 16, KERNELS_BASE + p + 16);
}

/* Loads of variables through FS in the text: MOV EAX,FS:[current] more often than any other. */
static void put_loads(struct kernel_memory *m, const struct linux_layout *l)
{
    for (unsigned i = 0; i < 60; i++) {
        uint8_t *p = m->byte + KERNELS_TEXT + i * KERNELS_STEP;
        p[0] = 0x64;
        p[1] = i % 2 ? 0xa1 : 0x8b;
        p[2] = 0x15; /* EDX */
        put32(p + (i % 2 ? 2 : 3), i % 4 ? l->current : l->current + 64);
    }
}

void kernels_put_linux(struct kernel_memory *m, const struct linux_layout *l)
{
    put_loads(m, l);
    put_task(m, l, 0, 0, "swapper/0", 0, 0);
    put_task(m, l, 1, 0, "init", 1, 1);
    put_task(m, l, 2, 0, "kthreadd", 2, 2);
    put_task(m, l, 3, 1, "sh", 4243, 4242);
    /* The lists: children of swapper are init and kthreadd, of init sh. */
    uint32_t children = l->parents + 8, sibling = l->parents + 16;
    put_list(m, kernels_task(0) + children, kernels_task(1) + sibling);
    put_list(m, kernels_task(1) + sibling, kernels_task(2) + sibling);
    put_list(m, kernels_task(2) + sibling, kernels_task(0) + children);
    put_list(m, kernels_task(1) + children, kernels_task(3) + sibling);
    put_list(m, kernels_task(3) + sibling, kernels_task(1) + children);
    put(m, l->percpu + l->current - KERNELS_BASE, kernels_task(3));
}

/* --- MINIX --- */

#define NAME_AT     480u
#define ENDPOINT_AT 500u
#define CR3_AT      76u

uint32_t kernels_cr3(unsigned i)
{
    return 0x1000000 + i * 0x3000;
}

void kernels_put_minix(struct kernel_memory *m, uint32_t at, unsigned processes)
{
    static const char *const tasks[] = {"asyncm", "idle", "clock", "system", "kernel"};
    for (unsigned i = 0; i < 5 + processes; i++) {
        uint8_t *row = m->byte + at + i * KERNELS_MINIX_STRIDE;
        memset(row, 0, KERNELS_MINIX_STRIDE);
        if (i < 5)
            strcpy((char *)row + NAME_AT, tasks[i]);
        else
            sprintf((char *)row + NAME_AT, "p%u", i - 5);
        put32(row + ENDPOINT_AT, i < 5 ? i - 5 : 995 + i);
        put32(row + CR3_AT, i < 5 ? 0 : kernels_cr3(i - 5));
        put32(row + CR3_AT + 8, 0x1000000); /* what looks like a CR3, and is the first one's in all rows */
    }
}
