/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/lun_map.h"

#include <stdlib.h>
#include <string.h>

struct scsi_lun_map *scsi_lun_map_create(const struct scsi_lun_mapping *mappings, size_t count,
					 void (*released)(struct scsi_lun_map *map))
{
	struct scsi_lun_map *map = malloc(sizeof(*map) + count * sizeof(map->mappings[0]));

	if (map == NULL)
		return NULL;
	atomic_init(&map->references, 1);
	map->released = released;
	map->count = count;
	if (count > 0)
		memcpy(map->mappings, mappings, count * sizeof(map->mappings[0]));
	return map;
}

struct scsi_lun_map *scsi_lun_map_hold(struct scsi_lun_map *map)
{
	atomic_fetch_add_explicit(&map->references, 1, memory_order_relaxed);
	return map;
}

void scsi_lun_map_drop(struct scsi_lun_map *map)
{
	if (atomic_fetch_sub_explicit(&map->references, 1, memory_order_acq_rel) != 1)
		return;
	if (map->released != NULL)
		map->released(map);
	else
		free(map);
}

const struct scsi_lun_mapping *scsi_lun_map_find(const struct scsi_lun_map *map, uint16_t lun)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->mappings[middle].lun < lun)
			low = middle + 1;
		else
			high = middle;
	}
	return low < map->count && map->mappings[low].lun == lun ? &map->mappings[low] : NULL;
}

bool scsi_lun_map_awaits(const struct scsi_lun_map *map, uint16_t lun)
{
	const struct scsi_lun_mapping *mapping = scsi_lun_map_find(map, lun);

	return mapping != NULL && mapping->unit == NULL;
}

/* SAM-5 4.7.7: address method in the two highest bits of the first byte. */
enum { METHOD_PERIPHERAL = 0, METHOD_FLAT = 1, METHOD_EXTENDED = 3 };

enum scsi_lun_kind scsi_lun_decode(const uint8_t field[static 8], uint16_t *lun)
{
	static const uint8_t lower_levels[6];

	if (memcmp(field + 2, lower_levels, sizeof(lower_levels)) != 0)
		return SCSI_LUN_INVALID;
	switch (field[0] >> 6) {
	case METHOD_PERIPHERAL:
		if (field[0] != 0)
			return SCSI_LUN_INVALID; /* another bus */
		*lun = field[1];
		return SCSI_LUN_NUMBER;
	case METHOD_FLAT:
		*lun = (uint16_t)((field[0] & 0x3f) << 8 | field[1]);
		return SCSI_LUN_NUMBER;
	case METHOD_EXTENDED:
		return field[0] == 0xc1 && field[1] == 0x01 ? SCSI_LUN_REPORT_LUNS : SCSI_LUN_INVALID;
	default:
		return SCSI_LUN_INVALID;
	}
}

void scsi_lun_encode(uint16_t lun, uint8_t field[static 8])
{
	memset(field, 0, 8);
	if (lun >= 256)
		field[0] = (uint8_t)(METHOD_FLAT << 6 | (lun >> 8 & 0x3f));
	field[1] = (uint8_t)lun;
}
