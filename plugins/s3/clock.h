/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TGTKIT_S3_CLOCK_H
#define TGTKIT_S3_CLOCK_H

#include <stdint.h>
#include <time.h>

#define S3_SECOND_NS UINT64_C(1000000000)

static inline uint64_t s3_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * S3_SECOND_NS + (uint64_t)now.tv_nsec;
}

static inline uint64_t s3_now_ns(void)
{
	return s3_clock_ns(CLOCK_MONOTONIC);
}

#endif
