/* SPDX-License-Identifier: Apache-2.0
 *
 * The administrator's configuration and what the API made, as one.
 */
#include <string.h>
#include <strings.h>

#include "target/spec.h"

static const struct portal_group_spec *find_group(const struct portal_group_spec *groups, size_t count, uint16_t tag)
{
	for (size_t i = 0; i < count; i++)
		if (groups[i].tag == tag)
			return &groups[i];
	return NULL;
}

static const struct target_spec *find_target(const struct target_spec *targets, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

/* target_check writes into portals: each configuration has its own. */
static void copy_group(struct target_arena *arena, const struct portal_group_spec *from, struct portal_group_spec *to)
{
	*to = *from;
	to->portals = target_arena_array(arena, from->portal_count, sizeof(*to->portals));
	if (from->portal_count)
		memcpy(to->portals, from->portals, from->portal_count * sizeof(*to->portals));
}

static void copy_users(struct target_arena *arena, const struct authentication_spec *from,
		       struct authentication_spec *to)
{
	to->users = target_arena_array(arena, from->user_count, sizeof(*to->users));
	if (from->user_count)
		memcpy(to->users, from->users, from->user_count * sizeof(*to->users));
}

/* Likewise into LUNs, and into users, whose secrets are read anew. */
static void copy_target(struct target_arena *arena, const struct target_spec *from, struct target_spec *to)
{
	*to = *from;
	to->luns = target_arena_array(arena, from->lun_count, sizeof(*to->luns));
	if (from->lun_count)
		memcpy(to->luns, from->luns, from->lun_count * sizeof(*to->luns));
	copy_users(arena, &from->authentication, &to->authentication);
}

static void merge_groups(struct target_configuration *own, const struct target_configuration *base,
			 struct spec_problems *problems)
{
	struct portal_group_spec *made = own->groups;
	size_t made_count = own->group_count, count = 0;

	own->groups = target_arena_array(&own->arena, made_count + base->group_count, sizeof(*own->groups));
	for (size_t i = 0; i < base->group_count; i++) {
		const struct portal_group_spec *group = &base->groups[i];

		if (find_group(made, made_count, group->tag))
			spec_problem(problems, &group->origin, "tag",
				     "portal group %u was made through the API, which has it stay as it is; delete it "
				     "there first ('tgtkit tpgt delete %u')",
				     group->tag, group->tag);
		else
			copy_group(&own->arena, group, &own->groups[count++]);
	}
	for (size_t i = 0; i < made_count; i++) {
		own->groups[count] = made[i];
		own->groups[count++].made_by_api = true;
	}
	own->group_count = count;
}

static void merge_targets(struct target_configuration *own, const struct target_configuration *base,
			  struct spec_problems *problems)
{
	struct target_spec *made = own->targets;
	size_t made_count = own->target_count, count = 0;

	own->targets = target_arena_array(&own->arena, made_count + base->target_count, sizeof(*own->targets));
	for (size_t i = 0; i < base->target_count; i++) {
		const struct target_spec *target = &base->targets[i];

		if (find_target(made, made_count, target->name))
			spec_problem(problems, &target->origin, "name",
				     "target %s was made through the API, which has it stay as it is; delete it there "
				     "first ('tgtkit target delete %s')",
				     target->name, target->name);
		else
			copy_target(&own->arena, target, &own->targets[count++]);
	}
	for (size_t i = 0; i < made_count; i++) {
		own->targets[count] = made[i];
		own->targets[count++].made_by_api = true;
	}
	own->target_count = count;
}

static void merge_discovery(struct target_configuration *own, const struct target_configuration *base,
			    struct spec_problems *problems)
{
	if (!own->discovery.origin.name) {
		own->discovery = base->discovery;
		copy_users(&own->arena, &base->discovery.authentication, &own->discovery.authentication);
		return;
	}
	own->discovery.made_by_api = true;
	if (base->discovery.origin.name)
		spec_problem(problems, &base->discovery.origin, NULL,
			     "discovery was changed through the API, which has it stay as it is; take that back there "
			     "first ('tgtkit discovery set --auth none', 'tgtkit user delete discovery USER')");
}

void target_configuration_merge(struct target_configuration *own, struct target_configuration *base,
				struct spec_problems *problems)
{
	own->base = target_configuration_hold(base);
	own->daemon = base->daemon;
	merge_discovery(own, base, problems);
	merge_groups(own, base, problems);
	merge_targets(own, base, problems);
}
