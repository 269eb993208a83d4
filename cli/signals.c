/* signals.c - see signals.h. */
#include "cli/signals.h"

#include "devthread/chardev.h"
#include "machine/machine.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t received;
/* Written by the main thread, read by handlers, which may run on any thread. */
static _Atomic(struct machine *) target;
static const char *pid_path; /* set before the handlers; NULL: none */

static void on_stop(int sig)
{
    /* Acquire pairs with the release in signals_aim: the machine is whole. */
    struct machine *m = atomic_load_explicit(&target, memory_order_acquire);
    if (received || !m) {
        chardev_tty_restore();
        if (pid_path)
            unlink(pid_path);
        _exit(EXIT_BY_SIGNAL + sig);
    }
    received = sig;
    machine_quit_request(m);
}

/* Installed with SA_RESETHAND: returning to a fault, or raising again, ends the process as usual. */
static void on_fatal(int sig)
{
    chardev_tty_restore();
    raise(sig);
}

static void install(int sig, void (*handler)(int), int flags)
{
    struct sigaction old, sa = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&sa.sa_mask);
    if (sigaction(sig, NULL, &old) != 0)
        return;
    bool is_default = !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL;
    if (is_default) /* an inherited SIG_IGN (nohup) and a sanitizer's handler stay */
        sigaction(sig, &sa, NULL);
}

void signals_install(const char *pidfile)
{
    pid_path = pidfile;
    static const int stop[] = {SIGINT, SIGTERM, SIGHUP}, fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof stop / sizeof *stop; i++)
        install(stop[i], on_stop, SA_RESTART);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        install(fatal[i], on_fatal, (int)SA_RESETHAND);
    install(SIGPIPE, SIG_IGN, 0); /* a reader that goes away is a write error */
}

void signals_aim(struct machine *m)
{
    atomic_store_explicit(&target, m, memory_order_release); /* pairs with on_stop */
}

int signals_received(void)
{
    return received;
}
