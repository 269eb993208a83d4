/* fpu_host.c - the guest's x87 and SSE state to the host's units and back (translator/x64/fpu.h), through an
 * FXSAVE image.
 *
 * The image (SDM 1 table 10-2) has the registers in stack order and one tag bit for each physical register, 1
 * when it is not empty. Of the host's own FIP, FDP and FOP nothing is used: they are the host's addresses. */
#include "translator/sse.h"
#include "vcpu/arch/fpu_internal.h"

enum {
    IMG_CW = 0,
    IMG_SW = 2,
    IMG_TAGS = 4,
    IMG_MXCSR = 24,
    IMG_REGS = 32,
    IMG_REG_BYTES = 16,
    IMG_XMM = 160
};
enum { PC_RESERVED = 0x100 }; /* SDM 1 table 8-2: no such precision; MATCH reserved_precision */

/* Would the host do what the helpers do? Where an exception is unmasked, it would fault the host program. */
static bool is_exact_on_host(const struct guest_state *g)
{
    const struct x87_state *x = &g->x87;
    return (g->sse.mxcsr & MXCSR_MASKS) == MXCSR_MASKS && (x->cw & FCW_EXC) == FCW_EXC && !(x->sw & FSW_ES) &&
           (x->cw & FCW_PC) != PC_RESERVED;
}

static void put16(uint8_t *image, unsigned at, uint16_t value)
{
    memcpy(image + at, &value, 2);
}

static void image_fill(uint8_t *image, const struct guest_state *g)
{
    const struct x87_state *x = &g->x87;
    put16(image, IMG_CW, x->cw);
    put16(image, IMG_SW, x->sw);
    image[IMG_TAGS] = (uint8_t)~x->empty;
    memcpy(image + IMG_MXCSR, &g->sse.mxcsr, 4);
    memcpy(image + IMG_XMM, g->sse.xmm, sizeof g->sse.xmm);
    for (unsigned i = 0; i < 8; i++)
        memcpy(image + IMG_REGS + IMG_REG_BYTES * i, x->r[fpu_phys(x, i)], IMG_REG_BYTES);
}

/* The control word in `x` is exact all the time. */
static void image_take(struct guest_state *g, const uint8_t *image)
{
    struct x87_state *x = &g->x87;
    memcpy(&g->sse.mxcsr, image + IMG_MXCSR, 4);
    memcpy(g->sse.xmm, image + IMG_XMM, sizeof g->sse.xmm);
    memcpy(&x->sw, image + IMG_SW, 2);
    x->empty = (uint8_t)~image[IMG_TAGS];
    for (unsigned i = 0; i < 8; i++)
        memcpy(x->r[fpu_phys(x, i)], image + IMG_REGS + IMG_REG_BYTES * i, 10);
}

int64_t fpu_enter_host(struct vcpu *v)
{
    struct guest_state *g = &v->g;
    if (!is_exact_on_host(g))
        return fpu_refuse_host(v);
    image_fill(g->fpu_host.image, g);
    g->fpu_host.executed = 0;
    g->fpu_host.fds_seg = FPU_NO_SEG;
    return 0;
}

int64_t fpu_leave_host(struct vcpu *v)
{
    struct guest_state *g = &v->g;
    const struct fpu_host *h = &g->fpu_host;
    image_take(g, h->image);
    if (h->executed) {
        g->x87.fip = h->fip;
        g->x87.fop = h->fop;
        g->x87.fcs = g->seg[SEG_CS].sel;
    }
    if (h->fds_seg != FPU_NO_SEG)
        g->x87.fds = g->seg[h->fds_seg].sel;
    return 0;
}

int64_t fpu_refuse_host(struct vcpu *v)
{
    v->redo_single = true;
    v->fpu_refused = true;
    return -1;
}
