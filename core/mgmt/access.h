/* SPDX-License-Identifier: Apache-2.0
 *
 * What the requests about access rules and users share.
 */
#ifndef TGTKIT_MGMT_ACCESS_H
#define TGTKIT_MGMT_ACCESS_H

#include "mgmt/edits.h"
#include "mgmt/operation.h"

/* Starts `edit` on the target of the path, or on discovery; takes `body` over (NULL: it has been answered, nothing is
 * done). */
void mgmt_access_start(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path, json_t *body,
		       bool (*edit)(struct mgmt_operation *operation),
		       void (*answer)(struct mgmt_operation *operation));
/* In an edit: the target, which the API has made, and its part of the tree.  NULL: answered. */
const struct target_spec *mgmt_access_target(struct mgmt_operation *operation, config_setting_t **setting);
/* Who is asked for users: a target, or discovery. */
struct mgmt_access_owner {
	char name[300]; /* for messages: "target IQN" or "discovery" */
	const struct authentication_spec *authentication;
	config_setting_t *setting; /* in the tree */
};
/* In an edit: the owner, which may be changed.  false: answered. */
bool mgmt_access_owner(struct mgmt_operation *operation, struct mgmt_access_owner *owner);
/* In an answer: the owner's authentication as it is now. */
const struct authentication_spec *mgmt_access_authentication(const struct mgmt_operation *operation);
/* {"auth", "in_force", "users", "mutual"}, without any secret. */
json_t *mgmt_users_view(const struct authentication_spec *authentication);
/* In an answer: the target as it is now. */
const struct target_spec *mgmt_access_changed(const struct mgmt_operation *operation);
/* The query's values of the names (which end with NULL) that are there, as an object. */
json_t *mgmt_access_query(struct mgmt_request *request, const char *const *names);
/* The request's body, if it has no other keys than these.  NULL: answered. */
json_t *mgmt_access_body(struct mgmt_request *request, const char *const *names);
/* false: the object has another key than these (which end with NULL): answered by 422. */
bool mgmt_access_only(struct mgmt_request *request, const json_t *object, const char *const *names);

#endif
