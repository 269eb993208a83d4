/* fpu_env.c - FNSTENV, FLDENV, FNSAVE, FRSTOR: the four layouts of the environment (SDM 1 figures 8-9 to
 * 8-12), by operand size and by real or protected mode.
 *
 * Pointers are kept as selector and offset. Real mode's layouts hold linear addresses: they are formed
 * when stored, and loaded with a zero selector. The tag word is derived from the registers when stored;
 * when loaded, only "empty" counts. Unused high halves of the 32-bit layout are stored as ones. */
#include "vcpu/arch/fpu_internal.h"

#define ENV_BYTES_MAX 28
#define REGS_BYTES    80

unsigned fpu_env_bytes(bool wide, bool with_regs)
{
    return (wide ? 28 : 14) + (with_regs ? REGS_BYTES : 0);
}

void fpu_init(struct x87_state *x)
{
    x->cw = FCW_INIT;
    x->sw = 0;
    x->empty = 0xff;
    x->fop = x->fcs = x->fds = 0;
    x->fip = x->fdp = 0;
}

static unsigned tag_of(const struct x87_state *x, unsigned phys)
{
    if (x->empty >> phys & 1)
        return 3;
    struct f80 a;
    memcpy(&a, x->r[phys], sizeof a);
    enum f80_class class = f80_classify(&a);
    return class == F80_NORMAL ? 0 : class == F80_ZERO ? 1 : 2;
}

static uint16_t tag_word(const struct x87_state *x)
{
    uint16_t tags = 0;
    for (unsigned i = 0; i < 8; i++)
        tags |= (uint16_t)(tag_of(x, i) << 2 * i);
    return tags;
}

static uint8_t empty_of_tags(uint32_t tags)
{
    uint8_t empty = 0;
    for (unsigned i = 0; i < 8; i++)
        empty |= (uint8_t)(((tags >> 2 * i & 3) == 3) << i);
    return empty;
}

/* SDM 1 8.1.10: virtual-8086 mode has real mode's format. */
static bool is_real_mode(const struct vcpu *v)
{
    return !(v->g.cr0 & CR0_PE) || (v->g.eflags & FLAG_VM);
}

/* The seven words as fields of either width. */
static void env_words(const struct vcpu *v, uint32_t w[7], bool wide)
{
    const struct x87_state *x = &v->g.x87;
    uint32_t high = wide ? 0xffff0000 : 0;
    w[0] = high | x->cw;
    w[1] = high | x->sw;
    w[2] = high | tag_word(x);
    if (is_real_mode(v)) {
        uint32_t ip = x->fip + ((uint32_t)x->fcs << 4), dp = x->fdp + ((uint32_t)x->fds << 4);
        w[3] = high | (ip & 0xffff);
        w[4] = (ip >> 4 & 0x0ffff000) | x->fop;
        w[5] = high | (dp & 0xffff);
        w[6] = dp >> 4 & 0x0ffff000;
    } else {
        w[3] = x->fip;
        w[4] = (uint32_t)x->fop << 16 | x->fcs;
        w[5] = x->fdp;
        w[6] = high | x->fds;
    }
}

static void env_apply(struct vcpu *v, const uint32_t w[7], bool wide)
{
    struct x87_state *x = &v->g.x87;
    x->cw = (uint16_t)((w[0] & FCW_KEPT) | FCW_ONE);
    x->sw = (uint16_t)w[1];
    x->empty = empty_of_tags(w[2]);
    if (is_real_mode(v)) {
        x->fip = (w[3] & 0xffff) | (w[4] & 0x0ffff000) << 4;
        x->fop = w[4] & 0x7ff;
        x->fdp = (w[5] & 0xffff) | (w[6] & 0x0ffff000) << 4;
        x->fcs = x->fds = 0;
    } else {
        x->fip = w[3];
        x->fcs = (uint16_t)w[4];
        x->fop = wide ? w[4] >> 16 & 0x7ff : 0;
        x->fdp = w[5];
        x->fds = (uint16_t)w[6];
    }
    fpu_update_summary(x);
}

/* The image is words of 2 or 4 bytes, as alignment checks see it; without them it may go by quadwords. */
static unsigned image_step(const struct vcpu *v, unsigned word, unsigned left)
{
    if (v->checks_alignment)
        return word;
    return left >= 8 ? 8 : left >= 4 ? 4 : 2;
}

static bool read_bytes(struct vcpu *v, uint32_t lin_addr, uint8_t *to, unsigned bytes, unsigned word)
{
    bool user = mem_is_user(v);
    for (unsigned done = 0, n; done < bytes; done += n) {
        uint64_t value;
        n = image_step(v, word, bytes - done);
        if (!mem_read(v, lin_addr + done, n, user, &value))
            return false;
        memcpy(to + done, &value, n);
    }
    return true;
}

static bool write_bytes(struct vcpu *v, uint32_t lin_addr, const uint8_t *from, unsigned bytes, unsigned word)
{
    bool user = mem_is_user(v);
    if (!mem_probe_write(v, lin_addr, word, user) || !mem_probe_write_run(v, lin_addr, bytes, user))
        return false;
    for (unsigned done = 0, n; done < bytes; done += n) {
        uint64_t value = 0;
        n = image_step(v, word, bytes - done);
        memcpy(&value, from + done, n);
        if (!mem_write(v, lin_addr + done, n, user, value))
            return false;
    }
    return true;
}

bool fpu_load_env(struct vcpu *v, uint32_t lin_addr, bool wide, bool with_regs)
{
    struct x87_state *x = &v->g.x87;
    uint8_t image[ENV_BYTES_MAX + REGS_BYTES];
    uint32_t w[7];
    unsigned word = wide ? 4 : 2;
    if (!read_bytes(v, lin_addr, image, fpu_env_bytes(wide, with_regs), word))
        return false;
    for (unsigned i = 0; i < 7; i++) {
        w[i] = 0;
        memcpy(&w[i], image + word * i, word);
    }
    env_apply(v, w, wide);
    for (unsigned i = 0; with_regs && i < 8; i++)
        memcpy(x->r[fpu_phys(x, i)], image + word * 7 + 10 * i, 10);
    return true;
}

bool fpu_store_env(struct vcpu *v, uint32_t lin_addr, bool wide, bool with_regs)
{
    struct x87_state *x = &v->g.x87;
    uint8_t image[ENV_BYTES_MAX + REGS_BYTES];
    uint32_t w[7];
    unsigned word = wide ? 4 : 2;
    env_words(v, w, wide);
    for (unsigned i = 0; i < 7; i++)
        memcpy(image + word * i, &w[i], word);
    for (unsigned i = 0; with_regs && i < 8; i++)
        memcpy(image + word * 7 + 10 * i, x->r[fpu_phys(x, i)], 10);
    if (!write_bytes(v, lin_addr, image, fpu_env_bytes(wide, with_regs), word))
        return false;
    if (with_regs) {
        fpu_init(x);
    } else {
        x->cw |= FCW_EXC; /* FNSTENV masks everything after storing */
        fpu_update_summary(x);
    }
    return true;
}
