/* media.h - removable media of a run's drives, for monitors and QMP: drives by name, eject, change, and what
 * is told of them.
 *
 * A drive's name is its -drive's id, or QEMU's name for the place (ide1-cd0, floppy0). What is asked for is
 * input of the machine (machine/media.h): it happens at the tick at which the machine takes it in, which a
 * machine that is paused does when it goes on. Errors have QEMU's words where it has some. Threads: the
 * run's, where nothing else is said. */
#ifndef TANDEM_CLI_MEDIA_H
#define TANDEM_CLI_MEDIA_H

#include "cli/steer.h"

/* Number of the configuration's drive; false: there is none. */
bool media_find(const struct steer *s, const char *name, unsigned *n);
/* Opens the tray, and of a drive that the guest has locked only with force; else the guest is asked, and e
 * says so.
 */
bool media_open_tray(struct steer *s, unsigned n, bool force, struct err *e);
bool media_close_tray(struct steer *s, unsigned n, struct err *e);
bool media_remove(struct steer *s, unsigned n, struct err *e);
bool media_eject(struct steer *s, unsigned n, bool force, struct err *e);
/* format NULL: by content. mode: of a medium that can be written: retain (or NULL: as the one before it),
 * read-only, read-write. */
bool media_insert(struct steer *s, unsigned n, const char *file, const char *format, const char *mode,
                  bool force, struct err *e);

/* Into an empty drive whose tray, if there is one, is open and stays open. */
bool media_put(struct steer *s, unsigned n, const struct media_image *image, struct err *e);

/* "DEVICE_TRAY_MOVED" for each tray that has moved. */
void media_tell_moved(struct steer *s);
/* "BLOCK_IO_ERROR". Any thread; c may be NULL. */
void media_tell_error(struct control *c, const struct blocks_error *e);
/* The guest waits for a drive: it is tried again at once, "RESUME". Any thread. */
void media_retry(struct steer *s);

#endif
