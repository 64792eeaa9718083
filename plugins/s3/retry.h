/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer means: done, again, or over.
 */
#ifndef TGTKIT_S3_RETRY_H
#define TGTKIT_S3_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum s3_verdict {
	S3_DONE,
	S3_RETRY,	      /* after a while */
	S3_RETRY_CREDENTIALS, /* once, after they were refreshed */
	S3_RETRY_CLOCK,	      /* once, after the clock offset was corrected */
	S3_FAILED,
};

/* `status` 0: no answer, or a broken one.  `code` is S3's, "" if it gave none. */
enum s3_verdict s3_classify(long status, const char *code);

/* The errno for what was given up: 0 for 2xx.  -ENOENT: no such key, -ENXIO: no such bucket, -EEXIST: a condition does
 * not hold, -ENOSYS: the server does not know this request. */
int s3_status_errno(long status, const char *code);

/* Before attempt `attempt` (1: the first repetition): exponential to 5 s, half of it random. */
uint64_t s3_backoff_us(unsigned attempt, uint32_t random);

#endif
