/* SPDX-License-Identifier: Apache-2.0 */
#include "config/load.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/readers.h"
#include "config/tree.h"
#include "target/address.h"
#include "target/state_folder.h"

void conf_init(struct target_configuration *configuration)
{
	conf_apply_defaults(&conf_file_table, configuration, &configuration->arena);
	configuration->daemon.origin.name = "daemon";
}

static bool is_readable_file(const char *file, const struct spec_origin *origin, struct spec_problems *problems)
{
	struct stat status;

	if (stat(file, &status) || access(file, R_OK))
		spec_problem(problems, origin, NULL, "cannot be read: %s", strerror(errno));
	else if (S_ISDIR(status.st_mode))
		spec_problem(problems, origin, NULL, "is a folder; a configuration file is needed");
	else
		return true;
	return false;
}

/* Group 1 on every address, as no portal group at all was given. */
static void add_default_group(struct target_configuration *configuration)
{
	static const char *const listen[] = {"[::]:" TARGET_DEFAULT_PORT, "0.0.0.0:" TARGET_DEFAULT_PORT};
	struct target_arena *arena = &configuration->arena;
	struct portal_group_spec *group = target_arena_zalloc(arena, sizeof(*group));

	group->origin.name = "the default portal group";
	group->tag = 1;
	group->portal_count = sizeof(listen) / sizeof(*listen);
	group->portals = target_arena_array(arena, group->portal_count, sizeof(*group->portals));
	for (size_t i = 0; i < group->portal_count; i++) {
		group->portals[i].origin.name = group->origin.name;
		group->portals[i].listen = listen[i];
	}
	configuration->groups = group;
	configuration->group_count = 1;
}

static void report_syntax(struct conf_reader *reader, const config_t *parsed)
{
	const char *file = conf_file_name(reader, config_error_file(parsed));
	const struct spec_origin place = {
	    .file = file ? file : reader->file,
	    .line = (unsigned)config_error_line(parsed),
	    .name = "",
	};

	spec_problem(reader->problems, &place, NULL, "%s", config_error_text(parsed));
}

void conf_read_file(const char *file, struct target_configuration *configuration, struct spec_problems *problems)
{
	struct conf_reader reader = {
	    .arena = &configuration->arena,
	    .problems = problems,
	    .file = file,
	    .include_dir = dirname(target_arena_strdup(&configuration->arena, file)),
	};
	const struct spec_origin whole = {.name = file};
	struct spec_origin root;
	config_t parsed;

	if (!is_readable_file(file, &whole, problems))
		return;
	config_init(&parsed);
	config_set_include_dir(&parsed, reader.include_dir);
	if (config_read_file(&parsed, file)) {
		conf_read_group(&reader, &conf_file_table, config_root_setting(&parsed), configuration, &root);
		if (!spec_origin_find(&root, "portal_groups"))
			add_default_group(configuration);
		configuration->text = conf_tree_text(&parsed, &configuration->arena);
	} else {
		report_syntax(&reader, &parsed);
	}
	config_destroy(&parsed);
}

void conf_read_text(const char *file, const char *text, struct target_configuration *configuration,
		    struct spec_problems *problems)
{
	struct conf_reader reader = {
	    .arena = &configuration->arena,
	    .problems = problems,
	    .file = target_arena_strdup(&configuration->arena, file),
	    .include_dir = dirname(target_arena_strdup(&configuration->arena, file)),
	};
	const struct spec_origin whole = {.file = reader.file, .name = ""};
	struct spec_origin root;
	config_t parsed;

	config_init(&parsed);
	if (!config_read_string(&parsed, text)) {
		const struct spec_origin place = {
		    .file = reader.file, .line = (unsigned)config_error_line(&parsed), .name = ""};

		spec_problem(problems, &place, NULL, "%s", config_error_text(&parsed));
	} else if (config_lookup(&parsed, "daemon")) {
		spec_problem(problems, &whole, NULL, "has discovery, portal_groups and targets only");
	} else {
		conf_read_group(&reader, &conf_file_table, config_root_setting(&parsed), configuration, &root);
		configuration->text = target_arena_strdup(&configuration->arena, text);
	}
	config_destroy(&parsed);
}

void conf_read_state(const char *state_dir, struct target_configuration *configuration, struct spec_problems *problems)
{
	struct target_arena *arena = &configuration->arena;
	const char *file = target_arena_printf(arena, "%s/%s", state_dir, TARGET_STATE_FILE);
	const struct spec_origin whole = {.name = file};
	config_t parsed;
	FILE *stream;

	if (!*state_dir)
		return;
	stream = fopen(file, "re");
	if (!stream && errno != ENOENT && errno != ENOTDIR)
		spec_problem(problems, &whole, NULL, "cannot be read: %s", strerror(errno));
	if (!stream)
		return;
	config_init(&parsed);
	if (config_read(&parsed, stream))
		conf_read_text(file, conf_tree_text(&parsed, arena), configuration, problems);
	else
		spec_problem(problems, &whole, NULL, "line %d: %s: restore the file from a backup, or remove it",
			     config_error_line(&parsed), config_error_text(&parsed));
	config_destroy(&parsed);
	fclose(stream);
}

/* "daemon.api.socket": through the groups down to the key and the object that holds it.  NULL: there is none. */
static const struct conf_key *find_setting(const char *name, size_t length, void **object,
					   struct target_configuration *configuration)
{
	static const char group[] = "daemon.";
	const struct conf_table *table = &conf_daemon_table;
	const char *end = name + length, *dot;
	const struct conf_key *key;

	if (strncmp(name, group, strlen(group)))
		return NULL;
	name += strlen(group);
	*object = &configuration->daemon;
	while ((dot = memchr(name, '.', (size_t)(end - name)))) {
		key = conf_table_find(table, name, (size_t)(dot - name));
		if (!key || key->type != CONF_GROUP)
			return NULL;
		*object = (char *)*object + key->offset;
		table = key->group;
		name = dot + 1;
	}
	return conf_table_find(table, name, (size_t)(end - name));
}

void conf_set(const char *setting, struct target_configuration *configuration, struct spec_problems *problems)
{
	const struct spec_origin origin = {.name = "--set"};
	const char *equals = strchr(setting, '=');
	const struct conf_key *key;
	char error[CONF_ERROR_BYTES];
	void *object = NULL;

	if (!equals) {
		spec_problem(problems, &origin, setting, "must be KEY=VALUE, for example daemon.workers=2");
		return;
	}
	key = find_setting(setting, (size_t)(equals - setting), &object, configuration);
	if (!key)
		spec_problem(problems, &origin, setting,
			     "unknown key; --set knows the keys of the daemon group "
			     "(daemon.workers, daemon.log_level, ...)");
	else if (conf_assign(key, object, equals + 1, &configuration->arena, error))
		spec_problem(problems, &origin, setting, "%s", error);
}
