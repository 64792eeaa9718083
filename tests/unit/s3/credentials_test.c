/* SPDX-License-Identifier: Apache-2.0
 *
 * Each source of credentials, and their order.  Services are played by tests/lib/credential_service.py.
 */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "s3/credentials.h"
#include "unit/runner.h"

static char folder[64], service[64];

static void run_service(int output)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(output, STDOUT_FILENO);
	execlp(TEST_PYTHON, TEST_PYTHON, TEST_LIB "/credential_service.py", (char *)NULL);
	_exit(127);
}

static void start_service(void)
{
	char port[16] = "";
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	if (fork() == 0)
		run_service(ends[1]);
	close(ends[1]);
	ck_assert_int_gt(read(ends[0], port, sizeof(port) - 1), 0);
	snprintf(service, sizeof(service), "http://127.0.0.1:%d", atoi(port));
}

/* An environment without any source. */
static void set_up(void)
{
	static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
						"AWS_SECRET_ACCESS_KEY",
						"AWS_SESSION_TOKEN",
						"AWS_PROFILE",
						"AWS_WEB_IDENTITY_TOKEN_FILE",
						"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
						"AWS_CONTAINER_CREDENTIALS_FULL_URI",
						"AWS_REGION",
						"AWS_DEFAULT_REGION",
						"AWS_EC2_METADATA_SERVICE_ENDPOINT"};

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	strcpy(folder, "/tmp/tgtkit-credentials-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	setenv("HOME", folder, 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
	setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static void tear_down(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static const char *make_file(const char *name, const char *content)
{
	static char path[4][128];
	static unsigned next;
	char *mine = path[next++ % 4];
	FILE *file;

	snprintf(mine, sizeof(path[0]), "%s/%s", folder, name);
	file = fopen(mine, "w");
	ck_assert_ptr_nonnull(file);
	fputs(content, file);
	fclose(file);
	return mine;
}

static void assert_found(const struct s3_settings *settings, const char *access_key, const char *secret_key,
			 const char *session_token, bool expires)
{
	struct s3_credentials *credentials;
	struct tgtkit_error error = {.message = ""};

	ck_assert_msg(s3_credentials_find(settings, &credentials, &error) == 0, "%s", error.message);
	ck_assert_str_eq(credentials->access_key, access_key);
	ck_assert_str_eq(credentials->secret_key, secret_key);
	ck_assert_pstr_eq(credentials->session_token, session_token);
	ck_assert_int_eq(credentials->expires_at_s != 0, expires);
	s3_credentials_release(credentials);
}

START_TEST(options_go_first)
{
	struct s3_settings settings = {.access_key = (char *)(uintptr_t) "option-key"};

	setenv("AWS_ACCESS_KEY_ID", "environment-key", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "environment-secret", 1);
	settings.secret_key_file = (char *)(uintptr_t)make_file("secret", "option secret/+\n");
	settings.session_token_file = (char *)(uintptr_t)make_file("token", "option-token");
	assert_found(&settings, "option-key", "option secret/+", "option-token", false);
}
END_TEST

START_TEST(the_environment_goes_before_the_shared_files)
{
	const struct s3_settings settings = {0};

	setenv("AWS_SHARED_CREDENTIALS_FILE",
	       make_file("credentials", "[default]\naws_access_key_id=f\naws_secret_access_key=g\n"), 1);
	setenv("AWS_ACCESS_KEY_ID", "environment-key", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "environment-secret", 1);
	setenv("AWS_SESSION_TOKEN", "environment-token", 1);
	assert_found(&settings, "environment-key", "environment-secret", "environment-token", false);
}
END_TEST

START_TEST(profiles_of_the_shared_files)
{
	struct s3_settings settings = {0};

	setenv("AWS_SHARED_CREDENTIALS_FILE",
	       make_file("credentials",
			 "[default]\naws_access_key_id=d\naws_secret_access_key=e\n"
			 "[two]\naws_access_key_id = k2\naws_secret_access_key = s2\naws_session_token = t2\n"),
	       1);
	setenv("AWS_CONFIG_FILE",
	       make_file("config", "[default]\nregion = eu-1\n[profile three]\naws_access_key_id=k3\n"
				   "aws_secret_access_key=s3\nregion=eu-3\n"),
	       1);
	assert_found(&settings, "d", "e", NULL, false);
	settings.profile = (char *)(uintptr_t) "two";
	assert_found(&settings, "k2", "s2", "t2", false);
	settings.profile = (char *)(uintptr_t) "three";
	assert_found(&settings, "k3", "s3", NULL, false);
	ck_assert_int_eq(s3_region_find(&settings), 0);
	ck_assert_str_eq(settings.region, "eu-3");
	free(settings.region);
}
END_TEST

START_TEST(a_web_identity_is_exchanged)
{
	const struct s3_settings settings = {.region = (char *)(uintptr_t) "eu-1"};

	start_service();
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", make_file("web", "web+token/=\n"), 1);
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
	setenv("AWS_ENDPOINT_URL_STS", service, 1);
	assert_found(&settings, "web-key", "web-secret", "web-token", true);
}
END_TEST

START_TEST(a_container_asks_its_endpoint)
{
	const struct s3_settings settings = {0};
	char url[96];

	start_service();
	snprintf(url, sizeof(url), "%s/container", service);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", make_file("authorization", "container-authorization"), 1);
	assert_found(&settings, "container-key", "container-secret", "container-token", true);
}
END_TEST

START_TEST(an_instance_asks_its_metadata_with_a_token)
{
	const struct s3_settings settings = {0};

	start_service();
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service, 1);
	assert_found(&settings, "instance-key", "instance-secret", "instance-token", true);
}
END_TEST

START_TEST(without_a_source_one_is_told_what_to_give)
{
	const struct s3_settings settings = {0};
	struct s3_credentials *credentials;
	struct tgtkit_error error = {.message = ""};

	ck_assert_int_lt(s3_credentials_find(&settings, &credentials, &error), 0);
	ck_assert_ptr_nonnull(strstr(error.message, "no credentials"));
}
END_TEST

Suite *credentials_suite(void)
{
	Suite *suite = suite_create("credentials");
	TCase *tests = tcase_create("credentials");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, options_go_first);
	tcase_add_test(tests, the_environment_goes_before_the_shared_files);
	tcase_add_test(tests, profiles_of_the_shared_files);
	tcase_add_test(tests, a_web_identity_is_exchanged);
	tcase_add_test(tests, a_container_asks_its_endpoint);
	tcase_add_test(tests, an_instance_asks_its_metadata_with_a_token);
	tcase_add_test(tests, without_a_source_one_is_told_what_to_give);
	suite_add_tcase(suite, tests);
	return suite;
}
