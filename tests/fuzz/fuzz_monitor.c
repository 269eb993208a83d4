/* fuzz_monitor.c - random lines to the monitor of a machine that runs a guest: fuzz_monitor GUEST [SECONDS
 * [SEED]].
 *
 * Lines are made of the monitor's own words, numbers at the edges and noise, executed between short stretches
 * of the guest; half of them come as bytes through a connection, in pieces. Any answer is fine but a crash, a
 * sanitizer's complaint, or a guest that has changed: the digest of its state is that of a machine which
 * nobody looked at. */
#include "cli/monitor_internal.h"
#include "fuzz_steered.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINES     20 /* between two stretches */
#define ROUNDS    50 /* stretches of one machine */
#define LINE_MAX_ 200

static const char *word(void)
{
    static const char *const words[] = {"/4xw",
                                        "/i",
                                        "/s",
                                        "/99999999999999999999xb",
                                        "/64xb",
                                        "/2dg",
                                        "/oc",
                                        "/",
                                        "/0",
                                        "/zz",
                                        "0",
                                        "1",
                                        "-1",
                                        "0x100000",
                                        "0xffffffff",
                                        "0xfffffffff",
                                        "18446744073709551615",
                                        "$eip",
                                        "$esp",
                                        "$cr3",
                                        "$nothing",
                                        "$tick",
                                        "(",
                                        ")",
                                        "+",
                                        "-",
                                        "*",
                                        "%",
                                        "((((",
                                        "'a'",
                                        "''",
                                        "\"",
                                        "\"a b\"",
                                        "int",
                                        "none",
                                        "in_asm,op",
                                        ",",
                                        "ctrl-a",
                                        "x",
                                        "100",
                                        "4096",
                                        "out",
                                        "*",
                                        "pit",
                                        "link",
                                        "cpu",
                                        "serial0",
                                        "\t",
                                        "\x80\xff",
                                        "%s%n",
                                        "status",
                                        "1 1 1 1 1 1"};
    return words[rng(sizeof words / sizeof *words)];
}

/* Commands that would let the guest go on differently, or end the run, are left out. */
static const char *command(void)
{
    static const char *const not_these[] = {"quit",
                                            "run-to",
                                            "sendkey",
                                            "mouse_move",
                                            "mouse_button",
                                            "system_reset",
                                            "system_powerdown",
                                            "nmi",
                                            "loadvm",
                                            "savevm",
                                            "delvm",
                                            "eject",
                                            "change",
                                            "hostfwd_add",
                                            "hostfwd_remove"};
    for (;;) {
        const char *name = monitor_commands[rng(monitor_ncommands)].name;
        bool fine = true;
        for (size_t i = 0; i < sizeof not_these / sizeof *not_these; i++)
            fine = fine && strcmp(name, not_these[i]) != 0;
        if (fine)
            return name;
    }
}

/* A path with a / would be a file outside of the folder that is ours. */
static bool writes_elsewhere(const char *line)
{
    return (strstr(line, "save") || strstr(line, "screendump")) && strchr(line, '/');
}

static void make_line(char line[LINE_MAX_])
{
    do {
        size_t n = (size_t)snprintf(line, LINE_MAX_, "%s", rng(20) ? command() : word());
        if (strcmp(line, "info") == 0 && rng(8))
            n += (size_t)snprintf(line + n, LINE_MAX_ - n, " %s", monitor_infos[rng(monitor_ninfos)].name);
        for (uint32_t i = rng(5); i > 0 && n < LINE_MAX_ - 40; i--)
            n += (size_t)snprintf(line + n, LINE_MAX_ - n, "%s%s", rng(6) ? " " : "", word());
        for (uint32_t i = rng(8) ? 0 : rng(5); i > 0; i--)
            line[rng((uint32_t)n)] = (char)(1 + rng(255));
    } while (writes_elsewhere(line));
}

struct rig {
    struct steer steer;
    struct control *control;
    int fd;
};

static void open_rig(struct rig *r, const struct options *o, struct machine *m)
{
    struct err e;
    int pair[2];
    r->control = control_create(&e);
    if (!r->control || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0 ||
        !control_add_fds(r->control, pair[1], pair[1], &monitor_class, &r->steer, &e) ||
        !control_start(r->control, ask, m, &e))
        die(e.text);
    r->fd = pair[0];
    steer_init(&r->steer, o, m, r->control);
}

static void say(struct rig *r)
{
    char line[LINE_MAX_];
    make_line(line);
    if (rng(2)) {
        free(monitor_execute(&r->steer, line));
        return;
    }
    const size_t n = strlen(line);
    line[n] = '\n';
    for (size_t done = 0; done <= n;) {
        const size_t some = 1 + rng((uint32_t)(n + 1 - done));
        if (send(r->fd, line + done, some, MSG_NOSIGNAL) < 0)
            break; /* it does not listen: its answers are not read at all times */
        done += some;
    }
    char answers[4096];
    while (rng(4) && read(r->fd, answers, sizeof answers) > 0) {
    }
    control_execute(r->control);
}

static void one_machine(const char *guest, FILE *log)
{
    static struct options o;
    struct rig r;
    o.shift = ICOUNT_SHIFT_DEFAULT;
    struct machine *m = machine_of(guest, log), *other = machine_of(guest, log);
    open_rig(&r, &o, m);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned n = 0; n < LINES; n++)
            say(&r);
        stretch(m);
        stretch(other);
    }
    compare_states(m, other);
    control_destroy(r.control);
    close(r.fd);
    end_machine(m);
    end_machine(other);
}

int main(int argc, char **argv)
{
    const long seconds = argc > 2 ? strtol(argv[2], NULL, 10) : 10;
    const uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    char dir[] = "/tmp/fuzz_monitor.XXXXXX", *guest = argc > 1 ? realpath(argv[1], NULL) : NULL;
    FILE *log = fopen("/dev/null", "we");
    unsigned machines = 0;
    if (!guest || !log || !mkdtemp(dir) || chdir(dir) != 0) {
        fprintf(stderr, "fuzz_monitor GUEST [SECONDS [SEED]]\n");
        return 2;
    }
    rng_state = seed * 2 + 1;
    printf("fuzz_monitor: seed %" PRIu64 "\n", seed);
    fflush(stdout);
    for (const time_t end = time(NULL) + seconds; time(NULL) < end; machines++)
        one_machine(guest, log);
    printf("fuzz_monitor: %u machines, %u lines\n", machines, machines * ROUNDS * LINES);
    char command_line[64];
    snprintf(command_line, sizeof command_line, "rm -rf %s", dir);
    free(guest);
    fclose(log);
    return system(command_line) == 0 ? 0 : 2;
}
