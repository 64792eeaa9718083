/* SPDX-License-Identifier: Apache-2.0
 *
 * The NBD protocol's transmission phase: its numbers, and how they stand on the wire (big endian).
 */
#ifndef TGTKIT_PLUGINS_REMOTE_WIRE_H
#define TGTKIT_PLUGINS_REMOTE_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define NBD_REQUEST_MAGIC	   0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC	   0x67446698u
#define NBD_STRUCTURED_REPLY_MAGIC 0x668e33efu

enum {
	NBD_REQUEST_BYTES = 28,
	NBD_SIMPLE_REPLY_BYTES = 16,
	NBD_CHUNK_BYTES = 20,
	NBD_EXTENT_BYTES = 8,
};

enum nbd_command {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};

/* Of a structured reply. */
enum { NBD_CHUNK_DONE = 1u << 0 };

enum nbd_chunk {
	NBD_CHUNK_NONE = 0,
	NBD_CHUNK_OFFSET_DATA = 1,
	NBD_CHUNK_OFFSET_HOLE = 2,
	NBD_CHUNK_BLOCK_STATUS = 5,
	NBD_CHUNK_IS_ERROR = 1 << 15, /* set in all that are */
};

/* One request, as it goes to the server.  Flags have the values of LIBNBD_CMD_FLAG_... */
struct remote_command {
	uint16_t type, flags;
	uint32_t length;
	uint64_t offset;
};

static inline uint16_t wire_get_16(const unsigned char *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return be16toh(value);
}

static inline uint32_t wire_get_32(const unsigned char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return be32toh(value);
}

static inline uint64_t wire_get_64(const unsigned char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return be64toh(value);
}

static inline void wire_put_16(unsigned char *to, uint16_t value)
{
	value = htobe16(value);
	memcpy(to, &value, sizeof(value));
}

static inline void wire_put_32(unsigned char *to, uint32_t value)
{
	value = htobe32(value);
	memcpy(to, &value, sizeof(value));
}

static inline void wire_put_64(unsigned char *to, uint64_t value)
{
	value = htobe64(value);
	memcpy(to, &value, sizeof(value));
}

#endif
