/* optvalue.h - values of options: numbers, sizes, switches and "key=value,key=value" lists. */
#ifndef TANDEM_MACHINE_OPTVALUE_H
#define TANDEM_MACHINE_OPTVALUE_H

#include "machine/err.h"

#include <stddef.h>
#include <stdint.h>

/* Decimal (a leading 0 is not octal) or 0x-hexadecimal, the whole text, first..last. */
bool value_number(const char *text, uint64_t first, uint64_t last, uint64_t *out);
/* Number with an optional decimal fraction and an optional suffix K, M or G (none: `unit` bytes). What is
 * less than a byte is dropped. */
bool value_size(const char *text, uint64_t unit, uint64_t *bytes);
/* on or off */
bool value_switch(const char *text, bool *out);
/* Index of `text` in "a|b|c", or -1. */
int value_choice(const char *text, const char *choices);
/* Replaces the owned string *dst by a copy of text. */
bool value_string(const char *text, char **dst, struct err *e);

/* One key of a list option. `set` returns false on a bad value: without a message of its own (e->text empty),
 * the caller says that `accepted` is accepted. */
struct list_key {
    const char *key;
    const char *accepted;
    bool (*set)(void *target, const char *value, struct err *e);
};

/* Parses "value,key=value,..." for option `name` ("-icount"). A first piece without '=' is the value of
 * `implied`; later ones, and the first where `implied` is NULL, are "key=on". ",," is a comma inside of a
 * value. */
bool list_parse(const char *name, const char *text, const char *implied, const struct list_key *keys,
                size_t nkeys, void *target, struct err *e);

/* Cuts the first piece of a comma-separated list out of *text into buf (undoubling ",,"; buf as long as
 * *text) and moves *text behind its comma, or to the end. */
void list_next(const char **text, char *buf);

/* Edit distance, for "did you mean". */
unsigned text_distance(const char *a, const char *b);

#endif
