/* profile_lines.h - tandem-profile lines: a profile by lines of source code. */
#ifndef TANDEM_CLI_PROFILE_LINES_H
#define TANDEM_CLI_PROFILE_LINES_H

#include "machine/err.h"

/* Prints at most `rows` lines of the ELF file's source, those with the most samples first. */
bool profile_lines(const char *profile, const char *elf, unsigned rows, struct err *e);

#endif
