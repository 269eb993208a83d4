/* leak.h - the place at which a test build lets host time into the guest.
 *
 * hw/leak.c shows the guest the count as it is. tests/leak/leak.c, which only the test program tandem_leak is
 * linked with, mixes the host's clock into its lowest bit: an experiment that takes that program for
 * deterministic proves nothing. Threads: any; no state. */
#ifndef TANDEM_HW_LEAK_H
#define TANDEM_HW_LEAK_H

#include <stdint.h>

uint32_t leak_count(uint32_t count);

#endif
