/* control.h - what steers a run from outside: connections of monitors and of QMP clients, their requests and
 * the answers.
 *
 * A thread serves the connections. It gathers bytes until a class (a protocol) says that a request is whole,
 * queues it, and asks for the machine to stand. The thread that runs the machine executes what waits, in the
 * order of arrival, while the machine stands. A client's next request is looked at when the last one has been
 * answered.
 *
 *     c = control_create(e);
 *     control_add(c, "-monitor", "unix:PATH,server,nowait", &class, ctx, e);   // as often as wanted; may
 * wait control_start(c, ask, ctx, e);         // ask: a request waits; the thread of the connections calls it
 *     control_execute(c);                    // at each stand
 *     control_stop(c);                       // sends what is left, for a second at most; then no ask any
 * more control_destroy(c);
 *
 * A client that does not read is not read from either; when CONTROL_OUTPUT_MAX bytes wait for it, it loses
 * its connection (standard output: the rest of its text). It never holds up the machine. Threads: as named
 * below; the functions of one struct control on one thread, but for control_write and its kin, which any
 * thread may call. Bounds: CONTROL_CLIENTS_MAX, further ones wait to be accepted. */
#ifndef TANDEM_CLI_CONTROL_H
#define TANDEM_CLI_CONTROL_H

#include "machine/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTROL_DOORS_MAX   8
#define CONTROL_CLIENTS_MAX 16
#define CONTROL_REQUEST_MAX 65536 /* bytes; a client with a longer one loses its connection */
#define CONTROL_POSTED_MAX  64
#define CONTROL_OUTPUT_MAX  (16 << 20) /* bytes that wait for one client */

struct control;
struct control_client;

/* A protocol. `ctx` is control_add's, `state` what `open` returned. */
struct control_class {
    /* A client is there; may greet it (control_write). NULL: refused. Thread of the connections. */
    void *(*open)(void *ctx, struct control_client *k);
    /* Nothing else of this client is called afterwards. */
    void (*close)(void *state);
    /* The next byte from the client; true: a request ends with it. Thread of the connections, never while
     * `execute` runs for this client; calls nothing of control.h. */
    bool (*feed)(void *state, char byte);
    /* A whole request, `bytes` long and a NUL behind. The run's thread, while the machine stands. */
    void (*execute)(void *state, struct control_client *k, char *request, size_t bytes);
    /* A request, while the machine waits for its host and does not stand: answers what can be answered then.
     * False: it waits. Thread of the connections. NULL: nothing can. */
    bool (*meanwhile)(void *state, struct control_client *k, const char *request, size_t bytes);
    /* Something happened that clients may want to know: name and data as in QMP ("STOP", a JSON object or
     * NULL). Any thread, never while `execute` runs elsewhere for this client. NULL: nobody wants to know. */
    void (*event)(void *state, struct control_client *k, const char *name, const char *json);
};

struct control *control_create(struct err *e);
/* spec: stdio, none, null, unix:PATH[,server][,wait=on|off], tcp:HOST:PORT[,...] (chardev.h). A server that
 * waits has its first client when this returns. `notice` gets a line for the user; NULL: dropped. */
bool control_add(struct control *c, const char *option, const char *spec, const struct control_class *class,
                 void *ctx, void (*notice)(void *ctx, const char *text), void *notice_ctx, struct err *e);
/* A client on two descriptors; they stay the caller's, and open until control_destroy. */
bool control_add_fds(struct control *c, int rd, int wr, const struct control_class *class, void *ctx,
                     struct err *e);
bool control_start(struct control *c, void (*ask)(void *ctx), void *ctx, struct err *e);
/* Before control_start: does the machine wait for its host (struct control_class, meanwhile)? */
void control_waits(struct control *c, bool (*waits)(void *ctx), void *ctx);
void control_stop(struct control *c);    /* idempotent */
void control_destroy(struct control *c); /* NULL is fine */

/* --- the run's thread, while the machine stands --- */
/* Executes all requests that wait. */
void control_execute(struct control *c);
/* Nothing that has been sent up to now is still to be executed. */
bool control_is_idle(struct control *c);
void control_event(struct control *c, const char *name, const char *json);
/* In `execute`: the answer is not whole yet, and the client's next request waits until it is. */
void control_hold(struct control_client *k);
void control_release(struct control_client *k);

/* --- any thread --- */
/* An event, as of control_event, of any moment; of more than CONTROL_POSTED_MAX at once the last are lost. */
void control_post(struct control *c, const char *name, const char *json);
void control_write(struct control_client *k, const char *bytes, size_t n);
void control_printf(struct control_client *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
