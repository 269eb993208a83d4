/* terminal.c - see terminal.h. The edit thread reads lines from libedit, sends them, and shows the answers;
 * the pump thread carries bytes between the pseudo-terminal and the real one. */
#include "cli/terminal.h"

#include "cli/completion.h"
#include "cli/monitor.h"
#include "cli/quietthread.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define CHUNK       512
#define HISTORY_MAX 1000
#define FAREWELL_MS 50 /* host time, for what is still to be shown at the end */

struct terminal {
    int keys;     /* the caller's */
    int master;   /* of the pseudo-terminal: the pump's */
    int slave;    /* libedit's */
    int lines[2]; /* [0]: the edit thread's; [1]: terminal_lines */
    int wake;     /* ends the pump */
    bool asleep;  /* the pump's: the edit thread does not run yet */
    bool editing; /* the pump's: `edit` was started */
    bool pumping; /* `pump` was started */
    pthread_t edit, pump;
    FILE *in, *out; /* of the slave */
};

bool terminal_is_one(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int terminal_lines(const struct terminal *t)
{
    return t->lines[1];
}

/* --- the edit thread --- */

static char *prompt(EditLine *el)
{
    static char text[] = MONITOR_PROMPT;
    return text;
}

/* If only a person can choose, the candidates are listed below the line. */
static unsigned char complete(EditLine *el, int ch)
{
    const LineInfo *l = el_line(el);
    char line[256], rest[COMPLETION_BYTES + 1];
    FILE *out;
    if ((size_t)(l->cursor - l->buffer) >= sizeof line)
        return CC_ERROR;
    snprintf(line, sizeof line, "%.*s", (int)(l->cursor - l->buffer), l->buffer);
    switch (completion_find(line, rest)) {
    case COMPLETION_NONE:
        return CC_ERROR;
    case COMPLETION_MORE:
        return el_insertstr(el, rest) == 0 ? CC_REFRESH : CC_ERROR;
    default:
        el_get(el, EL_GETFP, 1, &out);
        fputc('\n', out);
        completion_list(line, out);
        return CC_REDISPLAY;
    }
}

/* False: the other side is gone. */
static bool send_line(const struct terminal *t, const char *line, size_t n)
{
    return send(t->lines[0], line, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Up to the NUL. False: the other side is gone. */
static bool show_answer(const struct terminal *t)
{
    char bytes[CHUNK];
    for (;;) {
        const ssize_t n = recv(t->lines[0], bytes, sizeof bytes, 0);
        if (n <= 0)
            return false;
        const size_t shown = strnlen(bytes, (size_t)n);
        fwrite(bytes, 1, shown, t->out);
        fflush(t->out);
        if (shown < (size_t)n)
            return true;
    }
}

static bool hung_up(const struct terminal *t)
{
    struct pollfd p = {.fd = t->slave};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

/* Ctrl-D in an empty line is no end of a monitor. */
static void edit_lines(struct terminal *t, EditLine *el, History *h)
{
    for (;;) {
        int n = 0;
        HistEvent ev;
        el_resize(el);
        const char *line = el_gets(el, &n);
        if (hung_up(t))
            return;
        if (!line || n <= 0) {
            fputc('\n', t->out);
            continue;
        }
        if (line[strspn(line, " \t\r\n")])
            history(h, &ev, H_ENTER, line);
        if (!send_line(t, line, (size_t)n) || !show_answer(t))
            return;
    }
}

/* libedit takes characters beyond ASCII by the locale of its thread; what is typed is UTF-8, whatever the
 * user's says. */
static locale_t enter_utf8(void)
{
    const locale_t own = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (own)
        uselocale(own);
    return own;
}

static void leave_utf8(locale_t own)
{
    uselocale(LC_GLOBAL_LOCALE);
    if (own)
        freelocale(own);
}

static void *edit_main(void *arg)
{
    struct terminal *t = arg;
    const locale_t own = enter_utf8();
    EditLine *el = el_init("tandem", t->in, t->out, t->out);
    History *h = history_init();
    HistEvent ev;
    pthread_setname_np(pthread_self(), "tandem-edit");
    if (el && h) {
        history(h, &ev, H_SETSIZE, HISTORY_MAX);
        history(h, &ev, H_SETUNIQUE, 1);
        el_set(el, EL_HIST, history, h);
        el_set(el, EL_EDITOR, "emacs");
        el_set(el, EL_PROMPT, prompt);
        el_set(el, EL_SIGNAL, 0);
        el_set(el, EL_ADDFN, "complete-command", "completes a command", complete);
        el_set(el, EL_BIND, "^I", "complete-command", NULL);
        edit_lines(t, el, h);
    }
    if (h)
        history_end(h);
    if (el)
        el_end(el);
    leave_utf8(own);
    return NULL;
}

/* --- the pump thread --- */

static void copy_size(const struct terminal *t)
{
    struct winsize now;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) == 0)
        ioctl(t->master, TIOCSWINSZ, &now);
}

static void start_edit(struct terminal *t)
{
    t->asleep = false;
    copy_size(t);
    t->editing = quietthread_start(&t->edit, edit_main, t) == 0;
}

/* False: no more comes. */
static bool carry_keys(struct terminal *t)
{
    char bytes[CHUNK], *at = bytes;
    ssize_t n = read(t->keys, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    copy_size(t);
    if (t->asleep) {
        start_edit(t);
        at++;
        n--;
    }
    /* What the pseudo-terminal does not take is lost, as in any terminal that is typed into too fast. */
    return n == 0 || write(t->master, at, (size_t)n) > 0 || errno == EAGAIN;
}

/* To the real terminal as fast as it takes it; `patience_ms` -1: until the wake-up. */
static bool carry_text(const struct terminal *t, int patience_ms)
{
    char bytes[CHUNK];
    const ssize_t n = read(t->master, bytes, sizeof bytes);
    for (ssize_t done = 0; done < n;) {
        struct pollfd p[2] = {{.fd = STDOUT_FILENO, .events = POLLOUT}, {.fd = t->wake, .events = POLLIN}};
        if (poll(p, patience_ms < 0 ? 2 : 1, patience_ms) <= 0 || !(p[0].revents & POLLOUT))
            return false;
        const ssize_t w = write(STDOUT_FILENO, bytes + done, (size_t)(n - done));
        if (w < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        done += w > 0 ? w : 0;
    }
    return n > 0;
}

static void *pump_main(void *arg)
{
    struct terminal *t = arg;
    bool keys = true;
    pthread_setname_np(pthread_self(), "tandem-term");
    if (!t->asleep)
        start_edit(t);
    for (;;) {
        struct pollfd p[3] = {{.fd = t->wake, .events = POLLIN},
                              {.fd = t->master, .events = POLLIN},
                              {.fd = keys ? t->keys : -1, .events = POLLIN}};
        poll(p, 3, -1);
        if (p[0].revents)
            return NULL;
        if (p[1].revents & POLLIN)
            carry_text(t, -1);
        if (p[2].revents)
            keys = carry_keys(t);
    }
}

/* --- start and end --- */

/* A line end goes out as one that returns the carriage; nothing is echoed while a command runs. */
static bool prepare_slave(struct terminal *t)
{
    struct termios mode;
    if (t->slave < 0 || tcgetattr(t->slave, &mode) != 0)
        return false;
    mode.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    mode.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
    return tcsetattr(t->slave, TCSANOW, &mode) == 0;
}

static bool open_pty(struct terminal *t)
{
    char name[128];
    t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (t->master < 0 || grantpt(t->master) != 0 || unlockpt(t->master) != 0 ||
        ptsname_r(t->master, name, sizeof name) != 0)
        return false;
    t->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    const int in = dup(t->slave), out = dup(t->slave);
    t->in = in < 0 ? NULL : fdopen(in, "r");
    t->out = out < 0 ? NULL : fdopen(out, "w");
    return prepare_slave(t) && t->in && t->out && fcntl(t->master, F_SETFL, O_RDWR | O_NONBLOCK) == 0;
}

struct terminal *terminal_create(int keys, bool asleep, struct err *e)
{
    struct terminal *t = calloc(1, sizeof *t);
    if (t) {
        *t = (struct terminal){.keys = keys, .asleep = asleep, .master = -1, .slave = -1, .lines = {-1, -1}};
        t->wake = eventfd(0, EFD_CLOEXEC);
        t->pumping = t->wake >= 0 && open_pty(t) &&
                     socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->lines) == 0 &&
                     fcntl(t->lines[1], F_SETFL, O_RDWR | O_NONBLOCK) == 0 &&
                     quietthread_start(&t->pump, pump_main, t) == 0;
        if (t->pumping)
            return t;
    }
    err_set(e, "-monitor: terminal: %s", strerror(errno));
    terminal_destroy(t);
    return NULL;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* What libedit still has to show comes within a moment. */
static void show_rest(const struct terminal *t)
{
    struct pollfd p = {.fd = t->master, .events = POLLIN};
    while (poll(&p, 1, FAREWELL_MS) > 0 && carry_text(t, FAREWELL_MS)) {
    }
    const ssize_t n = write(STDOUT_FILENO, "\n", 1);
    (void)n;
}

void terminal_stop(struct terminal *t)
{
    const uint64_t one = 1;
    if (!t)
        return;
    if (t->pumping && write(t->wake, &one, sizeof one) == sizeof one)
        pthread_join(t->pump, NULL);
    t->pumping = false;
    if (t->editing)
        show_rest(t);
    close_fd(t->master); /* which ends libedit's read */
    t->master = -1;
    if (t->lines[1] >= 0)
        shutdown(t->lines[1], SHUT_RDWR);
    if (t->editing)
        pthread_join(t->edit, NULL);
    t->editing = false;
}

void terminal_destroy(struct terminal *t)
{
    if (!t)
        return;
    terminal_stop(t);
    if (t->in)
        fclose(t->in);
    if (t->out)
        fclose(t->out);
    close_fd(t->slave);
    close_fd(t->lines[0]);
    close_fd(t->lines[1]);
    close_fd(t->wake);
    free(t);
}
