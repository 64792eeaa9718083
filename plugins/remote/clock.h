/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TGTKIT_PLUGINS_REMOTE_CLOCK_H
#define TGTKIT_PLUGINS_REMOTE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000u
#define NS_PER_MS 1000000u
#define NS_PER_S  1000000000ull

static inline uint64_t remote_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif
