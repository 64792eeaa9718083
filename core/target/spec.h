/* SPDX-License-Identifier: Apache-2.0
 *
 * What somebody wants to be served, as plain data: filled by core/config from a file or the command line, checked by
 * target_check, turned into running objects by core/target.  All memory belongs to the configuration's arena.
 */
#ifndef TGTKIT_TARGET_SPEC_H
#define TGTKIT_TARGET_SPEC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "iscsi/directory.h"
#include "scsi/logical_unit.h"
#include "store/plugins.h"
#include "target/arena.h"

/* Where one key of an object was given. */
struct spec_key_line {
	const char *key, *file;
	unsigned line;
};

/* Where an object comes from, so that every message about it can name file, line and key. */
struct spec_origin {
	const char *file; /* NULL: not from a file */
	unsigned line;
	const char *name; /* "targets[0].luns[2]", or "the command line" */
	const struct spec_key_line *keys;
	size_t key_count;
};

/* The keys' meanings and defaults stand in docs/tgtkit.conf.5. */
struct daemon_spec {
	struct spec_origin origin;
	uint32_t workers, busy_poll_us;
	uint64_t memory_limit_bytes;
	const char *state_dir; /* "": no state is kept */
	const char *log_level;
	const char *const *plugin_dirs;
	size_t plugin_dir_count;
	uint32_t login_timeout_s, nop_interval_s, nop_timeout_s, command_timeout_s, tmf_timeout_s;
	uint32_t shutdown_timeout_s, open_timeout_s, refresh_interval_s, retry_open_s;
	uint32_t first_port_id; /* the smallest relative target port id to give */
	uint32_t max_connections, max_connections_per_address, max_pending_logins;
	struct {
		const char *socket; /* "": none */
		uint32_t mode;	    /* of the socket's file */
	} api;
};

struct portal_spec {
	struct spec_origin origin;
	const char *listen;    /* as written */
	const char *advertise; /* NULL: the address itself */
	/* Filled by target_check */
	struct sockaddr_storage address;
};

struct portal_group_spec {
	struct spec_origin origin;
	bool made_by_api;
	uint16_t tag;
	enum scsi_port_group_state alua_state;
	struct portal_spec *portals;
	size_t portal_count;
};

struct lun_features_spec {
	bool persistent_reservations, compare_and_write, orwrite, extended_copy, unmap;
};

struct unit_spec;

struct lun_spec {
	struct spec_origin origin, options_origin, option_files_origin;
	uint16_t lun;
	const char *path, *backend; /* backend "": by the path's prefix */
	uint64_t size_bytes;
	bool create;
	uint32_t block_size, physical_block_size; /* physical 0: as the store says */
	const char *serial, *vendor, *product;	  /* "": the default */
	bool read_only, removable, thin, write_cache, online;
	struct lun_features_spec features;
	const struct store_setting *settings; /* the plugin's own options */
	size_t setting_count;
	const struct store_setting *option_files; /* likewise, each value a file that holds it */
	size_t option_file_count;
	/* Filled by target_check */
	struct unit_spec *unit;
};

/* Somebody who proves by CHAP who he is. */
struct user_spec {
	struct spec_origin origin;
	const char *user, *secret_file; /* NULL: there is none */
	const char *initiator;		/* pattern of initiator names */
	/* Filled by target_check */
	const uint8_t *secret;
	size_t secret_bytes;
};

#define SPEC_CHAP_ALGORITHMS 4u

struct authentication_spec {
	bool required;
	struct user_spec *users;
	size_t user_count;
	struct user_spec mutual;
	enum iscsi_chap_algorithm algorithms[SPEC_CHAP_ALGORITHMS]; /* best first */
	size_t algorithm_count;					    /* 0: all, the strongest first */
};

struct discovery_spec {
	struct spec_origin origin; /* `name` NULL: nothing was given */
	bool made_by_api;
	struct authentication_spec authentication;
};

/* A rule of a target's access list. */
struct initiator_spec {
	struct spec_origin origin;
	const char *name; /* pattern */
	struct iscsi_address_range address;
	const uint16_t *luns;
	size_t lun_count;
	bool only_luns; /* those of `luns`; else all of the target's */
	bool read_only;
};

struct target_spec {
	struct spec_origin origin;
	bool made_by_api;
	const char *name, *alias;
	const uint16_t *group_tags;
	size_t group_tag_count; /* 0: group 1 */
	struct lun_spec *luns;
	size_t lun_count;
	struct authentication_spec authentication;
	bool restricted; /* access = "list" */
	struct initiator_spec *initiators;
	size_t initiator_count;
	struct spec_origin parameters_origin;
	struct iscsi_target_parameters parameters;
};

/* A logical unit: all mappings of one plugin and canonical path.  Made by target_check. */
struct unit_spec {
	const char *name; /* "file:/srv/a.img" */
	const struct store_plugin *plugin;
	const char *plugin_path, *canonical_path;
	const struct target_spec *target; /* the first that maps it, for messages */
	const struct lun_spec *lun;	  /* that mapping: its attributes are the unit's */
	bool read_only;			  /* every mapping is */
};

struct target_configuration {
	struct target_arena arena;
	const char *text; /* as it was given, less comments: a configuration file; NULL: nothing was */
	/* Of one made by target_configuration_new. */
	atomic_uint references;
	struct target_configuration *base;   /* whose memory this one uses, too; NULL: none */
	struct target_configuration *origin; /* likewise, of a copy */
	struct daemon_spec daemon;
	struct discovery_spec discovery;
	struct portal_group_spec *groups;
	size_t group_count;
	struct target_spec *targets;
	size_t target_count;
	/* Filled by target_check */
	struct unit_spec *units;
	size_t unit_count;
};

/* What is wrong with a configuration, line by line. */
struct spec_problems {
	void (*report)(void *context, const char *line);
	void *context;
	unsigned count;
};

/* Reports "FILE:LINE: OBJECT.KEY: message".  `key` NULL: the object as a whole; a key that was not given: the line of
 * the object. */
void spec_problem(struct spec_problems *problems, const struct spec_origin *origin, const char *key, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));
/* NULL: not given. */
const struct spec_key_line *spec_origin_find(const struct spec_origin *origin, const char *key);
/* "FILE:LINE" or the object's name, for a message that refers to another object. */
void spec_origin_format(const struct spec_origin *origin, char *text, size_t size);

void target_configuration_free(struct target_configuration *configuration);

/* On the heap, zeroed, with one reference.  Any thread may hold and drop. */
struct target_configuration *target_configuration_new(void);
struct target_configuration *target_configuration_hold(struct target_configuration *configuration);
void target_configuration_drop(struct target_configuration *configuration); /* NULL: nothing happens */

/* Puts the administrator's configuration (`base`, held from now on) under the objects that the API made: daemon keys
 * are the base's, its groups and targets come first.  Where both have an object, or discovery, the API's stays and a
 * problem is reported. */
void target_configuration_merge(struct target_configuration *own, struct target_configuration *base,
				struct spec_problems *problems);

#endif
