/* steer.h - a run as commands see it and change it: stands or goes on, ends, and what is due later.
 *
 * cli/run.c has one of these and calls steer_stand wherever the machine stands; commands (cli/monitor.c and
 * its kin) are executed in there. Whatever a command does, it does at the tick at which the machine stands.
 * Threads: the run's; a request from outside comes through control.h. Bound: STEER_AGENDA_MAX. */
#ifndef TANDEM_CLI_STEER_H
#define TANDEM_CLI_STEER_H

#include "cli/control.h"
#include "cli/keys.h"
#include "cli/options.h"
#include "hw/port.h"
#include "machine/machine.h"
#include "machine/media.h"

#define STEER_AGENDA_MAX 256
#define STEER_JOBS_MAX   16
#define STEER_NODES_MAX  32
#define STEER_NODE_BYTES 32 /* of a name, with its NUL, as in QEMU */
#define STEER_KEYS_MAX   KEYS_CHORD_MAX
#define STEER_HOLD_MS    100 /* of virtual time: sendkey's default, as QEMU's */

/* A key that goes down or up at a tick. */
struct steer_key {
    uint64_t tick;
    struct port_key key;
};

/* An image that has a name of QMP's (blockdev-add). */
struct steer_node {
    char name[STEER_NODE_BYTES];
    const char *driver;           /* a constant: "file", "raw", "qcow2" */
    char child[STEER_NODE_BYTES]; /* name of the node that it reads from; "": that has no name */
    struct media_image image;
};

/* A job of QMP's that is done and not dismissed. */
struct steer_job {
    char id[64];
    const char *type;
    char error[ERR_BYTES]; /* why it failed; "": it succeeded */
};

struct steer {
    const struct options *o;
    struct machine *machine;
    struct control *control; /* NULL: nobody steers */
    struct display *display; /* NULL: none, or the run is over */
    uint64_t begin_ns;       /* host time at the start */
    bool paused;             /* the machine stands until `cont` */
    bool shutdown;          /* the guest has powered off (-no-shutdown): it stands until a reset or the end */
    const char *quit;       /* why the run is to end; NULL: it is not */
    uint64_t run_to;        /* pause at this tick; TICK_NEVER: at none */
    void (*ran)(void *ctx); /* called once, when it stands at run_to or earlier; NULL: nobody waits */
    void *ran_ctx;
    bool reset_asked;                       /* the next reset comes from a command, not from the guest */
    uint8_t mouse_buttons;                  /* that mouse_button holds down: port_motion.buttons */
    struct steer_key key[STEER_AGENDA_MAX]; /* by tick */
    unsigned nkeys;
    struct steer_job job[STEER_JOBS_MAX];
    unsigned njobs;
    struct steer_node node[STEER_NODES_MAX];
    unsigned nnodes;
};

/* Called before the machine runs for the first time. control may be NULL. */
void steer_init(struct steer *s, const struct options *o, struct machine *m, struct control *control);
/* Does what is due at this tick, executes what waits, and stands as long as it should. MACHINE_STOP_TICK: the
 * run goes on, unless `quit` is set. MACHINE_STOP_QUIT or _CONSOLE: its end was asked for. */
enum machine_stop steer_stand(struct steer *s);
/* Called when the run is over: executes commands that were sent before, for a second at most. */
void steer_end(struct steer *s);
/* The tick at which something is due, so that the machine has to stand: the earliest. */
uint64_t steer_next_tick(const struct steer *s);

/* --- commands --- */
void steer_stop(struct steer *s);
/* False: the guest has powered off, so that nothing can go on (shutdown). */
bool steer_cont(struct steer *s);
/* The guest has powered off, and stands. */
void steer_shutdown(struct steer *s);
void steer_quit(struct steer *s, const char *reason);
/* Goes on up to `tick`, and pauses there. False: that tick has gone by, or the guest has powered off. `ran`
 * may be NULL. */
bool steer_run_to(struct steer *s, uint64_t tick, void (*ran)(void *ctx), void *ctx);
/* `n` keys (port_key.code) go down together and up again after hold_ms of virtual time, behind those of
 * earlier calls. False: too many wait already. */
bool steer_press(struct steer *s, const uint16_t *code, unsigned n, uint64_t hold_ms);

/* Presses a button of the case, as the user would: it acts at the tick at which the machine takes it in.
 * False: the guest has powered off, or has had too much input already. */
bool steer_button(struct steer *s, enum port_button button);
/* The machine's state is another one, at another tick: it runs or is paused as before, and what was due at
 * ticks of the state before is not any more. */
void steer_was_loaded(struct steer *s);
/* The guest waits for a drive whose host fails (-drive werror=stop); `cont` tries it again. Any thread. */
bool steer_io_waits(const struct steer *s);
/* Called when the machine was reset: QMP's clients get the event RESET. */
void steer_was_reset(struct steer *s);
/* Called when the run ends: QMP's clients get the event SHUTDOWN. */
void steer_ends(struct steer *s, enum machine_stop why);

#endif
