/* quietthread.h - a thread that no signal reaches, but for errors of its own. */
#ifndef TANDEM_CLI_QUIETTHREAD_H
#define TANDEM_CLI_QUIETTHREAD_H

#include <pthread.h>

/* 0 or an errno. */
int quietthread_start(pthread_t *t, void *(*run)(void *), void *arg);

#endif
