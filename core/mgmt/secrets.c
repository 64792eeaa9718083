/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/tree.h"
#include "store/plugins.h"
#include "target/secret.h"

struct mover {
	const struct target_state_folder *folder;
	struct spec_problems *problems;
	int status;
};

/* `owner` is a target's name, or "discovery". */
static void report(struct mover *mover, const char *owner, const char *key, const char *message)
{
	const struct spec_origin origin = {.name = owner};

	spec_problem(mover->problems, &origin, key, "%s", message);
}

/* The value of `setting` goes into a file, whose name is set in `to` under `key`. */
static void move_value(struct mover *mover, const char *owner, const char *value, config_setting_t *to, const char *key)
{
	char path[PATH_MAX], error[TARGET_ERROR_BYTES];
	config_setting_t *file;

	if (!mover->folder) {
		report(mover, owner, key,
		       "daemon.state_dir is \"\", so there is no place to keep a secret in; give the name of a file");
		return;
	}
	if (mover->status)
		return;
	if (target_secrets_keep(mover->folder, value, path, error)) {
		report(mover, owner, key, error);
		mover->status = -EIO;
		return;
	}
	file = config_setting_add(to, key, CONFIG_TYPE_STRING);
	if (!file || !config_setting_set_string(file, path))
		report(mover, owner, key, "is given as a file, too");
}

/* ---- CHAP ------------------------------------------------------------------------------------------------------- */

static void move_user(struct mover *mover, const char *owner, config_setting_t *user)
{
	config_setting_t *secret = config_setting_is_group(user) ? config_setting_get_member(user, "secret") : NULL;
	char error[TARGET_SECRET_ERROR_BYTES];
	const char *value;

	if (!secret)
		return;
	value = config_setting_get_string(secret);
	if (!value)
		report(mover, owner, "secret", "must be a string");
	else if (target_secret_check(value, error))
		report(mover, owner, "secret", error);
	else
		move_value(mover, owner, value, user, "secret_file");
	config_setting_remove(user, "secret");
}

/* ---- Options of plugins ----------------------------------------------------------------------------------------- */

/* NULL: the check of the whole will find out. */
static const struct store_plugin *plugin_of(const config_setting_t *lun)
{
	const char *path = NULL, *backend = "", *plugin_path;
	const struct store_plugin *plugin;
	char error[STORE_ERROR_BYTES];

	config_setting_lookup_string(lun, "path", &path);
	config_setting_lookup_string(lun, "backend", &backend);
	if (!path || store_plugins_resolve(path, *backend ? backend : NULL, &plugin, &plugin_path, error))
		return NULL;
	return plugin;
}

static config_setting_t *group_in(config_setting_t *owner, const char *name)
{
	config_setting_t *group = config_setting_get_member(owner, name);

	return group ? group : config_setting_add(owner, name, CONFIG_TYPE_GROUP);
}

static void move_option(struct mover *mover, const char *owner, config_setting_t *lun, config_setting_t *option)
{
	const char *value = config_setting_get_string(option), *key = config_setting_name(option);
	config_setting_t *files = group_in(lun, "option_files");

	if (!value || !*value)
		report(mover, owner, key, "is a secret and must be a string that is not empty");
	else if (!files || !config_setting_is_group(files))
		report(mover, owner, "option_files", "must be a group");
	else
		move_value(mover, owner, value, files, key);
}

static void move_options(struct mover *mover, const char *owner, config_setting_t *lun)
{
	config_setting_t *options = config_setting_is_group(lun) ? config_setting_get_member(lun, "options") : NULL;
	const struct store_plugin *plugin = options && config_setting_is_group(options) ? plugin_of(lun) : NULL;

	for (int i = plugin ? config_setting_length(options) : 0; i-- > 0;) {
		config_setting_t *option = config_setting_get_elem(options, (unsigned)i);

		if (!store_option_is_secret(plugin, config_setting_name(option)))
			continue;
		move_option(mover, owner, lun, option);
		config_setting_remove_elem(options, (unsigned)i);
	}
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static void for_each(struct mover *mover, const char *owner, config_setting_t *list,
		     void (*visit)(struct mover *mover, const char *owner, config_setting_t *element))
{
	for (int i = 0; list && config_setting_is_aggregate(list) && i < config_setting_length(list); i++)
		visit(mover, owner, config_setting_get_elem(list, (unsigned)i));
}

static void move_target(struct mover *mover, const char *owner, config_setting_t *target)
{
	const char *name = owner;
	config_setting_t *mutual;

	if (!config_setting_is_group(target))
		return;
	config_setting_lookup_string(target, "name", &name);
	mutual = config_setting_get_member(target, "mutual");
	if (mutual)
		move_user(mover, name, mutual);
	for_each(mover, name, config_setting_get_member(target, "users"), move_user);
	for_each(mover, name, config_setting_get_member(target, "luns"), move_options);
}

static void move_discovery(struct mover *mover, config_setting_t *discovery)
{
	config_setting_t *mutual = discovery ? config_setting_get_member(discovery, "mutual") : NULL;

	if (!discovery)
		return;
	if (mutual)
		move_user(mover, "discovery", mutual);
	for_each(mover, "discovery", config_setting_get_member(discovery, "users"), move_user);
}

int mgmt_secrets_move(config_t *tree, const struct target_state_folder *folder, struct spec_problems *problems)
{
	struct mover mover = {.folder = folder, .problems = problems};

	move_discovery(&mover, config_lookup(tree, "discovery"));
	for_each(&mover, "a target", config_lookup(tree, "targets"), move_target);
	return mover.status;
}
