/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be closed before a configuration can take the place of another one.
 */
#include <string.h>

#include "target/address.h"
#include "target/change_private.h"
#include "target/reduce.h"

/* Marks the units that are in both, and cannot become what the wanted one says while they are open. */
static bool find_changed(const struct target_model *model, const struct target_configuration *wanted, bool *changed)
{
	bool any = false;

	for (size_t i = 0; i < wanted->unit_count; i++) {
		const struct target_unit *unit = target_change_find_unit(model, &wanted->units[i]);

		if (!unit || !target_change_difference(unit, &wanted->units[i]))
			continue;
		changed[unit->spec - model->configuration->units] = true;
		any = true;
	}
	return any;
}

static const struct portal_group_spec *find_portal(const struct target_configuration *in,
						   const struct portal_spec *portal)
{
	for (size_t i = 0; i < in->group_count; i++)
		for (size_t k = 0; k < in->groups[i].portal_count; k++)
			if (target_address_equal(&in->groups[i].portals[k].address, &portal->address))
				return &in->groups[i];
	return NULL;
}

/* An address can be listened on once: portals that move to another group have to leave their own first. */
static bool remove_moved_portals(struct target_configuration *configuration, const struct target_configuration *wanted)
{
	bool moved = false;

	for (size_t i = 0; i < configuration->group_count; i++) {
		struct portal_group_spec *group = &configuration->groups[i];
		size_t count = 0;

		for (size_t k = 0; k < group->portal_count; k++) {
			const struct portal_group_spec *other = find_portal(wanted, &group->portals[k]);

			if (!other || other->tag == group->tag)
				group->portals[count++] = group->portals[k];
		}
		moved |= count != group->portal_count;
		group->portal_count = count;
	}
	return moved;
}

struct target_configuration *target_model_between(const struct target_model *model,
						  const struct target_configuration *wanted)
{
	struct target_configuration *between = target_configuration_copy(model->configuration);
	bool *gone = target_arena_array(&between->arena, between->unit_count, sizeof(*gone));
	bool moved = remove_moved_portals(between, wanted);

	if (find_changed(model, wanted, gone) || moved) {
		target_configuration_remove_units(between, gone);
		return between;
	}
	target_configuration_drop(between);
	return NULL;
}
