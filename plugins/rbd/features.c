/* SPDX-License-Identifier: Apache-2.0
 *
 * The option `features`: names as the command rbd writes them.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include <rbd/librbd.h>

#include "features.h"

static const struct {
	const char *name;
	uint64_t bit;
} known[] = {
    {"layering", RBD_FEATURE_LAYERING},
    {"striping", RBD_FEATURE_STRIPINGV2},
    {"exclusive-lock", RBD_FEATURE_EXCLUSIVE_LOCK},
    {"object-map", RBD_FEATURE_OBJECT_MAP},
    {"fast-diff", RBD_FEATURE_FAST_DIFF},
    {"deep-flatten", RBD_FEATURE_DEEP_FLATTEN},
    {"journaling", RBD_FEATURE_JOURNALING},
};

static uint64_t bit_of(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == length && memcmp(known[i].name, name, length) == 0)
			return known[i].bit;
	return 0;
}

int crbd_features_read(const char *text, uint64_t *features, struct tgtkit_error *error)
{
	*features = 0;
	while (text != NULL && text[0] != '\0') {
		size_t length = strcspn(text, ",");
		uint64_t bit = bit_of(text, length);

		if (bit == 0)
			return crbd_fail(error, EINVAL,
					 "features: '%.*s' is not one of layering, striping, exclusive-lock, "
					 "object-map, fast-diff, deep-flatten, journaling",
					 (int)length, text);
		*features |= bit;
		text += length + (text[length] == ',');
	}
	if (*features != 0 && !(*features & RBD_FEATURE_EXCLUSIVE_LOCK))
		return crbd_fail(error, EINVAL,
				 "features: without exclusive-lock nothing keeps a second host from writing; add it");
	return 0;
}
