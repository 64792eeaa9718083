/* SPDX-License-Identifier: Apache-2.0 */
#include "secret_input.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "client.h"

#define SECRET_BYTES 16385u

static size_t read_stream(FILE *stream, const char *name, char *bytes)
{
	size_t length = fread(bytes, 1, SECRET_BYTES, stream);

	if (ferror(stream))
		client_fail("%s: %m", name);
	if (length > 0 && bytes[length - 1] == '\n')
		length--;
	if (length == 0)
		client_fail("%s: is empty; a secret is expected there", name);
	if (length == SECRET_BYTES)
		client_fail("%s: is longer than any secret", name);
	return length;
}

/* One line that is not shown. */
static size_t ask(char *bytes)
{
	struct termios shown, hidden;
	char *line;

	if (tcgetattr(STDIN_FILENO, &shown))
		client_fail("standard input: %m");
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	fputs("Secret: ", stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	line = fgets(bytes, SECRET_BYTES, stdin);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	fputc('\n', stderr);
	if (!line || !*line || *line == '\n')
		client_fail("no secret was given");
	return strcspn(bytes, "\n");
}

static size_t read_secret(const char *file, char *bytes)
{
	FILE *stream;
	size_t length;

	if (!file || !strcmp(file, "-"))
		return isatty(STDIN_FILENO) ? ask(bytes) : read_stream(stdin, "standard input", bytes);
	stream = fopen(file, "re");
	if (!stream)
		client_fail("%s: %m", file);
	length = read_stream(stream, file, bytes);
	fclose(stream);
	return length;
}

static bool is_plain(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f)
			return false;
	return true;
}

static json_t *as_base64(const char *bytes, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char prefix[] = "base64:";
	char *text = malloc(sizeof(prefix) + (length + 2) / 3 * 4), *to;
	json_t *value;

	if (!text)
		client_fail("out of memory");
	to = stpcpy(text, prefix);
	for (size_t i = 0; i < length; i += 3) {
		unsigned group = 0;

		for (size_t k = 0; k < 3; k++)
			group = group << 8 | (i + k < length ? (unsigned char)bytes[i + k] : 0u);
		for (size_t k = 0; k < 4; k++)
			*to++ = i + k <= length ? digits[group >> (18 - 6 * k) & 0x3f] : '=';
	}
	*to = '\0';
	value = json_string(text);
	free(text);
	return value;
}

json_t *secret_input_read(const char *file)
{
	char bytes[SECRET_BYTES + 1];
	size_t length = read_secret(file, bytes);
	json_t *value = is_plain(bytes, length) ? json_stringn(bytes, length) : NULL;

	return value ? value : as_base64(bytes, length);
}

json_t *secret_input_read_text(const char *file)
{
	char bytes[SECRET_BYTES + 1];
	size_t length = read_secret(file, bytes);
	json_t *value = is_plain(bytes, length) ? json_stringn(bytes, length) : NULL;

	if (!value)
		client_fail("%s: is not one line of UTF-8 text", file);
	return value;
}
