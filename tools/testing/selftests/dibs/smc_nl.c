// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel says about SMC, see smc_nl.h. Functions return 0 or a
 * negative errno.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/sock_diag.h>

#include "smc_nl.h"

#define BUF_SIZE	32768

/* include/uapi/linux/smc_diag.h */
enum { DIAG_CONNINFO = 1, DIAG_DMBINFO = 4, DIAG_FALLBACK };

struct diag_req {
	__u8 family;
	__u8 pad[2];
	__u8 ext;
	struct inet_diag_sockid id;
};

struct diag_msg {
	__u8 family;
	__u8 state;
	__u8 mode;
	__u8 shutdown;
	struct inet_diag_sockid id;
	__u32 uid;
	__aligned_u64 inode;
};

/* include/uapi/linux/smc.h */
enum {
	CMD_GET_STATS = 7,
	CMD_GET_FBACK_STATS = 8,
	CMD_ADD_UEID = 10,
	CMD_REMOVE_UEID = 11,
};

enum { GEN_STATS = 7, GEN_FBACK_STATS = 8 };
enum { STATS_SMCD = 1, STATS_CLNT_ERR = 3, STATS_SRV_ERR };
enum {
	T_CLNT_V1 = 7, T_CLNT_V2, T_SRV_V1, T_SRV_V2, T_SENDPAGE, T_SPLICE,
	T_CORK, T_NDLY, T_URG, T_RX_BYTES, T_TX_BYTES,
};

enum { FBACK_SRV_CNT = 2, FBACK_CLNT_CNT, FBACK_RSN_CODE };
enum { PNETID_ADD = 2, PNETID_FLUSH = 4 };
enum { PNETID_NAME = 1, PNETID_ETHNAME = 2, PNETID_IBNAME = 3 };

struct request {
	struct nlmsghdr nlh;
	union {
		struct genlmsghdr genl;
		struct diag_req diag;
		char space[512];
	};
};

size_t smc_attr_len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}

struct nlattr *smc_attr_nested(struct nlattr *attr)
{
	return (struct nlattr *)((char *)attr + NLA_HDRLEN);
}

struct nlattr *smc_attr_find(struct nlattr *attrs, size_t len, int type)
{
	struct nlattr *attr = attrs;

	while (len >= sizeof(*attr) && attr->nla_len >= sizeof(*attr) &&
	       attr->nla_len <= len) {
		if ((attr->nla_type & NLA_TYPE_MASK) == type)
			return attr;
		if ((size_t)NLA_ALIGN(attr->nla_len) >= len)
			break;
		len -= NLA_ALIGN(attr->nla_len);
		attr = (struct nlattr *)((char *)attr +
					 NLA_ALIGN(attr->nla_len));
	}
	return NULL;
}

/* The kernel uses as many bytes as it needs; 0 if there is none */
__u64 smc_attr_u64(struct nlattr *attrs, size_t len, int type)
{
	struct nlattr *attr = smc_attr_find(attrs, len, type);
	__u64 u64 = 0;
	__u32 u32;
	__u16 u16;

	if (!attr)
		return 0;
	switch (smc_attr_len(attr)) {
	case 1:
		return *(__u8 *)smc_attr_nested(attr);
	case 2:
		memcpy(&u16, smc_attr_nested(attr), sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, smc_attr_nested(attr), sizeof(u32));
		return u32;
	case 8:
		memcpy(&u64, smc_attr_nested(attr), sizeof(u64));
		return u64;
	}
	return 0;
}

static int nl_open(int proto)
{
	struct timeval tv = { .tv_sec = 10 };
	int fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, proto);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

typedef bool (*nl_fn)(struct nlmsghdr *nlh, void *arg);

/* One datagram: 1 if there is more to come */
static int nl_parse(char *buf, ssize_t len, nl_fn fn, void *arg)
{
	struct nlmsghdr *nlh;
	int left = len;

	for (nlh = (void *)buf; NLMSG_OK(nlh, left);
	     nlh = NLMSG_NEXT(nlh, left)) {
		if (nlh->nlmsg_type == NLMSG_DONE)
			return 0;
		if (nlh->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
		if (fn && !fn(nlh, arg))
			return 0;
		if (!(nlh->nlmsg_flags & NLM_F_MULTI))
			return 0;
	}
	return 1;
}

static int nl_talk(int proto, struct request *req, nl_fn fn, void *arg)
{
	static union {
		struct nlmsghdr nlh;
		char space[BUF_SIZE];
	} buf;
	int fd, rc = 1;
	ssize_t len;

	fd = nl_open(proto);
	if (fd < 0)
		return fd;
	if (send(fd, req, req->nlh.nlmsg_len, 0) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (rc == 1) {
		len = recv(fd, &buf, sizeof(buf), 0);
		rc = len < 0 ? -errno : nl_parse(buf.space, len, fn, arg);
	}
	close(fd);
	return rc;
}

/******************************* sock_diag ***********************************/

struct each_arg {
	smc_sock_fn fn;
	void *arg;
};

static void parse_dmbinfo(struct smc_sock_info *info, struct nlattr *attr)
{
	struct {
		__u32 linkid;
		__aligned_u64 peer_gid;
		__u64 my_gid, token, peer_token, peer_gid_ext, my_gid_ext;
	} dmb = {};
	size_t len = smc_attr_len(attr);

	memcpy(&dmb, smc_attr_nested(attr),
	       len < sizeof(dmb) ? len : sizeof(dmb));
	info->has_dmb = true;
	info->gid[0] = dmb.my_gid;
	info->gid[1] = dmb.my_gid_ext;
	info->peer_gid[0] = dmb.peer_gid;
	info->peer_gid[1] = dmb.peer_gid_ext;
	info->token = dmb.token;
	info->peer_token = dmb.peer_token;
}

static bool diag_one(struct nlmsghdr *nlh, void *arg)
{
	struct diag_msg *msg = NLMSG_DATA(nlh);
	struct smc_sock_info info = {
		.id = msg->id,
		.family = msg->family,
		.state = msg->state,
		.mode = msg->mode,
		.inode = msg->inode,
	};
	struct each_arg *each = arg;
	struct nlattr *attrs, *attr;
	__u32 words[6];
	size_t len;

	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)))
		return true;
	attrs = (void *)((char *)msg + NLMSG_ALIGN(sizeof(*msg)));
	len = nlh->nlmsg_len - NLMSG_LENGTH(NLMSG_ALIGN(sizeof(*msg)));
	attr = smc_attr_find(attrs, len, DIAG_CONNINFO);
	if (attr && smc_attr_len(attr) >= sizeof(words)) {
		memcpy(words, smc_attr_nested(attr), sizeof(words));
		info.sndbuf_size = words[1];
		info.rmbe_size = words[2];
		info.rx_count = words[5]; /* of the producer cursor */
	}
	attr = smc_attr_find(attrs, len, DIAG_FALLBACK);
	if (attr && smc_attr_len(attr) >= 2 * sizeof(*words)) {
		memcpy(words, smc_attr_nested(attr), 2 * sizeof(*words));
		info.fallback_reason = words[0];
		info.peer_diagnosis = words[1];
	}
	attr = smc_attr_find(attrs, len, DIAG_DMBINFO);
	if (attr)
		parse_dmbinfo(&info, attr);
	return each->fn(&info, each->arg);
}

int smc_diag_each(smc_sock_fn fn, void *arg)
{
	struct each_arg each = { .fn = fn, .arg = arg };
	struct request req = {
		.nlh.nlmsg_len = NLMSG_LENGTH(sizeof(struct diag_req)),
		.nlh.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
	};

	req.diag = (struct diag_req) {
		.family = AF_SMC,
		.ext = 1 << (DIAG_CONNINFO - 1) | 1 << (DIAG_DMBINFO - 1) |
		       1 << (DIAG_FALLBACK - 1),
	};
	return nl_talk(NETLINK_SOCK_DIAG, &req, diag_one, &each);
}

struct find_arg {
	ino_t inode;
	struct smc_sock_info *info;
	bool found;
};

static bool find_one(const struct smc_sock_info *info, void *arg)
{
	struct find_arg *find = arg;

	if (info->inode != find->inode)
		return true;
	*find->info = *info;
	find->found = true;
	return false;
}

/* What the kernel says about a socket of ours */
int smc_sock_info(int fd, struct smc_sock_info *info)
{
	struct find_arg find = { .info = info };
	struct stat st;
	int rc;

	if (fstat(fd, &st))
		return -errno;
	find.inode = st.st_ino;
	rc = smc_diag_each(find_one, &find);
	if (rc)
		return rc;
	return find.found ? 0 : -ENOENT;
}

const char *smc_mode_name(const struct smc_sock_info *info)
{
	static const char * const names[] = { "SMCR", "TCP", "SMCD" };

	/* before a mode is decided upon the kernel says SMCR */
	if (info->mode == SMC_MODE_SMCR && info->state != 1)
		return "-";
	return info->mode < 3 ? names[info->mode] : "?";
}

/***************************** generic netlink *******************************/

static void req_attr(struct request *req, int type, const char *str)
{
	struct nlattr *attr;

	attr = (void *)((char *)req + NLMSG_ALIGN(req->nlh.nlmsg_len));
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + strlen(str) + 1;
	memcpy(smc_attr_nested(attr), str, strlen(str) + 1);
	req->nlh.nlmsg_len = NLMSG_ALIGN(req->nlh.nlmsg_len) +
			     NLA_ALIGN(attr->nla_len);
}

static struct request genl_req(int family, int flags, int cmd)
{
	return (struct request) {
		.nlh.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		.nlh.nlmsg_type = family,
		.nlh.nlmsg_flags = NLM_F_REQUEST | flags,
		.genl.cmd = cmd,
		.genl.version = 1,
	};
}

static struct nlattr *genl_attrs(struct nlmsghdr *nlh, size_t *len)
{
	*len = 0;
	if (nlh->nlmsg_len > NLMSG_LENGTH(GENL_HDRLEN))
		*len = nlh->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);
	return (void *)((char *)NLMSG_DATA(nlh) + GENL_HDRLEN);
}

static bool family_one(struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *attrs;
	size_t len;

	attrs = genl_attrs(nlh, &len);
	*(int *)arg = smc_attr_u64(attrs, len, CTRL_ATTR_FAMILY_ID);
	return false;
}

static int genl_family(const char *name)
{
	struct request req = genl_req(GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY);
	int family = -ENOENT;
	int rc;

	req_attr(&req, CTRL_ATTR_FAMILY_NAME, name);
	rc = nl_talk(NETLINK_GENERIC, &req, family_one, &family);
	return rc ? rc : family;
}

struct dump_arg {
	smc_attrs_fn fn;
	void *arg;
};

static bool dump_one(struct nlmsghdr *nlh, void *arg)
{
	struct dump_arg *dump = arg;
	struct nlattr *attrs;
	size_t len;

	attrs = genl_attrs(nlh, &len);
	dump->fn(attrs, len, dump->arg);
	return true;
}

int smc_genl_dump(int cmd, smc_attrs_fn fn, void *arg)
{
	struct dump_arg dump = { .fn = fn, .arg = arg };
	int family = genl_family("SMC_GEN_NETLINK");
	struct request req;

	if (family < 0)
		return family;
	req = genl_req(family, NLM_F_DUMP, cmd);
	return nl_talk(NETLINK_GENERIC, &req, dump_one, &dump);
}

static void stats_one(struct nlattr *attrs, size_t len, void *arg)
{
	struct nlattr *all = smc_attr_find(attrs, len, GEN_STATS);
	struct smc_stats *s = arg;
	struct nlattr *smcd;

	if (!all)
		return;
	attrs = smc_attr_nested(all);
	len = smc_attr_len(all);
	s->client_errors = smc_attr_u64(attrs, len, STATS_CLNT_ERR);
	s->server_errors = smc_attr_u64(attrs, len, STATS_SRV_ERR);
	smcd = smc_attr_find(attrs, len, STATS_SMCD);
	if (!smcd)
		return;
	attrs = smc_attr_nested(smcd);
	len = smc_attr_len(smcd);
	s->client_v1 = smc_attr_u64(attrs, len, T_CLNT_V1);
	s->client_v2 = smc_attr_u64(attrs, len, T_CLNT_V2);
	s->server_v1 = smc_attr_u64(attrs, len, T_SRV_V1);
	s->server_v2 = smc_attr_u64(attrs, len, T_SRV_V2);
	s->splice = smc_attr_u64(attrs, len, T_SPLICE);
	s->urgent = smc_attr_u64(attrs, len, T_URG);
	s->rx_bytes = smc_attr_u64(attrs, len, T_RX_BYTES);
	s->tx_bytes = smc_attr_u64(attrs, len, T_TX_BYTES);
}

static void fback_one(struct nlattr *attrs, size_t len, void *arg)
{
	struct nlattr *fback = smc_attr_find(attrs, len, GEN_FBACK_STATS);
	struct smc_stats *s = arg;
	__u64 srv, clnt;

	if (!fback)
		return;
	attrs = smc_attr_nested(fback);
	len = smc_attr_len(fback);
	/* the totals are in the first message only */
	srv = smc_attr_u64(attrs, len, FBACK_SRV_CNT);
	clnt = smc_attr_u64(attrs, len, FBACK_CLNT_CNT);
	if (srv)
		s->server_fallbacks = srv;
	if (clnt)
		s->client_fallbacks = clnt;
	s->last_reason = smc_attr_u64(attrs, len, FBACK_RSN_CODE);
}

int smc_get_stats(struct smc_stats *stats)
{
	int rc;

	memset(stats, 0, sizeof(*stats));
	rc = smc_genl_dump(CMD_GET_STATS, stats_one, stats);
	if (rc)
		return rc;
	return smc_genl_dump(CMD_GET_FBACK_STATS, fback_one, stats);
}

/* EIDs are padded with blanks */
static int ueid_cmd(int cmd, const char *name)
{
	int family = genl_family("SMC_GEN_NETLINK");
	struct request req;
	char eid[33];

	if (family < 0)
		return family;
	snprintf(eid, sizeof(eid), "%-32s", name);
	req = genl_req(family, NLM_F_ACK, cmd);
	req_attr(&req, 1, eid);
	return nl_talk(NETLINK_GENERIC, &req, NULL, NULL);
}

int smc_ueid_add(const char *name)
{
	return ueid_cmd(CMD_ADD_UEID, name);
}

int smc_ueid_del(const char *name)
{
	return ueid_cmd(CMD_REMOVE_UEID, name);
}

/* Give a device a PNETID: SMC uses an SMC-D device only for net devices with the
 * same one
 */
int smc_pnet_add(const char *pnetid, const char *dev, bool is_net)
{
	int family = genl_family("SMC_PNETID");
	struct request req;

	if (family < 0)
		return family;
	req = genl_req(family, NLM_F_ACK, PNETID_ADD);
	req_attr(&req, PNETID_NAME, pnetid);
	req_attr(&req, is_net ? PNETID_ETHNAME : PNETID_IBNAME, dev);
	return nl_talk(NETLINK_GENERIC, &req, NULL, NULL);
}

int smc_pnet_flush(void)
{
	int family = genl_family("SMC_PNETID");
	struct request req;

	if (family < 0)
		return family;
	req = genl_req(family, NLM_F_ACK, PNETID_FLUSH);
	return nl_talk(NETLINK_GENERIC, &req, NULL, NULL);
}
