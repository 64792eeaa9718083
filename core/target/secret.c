/* SPDX-License-Identifier: Apache-2.0 */
#include "target/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iscsi/text_parse.h"

/* The longest spelling: 255 bytes in hexadecimal, with room to notice more. */
#define TEXT_BYTES 1024u
static const char base64_prefix[] = "base64:";

static int check_file(const struct stat *status, char error[static TARGET_SECRET_ERROR_BYTES])
{
	const char *wrong = NULL;

	if (!S_ISREG(status->st_mode))
		wrong = "is no regular file";
	else if (status->st_uid != 0 && status->st_uid != geteuid())
		wrong = "belongs to neither root nor the user of the daemon";
	else if (status->st_mode & S_IRWXO)
		wrong = "is open to everybody: chmod 600 it";
	else if ((status->st_mode & S_IRWXG) && (status->st_gid != 0 || (status->st_mode & S_IWGRP)))
		wrong = "is open to its group: chmod 600 it";
	if (!wrong)
		return 0;
	snprintf(error, TARGET_SECRET_ERROR_BYTES, "%s", wrong);
	return -EPERM;
}

/* Bytes read, at most one more than TEXT_BYTES - 1 would hold a legal secret; or negative errno. */
static ssize_t read_all(int fd, char text[static TEXT_BYTES])
{
	size_t length = 0;

	while (length < TEXT_BYTES) {
		ssize_t count = read(fd, text + length, TEXT_BYTES - length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		length += (size_t)count;
	}
	return (ssize_t)length;
}

/* `text` ends with NUL.  The length, which may be out of bounds, or -EINVAL: the spelling is wrong. */
static int decode(char *text, size_t length, uint8_t secret[static ISCSI_CHAP_LARGEST_SECRET_BYTES])
{
	size_t prefix = sizeof(base64_prefix) - 1;

	if (!strncmp(text, "0x", 2) || !strncmp(text, "0X", 2))
		return strlen(text) == length ? iscsi_value_binary(text, secret, ISCSI_CHAP_LARGEST_SECRET_BYTES)
					      : -EINVAL;
	if (!strncmp(text, base64_prefix, prefix)) {
		char *value = text + prefix - 2; /* "0b" is how iSCSI begins such a value */

		memcpy(value, "0b", 2);
		return strlen(text) == length ? iscsi_value_binary(value, secret, ISCSI_CHAP_LARGEST_SECRET_BYTES)
					      : -EINVAL;
	}
	memcpy(secret, text, length < ISCSI_CHAP_LARGEST_SECRET_BYTES ? length : ISCSI_CHAP_LARGEST_SECRET_BYTES);
	return (int)length;
}

static int take_text(char *text, size_t length, uint8_t secret[static ISCSI_CHAP_LARGEST_SECRET_BYTES],
		     char error[static TARGET_SECRET_ERROR_BYTES])
{
	int bytes;

	if (length > 0 && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
	bytes = decode(text, length, secret);
	if (bytes < 0)
		snprintf(error, TARGET_SECRET_ERROR_BYTES,
			 "what follows 0x or base64: does not spell up to %u bytes that way",
			 ISCSI_CHAP_LARGEST_SECRET_BYTES);
	else if ((unsigned)bytes < ISCSI_CHAP_SMALLEST_SECRET_BYTES ||
		 (unsigned)bytes > ISCSI_CHAP_LARGEST_SECRET_BYTES)
		snprintf(error, TARGET_SECRET_ERROR_BYTES, "holds a secret of %s than %u bytes",
			 (unsigned)bytes < ISCSI_CHAP_SMALLEST_SECRET_BYTES ? "less" : "more",
			 (unsigned)bytes < ISCSI_CHAP_SMALLEST_SECRET_BYTES ? ISCSI_CHAP_SMALLEST_SECRET_BYTES
									    : ISCSI_CHAP_LARGEST_SECRET_BYTES);
	else
		return bytes;
	return -EINVAL;
}

int target_secret_read(const char *path, uint8_t secret[static ISCSI_CHAP_LARGEST_SECRET_BYTES],
		       char error[static TARGET_SECRET_ERROR_BYTES])
{
	/* Not to wait for the other end of a pipe that somebody has put there. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), result;
	struct stat status;
	char text[TEXT_BYTES + 1];
	ssize_t length = -1;

	if (fd < 0 || fstat(fd, &status)) {
		result = -errno;
		snprintf(error, TARGET_SECRET_ERROR_BYTES, "cannot be opened: %s", strerror(errno));
	} else if (!(result = check_file(&status, error))) {
		length = read_all(fd, text);
		if (length < 0)
			snprintf(error, TARGET_SECRET_ERROR_BYTES, "cannot be read: %s", strerror((int)-length));
		result = length < 0 ? (int)length : take_text(text, (size_t)length, secret, error);
		explicit_bzero(text, sizeof(text));
	}
	if (fd >= 0)
		close(fd);
	return result;
}
