/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may log in to a target or ask for targets by CHAP, and who is answering (mutual).  No secret is ever answered.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/state.h"
#include "config/tree.h"
#include "mgmt/access.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/routes.h"

/* `in_force`: false where auth is none, so that nobody is asked who he is. */
json_t *mgmt_users_view(const struct authentication_spec *authentication)
{
	json_t *list = json_array(), *view;

	for (size_t i = 0; i < authentication->user_count; i++)
		json_array_append_new(list, json_pack("{ssss}", "user", authentication->users[i].user, "initiator",
						      authentication->users[i].initiator));
	view = json_pack("{sssbso}", "auth", authentication->required ? "chap" : "none", "in_force",
			 (int)authentication->required, "users", list);
	if (view && authentication->mutual.user)
		json_object_set_new(view, "mutual", json_pack("{ss}", "user", authentication->mutual.user));
	return view;
}

void mgmt_get_users(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_spec *target;

	if (!strcmp(path->parts[1], "discovery")) {
		mgmt_answer_json(request, 200,
				 mgmt_users_view(&target_model_configuration(mgmt->model)->discovery.authentication));
		return;
	}
	target = mgmt_find_target(mgmt, request, path->parts[2]);
	if (target)
		mgmt_answer_json(request, 200, mgmt_users_view(&target->authentication));
}

static void answer_made(struct mgmt_operation *operation)
{
	mgmt_answer_json(operation->request, 201, mgmt_users_view(mgmt_access_authentication(operation)));
}

static void answer_deleted(struct mgmt_operation *operation)
{
	mgmt_answer_json(operation->request, 200, mgmt_users_view(mgmt_access_authentication(operation)));
}

/* The text of a key that may be left away.  false: answered. */
static bool read_text(struct mgmt_operation *operation, const char *key, const char **text)
{
	json_t *value = json_object_get(operation->body, key);

	*text = json_string_value(value);
	if (!value || (*text && **text))
		return true;
	mgmt_answer_error(operation->request, 422, "invalid", "%s must be a string that is not empty", key);
	return false;
}

static bool read_user(struct mgmt_operation *operation, const char **user, const char **initiator)
{
	if (!read_text(operation, "user", user) || !read_text(operation, "initiator", initiator))
		return false;
	if (*user)
		return true;
	mgmt_answer_error(operation->request, 422, "invalid", "user is missing: the name that is sent in CHAP_N");
	return false;
}

/* ---- Add -------------------------------------------------------------------------------------------------------- */

static bool refuse_if_there(struct mgmt_operation *operation, const struct mgmt_access_owner *owner, const char *user,
			    const char *initiator)
{
	const struct authentication_spec *authentication = owner->authentication;

	for (size_t i = 0; i < authentication->user_count; i++) {
		const struct user_spec *other = &authentication->users[i];

		if (strcmp(other->user, user) || strcasecmp(other->initiator, initiator ? initiator : "*"))
			continue;
		mgmt_answer_error(operation->request, 409, "exists",
				  "%s has a user %s for initiators %s already; delete it first", owner->name, user,
				  other->initiator);
		return true;
	}
	return false;
}

static bool refuse_if_mutual(struct mgmt_operation *operation, const struct mgmt_access_owner *owner)
{
	const char *user = owner->authentication->mutual.user;

	if (user)
		mgmt_answer_error(operation->request, 409, "exists",
				  "%s proves itself as %s already; delete that first ('tgtkit user delete --mutual')",
				  owner->name, user);
	return user != NULL;
}

/* Either spelling, and not both. */
static bool check_secret(struct mgmt_operation *operation)
{
	bool has_secret = json_object_get(operation->body, "secret");
	bool has_file = json_object_get(operation->body, "secret_file");

	if (has_secret != has_file)
		return true;
	mgmt_answer_error(operation->request, 422, "invalid",
			  "one of secret (12 to 255 bytes; 0x... or base64:... for any) and secret_file is needed");
	return false;
}

/* Takes "mutual" out of the body.  -1: answered. */
static int take_mutual(struct mgmt_operation *operation)
{
	json_t *given = json_object_get(operation->body, "mutual");
	bool mutual = json_is_true(given);

	if (given && !json_is_boolean(given)) {
		mgmt_answer_error(operation->request, 422, "invalid", "mutual must be true or false");
		return -1;
	}
	json_object_del(operation->body, "mutual");
	return mutual;
}

static bool edit_add(struct mgmt_operation *operation)
{
	char error[MGMT_CONVERT_ERROR_BYTES] = "out of memory";
	config_setting_t *added = NULL;
	struct mgmt_access_owner owner;
	const char *user, *initiator;
	int mutual;

	if (!mgmt_access_owner(operation, &owner) || !read_user(operation, &user, &initiator) ||
	    !check_secret(operation) || (mutual = take_mutual(operation)) < 0)
		return false;
	if (mutual ? refuse_if_mutual(operation, &owner) : refuse_if_there(operation, &owner, user, initiator))
		return false;
	if (mutual)
		added = mgmt_json_to_setting(owner.setting, "mutual", operation->body, error);
	else if (conf_tree_list(owner.setting, "users"))
		added = mgmt_json_to_setting(conf_tree_list(owner.setting, "users"), NULL, operation->body, error);
	if (!added)
		mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
	return added;
}

void mgmt_add_user(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	mgmt_access_start(mgmt, request, path, mgmt_body(request), edit_add, answer_made);
}

/* ---- Delete ----------------------------------------------------------------------------------------------------- */

static bool delete_mutual(struct mgmt_operation *operation, const struct mgmt_access_owner *owner, const char *user)
{
	const char *known = owner->authentication->mutual.user;

	if (known && !strcmp(known, user))
		return config_setting_remove(owner->setting, "mutual");
	mgmt_answer_error(operation->request, 404, "not_found", "%s does not prove itself as %s", owner->name, user);
	return false;
}

/* The one of that name, and for these initiators if that is said.  -1: answered. */
static int find_user(struct mgmt_operation *operation, const struct mgmt_access_owner *owner, const char *user,
		     const char *initiator)
{
	const struct authentication_spec *authentication = owner->authentication;
	int found = -1;
	unsigned count = 0;

	for (size_t i = 0; i < authentication->user_count; i++) {
		const struct user_spec *other = &authentication->users[i];

		if (strcmp(other->user, user) || (initiator && strcasecmp(other->initiator, initiator)))
			continue;
		found = (int)i;
		count++;
	}
	if (count == 0)
		mgmt_answer_error(operation->request, 404, "not_found", "%s has no user %s%s%s; see 'tgtkit user list'",
				  owner->name, user, initiator ? " for initiators " : "", initiator ? initiator : "");
	else if (count > 1)
		mgmt_answer_error(operation->request, 409, "ambiguous",
				  "%s has %u users %s; say for which initiators (--initiator, ?initiator=)",
				  owner->name, count, user);
	return count == 1 ? found : -1;
}

static bool remove_user(struct mgmt_operation *operation)
{
	const char *mutual = json_string_value(json_object_get(operation->body, "mutual"));
	struct mgmt_access_owner owner;
	const char *user, *initiator;
	int index;

	if (!mgmt_access_owner(operation, &owner) || !read_user(operation, &user, &initiator))
		return false;
	if (mutual && (!*mutual || !strcmp(mutual, "true")))
		return delete_mutual(operation, &owner, user);
	index = find_user(operation, &owner, user, initiator);
	if (index < 0)
		return false;
	config_setting_remove_elem(config_setting_get_member(owner.setting, "users"), (unsigned)index);
	return true;
}

static bool edit_delete(struct mgmt_operation *operation)
{
	if (!remove_user(operation))
		return false;
	if (operation->of_discovery)
		conf_state_tidy_discovery(&operation->tree);
	return true;
}

void mgmt_delete_user(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	static const char *const names[] = {"user", "initiator", "mutual", NULL};

	mgmt_access_start(mgmt, request, path, mgmt_access_query(request, names), edit_delete, answer_deleted);
}
