/* chardev_tty.c - the one terminal of the process: raw mode, and its end on every way out.
 *
 * Process-wide by nature, hence the one mutable global of this folder. The way out may be exit() (atexit),
 * a crash or abort() (handlers that restore, put back what was there before, and let the signal
 * happen again), or a termination signal that nobody else has claimed.
 * NOT MODELLED: stop and continue by job control; Ctrl-Z goes to the guest. */
#include "devthread/chardev_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>

static const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define NCAUGHT (sizeof(caught) / sizeof(caught[0]))
#define NFATAL  5 /* the first of them: errors of the process itself */

static struct {
    volatile sig_atomic_t raw; /* `saved` is to be put back on `fd` */
    int fd;
    struct termios saved;
    struct sigaction before[NCAUGHT];
} tty;

void chardev_tty_restore(void)
{
    int saved_errno = errno;

    if (tty.raw) {
        tty.raw = 0;
        tcsetattr(tty.fd, TCSANOW, &tty.saved);
    }
    errno = saved_errno;
}

/* The signal is blocked while this runs: raised again here, it acts on return, as it was before us. */
static void restore_and_pass_on(int sig)
{
    chardev_tty_restore();
    for (unsigned i = 0; i < NCAUGHT; i++)
        if (caught[i] == sig)
            sigaction(sig, &tty.before[i], NULL);
    raise(sig);
}

static void catch_signals(void)
{
    struct sigaction ours = {.sa_handler = restore_and_pass_on};

    sigemptyset(&ours.sa_mask);
    for (unsigned i = 0; i < NCAUGHT; i++) {
        sigaction(caught[i], NULL, &tty.before[i]);
        if (i < NFATAL || tty.before[i].sa_handler == SIG_DFL)
            sigaction(caught[i], &ours, NULL);
    }
}

bool chardev_tty_raw(int fd, bool signals)
{
    static bool hooked; /* start-up only, one thread */
    struct termios t;

    if (tty.raw) {
        errno = EBUSY;
        return false;
    }
    if (tcgetattr(fd, &tty.saved) != 0)
        return false;
    tty.fd = fd;
    if (!hooked) {
        atexit(chardev_tty_restore);
        catch_signals();
        hooked = true;
    }
    t = tty.saved;
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_oflag |= OPOST; /* a bare line feed still returns the carriage, as in QEMU */
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | (signals ? 0 : ISIG));
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tty.raw = 1;
    if (tcsetattr(fd, TCSANOW, &t) == 0)
        return true;
    tty.raw = 0;
    return false;
}
