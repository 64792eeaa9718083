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

/* Bytes read, `size` at most; or negative errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t count = read(fd, text + length, size - length);

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

/* The bytes of a file that nobody else may read, `size` at most, or negative errno with `error`. */
static ssize_t read_protected(const char *path, char *text, size_t size, char error[static TARGET_SECRET_ERROR_BYTES])
{
	/* Not to wait for the other end of a pipe that somebody has put there. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	ssize_t length;

	if (fd < 0 || fstat(fd, &status)) {
		length = -errno;
		snprintf(error, TARGET_SECRET_ERROR_BYTES, "cannot be opened: %s", strerror(errno));
	} else if (!(length = check_file(&status, error))) {
		length = read_all(fd, text, size);
		if (length < 0)
			snprintf(error, TARGET_SECRET_ERROR_BYTES, "cannot be read: %s", strerror((int)-length));
	}
	if (fd >= 0)
		close(fd);
	return length;
}

int target_secret_read(const char *path, uint8_t secret[static ISCSI_CHAP_LARGEST_SECRET_BYTES],
		       char error[static TARGET_SECRET_ERROR_BYTES])
{
	char text[TEXT_BYTES + 1];
	ssize_t length = read_protected(path, text, TEXT_BYTES, error);
	int result = length < 0 ? (int)length : take_text(text, (size_t)length, secret, error);

	explicit_bzero(text, sizeof(text));
	return result;
}

int target_secret_check(const char *given, char error[static TARGET_SECRET_ERROR_BYTES])
{
	uint8_t secret[ISCSI_CHAP_LARGEST_SECRET_BYTES];
	char text[TEXT_BYTES + 1];
	size_t length = strlen(given);
	int result;

	/* Longer ones are cut, and still too long. */
	length = length < TEXT_BYTES ? length : TEXT_BYTES;
	memcpy(text, given, length);
	result = take_text(text, length, secret, error);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(secret, sizeof(secret));
	return result < 0 ? result : 0;
}

int target_secret_text(const char *path, struct target_arena *arena, const char **value,
		       char error[static TARGET_SECRET_ERROR_BYTES])
{
	char *text = target_arena_zalloc(arena, TARGET_SECRET_TEXT_BYTES + 2);
	ssize_t length = read_protected(path, text, TARGET_SECRET_TEXT_BYTES + 1, error);

	if (length < 0)
		return (int)length;
	if (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	*value = text;
	if ((size_t)length == strlen(text) && length > 0 && length <= (ssize_t)TARGET_SECRET_TEXT_BYTES)
		return 0;
	snprintf(error, TARGET_SECRET_ERROR_BYTES, "is empty, longer than %u bytes, or has a zero byte",
		 TARGET_SECRET_TEXT_BYTES);
	return -EINVAL;
}
