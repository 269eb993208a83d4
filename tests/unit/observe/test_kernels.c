/* kallsyms.c, linux.c, minix.c: found by shape in memory that nobody describes; refused where a part is
 * wrong. */
#include "kernels.h"
#include "observe/kallsyms.h"
#include "observe/linux.h"
#include "observe/minix.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLES_AT 0x20000u

static struct kernel_memory *new_memory(unsigned seed)
{
    struct kernel_memory *m = calloc(1, sizeof *m);
    srand(seed);
    for (uint32_t i = 0x60000; i < 0x68000; i++) /* a neighbourhood of anything */
        m->byte[i] = (uint8_t)rand();
    return m;
}

/* --- kallsyms --- */

static void expect_symbols(const struct symtab *t)
{
    char name[64];
    for (unsigned i = 0; i < KERNELS_SYMS; i++) {
        uint32_t first = KERNELS_BASE + KERNELS_TEXT + i * KERNELS_STEP;
        kernels_name(i, name);
        for (uint32_t a = first; a < first + KERNELS_STEP; a += KERNELS_STEP - 1) {
            const struct symbol *s = symtab_row(t, a);
            cr_assert(s && strcmp(symtab_name(t, s), name) == 0, "0x%x: %s", a, name);
        }
    }
    cr_expect_null(symtab_row(t, KERNELS_BASE));
}

Test(kallsyms, every_order_is_found)
{
    for (int order = KALLSYMS_OLD; order <= KALLSYMS_NEW; order++) {
        struct kernel_memory *m = new_memory(1);
        struct symtab t = {0};
        struct guest_view v = kernels_view(m);
        kernels_put_kallsyms(m, TABLES_AT, (enum kallsyms_order)order);
        cr_assert(kallsyms_find(&v, 0, KERNELS_BASE + KERNELS_TEXT + 5000, &t), "order %d", order);
        expect_symbols(&t);
        symtab_free(&t);
        free(m);
    }
}

Test(kallsyms, none_is_found_where_a_part_is_wrong)
{
    struct kernel_memory *m = new_memory(2), *whole = malloc(sizeof *m);
    struct guest_view v = kernels_view(m);
    uint32_t end = kernels_put_kallsyms(m, TABLES_AT, KALLSYMS_OLD);
    uint32_t names = TABLES_AT + 4 * KERNELS_SYMS + 8;
    *whole = *m;
    const uint32_t wrong[] = {names - 4, names - 2,     end - 512,
                              end - 2,   end - 513 - 3, TABLES_AT + 401 * 4 + 3};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct symtab t = {0};
        *m = *whole;
        m->byte[wrong[i]] ^= 0x81;
        cr_expect_not(kallsyms_find(&v, 0, KERNELS_BASE + KERNELS_TEXT, &t), "byte 0x%x", wrong[i]);
        symtab_free(&t);
    }
    struct symtab t = {0};
    cr_expect_not(kallsyms_find(&v, 0, 0x1000, &t), "nothing is mapped there");
    free(whole);
    free(m);
}

/* --- Linux --- */

static const struct linux_layout layouts[] = {
    {.canary = false, .percpu = KERNELS_BASE + 0x70000, .current = 0x140, .comm = 0x3c8, .parents = 0x2f0},
    {.canary = true, .percpu = KERNELS_BASE + 0x70000, .current = 0x80, .comm = 0x500, .parents = 0x400},
    {.canary = true, .percpu = 0, .current = KERNELS_BASE + 0x70300, .comm = 0x90, .parents = 0x6fc},
};

static struct linux_guest learnt(const struct kernel_memory *m, const struct linux_layout *l,
                                 const struct task_offsets *dwarf)
{
    struct guest_view v = kernels_view(m);
    struct linux_guest g = {0};
    linux_prepare(&g, &v, 0x5000, KERNELS_BASE + KERNELS_TEXT, KERNELS_BASE + 0x10000, dwarf);
    linux_see_kernel(&g, 0x5000, l->percpu);
    linux_locate(&g, &v);
    return g;
}

Test(tasks, current_is_inferred_and_read)
{
    for (unsigned i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct kernel_memory *m = new_memory(3 + i);
        struct guest_view v = kernels_view(m);
        struct linux_task t;
        kernels_put_linux(m, &layouts[i]);
        struct linux_guest g = learnt(m, &layouts[i], NULL);
        cr_assert(g.located && g.numbered, "layout %u", i);
        cr_assert(linux_current(&g, &v, 0x9000, &t));
        cr_expect_str_eq(t.name, "sh");
        cr_expect(t.pid == 4242 && t.tid == 4243, "layout %u: %u/%u", i, t.pid, t.tid);
        put32(m->byte + layouts[i].percpu + layouts[i].current - KERNELS_BASE, kernels_task(0));
        cr_assert(linux_current(&g, &v, 0x9000, &t));
        cr_expect_str_eq(t.name, "swapper/0");
        free(m);
    }
}

Test(tasks, dwarf_counts_where_it_is_right)
{
    const struct linux_layout *l = &layouts[1];
    struct kernel_memory *m = new_memory(8);
    struct guest_view v = kernels_view(m);
    struct linux_task t;
    kernels_put_linux(m, l);
    struct task_offsets right = {l->parents - 12, l->parents - 8, l->comm, l->parents};
    struct linux_guest g = learnt(m, l, &right);
    cr_assert(linux_current(&g, &v, 0, &t) && t.pid == 4242 && t.tid == 4243);
    struct task_offsets wrong = right;
    wrong.comm += 16; /* of another kernel: not believed */
    wrong.pid -= 4;
    g = learnt(m, l, &wrong);
    cr_expect(linux_current(&g, &v, 0, &t) && t.pid == 4242 && strcmp(t.name, "sh") == 0);
    free(m);
}

Test(tasks, nothing_is_believed_that_does_not_hold)
{
    const struct linux_layout *l = &layouts[0];
    const uint32_t task = kernels_task(3) - KERNELS_BASE;
    const uint32_t broken[] = {task + l->parents, task + l->parents + 8, task + l->parents + 20,
                               task + l->parents + 24, kernels_task(0) - KERNELS_BASE + l->comm};
    for (unsigned i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct kernel_memory *m = new_memory(9);
        kernels_put_linux(m, l);
        put32(m->byte + broken[i], 0x41414141);
        struct linux_guest g = learnt(m, l, NULL);
        cr_expect_not(g.located, "word at 0x%x", broken[i]);
        free(m);
    }
}

/* A kernel that has no process 1 yet: the name is known, numbers come later. */
Test(tasks, numbers_come_with_the_first_process)
{
    const struct linux_layout *l = &layouts[1];
    struct kernel_memory *m = new_memory(10);
    struct guest_view v = kernels_view(m);
    struct linux_task t;
    kernels_put_linux(m, l);
    const uint32_t children = kernels_task(0) + l->parents + 8;
    const uint32_t first = le32(m->byte + children - KERNELS_BASE),
                   last = le32(m->byte + children - KERNELS_BASE + 4);
    put32(m->byte + children - KERNELS_BASE, children);
    put32(m->byte + children - KERNELS_BASE + 4, children);
    put32(m->byte + l->percpu + l->current - KERNELS_BASE, kernels_task(0));
    struct linux_guest g = learnt(m, l, NULL);
    cr_assert(g.located && !g.numbered);
    cr_assert(linux_current(&g, &v, 0, &t) && strcmp(t.name, "swapper/0") == 0 && t.pid == 0);
    put32(m->byte + children - KERNELS_BASE, first);
    put32(m->byte + children - KERNELS_BASE + 4, last);
    linux_locate(&g, &v);
    cr_expect(g.numbered);
    free(m);
}

/* --- MINIX --- */

Test(minix, processes_by_cr3)
{
    struct kernel_memory *m = new_memory(11);
    struct guest_view v = kernels_view(m);
    struct minix_guest *g = calloc(1, sizeof *g);
    struct minix_task t;
    kernels_put_minix(m, 0x30004, 20);
    cr_assert(minix_find(g, &v, 0, KERNELS_BASE + 0x1000));
    cr_expect_eq(g->stride, KERNELS_MINIX_STRIDE);
    cr_expect_not(minix_current(g, &v, kernels_cr3(3), &t), "not proven yet");
    for (unsigned i = 1; i < 5; i++)
        minix_see_user(g, &v, kernels_cr3(i));
    cr_assert(g->located);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 20; i++) {
            char name[16];
            sprintf(name, "p%u", i);
            cr_assert(minix_current(g, &v, kernels_cr3(i), &t));
            cr_expect(strcmp(t.name, name) == 0 && t.endpoint == (int)(1000 + i), "%s %d", t.name,
                      t.endpoint);
        }
    cr_expect_not(minix_current(g, &v, 0x12345000, &t));
    free(g);
    free(m);
}

Test(minix, no_table_no_process)
{
    struct kernel_memory *m = new_memory(12);
    struct guest_view v = kernels_view(m);
    struct minix_guest *g = calloc(1, sizeof *g);
    kernels_put_minix(m, 0x30004, 20);
    m->byte[0x30004 + 2 * KERNELS_MINIX_STRIDE + 480] ^= 1; /* "clock" */
    cr_expect_not(minix_find(g, &v, 0, KERNELS_BASE + 0x1000));
    free(g);
    free(m);
}
