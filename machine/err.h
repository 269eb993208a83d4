/* err.h - a one-line error message, handed upwards until cli/main.c prints it.
 *
 * A function that can fail takes a `struct err *` last and returns false (or NULL) after filling it.
 * The text names the file or option and says what is accepted; no "tandem:" prefix, no newline. */
#ifndef TANDEM_MACHINE_ERR_H
#define TANDEM_MACHINE_ERR_H

#include <stdbool.h>

#define ERR_BYTES 768

struct err {
    char text[ERR_BYTES];
};

/* Always false, so that callers may `return err_set(...)`. Control characters (a newline in a file's
 * name) become '?': the message stays one line. */
bool err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
