/* chardevs.h - `-chardev`: back ends with names, for `-serial chardev:ID` and its kin.
 *
 * QEMU has two ways to write a character back end: `-serial unix:P,server=on` and `-chardev
 * socket,id=ID,path=P,server=on` with `-serial chardev:ID`. Here the second is turned into the first, which
 * devthread/chardev.h understands. */
#ifndef TANDEM_CLI_CHARDEVS_H
#define TANDEM_CLI_CHARDEVS_H

#include "machine/err.h"

#define CHARDEVS_MAX 8

struct chardevs {
    unsigned n;
    struct {
        char *id, *spec; /* owned */
        bool used;
    } dev[CHARDEVS_MAX];
};

/* "BACKEND,id=ID[,key=value ...]" */
bool chardevs_add(struct chardevs *c, const char *text, struct err *e);
/* What to open for the value of `option` ("-serial"): a specification of chardev.h; of "chardev:ID", that of
 * the named one, which serves one port only. NULL after err_set. The string is the caller's or c's. */
const char *chardevs_spec(struct chardevs *c, const char *option, const char *value, struct err *e);
void chardevs_free(struct chardevs *c);

#endif
