/* fxsave.c - FXSAVE and FXRSTOR: the 512-byte image of x87, MMX and SSE state (SDM 1 10.5.1, 32-bit layout).
 *
 * Registers are in stack order, tags are one bit a physical register (1: valid). Bytes 288 to 511 are neither
 * read nor written. Without CR4.OSFXSR, MXCSR and the XMM registers take no part. */
#include "vcpu/arch/sse_internal.h"

enum {
    IMAGE_FPU_BYTES = 160,
    IMAGE_BYTES = 288,
    IMAGE_SPAN = 512,
    IMAGE_ALIGN = 16,
    AT_FCW = 0,
    AT_FSW = 2,
    AT_FTW = 4,
    AT_FOP = 6,
    AT_FIP = 8,
    AT_FCS = 12,
    AT_FDP = 16,
    AT_FDS = 20,
    AT_MXCSR = 24,
    AT_MXCSR_MASK = 28,
    AT_ST = 32,
    AT_XMM = 160
};

static void put(uint8_t *image, unsigned at, uint32_t value, unsigned bytes)
{
    memcpy(image + at, &value, bytes);
}

static uint32_t get(const uint8_t *image, unsigned at, unsigned bytes)
{
    uint32_t value = 0;
    memcpy(&value, image + at, bytes);
    return value;
}

static void save_x87(const struct x87_state *x, uint8_t *image)
{
    put(image, AT_FCW, x->cw, 2);
    put(image, AT_FSW, x->sw, 2);
    put(image, AT_FTW, (uint8_t)~x->empty, 1);
    put(image, AT_FOP, x->fop, 2);
    put(image, AT_FIP, x->fip, 4);
    put(image, AT_FCS, x->fcs, 2);
    put(image, AT_FDP, x->fdp, 4);
    put(image, AT_FDS, x->fds, 2);
    for (unsigned i = 0; i < 8; i++)
        memcpy(image + AT_ST + 16 * i, x->r[fpu_phys(x, i)], 10);
}

static void restore_x87(struct x87_state *x, const uint8_t *image)
{
    x->cw = (uint16_t)((get(image, AT_FCW, 2) & FCW_KEPT) | FCW_ONE);
    x->sw = (uint16_t)get(image, AT_FSW, 2);
    x->empty = (uint8_t)~get(image, AT_FTW, 1);
    x->fop = (uint16_t)(get(image, AT_FOP, 2) & 0x7ff);
    x->fip = get(image, AT_FIP, 4);
    x->fcs = (uint16_t)get(image, AT_FCS, 2);
    x->fdp = get(image, AT_FDP, 4);
    x->fds = (uint16_t)get(image, AT_FDS, 2);
    fpu_update_summary(x);
    for (unsigned i = 0; i < 8; i++)
        memcpy(x->r[fpu_phys(x, i)], image + AT_ST + 16 * i, 10);
}

/* The image's linear address; false: #GP(0) or #SS(0) recorded. */
static bool image_at(struct vcpu *v, const struct ir_op *op, bool write, uint32_t *lin_addr)
{
    if (!seg_linear(v, op->aux, v->g.slot[op->a], IMAGE_SPAN, write, lin_addr))
        return false;
    if (*lin_addr % IMAGE_ALIGN == 0)
        return true;
    vcpu_raise_error(v, EXC_GP, 0);
    return false;
}

static unsigned image_bytes(const struct vcpu *v)
{
    return v->g.cr4 & CR4_OSFXSR ? IMAGE_BYTES : IMAGE_FPU_BYTES;
}

static bool write_image(struct vcpu *v, uint32_t lin_addr, const uint8_t *image)
{
    const bool user = mem_is_user(v);
    if (!mem_probe_write(v, lin_addr, IMAGE_SPAN, user))
        return false;
    for (unsigned at = 0; at < image_bytes(v); at += 8) {
        uint64_t value;
        memcpy(&value, image + at, 8);
        if ((at != AT_MXCSR || (v->g.cr4 & CR4_OSFXSR)) && !mem_write(v, lin_addr + at, 8, user, value))
            return false;
    }
    return true;
}

static bool read_image(struct vcpu *v, uint32_t lin_addr, uint8_t *image)
{
    const bool user = mem_is_user(v);
    if (!mem_probe_read(v, lin_addr, IMAGE_SPAN, user))
        return false;
    for (unsigned at = 0; at < image_bytes(v); at += 8) {
        uint64_t value;
        if (!mem_read(v, lin_addr + at, 8, user, &value))
            return false;
        memcpy(image + at, &value, 8);
    }
    return true;
}

enum helper_result helper_FXSAVE(struct vcpu *v, const struct ir_op *op)
{
    uint8_t image[IMAGE_BYTES] = {0};
    uint32_t lin_addr;
    if (!image_at(v, op, true, &lin_addr))
        return HELPER_FAULT;
    save_x87(&v->g.x87, image);
    put(image, AT_MXCSR, v->g.sse.mxcsr, 4);
    put(image, AT_MXCSR_MASK, MXCSR_VALID, 4);
    memcpy(image + AT_XMM, v->g.sse.xmm, sizeof v->g.sse.xmm);
    return write_image(v, lin_addr, image) ? HELPER_OK : HELPER_FAULT;
}

enum helper_result helper_FXRSTOR(struct vcpu *v, const struct ir_op *op)
{
    uint8_t image[IMAGE_BYTES];
    uint32_t lin_addr;
    if (!image_at(v, op, false, &lin_addr) || !read_image(v, lin_addr, image))
        return HELPER_FAULT;
    if (v->g.cr4 & CR4_OSFXSR) {
        if (!sse_load_mxcsr(v, get(image, AT_MXCSR, 4)))
            return HELPER_FAULT;
        memcpy(v->g.sse.xmm, image + AT_XMM, sizeof v->g.sse.xmm);
    }
    bool error = v->g.x87.sw & FSW_ES;
    restore_x87(&v->g.x87, image);
    if (error)
        fpu_error_gone(v);
    return HELPER_OK;
}
