/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells AddressSanitizer what recycled memory is free, so that it finds a use after it was given back.
 */
#ifndef TGTKIT_RT_POISON_H
#define TGTKIT_RT_POISON_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RT_HAS_ADDRESS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define RT_HAS_ADDRESS_SANITIZER 1
#endif

#ifdef RT_HAS_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

static inline void rt_poison(void *memory, size_t bytes)
{
#ifdef RT_HAS_ADDRESS_SANITIZER
	__asan_poison_memory_region(memory, bytes);
#else
	(void)memory;
	(void)bytes;
#endif
}

static inline void rt_unpoison(void *memory, size_t bytes)
{
#ifdef RT_HAS_ADDRESS_SANITIZER
	__asan_unpoison_memory_region(memory, bytes);
#else
	(void)memory;
	(void)bytes;
#endif
}

#endif
