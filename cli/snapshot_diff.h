/* snapshot_diff.h - two snapshots compared, or one shown, field by field. For tandem-digest-diff. */
#ifndef TANDEM_CLI_SNAPSHOT_DIFF_H
#define TANDEM_CLI_SNAPSHOT_DIFF_H

#include <stdbool.h>

/* Does the file begin as a snapshot does? False also where it cannot be read. */
bool snapshot_diff_is_one(const char *path);
/* Names each field and page that differs. Returns the exit status: 0 equal, 1 different, 2 trouble. */
int snapshot_diff(const char *path_a, const char *path_b);
/* Prints every field that is not all zero. */
int snapshot_show(const char *path);

#endif
