/* The recording: round trip, and files that are not one. */
#include "clockcore/ticks.h"
#include "devthread/inputlog.h"
#include "hw/pc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/tandem-log-XXXXXX";
static char err[512];
static struct board board;

static void setup(void)
{
    struct pc_config pc;

    pc_config_init(&pc);
    pc_board(&board, &pc);
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    close(fd);
}

static void teardown(void)
{
    unlink(path);
}

static void put(const char *text, size_t n)
{
    FILE *f = fopen(path, "w");

    fwrite(text, 1, n, f);
    fclose(f);
}

static bool opens(const char *text, size_t n)
{
    struct inputlog_header h;

    put(text, n);
    err[0] = '\0';
    struct inputlog *l = inputlog_replay_open(path, &h, &board, err, sizeof(err));
    inputlog_close(l);
    cr_expect_eq(!l, err[0] != '\0');
    return l != NULL;
}

TestSuite(inputlog, .init = setup, .fini = teardown);

Test(inputlog, round_trip)
{
    struct inputlog_header h = {.shift = 5, .rtc_seconds = -3}, back;
    static uint8_t bytes[PORT_ENTRY_BYTES];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    struct inputlog *l = inputlog_record_open(path, &h, &board, err, sizeof(err));
    cr_assert_not_null(l);
    inputlog_record(l, 1, PC_PORT_SERIAL0 + 0, bytes, 1);
    inputlog_record(l, 7, PC_PORT_SERIAL0 + 1, bytes, sizeof(bytes));
    inputlog_record(l, 7, PC_PORT_SERIAL0 + 3, bytes + 200, 2);
    inputlog_record(l, UINT64_MAX - 1, PC_PORT_SERIAL0 + 0, bytes, 3);
    cr_expect_str_empty(inputlog_error(l));
    inputlog_close(l);

    l = inputlog_replay_open(path, &back, &board, err, sizeof(err));
    cr_assert_not_null(l, "%s", err);
    cr_expect_eq(back.shift, 5);
    cr_expect_eq(back.rtc_seconds, -3);
    cr_expect_null(inputlog_take(l, 0));
    cr_expect_eq(inputlog_next_tick(l), 1);
    cr_expect_eq(inputlog_take(l, 1)->nbytes, 1);
    cr_expect_eq(inputlog_next_tick(l), 7);
    const struct inputlog_entry *e = inputlog_take(l, 9);
    cr_expect_eq(e->port, PC_PORT_SERIAL0 + 1);
    cr_expect_eq(memcmp(e->bytes, bytes, sizeof(bytes)), 0);
    cr_expect_eq(inputlog_next_port(l), PC_PORT_SERIAL0 + 3);
    cr_expect_eq(inputlog_take(l, 9)->bytes[1], 201);
    cr_expect_null(inputlog_take(l, UINT64_MAX - 2));
    cr_expect_eq(inputlog_take(l, UINT64_MAX - 1)->nbytes, 3);
    cr_expect_eq(inputlog_next_tick(l), TICK_NEVER);
    cr_expect_null(inputlog_take(l, UINT64_MAX));
    inputlog_close(l);
}

#define HEAD "tandem-input-log 2\nshift 3\nrtc 0\n"

/* Errors of drives are entries, too, and within a tick devices come in their order, whatever their ports'
 * numbers are. */
Test(inputlog, drives_and_their_images)
{
    struct inputlog_header h = {.shift = 3, .images = "ide0-hd0 512,ab,disk\nfloppy0 1024,cd,disk\n"}, back;
    const uint8_t failed[] = {1, 2};

    struct inputlog *l = inputlog_record_open(path, &h, &board, err, sizeof(err));
    inputlog_record(l, 5, PC_PORT_KEYS, failed, 1); /* the keyboard controller comes before COM1 */
    inputlog_record(l, 5, PC_PORT_SERIAL0, failed, 1);
    inputlog_record(l, 5, PC_PORT_BLOCKS, failed, 2); /* the toy uses its disk before it takes a frame */
    inputlog_record(l, 5, PC_PORT_FRAMES, failed, 1);
    inputlog_close(l);
    l = inputlog_replay_open(path, &back, &board, err, sizeof(err));
    cr_assert_not_null(l, "%s", err);
    cr_expect_str_eq(back.images, h.images);
    cr_expect_eq(inputlog_take(l, 5)->port, PC_PORT_KEYS);
    cr_expect_eq(inputlog_take(l, 5)->port, PC_PORT_SERIAL0);
    cr_expect_eq(inputlog_take(l, 5)->port, PC_PORT_BLOCKS);
    cr_expect_eq(inputlog_take(l, 5)->port, PC_PORT_FRAMES);
    inputlog_close(l);

    static char many[3 * INPUTLOG_IMAGES_BYTES] = "tandem-input-log 2\nshift 3\nrtc 0\n";
    while (strlen(many) < 2 * INPUTLOG_IMAGES_BYTES)
        strcat(many, "image ide0-hd0 512\n");
    cr_expect_not(opens(many, strlen(many)));
    static const char late[] = "tandem-input-log 2\nshift 3\nrtc 0\n1 serial0 00\nimage ide0-hd0 512\n";
    cr_expect_not(opens(late, strlen(late)));
}

Test(inputlog, refuses_what_is_not_a_recording)
{
    static const char *const bad[] = {
        "",
        "\n",
        "tandem-input-log 3\nshift 3\nrtc 0\n",
        "tandem-input-log 2\n",
        "tandem-input-log 2\nshift 11\nrtc 0\n",
        "tandem-input-log 2\nshift \nrtc 0\n",
        "tandem-input-log 2\nshift 3\nrtc 99999999999999999999\n",
        "tandem-input-log 2\nshift 3\nrtc --1\n",
        HEAD "0 serial0 00\n",
        HEAD "1 serial0 0\n",
        HEAD "1 serial0 \n",
        HEAD "1 serial4 00\n",
        HEAD "1 serial 00\n",
        HEAD "1 mouse1 00\n",
        HEAD "1 serial01 00\n",
        HEAD "1 keys0x 00\n",
        HEAD "1  serial0 00\n",
        HEAD "x serial0 00\n",
        HEAD "18446744073709551615 serial0 00\n",
        HEAD "18446744073709551616 serial0 00\n",
        HEAD "-1 serial0 00\n",
        HEAD "2 serial0 00\n1 serial0 00\n",
        HEAD "2 serial0 00\n2 serial0 00\n",
        HEAD "2 serial1 00\n2 serial0 00\n",
        HEAD "1 serial0 0g\n",
        HEAD "1 serial0 00 \n",
        HEAD "1 serial0 0A\n",
        HEAD "\n",
        HEAD "0 end\n",
        HEAD "18446744073709551615 end\n",
        HEAD "5 end \n",
        HEAD "5 endx\n",
        HEAD "end\n",
        HEAD "5 end\n6 end\n",
        HEAD "5 end\n6 serial0 00\n",
        HEAD "5 serial0 00\n4 end\n",
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(opens(bad[i], strlen(bad[i])), "case %u: %s", i, bad[i]);
    cr_expect(opens(HEAD, sizeof(HEAD) - 1));
    static const char nul[] = HEAD "1 serial0 00\0\n";
    cr_expect_not(opens(nul, sizeof(nul) - 1));
}

/* An end is what comes last, whoever asks for an entry, and is passed once. */
Test(inputlog, says_where_the_run_ended)
{
    static const uint8_t byte = 7;
    for (unsigned entries = 0; entries < 2; entries++) {
        struct inputlog_header h = {.shift = 3};
        struct inputlog *l = inputlog_record_open(path, &h, &board, err, sizeof(err));
        if (entries)
            inputlog_record(l, 5, PC_PORT_SERIAL0, &byte, 1);
        inputlog_record_end(l, 9);
        inputlog_close(l);
        const uint64_t end = 9;
        l = inputlog_replay_open(path, &h, &board, err, sizeof(err));
        cr_assert_not_null(l, "%s", err);
        cr_expect_eq(inputlog_end_tick(l), end);
        cr_expect_eq(inputlog_take(l, end) != NULL, entries);
        cr_expect_eq(inputlog_end_tick(l), end);
        cr_expect_eq(inputlog_next_tick(l), entries ? end : TICK_NEVER);
        cr_expect_eq(inputlog_next_port(l), INPUTLOG_NO_PORT);
        cr_expect_null(inputlog_take(l, end));
        cr_expect_eq(inputlog_next_tick(l), TICK_NEVER);
        cr_expect_str_empty(inputlog_error(l));
        inputlog_close(l);
    }
}

Test(inputlog, format_1_is_refused_by_name)
{
    static const char text[] = "tandem-input-log 1\nshift 3\nrtc 0\n1 serial0 00\n";

    cr_expect_not(opens(text, sizeof(text) - 1));
    cr_expect_not_null(strstr(err, "format 1"), "%s", err);
}

Test(inputlog, a_torn_last_line_ends_the_recording)
{
    static const char good[] = HEAD "1 serial0 0102\n2 keys0 1e0001\n";
    static const char torn[] = "3 serial1 0304\n";

    for (size_t n = 0; n < sizeof(torn); n++) {
        struct inputlog_header h;
        char text[sizeof(good) + sizeof(torn)];
        bool whole = n == 0 || n == sizeof(torn) - 1;
        put(text, (size_t)snprintf(text, sizeof(text), "%s%.*s", good, (int)n, torn));
        struct inputlog *l = inputlog_replay_open(path, &h, &board, err, sizeof(err));
        cr_assert_not_null(l, "%s", err);
        cr_expect_eq(inputlog_torn(l), whole ? 0 : 6);
        cr_expect_eq(inputlog_take(l, 5)->port, PC_PORT_SERIAL0);
        cr_expect_eq(inputlog_take(l, 5)->port, PC_PORT_KEYS);
        cr_expect_eq(inputlog_take(l, 5) != NULL, n == sizeof(torn) - 1);
        cr_expect_str_empty(inputlog_error(l));
        inputlog_close(l);
    }
    static const char head[] = HEAD;
    for (size_t n = 0; n < sizeof(head) - 1; n++)
        cr_expect_not(opens(head, n), "half a header is no recording");
}

Test(inputlog, bounds_the_line)
{
    static char text[8 * PORT_ENTRY_BYTES];
    int n = sprintf(text, HEAD "5 serial2 ");

    memset(text + n, 'a', 2 * PORT_ENTRY_BYTES);
    text[n + 2 * PORT_ENTRY_BYTES] = '\n';
    cr_expect(opens(text, (size_t)n + 2 * PORT_ENTRY_BYTES + 1), "%s", err);
    memset(text + n, 'a', 2 * PORT_ENTRY_BYTES + 2);
    text[n + 2 * PORT_ENTRY_BYTES + 2] = '\n';
    cr_expect_not(opens(text, (size_t)n + 2 * PORT_ENTRY_BYTES + 3));
    memset(text + n, 'a', sizeof(text) - (size_t)n);
    cr_expect_not(opens(text, sizeof(text)));
}

/* Random changes to a good file: whatever opens must also play, in order and in bounds. */
Test(inputlog, mutated_files)
{
    static const char good[] = HEAD "10 serial0 6869\n10 serial2 0d\n4000 serial0 78\n99999 serial1 ffff\n";
    uint64_t x = 0x123456789abcdefu;

    for (unsigned round = 0; round < 1000; round++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        for (unsigned k = 0; k < 1 + round % 3; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            text[x % (sizeof(good) - 1)] = "0123456789af \n-s\0\377"[(x >> 32) % 18];
        }
        struct inputlog_header h;
        put(text, sizeof(text) - 1);
        struct inputlog *l = inputlog_replay_open(path, &h, &board, err, sizeof(err));
        uint64_t last = 0;
        for (const struct inputlog_entry *e; l && (e = inputlog_take(l, UINT64_MAX));) {
            cr_assert(e->tick >= last && e->nbytes > 0 && e->nbytes <= PORT_ENTRY_BYTES);
            last = e->tick;
        }
        inputlog_close(l);
    }
}

Test(inputlog, open_errors_name_the_file)
{
    struct inputlog_header h = {0};

    cr_expect_null(inputlog_replay_open("/nonexistent/log", &h, &board, err, sizeof(err)));
    cr_expect_not_null(strstr(err, "/nonexistent/log"));
    cr_expect_null(inputlog_record_open("/nonexistent/log", &h, &board, err, sizeof(err)));
    cr_expect_null(inputlog_record_open("/dev/full", &h, &board, err, sizeof(err)));
    cr_expect_not_null(strstr(err, "/dev/full"));
}
