/* router.c - see router.h. */
#include "hw/router.h"

uint32_t router_levels(const struct board *b, const uint32_t *outputs, const void *state)
{
    uint32_t wired = 0;

    for (unsigned i = 0; i < b->nwires; i++) {
        const struct board_wire *w = &b->wire[i];
        wired |= (outputs[w->device] >> w->pin & 1) << w->line;
    }
    uint32_t levels = wired & ((1u << BOARD_IRQ_LINES) - 1);
    for (unsigned pirq = 0; pirq < BOARD_PIRQS; pirq++)
        if (wired >> (BOARD_PIRQ_A + pirq) & 1 && b->pirq_route) {
            unsigned line = b->pirq_route(state, pirq);
            levels |= line < BOARD_IRQ_LINES ? 1u << line : 0;
        }
    return levels;
}
