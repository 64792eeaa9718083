/* SPDX-License-Identifier: Apache-2.0
 *
 * A LUN that goes, and the access rules that name it.
 */
#include "mgmt/answer.h"
#include "mgmt/edits.h"

static size_t count_named(const struct initiator_spec *rule, uint16_t lun)
{
	size_t count = 0;

	for (size_t i = 0; i < rule->lun_count; i++)
		count += rule->luns[i] == lun;
	return count;
}

/* A rule without any LUN would be none, and a later one, which may give more, would decide instead. */
static bool refuse(struct mgmt_operation *operation, const struct target_spec *target, uint16_t lun,
		   const struct initiator_spec *rule, bool is_only_lun)
{
	if (operation->force && !is_only_lun)
		return false;
	mgmt_answer_error(operation->request, 409, "in_use",
			  "the rule of target %s for initiator %s %s LUN %u; change the rule ('tgtkit initiator allow "
			  "--replace') or delete it ('tgtkit initiator deny') first%s",
			  target->name, rule->name, is_only_lun ? "gives nothing but" : "names", lun,
			  is_only_lun ? ""
				      : ", or force it (--force, ?force=true), which takes the LUN out of the rule");
	return true;
}

static void take_out(config_setting_t *luns, uint16_t lun)
{
	for (int i = luns ? config_setting_length(luns) : 0; i-- > 0;)
		if (config_setting_get_int64_elem(luns, i) == lun)
			config_setting_remove_elem(luns, (unsigned)i);
}

bool mgmt_masks_forget(struct mgmt_operation *operation, const struct target_spec *target, config_setting_t *setting,
		       uint16_t lun)
{
	config_setting_t *rules = config_setting_get_member(setting, "initiators");

	for (size_t i = 0; rules && i < target->initiator_count; i++) {
		const struct initiator_spec *rule = &target->initiators[i];
		size_t named = count_named(rule, lun);

		if (!named)
			continue;
		if (refuse(operation, target, lun, rule, named == rule->lun_count))
			return false;
		take_out(config_setting_get_member(config_setting_get_elem(rules, (unsigned)i), "luns"), lun);
	}
	return true;
}
