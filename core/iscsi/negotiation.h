/* SPDX-License-Identifier: Apache-2.0
 *
 * Negotiation of the operational parameters of one login, RFC 7143 sections 6.2 and 13: the initiator's offers are
 * answered by the table's rule, and what the target needs but was not offered it offers itself.
 */
#ifndef TGTKIT_ISCSI_NEGOTIATION_H
#define TGTKIT_ISCSI_NEGOTIATION_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/directory.h"
#include "iscsi/keys.h"
#include "iscsi/parameters.h"
#include "iscsi/text.h"

struct iscsi_negotiation {
	struct iscsi_parameters now;  /* as far as it is agreed */
	struct iscsi_parameters ours; /* the most that the target would agree to */
	uint8_t header_digests, data_digests;
	bool prefer_header_digest, prefer_data_digest;
	bool discovery;
	bool declared;			/* our MaxRecvDataSegmentLength was sent */
	uint64_t settled;		/* one bit per key: agreed or declared, not to be offered again */
	uint64_t proposed;		/* offered by us, answer outstanding */
	const char *first_burst_length; /* an offer that waits for the rest of its text */
};

/* `target` is NULL for a discovery session. */
void iscsi_negotiation_begin(struct iscsi_negotiation *negotiation, const struct iscsi_target_parameters *target);
/* One key that the table says is operational, or MaxRecvDataSegmentLength.  Its value stays valid until
 * iscsi_negotiation_end_text.  0, or -EPROTO: the initiator broke the rules. */
int iscsi_negotiation_take(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value,
			   struct iscsi_text *response);
/* All of a text was taken: answers what depends on several keys, declares what the target has to declare. */
void iscsi_negotiation_end_text(struct iscsi_negotiation *negotiation, struct iscsi_text *response);
/* The initiator wants to leave the stage: adds the target's own offers, if there are any still to be made. */
void iscsi_negotiation_propose(struct iscsi_negotiation *negotiation, struct iscsi_text *response);
static inline bool iscsi_negotiation_is_pending(const struct iscsi_negotiation *negotiation)
{
	return negotiation->proposed != 0;
}
/* The result, consistent in itself; NULL, or the key whose value the target cannot live with. */
const char *iscsi_negotiation_finish(struct iscsi_negotiation *negotiation);

#endif
