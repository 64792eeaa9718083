/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/admission.h"

#include <pthread.h>
#include <stdlib.h>

#include "iscsi/address.h"
#include "iscsi/worker.h"

/* How long a full house may stay without a login that ends before newcomers are refused. */
#define PATIENCE_NS UINT64_C(1000000000)

struct address_count {
	struct sockaddr_storage address;
	uint32_t connections;
};

static struct {
	pthread_mutex_t lock;
	uint32_t connections, pending_logins;
	uint64_t logins_ended;
	/* While max_pending_logins is reached: */
	bool is_full;
	uint64_t full_since_ns, ended_when_full;
	struct address_count *addresses; /* kept only when max_connections_per_address asks for it */
	size_t address_count, address_room;
} admission = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct address_count *find(const struct sockaddr_storage *peer)
{
	for (size_t i = 0; i < admission.address_count; i++) {
		if (iscsi_address_same_host(&admission.addresses[i].address, peer))
			return &admission.addresses[i];
	}
	return NULL;
}

/* The address's entry, made if it is new; NULL: no memory. */
static struct address_count *find_or_add(const struct sockaddr_storage *peer)
{
	struct address_count *entry = find(peer);

	if (entry)
		return entry;
	if (admission.address_count == admission.address_room) {
		size_t room = admission.address_room ? admission.address_room * 2 : 16;

		entry = realloc(admission.addresses, room * sizeof *entry);
		if (!entry)
			return NULL;
		admission.addresses = entry;
		admission.address_room = room;
	}
	entry = &admission.addresses[admission.address_count++];
	*entry = (struct address_count){.address = *peer};
	return entry;
}

static const char *enter_locked(const struct sockaddr_storage *peer)
{
	const struct iscsi_server_options *options = iscsi_server_options();

	if (admission.connections >= options->max_connections)
		return "max_connections";
	if (admission.pending_logins >= options->max_pending_logins)
		return "max_pending_logins";
	if (options->max_connections_per_address) {
		struct address_count *entry = find_or_add(peer);

		if (!entry || entry->connections >= options->max_connections_per_address)
			return "max_connections_per_address";
		entry->connections++;
	}
	admission.connections++;
	admission.pending_logins++;
	return NULL;
}

const char *iscsi_admission_enter(const struct sockaddr_storage *peer)
{
	const char *limit;

	pthread_mutex_lock(&admission.lock);
	limit = enter_locked(peer);
	pthread_mutex_unlock(&admission.lock);
	return limit;
}

static bool has_hope_locked(uint64_t now_ns)
{
	if (admission.pending_logins < iscsi_server_options()->max_pending_logins) {
		admission.is_full = false;
		return false;
	}
	if (!admission.is_full || admission.ended_when_full != admission.logins_ended) {
		admission.is_full = true;
		admission.full_since_ns = now_ns;
		admission.ended_when_full = admission.logins_ended;
	}
	return now_ns - admission.full_since_ns < PATIENCE_NS;
}

bool iscsi_admission_should_wait(uint64_t now_ns)
{
	bool should_wait;

	pthread_mutex_lock(&admission.lock);
	should_wait = has_hope_locked(now_ns);
	pthread_mutex_unlock(&admission.lock);
	return should_wait;
}

static void login_ended_locked(void)
{
	admission.pending_logins--;
	admission.logins_ended++;
}

void iscsi_admission_logged_in(void)
{
	pthread_mutex_lock(&admission.lock);
	login_ended_locked();
	pthread_mutex_unlock(&admission.lock);
}

void iscsi_admission_leave(const struct sockaddr_storage *peer, bool was_pending_login)
{
	struct address_count *entry;

	pthread_mutex_lock(&admission.lock);
	admission.connections--;
	if (was_pending_login)
		login_ended_locked();
	entry = find(peer);
	if (entry && --entry->connections == 0)
		*entry = admission.addresses[--admission.address_count];
	pthread_mutex_unlock(&admission.lock);
}

uint32_t iscsi_admission_count(void)
{
	uint32_t count;

	pthread_mutex_lock(&admission.lock);
	count = admission.connections;
	pthread_mutex_unlock(&admission.lock);
	return count;
}
