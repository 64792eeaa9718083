/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/transport_id.h"

#include <string.h>

#include "rt/bytes.h"

enum { PROTOCOL_ISCSI = 0x05, FORMAT_DEVICE = 0x00, FORMAT_PORT = 0x40, LEAST_BYTES = 24 };

size_t scsi_transport_id_encode(const char *initiator_port, uint8_t out[static SCSI_TRANSPORT_ID_BYTES])
{
	size_t name = strnlen(initiator_port, SCSI_PORT_NAME_BYTES);
	size_t length = 4 + ((name + 4) & ~(size_t)3);

	if (length < LEAST_BYTES)
		length = LEAST_BYTES;
	memset(out, 0, length);
	out[0] = FORMAT_PORT | PROTOCOL_ISCSI;
	rt_put_be16(out + 2, (uint16_t)(length - 4));
	memcpy(out + 4, initiator_port, name);
	return length;
}

static bool is_port_name(const char *name)
{
	return strstr(name, ",i,0x") != NULL;
}

size_t scsi_transport_id_decode(const uint8_t *bytes, size_t length, struct scsi_transport_id *id)
{
	size_t additional, name;

	if (length < LEAST_BYTES)
		return 0;
	additional = rt_get_be16(bytes + 2);
	if (additional < LEAST_BYTES - 4 || additional % 4 != 0 || additional > length - 4)
		return 0;
	if (bytes[0] != (FORMAT_DEVICE | PROTOCOL_ISCSI) && bytes[0] != (FORMAT_PORT | PROTOCOL_ISCSI))
		return 0;
	name = strnlen((const char *)bytes + 4, additional);
	if (name == 0 || name == additional || name > SCSI_PORT_NAME_BYTES)
		return 0; /* it ends with a NUL */
	memcpy(id->name, bytes + 4, name);
	id->name[name] = '\0';
	id->is_device = bytes[0] == (FORMAT_DEVICE | PROTOCOL_ISCSI);
	if (id->is_device == is_port_name(id->name))
		return 0;
	return 4 + additional;
}
