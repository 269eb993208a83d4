/* sse_rows.h - the rows of insns_sse.def; an X-macro list, included as often as needed (no guard). The
 * includer defines SSE and SSE_OWN; both are undefined again. */
#if __has_include("translator/insns_sse.def")
#include "translator/insns_sse.def"
#endif
#undef SSE
#undef SSE_OWN
