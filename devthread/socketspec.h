/* socketspec.h - addresses of sockets as users write them: "PATH[,server][,wait=on|off]" of unix: and
 * "HOST:PORT[,...]" of tcp:.
 *
 * Threads: any; getaddrinfo may take its time. Memory: fixed. */
#ifndef TANDEM_DEVTHREAD_SOCKETSPEC_H
#define TANDEM_DEVTHREAD_SOCKETSPEC_H

#include <stdbool.h>
#include <stddef.h>

struct socketspec {
    char address[512]; /* before the first comma */
    bool server, wait;
};

/* False: err says what is wrong and what is accepted. */
bool socketspec_parse(struct socketspec *s, const char *text, char *err, size_t err_bytes);
/* A socket that is bound (a server's) or connected; blocking, close-on-exec. -1: err says why. */
int socketspec_open(const struct socketspec *s, bool tcp, char *err, size_t err_bytes);

#endif
