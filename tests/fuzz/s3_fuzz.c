/* SPDX-License-Identifier: Apache-2.0
 *
 * What the plugin s3 reads and did not write itself: shared configuration files, a server's XML, and the objects of a
 * volume, which anybody with the right to may have damaged.  The first byte says which.
 */
#include <config.h>

#include <string.h>

#include "fuzz/fuzz.h"
#include "s3/checksum.h"
#include "s3/ini.h"
#include "s3/metadata.h"
#include "s3/table.h"
#include "s3/xml.h"

#define CHUNKS	   70000u
#define GENERATION 7u

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static bool look(void *context, const char *key, const char *value)
{
	unsigned *count = context;

	FUZZ_REQUIRE(key[0] != '\0' && strlen(value) <= S3_INI_VALUE_BYTES);
	return ++*count < 100;
}

static void read_ini(const char *text, size_t size)
{
	unsigned count = 0;

	s3_ini_read(text, size, "default", look, &count);
	s3_ini_read(text, size, "other", look, &count);
}

/* Two pages, as a long list has them. */
static void read_list(const char *text, size_t size)
{
	struct s3_list list = {0};

	for (unsigned page = 0; page < 2 && s3_list_parse(text, size, &list) == 0; page++)
		for (size_t i = 0; i < list.count; i++)
			FUZZ_REQUIRE(list.objects[i].key != NULL);
	s3_list_free(&list);
}

static void read_error(const char *text, size_t size)
{
	struct s3_error_text error;

	s3_error_parse(text, size, &error);
	FUZZ_REQUIRE(memchr(error.code, '\0', sizeof(error.code)) != NULL);
	FUZZ_REQUIRE(memchr(error.message, '\0', sizeof(error.message)) != NULL);
	FUZZ_REQUIRE(memchr(error.request_id, '\0', sizeof(error.request_id)) != NULL);
}

/* With a checksum that holds, which no fuzzer finds.  What was taken is what is written again. */
static void read_map(const char *text, size_t size)
{
	char *sealed = malloc(size + 4);
	const uint32_t crc = s3_crc32c(0, text, size);
	struct s3_text again = {0};
	struct s3_table table;

	FUZZ_REQUIRE(sealed != NULL);
	if (size > 0)
		memcpy(sealed, text, size);
	for (unsigned i = 0; i < 4; i++)
		sealed[size + i] = (char)(crc >> (8 * i));
	s3_table_init(&table, CHUNKS);
	if (s3_map_decode(sealed, size + 4, GENERATION, S3_CHUNK_BYTES_MINIMUM, &table) == 0) {
		s3_map_encode(&table, GENERATION, S3_CHUNK_BYTES_MINIMUM, &again);
		FUZZ_REQUIRE(again.length == size + 4);
	}
	s3_text_free(&again);
	s3_table_free(&table);
	free(sealed);
}

static void read_metadata(const char *text, size_t size)
{
	struct s3_metadata metadata;
	char reason[128] = "";

	if (s3_metadata_decode(text, size, &metadata, reason) != 0) {
		FUZZ_REQUIRE(reason[0] != '\0');
		return;
	}
	FUZZ_REQUIRE(metadata.device_bytes > 0 && metadata.device_bytes <= S3_DEVICE_BYTES_MAXIMUM);
	FUZZ_REQUIRE(metadata.device_bytes % S3_GRANULE_BYTES == 0);
	FUZZ_REQUIRE(metadata.chunk_bytes > 0 && metadata.chunk_bytes <= S3_CHUNK_BYTES_MAXIMUM);
	FUZZ_REQUIRE(strchr(metadata.uuid, '/') == NULL || metadata.format == 0);
}

static void read_lease(const char *text, size_t size)
{
	struct s3_lease_record record;

	if (s3_lease_decode(text, size, &record))
		FUZZ_REQUIRE(record.nonce[0] != '\0');
}

static void read_key(const char *text, size_t size)
{
	char *key = strndup(text, size);
	struct s3_key parsed;

	FUZZ_REQUIRE(key != NULL);
	parsed = s3_key_parse(key);
	FUZZ_REQUIRE(parsed.kind != S3_KEY_CHUNK || parsed.index < UINT64_C(1) << 56);
	free(key);
}

static void read_checksums(const char *text, size_t size)
{
	char *encoded = strndup(text, size);
	uint32_t crcs[S3_CHECK_BLOCKS];

	FUZZ_REQUIRE(encoded != NULL);
	for (uint32_t count = 1; count <= S3_CHECK_BLOCKS; count *= 2)
		s3_checksums_decode(encoded, crcs, count);
	free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *text, size_t size) = {
	    read_ini, read_list, read_error, read_map, read_metadata, read_lease, read_key, read_checksums};

	if (size > 0)
		readers[data[0] % (sizeof(readers) / sizeof(readers[0]))]((const char *)data + 1, size - 1);
	return 0;
}
