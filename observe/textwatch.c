/* textwatch.c - a text that the guest sends: which accesses send a byte, and whether the text is whole.
 *
 * Seen where the vCPU makes the access, so that its tick is known. A UART's register 0 sends unless LCR.DLAB
 * or MCR's loop are set (PC16550D data sheet), which are followed from access to access. */
#include "observe/marks_internal.h"

#include "hw/ns16550.h"
#include "syncq/access.h"

#include <string.h>

enum { UART_THR = 0, UART_LCR = 3, UART_MCR = 4, LCR_DLAB = 0x80, MCR_LOOP = 0x10 };

/* The search of Knuth, Morris and Pratt: no byte is looked at twice. */
void text_prepare(struct moment *t)
{
    const char *text = t->o->text;
    size_t n = strlen(text);
    unsigned k = 0;
    t->border[0] = 0;
    for (size_t i = 1; i < n; i++) {
        while (k && text[i] != text[k])
            k = t->border[k - 1];
        k += text[i] == text[k];
        t->border[i] = (uint8_t)k;
    }
}

bool text_byte(struct moment *t, unsigned stream, uint8_t byte)
{
    const char *text = t->o->text;
    unsigned k = t->matched[stream];
    while (k && (uint8_t)text[k] != byte)
        k = t->border[k - 1];
    k += (uint8_t)text[k] == byte;
    t->matched[stream] = (uint8_t)k;
    if (text[k])
        return false;
    t->matched[stream] = t->border[k - 1];
    return true;
}

static int uart_stream(struct marks *m, unsigned n, const struct access *a)
{
    if (a->offset == UART_LCR)
        m->lcr[n] = (uint8_t)a->value;
    else if (a->offset == UART_MCR)
        m->mcr[n] = (uint8_t)a->value;
    else if (a->offset == UART_THR && !(m->lcr[n] & LCR_DLAB) && !(m->mcr[n] & MCR_LOOP))
        return (int)n;
    return -1;
}

int text_stream(struct marks *m, int device, const struct access *a)
{
    if (a->kind != ACCESS_PIO_WRITE)
        return -1;
    if (device == PC_DEV_DEBUGCON)
        return PC_SERIAL_MAX;
    if (device >= PC_DEV_COM1 && device < PC_DEV_COM1 + PC_SERIAL_MAX)
        return uart_stream(m, (unsigned)(device - PC_DEV_COM1), a);
    return -1;
}

void text_begin(struct marks *m, const struct pc *pc)
{
    for (unsigned n = 0; n < PC_SERIAL_MAX; n++) {
        m->lcr[n] = pc->com[n].lcr;
        m->mcr[n] = pc->com[n].mcr;
    }
}

/* Master reset clears both. */
void text_reset(struct marks *m)
{
    memset(m->lcr, 0, sizeof m->lcr);
    memset(m->mcr, 0, sizeof m->mcr);
}
