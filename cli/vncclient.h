/* vncclient.h - one VNC client between its connection and LibVNCServer, so that no client holds the thread.
 *
 * The library (0.9.14) waits: in the middle of a message that has not come whole, in the middle of an update
 * that is not read, for good in the handshake of a client that begins like TLS. Therefore it never sees a
 * connection. What it reads is one whole message of a kind that is served, in a socket of our own; what it
 * writes goes to a file in memory, and from there to the client as fast as the client reads. The next update
 * is made when the one before has left, so at most one is kept.
 *
 * Threads: the display's alone. No function waits. */
#ifndef TANDEM_CLI_VNCCLIENT_H
#define TANDEM_CLI_VNCCLIENT_H

#include <rfb/rfb.h>

#include <stdbool.h>

struct vnc_client;

/* Owns fd, which is not blocking, from now on. NULL: no host memory or no file; fd is closed. */
struct vnc_client *vnc_client_new(int fd);
void vnc_client_free(struct vnc_client *c);

/* Takes what has come, sends what waits. False: this client is to be freed. */
bool vnc_client_serve(struct vnc_client *c, rfbScreenInfoPtr screen);
/* It has said its version, its password and what it wants: it sees the screen. */
bool vnc_client_is_greeted(const struct vnc_client *c);
/* Does it wait for an update, and could one be made? */
bool vnc_client_wants_update(const struct vnc_client *c);
/* Makes the update that is due, and sends what the connection takes. False: as above. */
bool vnc_client_update(struct vnc_client *c);

/* The connection, and what to poll(2) it for. */
int vnc_client_fd(const struct vnc_client *c);
short vnc_client_events(const struct vnc_client *c);

#endif
