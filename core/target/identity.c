/* SPDX-License-Identifier: Apache-2.0 */
#include "target/identity.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "rt/log.h"

/* A file that is yet to be made: its folder's real path and its own name. */
static bool canonical_in_folder(const char *path, char canonical[static TARGET_PATH_BYTES])
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX], real[PATH_MAX];

	if (!slash || slash[1] == '\0' || (size_t)(slash - path) >= sizeof(folder))
		return false;
	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (!realpath(folder, real))
		return false;
	snprintf(canonical, TARGET_PATH_BYTES, "%s/%s", strcmp(real, "/") ? real : "", slash + 1);
	return true;
}

void target_canonical_path(const char *path, char canonical[static TARGET_PATH_BYTES])
{
	char real[PATH_MAX];

	if (realpath(path, real))
		snprintf(canonical, TARGET_PATH_BYTES, "%s", real);
	else if ((*path != '/' && *path != '.') || !canonical_in_folder(path, canonical))
		snprintf(canonical, TARGET_PATH_BYTES, "%s", path);
}

static void format_uuid(uint8_t bytes[static 16], unsigned version, char serial[static TARGET_SERIAL_BYTES])
{
	char *to = serial;

	bytes[6] = (uint8_t)(version << 4 | (bytes[6] & 0x0f));
	bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
	for (unsigned i = 0; i < 16; i++)
		to += sprintf(to, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
}

void target_serial_random(char serial[static TARGET_SERIAL_BYTES])
{
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		rt_log(RT_LOG_ERROR, "the kernel gives no random bytes");
		abort();
	}
	format_uuid(bytes, 4, serial);
}

void target_serial_from_text(const char *text, char serial[static TARGET_SERIAL_BYTES])
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1) {
		rt_log(RT_LOG_ERROR, "SHA-256 is not available from OpenSSL");
		abort();
	}
	format_uuid(digest, 8, serial);
}

/* machine-id(5), or the host's name where there is none. */
static void machine_identity(char *text, size_t size)
{
	FILE *file = fopen("/etc/machine-id", "re");
	bool found = file && fgets(text, (int)size, file) && text[strcspn(text, "\n")] == '\n';

	if (file)
		fclose(file);
	if (found)
		text[strcspn(text, "\n")] = '\0';
	else if (gethostname(text, size))
		snprintf(text, size, "localhost");
}

void target_serial_of_store(const char *plugin, const char *canonical_path, char serial[static TARGET_SERIAL_BYTES])
{
	char machine[256] = "", text[sizeof(machine) + 64 + TARGET_PATH_BYTES];

	machine_identity(machine, sizeof(machine) - 1);
	snprintf(text, sizeof(text), "%s\n%.63s\n%s", machine, plugin, canonical_path);
	target_serial_from_text(text, serial);
}

void target_serial_from_identity(const char *identity, char serial[static TARGET_SERIAL_BYTES])
{
	size_t length = strlen(identity), printable = 0;

	while (identity[printable] > 0x20 && identity[printable] <= 0x7e)
		printable++;
	if (length < TARGET_SERIAL_BYTES && printable == length)
		memcpy(serial, identity, length + 1);
	else
		target_serial_from_text(identity, serial);
}
