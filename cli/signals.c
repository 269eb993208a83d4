/* signals.c - see signals.h. */
#include "cli/signals.h"

#include "cli/display.h"
#include "clockcore/clock.h"
#include "devthread/chardev.h"
#include "machine/machine.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#define REPEAT_NS UINT64_C(1000000000) /* a repeat within that time is the same request */

static volatile sig_atomic_t received;
static uint64_t received_ns; /* host time of the first; handlers only, which wait for one another */
/* Written by the main thread, read by handlers, which may run on any thread. */
static _Atomic(struct machine *) target;
static const char *pid_path; /* set before the handlers; NULL: none */

static void end_now(int sig)
{
    chardev_tty_restore();
    display_restore_terminal();
    if (pid_path)
        unlink(pid_path);
    _exit(EXIT_BY_SIGNAL + sig);
}

static void on_stop(int sig)
{
    /* Acquire pairs with the release in signals_aim: the machine is whole. */
    struct machine *m = atomic_load_explicit(&target, memory_order_acquire);
    uint64_t now_ns = clock_realtime_ns();
    if (received && now_ns - received_ns < REPEAT_NS)
        return;
    if (received || !m)
        end_now(sig);
    received = sig;
    received_ns = now_ns;
    machine_quit_request(m);
}

/* Installed with SA_RESETHAND: returning to a fault, or raising again, ends the process as usual. */
static void on_fatal(int sig)
{
    chardev_tty_restore();
    display_restore_terminal();
    raise(sig);
}

static const int stop[] = {SIGINT, SIGTERM, SIGHUP}, fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};

static void install(int sig, void (*handler)(int), int flags)
{
    struct sigaction old, sa = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof stop / sizeof *stop; i++)
        sigaddset(&sa.sa_mask, stop[i]);
    if (sigaction(sig, NULL, &old) != 0)
        return;
    bool is_default = !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL;
    if (is_default) /* an inherited SIG_IGN (nohup) and a sanitizer's handler stay */
        sigaction(sig, &sa, NULL);
}

void signals_install(const char *pidfile)
{
    pid_path = pidfile;
    for (size_t i = 0; i < sizeof stop / sizeof *stop; i++)
        install(stop[i], on_stop, SA_RESTART);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        install(fatal[i], on_fatal, (int)SA_RESETHAND);
    install(SIGPIPE, SIG_IGN, 0); /* a reader that goes away is a write error */
    install(SIGXFSZ, SIG_IGN, 0); /* so is a limit on the size of files */
}

void signals_aim(struct machine *m)
{
    atomic_store_explicit(&target, m, memory_order_release); /* pairs with on_stop */
}

int signals_received(void)
{
    return received;
}
