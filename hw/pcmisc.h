/* pcmisc.h - small glue of a PC: POST port 80h, system control port A (92h), the "Shutdown" port
 * 8900h and the debug exit port.
 *
 * Access: all reads pure, writes posted. One range each. */
#ifndef TANDEM_HW_PCMISC_H
#define TANDEM_HW_PCMISC_H

#include "hw/chip.h"
#include "hw/requests.h"

#include <stdbool.h>

enum {
    PCMISC_OFF_POST = 0,       /* port 80h */
    PCMISC_OFF_PORTA = 1,      /* port 92h */
    PCMISC_OFF_SHUTDOWN = 2,   /* port 8900h */
    PCMISC_OFF_DEBUG_EXIT = 4, /* the debug exit port, 1 to 4 bytes */
    PCMISC_OFF_NOTHING = 16,   /* from here on: reads as 0 */
};

struct pcmisc {
    uint32_t exit_value;     /* last value written to the debug exit port */
    uint8_t post;            /* last POST code */
    uint8_t porta;           /* port 92h: bit 0 fast reset, bit 1 A20 */
    uint8_t shutdown_length; /* letters of "Shutdown" seen so far */
    uint8_t request;         /* enum hw_request bits */
};

extern const struct chip_class pcmisc_class;          /* after a reset as firmware leaves it: A20 on */
extern const struct chip_class pcmisc_firmware_class; /* after a reset as firmware finds it: A20 off here */

uint32_t pcmisc_take_request(struct pcmisc *s);
uint32_t pcmisc_exit_value(const struct pcmisc *s);
bool pcmisc_a20(const struct pcmisc *s);

#endif
