/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a plugin of QEMU can call, as far as it is used: version 7 of the interface
 *
 * QEMU's own header is in no package.
 */
#ifndef DIBS_QEMU_PLUGIN_H
#define DIBS_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* GArray and GByteArray, of which QEMU brings the functions along */
struct array {
	char *data;
	unsigned int len;
};

struct byte_array {
	uint8_t *data;
	unsigned int len;
};

struct byte_array *g_byte_array_new(void);
struct byte_array *g_byte_array_set_size(struct byte_array *array, unsigned int len);
unsigned int g_array_get_element_size(struct array *array);
char *g_array_free(struct array *array, int free_segment);

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;

struct qemu_plugin_reg_descriptor {
	struct qemu_plugin_register *handle;
	const char *name;
	const char *feature;
};

struct qemu_info {
	const char *target_name;
	struct { int min, cur; } version;
	bool system_emulation;
	struct { int smp_vcpus, max_vcpus; } system;
};

/* What a callback does with registers, in the order of what it may do */
enum { CB_NO_REGS, CB_R_REGS, CB_RW_REGS, CB_RW_REGS_PC };

/* Why a CPU does not go on with the next instruction */
enum { DISCON_INTERRUPT = 1, DISCON_EXCEPTION };

typedef void (*trans_fn)(struct qemu_plugin_tb *tb, void *arg);
typedef void (*exec_fn)(unsigned int cpu, void *arg);
typedef void (*discon_fn)(unsigned int cpu, int type, uint64_t from, uint64_t to, void *arg);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, trans_fn cb, void *arg);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_fn cb,
					    int flags, void *arg);
void qemu_plugin_register_vcpu_discon_cb(uint64_t id, int type, discon_fn cb, void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t n);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
struct array *qemu_plugin_get_registers(void);
bool qemu_plugin_read_register(struct qemu_plugin_register *reg, struct byte_array *to);
bool qemu_plugin_write_register(struct qemu_plugin_register *reg, struct byte_array *from);
bool qemu_plugin_read_memory_vaddr(uint64_t at, struct byte_array *to, size_t len);
bool qemu_plugin_write_memory_vaddr(uint64_t at, struct byte_array *from);
int qemu_plugin_read_memory_hwaddr(uint64_t at, struct byte_array *to, size_t len);
int qemu_plugin_write_memory_hwaddr(uint64_t at, struct byte_array *from);
void qemu_plugin_set_pc(uint64_t to);

/* What QEMU calls, and looks at before */
extern int qemu_plugin_version;
int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv);

#endif /* DIBS_QEMU_PLUGIN_H */
