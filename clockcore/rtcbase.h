/* rtcbase.h - the date at which the guest's clock chip starts: `-rtc base=`.
 *
 * Accepted, as in QEMU: utc | localtime | 2006-06-17T16:01:21 | 2006-06-17. The first two read the
 * host's clock: such a run is not repeatable (unless it is recorded), which `repeatable` reports.
 * The default is a fixed date, so that two runs of one machine agree.
 * Threads: start-up only (localtime reads TZ). */
#ifndef TANDEM_CLOCKCORE_RTCBASE_H
#define TANDEM_CLOCKCORE_RTCBASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTC_BASE_DEFAULT INT64_C(1686355200) /* 2023-06-10T00:00:00 */

struct rtc_base {
    int64_t seconds; /* what the chip shows, as Unix seconds without a time zone */
    bool repeatable; /* false: taken from the host's clock */
};

/* False: `text` is bad, and err (err_bytes long) says what is accepted. NULL text: the default. */
bool rtc_base_parse(const char *text, struct rtc_base *out, char *err, size_t err_bytes);

#endif
