/* golden.h - golden files of translations.
 *
 * A file is a list of cases: "== <mode> <bytes in hex>", then the listing that `print` makes. With
 * TANDEM_REBASE set the listings are made anew (rebase.sh); the diff is what is reviewed. Comments (#) and
 * empty lines are kept. */
#ifndef TANDEM_TESTS_GOLDEN_H
#define TANDEM_TESTS_GOLDEN_H

#include <stdint.h>
#include <stdio.h>

#include "translator/translate.h"

enum { GOLDEN_EIP = 0x1000 };

typedef void golden_print(FILE *out, uint32_t mode, const uint8_t *bytes, unsigned count);
/* Every .txt file of the folder $TANDEM_GOLDENS/<name>. */
void golden_check(const char *name, golden_print *print);
/* A case's block. */
void golden_translate(struct translate_out *out, uint32_t mode, const uint8_t *bytes, unsigned count);

#endif
