/* SPDX-License-Identifier: Apache-2.0
 *
 * The security negotiation stage, RFC 7143 section 12.
 */
#include <string.h>

#include "iscsi/login_private.h"

bool iscsi_login_begin_security(struct iscsi_login *login)
{
	login->security_settled = true;
	return true;
}

bool iscsi_login_take_security_key(struct iscsi_login *login, enum iscsi_key_id id, const char *value)
{
	static const char *const acceptable[] = {"None", NULL};
	const char *chosen;

	if (id != ISCSI_KEY_AUTH_METHOD)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "%s without AuthMethod=CHAP",
					iscsi_keys[id].name);
	chosen = iscsi_value_choose(value, acceptable);
	if (!chosen)
		iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
				 "AuthMethod=%s has nothing that the target accepts (None)", value);
	iscsi_text_add(&login->response, "AuthMethod", chosen ? chosen : "Reject");
	return chosen != NULL;
}

bool iscsi_login_end_security_text(struct iscsi_login *login, bool transit)
{
	(void)login;
	(void)transit;
	return true;
}
