/* mode.h - which thread runs device code: -devthread mode=. */
#ifndef TANDEM_SYNCQ_MODE_H
#define TANDEM_SYNCQ_MODE_H

enum link_mode { LINK_THREAD, LINK_INLINE, LINK_ADAPTIVE };

#endif
