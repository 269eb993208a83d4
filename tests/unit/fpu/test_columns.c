/* test_columns.c - the columns of insns_x87.def that compiled code relies on, against what the helpers do:
 * which forms touch the arithmetic flags, and which bytes of memory. */
#include <criterion/criterion.h>

#include "harness.h"
#include "translator/cc.h"
#include "translator/x87.h"

#include <string.h>

static struct machine random_machine(void)
{
    struct machine m = {.eax = (uint32_t)rnd()};
    for (unsigned i = 0; i < sizeof m.mem; i++)
        m.mem[i] = (uint8_t)rnd();
    for (unsigned i = 0; i < IMAGE_BYTES; i++)
        m.image.b[i] = i < IMG_REGS ? 0 : (uint8_t)rnd();
    image_set_word(&m.image, IMG_CW, 0x37f);
    image_set_word(&m.image, IMG_SW, (uint16_t)(rnd() & 0x3800));
    image_set_word(&m.image, IMG_TAG, (uint16_t)rnd());
    return m;
}

static const struct x87_form *data_of(const struct form *f, unsigned modrm)
{
    return modrm < 0xc0 ? &x87_mem_forms[f->opcode & 7][modrm >> 3]
                        : &x87_reg_forms[f->opcode & 7][modrm & 63];
}

static void check_memory(const struct form *f, const struct x87_form *d, const struct machine *before,
                         const struct machine *after)
{
    const unsigned bytes = d->access == X87_STORE ? d->bytes : 0;
    cr_assert_eq(memcmp(before->mem + bytes, after->mem + bytes, sizeof before->mem - bytes), 0,
                 "%02x %s writes memory that its row does not name", f->opcode, f->name);
}

static void check_form(const struct form *f, unsigned modrm)
{
    const struct x87_form *d = data_of(f, modrm);
    const struct machine before = random_machine();
    struct machine one = before, other = before;
    cr_assert(d->exists);
    one.eflags = 0;
    other.eflags = FLAGS_ARITH;
    run_emulated(&one, f->opcode, (uint8_t)modrm, false);
    run_emulated(&other, f->opcode, (uint8_t)modrm, false);
    if (d->flags != X87_WRITE)
        cr_assert(one.eflags == 0 && other.eflags == FLAGS_ARITH, "%02x %s writes flags", f->opcode, f->name);
    if (d->flags != X87_READ)
        cr_assert_eq(memcmp(&one.image, &other.image, sizeof one.image), 0, "%02x %s reads flags", f->opcode,
                     f->name);
    if (d->flags == X87_WRITE)
        cr_assert_eq(one.eflags, other.eflags, "%02x %s keeps flags", f->opcode, f->name);
    check_memory(f, d, &before, &one);
}

Test(columns, flags_and_memory)
{
    rnd_seed(7);
    fake_reset();
    for (unsigned i = 0; i < form_count; i++)
        for (unsigned n = 0; n < forms[i].count; n++)
            for (unsigned round = 0; round < 50; round++)
                check_form(&forms[i], forms[i].modrm + n);
}
