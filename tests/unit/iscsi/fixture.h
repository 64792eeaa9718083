/* SPDX-License-Identifier: Apache-2.0
 *
 * A small directory, and an initiator that talks to one login.
 */
#ifndef TGTKIT_TESTS_UNIT_ISCSI_FIXTURE_H
#define TGTKIT_TESTS_UNIT_ISCSI_FIXTURE_H

#include <check.h>
#include <netinet/in.h>

#include "iscsi/directory.h"
#include "iscsi/login.h"

#define FIXTURE_INITIATOR "iqn.1993-08.org.debian:01:abc"
#define FIXTURE_TARGET	  "iqn.2026-11.org.example:disk1"
#define FIXTURE_OTHER	  "iqn.2026-11.org.example:disk2" /* on portal group 2 only */

/* As a target is configured by default, but with an alias; each test may change it. */
extern struct iscsi_target fixture_targets[2];
extern struct iscsi_portal fixture_portals[2];
extern struct iscsi_directory fixture_directory;
extern const struct iscsi_target_parameters fixture_parameters;

void fixture_setup(void); /* puts everything back */
void fixture_teardown(void);

struct sockaddr_storage fixture_address(const char *host, uint16_t port);

enum { SECURITY = 0, OPERATIONAL = 1, FULL_FEATURE = 3, STAY = -1 };

/* One request of the login under test; `text` has a line for every pair.  Returns the step; the response is kept. */
enum iscsi_login_step login_send(int current_stage, int next_stage, const char *text);
enum iscsi_login_step login_send_part(int current_stage, const char *text); /* the C bit is set */
enum iscsi_login_step login_send_bytes(const uint8_t *bhs, const void *data, size_t length);
void login_make_header(uint8_t bhs[static ISCSI_BHS_BYTES], int current_stage, int next_stage);
void login_restart(void); /* a new connection */

extern struct iscsi_login *fixture_login;
extern struct iscsi_login_response fixture_response;

int login_status(void);
bool login_is_granted(int next_stage);		    /* T=1 to this stage */
const char *login_answer(const char *key);	    /* of the newest response; NULL: not there */
unsigned login_answer_count(void);		    /* pairs in it */
const struct iscsi_parameters *login_outcome(void); /* accepts the session that is wanted */

/* A login of one request with the names and `text`. */
enum iscsi_login_step login_at_once(const char *text);

#define ck_assert_answer(key, value) ck_assert_pstr_eq(login_answer(key), value)
#define ck_assert_refused(step, status)                                                                                \
	do {                                                                                                           \
		ck_assert_int_eq(step, ISCSI_LOGIN_FAILED);                                                            \
		ck_assert_int_eq(login_status(), status);                                                              \
	} while (0)

#endif
