/* SPDX-License-Identifier: Apache-2.0
 *
 * Units whose stores could not be opened and are there at last: they are published by a change of the model's own, to
 * the configuration that is in force.
 */
#include "rt/log.h"
#include "target/model_private.h"

static void came(struct target_unit *unit)
{
	struct target_model *model = unit->owner;

	model->has_arrivals = true;
	target_model_go_on(model);
}

void target_model_await(struct target_model *model, struct target_unit *unit)
{
	(void)model;
	target_unit_await(unit, came);
}

void target_model_serve_arrivals(struct target_model *model, struct target_unit *const *units, size_t count)
{
	char error[TARGET_ERROR_BYTES];

	for (size_t i = 0; i < count; i++) {
		if (!units[i]->arrived || units[i]->logical_unit)
			continue;
		if (target_model_serve_unit(model, units[i], units, count, error))
			target_unit_await_again(units[i], error);
	}
}

static void published(struct target_change *change)
{
	struct target_model *model = change->model;

	for (size_t i = 0; i < model->unit_count; i++) {
		struct target_unit *unit = model->units[i];

		if (!unit->arrived || !unit->logical_unit)
			continue;
		if (change->status) {
			target_unit_come_again(unit);
			continue;
		}
		target_unit_has_come(unit);
		rt_log(RT_LOG_INFO, "%s: its store is open now, %llu bytes: its LUNs are ready", unit->name,
		       (unsigned long long)store_size_bytes(unit->store));
	}
}

static void publish_arrivals(struct target_model *model)
{
	model->has_arrivals = false;
	model->arrival = (struct target_change){
	    .configuration = model->configuration,
	    .model = model,
	    .done = published,
	};
	target_change_start(&model->arrival);
}

void target_model_go_on(struct target_model *model)
{
	struct target_change *next = model->next_change;

	if (model->change || !model->is_serving)
		return;
	if (model->is_stopping) {
		if (model->stop_waits)
			target_model_stop_serving(model);
		return;
	}
	model->next_change = NULL;
	if (next)
		target_change_start(next);
	else if (model->has_arrivals)
		publish_arrivals(model);
}
