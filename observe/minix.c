/* minix.c - see minix.h. Facts: kernel/proc.h, kernel/table.c of MINIX 3. */
#include "observe/minix.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW     (UINT32_C(8) << 20) /* bytes below and above the kernel's code that are searched */
#define PAGE       4096u
#define STRIDE_MIN 128u /* the boot image's table has the same names, closer together */
#define ROUNDS     3u   /* values of CR3 that prove a member */
#define TRIES_MAX  256u /* a guest that imitates the table costs no more */
#define TASKS      5u

static const char *const task_names[TASKS] = {"asyncm", "idle", "clock", "system", "kernel"};

/* --- where is the table? --- */

static bool names_at(const uint8_t *image, size_t bytes, size_t at, uint32_t stride)
{
    for (unsigned i = 0; i < TASKS; i++) {
        size_t here = at + i * (size_t)stride;
        if (here + MINIX_NAME > bytes || strcmp((const char *)image + here, task_names[i]) != 0)
            return false;
    }
    return true;
}

/* The numbers -5 to -1 in the rows. */
static bool endpoints_at(const uint8_t *image, size_t bytes, size_t at, uint32_t stride)
{
    for (unsigned i = 0; i < TASKS; i++) {
        size_t here = at + i * (size_t)stride;
        if (here + 4 > bytes || (int32_t)le32(image + here) != (int32_t)i - (int32_t)TASKS)
            return false;
    }
    return true;
}

static bool table_at(struct minix_guest *m, const uint8_t *image, size_t bytes, size_t at)
{
    for (uint32_t stride = STRIDE_MIN; stride <= MINIX_PROC_MAX; stride += 4) {
        if (!names_at(image, bytes, at, stride))
            continue;
        for (uint32_t e = MINIX_NAME; e < stride; e += 4)
            if (endpoints_at(image, bytes, at + e, stride)) {
                m->stride = stride;
                m->endpoint = e;
                return true;
            }
    }
    return false;
}

/* image has a byte more than `bytes`, a NUL. */
static bool search(struct minix_guest *m, const uint8_t *image, size_t bytes, uint32_t base)
{
    const uint8_t *at = image;
    while ((at = memmem(at, bytes - (size_t)(at - image), "asyncm", 7))) {
        if (table_at(m, image, bytes, (size_t)(at - image))) {
            m->first = base + (uint32_t)(at - image);
            return true;
        }
        at++;
    }
    return false;
}

bool minix_find(struct minix_guest *m, const struct guest_view *g, uint32_t cr3, uint32_t near)
{
    uint32_t first = near > WINDOW ? (near - WINDOW) & ~(PAGE - 1) : 0;
    uint8_t *image = calloc(1, 2 * WINDOW + 1);
    if (!image)
        return false;
    /* Pages that are not mapped stay zero. */
    for (uint32_t at = 0; at < 2 * WINDOW && first + at >= first; at += PAGE)
        g->peek(g->ctx, cr3, first + at, image + at, PAGE);
    m->found = search(m, image, 2 * WINDOW, first);
    m->kernel_cr3 = cr3;
    memset(m->candidate, 1, sizeof m->candidate);
    free(image);
    return m->found;
}

/* --- which member is CR3? --- */

/* The rows as they are now, from `stride` bytes before the first name; NULL: not readable. */
static uint8_t *read_rows(const struct minix_guest *m, const struct guest_view *g, uint32_t *rows)
{
    size_t bytes = (size_t)m->stride * MINIX_PROCS_MAX;
    uint8_t *image = malloc(bytes);
    size_t got = image ? g->peek(g->ctx, m->kernel_cr3, m->first - m->stride, image, bytes) : 0;
    *rows = (uint32_t)(got / m->stride);
    if (*rows > TASKS + 1)
        return image;
    free(image);
    return NULL;
}

/* How many rows hold the value at that offset; the last of them in *row. */
static unsigned holders(const uint8_t *image, const struct minix_guest *m, uint32_t rows, uint32_t offset,
                        uint32_t cr3, uint32_t *row)
{
    unsigned n = 0;
    for (uint32_t r = 0; r + 1 < rows; r++)
        if (le32(image + (size_t)r * m->stride + offset) == cr3) {
            *row = r;
            n++;
        }
    return n;
}

void minix_see_user(struct minix_guest *m, const struct guest_view *g, uint32_t cr3)
{
    uint32_t rows, row = 0, left = 0, at = 0;
    if (m->located || cr3 == m->last_cr3 || m->tries >= TRIES_MAX)
        return;
    m->tries++;
    uint8_t *image = read_rows(m, g, &rows);
    if (!image)
        return;
    m->last_cr3 = cr3;
    for (uint32_t o = 0; o < m->stride; o += 4) {
        m->candidate[o / 4] = m->candidate[o / 4] && holders(image, m, rows, o, cr3, &row) == 1;
        if (m->candidate[o / 4]) {
            left++;
            at = o;
        }
    }
    m->rounds++;
    m->located = left >= 1 && m->rounds >= ROUNDS;
    m->cr3_member = (int32_t)at - (int32_t)m->stride;
    if (left == 0) { /* not yet: begin anew */
        m->rounds = 0;
        memset(m->candidate, 1, sizeof m->candidate);
    }
    free(image);
}

/* --- reading --- */

static bool is_name(const char name[MINIX_NAME])
{
    size_t n = strnlen(name, MINIX_NAME);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return n > 0 && n < MINIX_NAME;
}

/* The row with this CR3, first where it was the last time. False: none. */
static bool find_row(struct minix_guest *m, const struct guest_view *g, uint32_t cr3, uint32_t *name)
{
    uint16_t *hint = &m->row[cr3 / PAGE % MINIX_HINTS];
    for (uint32_t i = 0; i <= MINIX_PROCS_MAX; i++) {
        uint32_t row = i ? i - 1 : *hint, has;
        *name = m->first + row * m->stride;
        if (!view_read32(g, m->kernel_cr3, *name + (uint32_t)m->cr3_member, &has))
            return false;
        if (has == cr3) {
            *hint = (uint16_t)row;
            return true;
        }
    }
    return false;
}

bool minix_current(struct minix_guest *m, const struct guest_view *g, uint32_t cr3, struct minix_task *t)
{
    uint32_t name, endpoint;
    if (!m->located || !find_row(m, g, cr3, &name) ||
        !view_read(g, m->kernel_cr3, name, t->name, MINIX_NAME) || !is_name(t->name) ||
        !view_read32(g, m->kernel_cr3, name + m->endpoint, &endpoint))
        return false;
    t->endpoint = (int32_t)endpoint;
    return true;
}
