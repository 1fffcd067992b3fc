/*
 * A door: drivers that include this header find what is in wdm.h.
 */
#ifndef LONGSHORE_NTDDK_H
#define LONGSHORE_NTDDK_H

#include "wdm.h"

#endif
