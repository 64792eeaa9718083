/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "target/snapshot_private.h"

static struct iscsi_account copy_account(struct target_arena *arena, const struct user_spec *spec)
{
	uint8_t *secret = target_arena_zalloc(arena, spec->secret_bytes);

	return (struct iscsi_account){
	    .name = target_arena_strdup(arena, spec->user),
	    .secret = memcpy(secret, spec->secret, spec->secret_bytes),
	    .secret_bytes = spec->secret_bytes,
	};
}

void snapshot_copy_authentication(struct target_arena *arena, const struct authentication_spec *spec,
				  struct iscsi_authentication *authentication)
{
	struct iscsi_user *users = target_arena_array(arena, spec->user_count, sizeof(*users));
	enum iscsi_chap_algorithm *algorithms = target_arena_array(arena, SPEC_CHAP_ALGORITHMS, sizeof(*algorithms));

	for (size_t i = 0; i < spec->user_count; i++)
		users[i] = (struct iscsi_user){
		    .account = copy_account(arena, &spec->users[i]),
		    .initiator = target_arena_strdup(arena, spec->users[i].initiator),
		};
	memcpy(algorithms, spec->algorithms, sizeof(spec->algorithms));
	*authentication = (struct iscsi_authentication){
	    .required = spec->required,
	    .users = users,
	    .user_count = spec->user_count,
	    .algorithms = algorithms,
	    .algorithm_count = spec->algorithm_count,
	};
	if (spec->mutual.user)
		authentication->mutual = copy_account(arena, &spec->mutual);
}

static bool shows(const struct initiator_spec *rule, uint16_t lun)
{
	for (size_t i = 0; i < rule->lun_count; i++)
		if (rule->luns[i] == lun)
			return true;
	return !rule->only_luns;
}

static struct scsi_lun_map *masked_map(struct target_arena *arena, const struct initiator_spec *rule,
				       struct scsi_lun_map *whole)
{
	struct scsi_lun_mapping *mappings = target_arena_array(arena, whole->count, sizeof(*mappings));
	size_t count = 0;

	if (!rule->only_luns && !rule->read_only)
		return scsi_lun_map_hold(whole);
	for (size_t i = 0; i < whole->count; i++) {
		if (!shows(rule, whole->mappings[i].lun))
			continue;
		mappings[count] = whole->mappings[i];
		mappings[count++].read_only |= rule->read_only;
	}
	return target_unit_map_mask(whole, mappings, count);
}

int snapshot_copy_rules(struct target_arena *arena, const struct target_spec *spec, struct iscsi_target *target)
{
	struct iscsi_access_rule *rules = target_arena_array(arena, spec->initiator_count, sizeof(*rules));

	target->restricted = spec->restricted;
	target->rules = rules;
	for (size_t i = 0; i < spec->initiator_count; i++) {
		struct scsi_lun_map *map = masked_map(arena, &spec->initiators[i], target->lun_map);

		if (!map)
			return -ENOMEM;
		rules[i] = (struct iscsi_access_rule){
		    .initiator = target_arena_strdup(arena, spec->initiators[i].name),
		    .address = spec->initiators[i].address,
		    .lun_map = map,
		};
		target->rule_count++;
	}
	return 0;
}

void snapshot_drop_maps(const struct iscsi_target *target)
{
	if (target->lun_map)
		scsi_lun_map_drop(target->lun_map);
	for (size_t i = 0; i < target->rule_count; i++)
		scsi_lun_map_drop(target->rules[i].lun_map);
}
