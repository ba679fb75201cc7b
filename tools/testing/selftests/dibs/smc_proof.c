// SPDX-License-Identifier: GPL-2.0
/*
 * Prints what the kernel says about SMC, for scripts: proof that a connection
 * is SMC-D and did not silently fall back to TCP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smc_nl.h"

enum { CMD_GET_LGR_SMCD = 4, CMD_GET_DEV_SMCD = 5 };
enum { GEN_LGR_SMCD = 4, GEN_DEV_SMCD = 5 };
enum {
	LGR_ID = 1, LGR_GID, LGR_PEER_GID, LGR_VLAN, LGR_CONNS, LGR_PNETID,
	LGR_CHID, LGR_EXT_GID = 10, LGR_PEER_EXT_GID,
};

enum { DEV_USE = 1, DEV_CRIT, DEV_FID, DEV_CHID, DEV_PCI_ID = 7, DEV_PORT };
enum { PORT_PNETID = 2 };

static const char usage[] =
"usage: smc_proof COMMAND\n"
" list           one line per AF_SMC socket that is or was connected: SMCD, SMCR\n"
"                or TCP, addresses, and what else is known\n"
" count MODE     number of established connections in that mode; exits with 1 if 0\n"
" stats          lines \"name number\"\n"
" lgrs           SMC-D link groups\n"
" devs           SMC-D devices that are not loopback\n"
" ueid NAME      add a user EID; that it is there already is no error\n"
" ueid-del NAME\n"
" pnet PNETID DEV       give an SMC-D device a PNETID\n"
" pnet-net PNETID DEV   give a net device one\n"
" pnet-flush     forget all PNETIDs\n";

static const char *address(const struct smc_sock_info *info, bool src)
{
	const void *addr = src ? info->id.idiag_src : info->id.idiag_dst;
	static char text[2][INET6_ADDRSTRLEN + 10];
	char host[INET6_ADDRSTRLEN] = "?";

	inet_ntop(info->family == AF_INET6 ? AF_INET6 : AF_INET, addr, host,
		  sizeof(host));
	snprintf(text[src], sizeof(text[src]), "%s:%u", host,
		 ntohs(src ? info->id.idiag_sport : info->id.idiag_dport));
	return text[src];
}

static void list_dmb(const struct smc_sock_info *info)
{
	printf(" token=0x%016llx peer_token=0x%016llx", info->token,
	       info->peer_token);
	printf(" gid=%016llx%016llx", info->gid[0], info->gid[1]);
	printf(" peer_gid=%016llx%016llx", info->peer_gid[0],
	       info->peer_gid[1]);
}

static bool list_one(const struct smc_sock_info *info, void *arg)
{
	const char *mode = smc_mode_name(info);

	(void)arg;
	if (!strcmp(mode, "-"))
		return true;
	printf("%s %s %s state=%u inode=%lu sndbuf=%u rmbe=%u rx=%u", mode,
	       address(info, true), address(info, false), info->state,
	       (unsigned long)info->inode, info->sndbuf_size, info->rmbe_size,
	       info->rx_count);
	printf(" reason=0x%08x peer_diagnosis=0x%08x", info->fallback_reason,
	       info->peer_diagnosis);
	if (info->has_dmb)
		list_dmb(info);
	putchar('\n');
	return true;
}

struct count_arg {
	const char *mode;
	unsigned int count;
};

static bool count_one(const struct smc_sock_info *info, void *arg)
{
	struct count_arg *count = arg;

	if (info->state == 1 && !strcmp(smc_mode_name(info), count->mode))
		count->count++;
	return true;
}

static int do_count(const char *mode)
{
	struct count_arg count = { .mode = mode };
	int rc;

	rc = smc_diag_each(count_one, &count);
	if (rc)
		return rc;
	printf("%u\n", count.count);
	return count.count ? 0 : 1;
}

static int do_stats(void)
{
	struct smc_stats s;
	int rc;

	rc = smc_get_stats(&s);
	if (rc)
		return rc;
	printf("v2 %llu\n", s.client_v2 + s.server_v2);
	printf("v1 %llu\n", s.client_v1 + s.server_v1);
	printf("fallbacks %llu\n",
	       s.client_fallbacks + s.server_fallbacks);
	printf("client_v2 %llu\n", s.client_v2);
	printf("server_v2 %llu\n", s.server_v2);
	printf("client_fallbacks %llu\n", s.client_fallbacks);
	printf("server_fallbacks %llu\n", s.server_fallbacks);
	printf("fallback_reason 0x%08x\n", s.last_reason);
	printf("handshake_errors %llu\n",
	       s.client_errors + s.server_errors);
	printf("tx_bytes %llu\n", s.tx_bytes);
	printf("rx_bytes %llu\n", s.rx_bytes);
	printf("splice %llu\n", s.splice);
	printf("urgent %llu\n", s.urgent);
	return 0;
}

static void lgr_one(struct nlattr *attrs, size_t len, void *arg)
{
	struct nlattr *lgr = smc_attr_find(attrs, len, GEN_LGR_SMCD);

	(void)arg;
	if (!lgr)
		return;
	attrs = smc_attr_nested(lgr);
	len = smc_attr_len(lgr);
	printf("id=0x%08llx chid=0x%04llx conns=%llu vlan=%llu",
	       smc_attr_u64(attrs, len, LGR_ID),
	       smc_attr_u64(attrs, len, LGR_CHID),
	       smc_attr_u64(attrs, len, LGR_CONNS),
	       smc_attr_u64(attrs, len, LGR_VLAN));
	printf(" gid=%016llx%016llx peer_gid=%016llx%016llx\n",
	       smc_attr_u64(attrs, len, LGR_GID),
	       smc_attr_u64(attrs, len, LGR_EXT_GID),
	       smc_attr_u64(attrs, len, LGR_PEER_GID),
	       smc_attr_u64(attrs, len, LGR_PEER_EXT_GID));
}

static void dev_one(struct nlattr *attrs, size_t len, void *arg)
{
	struct nlattr *dev = smc_attr_find(attrs, len, GEN_DEV_SMCD);
	struct nlattr *name, *port, *pnet = NULL;

	(void)arg;
	if (!dev)
		return;
	attrs = smc_attr_nested(dev);
	len = smc_attr_len(dev);
	name = smc_attr_find(attrs, len, DEV_PCI_ID);
	port = smc_attr_find(attrs, len, DEV_PORT);
	if (port)
		pnet = smc_attr_find(smc_attr_nested(port), smc_attr_len(port),
				     PORT_PNETID);
	printf("pci=%s fid=0x%08llx chid=0x%04llx lgrs=%llu pnetid=%s\n",
	       name ? (char *)smc_attr_nested(name) : "",
	       smc_attr_u64(attrs, len, DEV_FID),
	       smc_attr_u64(attrs, len, DEV_CHID),
	       smc_attr_u64(attrs, len, DEV_USE),
	       pnet ? (char *)smc_attr_nested(pnet) : "");
}

static int run(int argc, char **argv)
{
	const char *cmd = argv[1];
	int rc;

	if (argc == 2 && !strcmp(cmd, "list"))
		return smc_diag_each(list_one, NULL);
	if (argc == 3 && !strcmp(cmd, "count"))
		return do_count(argv[2]);
	if (argc == 2 && !strcmp(cmd, "stats"))
		return do_stats();
	if (argc == 2 && !strcmp(cmd, "lgrs"))
		return smc_genl_dump(CMD_GET_LGR_SMCD, lgr_one, NULL);
	if (argc == 2 && !strcmp(cmd, "devs"))
		return smc_genl_dump(CMD_GET_DEV_SMCD, dev_one, NULL);
	if (argc == 3 && !strcmp(cmd, "ueid")) {
		rc = smc_ueid_add(argv[2]);
		return rc == -EEXIST ? 0 : rc;
	}
	if (argc == 3 && !strcmp(cmd, "ueid-del"))
		return smc_ueid_del(argv[2]);
	if (argc == 4 && !strcmp(cmd, "pnet"))
		return smc_pnet_add(argv[2], argv[3], false);
	if (argc == 4 && !strcmp(cmd, "pnet-net"))
		return smc_pnet_add(argv[2], argv[3], true);
	if (argc == 2 && !strcmp(cmd, "pnet-flush"))
		return smc_pnet_flush();
	fputs(usage, stderr);
	return 2;
}

int main(int argc, char **argv)
{
	int rc;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2) {
		fputs(usage, stderr);
		return 2;
	}
	rc = run(argc, argv);
	if (rc < 0) {
		fprintf(stderr, "smc_proof: %s: %s\n", argv[1], strerror(-rc));
		return 1;
	}
	return rc;
}
