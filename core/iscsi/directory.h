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
	bool async_event_reporting;   /* a change of the LUNs is an asynchronous message, too */
};

/* A target seen through one of its portal groups: a SCSI target port. */
struct iscsi_target_port {
	uint16_t tag;			  /* target portal group tag */
	uint16_t relative_target_port_id; /* 1 to 65535, daemon-wide */
};

/* CHAP, RFC 7143 12.1.3; the numbers of the algorithms are IANA's. */
enum iscsi_chap_algorithm {
	ISCSI_CHAP_MD5 = 5,
	ISCSI_CHAP_SHA1 = 6,
	ISCSI_CHAP_SHA256 = 7,
	ISCSI_CHAP_SHA3_256 = 8,
};

#define ISCSI_CHAP_SMALLEST_SECRET_BYTES 12u
#define ISCSI_CHAP_LARGEST_SECRET_BYTES	 255u

struct iscsi_account {
	const char *name; /* 255 bytes at most; NULL: no account */
	const uint8_t *secret;
	size_t secret_bytes; /* in the bounds above */
};

struct iscsi_user {
	struct iscsi_account account;
	const char *initiator; /* pattern of the names of the initiators that may log in as this user; NULL: any */
};

/* Zeroed: nobody has to authenticate. */
struct iscsi_authentication {
	bool required; /* CHAP; without users nobody passes */
	const struct iscsi_user *users;
	size_t user_count;
	struct iscsi_account mutual;		     /* who the target is to an initiator that asks */
	const enum iscsi_chap_algorithm *algorithms; /* best first; none: all of them, the strongest first */
	size_t algorithm_count;
};

/* An address and a prefix length.  Zeroed: any address. */
struct iscsi_address_range {
	int family; /* AF_INET, AF_INET6 or 0 */
	uint8_t prefix_bits;
	uint8_t bytes[16]; /* as on the wire; IPv4: the first four */
};

struct iscsi_access_rule {
	const char *initiator; /* pattern of its name; NULL: any */
	struct iscsi_address_range address;
	struct scsi_lun_map *lun_map; /* what this rule lets through; the snapshot holds a reference */
};

struct iscsi_target {
	const char *name, *alias; /* alias may be "" */
	const struct iscsi_target_port *ports;
	size_t port_count;
	struct iscsi_target_parameters parameters;
	struct scsi_lun_map *lun_map; /* what an admitted initiator sees; the snapshot holds a reference */
	struct iscsi_authentication authentication;
	bool restricted; /* only initiators that a rule lets through, the first that matches, and with its LUN map */
	const struct iscsi_access_rule *rules;
	size_t rule_count;
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
	struct iscsi_authentication discovery_authentication;
};

struct iscsi_directory *iscsi_directory_hold(struct iscsi_directory *directory);
void iscsi_directory_drop(struct iscsi_directory *directory);
const struct iscsi_target *iscsi_directory_find_target(const struct iscsi_directory *directory, const char *name);
const struct iscsi_target_port *iscsi_target_find_port(const struct iscsi_target *target, uint16_t tag);

/* The LUN map for an initiator at an address; NULL: it is not admitted.  `address` may be NULL: not known, so that
 * rules about addresses do not match. */
struct scsi_lun_map *iscsi_target_admit(const struct iscsi_target *target, const char *initiator_name,
					const struct sockaddr_storage *address);
/* "192.0.2.0/24", "2001:db8::/32", or an address alone.  0 or -EINVAL; bits beyond the prefix must be zero. */
int iscsi_address_range_parse(const char *text, struct iscsi_address_range *range);
bool iscsi_address_range_contains(const struct iscsi_address_range *range, const struct sockaddr_storage *address);
/* A pattern of initiator names: * stands for any characters, ? for one; ASCII letters match without case. */
bool iscsi_name_matches(const char *pattern, const char *name);

/* RFC 7143 4.2.7.1 and RFC 3722: iqn., eui. or naa. with legal characters, 223 bytes at most, in normal form: RFC 3722
 * folds case, so a name with capitals is valid only after iscsi_name_normalise. */
bool iscsi_name_is_valid(const char *name);
/* What an initiator may call itself: not every initiator in the field follows the format, but all of them send 1 to 223
 * bytes of UTF-8 without spaces and control characters. */
bool iscsi_name_is_presentable(const char *name);
void iscsi_name_normalise(char *name); /* folds ASCII capitals in place */

#endif
