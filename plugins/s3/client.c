/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

struct s3_credentials *s3_credentials_new(const char *access_key, const char *secret_key, const char *session_token,
					  uint64_t expires_at_s)
{
	struct s3_credentials *credentials = calloc(1, sizeof(*credentials));

	if (credentials == NULL)
		return NULL;
	atomic_init(&credentials->references, 1);
	credentials->access_key = strdup(access_key);
	credentials->secret_key = strdup(secret_key);
	credentials->session_token = session_token == NULL || session_token[0] == '\0' ? NULL : strdup(session_token);
	credentials->expires_at_s = expires_at_s;
	if (credentials->access_key == NULL || credentials->secret_key == NULL ||
	    (session_token != NULL && session_token[0] != '\0' && credentials->session_token == NULL)) {
		s3_credentials_release(credentials);
		return NULL;
	}
	return credentials;
}

static void free_secret(char *secret)
{
	if (secret != NULL)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

void s3_credentials_release(struct s3_credentials *credentials)
{
	if (credentials == NULL || atomic_fetch_sub(&credentials->references, 1) != 1)
		return;
	free(credentials->access_key);
	free_secret(credentials->secret_key);
	free_secret(credentials->session_token);
	free(credentials);
}

void s3_client_init(struct s3_client *client)
{
	*client = (struct s3_client){.timeout_s = 5, .attempts = 8};
	pthread_mutex_init(&client->lock, NULL);
}

void s3_client_free(struct s3_client *client)
{
	s3_credentials_release(client->credentials);
	s3_address_free(&client->address);
	free(client->region);
	free(client->ca_file);
	pthread_mutex_destroy(&client->lock);
}

struct s3_credentials *s3_client_credentials(struct s3_client *client)
{
	struct s3_credentials *credentials;

	pthread_mutex_lock(&client->lock);
	credentials = client->credentials;
	if (credentials != NULL)
		atomic_fetch_add(&credentials->references, 1);
	pthread_mutex_unlock(&client->lock);
	return credentials;
}

void s3_client_set_credentials(struct s3_client *client, struct s3_credentials *credentials)
{
	struct s3_credentials *old;

	pthread_mutex_lock(&client->lock);
	old = client->credentials;
	client->credentials = credentials;
	pthread_mutex_unlock(&client->lock);
	s3_credentials_release(old);
}
