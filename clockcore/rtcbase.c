/* rtcbase.c - see rtcbase.h. The proleptic Gregorian calendar, years 1970 to 9999. */
#include "clockcore/rtcbase.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clockcore/clock.h"
#include "clockcore/ticks.h"

struct date {
    unsigned year, month, day, hour, minute, second;
};

static bool leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year));
}

static bool date_valid(const struct date *d)
{
    return d->year >= 1970 && d->year <= 9999 && d->month >= 1 && d->month <= 12 && d->day >= 1 &&
           d->day <= month_days(d->year, d->month) && d->hour < 24 && d->minute < 60 && d->second < 60;
}

static int64_t date_seconds(const struct date *d)
{
    int64_t before = d->year - 1; /* whole years before this one, from year 1 on */
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400;
    for (unsigned m = 1; m < d->month; m++)
        days += month_days(d->year, m);
    days += d->day - 1;
    const int64_t days_to_1970 = 719162;
    return ((days - days_to_1970) * 24 + d->hour) * 3600 + d->minute * 60 + d->second;
}

/* Exactly `n` decimal digits at *p, then *p is past them. */
static bool digits(const char **p, unsigned n, unsigned *out)
{
    *out = 0;
    for (; n > 0; n--, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (unsigned)(**p - '0');
    }
    return true;
}

static bool literal(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static bool date_parse(const char *p, struct date *d)
{
    *d = (struct date){0};
    if (!digits(&p, 4, &d->year) || !literal(&p, '-') || !digits(&p, 2, &d->month) || !literal(&p, '-') ||
        !digits(&p, 2, &d->day))
        return false;
    if (*p == '\0')
        return date_valid(d);
    return literal(&p, 'T') && digits(&p, 2, &d->hour) && literal(&p, ':') && digits(&p, 2, &d->minute) &&
           literal(&p, ':') && digits(&p, 2, &d->second) && *p == '\0' && date_valid(d);
}

static int64_t host_local_seconds(void)
{
    time_t now = (time_t)(clock_host_ns() / NS_PER_SEC);
    struct tm tm;
    return localtime_r(&now, &tm) ? (int64_t)now + tm.tm_gmtoff : (int64_t)now;
}

bool rtc_base_parse(const char *text, struct rtc_base *out, char *err, size_t err_bytes)
{
    struct date d;
    if (!text)
        *out = (struct rtc_base){RTC_BASE_DEFAULT, true};
    else if (strcmp(text, "utc") == 0)
        *out = (struct rtc_base){(int64_t)(clock_host_ns() / NS_PER_SEC), false};
    else if (strcmp(text, "localtime") == 0)
        *out = (struct rtc_base){host_local_seconds(), false};
    else if (date_parse(text, &d))
        *out = (struct rtc_base){date_seconds(&d), true};
    else {
        snprintf(err, err_bytes,
                 "-rtc base=%.64s: not a date; accepted: utc, localtime, YYYY-MM-DDTHH:MM:SS or "
                 "YYYY-MM-DD (years 1970 to 9999)",
                 text);
        return false;
    }
    return true;
}
