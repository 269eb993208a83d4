/* requests.h - what a chip may ask of the machine around it.
 *
 * A chip cannot reset the CPU or cut the power: it sets bits in its `request` field, and the board
 * takes them (X_take_request, which clears the field) after every call that may have set one. */
#ifndef TANDEM_HW_REQUESTS_H
#define TANDEM_HW_REQUESTS_H

enum hw_request {
    HW_REQUEST_RESET = 1,      /* hard reset of the machine */
    HW_REQUEST_POWEROFF = 2,   /* power off */
    HW_REQUEST_DEBUG_EXIT = 4, /* leave the emulator with a status (pcmisc_exit_value) */
    HW_REQUEST_NMI = 8,        /* a pulse at the CPU's NMI pin */
    HW_REQUEST_INIT = 16,      /* a pulse at the CPU's INIT pin: it alone is reset */
};

#endif
