/* fuzz_qmp.c - random requests to QMP, of a machine that runs a guest: fuzz_qmp GUEST [SECONDS [SEED]].
 *
 * Requests are made from the table that QMP dispatches by, so that most get past the first checks, with
 * values at the edges, members too many or too few, deep and long ones, numbers of all kinds, bytes that are
 * no UTF-8 and no JSON. They come in pieces, over several connections at once, of which one never reads and
 * others break off. What must hold: no crash and no complaint of a sanitizer; each line that comes back is
 * one JSON object of the protocol; a client that ends its line is answered, whatever it has sent before; and
 * where requests only look, the guest's state is that of a machine which nobody looked at. */
#include "cli/display.h"
#include "cli/monitor_internal.h"
#include "cli/qmp_internal.h"
#include "fuzz_steered.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS   4 /* the last never reads */
#define ROUNDS    60
#define TEXT_MAX  (CONTROL_REQUEST_MAX + 4096)
#define LINES_MAX (1 << 20)
#define ANSWER_S  20 /* of host time without a byte, under sanitizers and on a busy host */

/* No display is linked here: nobody watches. */
unsigned display_viewers(struct display *d, struct display_viewer to[DISPLAY_VIEWERS_MAX])
{
    return 0;
}

/* --- requests --- */

struct text {
    char bytes[TEXT_MAX + 1]; /* a NUL behind */
    size_t n;
};

static void add(struct text *t, const char *s, size_t n)
{
    n = n < TEXT_MAX - t->n ? n : TEXT_MAX - t->n;
    memcpy(t->bytes + t->n, s, n);
    t->n += n;
    t->bytes[t->n] = '\0';
}

static void say(struct text *t, const char *s)
{
    add(t, s, strlen(s));
}

static const char *one_of(const char *const *list, size_t n)
{
    return list[rng((uint32_t)n)];
}

#define ONE_OF(list) one_of(list, sizeof(list) / sizeof *(list))

static const char *number(void)
{
    static const char *const numbers[] = {"0",
                                          "1",
                                          "-1",
                                          "16",
                                          "4096",
                                          "65536",
                                          "1048576",
                                          "2147483648",
                                          "4294967296",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "-9223372036854775808",
                                          "99999999999999999999999999",
                                          "1e400",
                                          "-0",
                                          "1.5",
                                          "01",
                                          "0x10",
                                          "1e",
                                          "-"};
    return ONE_OF(numbers);
}

static const char *string(void)
{
    static const char *const strings[] = {"\"\"",
                                          "\"out\"",
                                          "\"a\"",
                                          "\"ctrl\"",
                                          "\"qcode\"",
                                          "\"number\"",
                                          "\"key\"",
                                          "\"rel\"",
                                          "\"btn\"",
                                          "\"abs\"",
                                          "\"x\"",
                                          "\"wheel-up\"",
                                          "\"left\"",
                                          "\"info status\"",
                                          "\"info registers\"",
                                          "\"print 1+\"",
                                          "\"help\"",
                                          "\"x 0\"",
                                          "\"\\u00e4\\ud834\\udd1e\"",
                                          "\"\\ud834\"",
                                          "\"\\u0000\"",
                                          "\"a\\nb\"",
                                          "\"\\x\"",
                                          "\"\xc3\xa4\"",
                                          "\"\xff\xfe\"",
                                          "\"\xed\xa0\x80\"",
                                          "\"%s%n\"",
                                          "\"open",
                                          "'a'"};
    return ONE_OF(strings);
}

static void value(struct text *t, unsigned depth);

static void many(struct text *t, unsigned depth, bool object)
{
    static const char *const names[] = {"\"type\":",  "\"data\":",   "\"down\":", "\"key\":",  "\"axis\":",
                                        "\"value\":", "\"button\":", "\"\":",     "\"type\" ", "\"id\":"};
    say(t, object ? "{" : "[");
    for (uint32_t n = rng(5), i = 0; i < n; i++) {
        say(t, i ? "," : "");
        if (object)
            say(t, ONE_OF(names));
        value(t, depth + 1);
    }
    say(t, object ? "}" : "]");
}

static void value(struct text *t, unsigned depth)
{
    static const char *const words[] = {"true", "false", "null", "nul", "", "[]", "{}"};
    const uint32_t kind = rng(depth > 6 ? 3 : 5);
    if (kind == 0)
        say(t, number());
    else if (kind == 1)
        say(t, string());
    else if (kind == 2)
        say(t, ONE_OF(words));
    else
        many(t, depth, kind == 3);
}

/* What the argument is to have. */
static void right_value(struct text *t, enum qmp_type type)
{
    static const char *const lists[] = {
        "[{\"type\":\"qcode\",\"data\":\"a\"},{\"type\":\"number\",\"data\":30}]",
        "[{\"type\":\"rel\",\"data\":{\"axis\":\"x\",\"value\":3}}]",
        "[{\"type\":\"btn\",\"data\":{\"button\":\"left\",\"down\":true}}]",
        "[{\"type\":\"key\",\"data\":{\"key\":{\"type\":\"qcode\",\"data\":\"b\"},\"down\":true}}]"};
    if (type == QMP_STRING)
        say(t, string());
    else if (type == QMP_INT)
        say(t, number());
    else if (type == QMP_BOOL)
        say(t, rng(2) ? "true" : "false");
    else if (rng(3))
        say(t, ONE_OF(lists));
    else
        many(t, 1, type == QMP_OBJECT);
}

static void arguments(struct text *t, const struct qmp_command *c)
{
    bool any = false;
    say(t, ",\"arguments\":{");
    for (const struct qmp_argument *a = c->argument; a->name; a++) {
        if (rng(a->optional ? 2 : 12) == 0)
            continue;
        say(t, any ? ",\"" : "\"");
        say(t, a->name);
        say(t, "\":");
        if (rng(6))
            right_value(t, a->type);
        else
            value(t, 0);
        any = true;
    }
    if (rng(12) == 0)
        say(t, any ? ",\"more\":1" : "\"more\":1");
    say(t, "}");
}

/* Of those that write files only what stays in a folder of ours. */
static bool is_harmless(const struct qmp_command *c, bool looks)
{
    static const char *const changes[] = {"inject-nmi", "input-send-event", "send-key", "system_powerdown",
                                          "system_reset"};
    static const char *const beyond[] = {"snapshot-", "blockdev-", "block_", "eject",
                                         "change",    "job-",      "device_"};
    for (size_t i = 0; looks && i < sizeof changes / sizeof *changes; i++)
        if (strcmp(c->name, changes[i]) == 0)
            return false;
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
        if (strncmp(c->name, beyond[i], strlen(beyond[i])) == 0)
            return false;
    return true;
}

static const struct qmp_command *command(bool looks)
{
    const struct qmp_command *c;
    do {
        c = &qmp_commands[rng(qmp_ncommands)];
    } while (!is_harmless(c, looks));
    return c;
}

static void request(struct text *t, bool looks)
{
    const struct qmp_command *c = command(looks);
    say(t, "{\"execute\":\"");
    say(t, rng(20) ? c->name : "qmp_capabilities");
    say(t, "\"");
    if (c->argument->name || rng(8) == 0)
        arguments(t, c);
    if (rng(3) == 0) {
        say(t, ",\"id\":");
        value(t, 0);
    }
    if (rng(30) == 0)
        say(t, ",\"execute\":\"stop\"");
    say(t, "}");
}

static void long_one(struct text *t)
{
    static const char *const units[] = {"[", "{\"a\":", "\"", "a", "\\", " ", "\n", "1", "[1,", "]", "}"};
    const char *unit = ONE_OF(units);
    for (uint32_t n = rng(rng(4) ? 3000 : TEXT_MAX); n > 0; n--)
        say(t, unit);
}

static void damage(struct text *t)
{
    for (uint32_t n = 1 + rng(4); n > 0 && t->n > 0; n--)
        t->bytes[rng((uint32_t)t->n)] = (char)rng(256);
}

/* A file's name with a / would be one outside of our folder. */
static bool writes_elsewhere(const struct text *t)
{
    static const char *const names[] = {"save", "dump"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (memmem(t->bytes, t->n, names[i], strlen(names[i])) &&
            (memchr(t->bytes, '/', t->n) || memchr(t->bytes, '\\', t->n)))
            return true;
    return false;
}

static void make(struct text *t, bool looks)
{
    do {
        t->n = 0;
        if (rng(40) == 0)
            long_one(t);
        else if (rng(20) == 0)
            value(t, 0);
        else
            request(t, looks);
        if (rng(12) == 0)
            damage(t);
        if (rng(4) == 0)
            say(t, rng(2) ? "\r\n" : " \t");
    } while (writes_elsewhere(t));
}

/* --- clients --- */

struct client {
    int fd; /* -1: none */
    struct text out;
    size_t sent;
    char *in; /* what has come since the last whole line */
    size_t in_bytes;
    bool heard;  /* the last look found bytes */
    bool closed; /* by the other side */
};

struct rig {
    struct steer steer;
    struct control *control;
    struct client client[CLIENTS];
    uint64_t requests;
};

static void fail(const char *what, const char *bytes, size_t n)
{
    fprintf(stderr, "fuzz_qmp: %s: %.*s\n", what, (int)(n < 2000 ? n : 2000), bytes);
    abort();
}

static void check_line(const char *line, size_t n)
{
    json_error_t e;
    json_t *j = json_loadb(line, n, JSON_REJECT_DUPLICATES, &e);
    if (!j)
        fail(e.text, line, n);
    const unsigned kinds = (json_object_get(j, "QMP") != NULL) + (json_object_get(j, "return") != NULL) +
                           (json_object_get(j, "error") != NULL) + (json_object_get(j, "event") != NULL);
    if (kinds != 1)
        fail("no message of the protocol", line, n);
    json_decref(j);
}

/* Looks at whole lines and forgets them. True: `wanted` is in one (NULL: nothing is). */
static bool take_lines(struct client *k, const char *wanted)
{
    char *end;
    bool found = false;
    size_t done = 0;
    while ((end = memchr(k->in + done, '\n', k->in_bytes - done))) {
        const size_t n = (size_t)(end + 1 - (k->in + done));
        check_line(k->in + done, n);
        found |= wanted && memmem(k->in + done, n, wanted, strlen(wanted));
        done += n;
    }
    memmove(k->in, k->in + done, k->in_bytes -= done);
    return found;
}

static bool hear(struct client *k, const char *wanted)
{
    const ssize_t n = recv(k->fd, k->in + k->in_bytes, LINES_MAX - k->in_bytes, MSG_DONTWAIT);
    k->closed |= n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    k->heard = n > 0;
    k->in_bytes += n > 0 ? (size_t)n : 0;
    if (k->in_bytes == LINES_MAX)
        fail("a line without end", k->in, 100);
    return take_lines(k, wanted);
}

static void talk(struct client *k)
{
    const size_t left = k->out.n - k->sent, some = rng(3) ? 1 + rng(64) : left;
    const ssize_t n =
        send(k->fd, k->out.bytes + k->sent, some < left ? some : left, MSG_NOSIGNAL | MSG_DONTWAIT);
    k->sent += n > 0 ? (size_t)n : 0;
    k->closed |= n < 0 && errno != EAGAIN && errno != EINTR;
}

static void hang_up(struct client *k)
{
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
}

static void connect_client(struct client *k, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    k->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (k->fd < 0 || connect(k->fd, (struct sockaddr *)&a, sizeof a) != 0)
        die(strerror(errno));
    k->out.n = k->sent = k->in_bytes = 0;
    k->closed = false;
    if (rng(10))
        say(&k->out, "{\"execute\":\"qmp_capabilities\"}");
}

static void turn(struct rig *r, unsigned i, bool looks)
{
    struct client *k = &r->client[i];
    if (k->closed || (k->fd >= 0 && rng(200) == 0))
        hang_up(k);
    if (k->fd < 0)
        connect_client(k, "socket");
    if (k->sent == k->out.n) {
        make(&k->out, looks);
        k->sent = 0;
        r->requests++;
    }
    talk(k);
    if (i + 1 < CLIENTS && rng(4))
        hear(k, NULL);
}

/* Whatever was sent before: the rest of a line and a string that is not closed end it. */
static void must_answer(struct rig *r, struct client *k)
{
    static unsigned number_of;
    char wanted[32];
    time_t end = time(NULL) + ANSWER_S;
    snprintf(wanted, sizeof wanted, "\"end-%u\"", ++number_of);
    k->sent = k->out.n = 0;
    say(&k->out, "\n\"\n{\"execute\":\"query-status\",\"id\":");
    say(&k->out, wanted);
    say(&k->out, "}");
    for (bool heard = false; !heard && !k->closed; heard = hear(k, wanted)) {
        talk(k);
        control_execute(r->control);
        if (k->heard) /* a line of brackets is thousands of requests */
            end = time(NULL) + ANSWER_S;
        else
            sched_yield(); /* one request is soon there: to sleep would make a line of brackets take seconds
                            */
        if (time(NULL) > end)
            fail("no answer", wanted, strlen(wanted));
    }
}

/* --- machines --- */

static void open_rig(struct rig *r, const struct options *o, struct machine *m)
{
    struct err e;
    r->control = control_create(&e);
    steer_init(&r->steer, o, m, r->control);
    if (!r->control ||
        !control_add(r->control, "-qmp", "unix:socket,server,nowait", &qmp_class, &r->steer, NULL, NULL,
                     &e) ||
        !control_start(r->control, ask, m, &e))
        die(e.text);
    for (unsigned i = 0; i < CLIENTS; i++)
        r->client[i].fd = -1;
}

static void close_rig(struct rig *r)
{
    control_destroy(r->control);
    for (unsigned i = 0; i < CLIENTS; i++)
        hang_up(&r->client[i]);
}

static void one_machine(struct rig *r, const char *guest)
{
    static struct options o;
    const bool looks = rng(2);
    o.shift = ICOUNT_SHIFT_DEFAULT;
    struct machine *m = machine_of(guest, NULL), *other = machine_of(guest, NULL);
    open_rig(r, &o, m);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned n = 0; n < 8 * CLIENTS; n++) {
            turn(r, rng(CLIENTS), looks);
            control_execute(r->control);
        }
        stretch(m);
        stretch(other);
    }
    for (unsigned i = 0; i + 1 < CLIENTS; i++)
        if (r->client[i].fd >= 0 && !r->client[i].closed)
            must_answer(r, &r->client[i]);
    if (looks)
        compare_states(m, other);
    close_rig(r);
    end_machine(m);
    end_machine(other);
}

static void alloc_clients(struct rig *r)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (!(r->client[i].in = malloc(LINES_MAX)))
            die("no host memory");
}

int main(int argc, char **argv)
{
    static struct rig r;
    const long seconds = argc > 2 ? strtol(argv[2], NULL, 10) : 10;
    const uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    char dir[] = "/tmp/fuzz_qmp.XXXXXX", *guest = argc > 1 ? realpath(argv[1], NULL) : NULL, command_line[64];
    unsigned machines = 0;
    if (!guest || !mkdtemp(dir) || chdir(dir) != 0)
        die("GUEST [SECONDS [SEED]]");
    alloc_clients(&r);
    rng_state = seed * 2 + 1;
    printf("fuzz_qmp: seed %" PRIu64 "\n", seed);
    fflush(stdout);
    for (const time_t end = time(NULL) + seconds; time(NULL) < end; machines++)
        one_machine(&r, guest);
    printf("fuzz_qmp: %u machines, %" PRIu64 " requests\n", machines, r.requests);
    for (unsigned i = 0; i < CLIENTS; i++)
        free(r.client[i].in);
    free(guest);
    snprintf(command_line, sizeof command_line, "rm -rf %s", dir);
    return system(command_line) == 0 ? 0 : 2;
}
