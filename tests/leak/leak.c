/* leak.c - the planted leak: host time in the lowest bit of a count that the guest reads. See hw/leak.h. */
#include "hw/leak.h"

#include "clockcore/clock.h"

uint32_t leak_count(uint32_t count)
{
    return count ^ (clock_realtime_ns() >> 10 & 1);
}
