/* SPDX-License-Identifier: Apache-2.0
 *
 * Big-endian numbers in byte strings: the only way that wire fields are read and written.
 */
#ifndef TGTKIT_RT_BYTES_H
#define TGTKIT_RT_BYTES_H

#include <stdbool.h>
#include <stdint.h>

static inline uint16_t rt_get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t rt_get_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t rt_get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | rt_get_be24(p + 1);
}

static inline uint64_t rt_get_be64(const uint8_t *p)
{
	return (uint64_t)rt_get_be32(p) << 32 | rt_get_be32(p + 4);
}

static inline void rt_put_be16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void rt_put_be24(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 16);
	rt_put_be16(p + 1, (uint16_t)value);
}

static inline void rt_put_be32(uint8_t *p, uint32_t value)
{
	rt_put_be16(p, (uint16_t)(value >> 16));
	rt_put_be16(p + 2, (uint16_t)value);
}

static inline void rt_put_be64(uint8_t *p, uint64_t value)
{
	rt_put_be32(p, (uint32_t)(value >> 32));
	rt_put_be32(p + 4, (uint32_t)value);
}

/* RFC 1982 serial arithmetic, as RFC 7143 section 4.2.2.1 uses it: a before b. */
static inline bool rt_serial_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool rt_is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static inline uint64_t rt_round_down(uint64_t value, uint64_t power_of_two)
{
	return value & ~(power_of_two - 1);
}

/* The caller has checked that value + power_of_two does not overflow. */
static inline uint64_t rt_round_up(uint64_t value, uint64_t power_of_two)
{
	return rt_round_down(value + power_of_two - 1, power_of_two);
}

/* FNV-1a of 64 bits: goes on from what RT_HASH_BEGIN and earlier texts have become.  Names that initiators have seen
 * come from it, so that it must stay what it is. */
#define RT_HASH_BEGIN UINT64_C(0xcbf29ce484222325)
static inline uint64_t rt_hash_text(uint64_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

#endif
