/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/vpd.h"

#include <stdio.h>
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/extended_copy.h"

enum { PAGE_ROOM = 1024 };

struct vpd_page {
	uint8_t code;
	bool without_unit; /* also of the well-known unit */
	/* Writes behind the 4-byte header; returns the length without it. */
	size_t (*fill)(struct scsi_command *command, uint8_t *body);
	/* Or replies from offset 4 on by itself. */
	size_t (*stream)(struct scsi_command *command);
};

static size_t fill_supported_pages(struct scsi_command *command, uint8_t *body);
static bool has_page(const struct scsi_command *command, const struct vpd_page *page);

static size_t fill_serial(struct scsi_command *command, uint8_t *body)
{
	size_t length = strlen(command->unit->serial);

	memcpy(body, command->unit->serial, length);
	return length;
}

size_t scsi_put_designator(uint8_t *at, uint8_t protocol_code_set, uint8_t association_type, size_t length)
{
	at[0] = protocol_code_set;
	at[1] = association_type;
	at[3] = (uint8_t)length;
	return length + 4;
}

size_t scsi_put_name(uint8_t *field, size_t room, const char *text)
{
	size_t length = strnlen(text, room - 4);

	memcpy(field, text, length);
	return (length + 4) & ~(size_t)3;
}

enum { CODE_BINARY = 1, CODE_ASCII = 2, CODE_UTF8 = 3, PROTOCOL_ISCSI = 0x50 };
enum { OF_UNIT = 0x00, OF_PORT = 0x90, OF_DEVICE = 0xa0 }; /* with PIV where the protocol is said */
enum { TYPE_T10 = 1, TYPE_NAA = 3, TYPE_RELATIVE_PORT = 4, TYPE_PORT_GROUP = 5, TYPE_NAME = 8 };

/* NAA 3h, locally assigned: 60 bits of FNV-1a over vendor and serial, the same wherever the store is served. */
static uint64_t locally_assigned_name(const struct scsi_logical_unit *unit)
{
	uint64_t hash = rt_hash_text(rt_hash_text(RT_HASH_BEGIN, unit->vendor), unit->serial);

	return UINT64_C(3) << 60 | (hash >> 4);
}

size_t scsi_unit_designators(const struct scsi_logical_unit *unit, uint8_t body[static SCSI_UNIT_DESIGNATORS_BYTES])
{
	size_t length = 0, serial = strlen(unit->serial);

	rt_put_be64(body + 4, locally_assigned_name(unit));
	length += scsi_put_designator(body, CODE_BINARY, OF_UNIT | TYPE_NAA, 8);
	scsi_put_ascii(body + length + 4, SCSI_VENDOR_BYTES, unit->vendor);
	memcpy(body + length + 12, unit->serial, serial);
	length += scsi_put_designator(body + length, CODE_ASCII, OF_UNIT | TYPE_T10, SCSI_VENDOR_BYTES + serial);
	return length;
}

static void put_port_name(char out[static 256], const char *target_name, uint16_t tag)
{
	snprintf(out, 256, "%.230s,t,0x%04x", target_name, tag);
}

/* iSCSI names, RFC 7143 4.4.1: the target port's carries the portal group tag. */
static size_t fill_port_designators(const struct scsi_nexus *nexus, uint8_t *body)
{
	enum { NAME_ROOM = 256 };
	char port[NAME_ROOM];
	size_t length = 0;

	rt_put_be16(body + 6, nexus->relative_target_port_id);
	length += scsi_put_designator(body, PROTOCOL_ISCSI | CODE_BINARY, OF_PORT | TYPE_RELATIVE_PORT, 4);
	rt_put_be16(body + length + 6, nexus->target_port_group_tag);
	length += scsi_put_designator(body + length, PROTOCOL_ISCSI | CODE_BINARY, OF_PORT | TYPE_PORT_GROUP, 4);
	put_port_name(port, nexus->target_name, nexus->target_port_group_tag);
	length += scsi_put_designator(body + length, PROTOCOL_ISCSI | CODE_UTF8, OF_PORT | TYPE_NAME,
				      scsi_put_name(body + length + 4, 252, port));
	length += scsi_put_designator(body + length, PROTOCOL_ISCSI | CODE_UTF8, OF_DEVICE | TYPE_NAME,
				      scsi_put_name(body + length + 4, 252, nexus->target_name));
	return length;
}

static size_t fill_identification(struct scsi_command *command, uint8_t *body)
{
	size_t length = 0;

	if (command->unit != NULL)
		length = scsi_unit_designators(command->unit, body);
	return length + fill_port_designators(command->nexus, body + length);
}

static size_t fill_extended_inquiry(struct scsi_command *command, uint8_t *body)
{
	enum { HEADSUP_ORDSUP_SIMPSUP = 0x07, V_SUP = 0x01 };

	(void)command;
	body[1] = HEADSUP_ORDSUP_SIMPSUP;
	body[2] = V_SUP;
	return 60;
}

/* One policy for all pages: shared by all I_T nexuses. */
static size_t fill_mode_page_policy(struct scsi_command *command, uint8_t *body)
{
	(void)command;
	body[0] = 0x3f;
	body[1] = 0xff;
	return 4;
}

/* A third-party copy descriptor, SPC-4 7.8.17: padded to a multiple of four.  Returns its length. */
static size_t put_copy_descriptor(uint8_t *at, uint16_t type, size_t length)
{
	length = (length + 3) & ~(size_t)3;
	rt_put_be16(at, type);
	rt_put_be16(at + 2, (uint16_t)length);
	return 4 + length;
}

static size_t fill_third_party_copy(struct scsi_command *command, uint8_t *body)
{
	enum { COMMANDS = 0x0001, PARAMETERS = 0x0004, DESCRIPTORS = 0x0008, IDS = 0x000c, GENERAL = 0x8001 };
	/* Code, number of service actions, service actions: EXTENDED COPY(LID1), RECEIVE COPY RESULTS. */
	static const uint8_t commands[] = {7, 0x83, 1, 0x00, 0x84, 2, 0x00, 0x03};
	static const uint8_t descriptors[] = {2, SCSI_COPY_BLOCK_TO_BLOCK, SCSI_COPY_IDENTIFICATION};
	uint8_t *at = body;

	(void)command;
	memcpy(at + 4, commands, sizeof(commands));
	at += put_copy_descriptor(at, COMMANDS, sizeof(commands));
	rt_put_be16(at + 8, SCSI_COPY_MOST_TARGETS);
	rt_put_be16(at + 10, SCSI_COPY_MOST_SEGMENTS);
	rt_put_be32(at + 12, SCSI_COPY_MOST_LIST_BYTES);
	at += put_copy_descriptor(at, PARAMETERS, 28);
	memcpy(at + 4, descriptors, sizeof(descriptors));
	at += put_copy_descriptor(at, DESCRIPTORS, sizeof(descriptors));
	at += put_copy_descriptor(at, IDS, 2);
	rt_put_be32(at + 4, 255);
	rt_put_be32(at + 8, 255);
	rt_put_be32(at + 12, SCSI_COPY_MOST_SEGMENT_BYTES);
	at[16] = SCSI_COPY_GRANULARITY;
	at += put_copy_descriptor(at, GENERAL, 32);
	return (size_t)(at - body);
}

/* SPC-5 7.7.14: all target ports, which are more than fit a buffer here. */
static size_t stream_ports(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;
	size_t at = 4;

	pthread_mutex_lock(&unit->mutex);
	for (size_t i = 0; i < unit->port_groups.port_count; i++) {
		const struct scsi_known_port *port = &unit->port_groups.ports[i];
		uint8_t entry[12 + 4 + 256] = {0};
		char name[256];
		size_t length;

		put_port_name(name, port->target_name, port->tag);
		length = scsi_put_designator(entry + 12, PROTOCOL_ISCSI | CODE_UTF8, OF_PORT | TYPE_NAME,
					     scsi_put_name(entry + 16, 252, name));
		rt_put_be16(entry + 2, port->relative_id);
		rt_put_be16(entry + 10, (uint16_t)length);
		scsi_command_reply_at(command, at, entry, 12 + length);
		at += 12 + length;
	}
	pthread_mutex_unlock(&unit->mutex);
	return at - 4;
}

uint32_t scsi_maximum_transfer_blocks(const struct scsi_logical_unit *unit)
{
	return unit->maximum_transfer_bytes >> unit->block_shift;
}

/* What a store that cannot zero by itself has written out by the core in a fraction of the time that a command has. */
uint64_t scsi_maximum_write_same_blocks(const struct scsi_logical_unit *unit)
{
	enum { MOST_BYTES = 256 << 20, MOST_BLOCKS = 65535 };
	uint64_t blocks = MOST_BYTES >> unit->block_shift;

	return blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS;
}

uint32_t scsi_maximum_compare_and_write_blocks(const struct scsi_logical_unit *unit)
{
	uint32_t blocks = scsi_maximum_transfer_blocks(unit) / 2;

	if (!unit->compare_and_write)
		return 0;
	return blocks < 255 ? blocks : 255;
}

uint32_t scsi_atomic_write_blocks(const struct scsi_logical_unit *unit)
{
	uint32_t bytes = store_atomic_write_bytes(unit->store);

	return bytes <= unit->maximum_transfer_bytes ? bytes >> unit->block_shift : 0;
}

static size_t fill_block_limits(struct scsi_command *command, uint8_t *body)
{
	const struct scsi_logical_unit *unit = command->unit;
	const struct tgtkit_capabilities *can = unit->capabilities;
	uint32_t granularity = can->discard_granularity_bytes >> unit->block_shift;

	/* Offsets as in the standard, which counts the header. */
	uint8_t *page = body - 4;

	page[5] = (uint8_t)scsi_maximum_compare_and_write_blocks(unit);
	rt_put_be16(page + 6, (uint16_t)(1u << unit->physical_exponent));
	rt_put_be32(page + 8, scsi_maximum_transfer_blocks(unit));
	rt_put_be32(page + 12, can->optimal_transfer_bytes >> unit->block_shift);
	rt_put_be64(page + 36, scsi_maximum_write_same_blocks(unit));
	if (unit->provisions) {
		rt_put_be32(page + 20, SCSI_MAXIMUM_UNMAP_BLOCKS);
		rt_put_be32(page + 24, SCSI_MAXIMUM_UNMAP_DESCRIPTORS);
		rt_put_be32(page + 28, granularity != 0 ? granularity : 1);
		rt_put_be32(page + 32, 0x80000000u); /* UGAVALID, alignment 0 */
	}
	/* One write is one of the plugin's units, whole: maximum length, alignment and granularity.  (Linux takes
	 * atomic writes only of who says a granularity that goes with the alignment.)  No boundaries inside. */
	for (unsigned at = 44; at <= 52; at += 4)
		rt_put_be32(page + at, scsi_atomic_write_blocks(unit));
	return 60;
}

static size_t fill_characteristics(struct scsi_command *command, uint8_t *body)
{
	enum { ROTATION_NOT_REPORTED = 0, NON_ROTATING = 1, READS_AFTER_BLOCK_ERASE = 0x40 /* WABEREQ = 01b */ };
	bool rotational = (command->unit->capabilities->flags & TGTKIT_ROTATIONAL) != 0;

	rt_put_be16(body, rotational ? ROTATION_NOT_REPORTED : NON_ROTATING);
	if (command->unit->provisions)
		body[3] = READS_AFTER_BLOCK_ERASE;
	return 60;
}

static size_t fill_provisioning(struct scsi_command *command, uint8_t *body)
{
	enum { LBPU = 0x80, LBPWS = 0x40, LBPWS10 = 0x20, LBPRZ = 0x04, THIN = 2 };
	const struct scsi_logical_unit *unit = command->unit;

	if (unit->provisions) {
		body[1] = LBPU | LBPWS | LBPWS10 | (unit->unmap_reads_zero ? LBPRZ : 0);
		body[2] = THIN;
	}
	return 4;
}

static const struct vpd_page pages[] = {
    {0x00, true, fill_supported_pages, NULL},	{0x80, false, fill_serial, NULL},
    {0x83, true, fill_identification, NULL},	{0x86, false, fill_extended_inquiry, NULL},
    {0x87, false, fill_mode_page_policy, NULL}, {0x88, false, NULL, stream_ports},
    {0x8f, false, fill_third_party_copy, NULL}, {0xb0, false, fill_block_limits, NULL},
    {0xb1, false, fill_characteristics, NULL},	{0xb2, false, fill_provisioning, NULL},
};

static size_t fill_supported_pages(struct scsi_command *command, uint8_t *body)
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (has_page(command, &pages[i]))
			body[count++] = pages[i].code;
	return count;
}

static bool has_page(const struct scsi_command *command, const struct vpd_page *page)
{
	if (command->unit == NULL)
		return page->without_unit;
	return page->fill != fill_third_party_copy || command->unit->extended_copy;
}

static const struct vpd_page *find_page(const struct scsi_command *command)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (pages[i].code == command->cdb[2] && has_page(command, &pages[i]))
			return &pages[i];
	return NULL;
}

bool scsi_vpd_supports(const struct scsi_command *command)
{
	return find_page(command) != NULL;
}

void scsi_vpd_reply(struct scsi_command *command)
{
	const struct vpd_page *kind = find_page(command);
	uint8_t page[PAGE_ROOM] = {0};
	bool streams = kind->stream != NULL;
	size_t length = streams ? kind->stream(command) : kind->fill(command, page + 4);

	page[0] = scsi_peripheral_device(command);
	page[1] = kind->code;
	rt_put_be16(page + 2, (uint16_t)length);
	scsi_command_reply(command, page, streams ? 4 : length + 4);
}
