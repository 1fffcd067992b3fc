/*
 * How a size or an offset is asserted: as it is on x64, and as it is on x86.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#ifdef __LP64__
#define ON(x64, x86) (x64)
#else
#define ON(x64, x86) (x86)
#endif

#define SIZE(type, x64, x86) C_ASSERT(sizeof(type) == ON(x64, x86))
#define AT(type, field, x64, x86) C_ASSERT(offsetof(type, field) == ON(x64, x86))

#endif
