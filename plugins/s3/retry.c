/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "retry.h"

#define BACKOFF_FIRST_US UINT64_C(50000)
#define BACKOFF_LIMIT_US UINT64_C(5000000)

static bool is_one_of(const char *code, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(code, *list) == 0)
			return true;
	return false;
}

/* Codes that say "again" under a status which does not.  The last four: the body was damaged on its way up. */
static const char *const transient[] = {
    "RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "SlowDown", "BadDigest",
    "IncompleteBody", "XAmzContentSHA256Mismatch",  "InvalidDigest",	NULL};
static const char *const stale_credentials[] = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", NULL};
static const char *const clock_skew[] = {"RequestTimeTooSkewed", NULL};
static const char *const no_space[] = {"QuotaExceeded", "EntityTooLarge", "InsufficientCapacity", NULL};

enum s3_verdict s3_classify(long status, const char *code)
{
	if (status >= 200 && status < 300)
		return S3_DONE;
	if (status == 0 || status >= 500 || status == 408 || status == 429 || is_one_of(code, transient))
		return status == 501 || status == 507 ? S3_FAILED : S3_RETRY;
	if (is_one_of(code, stale_credentials))
		return S3_RETRY_CREDENTIALS;
	if (is_one_of(code, clock_skew))
		return S3_RETRY_CLOCK;
	return S3_FAILED;
}

int s3_status_errno(long status, const char *code)
{
	if (status >= 200 && status < 300)
		return 0;
	if (is_one_of(code, no_space) || status == 507)
		return -ENOSPC;
	if (s3_classify(status, code) == S3_RETRY)
		return -ETIMEDOUT;
	if (strcmp(code, "NoSuchBucket") == 0)
		return -ENXIO;
	switch (status) {
	case 501:
		return -ENOSYS;
	case 403:
	case 401:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
	case 412:
		return -EEXIST;
	default:
		return -EIO;
	}
}

uint64_t s3_backoff_us(unsigned attempt, uint32_t random)
{
	uint64_t delay_us = BACKOFF_FIRST_US;

	for (unsigned i = 1; i < attempt && delay_us < BACKOFF_LIMIT_US; i++)
		delay_us *= 2;
	if (delay_us > BACKOFF_LIMIT_US)
		delay_us = BACKOFF_LIMIT_US;
	return delay_us / 2 + random % (delay_us / 2 + 1);
}
