/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel says about SMC: sock_diag of AF_SMC sockets and the generic
 * netlink family SMC_GEN_NETLINK, the interfaces that smc-tools use.
 */
#ifndef SMC_NL_H
#define SMC_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/types.h>

#ifndef AF_SMC
#define AF_SMC		43
#endif
#define SMCPROTO_SMC	0
#define SMCPROTO_SMC6	1

/* The uapi headers of the system may be older than the kernel: repeat here */
enum {
	SMC_MODE_SMCR,
	SMC_MODE_TCP,
	SMC_MODE_SMCD,
};

/* One AF_SMC socket */
struct smc_sock_info {
	struct inet_diag_sockid id;
	__u8 family;
	__u8 state;
	__u8 mode;
	ino_t inode;
	__u32 sndbuf_size;
	__u32 rmbe_size;
	__u32 rx_count;
	__u32 fallback_reason;
	__u32 peer_diagnosis;
	__u64 gid[2];
	__u64 peer_gid[2];
	__u64 token;
	__u64 peer_token;
	bool has_dmb;
};

/* return true to go on */
typedef bool (*smc_sock_fn)(const struct smc_sock_info *info, void *arg);

int smc_diag_each(smc_sock_fn fn, void *arg);
int smc_sock_info(int fd, struct smc_sock_info *info);
const char *smc_mode_name(const struct smc_sock_info *info);

struct smc_stats {
	__u64 client_v1, client_v2, server_v1, server_v2;
	__u64 tx_bytes, rx_bytes;
	__u64 splice, urgent;
	__u64 client_errors, server_errors;
	__u64 client_fallbacks, server_fallbacks;
	__u32 last_reason;
};

int smc_get_stats(struct smc_stats *stats);
int smc_ueid_add(const char *name);
int smc_ueid_del(const char *name);
int smc_pnet_add(const char *pnetid, const char *dev, bool is_net);
int smc_pnet_flush(void);

typedef void (*smc_attrs_fn)(struct nlattr *attrs, size_t len, void *arg);

int smc_genl_dump(int cmd, smc_attrs_fn fn, void *arg);

/* attributes */
struct nlattr *smc_attr_find(struct nlattr *attrs, size_t len, int type);
__u64 smc_attr_u64(struct nlattr *attrs, size_t len, int type);
size_t smc_attr_len(const struct nlattr *attr);
struct nlattr *smc_attr_nested(struct nlattr *attr);

#endif
