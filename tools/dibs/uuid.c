// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: UUIDs, RFC 4122 (and SHA-1, FIPS 180-4, which version 5 is made of)
 */
#include <stdio.h>
#include <string.h>

#include "uuid.h"

static uint32_t rotate(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static void sha1_block(uint32_t *h, const uint8_t *block)
{
	static const uint32_t k[] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f, t;
	int i;

	for (i = 0; i < 16; i++, block += 4)
		w[i] = (uint32_t)block[0] << 24 | block[1] << 16 | block[2] << 8 | block[3];
	for (; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (i = 0; i < 80; i++) {
		if (i < 20)
			f = (b & c) | (~b & d);
		else if (i >= 40 && i < 60)
			f = (b & c) | (b & d) | (c & d);
		else
			f = b ^ c ^ d;
		t = rotate(a, 5) + f + e + k[i / 20] + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

/* Of at most 119 bytes, which is what two blocks have room for */
static void sha1(const uint8_t *data, size_t len, uint32_t *h)
{
	static const uint32_t init[] = {
		0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0,
	};
	uint8_t block[128] = { 0 };
	size_t end = len < 56 ? 64 : 128;

	memcpy(block, data, len);
	block[len] = 0x80;
	block[end - 1] = len * 8;
	block[end - 2] = len * 8 >> 8;
	memcpy(h, init, sizeof(init));
	sha1_block(h, block);
	if (end == 128)
		sha1_block(h, block + 64);
}

/* Version 5 in a name space of dibs-fabric; name is at most 100 bytes */
void uuid_of_name(const char *name, uint8_t *uuid)
{
	static const uint8_t space[UUID_LEN] = {
		0x6f, 0x1b, 0x93, 0x0d, 0x52, 0xc4, 0x4e, 0x7a,
		0x9d, 0x1e, 0x20, 0xb8, 0x74, 0x35, 0xaf, 0x66,
	};
	uint8_t data[UUID_LEN + 100];
	size_t i, len = strnlen(name, 100);
	uint32_t h[5];

	memcpy(data, space, UUID_LEN);
	memcpy(data + UUID_LEN, name, len);
	sha1(data, UUID_LEN + len, h);
	for (i = 0; i < UUID_LEN; i++)
		uuid[i] = h[i / 4] >> (24 - i % 4 * 8);
	uuid[6] = (uuid[6] & 0x0f) | 0x50;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

bool uuid_parse(const char *text, uint8_t *uuid)
{
	int i, end = 0;

	if (strlen(text) != UUID_TEXT_LEN - 1)
		return false;
	for (i = 0; i < UUID_LEN; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		if (sscanf(text, "%2hhx%n", &uuid[i], &end) != 1 || end != 2)
			return false;
		text += 2;
	}
	return true;
}

void uuid_format(const uint8_t *uuid, char *text)
{
	int i;

	for (i = 0; i < UUID_LEN; i++)
		text += sprintf(text, i == 4 || i == 6 || i == 8 || i == 10 ?
				"-%02x" : "%02x", uuid[i]);
}
