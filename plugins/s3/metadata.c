/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metadata.h"

static int object_from(const char *json, size_t length, json_t **object)
{
	json_error_t error;

	*object = json_loadb(json, length, JSON_REJECT_DUPLICATES, &error);
	if (*object != NULL && json_is_object(*object))
		return 0;
	json_decref(*object);
	*object = NULL;
	return -EINVAL;
}

static void string_at(const json_t *object, const char *key, char *out, size_t size)
{
	const char *value = json_string_value(json_object_get(object, key));

	snprintf(out, size, "%s", value == NULL ? "" : value);
}

static bool number_at(const json_t *object, const char *key, uint64_t maximum, uint64_t *number)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > maximum)
		return false;
	*number = (uint64_t)json_integer_value(value);
	return true;
}

static bool is_power_of_2(uint32_t number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

const char *s3_metadata_objection(const struct s3_metadata *metadata)
{
	if (metadata->device_bytes == 0 || metadata->device_bytes % S3_GRANULE_BYTES != 0)
		return "the size must be a multiple of 512 bytes, and not 0";
	if (metadata->device_bytes > S3_DEVICE_BYTES_MAXIMUM)
		return "the size must be at most 1 EiB";
	if (!is_power_of_2(metadata->chunk_bytes) || metadata->chunk_bytes < S3_CHUNK_BYTES_MINIMUM ||
	    metadata->chunk_bytes > S3_CHUNK_BYTES_MAXIMUM)
		return "chunk_size must be a power of two from 64K to 64M";
	return NULL;
}

static bool is_uuid(const char *text)
{
	for (size_t i = 0; i < S3_UUID_BYTES - 1; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	return text[S3_UUID_BYTES - 1] == '\0';
}

static const char *decode(const json_t *object, struct s3_metadata *metadata)
{
	uint64_t chunk_bytes;

	if (!number_at(object, "deviceSize", S3_DEVICE_BYTES_MAXIMUM, &metadata->device_bytes) ||
	    !number_at(object, "chunkSize", UINT32_MAX, &chunk_bytes))
		return "deviceSize or chunkSize is absent or out of range";
	metadata->chunk_bytes = (uint32_t)chunk_bytes;
	/* Chunks that were adopted from gotgt's layout keep their size, whatever it is. */
	if (metadata->device_bytes < S3_GRANULE_BYTES || chunk_bytes == 0 || chunk_bytes % S3_GRANULE_BYTES != 0 ||
	    chunk_bytes > S3_CHUNK_BYTES_MAXIMUM)
		return "deviceSize or chunkSize is not one that can be served";
	if (metadata->format != 0 && metadata->device_bytes % S3_GRANULE_BYTES != 0)
		return "deviceSize is not a multiple of 512";
	metadata->device_bytes -= metadata->device_bytes % S3_GRANULE_BYTES;
	string_at(object, "uuid", metadata->uuid, sizeof(metadata->uuid));
	string_at(object, "created", metadata->created, sizeof(metadata->created));
	/* It becomes part of a file's name. */
	if (metadata->format != 0 && !is_uuid(metadata->uuid))
		return "uuid is absent or malformed";
	return NULL;
}

int s3_metadata_decode(const char *json, size_t length, struct s3_metadata *metadata, char reason[128])
{
	const char *objection = NULL;
	uint64_t format = 0;
	json_t *object;
	int status = 0;

	*metadata = (struct s3_metadata){0};
	if (object_from(json, length, &object) != 0) {
		snprintf(reason, 128, "it is not a JSON object");
		return -EINVAL;
	}
	if (json_object_get(object, "format") != NULL && !number_at(object, "format", UINT32_MAX, &format)) {
		objection = "format is not a number";
	} else if (format != 0 && format != S3_FORMAT) {
		snprintf(reason, 128, "it is of format %llu, and this version knows format %d",
			 (unsigned long long)format, S3_FORMAT);
		status = -ENOTSUP;
	} else {
		metadata->format = (uint32_t)format;
		objection = decode(object, metadata);
	}
	if (objection != NULL) {
		snprintf(reason, 128, "%s", objection);
		status = -EINVAL;
	}
	json_decref(object);
	return status;
}

static void add_json(struct s3_text *text, json_t *object)
{
	char *dump = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

	if (dump == NULL)
		text->failed = true;
	else
		s3_text_add(text, dump);
	free(dump);
	json_decref(object);
}

void s3_metadata_encode(const struct s3_metadata *metadata, struct s3_text *json)
{
	add_json(json, json_pack("{s:i, s:I, s:I, s:s, s:s}", "format", (int)metadata->format, "deviceSize",
				 (json_int_t)metadata->device_bytes, "chunkSize", (json_int_t)metadata->chunk_bytes,
				 "uuid", metadata->uuid, "created", metadata->created));
}

bool s3_lease_decode(const char *json, size_t length, struct s3_lease_record *record)
{
	json_t *object;

	*record = (struct s3_lease_record){0};
	if (object_from(json, length, &object) != 0)
		return false;
	string_at(object, "nonce", record->nonce, sizeof(record->nonce));
	string_at(object, "host", record->host, sizeof(record->host));
	string_at(object, "machine", record->machine, sizeof(record->machine));
	string_at(object, "boot", record->boot, sizeof(record->boot));
	string_at(object, "state", record->state, sizeof(record->state));
	record->released = json_is_true(json_object_get(object, "released"));
	if (!number_at(object, "deviceSize", S3_DEVICE_BYTES_MAXIMUM, &record->device_bytes) ||
	    record->device_bytes % S3_GRANULE_BYTES != 0)
		record->device_bytes = 0;
	if (!number_at(object, "renewals", INT64_MAX, &record->renewals))
		record->nonce[0] = '\0';
	json_decref(object);
	return record->nonce[0] != '\0';
}

void s3_lease_encode(const struct s3_lease_record *record, struct s3_text *json)
{
	add_json(json, json_pack("{s:s, s:I, s:I, s:b, s:s, s:s, s:s, s:s}", "nonce", record->nonce, "renewals",
				 (json_int_t)record->renewals, "deviceSize", (json_int_t)record->device_bytes,
				 "released", (int)record->released, "host", record->host, "machine", record->machine,
				 "boot", record->boot, "state", record->state));
}

void s3_make_uuid(char uuid[S3_UUID_BYTES])
{
	unsigned char random[16];
	char hex[33];

	if (RAND_bytes(random, sizeof(random)) != 1)
		abort();
	random[6] = (unsigned char)((random[6] & 0x0f) | 0x40);
	random[8] = (unsigned char)((random[8] & 0x3f) | 0x80);
	s3_hex(random, sizeof(random), hex);
	snprintf(uuid, S3_UUID_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}
