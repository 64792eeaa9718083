/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of a volume's objects.  Chunk objects are written once: every attempt to upload has a name of its own, made
 * of the writer's generation and a sequence number, so that an upload that arrives late overwrites nothing.
 */
#ifndef TGTKIT_S3_NAMES_H
#define TGTKIT_S3_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

#define S3_INDEX_LIMIT (UINT64_C(1) << 40)

enum s3_name_kind {
	S3_NAME_ABSENT = 0, /* never written: reads zeros */
	S3_NAME_DATA = 1,
	S3_NAME_ZERO = 2,    /* an object of no length: reads zeros */
	S3_NAME_ADOPTED = 3, /* in gotgt's layout; `sequence` is the object's size, zeros follow */
};

/* Which object holds a chunk. */
struct s3_name {
	uint32_t kind; /* enum s3_name_kind */
	uint32_t generation, sequence;
};

/* What a key stands for. */
enum s3_key_kind {
	S3_KEY_OTHER, /* not ours */
	S3_KEY_METADATA,
	S3_KEY_MAP,
	S3_KEY_LEASE,
	S3_KEY_CHUNK,
	S3_KEY_ADOPTED,
};

struct s3_key {
	enum s3_key_kind kind;
	uint32_t generation, sequence;
	uint64_t index;
};

/* True if `a` is in force rather than `b`. */
static inline bool s3_name_is_newer(const struct s3_name *a, const struct s3_name *b)
{
	return a->generation != b->generation ? a->generation > b->generation : a->sequence > b->sequence;
}

/* Appends the part of a key that follows the volume's prefix. */
void s3_key_chunk(struct s3_text *text, uint64_t index, const struct s3_name *name);
void s3_key_map(struct s3_text *text, uint32_t generation);
void s3_key_lease(struct s3_text *text, uint32_t generation);
#define S3_KEY_METADATA_NAME "_metadata"

/* `relative` is what follows the prefix. */
struct s3_key s3_key_parse(const char *relative);

#endif
