/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <inttypes.h>
#include <string.h>

#include "names.h"

#define GENERATION_DIGITS 8
#define INDEX_DIGITS	  10 /* at least */

void s3_key_chunk(struct s3_text *text, uint64_t index, const struct s3_name *name)
{
	if (name->kind == S3_NAME_ADOPTED)
		s3_text_format(text, "chunk_%010" PRIu64, index);
	else
		s3_text_format(text, "g%08" PRIx32 "/chunk_%010" PRIu64 ".%08" PRIx32, name->generation, index,
			       name->sequence);
}

void s3_key_map(struct s3_text *text, uint32_t generation)
{
	s3_text_format(text, "_map.%08" PRIx32, generation);
}

void s3_key_lease(struct s3_text *text, uint32_t generation)
{
	s3_text_format(text, "_lease.%08" PRIx32, generation);
}

static bool take(const char **cursor, const char *literal)
{
	const size_t length = strlen(literal);

	if (strncmp(*cursor, literal, length) != 0)
		return false;
	*cursor += length;
	return true;
}

static bool take_hex(const char **cursor, uint32_t *number)
{
	uint64_t value;

	if (strnlen(*cursor, GENERATION_DIGITS) < GENERATION_DIGITS ||
	    !s3_parse_number(*cursor, GENERATION_DIGITS, 16, UINT32_MAX, &value))
		return false;
	*cursor += GENERATION_DIGITS;
	*number = (uint32_t)value;
	return true;
}

/* Ten digits, or more without a leading zero: every index has one spelling. */
static bool take_index(const char **cursor, uint64_t *index)
{
	const size_t digits = strspn(*cursor, "0123456789");

	if (digits < INDEX_DIGITS || (digits > INDEX_DIGITS && (*cursor)[0] == '0') ||
	    !s3_parse_number(*cursor, digits, 10, S3_INDEX_LIMIT - 1, index))
		return false;
	*cursor += digits;
	return true;
}

struct s3_key s3_key_parse(const char *relative)
{
	struct s3_key key = {.kind = S3_KEY_OTHER};
	const char *cursor = relative;
	enum s3_key_kind kind = S3_KEY_OTHER;

	if (strcmp(relative, S3_KEY_METADATA_NAME) == 0) {
		kind = S3_KEY_METADATA;
		cursor = "";
	} else if (take(&cursor, "_map.")) {
		kind = take_hex(&cursor, &key.generation) ? S3_KEY_MAP : S3_KEY_OTHER;
	} else if (take(&cursor, "_lease.")) {
		kind = take_hex(&cursor, &key.generation) ? S3_KEY_LEASE : S3_KEY_OTHER;
	} else if (take(&cursor, "chunk_")) {
		kind = take_index(&cursor, &key.index) ? S3_KEY_ADOPTED : S3_KEY_OTHER;
	} else if (take(&cursor, "g") && take_hex(&cursor, &key.generation) && take(&cursor, "/chunk_") &&
		   take_index(&cursor, &key.index) && take(&cursor, ".") && take_hex(&cursor, &key.sequence)) {
		kind = S3_KEY_CHUNK;
	}
	key.kind = *cursor == '\0' ? kind : S3_KEY_OTHER;
	return key;
}
