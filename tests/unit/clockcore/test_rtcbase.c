/* -rtc base=: dates in, Unix seconds out; everything else is an error that says what is accepted. */
#include <criterion/criterion.h>
#include <string.h>

#include "clockcore/rtcbase.h"

static void expect(const char *text, int64_t seconds)
{
    struct rtc_base b;
    char err[200] = "";
    cr_assert(rtc_base_parse(text, &b, err, sizeof err), "%s: %s", text, err);
    cr_assert_eq(b.seconds, seconds, "%s: %lld", text, (long long)b.seconds);
    cr_assert(b.repeatable);
}

Test(rtcbase, dates)
{
    expect(NULL, 1686355200);
    expect("2023-06-10T00:00:00", RTC_BASE_DEFAULT);
    expect("2006-06-17T16:01:21", 1150560081);
    expect("2006-06-17", 1150502400);
    expect("1970-01-01", 0);
    expect("2000-02-29T23:59:59", 951868799);
    expect("2100-03-01", 4107542400);
    expect("9999-12-31T23:59:59", INT64_C(253402300799));
}

Test(rtcbase, errors)
{
    static const char *const bad[] = {"",
                                      "now",
                                      "2006",
                                      "2006-6-17",
                                      "2006-13-01",
                                      "2006-02-29",
                                      "2100-02-29",
                                      "1969-12-31",
                                      "2006-06-00",
                                      "2006-06-17T",
                                      "2006-06-17T24:00:00",
                                      "2006-06-17T16:01",
                                      "2006-06-17 16:01:21",
                                      "2006-06-17T16:01:21Z",
                                      "UTC"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rtc_base b;
        char err[200] = "";
        cr_assert_not(rtc_base_parse(bad[i], &b, err, sizeof err), "%s", bad[i]);
        cr_assert(strstr(err, "accepted: utc, localtime"));
    }
}

Test(rtcbase, the_hosts_clock_is_not_repeatable)
{
    struct rtc_base b;
    char err[200];
    cr_assert(rtc_base_parse("utc", &b, err, sizeof err));
    cr_assert(b.seconds > 1600000000 && !b.repeatable);
    cr_assert(rtc_base_parse("localtime", &b, err, sizeof err));
    cr_assert_not(b.repeatable);
}
