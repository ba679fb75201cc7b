/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DIBS_UUID_H
#define DIBS_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_LEN	16
#define UUID_TEXT_LEN	37

bool uuid_parse(const char *text, uint8_t *uuid);
void uuid_format(const uint8_t *uuid, char *text);
void uuid_of_name(const char *name, uint8_t *uuid);

#endif /* DIBS_UUID_H */
