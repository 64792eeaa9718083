/* SPDX-License-Identifier: Apache-2.0 */
#include "config/keys.h"

#include "config/readers.h"
#include "config/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(label, rows)                                                                                             \
	{                                                                                                              \
		.name = (label), .keys = (rows), .count = COUNT(rows)                                                  \
	}

#define AT(type, member) .offset = offsetof(struct type, member)
#define UNAVAILABLE(key, only)                                                                                         \
	{                                                                                                              \
		.name = key, .type = CONF_UNAVAILABLE, .change = CONF_LIVE, .fallback = (only)                         \
	}

#define U32_MAX 0xffffffffu

static const struct conf_key api_keys[] = {
    {"socket", CONF_STRING, CONF_RESTART, AT(daemon_spec, api.socket) - offsetof(struct daemon_spec, api),
     .fallback = TGTKIT_RUNDIR "/api.sock", .check = conf_check_socket},
    {"mode", CONF_PARSED, CONF_RESTART, AT(daemon_spec, api.mode) - offsetof(struct daemon_spec, api),
     .fallback = "0660", .parse = conf_parse_mode, .format = conf_format_mode},
};
static const struct conf_table api_table = TABLE("api", api_keys);

static const struct conf_key daemon_keys[] = {
    {"workers", CONF_U32, CONF_RESTART, AT(daemon_spec, workers), .fallback = "0", .maximum = 256},
    {"busy_poll_us", CONF_U32, CONF_RESTART, AT(daemon_spec, busy_poll_us), .fallback = "0", .maximum = 1000000},
    {"memory_limit", CONF_SIZE, CONF_RESTART, AT(daemon_spec, memory_limit_bytes), .fallback = "1G",
     .minimum = 16u << 20, .maximum = INT64_MAX},
    {"state_dir", CONF_STRING, CONF_RESTART, AT(daemon_spec, state_dir), .fallback = TGTKIT_STATEDIR},
    {"first_port_id", CONF_U32, CONF_RESTART, AT(daemon_spec, first_port_id), .fallback = "1", .minimum = 1,
     .maximum = 65535},
    {"log_level", CONF_STRING, CONF_LIVE, AT(daemon_spec, log_level), .fallback = "info",
     .check = conf_check_log_level},
    {"plugin_dirs", CONF_STRINGS, CONF_LIVE, AT(daemon_spec, plugin_dirs),
     .count_offset = offsetof(struct daemon_spec, plugin_dir_count), .fallback = ""},
    {"login_timeout_s", CONF_U32, CONF_RESTART, AT(daemon_spec, login_timeout_s), .fallback = "15", .minimum = 1,
     .maximum = 3600},
    {"nop_interval_s", CONF_U32, CONF_RESTART, AT(daemon_spec, nop_interval_s), .fallback = "15", .maximum = 3600},
    {"nop_timeout_s", CONF_U32, CONF_RESTART, AT(daemon_spec, nop_timeout_s), .fallback = "10", .minimum = 1,
     .maximum = 3600},
    {"command_timeout_s", CONF_U32, CONF_RESTART, AT(daemon_spec, command_timeout_s), .fallback = "25", .minimum = 1,
     .maximum = 3600},
    {"tmf_timeout_s", CONF_U32, CONF_RESTART, AT(daemon_spec, tmf_timeout_s), .fallback = "10", .minimum = 1,
     .maximum = 3600},
    UNAVAILABLE("flush_timeout_s", "20"),
    {"shutdown_timeout_s", CONF_U32, CONF_LIVE, AT(daemon_spec, shutdown_timeout_s), .fallback = "5", .minimum = 1,
     .maximum = 3600},
    {"open_timeout_s", CONF_U32, CONF_LIVE, AT(daemon_spec, open_timeout_s), .fallback = "10", .minimum = 1,
     .maximum = 3600},
    {"refresh_interval_s", CONF_U32, CONF_RESTART, AT(daemon_spec, refresh_interval_s), .fallback = "5",
     .maximum = 3600},
    {"retry_open_s", CONF_U32, CONF_LIVE, AT(daemon_spec, retry_open_s), .fallback = "0", .maximum = 3600},
    {"max_connections", CONF_U32, CONF_RESTART, AT(daemon_spec, max_connections), .fallback = "10000", .minimum = 1,
     .maximum = 1000000},
    {"max_connections_per_address", CONF_U32, CONF_RESTART, AT(daemon_spec, max_connections_per_address),
     .fallback = "0", .maximum = 1000000},
    {"max_pending_logins", CONF_U32, CONF_RESTART, AT(daemon_spec, max_pending_logins), .fallback = "256", .minimum = 1,
     .maximum = 1000000},
    {"api", CONF_GROUP, CONF_RESTART, AT(daemon_spec, api), .group = &api_table},
};
const struct conf_table conf_daemon_table = TABLE("the daemon", daemon_keys);

static const struct conf_key user_keys[] = {
    {"user", CONF_STRING, CONF_LIVE, AT(user_spec, user), .required = true, .check = conf_check_chap_name},
    {"secret_file", CONF_STRING, CONF_LIVE, AT(user_spec, secret_file), .required = true,
     .check = conf_check_not_empty},
    {"initiator", CONF_STRING, CONF_LIVE, AT(user_spec, initiator), .fallback = "*", .check = conf_check_not_empty},
};
const struct conf_table conf_user_table = TABLE("a user", user_keys);

/* The same without `initiator`: it is what the target calls itself. */
static const struct conf_table mutual_table = {.name = "mutual", .keys = user_keys, .count = COUNT(user_keys) - 1};

#define AUTHENTICATION(type)                                                                                           \
	{"auth",                                                                                                       \
	 CONF_PARSED,                                                                                                  \
	 CONF_LIVE,                                                                                                    \
	 AT(type, authentication.required),                                                                            \
	 .fallback = "none",                                                                                           \
	 .parse = conf_parse_auth},                                                                                    \
	    {"users", CONF_CUSTOM, CONF_LIVE, AT(type, authentication), .read = conf_read_users},                      \
	    {"mutual",                                                                                                 \
	     CONF_GROUP,                                                                                               \
	     CONF_LIVE,                                                                                                \
	     AT(type, authentication.mutual),                                                                          \
	     .origin_offset = offsetof(struct type, authentication.mutual.origin),                                     \
	     .group = &mutual_table},                                                                                  \
	{                                                                                                              \
		"chap_algorithms", CONF_PARSED, CONF_LIVE, AT(type, authentication),                                   \
		    .fallback = "", .parse = conf_parse_chap_algorithms                                                \
	}

static const struct conf_key discovery_keys[] = {
    AUTHENTICATION(discovery_spec),
};
static const struct conf_table discovery_table = TABLE("discovery", discovery_keys);

static const struct conf_key initiator_keys[] = {
    {"name", CONF_STRING, CONF_LIVE, AT(initiator_spec, name), .fallback = "*", .check = conf_check_not_empty},
    {"address", CONF_PARSED, CONF_LIVE, AT(initiator_spec, address), .fallback = "", .parse = conf_parse_address_range},
    {"luns", CONF_CUSTOM, CONF_LIVE, .read = conf_read_rule_luns},
    {"read_only", CONF_BOOL, CONF_LIVE, AT(initiator_spec, read_only), .fallback = "false"},
};
const struct conf_table conf_initiator_table = TABLE("a rule of initiators", initiator_keys);

static const struct conf_key portal_keys[] = {
    {"listen", CONF_STRING, CONF_RECREATE, AT(portal_spec, listen), .required = true, .check = conf_check_portal},
    {"advertise", CONF_STRING, CONF_LIVE, AT(portal_spec, advertise), .check = conf_check_advertise},
};
const struct conf_table conf_portal_table = TABLE("a portal", portal_keys);

static const struct conf_key portal_group_keys[] = {
    {"tag", CONF_U16, CONF_RECREATE, AT(portal_group_spec, tag), .required = true, .minimum = 1, .maximum = 65535},
    {"alua_state", CONF_PARSED, CONF_LIVE, AT(portal_group_spec, alua_state), .fallback = "active/optimized",
     .parse = conf_parse_alua_state},
    {"portals", CONF_CUSTOM, CONF_LIVE, .required = true, .read = conf_read_portals},
};
const struct conf_table conf_portal_group_table = TABLE("a portal group", portal_group_keys);

#define FEATURE(key)                                                                                                   \
	{                                                                                                              \
#key, CONF_BOOL, CONF_RECREATE, AT(lun_features_spec, key), .fallback = "true"                         \
	}
static const struct conf_key feature_keys[] = {
    FEATURE(persistent_reservations),
    FEATURE(compare_and_write),
    FEATURE(orwrite),
    FEATURE(extended_copy),
    FEATURE(unmap),
};
static const struct conf_table feature_table = TABLE("features", feature_keys);

static const struct conf_key lun_keys[] = {
    {"lun", CONF_U16, CONF_RECREATE, AT(lun_spec, lun), .required = true, .maximum = SCSI_MAXIMUM_LUN},
    {"path", CONF_STRING, CONF_RECREATE, AT(lun_spec, path), .required = true, .check = conf_check_not_empty},
    {"backend", CONF_STRING, CONF_RECREATE, AT(lun_spec, backend), .fallback = ""},
    {"size", CONF_SIZE, CONF_REOPEN, AT(lun_spec, size_bytes), .fallback = "0", .maximum = INT64_MAX},
    {"create", CONF_BOOL, CONF_REOPEN, AT(lun_spec, create), .fallback = "false"},
    {"block_size", CONF_U32, CONF_RECREATE, AT(lun_spec, block_size), .fallback = "512", .minimum = 512,
     .maximum = 4096},
    {"physical_block_size", CONF_U32, CONF_RECREATE, AT(lun_spec, physical_block_size), .fallback = "0",
     .maximum = 1u << 20},
    {"serial", CONF_STRING, CONF_RECREATE, AT(lun_spec, serial), .fallback = "", .check = conf_check_serial},
    {"vendor", CONF_STRING, CONF_RECREATE, AT(lun_spec, vendor), .fallback = "", .check = conf_check_vendor},
    {"product", CONF_STRING, CONF_RECREATE, AT(lun_spec, product), .fallback = "", .check = conf_check_product},
    {"read_only", CONF_BOOL, CONF_REOPEN, AT(lun_spec, read_only), .fallback = "false"},
    {"removable", CONF_BOOL, CONF_RECREATE, AT(lun_spec, removable), .fallback = "false"},
    {"thin", CONF_BOOL, CONF_RECREATE, AT(lun_spec, thin), .fallback = "true"},
    {"write_cache", CONF_BOOL, CONF_RECREATE, AT(lun_spec, write_cache), .fallback = "true"},
    {"online", CONF_BOOL, CONF_LIVE, AT(lun_spec, online), .fallback = "true"},
    {"features", CONF_GROUP, CONF_RECREATE, AT(lun_spec, features), .group = &feature_table},
    {"options", CONF_CUSTOM, CONF_REOPEN, .read = conf_read_options},
    {"option_files", CONF_CUSTOM, CONF_REOPEN, .read = conf_read_option_files},
};
const struct conf_table conf_lun_table = TABLE("a LUN", lun_keys);

static const struct conf_key parameter_keys[] = {
    {"max_sessions", CONF_U32, CONF_LIVE, AT(iscsi_target_parameters, max_sessions), .fallback = "0",
     .maximum = U32_MAX},
    {"single_initiator", CONF_BOOL, CONF_LIVE, AT(iscsi_target_parameters, single_initiator), .fallback = "false"},
    {"immediate_data", CONF_BOOL, CONF_LIVE, AT(iscsi_target_parameters, immediate_data), .fallback = "true"},
    {"initial_r2t", CONF_BOOL, CONF_LIVE, AT(iscsi_target_parameters, initial_r2t), .fallback = "false"},
    {"header_digest", CONF_PARSED, CONF_LIVE, AT(iscsi_target_parameters, header_digests),
     .second_offset = offsetof(struct iscsi_target_parameters, prefer_header_digest), .fallback = "none,crc32c",
     .parse = conf_parse_digests},
    {"data_digest", CONF_PARSED, CONF_LIVE, AT(iscsi_target_parameters, data_digests),
     .second_offset = offsetof(struct iscsi_target_parameters, prefer_data_digest), .fallback = "none,crc32c",
     .parse = conf_parse_digests},
    {"max_recv_data_segment_length", CONF_SIZE32, CONF_LIVE, AT(iscsi_target_parameters, max_recv_data_segment_length),
     .fallback = "256K", .minimum = 512, .maximum = (1u << 24) - 1},
    {"max_burst_length", CONF_SIZE32, CONF_LIVE, AT(iscsi_target_parameters, max_burst_length), .fallback = "1M",
     .minimum = 512, .maximum = (1u << 24) - 1},
    {"first_burst_length", CONF_SIZE32, CONF_LIVE, AT(iscsi_target_parameters, first_burst_length), .fallback = "64K",
     .minimum = 512, .maximum = (1u << 24) - 1},
    {"max_outstanding_r2t", CONF_U32, CONF_LIVE, AT(iscsi_target_parameters, max_outstanding_r2t), .fallback = "4",
     .minimum = 1, .maximum = 8},
    {"max_queued_commands", CONF_U32, CONF_LIVE, AT(iscsi_target_parameters, max_queued_commands), .fallback = "128",
     .minimum = 8, .maximum = 4096},
    {"async_event_reporting", CONF_BOOL, CONF_LIVE, AT(iscsi_target_parameters, async_event_reporting),
     .fallback = "false"},
};
static const struct conf_table parameter_table = TABLE("parameters", parameter_keys);

static const struct conf_key target_keys[] = {
    {"name", CONF_STRING, CONF_RECREATE, AT(target_spec, name), .required = true, .normalise = iscsi_name_normalise,
     .check = conf_check_target_name},
    {"alias", CONF_STRING, CONF_LIVE, AT(target_spec, alias), .fallback = "", .check = conf_check_alias},
    {"portal_groups", CONF_CUSTOM, CONF_LIVE, .read = conf_read_group_tags},
    {"luns", CONF_CUSTOM, CONF_LIVE, .read = conf_read_luns},
    AUTHENTICATION(target_spec),
    {"access", CONF_PARSED, CONF_LIVE, AT(target_spec, restricted), .fallback = "any", .parse = conf_parse_access},
    {"initiators", CONF_CUSTOM, CONF_LIVE, .read = conf_read_initiators},
    {"parameters", CONF_GROUP, CONF_LIVE, AT(target_spec, parameters),
     .origin_offset = offsetof(struct target_spec, parameters_origin), .group = &parameter_table},
};
const struct conf_table conf_target_table = TABLE("a target", target_keys);

static const struct conf_key file_keys[] = {
    {"daemon", CONF_GROUP, CONF_RESTART, AT(target_configuration, daemon),
     .origin_offset = offsetof(struct target_configuration, daemon.origin), .group = &conf_daemon_table},
    {"discovery", CONF_GROUP, CONF_LIVE, AT(target_configuration, discovery),
     .origin_offset = offsetof(struct target_configuration, discovery.origin), .group = &discovery_table},
    {"portal_groups", CONF_CUSTOM, CONF_LIVE, .read = conf_read_portal_groups},
    {"targets", CONF_CUSTOM, CONF_LIVE, .read = conf_read_targets},
};
const struct conf_table conf_file_table = TABLE("the file", file_keys);
