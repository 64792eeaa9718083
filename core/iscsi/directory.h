/* SPDX-License-Identifier: Apache-2.0
 *
 * What the iSCSI layer knows of the configuration: targets, portal groups and parameters as one immutable,
 * reference-counted snapshot made by core/target.
 */
#ifndef TGTKIT_ISCSI_DIRECTORY_H
#define TGTKIT_ISCSI_DIRECTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "scsi/lun_map.h"

#define ISCSI_NAME_BYTES 224u /* RFC 7143 4.2.7.1: 223 and the NUL */

enum { ISCSI_DIGEST_NONE = 1u << 0, ISCSI_DIGEST_CRC32C = 1u << 1 };

struct iscsi_target_parameters {
	uint32_t max_sessions; /* 0: no limit */
	bool single_initiator; /* only sessions of one initiator name at a time */
	bool immediate_data, initial_r2t;
	/* ISCSI_DIGEST_... that are acceptable, and which is preferred */
	uint8_t header_digests, data_digests;
	bool prefer_header_digest, prefer_data_digest;
	uint32_t max_recv_data_segment_length; /* 512 to 2^24-1 */
	uint32_t max_burst_length, first_burst_length;
	uint32_t max_outstanding_r2t; /* 1 to 8 */
	uint32_t max_queued_commands; /* the largest command window of a session, 8 to 4096 */
};

/* A target seen through one of its portal groups: a SCSI target port. */
struct iscsi_target_port {
	uint16_t tag;			  /* target portal group tag */
	uint16_t relative_target_port_id; /* 1 to 65535, daemon-wide */
};

struct iscsi_target {
	const char *name, *alias; /* alias may be "" */
	const struct iscsi_target_port *ports;
	size_t port_count;
	struct iscsi_target_parameters parameters;
	struct scsi_lun_map *lun_map; /* what an admitted initiator sees; the snapshot holds a reference */
};

struct iscsi_portal {
	struct sockaddr_storage address; /* as listened on */
	const char *advertise;		 /* "203.0.113.5:3260", or NULL: the address itself, or where a wildcard: the
					  * one that the initiator connected to */
};

struct iscsi_portal_group {
	uint16_t tag;
	const struct iscsi_portal *portals;
	size_t portal_count;
};

struct iscsi_directory {
	atomic_uint references;
	void (*released)(struct iscsi_directory *directory); /* any thread; the last reference is gone */
	const struct iscsi_target *targets;		     /* ascending by strcmp of name */
	size_t target_count;
	const struct iscsi_portal_group *groups; /* ascending by tag */
	size_t group_count;
};

struct iscsi_directory *iscsi_directory_hold(struct iscsi_directory *directory);
void iscsi_directory_drop(struct iscsi_directory *directory);
const struct iscsi_target *iscsi_directory_find_target(const struct iscsi_directory *directory, const char *name);
const struct iscsi_target_port *iscsi_target_find_port(const struct iscsi_target *target, uint16_t tag);

/* RFC 7143 4.2.7.1 and RFC 3722: iqn., eui. or naa. with legal characters, 223 bytes at most, in normal form: RFC 3722
 * folds case, so a name with capitals is valid only after iscsi_name_normalise. */
bool iscsi_name_is_valid(const char *name);
/* What an initiator may call itself: not every initiator in the field follows the format, but all of them send 1 to 223
 * bytes of UTF-8 without spaces and control characters. */
bool iscsi_name_is_presentable(const char *name);
void iscsi_name_normalise(char *name); /* folds ASCII capitals in place */

#endif
