/* SPDX-License-Identifier: Apache-2.0
 *
 * The path: [POOL/[NAMESPACE/]]IMAGE[@SNAPSHOT], as the command rbd takes it.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"

#define DEFAULT_POOL "rbd"

/* Cuts `text` at the first slash: what is before it, or NULL if there is none. */
static char *take_part(char **text)
{
	char *part = *text, *slash = strchr(part, '/');

	if (slash == NULL)
		return NULL;
	*slash = '\0';
	*text = slash + 1;
	return part;
}

/* Cuts the snapshot off the end. */
static char *take_snapshot(char *text)
{
	char *at = strrchr(text, '@');

	if (at == NULL)
		return NULL;
	*at = '\0';
	return at + 1;
}

static bool is_name(const char *part)
{
	return part[0] != '\0' && strchr(part, '/') == NULL && strchr(part, '@') == NULL;
}

int crbd_path_read(struct crbd_settings *settings, const char *path, struct tgtkit_error *error)
{
	char *copy = strdup(path), *rest = copy, *pool, *name_space, *snapshot;
	int status = 0;

	if (copy == NULL)
		return crbd_fail(error, ENOMEM, "out of memory");
	snapshot = take_snapshot(copy);
	pool = take_part(&rest);
	name_space = pool != NULL ? take_part(&rest) : NULL;
	if ((pool != NULL && !is_name(pool)) || (name_space != NULL && !is_name(name_space)) || !is_name(rest) ||
	    (snapshot != NULL && !is_name(snapshot))) {
		status = crbd_fail(error, EINVAL, "'%s' is no image: write [POOL/[NAMESPACE/]]IMAGE[@SNAPSHOT]", path);
	} else {
		settings->pool = strdup(pool != NULL ? pool : DEFAULT_POOL);
		settings->name_space = strdup(name_space != NULL ? name_space : "");
		settings->image = strdup(rest);
		settings->snapshot = snapshot != NULL ? strdup(snapshot) : NULL;
		if (!settings->pool || !settings->name_space || !settings->image || (snapshot && !settings->snapshot))
			status = crbd_fail(error, ENOMEM, "out of memory");
	}
	free(copy);
	return status;
}
