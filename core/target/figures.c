/* SPDX-License-Identifier: Apache-2.0 */
#include "target/figures.h"

#include "rt/worker.h"
#include "target/model_private.h"

#define MOST_WORKERS 256u
#define MOST_PLUGINS 256u

/* Of units that have gone. */
static struct scsi_figures workers[MOST_WORKERS], plugins[MOST_PLUGINS];

static void add_worker(const struct target_unit *unit, unsigned worker, struct scsi_figures *sum)
{
	if (unit->logical_unit)
		scsi_logical_unit_add_figures(unit->logical_unit, worker, sum);
}

static void add_all_workers(const struct target_unit *unit, struct scsi_figures *sum)
{
	for (unsigned worker = 0; worker < rt_workers_count(); worker++)
		add_worker(unit, worker, sum);
}

void target_figures_keep(const struct target_unit *unit)
{
	for (unsigned worker = 0; worker < rt_workers_count() && worker < MOST_WORKERS; worker++)
		add_worker(unit, worker, &workers[worker]);
	if (unit->plugin_index < MOST_PLUGINS)
		add_all_workers(unit, &plugins[unit->plugin_index]);
}

void target_figures_of_worker(const struct target_model *model, unsigned worker, struct scsi_figures *sum)
{
	if (worker < MOST_WORKERS)
		scsi_figures_sum(&workers[worker], sum);
	for (size_t i = 0; i < model->unit_count; i++)
		add_worker(model->units[i], worker, sum);
	RT_LIST_FOR_EACH (node, &model->retiring) {
		add_worker(RT_CONTAINER_OF(node, struct target_unit, in_retiring), worker, sum);
	}
}

void target_figures_of_plugin(const struct target_model *model, const struct store_plugin *plugin,
			      struct scsi_figures *sum)
{
	if (plugin->index < MOST_PLUGINS)
		scsi_figures_sum(&plugins[plugin->index], sum);
	for (size_t i = 0; i < model->unit_count; i++)
		if (model->units[i]->plugin_index == plugin->index)
			add_all_workers(model->units[i], sum);
	RT_LIST_FOR_EACH (node, &model->retiring) {
		const struct target_unit *unit = RT_CONTAINER_OF(node, struct target_unit, in_retiring);

		if (unit->plugin_index == plugin->index)
			add_all_workers(unit, sum);
	}
}
