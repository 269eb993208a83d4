/* formats.h - a profile in the formats of other programs.
 *
 *     folded     collapsed stacks, "process;outer;inner COUNT": flamegraph.pl, speedscope
 *     perf       the text of `perf script`: speedscope, stackcollapse-perf.pl
 *     pprof      profile.proto of github.com/google/pprof, not compressed: `go tool pprof`
 *     perfetto   TrackEvents: ui.perfetto.dev; a track a process, slices while a function stays
 *     svg        a flame graph to look at in a browser
 *     raw        profilefile.h as it is */
#ifndef TANDEM_OBSERVE_FORMATS_H
#define TANDEM_OBSERVE_FORMATS_H

#include "machine/err.h"

#include <stdio.h>

#define FORMAT_NAMES "raw|folded|perf|pprof|perfetto|svg" /* MATCH enum profile_format */

enum profile_format { FORMAT_RAW, FORMAT_FOLDED, FORMAT_PERF, FORMAT_PPROF, FORMAT_PERFETTO, FORMAT_SVG };

/* Reads the profile `from` and writes it to `out`; to: its name, for messages. */
bool format_write(const char *from, enum profile_format format, FILE *out, const char *to, struct err *e);

#endif
