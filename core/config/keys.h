/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of every key of the configuration: its type, range and default, where its value goes and what it takes to
 * change it.  The file, --set and the command line all go through it; a new key is one row (and a reader, if its type
 * is none of those below).
 */
#ifndef TGTKIT_CONFIG_KEYS_H
#define TGTKIT_CONFIG_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include <libconfig.h>

#include "target/spec.h"

enum conf_type {
	CONF_BOOL,    /* bool */
	CONF_U16,     /* uint16_t */
	CONF_U32,     /* uint32_t */
	CONF_SIZE,    /* uint64_t bytes; people write 4M, 10G */
	CONF_SIZE32,  /* uint32_t bytes */
	CONF_STRING,  /* const char * */
	CONF_STRINGS, /* const char *const *, and the count as size_t at count_offset */
	CONF_PARSED,  /* one string, or several that are joined by commas, for `parse` */
	CONF_GROUP,   /* a group with a table of its own */
	CONF_CUSTOM,  /* `read` does it all */
	/* Known, but not in this version: any value but the default, an empty list or an empty group is refused. */
	CONF_UNAVAILABLE,
};

/* What a change of the key at run time takes. */
enum conf_change {
	CONF_LIVE,     /* takes effect at once, or with the next login or command */
	CONF_REOPEN,   /* the backing store is closed and opened again */
	CONF_RECREATE, /* the target, LUN or portal group is taken away and made again */
	CONF_RESTART,  /* the daemon is started again */
};

struct conf_reader {
	struct target_arena *arena;
	struct spec_problems *problems;
	const char *file, *include_dir; /* libconfig names an included file as it was written */
};

struct conf_table;

#define CONF_ERROR_BYTES 256

struct conf_key {
	const char *name;
	enum conf_type type;
	enum conf_change change;
	size_t offset; /* of the value in the object that the table describes */
	union {
		size_t count_offset;  /* STRINGS */
		size_t second_offset; /* PARSED: of a second member, if `parse` has one */
		size_t origin_offset; /* GROUP: of a struct spec_origin in the object; 0: none is kept */
	};
	uint64_t minimum, maximum; /* numbers and sizes */
	const char *fallback;	   /* the default, as a person writes it; NULL: none */
	bool required;
	const struct conf_table *group;
	void (*normalise)(char *text);		/* STRING: in place, before the check */
	const char *(*check)(const char *text); /* STRING: NULL, or what is wrong with it */
	int (*parse)(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES]);
	void (*format)(const struct conf_key *key, const void *object, char text[static CONF_ERROR_BYTES]); /* PARSED */
	void (*read)(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		     void *object);
};

struct conf_table {
	const char *name; /* for messages: "a target" */
	const struct conf_key *keys;
	size_t count;
};

/* struct target_configuration, daemon_spec, portal_group_spec, portal_spec, target_spec, lun_spec, user_spec,
 * initiator_spec. */
extern const struct conf_table conf_file_table, conf_daemon_table, conf_portal_group_table, conf_portal_table,
    conf_target_table, conf_lun_table, conf_user_table, conf_initiator_table;

const struct conf_key *conf_table_find(const struct conf_table *table, const char *name, size_t name_length);
/* Sets every member that has a default; goes into groups. */
void conf_apply_defaults(const struct conf_table *table, void *object, struct target_arena *arena);

/* Sets a scalar (or STRINGS, separated by colons) from text.  0 or -EINVAL with `error`. */
int conf_assign(const struct conf_key *key, void *object, const char *text, struct target_arena *arena,
		char error[static CONF_ERROR_BYTES]);

#endif
