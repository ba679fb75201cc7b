/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dibs

#if !defined(_TRACE_DIBS_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_DIBS_H

#include <linux/dibs.h>
#include <linux/tracepoint.h>

TRACE_EVENT(dibs_move,
	    TP_PROTO(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
		     bool sf, unsigned int offset, u64 size, int rc),
	    TP_ARGS(dibs, dmb_tok, idx, sf, offset, size, rc),
	    TP_STRUCT__entry(__string(dev, dev_name(&dibs->dev))
			     __field(u64, dmb_tok)
			     __field(unsigned int, idx)
			     __field(bool, sf)
			     __field(unsigned int, offset)
			     __field(u64, size)
			     __field(int, rc)),
	    TP_fast_assign(__assign_str(dev);
			   __entry->dmb_tok = dmb_tok;
			   __entry->idx = idx;
			   __entry->sf = sf;
			   __entry->offset = offset;
			   __entry->size = size;
			   __entry->rc = rc;),
	    TP_printk("%s tok=0x%016llx signal=%u%s offset=%u size=%llu rc=%d",
		      __get_str(dev), __entry->dmb_tok, __entry->idx,
		      __entry->sf ? "" : " (not raised)", __entry->offset,
		      __entry->size, __entry->rc)
);

TRACE_EVENT(dibs_signal,
	    TP_PROTO(struct dibs_dev *dibs, unsigned int idx, u16 mask),
	    TP_ARGS(dibs, idx, mask),
	    TP_STRUCT__entry(__string(dev, dev_name(&dibs->dev))
			     __field(unsigned int, idx)
			     __field(u16, mask)),
	    TP_fast_assign(__assign_str(dev);
			   __entry->idx = idx;
			   __entry->mask = mask;),
	    TP_printk("%s idx=%u mask=0x%04x", __get_str(dev), __entry->idx,
		      __entry->mask)
);

TRACE_EVENT(dibs_event,
	    TP_PROTO(struct dibs_dev *dibs, const struct dibs_event *event),
	    TP_ARGS(dibs, event),
	    TP_STRUCT__entry(__string(dev, dev_name(&dibs->dev))
			     __field(u32, type)
			     __field(u32, subtype)
			     __array(u8, gid, UUID_SIZE)
			     __field(u64, dmb_tok)
			     __field(u64, data)),
	    TP_fast_assign(__assign_str(dev);
			   __entry->type = event->type;
			   __entry->subtype = event->subtype;
			   export_uuid(__entry->gid, &event->gid);
			   __entry->dmb_tok = event->buffer_tok;
			   __entry->data = event->data;),
	    TP_printk("%s type=%u subtype=%u gid=%pUb tok=0x%016llx data=0x%llx",
		      __get_str(dev), __entry->type, __entry->subtype,
		      __entry->gid, __entry->dmb_tok, __entry->data)
);

DECLARE_EVENT_CLASS(dibs_dmb_class,
		    TP_PROTO(struct dibs_dev *dibs, const struct dibs_dmb *dmb,
			     int rc),
		    TP_ARGS(dibs, dmb, rc),
		    TP_STRUCT__entry(__string(dev, dev_name(&dibs->dev))
				     __field(u32, idx)
				     __field(u64, dmb_tok)
				     __field(u32, len)
				     __array(u8, rgid, UUID_SIZE)
				     __field(int, rc)),
		    TP_fast_assign(__assign_str(dev);
				   __entry->idx = dmb->idx;
				   __entry->dmb_tok = dmb->dmb_tok;
				   __entry->len = dmb->dmb_len;
				   export_uuid(__entry->rgid, &dmb->rgid);
				   __entry->rc = rc;),
		    TP_printk("%s idx=%u tok=0x%016llx len=%u rgid=%pUb rc=%d",
			      __get_str(dev), __entry->idx, __entry->dmb_tok,
			      __entry->len, __entry->rgid, __entry->rc)
);

DEFINE_EVENT(dibs_dmb_class, dibs_dmb_register,
	     TP_PROTO(struct dibs_dev *dibs, const struct dibs_dmb *dmb, int rc),
	     TP_ARGS(dibs, dmb, rc)
);

DEFINE_EVENT(dibs_dmb_class, dibs_dmb_unregister,
	     TP_PROTO(struct dibs_dev *dibs, const struct dibs_dmb *dmb, int rc),
	     TP_ARGS(dibs, dmb, rc)
);

DECLARE_EVENT_CLASS(dibs_rmap_class,
		    TP_PROTO(struct dibs_dev *dibs, u64 dmb_tok, int rc),
		    TP_ARGS(dibs, dmb_tok, rc),
		    TP_STRUCT__entry(__string(dev, dev_name(&dibs->dev))
				     __field(u64, dmb_tok)
				     __field(int, rc)),
		    TP_fast_assign(__assign_str(dev);
				   __entry->dmb_tok = dmb_tok;
				   __entry->rc = rc;),
		    TP_printk("%s tok=0x%016llx rc=%d", __get_str(dev),
			      __entry->dmb_tok, __entry->rc)
);

DEFINE_EVENT(dibs_rmap_class, dibs_attach,
	     TP_PROTO(struct dibs_dev *dibs, u64 dmb_tok, int rc),
	     TP_ARGS(dibs, dmb_tok, rc)
);

DEFINE_EVENT(dibs_rmap_class, dibs_detach,
	     TP_PROTO(struct dibs_dev *dibs, u64 dmb_tok, int rc),
	     TP_ARGS(dibs, dmb_tok, rc)
);

#endif /* _TRACE_DIBS_H */

#include <trace/define_trace.h>
