/* SPDX-License-Identifier: Apache-2.0
 *
 * SendTargets, RFC 7143 appendix C.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "iscsi/text.h"

/* An Internet address apart from how the socket spells it: IPv4 in IPv6 is IPv4. */
struct endpoint {
	bool ipv6;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
	uint16_t port;
};

#define ENDPOINT_TEXT_BYTES (INET6_ADDRSTRLEN + 16u)

static bool endpoint_of(const struct sockaddr_storage *address, struct endpoint *endpoint)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->ss_family == AF_INET) {
		memcpy(&v4, address, sizeof v4);
		*endpoint = (struct endpoint){.v4 = v4.sin_addr, .port = ntohs(v4.sin_port)};
		return true;
	}
	if (address->ss_family != AF_INET6)
		return false;
	memcpy(&v6, address, sizeof v6);
	*endpoint = (struct endpoint){.ipv6 = true, .v6 = v6.sin6_addr, .port = ntohs(v6.sin6_port)};
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
		endpoint->ipv6 = false;
		memcpy(&endpoint->v4, v6.sin6_addr.s6_addr + 12, sizeof endpoint->v4);
	}
	return true;
}

static bool is_wildcard(const struct endpoint *endpoint)
{
	if (endpoint->ipv6)
		return IN6_IS_ADDR_UNSPECIFIED(&endpoint->v6);
	return endpoint->v4.s_addr == htonl(INADDR_ANY);
}

static void endpoint_text(const struct endpoint *endpoint, char text[static ENDPOINT_TEXT_BYTES])
{
	char address[INET6_ADDRSTRLEN];

	if (endpoint->ipv6) {
		inet_ntop(AF_INET6, &endpoint->v6, address, sizeof address);
		snprintf(text, ENDPOINT_TEXT_BYTES, "[%s]:%" PRIu16, address, endpoint->port);
	} else {
		inet_ntop(AF_INET, &endpoint->v4, address, sizeof address);
		snprintf(text, ENDPOINT_TEXT_BYTES, "%s:%" PRIu16, address, endpoint->port);
	}
}

/* Whether [::] leaves IPv4 to a portal of its own. */
static bool has_ipv4_wildcard(const struct iscsi_portal_group *group, uint16_t port)
{
	struct endpoint endpoint;

	for (size_t i = 0; i < group->portal_count; i++) {
		if (endpoint_of(&group->portals[i].address, &endpoint) && !endpoint.ipv6 && is_wildcard(&endpoint) &&
		    endpoint.port == port)
			return true;
	}
	return false;
}

/* Where this initiator reaches a portal; false: as far as can be known, it does not. */
static bool portal_text(const struct iscsi_text_context *context, const struct iscsi_portal_group *group,
			const struct iscsi_portal *portal, char text[static ENDPOINT_TEXT_BYTES])
{
	struct endpoint endpoint, local;
	uint16_t port;

	if (!endpoint_of(&portal->address, &endpoint))
		return false;
	if (is_wildcard(&endpoint)) {
		port = endpoint.port;
		if (!context->local_address || !endpoint_of(context->local_address, &local))
			return false;
		if (local.ipv6 != endpoint.ipv6 && (local.ipv6 || has_ipv4_wildcard(group, port)))
			return false;
		endpoint = local;
		endpoint.port = port;
	}
	endpoint_text(&endpoint, text);
	return true;
}

static const struct iscsi_portal_group *find_group(const struct iscsi_directory *directory, uint16_t tag)
{
	for (size_t i = 0; i < directory->group_count; i++) {
		if (directory->groups[i].tag == tag)
			return &directory->groups[i];
	}
	return NULL;
}

static void add_address(const char *address, uint16_t tag, struct iscsi_text *response)
{
	char value[300];

	snprintf(value, sizeof value, "%s,%" PRIu16, address, tag);
	iscsi_text_add(response, "TargetAddress", value);
}

/* The name and every address, or nothing when there is no address to give: a name alone would stand for the portal that
 * the initiator is talking to. */
static void add_target(const struct iscsi_text_context *context, const struct iscsi_target *target,
		       struct iscsi_text *response)
{
	size_t before = response->length, after_name;
	char text[ENDPOINT_TEXT_BYTES];

	if (!iscsi_target_admit(target, context->initiator_name, context->initiator_address))
		return;
	iscsi_text_add(response, "TargetName", target->name);
	after_name = response->length;
	for (size_t i = 0; i < target->port_count; i++) {
		const struct iscsi_portal_group *group = find_group(context->directory, target->ports[i].tag);

		for (size_t j = 0; group && j < group->portal_count; j++) {
			const struct iscsi_portal *portal = &group->portals[j];

			if (portal->advertise)
				add_address(portal->advertise, group->tag, response);
			else if (portal_text(context, group, portal, text))
				add_address(text, group->tag, response);
		}
	}
	if (response->length == after_name)
		response->length = before;
}

static void add_all(const struct iscsi_text_context *context, struct iscsi_text *response)
{
	const struct iscsi_directory *directory = context->directory;

	for (size_t i = 0; i < directory->target_count; i++)
		add_target(context, &directory->targets[i], response);
}

static const struct iscsi_target *find_named(const struct iscsi_text_context *context, const char *value)
{
	char name[ISCSI_NAME_BYTES];

	if (!iscsi_name_is_presentable(value))
		return NULL;
	strcpy(name, value);
	iscsi_name_normalise(name);
	return iscsi_directory_find_target(context->directory, name);
}

void iscsi_send_targets(const struct iscsi_text_context *context, const char *value, struct iscsi_text *response)
{
	const struct iscsi_target *target;

	if (!context->target && strcmp(value, "All") == 0) {
		add_all(context, response);
		return;
	}
	target = *value ? find_named(context, value) : context->target;
	/* A normal session learns of its own target only; All and nothing belong to one kind of session each. */
	if (context->target ? !target || strcmp(target->name, context->target->name) != 0 : *value == '\0')
		iscsi_text_add(response, "SendTargets", "Reject");
	else if (target)
		add_target(context, target, response);
}
