/* x87_rows.h - the rows of insns_x87.def; an X-macro list, included as often as needed (no guard). */
#if __has_include("translator/insns_x87.def")
#include "translator/insns_x87.def"
#endif
