/*
 * A door: drivers that include this header find what is in wdm.h.
 */
#ifndef LONGSHORE_NTIFS_H
#define LONGSHORE_NTIFS_H

#include "wdm.h"

#endif
