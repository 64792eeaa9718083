/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may log in: users with their secrets, and the rules of access lists.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "rt/log.h"
#include "target/check.h"
#include "target/secret.h"

#define PLACE_BYTES 512

static void read_secret(struct user_spec *user, struct target_arena *arena, struct spec_problems *problems)
{
	uint8_t secret[ISCSI_CHAP_LARGEST_SECRET_BYTES];
	char error[TARGET_SECRET_ERROR_BYTES];
	int length = target_secret_read(user->secret_file, secret, error);

	if (length < 0) {
		spec_problem(problems, &user->origin, "secret_file", "%s: %s", user->secret_file, error);
		return;
	}
	user->secret = memcpy(target_arena_zalloc(arena, (size_t)length), secret, (size_t)length);
	user->secret_bytes = (size_t)length;
	explicit_bzero(secret, sizeof(secret));
}

/* The first that matches would win, and the other would never be asked. */
static void check_twice(const struct authentication_spec *authentication, size_t index, struct spec_problems *problems)
{
	const struct user_spec *user = &authentication->users[index];
	char place[PLACE_BYTES];

	for (size_t i = 0; i < index; i++) {
		const struct user_spec *other = &authentication->users[i];

		if (strcmp(other->user, user->user) || strcasecmp(other->initiator, user->initiator))
			continue;
		spec_origin_format(&other->origin, place, sizeof(place));
		spec_problem(problems, &user->origin, "user",
			     "user %s is given twice for the same initiators, first at %s", user->user, place);
	}
}

/* RFC 7143 9.2.1: whoever asks the target to prove itself must not get the answer to the target's own question. */
static void check_mutual(const struct authentication_spec *authentication, struct spec_problems *problems)
{
	const struct user_spec *mutual = &authentication->mutual;

	for (size_t i = 0; i < authentication->user_count && mutual->secret; i++) {
		const struct user_spec *user = &authentication->users[i];

		if (user->secret && user->secret_bytes == mutual->secret_bytes &&
		    !memcmp(user->secret, mutual->secret, mutual->secret_bytes))
			spec_problem(problems, &mutual->origin, "secret_file",
				     "has the secret of user %s: each direction needs a secret of its own", user->user);
	}
}

void target_check_authentication(struct authentication_spec *authentication, const char *owner,
				 struct target_arena *arena, struct spec_problems *problems)
{
	for (size_t i = 0; i < authentication->user_count; i++) {
		check_twice(authentication, i, problems);
		read_secret(&authentication->users[i], arena, problems);
	}
	if (authentication->mutual.user)
		read_secret(&authentication->mutual, arena, problems);
	check_mutual(authentication, problems);
	if (authentication->required && authentication->user_count == 0)
		rt_log(RT_LOG_WARNING, "%s: auth is chap and there are no users: nobody can log in", owner);
	if (!authentication->required && authentication->user_count > 0)
		rt_log(RT_LOG_WARNING, "%s: there are users and auth is none: nobody is asked who he is", owner);
}

static bool has_lun(const struct target_spec *target, uint16_t lun)
{
	for (size_t i = 0; i < target->lun_count; i++)
		if (target->luns[i].lun == lun)
			return true;
	return false;
}

void target_check_access(const struct target_spec *target, struct spec_problems *problems)
{
	for (size_t i = 0; i < target->initiator_count; i++) {
		const struct initiator_spec *rule = &target->initiators[i];

		for (size_t k = 0; k < rule->lun_count; k++)
			if (!has_lun(target, rule->luns[k]))
				spec_problem(problems, &rule->origin, "luns", "target %s has no LUN %u", target->name,
					     rule->luns[k]);
	}
	if (target->restricted && target->initiator_count == 0)
		rt_log_about(RT_ABOUT(.target = target->name), RT_LOG_WARNING,
			     "target %s: access is list and there are no initiators: nobody can log in", target->name);
	if (!target->restricted && target->initiator_count > 0)
		rt_log_about(RT_ABOUT(.target = target->name), RT_LOG_WARNING,
			     "target %s: there are initiators and access is any: everybody may use it", target->name);
}
