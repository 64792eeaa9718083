/* SPDX-License-Identifier: Apache-2.0 */
#include "target/alua.h"

#include <errno.h>
#include <stdlib.h>

#include "rt/log.h"
#include "target/model_private.h"

/* No tag is 0. */
#define NO_GROUP 0u

static const struct portal_group_spec *find_group(const struct target_configuration *configuration, uint16_t tag)
{
	for (size_t i = 0; i < configuration->group_count; i++)
		if (configuration->groups[i].tag == tag)
			return &configuration->groups[i];
	return NULL;
}

static struct target_alua_override *find_override(const struct target_model *model, uint16_t tag)
{
	for (size_t i = 0; i < model->override_count; i++)
		if (model->overrides[i].tag == tag)
			return &model->overrides[i];
	return NULL;
}

static void remove_override(struct target_model *model, struct target_alua_override *override)
{
	*override = model->overrides[--model->override_count];
}

enum scsi_port_group_state target_model_group_state(const struct target_model *model,
						    const struct portal_group_spec *group)
{
	const struct target_alua_override *override = find_override(model, group->tag);

	return override ? override->state : group->alua_state;
}

/* ---- What one unit is told -------------------------------------------------------------------------------------- */

struct builder {
	struct target_model *model;
	const struct target_configuration *next;
	const struct unit_spec *unit;
	uint16_t forced_tag; /* its state holds whatever an initiator has set */
	struct scsi_target_port *ports;
};

static bool maps(const struct target_spec *target, const struct unit_spec *unit)
{
	/* What most often is so, and spares a look at thousands of LUNs. */
	if (unit->target == target)
		return true;
	for (size_t i = 0; i < target->lun_count; i++)
		if (target->luns[i].unit == unit)
			return true;
	return false;
}

static bool has_group(const struct target_spec *target, uint16_t tag)
{
	for (size_t i = 0; i < target->group_tag_count; i++)
		if (target->group_tags[i] == tag)
			return true;
	return false;
}

/* The ports of the group, behind those that others have. */
static size_t add_ports(struct builder *builder, struct scsi_port_group *group)
{
	struct scsi_target_port *ports = builder->ports;

	for (size_t i = 0; i < builder->next->target_count; i++) {
		const struct target_spec *target = &builder->next->targets[i];
		struct scsi_target_port *port = &ports[group->port_count];

		if (!has_group(target, group->tag) || !maps(target, builder->unit))
			continue;
		port->target_name = target->name;
		/* It has been given: the snapshot needed it. */
		if (!target_ledger_port_id(&builder->model->ledger, target->name, group->tag, &port->relative_id))
			group->port_count++;
	}
	group->ports = ports;
	builder->ports += group->port_count;
	return group->port_count;
}

static bool is_as_before(const struct builder *builder, const struct portal_group_spec *group)
{
	const struct portal_group_spec *before = find_group(builder->model->configuration, group->tag);

	return before && before->alua_state == group->alua_state && group->tag != builder->forced_tag;
}

static void tell_unit(struct builder *builder, const struct target_unit *unit, struct scsi_port_group *groups)
{
	size_t count = 0;

	for (size_t i = 0; i < builder->next->group_count; i++) {
		const struct portal_group_spec *spec = &builder->next->groups[i];

		groups[count] = (struct scsi_port_group){
		    .tag = spec->tag,
		    .state = target_model_group_state(builder->model, spec),
		    .keep = is_as_before(builder, spec),
		};
		if (add_ports(builder, &groups[count]))
			count++;
	}
	if (scsi_logical_unit_set_port_groups(unit->logical_unit, groups, count))
		rt_log_about(RT_ABOUT(.unit = unit->name), RT_LOG_ERROR,
			     "%s: out of memory: its ALUA states stay what they were", unit->name);
}

static void tell_units(struct target_model *model, const struct target_configuration *next,
		       struct target_unit *const *units, uint16_t forced_tag)
{
	struct scsi_port_group *groups = calloc(next->group_count + 1, sizeof(*groups));
	size_t port_count = 0;
	struct scsi_target_port *ports;

	for (size_t i = 0; i < next->target_count; i++)
		port_count += next->targets[i].group_tag_count;
	ports = calloc(port_count + 1, sizeof(*ports));
	for (size_t i = 0; groups && ports && i < next->unit_count; i++) {
		struct builder builder = {
		    .model = model, .next = next, .unit = &next->units[i], .forced_tag = forced_tag, .ports = ports};

		if (units[i] && units[i]->logical_unit)
			tell_unit(&builder, units[i], groups);
	}
	if (!groups || !ports)
		rt_log(RT_LOG_ERROR, "out of memory: ALUA states stay what they were");
	free(groups);
	free(ports);
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

void target_alua_apply(struct target_model *model, const struct target_configuration *next,
		       struct target_unit *const *units)
{
	for (size_t i = model->override_count; i-- > 0;) {
		const struct portal_group_spec *before = find_group(model->configuration, model->overrides[i].tag);
		const struct portal_group_spec *after = find_group(next, model->overrides[i].tag);

		if (!before || !after || before->alua_state != after->alua_state)
			remove_override(model, &model->overrides[i]);
	}
	tell_units(model, next, units, NO_GROUP);
}

void target_alua_free(struct target_model *model)
{
	free(model->overrides);
}

int target_model_set_group_state(struct target_model *model, uint16_t tag, enum scsi_port_group_state state)
{
	const struct portal_group_spec *group = find_group(model->configuration, tag);
	struct target_alua_override *override = find_override(model, tag), *grown;

	if (!group)
		return -ENOENT;
	if (override)
		remove_override(model, override);
	if (state != group->alua_state) {
		grown = realloc(model->overrides, (model->override_count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		model->overrides = grown;
		grown[model->override_count++] = (struct target_alua_override){.tag = tag, .state = state};
	}
	tell_units(model, model->configuration, model->units, tag);
	return 0;
}
